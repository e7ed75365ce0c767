"""What is due, and when: the only clockwork of the simulated world.

Time is given from outside in seconds and never read. Nothing ticks: the world sleeps until the earliest entry, so an
idle gate costs nothing, in real time and in virtual time alike.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeAlias

Action: TypeAlias = Callable[[], None]
NEVER = float("inf")


class Due:
    """One entry. `cancel` makes it void; it may be called at any time, also after it ran."""

    __slots__ = ("action", "at_s", "order")

    def __init__(self, at_s: float, order: int, action: Action) -> None:
        self.at_s = at_s
        self.order = order
        self.action: Action | None = action

    def cancel(self) -> None:
        self.action = None

    def __lt__(self, other: Due) -> bool:
        return (self.at_s, self.order) < (other.at_s, other.order)


class Agenda:
    """Entries in order of instant, then of entry. `now_s` is the instant of the action that runs."""

    __slots__ = ("_heap", "_order", "now_s")

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self._heap: list[Due] = []
        self._order = 0

    def at(self, at_s: float, action: Action) -> Due:
        """Run `action` at `at_s`; an instant that has passed runs at the next advance."""
        self._order += 1
        due = Due(at_s, self._order, action)
        heapq.heappush(self._heap, due)
        return due

    def next_s(self) -> float:
        """Instant of the earliest entry, or infinity."""
        heap = self._heap
        while heap and heap[0].action is None:
            heapq.heappop(heap)
        return heap[0].at_s if heap else NEVER

    def advance(self, to_s: float) -> None:
        """Run everything due up to and with `to_s`, each at its own instant. Time never goes back."""
        heap = self._heap
        while heap and heap[0].at_s <= to_s:
            due = heapq.heappop(heap)
            action = due.action
            if action is not None:
                due.action = None
                if due.at_s > self.now_s:
                    self.now_s = due.at_s
                action()
        if to_s > self.now_s:
            self.now_s = to_s
