"""The journal as a Redis stream: in order, without a gap, and never twice.

Redis itself refuses an id that is not above the stream's newest, but it would take one that leaves a gap behind it,
for ever: what is older can never be put in again. So each group goes in only if the stream still ends where we think
(WATCH, then MULTI and EXEC). Where it ends elsewhere we look: what we had not heard of is compared record by record,
and a server that has forgotten gets the journal again from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from agent.uplink.batch import Ref, Row
from agent.uplink.cursor import START, CursorKeeper
from agent.uplink.redis.link import Command, Link, RedisLost, body_of, id_of, ref_of
from agent.uplink.source import JournalAway, Source

FIRST_BYTES = 64 * 1024
LEAST_BYTES = 4 * 1024
MOST_BYTES = 256 * 1024
SLOW_S = 0.5  # D: an answer later than this halves the next group: an alarm shares the line
FAST_S = 0.25
PACE_S = 0.02  # D: live records go out in groups this far apart; the first after a pause goes at once
PROBE_S = 10.0  # D: so often an idle stream is looked at, and whether the server is still durable
AWAY_S = 1.0

log = logging.getLogger(__name__)


class RecordStream:
    """`cursor` is the last record that the server has on disk, with everything before it."""

    def __init__(
        self,
        key: str,
        source: Source,
        cursor_file: Path,
        synced: Callable[[Ref], None],
        ahead: Callable[[Ref], None],
    ) -> None:
        self._key = key
        self._source = source
        self._ahead = ahead
        self._head: Ref = START
        self._next = 0  # number of the next record to read; 0 = to be found from the cursor
        self._end: Ref | None = None  # where the watched stream ends; None = to be looked at
        self._wake = asyncio.Event()
        self.keeper = CursorKeeper(cursor_file, synced)
        self.cursor = self.keeper.start
        self.duplicates = 0  # found there already, with the same body
        self.forgotten = 0  # times the server had less than it had confirmed
        self._bytes = FIRST_BYTES

    def head_is(self, head: Ref) -> None:
        """Records up to `head` are durable here. A change of epoch means that numbers may have gone back."""
        if head[0] != self._head[0]:
            self._next = 0
        self._head = head
        self._wake.set()

    async def run(self, link: Link, well: Callable[[], None]) -> None:
        """Serve one connection until cancelled; `well` is called while all is as it should be. Raises RedisLost."""
        self._end, self._next = None, 0
        checked_at = -PROBE_S
        while True:
            if _now() - checked_at >= PROBE_S:
                if why := await link.trouble():
                    raise RedisLost(why)
                checked_at, self._end = _now(), None
            self._wake.clear()
            try:
                busy = await self._turn(link)
            except JournalAway as error:
                log.warning("%s", error)
                await asyncio.sleep(AWAY_S)
                continue
            well()
            if not busy:
                await self._rest()
            elif self._head <= self.cursor:
                await asyncio.sleep(PACE_S)

    async def _turn(self, link: Link) -> bool:
        """One step forward; False when there is nothing to do before something happens."""
        if self._head == START:
            return False  # control has not told yet what the journal holds
        end = self._end
        if end is None:
            end = self._end = await self._look(link)
        if end < self.cursor:
            self._go_back(end)
        rows = await self._rows()
        if rows:
            await self._give(link, rows, end)
        elif end > self._head:
            self._ahead(end)
            raise RedisLost(f"{self._key} goes on to {id_of(end)}: this box has never written that")
        return bool(rows)

    async def _give(self, link: Link, rows: Sequence[Row], end: Ref) -> None:
        """One group. If it is never answered it was too big for the link, and the next one is half its size."""
        began, size = _now(), self._bytes
        self._bytes = max(LEAST_BYTES, size // 2)
        known = [row for row in rows if (row[1], row[0]) <= end]
        if known:
            await self._compare(link, known)
        else:
            await self._append(link, rows)
        self._adapt(size, _now() - began)

    async def _rows(self) -> Sequence[Row]:
        if self._head <= self.cursor:
            return ()
        if not self._next:
            self._next = await self._source.after(self.cursor, self._head[1])
        start = self._next
        rows = await self._source.read(start, self._bytes)
        if self._next != start:
            return ()  # a new epoch came meanwhile
        return [row for row in rows if (row[1], row[0]) <= self._head]

    # ── the stream ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _look(self, link: Link) -> Ref:
        """Watch the stream and see where it ends. Its newest entry must be ours if it is no newer than we think."""
        _, info = await link.ask(("WATCH", self._key), ("XINFO", "STREAM", self._key))
        end, newest = _end_of(self._key, info)
        if START < end <= self.cursor and newest is not None:
            ours = await self._source.body(end)
            if ours is not None and ours != newest:
                raise _fork(self._key, end)
        return end

    def _go_back(self, end: Ref) -> None:
        """The server has less than it had confirmed: it was emptied, or restored from a copy."""
        log.warning(
            "%s ends at %s, it had been at %s: sending again from there", self._key, id_of(end), id_of(self.cursor)
        )
        self.forgotten += 1
        self.cursor = end
        self._next = 0

    async def _compare(self, link: Link, rows: Sequence[Row]) -> None:
        """The stream has these already, or seems to. The same body is a receipt; anything else is told, and stays."""
        kept = _bodies(rows)
        answers = await link.ask(*(("XRANGE", self._key, id_of(ref), id_of(ref)) for ref, _ in kept))
        for (ref, body), answer in zip(kept, answers, strict=True):
            _same(self._key, ref, body, answer)
            self.duplicates += 1
            self._have(ref)
        self._next = rows[-1][0] + 1

    async def _append(self, link: Link, rows: Sequence[Row]) -> None:
        """Put in a group, whole or not at all, and look where the stream ends then."""
        kept = _bodies(rows)
        if kept and not await self._add(link, kept):
            self._end = None  # somebody changed the stream since we looked
            return
        self._next = rows[-1][0] + 1

    async def _add(self, link: Link, kept: Sequence[tuple[Ref, bytes]]) -> bool:
        adds: list[Command] = [("XADD", self._key, id_of(ref), "body", body) for ref, body in kept]
        look: tuple[Command, ...] = (("WATCH", self._key), ("XINFO", "STREAM", self._key))
        answers = await link.ask(("MULTI",), *adds, ("EXEC",), *look)
        done = answers[len(adds) + 1]
        one_by_one = done if isinstance(done, list) else ()
        refused = [answer for answer in (*answers[:-2], *one_by_one) if isinstance(answer, ResponseError)]
        if refused:
            raise RedisLost(f"Redis at {link.where} takes no records of {self._key}: {refused[0]}")
        if done is None:
            return False
        self._have(kept[-1][0])
        self._end, _ = _end_of(self._key, answers[-1])
        return True

    def _have(self, ref: Ref) -> None:
        self.cursor = ref
        self.keeper.moved(ref)

    def _adapt(self, size: int, took_s: float) -> None:
        """The next group's size, in bytes, after one of `size` was answered in time."""
        if took_s > SLOW_S:
            self._bytes = max(LEAST_BYTES, size // 2)
        else:
            self._bytes = min(MOST_BYTES, size * 3 // 2) if took_s < FAST_S else size

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._wake.wait()
        except TimeoutError:
            return


def _bodies(rows: Sequence[Row]) -> list[tuple[Ref, bytes]]:
    """Without the emptied ones: every far side had them once."""
    return [((epoch, seq), body) for seq, epoch, body in rows if body is not None]


def _end_of(key: str, info: Any) -> tuple[Ref, bytes | None]:
    """(last id ever given, body of the newest entry still there) of XINFO STREAM's answer. Raises RedisLost."""
    if isinstance(info, ResponseError):
        if "no such key" in str(info):
            return START, None
        raise RedisLost(f"{key} cannot be looked at: {info}")
    facts = dict(zip(info[::2], info[1::2], strict=True))
    newest = facts.get(b"last-entry")
    last = ref_of(facts[b"last-generated-id"])
    return last, body_of(newest) if newest and ref_of(newest[0]) == last else None


def _same(key: str, ref: Ref, body: bytes, answer: Any) -> None:
    """Raises RedisLost unless the stream holds this record as we have it."""
    if isinstance(answer, ResponseError):
        raise RedisLost(f"{key} cannot be looked at: {answer}")
    if not answer:
        raise RedisLost(f"{key} has a gap: {id_of(ref)} is not there, and Redis takes nothing older than its newest id")
    if body_of(answer[0]) != body:
        raise _fork(key, ref)


def _fork(key: str, ref: Ref) -> RedisLost:
    return RedisLost(f"{key} has another record at {id_of(ref)} than this box: a copied or forged journal")


def _now() -> float:
    return asyncio.get_running_loop().time()
