"""What is lost, what does not obey, what feeds the box, and which ways up are left; and what each loss takes away."""

from __future__ import annotations

from msgspec.structs import replace

from agent.core.events import (
    DeviceBack,
    DeviceLost,
    JournalChanged,
    Now,
    OutputFault,
    PathHealth,
    Seq,
    SupplyInput,
)
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState, DeviceState
from agent.core.words import Journal

MAINS_GRACE_S = 10.0  # D: a dip shorter than this is a fact and no alarm; the rules allow 60 s
PATH_GRACE_S = 20.0  # D: a broker that restarts is no alarm


# ── devices and outputs ────────────────────────────────────────────────────────────────────────────────────────────


def on_lost(state: BoxState, event: DeviceLost, now: Now, log: Log) -> BoxState:
    was = state.health.devices.get(event.device)
    if was is not None and not was.up:
        return state
    log.add("device.lost", event.device, {"why": event.why})
    return _with_device(
        state, event.device, DeviceState(up=False, since_at=now.mono_s, since_ms=now.wall_ms, why=event.why)
    )


def on_back(state: BoxState, event: DeviceBack, now: Now, log: Log) -> BoxState:
    was = state.health.devices.get(event.device)
    if was is not None and was.up:
        return state
    lost_ms = round((now.mono_s - was.since_at) * 1000) if was is not None else None
    log.add("device.back", event.device, {"lost_ms": lost_ms})
    return _with_device(state, event.device, DeviceState(up=True, since_at=now.mono_s, since_ms=now.wall_ms))


def _with_device(state: BoxState, device: str, new: DeviceState) -> BoxState:
    return replace(state, health=replace(state.health, devices={**state.health.devices, device: new}))


def on_output(state: BoxState, event: OutputFault, log: Log) -> BoxState:
    """An output refuses to be as desired, or obeys again. A lock's fault also shows at its door."""
    outputs = state.health.outputs
    if event.ok is (event.output not in outputs):
        return state
    if event.ok:
        log.add("output.ok", event.output)
        outputs = {name: why for name, why in outputs.items() if name != event.output}
    else:
        log.add("output.fault", event.output, {"why": event.why})
        outputs = {**outputs, event.output: event.why or "fault"}
    state = replace(state, health=replace(state.health, outputs=outputs))
    return _with_door_fault(state, event.output, outputs.get(event.output, ""))


def _with_door_fault(state: BoxState, output: str, why: str) -> BoxState:
    what, _, door = output.partition(":")
    if what != "lock" or door not in state.doors:
        return state
    return replace(state, doors={**state.doors, door: replace(state.doors[door], fault=why)})


# ── supplies ───────────────────────────────────────────────────────────────────────────────────────────────────────


def on_supply(state: BoxState, event: SupplyInput, now: Now, log: Log) -> BoxState:
    """Tamper and battery alarm at once, mains after a short grace; a contact nobody can read is an alarm too."""
    health = state.health
    if event.which in health.supplies and health.supplies[event.which] is event.ok:
        return state
    first = event.which not in health.supplies
    state = replace(
        state,
        health=replace(
            health,
            supplies={**health.supplies, event.which: event.ok},
            supply_since_at={**health.supply_since_at, event.which: now.mono_s},
        ),
    )
    if event.ok:
        return state if first else _supply_ok(state, event.which, log)
    if event.ok is None:
        return _supply_alarm(state, event.which, "supply.unread", log)
    if event.which == "mains" and "mains" not in state.health.supply_refs:
        log.add("supply.lost", "supply:mains")
        return state
    return _supply_alarm(state, event.which, "supply.alarm", log)


def _supply_ok(state: BoxState, which: str, log: Log) -> BoxState:
    refs = dict(state.health.supply_refs)
    log.add("supply.ok", f"supply:{which}", cause=refs.pop(which, None))
    return replace(state, health=replace(state.health, supply_refs=refs))


def _supply_alarm(state: BoxState, which: str, kind: str, log: Log) -> BoxState:
    ref: Seq = log.add(kind, f"supply:{which}", cause=state.health.supply_refs.get(which))
    return replace(state, health=replace(state.health, supply_refs={**state.health.supply_refs, which: ref}))


def _mains_alarm_at(state: BoxState) -> float:
    """When a mains failure becomes an alarm."""
    health = state.health
    if health.supplies.get("mains") is not False or "mains" in health.supply_refs:
        return float("inf")
    return health.supply_since_at["mains"] + min(MAINS_GRACE_S, state.rules.mains_alarm_s)


# ── ways up, and the journal ───────────────────────────────────────────────────────────────────────────────────────


def on_path(state: BoxState, event: PathHealth, now: Now, log: Log) -> BoxState:
    """An uplink path came or went. Having none for a while is an alarm of its own, heard when one is back."""
    was = state.health.paths.get(event.path)
    if was is not None and was.up is event.up:
        return state
    data: dict[str, Value] = {"path": event.path, "why": event.why}
    cause = state.health.paths_ref if event.up else None
    log.add("path.up" if event.up else "path.down", f"path:{event.path}", data, cause=cause)
    path = DeviceState(up=event.up, since_at=now.mono_s, since_ms=now.wall_ms, why=event.why)
    paths_ref = None if event.up else state.health.paths_ref
    paths = {**state.health.paths, event.path: path}
    return replace(state, health=replace(state.health, paths=paths, paths_ref=paths_ref))


def _no_path_at(state: BoxState) -> float:
    """When having no way up becomes an alarm: the last one left is as long gone as the grace."""
    health = state.health
    if not health.paths or health.paths_ref is not None or any(path.up for path in health.paths.values()):
        return float("inf")
    return max(path.since_at for path in health.paths.values()) + PATH_GRACE_S


def on_journal(state: BoxState, event: JournalChanged, log: Log) -> BoxState:
    if event.health is state.health.journal:
        return state
    kind = "journal.failing" if event.health is Journal.FAILING else "journal.ok"
    log.add(kind, "journal", {"why": event.why})
    return replace(state, health=replace(state.health, journal=event.health, journal_why=event.why))


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s >= _mains_alarm_at(state):
        state = _supply_alarm(state, "mains", "supply.alarm", log)
    if now.mono_s >= _no_path_at(state):
        state = replace(state, health=replace(state.health, paths_ref=log.add("path.none", "paths")))
    return state


def deadline(state: BoxState) -> float:
    return min(_mains_alarm_at(state), _no_path_at(state))
