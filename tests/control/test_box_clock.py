"""Trust in the wall clock, and its steps."""

from __future__ import annotations

from agent.control.clock import BoxClock
from agent.core.words import ClockTrust


class Hands:
    """Clocks moved by hand."""

    def __init__(self) -> None:
        self.mono = 100.0
        self.wall = 1_780_000_000.0
        self.synced = False

    def clock(self, sync: str = "kernel") -> BoxClock:
        assert sync in ("kernel", "host")
        return BoxClock(
            "kernel" if sync == "kernel" else "host",
            monotonic=lambda: self.mono,
            wall=lambda: self.wall,
            synced=lambda: self.synced,
        )

    def pass_s(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds


def test_a_clock_is_untrusted_until_the_kernel_vouches_and_in_holdover_after() -> None:
    hands = Hands()
    clock = hands.clock()
    assert clock.trust is ClockTrust.UNTRUSTED
    hands.synced = True
    change = clock.watch()
    assert change is not None and change.trust is ClockTrust.TRUSTED
    hands.synced = False
    change = clock.watch()
    assert change is not None and change.trust is ClockTrust.HOLDOVER


def test_a_step_is_told_once_with_its_size() -> None:
    hands = Hands()
    hands.synced = True
    clock = hands.clock()
    hands.pass_s(5)
    assert clock.watch() is None
    hands.pass_s(5)
    hands.wall -= 3600
    change = clock.watch()
    assert change is not None and change.step_ms == -3_600_000
    hands.pass_s(5)
    assert clock.watch() is None


def test_a_site_may_say_that_the_host_keeps_the_clock() -> None:
    assert Hands().clock("host").trust is ClockTrust.TRUSTED
