"""What survives a restart: one picture, written whole into a `box.latched` record whenever it changed.

The newest such record is given back with `Started`. No monotonic instant is in it, for those end with the boot.
Lock-outs of readers, unlock times, motions and drills end with it too; a drill is named only to be recorded as ended.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec.structs import replace

from agent.core import campus_latched, lane, orders, people_latched
from agent.core import drill as core_drill
from agent.core.campus_latched import CampusPicture
from agent.core.events import Seq, Started
from agent.core.log import Log
from agent.core.people_latched import DutyPicture, VisitPicture
from agent.core.records import Value
from agent.core.state import AlarmState, BoxState, DrillState, FireState, LaneState, OrdersState
from agent.core.words import Stage


class AlarmPicture(msgspec.Struct, frozen=True):
    ref: Seq
    button: str
    stages: dict[str, Stage] = {}
    acknowledged_by: str = ""


class PanicPicture(msgspec.Struct, frozen=True):
    latched: bool = False
    latched_ref: Seq | None = None
    alarms: tuple[AlarmPicture, ...] = ()
    lockdown: bool = False
    lockdown_ref: Seq | None = None
    lockdown_by: str = ""


class DrillPicture(msgspec.Struct, frozen=True):
    button: str = ""
    presses: int = 0
    ref: Seq | None = None


class AskedPicture(msgspec.Struct, frozen=True):
    verb: str
    ref: Seq | None = None


class OrdersPicture(msgspec.Struct, frozen=True):
    """What is asked for ends with the boot, and is named only to be recorded as ended."""

    spent: dict[str, int] = {}
    floor_ms: int = 0
    asked: tuple[AskedPicture, ...] = ()


class FirePicture(msgspec.Struct, frozen=True):
    latched: bool = False
    ref: Seq | None = None


_Part = TypeVar("_Part")
UNREADABLE_PANIC = PanicPicture(latched=True, lockdown=True, lockdown_by="panic")
UNREADABLE_FIRE = FirePicture(latched=True)
KEPT_IDS = 32  # D: as many last command ids are remembered; older ones have expired by their own time limit


# ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────────


def picture(state: BoxState) -> dict[str, Value]:
    """What must survive, as the data of a record: lists, dicts, texts, whole numbers and truth only."""
    return {
        "campus": campus_latched.picture(state.campus),
        "commands": list(state.commands),
        "duty": people_latched.duty(state),
        "drill": _drill(state.drill) if state.drill.button else None,
        "fire": {"latched": state.fire.latched, "ref": _ref(state.fire.ref)},
        "lanes": lane.latched(state),
        "orders": _orders(state.orders),
        "panic": _panic(state),
        "visits": people_latched.open_visits(state),
    }


def _drill(drill: DrillState) -> dict[str, Value]:
    return {"button": drill.button, "presses": drill.presses, "ref": _ref(drill.ref)}


def _orders(orders: OrdersState) -> dict[str, Value]:
    asked: list[Value] = [{"ref": _ref(one.ref), "verb": one.verb} for one in orders.asked]
    return {"asked": asked, "floor_ms": orders.floor_ms, "spent": dict(orders.spent)}


def _panic(state: BoxState) -> dict[str, Value]:
    panic = state.panic
    return {
        "alarms": [_alarm(alarm) for alarm in panic.alarms if not alarm.drill],
        "latched": panic.latched,
        "latched_ref": _ref(panic.latched_ref),
        "lockdown": panic.lockdown,
        "lockdown_by": panic.lockdown_by,
        "lockdown_ref": _ref(panic.lockdown_ref),
    }


def _alarm(alarm: AlarmState) -> dict[str, Value]:
    return {
        "acknowledged_by": alarm.acknowledged_by,
        "button": alarm.button,
        "ref": _ref(alarm.ref),
        "stages": {path: stage.value for path, stage in alarm.stages.items()},
    }


def _ref(ref: Seq | None) -> Value:
    return None if ref is None else list(ref)


def note(old: BoxState, new: BoxState, log: Log, *, anyway: bool = False) -> None:
    """Write the picture if this step changed it; `anyway` where a new epoch must begin with one."""
    if anyway or (_may_differ(old, new) and picture(old) != picture(new)):
        log.add("box.latched", "box", picture(new))


def _may_differ(old: BoxState, new: BoxState) -> bool:
    """Cheap: lanes change with every reading, so they are looked into only where they may have something to keep."""
    if old.panic is not new.panic or old.fire is not new.fire or old.drill is not new.drill:
        return True
    if old.commands is not new.commands or old.orders is not new.orders:
        return True
    if people_latched.may_differ(old, new):
        return True
    if old.campus is not new.campus and campus_latched.may_differ(old.campus, new.campus):
        return True
    return old.lanes is not new.lanes and _lanes_may_differ(old.lanes, new.lanes)


def _lanes_may_differ(old: dict[str, LaneState], new: dict[str, LaneState]) -> bool:
    for name, now in new.items():
        was = old[name]
        if was is not now and (was.efo or now.efo or was.closed or now.closed):
            return True
    return False


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────────


def restore(state: BoxState, event: Started, log: Log) -> BoxState:
    """Bring back what was latched into a fresh state, and say so. Nothing moves by it, and no input is believed.

    A part that cannot be read is told as an alarm. Panic and fire then count as latched: a person on site decides.
    """
    if event.latched is None:
        return state
    parts = event.latched
    campus = _read(parts, "campus", CampusPicture, CampusPicture(), log)
    state = campus_latched.restore(state, campus or CampusPicture())
    told = _read(parts, "visits", tuple[VisitPicture, ...], (), log)
    part = _read(parts, "duty", DutyPicture, DutyPicture(), log)
    state = people_latched.restore(state, told or (), part or DutyPicture(), log.now)
    panic = _read(parts, "panic", PanicPicture, UNREADABLE_PANIC, log)
    state = _restore_panic(state, panic or PanicPicture(), event.latched_ref, log)
    fire = _read(parts, "fire", FirePicture, UNREADABLE_FIRE, log)
    state = _restore_fire(state, fire or FirePicture(), event.latched_ref, log)
    commands = _read(parts, "commands", tuple[str, ...], (), log)
    state = replace(state, commands=(commands or ())[-KEPT_IDS:])
    nothing = OrdersPicture(floor_ms=log.now.wall_ms + orders.MOST_VALID_MS)  # it may have been judged: never again
    state = _restore_orders(state, _read(parts, "orders", OrdersPicture, nothing, log), log)
    drill = _read(parts, "drill", DrillPicture, DrillPicture(), log) or DrillPicture()
    if drill.button:
        core_drill.ended(drill.button, drill.presses, "restart", "box", drill.ref, drill.ref, log)
    return _restore_lanes(state, parts, event.latched_ref, log)


def _read(parts: dict[str, object], name: str, kind: type[_Part], unreadable: _Part, log: Log) -> _Part | None:
    """One part; None where it is absent or null. Damaged, or of a later release that changed it: an alarm."""
    raw = parts.get(name)
    if raw is None:
        return None
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        log.add("box.restore_failed", "box", {"part": name, "why": str(error)})
        return unreadable


def _restore_panic(state: BoxState, part: PanicPicture, cause: Seq | None, log: Log) -> BoxState:
    alarms = tuple(
        AlarmState(
            ref=alarm.ref,
            button=alarm.button,
            pressed_at=0.0,
            stages=alarm.stages,
            acknowledged_by=alarm.acknowledged_by,
        )
        for alarm in part.alarms
    )
    if part.latched:
        data: dict[str, Value] = {"alarms": len(alarms), "drill": False}
        log.add("panic.restored", "panic", data, cause=part.latched_ref or cause)
    panic = replace(
        state.panic,
        latched=part.latched,
        latched_ref=part.latched_ref,
        alarms=alarms,
        lockdown=part.lockdown,
        lockdown_ref=part.lockdown_ref,
        lockdown_by=part.lockdown_by,
    )
    return replace(state, panic=panic)


def _restore_fire(state: BoxState, part: FirePicture, cause: Seq | None, log: Log) -> BoxState:
    if not part.latched:
        return state
    log.add("fire.restored", "fire", cause=part.ref or cause)
    return replace(state, fire=FireState(latched=True, ref=part.ref))


def _restore_orders(state: BoxState, part: OrdersPicture | None, log: Log) -> BoxState:
    if part is None:
        return state
    for one in part.asked:
        orders.ended(one.verb, "restart", one.ref, log)
    return replace(state, orders=OrdersState(spent=part.spent, floor_ms=part.floor_ms))


def _restore_lanes(state: BoxState, parts: dict[str, object], cause: Seq | None, log: Log) -> BoxState:
    everything: dict[str, object] = dict.fromkeys(state.lanes)
    raw = _read(parts, "lanes", dict[str, object], everything, log)
    return lane.restore(state, raw or {}, cause, log)
