"""The world in real time: it sleeps until something is due, and is brought up to date before anyone touches it."""

from __future__ import annotations

import asyncio
import selectors
import time

from sim.agenda import NEVER
from sim.world import World


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop whose timers are exact: epoll's are rounded up to a whole millisecond, a character at 9600 baud."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def ns_of(at_s: float) -> int:
    """A loop instant as `time.monotonic_ns()` would have told it: both are the same clock."""
    return int(at_s * 1e9)


class RealTime:
    """`touch` before looking at or changing the world, `settle` after changing it."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world = world
        self.loop = loop
        self._armed_s = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def touch(self) -> float:
        """Bring the world to now; returns now in loop seconds."""
        now_s = time.monotonic()
        self.world.advance(now_s)
        return now_s

    def settle(self) -> None:
        """Set the alarm for what is due next."""
        next_s = self.world.next_s()
        if next_s == self._armed_s:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_s = next_s
        if next_s < NEVER:
            self._timer = self.loop.call_at(next_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._armed_s = NEVER
        self.touch()
        self.settle()
