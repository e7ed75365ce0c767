"""Names of people, encrypted: in the bundle and at rest, readable by whoever has the school's name key.

Pupils are pseudonyms everywhere else. AES-256-GCM under a key of its own, not the one that signs.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

import msgspec

from agent.journal.files import replace_file
from hardware import plain_file

NONCE = 12
KEY_BYTES = 32
MOST_KEY_BYTES = 4096  # D: a key is one line
LABEL = b"menwei names 1"


class BadNames(Exception):
    """A name table or its key that cannot be used; `args[0]` says why in field words."""


def new_key(path: Path) -> None:
    """Make a name key there, readable by its owner only. Raises OSError; never overwrites."""
    if path.exists():
        raise FileExistsError(17, "File exists", str(path))
    replace_file(path, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n", 0o600)


def load_key(path: Path) -> bytes:
    """Raises BadNames."""
    try:
        key = base64.b64decode(plain_file.read(path, MOST_KEY_BYTES).strip(), validate=True)
    except OSError as error:
        raise BadNames(f"the name key {path} cannot be read: {error.strerror}") from None
    except (binascii.Error, ValueError):
        raise BadNames(f"{path} is no name key") from None
    if len(key) != KEY_BYTES:
        raise BadNames(f"{path} is no name key")
    return key


def seal(names: dict[str, str], key: bytes) -> bytes:
    """The encrypted table."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE)
    plain = msgspec.json.encode(dict(sorted(names.items())))
    return nonce + AESGCM(key).encrypt(nonce, plain, LABEL)


class NameTable:
    """Holder → name. Without a table every holder is his pseudonym."""

    def __init__(self, names: dict[str, str] | None = None) -> None:
        self._names = names or {}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, holder: str) -> str:
        return self._names.get(holder, holder)

    def knows(self, holder: str) -> bool:
        return holder in self._names

    def search(self, text: str) -> list[tuple[str, str]]:
        """(holder, name) of everyone whose name contains `text`, by name."""
        found = [(holder, name) for holder, name in self._names.items() if text in name]
        return sorted(found, key=lambda one: (one[1], one[0]))

    @classmethod
    def open(cls, sealed: bytes, key: bytes) -> NameTable:
        """Raises BadNames. An empty table is a bundle without names."""
        if not sealed:
            return cls()
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            plain = AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], LABEL)
            return cls(msgspec.json.decode(plain, type=dict[str, str]))
        except (InvalidTag, ValueError) as error:
            raise BadNames("the name table cannot be opened with this key") from error
