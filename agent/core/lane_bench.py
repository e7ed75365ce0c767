"""One lane laid out for one step: the frozen state is read, changes are collected, and `done` gives the next state.

It lives for one step only. Untouched bollards and lanes keep their identity, so that whoever compares by identity
sees what changed and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from agent.core.events import Now, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.rules import BoxRules, LaneRules
from agent.core.state import BollardState, BoxState
from agent.core.words import Hold, Motion, Position

RISES = frozenset((Motion.RAISE, Motion.EFO))
AGE_LIMIT_S = 2.0  # domain rule 5: no token is older than 2 s on the wire


class Bench:
    """A lane during one step. `at` is the monotonic instant; `subject` is how records name the lane."""

    __slots__ = ("_changed", "_own_bollards", "_was", "at", "bollards", "box", "lane", "log", "rules")

    def __init__(self, box: BoxState, lane_id: str, now: Now, log: Log) -> None:
        self.box = box
        self.rules = rules_of(box.rules, lane_id)
        self.lane = self._was = box.lanes[lane_id]
        self.bollards = self.lane.bollards
        self.at = now.mono_s
        self.log = log
        self._own_bollards = False

    @property
    def subject(self) -> str:
        return f"lane:{self.rules.id}"

    def set(self, **changes: Any) -> None:
        """Change fields of the lane."""
        self.lane = replace(self.lane, **changes)

    def put(self, bollard: str, **changes: Any) -> BollardState:
        """Change fields of one bollard."""
        changed = replace(self.bollards[bollard], **changes)
        if not self._own_bollards:
            self.bollards = dict(self.bollards)
            self._own_bollards = True
        self.bollards[bollard] = changed
        return changed

    def write(
        self, kind: str, data: dict[str, Value] | None = None, *, actor: str = "box", cause: Seq | None = None
    ) -> Seq:
        """One record about this lane."""
        return self.log.add(kind, self.subject, data, actor=actor, cause=cause)

    def movable(self) -> Iterator[tuple[str, BollardState]]:
        """The bollards the agent may move at all: those whose interlock was recorded as tested."""
        for bollard in self.rules.bollards:
            if bollard.commissioned:
                yield bollard.id, self.bollards[bollard.id]

    def rising(self) -> list[str]:
        """The bollards with a rise under way that we asked for."""
        return [name for name, b in self.bollards.items() if b.motion in RISES]

    def busy(self) -> bool:
        """Whether anything of the lane needs watching beyond its plain readings."""
        lane = self.lane
        if lane.request is not None or lane.motions:
            return True
        for b in self.bollards.values():  # asked at every reading: a generator costs thrice as much
            if b.motion is not None or b.hold is not Hold.NONE or b.position is Position.MOVING:
                return True
            if b.strayed_at is not None or b.flying:
                return True
        return False

    def withdraw(self, bollard: str) -> None:
        """Take back the open token of a bollard; if it went out already, the bollard stays `flying` until told."""
        motions = self.lane.motions
        if any(request.bollard == bollard for request in motions):
            self.set(motions=tuple(request for request in motions if request.bollard != bollard))

    def done(self) -> BoxState:
        """The next state; the very same one if nothing changed."""
        if self._own_bollards:
            self.lane = replace(self.lane, bollards=self.bollards)
        if self.lane is self._was:
            return self.box
        return replace(self.box, lanes={**self.box.lanes, self.rules.id: self.lane})


def rules_of(rules: BoxRules, lane_id: str) -> LaneRules:
    """The rules of a lane that is known to exist."""
    for lane in rules.lanes:
        if lane.id == lane_id:
            return lane
    raise AssertionError(f"no lane {lane_id!r} in the rules")


def ms(seconds: float) -> int:
    """Whole milliseconds, as records hold them."""
    return round(seconds * 1000)
