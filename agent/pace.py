"""How much of what strangers cause is written down: some at once, then one every so often; the rest is counted."""

from __future__ import annotations

AT_ONCE = 20  # D: a person who tries again and again is written down whole
EVERY_S = 3.0  # D: 29 000 records a day at most, some 10 MB


class Pace:
    """One source of records that somebody else sets off. Instants are monotonic seconds."""

    def __init__(self, at_once: int = AT_ONCE, every_s: float = EVERY_S) -> None:
        self._at_once = at_once
        self._every_s = every_s
        self._room = float(at_once)
        self._at: float | None = None
        self._held_back = 0

    def may(self, now: float) -> bool:
        """Whether one more is to be written down now; else it is only counted."""
        since = 0.0 if self._at is None else now - self._at
        self._at = now
        self._room = min(self._at_once, self._room + since / self._every_s)
        if self._room < 1.0:
            self._held_back += 1
            return False
        self._room -= 1.0
        return True

    def held_back(self) -> dict[str, int]:
        """`unrecorded` for the data of the next record, where some were only counted; then it counts anew."""
        held, self._held_back = self._held_back, 0
        return {"unrecorded": held} if held else {}
