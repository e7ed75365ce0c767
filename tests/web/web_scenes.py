"""Gates made by hand: core states and their pictures, for unit tests and for the screenshots."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path

import msgspec

from agent.core import box
from agent.core.events import BollardReading, Now, PolicyChanged, Started
from agent.core.outputs import LaneOutputs, Level, Outputs
from agent.core.policy import Calendar, Credential, DayPlan, Group, Passage, Policy, Post, Rules, Window
from agent.core.rules import BoxRules
from agent.core.state import (
    AlarmState,
    BollardState,
    BoxState,
    ButtonState,
    ClockState,
    DeviceState,
    DoorState,
    FireState,
    HealthState,
    Instant,
    LaneState,
    PanicState,
    SensorState,
    Watch,
)
from agent.core.words import ClockTrust, Contact, Hold, Light, Line, Mode, Motion, Position, Sensor, Stage
from agent.picture import JournalPart, Picture, Press
from agent.picture.build import Extras, PathFigures, picture
from agent.picture.campus import campus
from hardware.site import Site

DEMO = Path(__file__).parents[2] / "hardware" / "sites" / "demo.toml"
MONO_S = 50_000.0
WALL_MS = 1_795_422_600_000  # 2026-11-23 16:30 in Shanghai
NOW = Now(mono_s=MONO_S, wall_ms=WALL_MS, trust=ClockTrust.TRUSTED)
EPOCH = 1
HEAD = 1840


def demo_site(folder: Path, listen: tuple[str, ...] = ("127.0.0.1:0",)) -> Site:
    """The demo site with everything it writes under `folder`."""
    site = msgspec.convert(tomllib.loads(DEMO.read_text("utf-8")), Site)
    web = msgspec.structs.replace(site.web, listen=listen, guard_listen=())
    return msgspec.structs.replace(site, folder=str(folder), web=web)


def rules(site: Site) -> BoxRules:
    return BoxRules(
        site_box=f"{site.site.id}/{site.site.box}",
        lanes=(),
        doors=(),
        readers=(),
        buttons=tuple(button.id for button in site.panic_button),
        keys=(),
        credentials={},
        paths=("mqtt",),
        lamps=("sent", "received", "coming", "fault"),
        has_fire=True,
        panic_raises_bollards=True,
        panic_audible=False,
        fire_lowers_service_lane=True,
    )


def bollard(position: Position, ago_s: float = 1200.0, **more: object) -> BollardState:
    reading = BollardReading(up=position == Position.UP, down=position == Position.DOWN, cycles=1204)
    fields: dict[str, object] = {"reading": reading, "moved_ms": 4120, "known": position} | more
    return BollardState(position=position, since_at=MONO_S - ago_s, **fields)  # type: ignore[arg-type]


def lane_state(bollards: dict[str, BollardState], sensors: tuple[str, ...], **more: object) -> LaneState:
    clear = SensorState(value=Sensor.CLEAR, read_at=MONO_S - 0.02, clear_since_at=MONO_S - 60)
    fields: dict[str, object] = {
        "mode": Mode.REMOTE,
        "fresh_at": MONO_S - 0.02,
        "lost": False,
        "bollards": bollards,
        "sensors": dict.fromkeys(sensors, clear),
        "warning_on": False,
    } | more
    return LaneState(**fields)  # type: ignore[arg-type]


def up_device(ago_s: float = 40_000.0) -> DeviceState:
    return DeviceState(up=True, since_at=MONO_S - ago_s, since_ms=WALL_MS - round(ago_s * 1000))


def down_device(why: str, ago_s: float) -> DeviceState:
    return DeviceState(up=False, since_at=MONO_S - ago_s, since_ms=WALL_MS - round(ago_s * 1000), why=why)


def all_devices(site: Site) -> dict[str, DeviceState]:
    names = ["gpio", *(f"bus:{bus.name}" for bus in site.bus)]
    names += [board.name for board in site.relay_board] + [board.name for board in site.analog_board]
    names += [f"lane:{lane.id}" for lane in site.lane] + [f"reader:{reader.id}" for reader in site.reader]
    return {name: up_device() for name in names}


def normal_state(site: Site) -> BoxState:
    buttons = {
        button.id: ButtonState(line=Line.NORMAL, since_at=MONO_S - 40_000, released_at=MONO_S - 40_000)
        for button in site.panic_button
    }
    door = DoorState(contact=Contact.CLOSED, since_at=MONO_S - 300)
    return BoxState(
        rules=rules(site),
        boot="b1c2d3",
        epoch=EPOCH,
        next_seq=HEAD + 1,
        scanned=True,
        panic=PanicState(buttons=buttons),
        fire=FireState(input=False, key=False),
        lanes={
            "main": lane_state(
                {"main-1": bollard(Position.UP), "main-2": bollard(Position.UP, moved_ms=4240)},
                ("loop1", "loop2", "beam", "pressure"),
            ),
            "service": lane_state({"service-1": bollard(Position.DOWN, 9000.0)}, ("loop1", "loop2", "beam")),
        },
        doors={"wicket": door, "gatehouse": door, "turnstile": DoorState()},
        health=HealthState(
            devices=all_devices(site),
            supplies={"mains": True, "battery": True, "tamper": True},
            paths={"mqtt": up_device(3600.0)},
        ),
        clock=ClockState(trust=ClockTrust.TRUSTED, since_at=MONO_S - 40_000),
        keys={"panic-reset": False, "fire": False, "fire-reset": False},
    )


def outputs(**more: object) -> Outputs:
    fields: dict[str, object] = {
        "locks": {"wicket": Level(on=True), "gatehouse": Level(on=True), "turnstile": Level(on=True)},
        "lamps": {name: Level(on=False) for name in ("sent", "received", "coming", "fault")},
        "siren": Level(on=False),
        "lanes": {
            "main": LaneOutputs(light=Light.RED, warning=False, hold={"main-1": Hold.NONE, "main-2": Hold.NONE}),
            "service": LaneOutputs(light=Light.GREEN, warning=False, hold={"service-1": Hold.NONE}),
        },
        "motions": (),
    } | more
    return Outputs(**fields)  # type: ignore[arg-type]


def extras(**more: object) -> Extras:
    fields: dict[str, object] = {
        "turn_ms": 2,
        "read_back": {"lock:wicket": True, "lock:gatehouse": True, "lock:turnstile": True, "siren": False}
        | {f"lamp:{name}": False for name in ("sent", "received", "coming", "fault")},
        "lights": {"main": Light.RED, "service": Light.GREEN},
        "journal": JournalPart(durable=HEAD, synced=HEAD, size_bytes=1_510_000, free_bytes=9 << 30, headroom_days=2400),
        "paths": {"mqtt": PathFigures(backlog=0, last_receipt_at=MONO_S - 4)},
        "presses": (
            Press(ref=(1, 1201), hops={"decision_us": 310, "outputs_us": 900, "modbus_us": 1450, "durable_us": 2100}),
        ),
    } | more
    return Extras(**fields)  # type: ignore[arg-type]


POLICY = Policy(
    version=7,
    made_at_ms=WALL_MS - 20 * 86_400_000,
    site_box="dongfang-primary/*",
    calendar=Calendar(
        first=date(2026, 9, 1), last=date(2027, 8, 31), weekdays=("week",) * 7, source="calendar.toml:1"
    ),
    plans={
        "week": DayPlan(
            id="week",
            label="平日",
            windows=(
                Window(kind="class", start=480, end=960, passages=(Passage(direction="in", groups=("staff",)),)),
                Window(
                    kind="dismissal", start=960, end=1030, label="放学 <1>", peak=True, bollards="up",
                    passages=(Passage(direction="out", groups=("pupil",), grades=("1", "2")),), source="plans.toml:9",
                ),
                Window(kind="night", start=1200, end=1440, doors={"turnstile": "closed"}, source="plans.toml:20"),
            ),
        )
    },
    groups={"guard": Group(id="guard", kind="guard"), "pupil": Group(id="pupil", kind="pupil")},
    credentials={
        f"uart-125k:{n:010X}": Credential(card=f"uart-125k:{n:010X}", holder=holder, group=group)
        for n, (holder, group) in enumerate((("guard-7", "guard"), ("guard-8", "guard"), ("pupil-0009", "pupil")))
    },
    posts={
        "house": Post(id="house", reader="guard", label="门卫室", always=True),
        "kerb": Post(id="kerb", reader="guard", label="护学岗", peak=True),
    },
    rules=Rules(patrol_readers=("guard",)),
)  # fmt: skip


def school_state(site: Site) -> BoxState:
    """A box with nothing but a policy, at half past four: the gatehouse manned, the kerb too, four patrols."""
    gate = box.start(rules(site))
    for event in (Started("b1c2d3", None, None), PolicyChanged(POLICY, "d1", "office", "start")):
        gate, _ = box.step(gate, event, NOW)
    since = Instant(MONO_S - 3600, WALL_MS - 3_600_000)
    watches = {name: Watch(guard=guard, since=since, confirmed=since) for name, guard in GUARDS.items()}
    today = gate.campus.day
    duty = msgspec.structs.replace(
        gate.duty, on=watches, vacant={}, patrols=4, patrol_day=today, tested_ms=WALL_MS - 12 * 86_400_000
    )
    return msgspec.structs.replace(gate, duty=duty)


GUARDS = {"house": "guard-7", "kerb": "guard-8"}


def normal(site: Site) -> Picture:
    """All is well, with a school's policy in force."""
    shown = picture(normal_state(site), NOW, outputs(), site, extras())
    return msgspec.structs.replace(shown, campus=campus(school_state(site), NOW))


