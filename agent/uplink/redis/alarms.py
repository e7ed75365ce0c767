"""Alarms as a Redis stream of their own, on a connection of their own: no backlog of records stands before them.

All that wait go out together, in the order of their numbers, since Redis takes an id only above the newest one. An
alarm that comes after a younger one (found in the journal after a restart) has no place in that stream any more; it
counts as received once the records' stream has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from agent.core.words import FROM_AFAR, Stage
from agent.uplink.batch import Ref
from agent.uplink.path import Alarm
from agent.uplink.redis.link import Link, RedisLost, body_of, id_of

AGAIN_S = 5.0  # D: an alarm that is not confirmed yet is asked after so often
PROBE_S = 10.0  # D: without alarms so often a round trip, and a look whether the server is still durable
KEEP = 256

log = logging.getLogger(__name__)


class _Waiting(msgspec.Struct):
    """One alarm on its way; `refused` says why the far side can never confirm it."""

    alarm: Alarm
    sent: bool = False
    refused: str = ""


class AlarmStream:
    """Takes alarms at any time; `run` serves one connection."""

    def __init__(
        self,
        key: str,
        records_key: str,
        tell: Callable[[Ref, Stage, str], None],
        given_up: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._key = key
        self._records_key = records_key
        self._tell = tell
        self._given_up = given_up
        self._waiting: dict[Ref, _Waiting] = {}
        self.news = asyncio.Event()
        self.dropped = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take(self, alarm: Alarm, stage: Stage) -> None:
        if stage in FROM_AFAR or alarm.ref in self._waiting:
            return
        self._waiting[alarm.ref] = _Waiting(alarm, sent=stage is not Stage.QUEUED)
        self._make_room()
        self.news.set()

    async def run(self, link: Link, judged: Callable[[str], None]) -> None:
        """Deliver until cancelled. `judged` hears, after each round, what is wrong, "" = nothing. Raises RedisLost."""
        why, checked_at = "", -PROBE_S
        while True:
            self.news.clear()
            if _now() - checked_at >= PROBE_S:
                # What waits goes out first: a server that is not durable may still be read by somebody.
                await self._round(link, durable=False)
                why, checked_at = await link.trouble(), _now()
            await self._round(link, durable=not why)
            judged(why or self._refusal())
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(AGAIN_S if self._waiting else PROBE_S):
                await self.news.wait()
        except TimeoutError:
            return

    async def _round(self, link: Link, *, durable: bool) -> None:
        """Everything that waits, in one go; what is refused is looked for."""
        due = [self._waiting[ref] for ref in sorted(self._waiting) if not self._waiting[ref].refused]
        if not due:
            return
        adds = (("XADD", self._key, id_of(w.alarm.ref), "body", w.alarm.body) for w in due)
        answers = await link.ask(*adds)
        refused = [w for w, answer in zip(due, answers, strict=True) if isinstance(answer, ResponseError)]
        for waiting in due:
            if waiting not in refused:
                self._is_there(link, waiting, durable)
        if refused:
            await self._look_for(link, refused, answers, durable)

    async def _look_for(self, link: Link, due: Sequence[_Waiting], answers: Sequence[Any], durable: bool) -> None:
        """An id that is not above the newest one: there already, elsewhere, or another record's."""
        why = next(answer for answer in answers if isinstance(answer, ResponseError))
        if "equal or smaller" not in str(why):
            raise RedisLost(f"Redis at {link.where} takes no alarms: {why}")
        keys = (self._key, self._records_key)
        found = await link.ask(*(("XRANGE", key, id_of(w.alarm.ref), id_of(w.alarm.ref)) for w in due for key in keys))
        for waiting, places in zip(due, zip(found[::2], found[1::2], strict=True), strict=True):
            bodies = [body_of(place[0]) for place in places if isinstance(place, list) and place]
            if waiting.alarm.body in bodies:
                self._is_there(link, waiting, durable)
            elif bodies:
                waiting.refused = f"{self._key} has another alarm at {id_of(waiting.alarm.ref)} than this box"
                log.error("%s", waiting.refused)

    def _is_there(self, link: Link, waiting: _Waiting, durable: bool) -> None:
        ref = waiting.alarm.ref
        if not waiting.sent:
            waiting.sent = True
            self._tell(ref, Stage.SENT, "")
        if durable:
            del self._waiting[ref]
            self._tell(ref, Stage.RECEIVED, f"redis {link.where}")

    def _refusal(self) -> str:
        return next((waiting.refused for waiting in self._waiting.values() if waiting.refused), "")

    def _make_room(self) -> None:
        """Beyond KEEP the oldest that is not a panic: it still goes up with the records."""
        while len(self._waiting) > KEEP:
            worst = min(self._waiting.values(), key=lambda w: (w.alarm.kind.startswith("panic."), w.alarm.ref))
            del self._waiting[worst.alarm.ref]
            self.dropped += 1
            self._given_up(self.dropped)


def _now() -> float:
    return asyncio.get_running_loop().time()
