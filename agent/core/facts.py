"""What a by-stander at the gate has seen: raw facts folded from events and outputs, never from the core's own state.

The invariants judge the core by these. They share no helper with the code they judge, so that a wrong helper cannot
hide its own bug. A `Facts` belongs to one run and is the only mutable thing near the core; the core never sees it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core.events import FireInput, KeyInput, PanicLine, Started
from agent.core.facts_lane import LaneFacts
from agent.core.words import Line

if TYPE_CHECKING:
    from agent.core.invariant import Step


class Facts:
    """The by-stander's note-book of one run: `see` before a step is judged, `keep` after it."""

    __slots__ = ("fire_input", "fire_keys", "lanes", "lines", "pressed")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A restart: everything is to be seen anew."""
        self.lanes: dict[str, LaneFacts] = {}
        self.lines: dict[str, Line] = {}  # each panic line as last told
        self.pressed: set[str] = set()  # buttons whose press edge was seen and that are pressed still
        self.fire_input: bool | None = None
        self.fire_keys: dict[str, bool | None] = {}

    def lane(self, step: Step, lane: str) -> LaneFacts:
        facts = self.lanes.get(lane)
        if facts is None:
            facts = self.lanes[lane] = LaneFacts(next(rules for rules in step.new.rules.lanes if rules.id == lane))
        return facts

    @property
    def fire_is_on(self) -> bool:
        """Whether a fire input, a fire key of the box or one at a lane's PLC is active as last told."""
        return (
            self.fire_input is True
            or True in self.fire_keys.values()
            or any(lane.fire_key for lane in self.lanes.values())
        )

    def see(self, step: Step) -> None:
        """Note what happened in the world."""
        event = step.event
        if isinstance(event, Started):
            self.forget()
        elif isinstance(event, PanicLine):
            self._see_line(event)
        elif isinstance(event, FireInput):
            self.fire_input = event.active
        elif isinstance(event, KeyInput) and _is_fire_key(step, event.key):
            self.fire_keys[event.key] = event.on
        for lane in step.new.lanes:
            self.lane(step, lane).see(step)

    def _see_line(self, event: PanicLine) -> None:
        was = self.lines.get(event.button, Line.UNREAD)
        self.lines[event.button] = event.line
        if event.line is not Line.PRESSED:
            self.pressed.discard(event.button)
        elif was is not Line.UNREAD:
            self.pressed.add(event.button)

    def keep(self, step: Step) -> None:
        """Note what the core asked of the world."""
        for lane in step.new.lanes:
            self.lane(step, lane).keep(step)


def _is_fire_key(step: Step, key_id: str) -> bool:
    return any(key.id == key_id and key.use == "fire_key" for key in step.new.rules.keys)
