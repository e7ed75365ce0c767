"""From raw contacts to judged lines. Pure: every call carries its instant, in monotonic seconds.

Edges give speed, the polled level gives truth; both feed the same judgement, and either may be missing. An edge
carries its pin's own instant, a level the instant it was asked for; what is older than the newest known of a pin is
passed over. All inputs are pulled up: a closed contact is low.
"""

from __future__ import annotations

from drivers.ports import LineText

TRANSIT_S = 0.100  # D: contacts do not change over together; cut or disagreement counts after this long
RELEASE_S = 0.050  # D: a release counts once it stood this long, so that a bouncing button is one press
OPENED_S = 0.030  # D: relay and door contacts bounce for 5-20 ms
CLOSED_S = 0.015  # D: two polls in a row, so that a button of 50 ms is never missed without its edges


class _Settling:
    """A supervised line's judgement over raw states: pressed at once, faults after TRANSIT_S, normal after RELEASE_S.

    The two waits are measured so that a line that flickers is not judged normal: a fault's time runs on until normal
    has stood for RELEASE_S.
    """

    def __init__(self) -> None:
        self.line: LineText = "unread"
        self.at = float("-inf")
        self._latest = float("-inf")
        self._calm_since: float | None = None  # raw "normal" without a break
        self._odd_since: float | None = None  # neither normal nor pressed, flicker included

    def _raw(self, raw: LineText, at: float) -> bool:
        at = self._latest = max(at, self._latest)
        match raw:
            case "pressed":
                self._calm_since = self._odd_since = None
                return self._become("pressed", at)
            case "normal":
                return self._calm(at)
            case _:
                return self._odd(raw, at)

    def _calm(self, at: float) -> bool:
        if self._calm_since is None:
            self._calm_since = at
        if self.line != "unread" and at - self._calm_since < RELEASE_S:
            return False
        self._odd_since = None
        return self._become("normal", at)

    def _odd(self, raw: LineText, at: float) -> bool:
        self._calm_since = None
        if self._odd_since is None:
            self._odd_since = at
        return at - self._odd_since >= TRANSIT_S and self._become(raw, at)

    def _become(self, line: LineText, at: float) -> bool:
        if line == self.line:
            return False
        self.line, self.at = line, at
        return True

    def lost(self, at: float) -> bool:
        """Nothing reads this line any more. True when that is news."""
        self._calm_since = self._odd_since = None
        return self._become("unread", at)


class PairLine(_Settling):
    """A button with a normally open and a normally closed contact on two pins.

    normal: NO high, NC low · pressed: NO low, NC high · both high: cut · both low: disagree. Each call returns True
    when `line` changed, and `at` is then the instant of the observation that decided it. The first full reading counts
    at once, faults excepted. A pressed line is seen at the first observation of both contacts over: with a level poll
    every 20 ms a press of 50 ms is never missed, even if every edge is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self._no: tuple[bool, float] | None = None
        self._nc: tuple[bool, float] | None = None

    def edge(self, which: str, high: bool, at: float) -> bool:
        """An edge of pin `which`: "no" or "nc"."""
        assert which in ("no", "nc")
        if which == "no":
            self._no = _newer(self._no, high, at)
        else:
            self._nc = _newer(self._nc, high, at)
        return self._judge(at)

    def levels(self, no_high: bool, nc_high: bool, at: float) -> bool:
        """Both pins, freshly read; `at` is when that was asked for."""
        self._no = _newer(self._no, no_high, at)
        self._nc = _newer(self._nc, nc_high, at)
        return self._judge(at)

    def lost(self, at: float) -> bool:
        self._no = self._nc = None
        return super().lost(at)

    def _judge(self, at: float) -> bool:
        if self._no is None or self._nc is None:
            return False
        match self._no[0], self._nc[0]:
            case True, False:
                return self._raw("normal", at)
            case False, True:
                return self._raw("pressed", at)
            case True, True:
                return self._raw("cut", at)
            case _:
                return self._raw("disagree", at)


class LoopLine(_Settling):
    """An end-of-line loop, from the readings of an analogue board. Same judgement: pressed at once, faults after a
    transit (the voltage passes other windows on its way), normal once it stood."""

    def reading(self, line: LineText, at: float) -> bool:
        """One fresh reading. True when `line` changed."""
        if line == "unread":
            return self.lost(at)
        return self._raw(line, at)


class Contact:
    """A single contact. `high` is None until first read, then changes once the new level stood for its stable time.

    Of a bounce only the last level counts. A pulse shorter than the stable time is no event.
    """

    def __init__(self, *, rise_s: float = OPENED_S, fall_s: float = CLOSED_S) -> None:
        assert rise_s >= 0
        assert fall_s >= 0
        self.high: bool | None = None
        self.at = float("-inf")
        self._rise_s = rise_s
        self._fall_s = fall_s
        self._raw: tuple[bool, float] | None = None  # level and newest instant
        self._since = float("-inf")  # the raw level has stood since

    def edge(self, high: bool, at: float) -> bool:
        """An edge with the pin's own instant. Alone it changes nothing unless the stable time is 0."""
        return self.level(high, at)

    def level(self, high: bool, at: float) -> bool:
        """The level, freshly read. True when `high` changed."""
        before = self._raw
        self._raw = _newer(before, high, at)
        if self._raw is before:
            return False
        if before is None or before[0] is not high:
            self._since = at
        return self._settle(at)

    def lost(self, at: float) -> bool:
        """Nothing reads this contact any more. True when that is news."""
        self._raw = None
        known, self.high = self.high is not None, None
        if known:
            self.at = at
        return known

    def _settle(self, at: float) -> bool:
        assert self._raw is not None
        level = self._raw[0]
        stable_s = self._rise_s if level else self._fall_s
        if level is self.high or (self.high is not None and at - self._since < stable_s):
            return False
        self.high, self.at = level, at
        return True


def _newer(known: tuple[bool, float] | None, high: bool, at: float) -> tuple[bool, float]:
    """The newer of what is known of a pin and what was just seen."""
    return (high, at) if known is None or at >= known[1] else known
