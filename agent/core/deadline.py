"""When time alone next changes something. Kept between calls for the slices that did not change."""

from __future__ import annotations

import msgspec

from agent.core import clock, door, drill, health, lane, panic
from agent.core.state import BoxState

NEVER = float("inf")


class _Answer(msgspec.Struct):
    state: BoxState
    people_at: float  # panic and drill
    doors_at: float
    box_at: float  # health and clock
    lanes_at: float


_last: _Answer | None = None


def next_deadline(state: BoxState) -> float:
    """The monotonic second at which a `Tick` is due; inf if nothing waits for time."""
    global _last
    last = _last
    if last is not None and last.state is state:
        return _earliest(last)
    _last = last = _whole(state) if last is None or last.state.rules is not state.rules else _updated(state, last)
    return _earliest(last)


def _earliest(answer: _Answer) -> float:
    return min(answer.people_at, answer.doors_at, answer.box_at, answer.lanes_at)


def _whole(state: BoxState) -> _Answer:
    return _Answer(state, _people_at(state), door.deadline(state), _box_at(state), _lanes_at(state))


def _updated(state: BoxState, last: _Answer) -> _Answer:
    was = last.state
    people_same = was.panic is state.panic and was.drill is state.drill
    doors_same = was.doors is state.doors and was.fire is state.fire
    box_same = was.health is state.health and was.clock is state.clock
    return _Answer(
        state,
        last.people_at if people_same else _people_at(state),
        last.doors_at if doors_same else door.deadline(state),
        last.box_at if box_same else _box_at(state),
        last.lanes_at if was.lanes is state.lanes else _lanes_at(state),
    )


def _people_at(state: BoxState) -> float:
    return min(panic.deadline(state.panic), drill.deadline(state))


def _box_at(state: BoxState) -> float:
    return min(health.deadline(state), clock.deadline(state))


def _lanes_at(state: BoxState) -> float:
    return min((lane.lane_deadline(state.lanes[rules.id], rules) for rules in state.rules.lanes), default=NEVER)
