"""The journal as the uplink reads it: read-only, in a thread of its own: a slow card never holds up an alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from agent.core.kinds import WEIGHT
from agent.core.records import Weight
from agent.uplink.batch import Ref, Row

READ_RECORDS = 2000
ONE_BODY = 1 << 20  # bytes: more than any record has
SCAN_RECORDS = 50_000  # how far back a start looks for alarms nobody has received; older ones go up with the records
KEEP_ALARMS = 256

T = TypeVar("T")


class Reader(Protocol):
    """What `agent.journal.reader.JournalReader` gives."""

    def read(self, from_seq: int, limit: int, max_bytes: int) -> Sequence[Row]: ...

    def last_checkpoint(self) -> bytes | None: ...

    def close(self) -> None: ...


class JournalAway(Exception):
    """The journal cannot be read now. `args[0]` says why."""


class _Kind(msgspec.Struct):
    kind: str


_decode_kind = msgspec.json.Decoder(_Kind).decode


class Source:
    """Asyncio face of the reader. A failed read closes it; the next one opens the file anew."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open_reader = open_reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._reader: Reader | None = None

    @classmethod
    def of(cls, path: Path) -> Source:
        def open_reader() -> Reader:
            from agent.uplink.journal_file import JournalFile

            return JournalFile(path)

        return cls(open_reader)

    async def read(self, from_seq: int, max_bytes: int, limit: int = READ_RECORDS) -> Sequence[Row]:
        """Rows (seq, epoch, body) from `from_seq` on. Raises JournalAway."""
        return await self._run(lambda reader: reader.read(from_seq, limit, max_bytes))

    async def body(self, ref: Ref) -> bytes | None:
        """The body of one record; None when it is not (or no longer) there."""
        rows = await self.read(ref[1], ONE_BODY, limit=1)
        return rows[0][2] if rows and (rows[0][1], rows[0][0]) == ref else None

    async def checkpoint(self) -> bytes | None:
        """The newest signed checkpoint."""
        return await self._run(lambda reader: reader.last_checkpoint())

    async def alarms(self, after_seq: int, head: int) -> list[tuple[Ref, bytes]]:
        """The newest alarm records in (after_seq, head], oldest first, at most KEEP_ALARMS."""
        start = max(after_seq + 1, head - SCAN_RECORDS)
        return await self._run(lambda reader: _alarms(reader, start, head))

    async def after(self, cursor: Ref, head: int) -> int:
        """The number of the first record that comes after `cursor`, across epochs.

        After a rollback the journal goes on in a new epoch with numbers the far side has seen before.
        """
        return await self._run(lambda reader: _after(reader, cursor, head))

    async def reopen(self) -> None:
        """Control has restarted: the file may be another one."""
        await self._on_thread(self._close)

    async def close(self) -> None:
        await self.reopen()
        self._thread.shutdown(wait=False)

    async def _run(self, use: Callable[[Reader], T]) -> T:
        return await self._on_thread(lambda: self._use(use))

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _use(self, use: Callable[[Reader], T]) -> T:
        try:
            if self._reader is None:
                self._reader = self._open_reader()
            return use(self._reader)
        except Exception as error:  # whatever a damaged or missing file throws: opened anew at the next call
            self._close()
            raise JournalAway(f"the journal cannot be read: {error}") from error

    def _close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def _alarms(reader: Reader, start: int, head: int) -> list[tuple[Ref, bytes]]:
    found: list[tuple[Ref, bytes]] = []
    while start <= head:
        rows = reader.read(start, READ_RECORDS, 1 << 20)
        if not rows:
            break
        found += [((epoch, seq), body) for seq, epoch, body in rows if body is not None and _is_alarm(body)]
        start = rows[-1][0] + 1
    return found[-KEEP_ALARMS:]


def _is_alarm(body: bytes) -> bool:
    return WEIGHT.get(_decode_kind(body).kind) is Weight.ALARM


def _after(reader: Reader, cursor: Ref, head: int) -> int:
    """Binary search: epochs never fall along the numbers, so neither does (epoch, seq)."""
    low, high = 0, head + 1  # the answer lies in (low, high]
    while high - low > 1:
        middle = (low + high) // 2
        rows = reader.read(middle, 1, ONE_BODY)
        if not rows or (rows[0][1], rows[0][0]) > cursor:
            high = middle
        else:
            low = max(middle, rows[0][0])
    return high
