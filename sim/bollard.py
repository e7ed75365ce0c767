"""One bollard as a machine: a post that travels between two ends, and the two switches that tell the ends.

Position is a fraction of the stroke, 0 down, 1 up, piecewise linear in time; only its ends are events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from sim.agenda import Agenda, Due
from sim.faults import Fault

Way = Literal["up", "down", ""]


class Bollard:
    """The post, its drive and its switches. It knows nothing of requests or interlocks: its controller drives it."""

    def __init__(self, id: str, agenda: Agenda, faults: Mapping[str, Fault], on_end: Callable[[Bollard], None]) -> None:
        self.id = id
        self.faults = faults
        self.driven: Way = ""  # what the controller's valves ask; the post itself may be jammed
        self.efo = False
        self.cycles = 0
        self._agenda = agenda
        self._on_end = on_end
        self._from = 0.0
        self._from_s = agenda.now_s
        self._speed = 0.0  # strokes per second, up is positive
        self._end: Due | None = None

    # ── what it is ─────────────────────────────────────────────────────────────────────────────────────────────────

    def position(self) -> float:
        """Fraction of the stroke now."""
        if not self._speed:
            return self._from
        return min(1.0, max(0.0, self._from + self._speed * (self._agenda.now_s - self._from_s)))

    @property
    def speed(self) -> float:
        """Strokes per second; the post really moves while it is not 0."""
        return self._speed

    @property
    def up(self) -> bool:
        """The upper limit switch, as it reads."""
        return self._switch("up")

    @property
    def down(self) -> bool:
        """The lower limit switch, as it reads."""
        return self._switch("down")

    def _switch(self, name: str) -> bool:
        if self.faults:
            stuck = self.faults.get("stuck_switch")
            if stuck is not None and stuck.word("switch") == name:
                return stuck.word("reads") == "on"
            if "lying" in self.faults:
                name = "down" if name == "up" else "up"
        return not self._speed and self._from == (1.0 if name == "up" else 0.0)

    # ── what is done to it ─────────────────────────────────────────────────────────────────────────────────────────

    def drive(self, way: Way, stroke_s: float) -> None:
        """Open the valves for a way; a whole stroke would take `stroke_s`. "" closes them and the post stops."""
        assert stroke_s > 0 or not way, "a stroke takes time"
        self.driven = way
        jammed = "jammed" in self.faults
        slow = self.faults.get("slow")
        stroke_s *= slow.number("factor") if slow is not None else 1.0
        self.move(0.0 if not way or jammed else (1.0 if way == "up" else -1.0) / stroke_s)

    def move(self, speed: float) -> None:
        """Set the post in motion or stop it, whoever causes it."""
        self._from, self._from_s = self.position(), self._agenda.now_s
        if self._end is not None:
            self._end.cancel()
            self._end = None
        at_end = self._from == (1.0 if speed > 0 else 0.0)
        self._speed = 0.0 if at_end else speed
        if self._speed:
            left = (1.0 - self._from) if speed > 0 else self._from
            self._end = self._agenda.at(self._from_s + left / abs(speed), self._arrive)
        elif speed:
            self._end = self._agenda.at(self._from_s, self._tell)

    def _arrive(self) -> None:
        self._from = 1.0 if self._speed > 0 else 0.0
        self._from_s = self._agenda.now_s
        self.cycles += self._speed > 0
        self._speed = 0.0
        self._tell()

    def _tell(self) -> None:
        self._end = None
        self._on_end(self)
