"""Outputs put together from the slices of state. What did not change is not made anew.

The one cache here only ever answers for the very objects it was asked about, so `desired` stays a pure function of the
state; it just costs next to nothing while nothing changes.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from agent.core import lane
from agent.core.outputs import LaneOutputs, Level, MotionRequest, Outputs
from agent.core.state import BoxState, DoorState, HealthState, PanicState
from agent.core.words import STAGES, Journal, Line, Stage

RECEIVED, COMING = STAGES.index(Stage.RECEIVED), STAGES.index(Stage.COMING)

_Part = TypeVar("_Part")


class _Answer(msgspec.Struct):
    state: BoxState
    lanes_faulty: bool
    outputs: Outputs


_last: _Answer | None = None


def desired(state: BoxState) -> Outputs:
    """The picture for this state; the same object as last time where nothing of it differs."""
    global _last
    last = _last
    if last is not None and last.state is state:
        return last.outputs
    faulty = _lanes_faulty(state)
    outputs = _updated(state, faulty, last) if last is not None and _akin(last.state, state) else _whole(state, faulty)
    _last = _Answer(state, faulty, outputs)
    return outputs


def _akin(old: BoxState, new: BoxState) -> bool:
    return old.rules is new.rules and old.scanned is new.scanned and old.epoch == new.epoch


def _whole(state: BoxState, lanes_faulty: bool) -> Outputs:
    return Outputs(
        locks=_locks(state),
        lamps=_lamps(state, lanes_faulty),
        siren=_siren(state),
        lanes=_lanes(state),
        motions=_motions(state),
    )


def _updated(state: BoxState, lanes_faulty: bool, last: _Answer) -> Outputs:
    old, was = last.outputs, last.state
    alarms_same = was.panic is state.panic and was.fire is state.fire
    lamps_same = alarms_same and was.health is state.health and was.clock is state.clock
    lamps_same = lamps_same and last.lanes_faulty is lanes_faulty
    lanes_same = was.lanes is state.lanes
    new = Outputs(
        locks=old.locks if alarms_same and was.doors is state.doors else _kept(old.locks, _locks(state)),
        lamps=old.lamps if lamps_same else _kept(old.lamps, _lamps(state, lanes_faulty)),
        siren=old.siren if alarms_same else _kept(old.siren, _siren(state)),
        lanes=old.lanes
        if alarms_same and lanes_same
        else _kept(old.lanes, _lanes(state, last if alarms_same else None)),
        motions=old.motions if lanes_same else _kept(old.motions, _motions(state)),
    )
    return _kept(old, new)


def _kept(old: _Part, new: _Part) -> _Part:
    return old if old == new else new


# ── doors ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _locks(state: BoxState) -> dict[str, Level]:
    return {
        rules.id: _lock(state.doors[rules.id], state.epoch, released=state.fire.latched and rules.evacuation_way)
        for rules in state.rules.doors
    }


def _lock(door: DoorState, epoch: int, *, released: bool) -> Level:
    """Letting out, and locking, wait for no disk; letting in waits for its record, if that is of this epoch."""
    if released:
        return Level(on=False)
    if door.unlocked_until_at is None:
        return Level(on=True)
    ref = door.grant_ref
    waits = ref is not None and ref[0] == epoch and door.egress_until_at is None
    return Level(on=False, after=ref[1] if waits and ref is not None else 0)


# ── lamps and siren ────────────────────────────────────────────────────────────────────────────────────────────────


def _lamps(state: BoxState, lanes_faulty: bool) -> dict[str, Level]:
    """ "sent": an alarm is taken and on its way. "received", "coming": on the far side's word only, from any path.

    While a real alarm is open, a drill's stages light nothing: a drill's receipt is no receipt of a cry for help.
    """
    furthest = _furthest(state.panic)
    wanted = {
        "sent": state.panic.latched or bool(state.panic.alarms),
        "received": furthest >= RECEIVED,
        "coming": furthest >= COMING,
        "fault": lanes_faulty or _faulty(state),
    }
    drilled = _drill_only(state.panic) and bool(state.panic.alarms)
    flashing = ("sent", "received", "coming") if drilled else ()
    return {
        lamp: Level(on=wanted[lamp], blink=wanted[lamp] and lamp in flashing)
        for lamp in state.rules.lamps
        if lamp in wanted
    }


def _furthest(panic: PanicState) -> int:
    drill_only = _drill_only(panic)
    stages = (stage for alarm in panic.alarms if alarm.drill is drill_only for stage in alarm.stages.values())
    return max(map(STAGES.index, stages), default=0)


def _drill_only(panic: PanicState) -> bool:
    return not panic.latched and all(alarm.drill for alarm in panic.alarms)


def _siren(state: BoxState) -> Level:
    """Silent at the gate unless the site has signed otherwise; a drill sounds nothing."""
    return Level(on=state.panic.latched and state.rules.panic_audible)


def _faulty(state: BoxState) -> bool:
    unread_fire = state.rules.has_fire and state.fire.input is None
    lines_bad = any(
        _bad_line(b.line) or b.fault_ref or b.stuck_ref or b.chatter_ref for b in state.panic.buttons.values()
    )
    return unread_fire or lines_bad or state.clock.alarmed or _unwell(state.health)


def _bad_line(line: Line) -> bool:
    return line is not Line.NORMAL and line is not Line.PRESSED


def _unwell(health: HealthState) -> bool:
    return (
        health.journal is not Journal.OK
        or bool(health.outputs)
        or any(ok is not True for ok in health.supplies.values())
        or any(not device.up for device in health.devices.values())
        or any(not path.up for path in health.paths.values())
    )


# ── lanes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _lanes(state: BoxState, last: _Answer | None = None) -> dict[str, LaneOutputs]:
    """All lanes; those that are the very same as in the `last` answer are taken from there."""
    outputs = {}
    for rules in state.rules.lanes:
        part = state.lanes[rules.id]
        if last is not None and last.state.lanes[rules.id] is part:
            outputs[rules.id] = last.outputs.lanes[rules.id]
        else:
            outputs[rules.id] = lane.lane_outputs(rules, part, state)
    return outputs


def _lanes_faulty(state: BoxState) -> bool:
    for part in state.lanes.values():  # noqa: SIM110  # a generator costs thrice as much, at every reading
        if part.closed or part.lost:
            return True
    return False


def _motions(state: BoxState) -> tuple[MotionRequest, ...]:
    """Before the first full scan none goes out, whatever a lane holds (domain rule 29)."""
    if not state.scanned:
        return ()
    open_tokens: tuple[MotionRequest, ...] = ()
    for part in state.lanes.values():
        if part.motions:
            open_tokens += part.motions
    return open_tokens
