"""What a by-stander at the gate has seen: raw facts folded from events and outputs, never from the core's own state.

The invariants judge the core by these. They share no helper with the code they judge, so that a wrong helper cannot
hide its own bug. A `Facts` belongs to one run and is the only mutable thing near the core; the core never sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.core.events import Command, FireInput, KeyInput, LaneReading, PanicLine, Started, Tick
from agent.core.facts_campus import CampusFacts
from agent.core.facts_lane import LANE_EVENTS, BollardFacts, LaneFacts, is_fire_key
from agent.core.facts_people import PeopleFacts
from agent.core.outputs import MotionRequest
from agent.core.words import Hold, Line

if TYPE_CHECKING:
    from agent.core.invariant import Step


class Facts:
    """The by-stander's note-book of one run: `see` before a step is judged, `keep` after it.

    Of the lanes it also says, for the present step only, what is worth judging, so that the many steps in which
    nothing stirs cost little: `fresh` tokens, `changed` lanes and `stirring` bollards.
    """

    __slots__ = (
        "campus",
        "changed",
        "fire_input",
        "fire_is_on",
        "fire_keys",
        "fresh",
        "lanes",
        "lines",
        "people",
        "pressed",
        "repeated",
        "stirring",
    )

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A restart: everything is to be seen anew."""
        self.lanes: dict[str, LaneFacts] = {}
        self.lines: dict[str, Line] = {}  # each panic line as last told
        self.pressed: set[str] = set()  # buttons whose press edge was seen and that are pressed still
        self.fire_input: bool | None = None
        self.fire_keys: dict[str, bool | None] = {}
        self.fire_is_on = False  # fire input, fire key of the box or one at a lane's PLC, as last told
        self.people = PeopleFacts()
        self.campus = CampusFacts()
        self.fresh: Sequence[tuple[LaneFacts, MotionRequest]] = ()  # tokens not in the picture before
        self.repeated: Sequence[tuple[LaneFacts, MotionRequest]] = ()  # not in it, but with the last one's number
        self.changed: Sequence[LaneFacts] = ()  # lanes whose state differs from the step before
        self.stirring: Sequence[tuple[LaneFacts, str, BollardFacts, Hold]] = ()  # with the hold now asked

    def see(self, step: Step) -> None:
        """Note what happened in the world."""
        event = step.event
        if isinstance(event, Started):
            self.forget()
        if not self.lanes:
            self.lanes = {rules.id: LaneFacts(rules) for rules in step.new.rules.lanes}
        self.people.see(step)
        self.campus.see(step)
        if isinstance(event, LaneReading):
            self._see_reading(event, step.now.mono_s)
        elif not isinstance(event, Tick):
            self._see_others(step)
        self._sort_out(step)

    def _see_reading(self, event: LaneReading, at: float) -> None:
        lane = self.lanes.get(event.lane)
        if lane is None:
            return
        had_key = lane.fire_key
        lane.see_reading(event, at)
        if lane.fire_key is not had_key:
            self._judge_fire()

    def _see_others(self, step: Step) -> None:
        event = step.event
        if isinstance(event, PanicLine):
            self._see_line(event)
        elif isinstance(event, FireInput):
            self.fire_input = event.active
            self._judge_fire()
        elif isinstance(event, KeyInput) and is_fire_key(step, event.key):
            self.fire_keys[event.key] = event.on
            self._judge_fire()
        if isinstance(event, LANE_EVENTS):
            for lane in self.lanes.values():
                lane.see(step)

    def _judge_fire(self) -> None:
        told = self.fire_input is True or True in self.fire_keys.values()
        self.fire_is_on = told or any(lane.fire_key for lane in self.lanes.values())

    def _see_line(self, event: PanicLine) -> None:
        was = self.lines.get(event.button, Line.UNREAD)
        self.lines[event.button] = event.line
        if event.line is not Line.PRESSED:
            self.pressed.discard(event.button)
        elif was is not Line.UNREAD:
            self.pressed.add(event.button)

    def _sort_out(self, step: Step) -> None:
        """Find what of the lanes is worth judging in this step."""
        old, new, lanes = step.old.lanes, step.new.lanes, self.lanes
        self.fresh = self.repeated = ()
        if step.outputs.motions:
            shown = [pair for lane in lanes.values() for pair in lane.new_tokens(step)]
            self.fresh = [pair for pair in shown if not pair[0].is_repeated(pair[1])]
            self.repeated = [pair for pair in shown if pair[0].is_repeated(pair[1])]
        self.changed = () if old is new else [f for name, f in lanes.items() if old.get(name) is not new[name]]
        pictures = step.outputs.lanes
        self.stirring = ()
        for name, lane in lanes.items():
            if lane.stirs or lane.picture is not pictures[name]:
                self.stirring = [*self.stirring, *lane.stirring(pictures[name])]

    def keep(self, step: Step) -> None:
        """Note what the core asked of the world."""
        self.people.keep(step)
        self.campus.keep(step)
        pictures = step.outputs.lanes
        asked = step.outputs.motions or isinstance(step.event, Command)
        for name, lane in self.lanes.items():
            if asked or lane.stirs or lane.shown or lane.picture is not pictures[name]:
                lane.keep(step)
