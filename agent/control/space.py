"""How full the journal's card is, how fast it fills, and for how many days it lasts at today's rate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.journal.files import free_bytes, total_bytes

DAY_S = 86_400.0
SAMPLE_S = 900.0  # D: today's rate is taken over the last day, from a sample a quarter of an hour
LEAST_S = 3_600.0  # D: a rate over less than an hour is a guess
LEAST_DAY_BYTES = 256 * 1024  # D: a quiet day's growth, so that a young box does not promise centuries
MOST_DAYS = 3650  # more is a promise about the card, not about its space
WARN_PERCENT = (80, 90)
SLACK_PERCENT = 2  # D: a warning ends so far below its mark, so that a card at the mark warns once


class Measure(msgspec.Struct, frozen=True):
    """What a look at the card found; None: it could not be looked at."""

    size: int
    free: int | None
    total: int | None

    @property
    def used_percent(self) -> int | None:
        if self.free is None or not self.total:
            return None
        return min(100, round(100 * (self.total - self.free) / self.total))


def look(path: Path) -> Measure:
    """Measure the journal at `path`, its log and its card. To be called off the loop: a card that hangs hangs here."""
    return Measure(_size(path), _guarded(free_bytes, path.parent), _guarded(total_bytes, path.parent))


def _guarded(measure: Callable[[Path], int], folder: Path) -> int | None:
    try:
        return measure(folder)
    except OSError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Space:
    """The measures of one boot."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._samples: deque[tuple[float, int]] = deque()
        self.newest: Measure | None = None
        self._warned = 0

    def add(self, measure: Measure) -> int | None:
        """Take a measure in. Returns the mark in percent that the card just passed, 0 when it is well below again."""
        now = self._monotonic()
        self.newest = measure
        if not self._samples or now - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append((now, measure.size))
        while len(self._samples) > 1 and now - self._samples[1][0] >= DAY_S:
            self._samples.popleft()
        return self._passed(measure.used_percent)

    def _passed(self, used: int | None) -> int | None:
        if used is None:
            return None
        mark = max((mark for mark in WARN_PERCENT if used >= mark), default=0)
        if mark > self._warned or (mark < self._warned and used < self._warned - SLACK_PERCENT):
            self._warned = mark
            return mark
        return None

    def headroom_days(self) -> int | None:
        """Days until the card is full at the rate of the last day, or of this start if that is younger."""
        newest = self.newest
        if newest is None or newest.free is None:
            return None
        began_at, began = self._samples[0]
        span_s = max(LEAST_S, self._monotonic() - began_at)
        day = max(LEAST_DAY_BYTES, (newest.size - began) / span_s * DAY_S)
        return min(MOST_DAYS, round(newest.free / day))