def panic(site: Site) -> Picture:
    """Pressed in the gatehouse 48 s ago: the near bollards are up, one is still on its way, received but not coming."""
    base = normal_state(site)
    replace = msgspec.structs.replace
    alarm = AlarmState(ref=(1, 1812), button="gatehouse", pressed_at=MONO_S - 48, stages={"mqtt": Stage.RECEIVED})
    pressed = ButtonState(line=Line.PRESSED, since_at=MONO_S - 48, presses=1)
    rising = bollard(Position.MOVING, 0.8, motion=Motion.EFO, token=7, asked_at=MONO_S - 0.9, sent=True)
    service = replace(base.lanes["service"], bollards={"service-1": rising}, efo=True, warning_on=True)
    main = replace(base.lanes["main"], efo=True, warning_on=True)
    state = replace(
        base,
        panic=replace(
            base.panic,
            latched=True,
            latched_ref=(1, 1812),
            lockdown=True,
            alarms=(alarm,),
            buttons=base.panic.buttons | {"gatehouse": pressed},
        ),
        lanes={"main": main, "service": service},
    )
    lanes = {
        "main": LaneOutputs(light=Light.RED, warning=True, hold={}),
        "service": LaneOutputs(light=Light.RED, warning=True, hold={}),
    }
    lamps = {name: Level(on=name in ("sent", "received")) for name in ("sent", "received", "coming", "fault")}
    more = extras(
        lights={"main": Light.RED, "service": Light.RED},
        read_back={"lock:wicket": True, "lock:gatehouse": True, "lock:turnstile": True, "siren": False}
        | {f"lamp:{name}": level.on for name, level in lamps.items()},
    )
    return picture(state, NOW, outputs(lanes=lanes, lamps=lamps), site, more)


