"""The gate as it truly is: bollards, doors, buttons, wires, people. Pure physics, without clock, I/O or chance.

Time comes from outside, in seconds of any origin: `advance(to_s)` runs everything due until then, and `next_s()` tells
when something is due next, so that a caller in real time can sleep and one in virtual time can jump. The same world
serves the simulator process (over Modbus, pins and ptys) and the year run (by these methods alone).

How to use it in virtual time::

    world = World(site, seed=7)
    world.listen(changes.append)              # everything that changes, as `Change`
    world.lanes["main"].keep_alive(True)      # a heartbeat that needs no events
    world.advance(10.0)
    world.press("gatehouse", hold_s=0.3)      # Change("line", "gatehouse", "pressed") at once, "normal" 0.3 s later
    world.lanes["main"].show(red=True, green=False, warning=True)
    world.lanes["main"].request("main-1", "efo", token=1)
    world.advance(11.5)                       # Change("lane", "main", "end")
    world.lanes["main"].signs()               # what its PLC reports
    world.drive("gpio:16", True)              # an output of the box: energise the wicket's lock

Nothing here raises for what may happen at a gate. A name that the site file does not have raises `UnknownName`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from hardware import profiles
from hardware.site import Contact, PanicButton, Site
from sim.agenda import Agenda
from sim.button import Button
from sim.door import Door, Side
from sim.faults import ALIASES, Fault, FaultBook, FaultMistake, class_of, kinds_for, make
from sim.ground import Place
from sim.lane import Lane
from sim.wiring import Wiring

T = TypeVar("T")


class Change(NamedTuple):
    """Something changed at `at_s`.

    | kind | name | value |
    |---|---|---|
    | line | button | "normal" "pressed" "cut" "shorted", as the contacts look from the box |
    | key | key, "lane:<id>:raise" lower fire | turned on or off |
    | fire | "fire" | the fire panel's contact is active |
    | supply | "tamper" "mains" "battery" | whether it is healthy |
    | rex | door | the button is down |
    | door | door | whether the leaf is open |
    | forced | door | True: opened against its lock |
    | lock | door | whether it holds |
    | card | reader | "<format>:<hex>" was held to it |
    | lane | lane | what happened there: a motion, "end", "stop", a mode, "estop", "reboot", "fault" … |
    | sensor | "<lane>:<sensor>" | "clear" "occupied" "faulty" |
    | vehicle, person | lane | place |
    | light | "<lane>:red" green warning_lamp buzzer | burns |
    | lamp | "sent" "received" "coming" "fault" "siren" | burns, sounds |
    | fault | device | the kind laid, or "" when healed |
    | breach | bollard | what must never happen did: "rose under someone", "moved without warning" |
    """

    at_s: float
    kind: str
    name: str
    value: str | bool | int


Listener: TypeAlias = Callable[[Change], None]
Supply = Literal["tamper", "mains", "battery"]
SUPPLIES: tuple[Supply, ...] = ("tamper", "mains", "battery")


class UnknownName(Exception):
    """There is no such thing at this gate; `known` lists what there is."""

    def __init__(self, what: str, name: object, known: Mapping[str, object] | tuple[str, ...]) -> None:
        self.what, self.name, self.known = what, name, tuple(known)
        super().__init__(f"there is no {what} {name!r}; this site has: {', '.join(self.known) or 'none'}")


class World:
    """One gate. Public parts: `lanes`, `doors`, `buttons`, `wiring` (pins, relays, loops), `faults`, `breaches`."""

    def __init__(self, site: Site, seed: int = 0, now_s: float = 0.0) -> None:
        """The gate at rest: bollards down, doors shut, nobody there. `seed` feeds the chances inside faults."""
        self.site = site
        self.rng = random.Random(seed)
        self.faults = FaultBook()
        self.breaches: list[Change] = []
        self.fire_on = False
        self.supplies: dict[Supply, bool] = dict.fromkeys(SUPPLIES, True)
        self.lamps: dict[str, bool] = {}
        self.keys: dict[str, bool] = {}
        self.rex_down: dict[str, bool] = {}
        self._readers = tuple(reader.id for reader in site.reader)
        self._listeners: list[Listener] = []
        self._agenda = Agenda(now_s)
        self.wiring = Wiring(site, self._agenda, self.faults)
        self.buttons = {button.id: self._button(button) for button in site.panic_button}
        self.doors: dict[str, Door] = {}
        self.lanes: dict[str, Lane] = {}
        self._make_doors()
        self._make_lanes()
        self._wire_box()

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def now_s(self) -> float:
        return self._agenda.now_s

    def next_s(self) -> float:
        """When something is due next; infinity when the world is at rest."""
        return self._agenda.next_s()

    def advance(self, to_s: float) -> None:
        """Let time pass up to and with `to_s`. Changes are told in order, each at its own instant."""
        self._agenda.advance(to_s)

    def listen(self, listener: Listener) -> None:
        """Be told of every change, while it happens. A listener may call back into the world."""
        self._listeners.append(listener)

    # ── hands and feet ─────────────────────────────────────────────────────────────────────────────────────────────

    def press(self, button: str, hold_s: float | None = None) -> None:
        """Press a panic button; with `hold_s` it is let go after that time, else by `release`."""
        pick("button", button, self.buttons).press(hold_s)

    def release(self, button: str) -> None:
        pick("button", button, self.buttons).release()

    def line(self, button: str, state: Literal["normal", "cut", "shorted"]) -> None:
        """Cut or short a panic button's line, both wires of a pair, or mend it."""
        found = pick("button", button, self.buttons)
        device = f"button:{button}"
        lifted = self.faults.take(device, "cut") + self.faults.take(device, "shorted")
        if state != "normal":
            self.fault(device, state)
        elif lifted:
            found.settle()
            self._emit("fault", device, "")

    def swipe(self, reader: str, card: str) -> None:
        """Hold a card to a reader. `card` is "<format>:<hex digits>"."""
        if reader not in self._readers:
            raise UnknownName("reader", reader, self._readers)
        self._emit("card", reader, card)

    def door(self, door: str, open: bool, side: Side | None = None, for_s: float = 0.0) -> str:
        """Open or close a door. From a side, a person tries, and "locked" comes back if the lock holds against them.

        Without a side the leaf is moved whatever it takes. With `for_s` it falls shut after that time.
        """
        return pick("door", door, self.doors).move(open, side, for_s)

    def rex(self, door: str, hold_s: float = 0.5) -> None:
        """Press the request-to-exit button of a door."""
        self._set_rex(door, True)
        self._agenda.at(self.now_s + hold_s, lambda: self._set_rex(door, False))

    def vehicle(self, lane: str, at: Place) -> None:
        pick("lane", lane, self.lanes).place_vehicle(at)

    def person(self, lane: str, at: Place) -> None:
        pick("lane", lane, self.lanes).place_person(at)

    def mode(self, lane: str, mode: Literal["remote", "local", "hand", "estop"]) -> None:
        """Turn the selector at the lane's cabinet, or press its e-stop; any other mode lets the e-stop out."""
        found = pick("lane", lane, self.lanes)
        if mode == "estop":
            found.press_estop()
        else:
            found.select(mode)

    def key(self, key: str, on: bool) -> None:
        """Turn a key switch, or hold one of a lane's hold-to-run buttons ("lane:<id>:raise", "lane:<id>:lower").

        "lane:<id>:fire" is the fire key on the lane's own controller; the box hears of it from there only.
        """
        terminal = pick("key", key, self._key_terminals)
        if terminal == "plc":
            self.lanes[key.split(":")[1]].turn_fire_key(on)
        else:
            self.wiring.contact(terminal, on)
        if self.keys[key] != on:
            self.keys[key] = on
            self._emit("key", key, on)

    def fire(self, on: bool) -> None:
        """The fire panel's contact. Its relay also cuts the supply of fail-safe locks, without any software."""
        self.fire_on = on
        if self.site.fire is not None:
            self.wiring.contact(self.site.fire.terminal, on == (self.site.fire.active == "closed"))
        for door in self.doors.values():
            door.cut_supply(on)
        self._emit("fire", "fire", on)

    def supply(self, which: Supply, ok: bool) -> None:
        """The tamper, mains or battery contact: healthy or not."""
        contact: Contact | None = getattr(self.site, which)
        self.supplies[which] = ok
        if contact is not None:
            self.wiring.contact(contact.terminal, ok == (contact.ok == "closed"))
        self._emit("supply", which, ok)

    # ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def devices(self) -> tuple[str, ...]:
        """Every device that can have a fault, as `sim.faults` names them."""
        site = self.site
        return (
            *(f"bus:{bus.name}" for bus in site.bus),
            *(f"lane:{lane}" for lane in self.lanes),
            *(f"bollard:{post}" for lane in self.lanes.values() for post in lane.posts),
            *(f"sensor:{lane.id}:{name}" for lane in self.lanes.values() for name in lane.sensor_terminals),
            *(f"board:{board}" for board in (*self.wiring.relays, *self.wiring.loops)),
            *(f"button:{button}" for button in self.buttons),
            *(f"door:{door}" for door in self.doors),
            *(f"reader:{reader.id}" for reader in site.reader),
            "gpio",
            *(f"gpio:{gpio}" for gpio in range(len(self.wiring.pins.mode))),
        )

    def fault(self, device: str, kind: str, params: Mapping[str, object] | None = None) -> Fault:
        """Lay a fault. Raises UnknownName for a device, FaultMistake for a kind or parameter that it cannot have."""
        fault = make(self.find_device(device, kind), kind, params or {})
        self.faults.add(fault)
        if fault.kind == "reboot":
            self.lanes[fault.device.removeprefix("lane:")].reboot(fault.number("boot_s"))
            self.faults.take(fault.device, "reboot")
        self._faults_changed(fault)
        self._emit("fault", fault.device, fault.kind)
        return fault

    def heal(self, device: str = "", kind: str = "") -> list[Fault]:
        """Lift the faults of a device, of a kind, or all; returns what was lifted."""
        lifted = self.faults.take(self.find_device(device, "") if device else "", kind)
        for fault in lifted:
            self._faults_changed(fault)
            self._emit("fault", fault.device, "")
        return lifted

    def find_device(self, name: str, kind: str) -> str:
        """The full name of a device. A bare "main" or "plc" will do where only one device is meant."""
        known = self.devices()
        if name in known:
            return name
        short = [device for device in known if device.partition(":")[2] == name]
        if len(short) > 1 and kind:
            short = [device for device in short if ALIASES.get(kind, kind) in kinds_for(device)] or short
        if len(short) > 1:
            raise FaultMistake(f"{name!r} may be any of these devices", "device", short)
        if not short:
            raise UnknownName("device", name, known)
        return short[0]

    # ── the box's own wires ────────────────────────────────────────────────────────────────────────────────────────

    def drive(self, terminal: str, on: bool) -> None:
        """Set an output terminal ("gpio:16", "relays:0") as the box would."""
        self.wiring.drive(terminal, on)

    def closed(self, terminal: str) -> bool:
        """Whether the contact at a GPIO terminal looks closed from the box."""
        return self.wiring.closed(terminal)

    # ── how it is put together ─────────────────────────────────────────────────────────────────────────────────────

    def _emit(self, kind: str, name: str, value: str | bool | int) -> None:
        if kind == "wire":
            self.wiring.contact(name, bool(value))
            return
        change = Change(self.now_s, kind, name, value)
        if kind == "breach":
            self.breaches.append(change)
        for listener in self._listeners:
            listener(change)

    def _button(self, site: PanicButton) -> Button:
        faults = self.faults.on(f"button:{site.id}")
        if not site.loop:
            return Button(site.id, self._agenda, faults, self.rng, lambda b: self._wire_pair(site, b), self._emit)
        board = site.loop.partition(":")[0]
        profile = next(b.profile for b in self.site.analog_board if b.name == board)
        middle = {w.line: (w.low + w.high) // 2 for w in profiles.analog(profile).windows}
        return Button(
            site.id, self._agenda, faults, self.rng,
            lambda b: self.wiring.set_loop(site.loop, middle[b.line]), self._emit,
        )  # fmt: skip

    def _wire_pair(self, site: PanicButton, button: Button) -> None:
        no_closed, nc_closed = button.contacts
        self.wiring.contact(site.nc, nc_closed)  # breaks before the other makes
        self.wiring.contact(site.no, no_closed)

    def _make_doors(self) -> None:
        for site in self.site.door:
            wire = self._contact_wire(site.contact)
            door = Door(site, self._agenda, self.faults.on(f"door:{site.id}"), wire, self._emit)
            self.doors[site.id] = door
            self.wiring.hang(site.lock, door.energise)
            if site.rex:
                self.rex_down[site.id] = False

    def _contact_wire(self, terminal: str) -> Callable[[bool], None]:
        return lambda closed: self.wiring.contact(terminal, closed)

    def _make_lanes(self) -> None:
        for site in self.site.lane:
            lane = Lane(site, profiles.bollard(site.profile), self._agenda, self.faults, self._emit)
            self.lanes[site.id] = lane
            for light, terminal in (("red", site.light_red), ("green", site.light_green), ("buzzer", site.buzzer),
                                    ("warning_lamp", site.warning_lamp)):  # fmt: skip
                self.wiring.hang(terminal, self._light_sink(lane, light))
            for terminal in lane.sensor_terminals.values():
                if terminal != "plc":
                    self.wiring.contact(terminal, True)

    def _light_sink(self, lane: Lane, light: str) -> Callable[[bool], None]:
        return lambda on: lane.light(light, on)

    def _wire_box(self) -> None:
        self._key_terminals = self._find_keys()
        self.keys = dict.fromkeys(self._key_terminals, False)
        if self.site.fire is not None:
            self.wiring.contact(self.site.fire.terminal, self.site.fire.active == "open")
        for which in SUPPLIES:
            contact: Contact | None = getattr(self.site, which)
            if contact is not None:
                self.wiring.contact(contact.terminal, contact.ok == "closed")
        for lamp in ("sent", "received", "coming", "fault", "siren"):
            self.lamps[lamp] = False
            self.wiring.hang(getattr(self.site.indicators, lamp), self._lamp_sink(lamp))

    def _lamp_sink(self, lamp: str) -> Callable[[bool], None]:
        def sink(on: bool) -> None:
            if self.lamps[lamp] != on:
                self.lamps[lamp] = on
                self._emit("lamp", lamp, on)

        return sink

    def _find_keys(self) -> dict[str, str]:
        keys = {key.id: key.terminal for key in self.site.key}
        keys |= {f"lane:{lane.id}:fire": "plc" for lane in self.lanes.values() if lane.supervised}
        for lane in self.site.lane:
            for way, terminal in (("raise", lane.raise_key), ("lower", lane.lower_key)):
                if terminal:
                    keys[f"lane:{lane.id}:{way}"] = terminal
        return keys

    def _set_rex(self, door: str, down: bool) -> None:
        site = pick("door", door, self.doors).site
        if not site.rex:
            raise UnknownName("request-to-exit button at", door, tuple(self.rex_down))
        self.rex_down[door] = down
        self.wiring.contact(site.rex, down)
        self._emit("rex", door, down)

    def _faults_changed(self, fault: Fault) -> None:
        """Let whatever the fault lies on look again."""
        _, _, name = fault.device.partition(":")
        match class_of(fault.device):
            case "lane":
                self.lanes[name].fault_changed()
            case "sensor":
                self.lanes[name.partition(":")[0]].fault_changed()
            case "bollard":
                next(lane for lane in self.lanes.values() if name in lane.posts).fault_changed()
            case "button":
                self.buttons[name].settle()
            case "door":
                self.doors[name].settle()
            case "board":
                self.wiring.settle_all()
            case "gpio_wire":
                faults = self.faults.on(fault.device)
                level = True if "cut" in faults else False if "shorted" in faults else None
                self.wiring.pins.force(int(name), level)
            case _:
                pass  # buses, readers and the pin daemon look their faults up when they speak


def pick(what: str, name: str, known: Mapping[str, T]) -> T:
    """The thing of that name. Raises UnknownName, listing what there is."""
    found = known.get(name)
    if found is None:
        raise UnknownName(what, name, known)
    return found
