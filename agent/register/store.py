"""The encrypted register: name, masked ID number, plate and notes under a random handle.

The journal carries the handle alone (domain rules, 30). Each entry is sealed with AES-256-GCM under the register's own
key and bound to its handle; erasing one overwrites its row. The key lies beside the file and is readable by the web
role only, so what is protected is a copy of the file, a backup, and every other role; not a card in a thief's hands.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec

from agent.journal.files import replace_file

FILE, KEY_FILE = "register.db", "register.key"
KEY_BYTES, NONCE_BYTES = 32, 12
LABEL = b"menwei register 1 "
PHOTO = " photo"  # what a picture is bound to besides its handle, so that it never passes for an entry
MOST_TEXT = 400  # D: a hand-over note, not a report
MOST_NAME = 60  # D
KEEP_DAYS = 180  # DB11/T 2552-2026 (S): access records are kept 180 days


class BadRegister(Exception):
    """The register or its key cannot be used; `args[0]` says why in field words."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one handle. `id_tail` is all that is kept of an ID number."""

    name: str = ""
    id_tail: str = ""
    plate: str = ""
    text: str = ""
    about: str = ""  # of a note: the post it is for
    by: str = ""  # of a note: the account that wrote it


MASKED = re.compile(r"…[0-9A-Z]{4}")  # as `masked` gives it: a form filled in again brings it back


def masked(number: str) -> str:
    """The last four characters of an ID number, which is all that is ever stored: "…1234", or "" for nothing."""
    if MASKED.fullmatch(number):
        return number
    plain = re.sub(r"[^0-9A-Za-z]", "", number)
    return f"…{plain[-4:].upper()}" if len(plain) > 4 else ""


class Register:
    """Safe to open anew for every use; one process writes. Raises BadRegister where file or key cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = _key(folder / KEY_FILE)

    def put(self, handle: str, entry: Entry, at_ms: int) -> None:
        """Write an entry down, durably. A handle that is there already keeps its day and gets the new contents."""
        sealed = self._seal(handle, entry)
        with closing(self._open()) as base, base:
            base.execute(
                "INSERT INTO entry VALUES(?, ?, ?) ON CONFLICT(handle) DO UPDATE SET sealed = excluded.sealed",
                (handle, at_ms, sealed),
            )

    def many(self, handles: Iterable[str]) -> dict[str, Entry]:
        """The entries there are of these handles. One that cannot be opened is left out, as if erased."""
        wanted = sorted(set(handles))
        found: dict[str, Entry] = {}
        with closing(self._open()) as base:
            for at in range(0, len(wanted), 500):
                part = wanted[at : at + 500]
                marks = ",".join("?" * len(part))
                rows = base.execute(f"SELECT handle, sealed FROM entry WHERE handle IN ({marks})", part)
                found |= {handle: entry for handle, sealed in rows if (entry := self._unseal(handle, sealed))}
        return found

    def newest(self, prefix: str, count: int) -> list[tuple[str, int, Entry]]:
        """(handle, UTC ms, entry) of the last ones written under handles of one kind, newest first."""
        with closing(self._open()) as base:
            ask = "SELECT handle, at_ms, sealed FROM entry WHERE handle GLOB ? ORDER BY at_ms DESC, rowid DESC LIMIT ?"
            rows = base.execute(ask, (f"{prefix}-*", count)).fetchall()
        return [(handle, at, entry) for handle, at, sealed in rows if (entry := self._unseal(handle, sealed))]

    def put_photo(self, handle: str, photo: bytes, at_ms: int) -> None:
        """Keep a picture with a handle, sealed like its entry; a newer one replaces it."""
        sealed = self._seal_bytes(handle + PHOTO, photo)
        with closing(self._open()) as base, base:
            base.execute("INSERT OR REPLACE INTO photo VALUES(?, ?, ?)", (handle, at_ms, sealed))

    def photo(self, handle: str) -> bytes | None:
        with closing(self._open()) as base:
            row = base.execute("SELECT sealed FROM photo WHERE handle = ?", (handle,)).fetchone()
        return None if row is None else self._unseal_bytes(handle + PHOTO, row[0])

    def with_photo(self, handles: Iterable[str]) -> frozenset[str]:
        """Those of these handles that have a picture."""
        wanted = set(handles)
        with closing(self._open()) as base:
            return frozenset(name for (name,) in base.execute("SELECT handle FROM photo") if name in wanted)

    def erase(self, handle: str) -> bool:
        """Overwrite and delete one entry and its picture; False when there was none."""
        with closing(self._open()) as base, base:
            base.execute("DELETE FROM photo WHERE handle = ?", (handle,))
            return base.execute("DELETE FROM entry WHERE handle = ?", (handle,)).rowcount > 0

    def expire(self, before_ms: int) -> int:
        """Erase what was written before an instant (UTC ms); how many entries went."""
        with closing(self._open()) as base, base:
            base.execute("DELETE FROM photo WHERE at_ms < ?", (before_ms,))
            return base.execute("DELETE FROM entry WHERE at_ms < ?", (before_ms,)).rowcount

    def _open(self) -> sqlite3.Connection:
        path = self._folder / FILE
        try:
            base = sqlite3.connect(path, timeout=5)
            base.execute("PRAGMA secure_delete = ON")  # a deleted row's bytes become zeroes
            base.execute("PRAGMA synchronous = FULL")
            base.execute("CREATE TABLE IF NOT EXISTS entry(handle TEXT PRIMARY KEY, at_ms INTEGER, sealed BLOB)")
            base.execute("CREATE TABLE IF NOT EXISTS photo(handle TEXT PRIMARY KEY, at_ms INTEGER, sealed BLOB)")
            path.chmod(0o600)
        except (sqlite3.Error, OSError) as error:
            raise BadRegister(f"the register {path} cannot be used: {error}") from None
        return base

    def _seal(self, handle: str, entry: Entry) -> bytes:
        return self._seal_bytes(handle, msgspec.json.encode(entry))

    def _seal_bytes(self, bound_to: str, plain: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, plain, LABEL + bound_to.encode())

    def _unseal(self, handle: str, sealed: bytes) -> Entry | None:
        plain = self._unseal_bytes(handle, sealed)
        try:
            return None if plain is None else msgspec.json.decode(plain, type=Entry)
        except ValueError:
            return None

    def _unseal_bytes(self, bound_to: str, sealed: bytes) -> bytes | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], LABEL + bound_to.encode())
        except (InvalidTag, ValueError):
            return None


def _key(path: Path) -> bytes:
    """The register's key; made on first use."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, os.urandom(KEY_BYTES), 0o600)
        key = path.read_bytes()
    except OSError as error:
        raise BadRegister(f"the register's key {path} cannot be used: {error.strerror}") from None
    if len(key) != KEY_BYTES:
        raise BadRegister(f"{path} is no register key; without the old one its entries cannot be read")
    return key
