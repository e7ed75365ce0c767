"""Each unit's health on a bus: how long to wait for it, and how rarely to ask once it is silent. Pure: time passed in.

A unit that has failed DEAD_AFTER times in a row (once, if nothing was ever heard of it) is silent: it is probed every
PROBE_EVERY_S with a short bound, and everything else asked of it fails at once without touching the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.modbus_gate import Lane
from hardware.bus_time import PROBE_SILENT_S

DEAD_AFTER = 3  # D: one lost frame on a noisy line must not blind a lane for two seconds
PROBE_EVERY_S = 2.0  # domain rules, section 4: every 2-5 s
PROBE_S = PROBE_SILENT_S  # by which the check of a site file reckons a bus's round
PROBE_QUIET_S = 0.015  # D: the share of PROBE_S that is silence after the wait for the answer
URGENT_EVERY_S = 0.3  # D: stops repeated at a silent unit leave the others their turns (sensors stay under 300 ms)
# D: a serial line waits at least this long for a unit known to be quicker, because schedulers hiccup on both ends.
READ_FLOOR_S = 0.060  # a lost read is asked again once, so it may be given up sooner
WRITE_FLOOR_S = 0.100
WORST_FACTOR = 4  # D: patience is this many times the slowest answer so far
FORGET = 0.98  # D: one slow answer is forgotten after some hundred good ones


@dataclass(slots=True)
class Counts:
    """What happened with one unit, or on the whole bus."""

    sent: int = 0
    answered: int = 0
    timeouts: int = 0
    bad_frames: int = 0
    refused: int = 0


@dataclass(slots=True)
class Unit:
    """One unit address. Times are monotonic seconds."""

    timeout_s: float
    paced: bool  # a serial line shared by all: patience costs the others
    counts: Counts = field(default_factory=Counts)
    failures: int = 0
    heard: bool = False
    noisy: bool = False  # something came instead of its answer: a disturbed line, not a missing unit
    worst_s: float = 0.0  # slowest thinking time lately
    answered_at: float | None = None  # last good answer
    silent_since: float | None = None
    last_try: float = float("-inf")
    probe_at: float = float("-inf")

    @property
    def silent(self) -> bool:
        return self.failures >= (DEAD_AFTER if self.heard or self.noisy else 1)

    def may_try(self, now: float, lane: Lane) -> bool:
        """Whether the wire may be used for this unit now."""
        if not self.silent:
            return True
        if lane <= Lane.MOTION:
            return now >= min(self.last_try + URGENT_EVERY_S, self.probe_at)
        return now >= self.probe_at

    def patience_s(self, is_write: bool) -> float:
        """How long the unit may think before its answer starts, on top of the frames' own time."""
        if self.silent:
            return PROBE_S - PROBE_QUIET_S
        if not self.heard or not self.paced:
            return self.timeout_s
        floor = WRITE_FLOOR_S if is_write else READ_FLOOR_S
        return min(self.timeout_s, max(floor, WORST_FACTOR * self.worst_s))

    def tried(self, now: float) -> None:
        self.last_try = now
        self.counts.sent += 1

    def answered(self, now: float, thinking_s: float) -> None:
        self.heard = True
        self.answered_at = now
        self.failures = 0
        self.silent_since = None
        self.worst_s = max(thinking_s, self.worst_s * FORGET)
        self.counts.answered += 1

    def failed(self, now: float, *, noisy: bool) -> None:
        self.failures += 1
        self.noisy = noisy
        if self.silent_since is None:
            self.silent_since = now
        self.probe_at = now + PROBE_EVERY_S

    def relinked(self) -> None:
        """There is a new connection, perhaps because its PLC has started again: it may be asked at once."""
        self.probe_at = float("-inf")

    def stirred(self, now: float) -> None:
        """Its answer came after the wait was over: it lives, only slower than thought. Next time it gets more patience.

        Without this a slow unit would never be found again: a probe is over before it speaks.
        """
        if self.failures:
            self.heard = True
            self.failures = 1
            self.worst_s = max(self.worst_s, min(now - self.last_try, self.timeout_s))


def quiet_s(was_probe: bool, worst_s: float, paced: bool) -> float:
    """Silence after a missing answer: twice the slowest answer of this link, within bounds (D)."""
    low, high = (0.010, 0.060) if paced else (0.002, 0.040)
    quiet = min(max(2 * worst_s, low), high)
    return min(quiet, PROBE_QUIET_S) if was_probe else quiet
