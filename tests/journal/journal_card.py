"""A memory card that can be unplugged at any instant, under the real SQLite.

It keeps what was synced, and what was written since apart. At a cut every write since the last sync of its file is
kept, dropped, or torn into sectors, in any order: what a card may do. The journal's store runs on it unchanged, through
`Connection`, which gives apsw's connection the standard library's manners.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
POWERSAFE_OVERWRITE = 0x1000  # what SQLite assumes of the system's own files: a write harms no bytes beside it
Write = tuple[int, bytes | None]  # (offset, data), or (size, None): cut off there


class Unplugged(Exception):
    """The power is gone; nothing works any more."""


class CardFile:
    """One file: what a power cut cannot take, and what was done since."""

    def __init__(self, data: bytes = b"") -> None:
        self.synced = bytearray(data)
        self.now = bytearray(data)
        self.since: list[Write] = []

    def do(self, write: Write) -> None:
        _apply(self.now, write)
        self.since.append(write)

    def sync(self) -> None:
        self.synced = bytearray(self.now)
        self.since.clear()

    def after_cut(self, dice: random.Random) -> bytes:
        """What is there when the power returns."""
        data = bytearray(self.synced)
        left = list(self.since)
        if dice.random() < 0.5:
            dice.shuffle(left)
        for write in left:
            fate = dice.random()
            if fate < 0.4:
                _apply(data, write)
            elif fate < 0.6 and write[1] is not None:
                _tear(data, write[0], write[1], dice)
        return bytes(data)


def _apply(data: bytearray, write: Write) -> None:
    at, new = write
    if new is None:
        del data[at:]
        return
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(new)] = new


def _tear(data: bytearray, at: int, new: bytes, dice: random.Random) -> None:
    for start in range(0, len(new), SECTOR):
        if dice.random() < 0.5:
            _apply(data, (at + start, new[start : start + SECTOR]))


class Card(apsw.VFS):
    """A card as an SQLite file system. `trouble(operation)` may raise: an apsw error, or Unplugged."""

    count = 0

    def __init__(self, files: dict[str, bytes], trouble: Callable[[str], None] = lambda operation: None) -> None:
        Card.count += 1
        self.name = f"card-{Card.count}"
        self.files = {name: CardFile(data) for name, data in files.items()}
        self.trouble = trouble
        self.lies = False  # a card that says it has synced and has not
        super().__init__(self.name, base="")

    def after_cut(self, dice: random.Random) -> dict[str, bytes]:
        return {name: file.after_cut(dice) for name, file in self.files.items()}

    def xFullPathname(self, name: str) -> str:  # noqa: N802 (SQLite's names)
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return pathname in self.files

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.trouble("delete")
        self.files.pop(filename, None)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        if text not in self.files and not flags[0] & apsw.SQLITE_OPEN_CREATE:
            raise apsw.CantOpenError(text)
        flags[1] = flags[0]
        return OpenFile(self, self.files.setdefault(text, CardFile()))


class OpenFile:
    """SQLite's hand on one file."""

    def __init__(self, card: Card, file: CardFile) -> None:
        self._card = card
        self._file = file

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._card.trouble("read")
        return bytes(self._file.now[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._card.trouble("write")
        self._file.do((offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._card.trouble("write")
        self._file.do((size, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._card.trouble("sync")
        if not self._card.lies:
            self._file.sync()

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.now)

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return POWERSAFE_OVERWRITE

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xLock(self, level: int) -> None:  # noqa: N802
        """One connection only."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """One connection only."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xClose(self) -> None:  # noqa: N802
        """Nothing is held."""


class Cursor:
    """As much of the standard library's cursor as the journal uses."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.pop(0) if self._rows else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self._rows = self._rows, []
        return rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchall())


class Connection:
    """An apsw connection with the standard library's manners and errors."""

    def __init__(self, card: Card, path: Path, synchronous: str = "FULL") -> None:
        with _translated():
            self._real = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=card.name)
        for pragma in (
            "locking_mode = EXCLUSIVE",  # no shared memory on this card: one process only
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            "wal_autocheckpoint = 0",
            "cell_size_check = 1",
        ):
            self.execute(f"PRAGMA {pragma}")

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        with _translated():
            return Cursor(list(self._real.execute(statement, tuple(parameters))))

    def close(self) -> None:
        with _translated():
            self._real.close(force=True)


class _translated:  # noqa: N801 (reads as a word)
    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, kind: Any, error: BaseException | None, at: Any) -> None:
        if isinstance(error, apsw.Error):
            fitting = sqlite3.DatabaseError if isinstance(error, apsw.CorruptError) else sqlite3.OperationalError
            same = fitting(str(error))
            same.sqlite_errorcode = getattr(error, "extendedresult", 0) or getattr(error, "result", 1)
            raise same from error
