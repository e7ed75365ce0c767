"""Waiting a little longer after each failure, with jitter from an injected generator."""

from __future__ import annotations

import random

FIRST_S = 0.2  # D: a cable pushed back in is tried at once
CAP_S = 2.0  # D: with one attempt's own bound this keeps recovery within 5 s


class Backoff:
    """Delays FIRST_S, doubling up to CAP_S, each shortened by up to a quarter so that boxes spread out."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next_s = FIRST_S

    def next_s(self) -> float:
        """The pause before the next attempt, never above the cap."""
        pause = self._next_s * self._rng.uniform(0.75, 1.0)
        self._next_s = min(self._next_s * 2, CAP_S)
        return pause

    def reset(self) -> None:
        self._next_s = FIRST_S
