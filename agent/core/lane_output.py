"""What the world should look like at a lane, and when time will next matter to it."""

from __future__ import annotations

from agent.core.lane_allow import EMERGENCY_RANKS
from agent.core.lane_bench import RISES
from agent.core.lane_motion import overdue_at, request_due_at
from agent.core.lane_reading import STRAY_CONFIRM_S
from agent.core.outputs import LaneOutputs
from agent.core.rules import LaneRules
from agent.core.state import BollardState, BoxState, LaneState
from agent.core.words import Hold, Light, Mode, Position

NEVER = float("inf")


def lane_outputs(rules: LaneRules, lane: LaneState, box: BoxState) -> LaneOutputs:
    """Light, warning and holds of one lane. A routine request's record must be durable before its warning shows.

    Depends on this lane and on the box's fire, panic and scan only.
    """
    warning, rest_down, hold = lane.request is not None, bool(lane.bollards), {}
    for name, b in lane.bollards.items():
        hold[name] = Hold.NONE if b.hold is Hold.NONE or not box.scanned else _hold(b, lane)
        if _stands(b):
            rest_down = rest_down and b.position is Position.DOWN and not b.fault
        else:
            rest_down, warning = False, warning or b.hold is not Hold.STOP or b.position is Position.MOVING
    green = rest_down and not _forbids_green(rules, lane, box)
    return LaneOutputs(light=Light.GREEN if green else Light.RED, warning=warning, hold=hold, after=_after(lane, hold))


def _stands(b: BollardState) -> bool:
    """Lamp and buzzer are for a bollard that moves or may begin to; one that merely shall stop is silent."""
    return b.motion is None and b.hold is Hold.NONE and b.position is not Position.MOVING


def _hold(b: BollardState, lane: LaneState) -> Hold:
    """Domain rule 12: unless the lane is known to be in remote, stop is all that may be asked."""
    if b.hold is Hold.LOWER and (lane.lost or lane.mode is not Mode.REMOTE):
        return Hold.STOP
    return b.hold


def _after(lane: LaneState, hold: dict[str, Hold]) -> int:
    """Emergencies and holds wait for nothing."""
    if lane.request is None or lane.efo or lane.request.rank in EMERGENCY_RANKS:
        return 0
    return lane.request.ref[1] if all(level is Hold.NONE for level in hold.values()) else 0


def _forbids_green(rules: LaneRules, lane: LaneState, box: BoxState) -> bool:
    """Green only while every bollard is proven down and nothing is wrong, asked or latched; else red, never off.

    A key at another lane's PLC need not be looked at: it latched fire for the whole site, and holds that latch.
    """
    if lane.lost or lane.closed or lane.efo or lane.fire_key or lane.mode is not Mode.REMOTE:
        return True
    if lane.request is not None or (rules.entry and box.panic.lockdown):
        return True
    fire = box.fire
    return fire.latched or fire.input is True or fire.key is True


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