def plc_dead(site: Site) -> Picture:
    """The PLC bus fell silent 12 minutes ago, an office button is torn off, and the broker is away."""
    base = normal_state(site)
    replace = msgspec.structs.replace
    why = "no answer from 127.0.0.1:11502"
    lost = {name: replace(lane, lost=True, fresh_at=MONO_S - 720) for name, lane in base.lanes.items()}
    gone = {name: down_device(why, 720) for name in ("bus:plc", "lane:main", "lane:service")}
    torn = ButtonState(line=Line.CUT, since_at=MONO_S - 3000, fault_ref=(1, 1703))
    state = replace(
        base,
        lanes=lost,
        panic=replace(base.panic, buttons=base.panic.buttons | {"office": torn}),
        health=replace(
            base.health,
            devices=base.health.devices | gone,
            supplies={"mains": False, "battery": True, "tamper": True},
            paths={"mqtt": down_device("nobody listens at 127.0.0.1:8883", 5400)},
            outputs={"light:main": "reads back otherwise than it was written"},
        ),
    )
    lanes = {name: LaneOutputs(light=Light.RED, warning=False, hold={}) for name in ("main", "service")}
    figures = {"mqtt": PathFigures(backlog=412, last_receipt_at=MONO_S - 5400)}
    more = extras(lights={}, paths=figures)
    return picture(state, NOW, outputs(lanes=lanes), site, more)


def fresh_start(site: Site) -> Picture:
    """Control has just started: nothing has been measured."""
    state = BoxState(rules=rules(site), boot="b1c2d3")
    return picture(state, NOW, outputs(), site, Extras())
