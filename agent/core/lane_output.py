"""What the world should look like at a lane, and when time will next matter to it."""

from __future__ import annotations

from agent.core.lane_bench import RISES
from agent.core.lane_motion import overdue_at, request_due_at
from agent.core.lane_reading import STRAY_CONFIRM_S
from agent.core.outputs import LaneOutputs
from agent.core.rules import LaneRules
from agent.core.state import BollardState, BoxState, LaneState
from agent.core.words import Hold, Light, Mode, Position

NEVER = float("inf")


def lane_outputs(rules: LaneRules, lane: LaneState, box: BoxState) -> LaneOutputs:
    """Light, warning and holds of one lane. A routine request's record must be durable before its warning shows."""
    hold = {name: _hold(b, lane) for name, b in lane.bollards.items()} if box.scanned else _no_hold(lane)
    waits = lane.request is not None and not lane.efo and all(level is Hold.NONE for level in hold.values())
    return LaneOutputs(
        light=_light(rules, lane, box),
        warning=_warns(lane),
        hold=hold,
        after=lane.request.ref[1] if waits and lane.request is not None else 0,
    )


def _no_hold(lane: LaneState) -> dict[str, Hold]:
    return dict.fromkeys(lane.bollards, Hold.NONE)


def _hold(b: BollardState, lane: LaneState) -> Hold:
    """Domain rule 12: unless the lane is known to be in remote, stop is all that may be asked."""
    if b.hold is Hold.LOWER and (lane.lost or lane.mode is not Mode.REMOTE):
        return Hold.STOP
    return b.hold


def _warns(lane: LaneState) -> bool:
    """Lamp and buzzer: from the asking on, and as long as anything moves or may begin to."""
    if lane.request is not None:
        return True
    return any(
        b.motion is not None or b.hold is Hold.LOWER or b.position is Position.MOVING for b in lane.bollards.values()
    )


def _light(rules: LaneRules, lane: LaneState, box: BoxState) -> Light:
    """Green only while every bollard is proven down and nothing is wrong, asked or latched; else red, never off."""
    if lane.lost or lane.closed or lane.efo or lane.mode is not Mode.REMOTE or lane.request is not None:
        return Light.RED
    if box.fire.latched or box.fire.input or box.fire.key or any(other.fire_key for other in box.lanes.values()):
        return Light.RED
    if box.panic.lockdown and rules.entry:
        return Light.RED
    return Light.GREEN if lane.bollards and all(map(_rests_down, lane.bollards.values())) else Light.RED


def _rests_down(b: BollardState) -> bool:
    return b.position is Position.DOWN and b.motion is None and b.hold is Hold.NONE and not b.fault


def lane_deadline(lane: LaneState, rules: LaneRules) -> float:
    """When time alone next changes something here; inf if never. A `Tick` then makes it later."""
    due = NEVER if lane.lost else lane.fresh_at + rules.lost_s
    if lane.request is not None:
        due = min(due, request_due_at(lane.request, rules))
    for motion in lane.motions:
        due = min(due, motion.issued_at + motion.max_age_s)
    rises = False
    for b in lane.bollards.values():
        if b.strayed_at is not None:
            due = min(due, b.strayed_at + STRAY_CONFIRM_S)
        if not lane.lost:
            due = min(due, overdue_at(b, rules))
            rises = rises or b.motion in RISES
    return min(due, _stale_at(lane, rules)) if rises else due


def _stale_at(lane: LaneState, rules: LaneRules) -> float:
    return min((sensor.read_at for sensor in lane.sensors.values()), default=NEVER) + rules.stale_s
