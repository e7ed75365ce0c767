"""When time alone next changes something. Kept between calls for the slices that did not change."""

from __future__ import annotations

import msgspec

from agent.core import campus_day, campus_passage, clock, door, drill, duty, health, lane, orders, panic, visits
from agent.core.state import BoxState


class _Answer(msgspec.Struct):
    state: BoxState
    people_at: float  # panic, drill, and what is asked for
    doors_at: float
    box_at: float  # health and clock
    campus_at: float
    duty_at: float  # duty and visits
    lane_at: dict[str, float]
    at: float


_last: _Answer | None = None


def next_deadline(state: BoxState) -> float:
    """The monotonic second at which a `Tick` is due; inf if nothing waits for time."""
    global _last
    last = _last
    if last is not None and last.state is state:
        return last.at
    _last = answer = _answer(state, last if last is not None and last.state.rules is state.rules else None)
    return answer.at


def _answer(state: BoxState, last: _Answer | None) -> _Answer:
    if last is None:
        people_at, doors_at, box_at, lane_at = _people_at(state), door.deadline(state), _box_at(state), _lane_at(state)
        campus_at, duty_at = _campus_at(state), _duty_at(state)
    else:
        was = last.state
        people_same = was.panic is state.panic and was.drill is state.drill and was.orders is state.orders
        doors_same = was.doors is state.doors and was.fire is state.fire
        box_same = was.health is state.health and was.clock is state.clock
        policy_same = was.policy is state.policy
        campus_same = policy_same and was.campus is state.campus
        duty_same = policy_same and was.visits is state.visits and was.duty is state.duty
        duty_at = last.duty_at if duty_same else _duty_at(state)
        campus_at = last.campus_at if campus_same else _campus_at(state)
        people_at = last.people_at if people_same else _people_at(state)
        doors_at = last.doors_at if doors_same else door.deadline(state)
        box_at = last.box_at if box_same else _box_at(state)
        lane_at = last.lane_at if was.lanes is state.lanes else _lane_at(state, last)
    at = min(people_at, doors_at, box_at, campus_at, duty_at, *lane_at.values())
    return _Answer(state, people_at, doors_at, box_at, campus_at, duty_at, lane_at, at)


def _people_at(state: BoxState) -> float:
    return min(panic.deadline(state.panic), drill.deadline(state), orders.deadline(state.orders))


def _box_at(state: BoxState) -> float:
    return min(health.deadline(state), clock.deadline(state))


def _campus_at(state: BoxState) -> float:
    return min(campus_day.deadline(state), campus_passage.deadline(state))


def _duty_at(state: BoxState) -> float:
    return min(visits.deadline(state), duty.deadline(state))


def _lane_at(state: BoxState, last: _Answer | None = None) -> dict[str, float]:
    """Each lane's; those that are the very same as in the `last` answer are taken from there."""
    at = {}
    for rules in state.rules.lanes:
        part = state.lanes[rules.id]
        if last is not None and last.state.lanes[rules.id] is part:
            at[rules.id] = last.lane_at[rules.id]
        else:
            at[rules.id] = lane.lane_deadline(part, rules)
    return at
