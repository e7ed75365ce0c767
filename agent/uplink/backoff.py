"""How long to wait before the next try to reach the broker."""

from __future__ import annotations

import random

FIRST_S = 0.1
LAST_S = 30.0
URGENT_S = 2.0  # D: with an alarm waiting
STEADY_S = 10.0  # a connection that lasted so long clears the record
GRACE = 4  # a broker that takes us and falls gets so many quick tries before the pauses grow
UNSTEADY_S = 5.0  # D: the longest pause then; two boxes of one name would else throw each other out for ever


class BackOff:
    """The first try after a loss comes fast. Tries that reach nobody double the pause up to 30 s; connections that do
    not last make it grow later and less. Jitter spreads a district's boxes after its broker was away."""

    def __init__(self) -> None:
        self._away = 0  # tries in a row that reached nobody
        self._short = 0  # connections in a row that did not last
        self._served = False

    def lost(self, served: bool, lasted_s: float) -> None:
        """A try has ended; `served` tells whether the broker had taken us."""
        self._served = served
        if not served:
            self._away += 1
            return
        self._away = 0
        self._short = 0 if lasted_s >= STEADY_S else self._short + 1

    def pause_s(self, alarm_waits: bool) -> float:
        exponent, limit_s = (max(0, self._short - GRACE), UNSTEADY_S) if self._served else (self._away, LAST_S)
        ceiling: float = min(FIRST_S * 2.0 ** min(exponent, 20), URGENT_S if alarm_waits else limit_s)
        return ceiling * random.uniform(0.5, 1.0)
