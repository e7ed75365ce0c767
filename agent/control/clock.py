"""The box's clocks: monotonic for every interlock, wall time for people, and whether wall time can be trusted."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Literal

from agent.core.events import ClockChanged, Now
from agent.core.words import ClockTrust

STA_UNSYNC = 0x0040  # <sys/timex.h>: the kernel's clock is not disciplined
STEP_MS = 2_000  # D, domain rules section 3: alarm when off by more than 2 s


class _Timex(ctypes.Structure):
    """The head of `struct timex` (Linux, 64 bit), padded to its full size."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_synced() -> bool:
    """Whether the kernel says that a time service disciplines the clock. False where it cannot tell."""
    timex = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        return False
    return not timex.status & STA_UNSYNC


class BoxClock:
    """Gives `Now` and watches the wall clock for steps and for loss of its discipline.

    `sync` is the site's word: "kernel" asks the kernel; "host" trusts a clock that is kept from outside.
    """

    def __init__(
        self,
        sync: Literal["kernel", "host"],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        synced: Callable[[], bool] = kernel_synced,
    ) -> None:
        self._sync = sync
        self._monotonic = monotonic
        self._wall = wall
        self._synced = synced
        self._ever_synced = False
        self.trust = ClockTrust.UNTRUSTED
        self._offset_ms = self._difference_ms()
        self.trust = self._judge()

    def now(self) -> Now:
        return Now(self._monotonic(), round(self._wall() * 1000), self.trust)

    def watch(self) -> ClockChanged | None:
        """Called every few seconds: a step or a change of trust since the last call, or None."""
        difference = self._difference_ms()
        step, self._offset_ms = difference - self._offset_ms, difference
        trust = self._judge()
        stepped = abs(step) > STEP_MS
        if not stepped and trust is self.trust:
            return None
        self.trust = trust
        return ClockChanged(trust=trust, step_ms=step if stepped else 0, why="step" if stepped else "sync")

    def _difference_ms(self) -> int:
        return round((self._wall() - self._monotonic()) * 1000)

    def _judge(self) -> ClockTrust:
        if self._sync == "host" or self._synced():
            self._ever_synced = True
            return ClockTrust.TRUSTED
        return ClockTrust.HOLDOVER if self._ever_synced else ClockTrust.UNTRUSTED
