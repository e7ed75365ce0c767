"""Who has the bus: one owner at a time, the most urgent waiter next, and silences that nobody may break."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from drivers.errors import NoAnswer


class Lane(IntEnum):
    """Order of service when the bus comes free; within a lane first come, first served."""

    EMERGENCY = 0  # stop, reversal, EFO, release of egress
    MOTION = 1  # raise and routine lower tokens
    LEVEL = 2  # heartbeat, lights, locks, lamps
    POLL = 3


class Gate:
    """A lock with lanes. An idle gate is taken without a trip through the event loop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._busy = False
        self._opens_at = float("-inf")
        self._waiters: tuple[deque[asyncio.Future[None]], ...] = tuple(deque() for _ in Lane)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return sum(len(lane) for lane in self._waiters)

    def try_take(self) -> bool:
        """Take the idle gate at once; False when it is busy, silent or has waiters."""
        if self._busy or self._clock() < self._opens_at or any(self._waiters):
            return False
        self._busy = True
        return True

    async def take(self, lane: Lane, within_s: float) -> None:
        """Wait for the turn. Raises NoAnswer when it does not come `within_s`."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiters[lane].append(turn)
        if not self._busy:
            self._open()
        expiry = loop.call_later(within_s, _expire, turn, within_s)
        try:
            await turn
        except BaseException:
            self._leave(lane, turn)
            raise
        finally:
            expiry.cancel()

    def release(self, opens_at: float = float("-inf")) -> None:
        """Give the gate on. Nobody gets it before `opens_at`, however urgent."""
        assert self._busy, "released a gate that nobody holds"
        self._busy = False
        self._opens_at = max(self._opens_at, opens_at)
        self._open()

    def _leave(self, lane: Lane, turn: asyncio.Future[None]) -> None:
        """A waiter was cancelled or gave up. If its turn had just come, the next one gets it."""
        if turn in self._waiters[lane]:
            self._waiters[lane].remove(turn)
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            self.release()

    def _open(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._busy or not any(self._waiters):
            return
        wait_s = self._opens_at - self._clock()
        if wait_s > 0:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._open)
        else:
            self._grant()

    def _grant(self) -> None:
        for lane in self._waiters:
            while lane:
                turn = lane.popleft()
                if not turn.done():
                    self._busy = True
                    turn.set_result(None)
                    return


def _expire(turn: asyncio.Future[None], within_s: float) -> None:
    if not turn.done():
        turn.set_exception(NoAnswer(f"the bus was not free within {within_s:g} s"))
