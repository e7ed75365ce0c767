"""The journal as the uplink reads it: read-only, in a thread of its own: a slow card never holds up an alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import msgspec

from agent.core.endings import ends
from agent.core.kinds import WEIGHT
from agent.core.records import Weight
from agent.uplink.batch import Ref, Row

READ_RECORDS = 2000
SMALL_BODY = 128  # bytes: a smaller room is filled by fewer rows
ONE_BODY = 1 << 20  # bytes: more than any record has
SCAN_RECORDS = 50_000  # how far back a start looks for alarms nobody has received; older ones go up with the records
KEEP_ALARMS = 256

T = TypeVar("T")


class Reader(Protocol):
    """What `agent.journal.reader.JournalReader` gives."""

    def read(self, from_seq: int, limit: int, max_bytes: int) -> Sequence[Row]: ...

    def checkpoint(self) -> tuple[int, int, bytes] | None: ...

    def close(self) -> None: ...


class JournalAway(Exception):
    """The journal cannot be read now. `args[0]` says why."""


class _Kind(msgspec.Struct):
    kind: str
    data: dict[str, Any] = {}
    cause: Ref | None = None


_decode_kind = msgspec.json.Decoder(_Kind).decode


class Source:
    """Asyncio face of the reader, which finds a replaced file by itself."""

    def __init__(self, reader: Reader) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._reader = reader

    async def read(self, from_seq: int, max_bytes: int) -> Sequence[Row]:
        """Rows (seq, epoch, body) from `from_seq` on, one at least where there is one. Raises JournalAway."""
        limit = max(1, min(READ_RECORDS, max_bytes // SMALL_BODY))
        return await self._run(lambda reader: reader.read(from_seq, limit, max_bytes))

    async def body(self, ref: Ref) -> bytes | None:
        """The body of one record; None when it is not (or no longer) there."""
        rows = await self._run(lambda reader: reader.read(ref[1], 1, ONE_BODY))
        return rows[0][2] if rows and (rows[0][1], rows[0][0]) == ref else None

    async def checkpoint(self) -> bytes | None:
        """The newest signed checkpoint."""
        found = await self._run(lambda reader: reader.checkpoint())
        return None if found is None else found[2]

    async def alarms(self, after_seq: int, head: int) -> list[tuple[Ref, bytes]]:
        """The newest records in (after_seq, head] that are alarms or end one, oldest first, at most KEEP_ALARMS."""
        start = max(after_seq + 1, head - SCAN_RECORDS)
        return await self._run(lambda reader: _alarms(reader, start, head))

    async def after(self, cursor: Ref, head: int) -> int:
        """The number of the first record that comes after `cursor`, across epochs.

        After a rollback the journal goes on in a new epoch with numbers the far side has seen before.
        """
        return await self._run(lambda reader: _after(reader, cursor, head))

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.close)
        self._thread.shutdown(wait=False)

    async def _run(self, use: Callable[[Reader], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._use, use)

    def _use(self, use: Callable[[Reader], T]) -> T:
        try:
            return use(self._reader)
        except Exception as error:  # whatever a damaged or missing file throws: the next call may find a better one
            raise JournalAway(f"the journal cannot be read: {error}") from error


def _alarms(reader: Reader, start: int, head: int) -> list[tuple[Ref, bytes]]:
    found: list[tuple[Ref, bytes]] = []
    while start <= head:
        rows = reader.read(start, READ_RECORDS, 1 << 20)
        if not rows:
            break
        found += [((epoch, seq), body) for seq, epoch, body in rows if body is not None and _is_telling(body)]
        start = rows[-1][0] + 1
    return found[-KEEP_ALARMS:]


def _is_telling(body: bytes) -> bool:
    told = _decode_kind(body)
    return WEIGHT.get(told.kind) is Weight.ALARM or bool(ends(told.kind, told.data, told.cause))


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
