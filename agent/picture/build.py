"""From the core's state to the picture: pure, so that a test can draw any gate by hand.

What a lost device measured is shown as unknown here, whatever the core still remembers of it, so that no reader of the
picture can forget to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from agent import picture as pic
from agent.core import state as core
from agent.core import words
from agent.core.events import Now
from agent.core.outputs import LaneOutputs, Level, Outputs
from agent.core.rules import BoxRules
from agent.core.words import ClockTrust, Light, Line, Mode, Position, Sensor
from agent.picture.campus import campus
from agent.picture.devices import DeviceFigures, Reach, devices
from hardware.site import Contact, Door, Key, Lane, PanicButton, Site
from hardware.ways import path_names

FRESH_S = 1.0  # D: a reading older than this is not shown; motion decisions use the core's own, shorter limit
MAX_PRESSES = 16  # shown of those that were measured

SupplyWord: TypeAlias = Literal["tamper", "mains", "battery"]


class PathFigures(msgspec.Struct, frozen=True, kw_only=True):
    backlog: int | None = None
    last_receipt_at: float | None = None  # monotonic s
    given_up: int = 0


class BollardFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What the records tell of a bollard: complete routine rises in ms, newest last, and reversals."""

    rises: tuple[int, ...] = ()
    reversals: int = 0


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell knows and the core does not. Everything left out is shown as unknown.

    `read_back`: "lock:<door>" → True when the lock output reads back as locked, "lamp:<name>" and "siren" → on.
    `lights`: lane id → light read back.
    """

    turn_ms: int | None = None
    read_back: Mapping[str, bool | None] = {}
    lights: Mapping[str, Light | None] = {}
    journal: pic.JournalPart = pic.JournalPart()
    paths: Mapping[str, PathFigures] = {}
    presses: tuple[pic.Press, ...] = ()  # newest first, at most MAX_PRESSES
    hops: tuple[pic.Hop, ...] = ()
    devices: Mapping[str, DeviceFigures] = {}
    bollards: Mapping[str, BollardFigures] = {}
    machine: pic.Machine = pic.Machine()
    orders: pic.Orders = pic.Orders()


def picture(state: core.BoxState, now: Now, outputs: Outputs, site: Site, extras: Extras) -> pic.Picture:
    """The whole gate at `now`, with `outputs` as the core desires them."""
    reach = Reach(site, state.health.devices)
    return pic.Picture(
        site=site.site.id,
        box=site.site.box,
        name=site.site.name,
        boot=state.boot,
        epoch=state.epoch,
        head=state.next_seq - 1,
        mono_ms=round(now.mono_s * 1000),
        wall_ms=now.wall_ms,
        turn_ms=extras.turn_ms,
        scanned=state.scanned,
        clock=_clock(state.clock, now.trust),
        panic=_panic(state, site, reach),
        fire=_fire(state.fire, site, reach),
        lanes=tuple(_lane(lane, state, now, outputs, extras, reach) for lane in site.lane),
        doors=tuple(_door(door, state, outputs, extras, reach) for door in site.door),
        readers=_readers(state, now, site, reach),
        keys=tuple(_key(key, state, reach) for key in site.key),
        supplies=_supplies(state, site, reach),
        lamps=_lamps(outputs, site, extras),
        devices=devices(site, reach, extras.devices),
        outputs=tuple(pic.Output(id=name, why=why) for name, why in sorted(state.health.outputs.items())),
        paths=_paths(state, extras),
        journal=_journal(state, extras),
        presses=extras.presses,
        hops=extras.hops,
        machine=extras.machine,
        orders=extras.orders,
        campus=campus(state, now),
        asked=tuple(map(asked, state.orders.asked)),
    )


def instant(at: float | None) -> int | None:
    """Monotonic seconds of the core to the picture's milliseconds; the core's "never" (None, 0, -inf) to None."""
    return None if at is None or at <= 0.0 else round(at * 1000)


def _clock(clock: core.ClockState, trust: ClockTrust) -> pic.Clock:
    since = instant(clock.since_at) if clock.trust == trust else None
    return pic.Clock(trust=trust, since=since, alarmed=clock.alarmed)


# ── panic and fire ─────────────────────────────────────────────────────────────────────────────────────────────────


def _panic(state: core.BoxState, site: Site, reach: Reach) -> pic.Panic:
    panic = state.panic
    alarms = tuple(_alarm(alarm) for alarm in panic.alarms)
    pressed = [alarm.pressed for alarm in alarms if alarm.pressed is not None and not alarm.drill]
    return pic.Panic(
        latched=panic.latched,
        since=min(pressed, default=None) if panic.latched else None,
        latched_ref=panic.latched_ref,
        lockdown=panic.lockdown,
        lockdown_ref=panic.lockdown_ref,
        drill=_drill(state.drill),
        alarms=alarms,
        buttons=tuple(_button(button, panic, reach) for button in site.panic_button),
    )


def _drill(drill: core.DrillState) -> pic.Drill | None:
    if not drill.button:
        return None
    waiting: Literal["announced", "unanswered"] = "unanswered" if drill.unanswered else "announced"
    return pic.Drill(
        button=drill.button,
        ends=round(drill.ends_at * 1000),
        phase="running" if drill.live_at is not None else waiting,
        minutes=drill.minutes,
        reason=drill.reason,
        since=instant(drill.announced_at),
        ref=drill.ref,
        stages=dict(drill.stages),
        presses=drill.presses,
    )


def asked(one: core.Asked) -> pic.Asked:
    return pic.Asked(
        what="drill" if one.verb == "drill_propose" else "all_clear",
        button=one.button,
        minutes=one.minutes,
        reason=one.reason,
        since=round(one.since_at * 1000),
        until=round(one.until_at * 1000),
        ref=one.ref,
    )


def _alarm(alarm: core.AlarmState) -> pic.Alarm:
    return pic.Alarm(
        ref=alarm.ref,
        button=alarm.button,
        pressed=instant(alarm.pressed_at),
        drill=alarm.drill,
        stages=dict(alarm.stages),
        acknowledged=bool(alarm.acknowledged_by),
    )


def _button(button: PanicButton, panic: core.PanicState, reach: Reach) -> pic.Button:
    state = panic.buttons.get(button.id, core.ButtonState())
    readable = all(reach.readable(terminal) for terminal in (button.no, button.nc, button.loop))
    return pic.Button(
        id=button.id,
        name=button.name,
        line=state.line if readable else Line.UNREAD,
        since=instant(state.since_at),
        presses=state.presses,
        stuck=state.stuck_ref is not None,
        chatter=state.chatter_ref is not None,
        alarm_ref=state.fault_ref,
    )


def _fire(fire: core.FireState, site: Site, reach: Reach) -> pic.Fire:
    terminal = "" if site.fire is None else site.fire.terminal
    keys = [key for key in site.key if key.use == "fire_key"]
    return pic.Fire(
        fitted=site.fire is not None,
        input=fire.input if reach.readable(terminal) else None,
        key=fire.key if all(reach.readable(key.terminal) for key in keys) else None,
        latched=fire.latched,
        ref=fire.ref,
    )


# ── lanes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _lane(lane: Lane, box: core.BoxState, now: Now, outputs: Outputs, extras: Extras, reach: Reach) -> pic.Lane:
    state = box.lanes.get(lane.id, core.LaneState())
    wanted = outputs.lanes.get(lane.id)
    lost = state.lost or now.mono_s - state.fresh_at > FRESH_S or reach.up(f"lane:{lane.id}") is False
    return pic.Lane(
        id=lane.id,
        name=lane.name,
        kind=lane.kind,
        monitor_only=lane.monitor_only,
        lost=lost,
        fresh=instant(state.fresh_at) if lost else None,
        mode=Mode.UNKNOWN if lost else state.mode,
        light_commanded=None if wanted is None else wanted.light,
        light=None if lost else extras.lights.get(lane.id),
        warning_commanded=None if wanted is None else wanted.warning,
        warning=None if lost else state.warning_on,
        bollards=_bollards(lane, state, wanted, extras.bollards, lost),
        sensors=_sensors(lane, state, lost),
        request=_request(state.request),
        wanted=state.wanted,
        efo=state.efo,
        blocked=state.blocked,
        closed=state.closed,
        closed_ref=state.closed_ref,
        fire_key=None if lost else state.fire_key,
    )


def _request(request: core.LaneRequest | None) -> pic.Request | None:
    if request is None:
        return None
    return pic.Request(motion=request.motion, rank=request.rank, asked=round(request.asked_at * 1000))


def _sensors(lane: Lane, state: core.LaneState, lost: bool) -> tuple[pic.LaneSensor, ...]:
    wires = {
        "loop1": lane.sensors.loop1,
        "loop2": lane.sensors.loop2,
        "beam": lane.sensors.beam,
        "pressure": lane.sensors.pressure,
    }
    values = {name: state.sensors.get(name, core.SensorState()).value for name, wire in wires.items() if wire}
    return tuple(pic.LaneSensor(id=name, value=Sensor.UNREAD if lost else value) for name, value in values.items())


def _bollards(
    lane: Lane,
    state: core.LaneState,
    wanted: LaneOutputs | None,
    figures: Mapping[str, BollardFigures],
    lost: bool,
) -> tuple[pic.Bollard, ...]:
    made = []
    for bollard in lane.bollard:
        part = state.bollards.get(bollard.id, core.BollardState())
        shown = _bollard(part, lost)
        told = figures.get(bollard.id, BollardFigures())
        made.append(
            msgspec.structs.replace(
                shown,
                id=bollard.id,
                name=bollard.name,
                commissioned=bollard.commissioned,
                hold=part.hold if wanted is None else wanted.hold.get(bollard.id, part.hold),
                nominal_rise_ms=round(lane.rise_s * 1000),
                rise_ms=shown.rise_ms if shown.rise_ms is not None or not told.rises else told.rises[-1],
                rises=told.rises,
                turned_round=told.reversals,
            )
        )
    return tuple(made)


def _bollard(state: core.BollardState, lost: bool) -> pic.Bollard:
    return pic.Bollard(
        id="",
        position=Position.UNKNOWN if lost else state.position,
        since=instant(state.since_at),
        last_position=state.known,
        motion=state.motion,
        asked=instant(state.asked_at) if state.motion is not None else None,
        sent=state.sent,
        fault=state.fault,
        plc_fault=None if lost or state.reading is None else state.reading.fault,
        reversals=state.reversals,
        cycles=None if state.reading is None else state.reading.cycles,
        rise_ms=state.moved_ms,
    )


# ── doors, readers, keys ───────────────────────────────────────────────────────────────────────────────────────────


def _door(door: Door, state: core.BoxState, outputs: Outputs, extras: Extras, reach: Reach) -> pic.Door:
    part = state.doors.get(door.id, core.DoorState())
    wanted = outputs.locks.get(door.id)
    return pic.Door(
        id=door.id,
        name=door.name,
        lock_kind=door.lock_kind,
        evacuation_way=door.evacuation_way,
        lock_commanded=None if wanted is None else wanted.on,
        lock=extras.read_back.get(f"lock:{door.id}") if reach.readable(door.lock) else None,
        contact=part.contact if reach.readable(door.contact) else words.Contact.UNREAD,
        contact_fitted=bool(door.contact),
        since=instant(part.since_at),
        unlocked_until=instant(part.unlocked_until_at),
        forced=part.forced,
        forced_ref=part.forced_ref,
        held=part.held,
        held_ref=part.held_ref,
        shunted_until=instant(part.shunted_until_at),
        shunt_ref=part.shunt_ref,
        fault=part.fault,
    )


def _readers(state: core.BoxState, now: Now, site: Site, reach: Reach) -> tuple[pic.Reader, ...]:
    locked = {name: at for name, at in state.access.locked_out_until.items() if at > now.mono_s}
    return tuple(
        pic.Reader(
            id=reader.id,
            name=reader.name,
            door=reader.door,
            lane=reader.lane,
            direction=reader.direction,
            up=reach.up(f"reader:{reader.id}"),
            locked_out_until=instant(locked.get(reader.id)),
        )
        for reader in site.reader
    )


def _key(key: Key, state: core.BoxState, reach: Reach) -> pic.Key:
    on = state.keys.get(key.id) if reach.readable(key.terminal) else None
    return pic.Key(id=key.id, name=key.name, use=key.use, on=on)


# ── the box ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _supplies(state: core.BoxState, site: Site, reach: Reach) -> tuple[pic.Supply, ...]:
    fitted: dict[SupplyWord, Contact | None] = {"mains": site.mains, "battery": site.battery, "tamper": site.tamper}
    return tuple(
        pic.Supply(
            which=which,
            ok=state.health.supplies.get(which) if reach.readable(contact.terminal) else None,
            since=instant(state.health.supply_since_at.get(which)),
        )
        for which, contact in fitted.items()
        if contact is not None
    )


def _lamps(outputs: Outputs, site: Site, extras: Extras) -> tuple[pic.Lamp, ...]:
    fitted = [name for name in ("sent", "received", "coming", "fault") if getattr(site.indicators, name)]
    lamps = [
        pic.Lamp(
            id=name,
            commanded=outputs.lamps[name].on if name in outputs.lamps else None,
            on=extras.read_back.get(f"lamp:{name}"),
        )
        for name in fitted
    ]
    if site.indicators.siren:
        lamps.append(pic.Lamp(id="siren", commanded=outputs.siren.on, on=extras.read_back.get("siren")))
    return tuple(lamps)


def _paths(state: core.BoxState, extras: Extras) -> tuple[pic.Path, ...]:
    ids = dict.fromkeys((*state.rules.paths, *state.health.paths))
    return tuple(_path(name, state.health.paths.get(name), extras.paths.get(name, PathFigures())) for name in ids)


def _path(name: str, health: core.DeviceState | None, figures: PathFigures) -> pic.Path:
    return pic.Path(
        id=name,
        up=None if health is None else health.up,
        since=None if health is None else instant(health.since_at),
        since_wall_ms=None if health is None or not health.since_ms else health.since_ms,
        why="" if health is None else health.why,
        backlog=figures.backlog,
        last_receipt=instant(figures.last_receipt_at),
        given_up=figures.given_up,
    )


def _journal(state: core.BoxState, extras: Extras) -> pic.JournalPart:
    return msgspec.structs.replace(
        extras.journal,
        health=state.health.journal,
        why=state.health.journal_why,
        head=state.next_seq - 1,
    )


def blank(site: Site) -> pic.Picture:
    """The picture of a gate nobody has told anything of: everything unknown."""
    nothing = Outputs(locks={}, lamps={}, siren=Level(on=False), lanes={}, motions=())
    never = Now(mono_s=0.0, wall_ms=0, trust=ClockTrust.UNTRUSTED)
    shown = picture(core.BoxState(rules=_no_rules(site)), never, nothing, site, Extras())
    lamps = tuple(msgspec.structs.replace(lamp, commanded=None) for lamp in shown.lamps)
    return msgspec.structs.replace(shown, lamps=lamps, journal=pic.JournalPart())


def _no_rules(site: Site) -> BoxRules:
    return BoxRules(
        site_box=f"{site.site.id}/{site.site.box}",
        lanes=(),
        doors=(),
        readers=(),
        buttons=(),
        keys=(),
        credentials={},
        paths=path_names(site),
        lamps=(),
        has_fire=site.fire is not None,
        panic_raises_bollards=False,
        panic_audible=False,
        fire_lowers_service_lane=False,
    )
