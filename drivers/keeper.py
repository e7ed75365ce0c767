"""A keeper per device: opens it, lets it be used, says lost and back, backs off, and never lets go.

One device's failure ends in its own keeper: whatever opening or using raises becomes "lost" with a sentence. Give each
keeper a task of its own (a TaskGroup would cancel the panic poller because a camera died).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from drivers.backoff import Backoff
from drivers.errors import DriverError

T = TypeVar("T")

OPEN_S = 2.0  # D: with a pause of at most 2 s a device that returned is up again within 5 s
CLOSE_S = 1.0  # D
STEADY_S = 5.0  # D: a device that lived this long starts its next loss with the shortest pause

_log = logging.getLogger(__name__)


class Keeper(Generic[T]):
    """Keeps one device. `report(device, up, why)` is called when it comes up and when it is lost, never twice alike.

    `use(handle)` runs as long as the device works and raises when it does not; returning counts as a loss too.
    """

    def __init__(
        self,
        device: str,
        open_device: Callable[[], Awaitable[T]],
        use: Callable[[T], Awaitable[None]],
        report: Callable[[str, bool, str], None],
        *,
        close_device: Callable[[T], Awaitable[None]] | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._open = open_device
        self._use = use
        self._report = report
        self._close = close_device
        self._backoff = Backoff(rng or random.Random())
        self._clock = clock
        self._said: bool | None = None

    async def run(self) -> None:
        """For ever, until cancelled; cancelling closes the device first."""
        while True:
            try:
                await self._once()
            except Exception as error:
                self._say(False, _sentence(error))
            await asyncio.sleep(self._backoff.next_s())

    async def _once(self) -> None:
        """One life of the device. Always ends in an exception."""
        handle = await self._opened()
        since = self._clock()
        try:
            self._say(True, "")
            await self._use(handle)
            raise RuntimeError("its use came to an end")
        finally:
            if self._clock() - since >= STEADY_S:
                self._backoff.reset()
            await self._closed(handle)

    async def _opened(self) -> T:
        """Open within OPEN_S. A handle that arrives as the wait is given up is closed, not leaked."""
        opening = asyncio.ensure_future(self._open())
        try:
            done, _ = await asyncio.wait((opening,), timeout=OPEN_S)
        except asyncio.CancelledError:
            await self._abandon(opening)
            raise
        if not done:
            await self._abandon(opening)
            raise TimeoutError(f"it did not open within {OPEN_S:g} s")
        return opening.result()

    async def _abandon(self, opening: asyncio.Future[T]) -> None:
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._closed(await opening)

    async def _closed(self, handle: T) -> None:
        """Close within CLOSE_S whatever happens; what goes wrong while closing is of no use to anybody at the gate."""
        if self._close is None:
            return
        closing = asyncio.ensure_future(self._close(handle))
        try:
            await asyncio.wait((closing,), timeout=CLOSE_S)
        finally:
            closing.cancel()
            if closing.done() and not closing.cancelled() and (error := closing.exception()):
                _log.debug("closing %s: %r", self.device, error)

    def _say(self, up: bool, why: str) -> None:
        if self._said is up:
            return
        self._said = up
        try:
            self._report(self.device, up, why)
        except Exception:
            _log.exception("reporting %s", self.device)


def _sentence(error: Exception) -> str:
    if isinstance(error, DriverError | TimeoutError) and error.args:
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"
