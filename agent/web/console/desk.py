"""What the console knows of people, beside what control tells: the school's names and the encrypted register.

Names never leave this role but on a page that a guard or head of security has logged in to see.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.core.shapes import HANDLE
from agent.policy.names import NameTable
from agent.register import handles
from agent.register.store import KEEP_DAYS, BadRegister, Entry, Register

DAY_MS = 86_400_000
MOST_CHOICES = 12
SHOWN_NOTES = 6


class Unknown(Exception):
    """A typed name or number names nobody (`people` empty), or several people: (holder, name)."""

    def __init__(self, people: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__("which" if people else "who")
        self.people = people


class Desk:
    """Names by policy version; the register in a folder of its own. `open_names` reads the table in force."""

    def __init__(self, folder: Path, open_names: Callable[[], NameTable]) -> None:
        self.folder = folder
        self._open_names = open_names
        self._names = NameTable()
        self._version = -1
        self._reading = asyncio.Lock()
        self._entries: dict[str, Entry] = {}
        self._photos: tuple[frozenset[str], frozenset[str]] | None = None
        self._notes: tuple[tuple[str, int, Entry], ...] | None = None

    async def names(self, version: int) -> NameTable:
        """The names of the policy in force, read off the loop when the policy changed."""
        async with self._reading:
            if version != self._version:
                self._names = await asyncio.to_thread(self._open_names)
                self._version = version
        return self._names

    def holder(self, typed: str, names: NameTable) -> str:
        """The pseudonym of a typed name or pseudonym; vehicles and others may have no name in the table. Raises
        Unknown."""
        try:
            return self._found(typed, names)
        except Unknown as unknown:
            if unknown.people or not HANDLE.fullmatch(typed.strip()):
                raise
        return typed.strip()  # the gate itself says whom it does not know

    def _found(self, typed: str, names: NameTable) -> str:
        text = " ".join(typed.split())
        if not text:
            raise Unknown
        if names.knows(text) or (not len(names) and HANDLE.fullmatch(text)):
            return text  # without a name table the gate itself says whom it does not know
        found = names.search(text)
        exact = [holder for holder, name in found if name == text]
        if len(exact) == 1 or len(found) == 1:
            return exact[0] if exact else found[0][0]
        raise Unknown(tuple(found[:MOST_CHOICES]))

    def person(self, typed: str, names: NameTable) -> str:
        """As `holder`, and somebody the policy does not know gets a handle of the register."""
        try:
            return self._found(typed, names)
        except Unknown as unknown:
            if unknown.people or not typed.strip():
                raise
        return self.write("p", Entry(name=" ".join(typed.split())[:60]))

    def write(self, prefix: str, entry: Entry) -> str:
        """A new register entry; its handle. Raises BadRegister."""
        handle = handles.new(prefix)
        Register(self.folder).put(handle, entry, time.time_ns() // 1_000_000)
        self._entries[handle] = entry
        self._notes = None
        return handle

    def erase(self, handle: str) -> bool:
        """Raises BadRegister."""
        self._entries.pop(handle, None)
        self._notes = None
        return Register(self.folder).erase(handle)

    def entries(self, wanted: Iterable[str]) -> dict[str, Entry]:
        """The register entries of these handles; a register that cannot be used has none."""
        asked = set(wanted)
        missing = asked - self._entries.keys()
        if missing:
            try:
                found = Register(self.folder).many(missing)
            except BadRegister:
                found = {}
            self._entries |= {handle: found.get(handle, Entry()) for handle in missing}
        self._entries = {handle: self._entries[handle] for handle in asked}
        return self._entries

    def notes(self) -> tuple[tuple[str, int, Entry], ...]:
        """The last notes for the next watch: (handle, UTC ms, entry), newest first."""
        if self._notes is None:
            try:
                self._notes = tuple(Register(self.folder).newest("n", SHOWN_NOTES))
            except BadRegister:
                return ()
        return self._notes

    def keep_photo(self, handle: str, photo: bytes) -> None:
        """Raises BadRegister."""
        Register(self.folder).put_photo(handle, photo, time.time_ns() // 1_000_000)
        self._photos = None

    def photo(self, handle: str) -> bytes | None:
        """Raises BadRegister."""
        return Register(self.folder).photo(handle)

    def with_photo(self, handles: Iterable[str]) -> frozenset[str]:
        """Those of these handles that have a picture; none where the register cannot be used."""
        wanted = frozenset(handles)
        if self._photos is None or self._photos[0] != wanted:
            try:
                self._photos = (wanted, Register(self.folder).with_photo(wanted))
            except BadRegister:
                return frozenset()
        return self._photos[1]

    def expire(self) -> int:
        """Erase what is older than the records it belongs to; how many entries went. Raises BadRegister."""
        return Register(self.folder).expire(time.time_ns() // 1_000_000 - KEEP_DAYS * DAY_MS)
