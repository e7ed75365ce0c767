"""Reading the journal from other processes: read-only, never checkpointing, never in the writer's way.

Every call is one short query, so that SQLite's log can always be moved into the file. When the file is replaced by a
new epoch's, the next call opens the new one; the old one stays readable under the name it was kept by.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.errors import FILE_ERRORS, Damaged, Trouble, told
from agent.journal.head import file_base
from agent.journal.schema import Base, about, connect_reader
from hardware import plain_file

SCAN_ROWS = 500
SCAN_MOST = 50_000  # D: a page that asks for rare kinds must not read the whole journal


class Row(msgspec.Struct, frozen=True):
    """One record with its decoded body; `data` is None where the body was evicted, or is no record any more."""

    epoch: int
    seq: int
    data: dict[str, object] | None


class _Kind(msgspec.Struct):
    kind: str


_KIND = msgspec.json.Decoder(_Kind)
_BODY = msgspec.json.Decoder(dict[str, object])


class JournalReader:
    """Reads the journal at `path`. Every call may raise Trouble (not there, not readable now) or Damaged.

    Not for several threads at once.
    """

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection] = connect_reader) -> None:
        """`connect` is `schema.connect_evidence` for a copy that nobody writes."""
        self._path = path
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ── for the uplink ─────────────────────────────────────────────────────────────────────────────────────────

    def head(self) -> tuple[int, int]:
        """(epoch, seq) of the newest record; seq is 0 in a journal without records."""
        rows = self._query("SELECT epoch, seq FROM record ORDER BY seq DESC LIMIT 1")
        if rows:
            return (rows[0][0], rows[0][1])
        base = file_base(self._open())
        return (base.epoch, base.seq)

    def first(self) -> int:
        """The lowest seq still in the file; 0 in a journal without records."""
        rows = self._query("SELECT min(seq) FROM record")
        return int(rows[0][0] or 0)

    def base(self) -> Base:
        """Where the file's first record begins: what is older lies in another file, or was pruned."""
        connection = self._open()
        try:
            return file_base(connection)
        except FILE_ERRORS as error:
            self.close()
            raise told(error) from error

    def site_box(self) -> str:
        """Whose journal it is."""
        connection = self._open()
        try:
            return about(connection)[0]
        except FILE_ERRORS as error:
            self.close()
            raise told(error) from error

    def first_of(self, epoch: int) -> int:
        """The lowest seq of an epoch that is still in the file, 0 = none. Epochs only grow with seq."""
        low, high = self.first(), self.head()[1] + 1
        while low < high:
            middle = (low + high) // 2
            rows = self._query("SELECT epoch FROM record WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,))
            low, high = (middle + 1, high) if rows and rows[0][0] < epoch else (low, middle)
        rows = self._query("SELECT seq FROM record WHERE seq = ? AND epoch = ?", (low, epoch))
        return int(rows[0][0]) if rows else 0

    def read(self, from_seq: int, limit: int = 1_000, max_bytes: int = 1 << 20) -> list[tuple[int, int, bytes | None]]:
        """(seq, epoch, body) from `from_seq` on, in order: at most `limit` records, and about `max_bytes` of bodies
        but at least one record. A body is None where it was evicted."""
        rows: list[tuple[int, int, bytes | None]] = self._query(
            "SELECT seq, epoch, body FROM record WHERE seq >= ? ORDER BY seq LIMIT ?", (from_seq, limit)
        )
        size = 0
        for at, row in enumerate(rows):
            size += len(row[2] or b"")
            if size > max_bytes:
                return rows[: max(at, 1)]
        return rows

    def checkpoint(self) -> tuple[int, int, bytes] | None:
        """(epoch, size, note) of the newest checkpoint."""
        rows = self._query("SELECT epoch, size, note FROM checkpoint ORDER BY epoch DESC, size DESC LIMIT 1")
        return (rows[0][0], rows[0][1], rows[0][2].encode()) if rows else None

    def checkpoints(self, after: tuple[int, int] = (0, 0), limit: int = 100) -> list[tuple[int, int, bytes]]:
        """(epoch, size, note) of the checkpoints after this (epoch, size), in order."""
        rows = self._query(
            "SELECT epoch, size, note FROM checkpoint WHERE (epoch, size) > (?, ?) ORDER BY epoch, size LIMIT ?",
            (*after, limit),
        )
        return [(epoch, size, note.encode()) for epoch, size, note in rows]

    def newest_note(self, epoch: int) -> bytes | None:
        """The newest checkpoint of an epoch."""
        rows = self._query("SELECT note FROM checkpoint WHERE epoch = ? ORDER BY size DESC LIMIT 1", (epoch,))
        return rows[0][0].encode() if rows else None

    # ── for the pages ──────────────────────────────────────────────────────────────────────────────────────────

    def record(self, epoch: int, seq: int) -> Row | None:
        rows = self._query("SELECT epoch, seq, body FROM record WHERE seq = ? AND epoch = ?", (seq, epoch))
        return _row(*rows[0]) if rows else None

    def records(
        self, kinds: Collection[str] | None = None, newest: int = 50, before_seq: int | None = None
    ) -> list[Row]:
        """The newest records, newest first, of these kinds only if given (evicted ones then left out).

        It looks back over at most SCAN_MOST records; go on with `before_seq`.
        """
        found: list[Row] = []
        below, looked = before_seq if before_seq is not None else 1 << 62, 0
        while len(found) < newest and looked < SCAN_MOST:
            rows = self._query(
                "SELECT epoch, seq, body FROM record WHERE seq < ? ORDER BY seq DESC LIMIT ?",
                (below, newest if kinds is None else SCAN_ROWS),
            )
            if not rows:
                break
            found += [_row(*row) for row in rows if kinds is None or _is_of(row[2], kinds)]
            below, looked = rows[-1][1], looked + len(rows)
        return found[:newest]

    def size_bytes(self) -> int:
        """What the journal takes on the card, SQLite's log included."""
        return sum(path.stat().st_size for path in (self._path, Path(f"{self._path}-wal")) if path.exists())

    # ── the connection ─────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that is there now."""
        try:
            status = self._path.stat()
            file = (status.st_dev, status.st_ino)
            if self._connection is None or file != self._file:
                self.close()
                plain_file.check(self._path)
                self._connection, self._file = self._connect(self._path), file
        except FILE_ERRORS as error:
            raise told(error) from error
        return self._connection

    def _query(self, statement: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._open().execute(statement, parameters).fetchall()
        except FILE_ERRORS as error:
            self.close()
            raise told(error) from error


def _row(epoch: int, seq: int, body: bytes | None) -> Row:
    """One damaged body must not hide its neighbours."""
    try:
        return Row(epoch, seq, _BODY.decode(body) if body is not None else None)
    except NOT_JSON:
        return Row(epoch, seq, None)


def _is_of(body: bytes | None, kinds: Collection[str]) -> bool:
    try:
        return body is not None and _KIND.decode(body).kind in kinds
    except NOT_JSON:
        return False


__all__ = ["Damaged", "JournalReader", "Row", "Trouble"]
