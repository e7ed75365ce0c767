"""Everything that can be wrong with the hardware, as data: which device, which kind, which numbers.

A fault lies on a device until it is healed. The device's own code looks its faults up where it acts, so that a fault
never needs a second copy of the behaviour it spoils. Randomness comes only from the world's seeded generator.

Devices are named ``bus:plc``, ``lane:main``, ``board:relays``, ``bollard:main-1``, ``sensor:main:loop1``,
``button:gatehouse``, ``door:wicket``, ``reader:guard``, ``gpio:17`` (one wire) and ``gpio`` (the pin daemon).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = float | str


class FaultMistake(Exception):
    """A fault that cannot be: `field` is the wrong key, `valid` what it may be."""

    def __init__(self, message: str, field_name: str, valid: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.field = field_name
        self.valid = tuple(valid)


@dataclass(frozen=True, slots=True)
class Number:
    """A numeric parameter with its bounds."""

    default: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is one of a few words; the first is the default."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: the device classes it may lie on, its parameters, and what it does in a line."""

    name: str
    on: tuple[str, ...]
    does: str
    params: Mapping[str, Number | Choice] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as it lies on a device. `params` is complete: defaults are filled in."""

    device: str
    kind: str
    params: Mapping[str, Value] = field(default_factory=dict)

    def number(self, name: str) -> float:
        value = self.params[name]
        assert not isinstance(value, str), f"{name} of {self.kind} is not a number"
        return value

    def word(self, name: str) -> str:
        value = self.params[name]
        assert isinstance(value, str), f"{name} of {self.kind} is not a word"
        return value


WIRE = ("bus", "lane", "board")
_OFTEN = {"p": Number(1.0, 0.0, 1.0), "count": Number(0, 0, 1_000_000)}  # count 0 = until healed

KINDS: tuple[Kind, ...] = (
    Kind("dead", (*WIRE, "reader"), "answers nothing; the line stands"),
    Kind("dead", ("gpio",), "the pin daemon is gone: connections break, new ones are refused"),
    Kind("hung", ("gpio",), "takes connections and answers nothing"),
    Kind("unplugged", ("bus", "reader"), "the port or cable is gone: connections break, new ones are refused"),
    Kind("slow", WIRE, "answers late, but within the master's time-out", {"delay_s": Number(0.1, 0, 10), **_OFTEN}),
    Kind("late", WIRE, "answers after the master's time-out", {"delay_s": Number(0.35, 0, 10), **_OFTEN}),
    Kind("garbage", (*WIRE, "reader"), "random bytes in place of the answer", _OFTEN),
    Kind("bad_check", (*WIRE, "reader"), "one bit of the answer flipped on its way", _OFTEN),
    Kind("truncated", WIRE, "half of the answer", _OFTEN),
    Kind("one_byte", (*WIRE, "reader"), "one byte at a time", {"gap_s": Number(0.002, 0, 1), **_OFTEN}),
    Kind("wrong_unit", WIRE, "the answer names another unit", _OFTEN),
    Kind("wrong_transaction", WIRE, "a gateway that answers with transaction 0", _OFTEN),
    Kind("exception", WIRE, "answers 'no' with this code (6 = busy)", {"code": Number(6, 1, 11), **_OFTEN}),
    Kind("lying", ("lane", "board"), "confirms writes that never happen", _OFTEN),
    Kind("frozen", ("lane", "board"), "answers reads as of the moment the fault began, heartbeat echo included"),
    Kind(
        "reboot",
        ("lane",),
        "restarts: silent for boot_s, then no motion and nothing remembered",
        {
            "boot_s": Number(1.5, 0, 60),
        },
    ),
    Kind("jammed", ("bollard",), "does not move though driven"),
    Kind("slow", ("bollard",), "travels this many times slower", {"factor": Number(1.4, 1, 10)}),
    Kind(
        "stuck_switch",
        ("bollard",),
        "a limit switch that does not change",
        {
            "switch": Choice(("up", "down")),
            "reads": Choice(("off", "on")),
        },
    ),
    Kind("lying", ("bollard",), "limit switches swapped: up reads as down"),
    Kind("sinks", ("bollard",), "creeps down by itself in over_s", {"over_s": Number(20, 0.1, 3600)}),
    Kind(
        "rises_alone",
        ("bollard",),
        "rises by itself after after_s, as some makes do",
        {
            "after_s": Number(30, 0, 3600),
        },
    ),
    Kind("drive", ("bollard",), "the drive reports this fault code and stops", {"code": Number(3, 1, 15)}),
    Kind("faulty", ("sensor",), "knows and says that it is broken"),
    Kind("stuck_occupied", ("sensor",), "always occupied"),
    Kind("stuck_clear", ("sensor",), "always clear: it lies"),
    Kind("stuck", ("button",), "the contacts stay as they are", {"state": Choice(("pressed", "released"))}),
    Kind(
        "chatter",
        ("button",),
        "bounces at every change, and each every_s by itself if that is not 0",
        {
            "bounces": Number(8, 1, 200),
            "over_s": Number(0.02, 0.0001, 5),
            "every_s": Number(0, 0, 3600),
        },
    ),
    Kind("cut", ("button",), "the line is cut", {"wire": Choice(("pair", "no", "nc"))}),
    Kind("shorted", ("button",), "the line is shorted", {"wire": Choice(("pair", "no", "nc"))}),
    Kind(
        "drift",
        ("board",),
        "an analogue board that reads this many millivolts too much",
        {
            "mv": Number(400, -10_000, 10_000),
        },
    ),
    Kind(
        "stuck_relay",
        ("board",),
        "a relay contact that is welded or dead",
        {
            "channel": Number(0, 0, 31),
            "state": Choice(("on", "off")),
        },
    ),
    Kind("contact_stuck", ("door",), "the door contact does not change", {"reads": Choice(("closed", "open"))}),
    Kind("lock_stuck", ("door",), "the lock does not obey its relay", {"state": Choice(("unlocked", "locked"))}),
    Kind("cut", ("gpio_wire",), "the wire at this terminal is cut: reads high"),
    Kind("shorted", ("gpio_wire",), "the wire at this terminal is shorted to ground: reads low"),
    Kind(
        "restart",
        ("gpio",),
        "the pin daemon restarts: connections break, outputs fall back to inputs",
        {
            "down_s": Number(0.5, 0, 60),
        },
    ),
    Kind("deaf", ("gpio",), "edges are lost; only the level tells"),
    Kind("repeats", ("reader",), "sends every card twice"),
)

ALIASES = {
    "late_reply": "late", "stuck_limit_switch": "stuck_switch", "stuck_button": "stuck", "cut_line": "cut",
    "short": "shorted", "plc_reboot": "reboot", "unplug": "unplugged", "busy": "exception",
}  # fmt: skip


def class_of(device: str) -> str:
    """ "lane:main" → "lane"; a single wire ("gpio:17") is a class of its own."""
    head, _, tail = device.partition(":")
    return "gpio_wire" if head == "gpio" and tail else head


def kinds_for(device: str) -> dict[str, Kind]:
    """The kinds of fault that a device may have, by name."""
    of_class = class_of(device)
    return {kind.name: kind for kind in KINDS if of_class in kind.on}


def make(device: str, kind: str, params: Mapping[str, object]) -> Fault:
    """A checked fault with its defaults filled in. Raises FaultMistake, naming the field and what it may be."""
    known = kinds_for(device)
    found = known.get(ALIASES.get(kind, kind))
    if found is None:
        raise FaultMistake(f"{device} cannot be {kind!r}", "kind", known)
    unread = set(params) - set(found.params)
    if unread:
        name = min(unread)
        raise FaultMistake(f"{found.name} has no parameter {name!r}", name, found.params)
    values = {name: _value(name, spec, params.get(name)) for name, spec in found.params.items()}
    return Fault(device, found.name, values)


def _value(name: str, spec: Number | Choice, given: object) -> Value:
    if isinstance(spec, Choice):
        word = spec.words[0] if given is None else given
        if word not in spec.words:
            raise FaultMistake(f"{name} is {given!r}", name, spec.words)
        return str(word)
    if given is None:
        return spec.default
    if isinstance(given, bool) or not isinstance(given, int | float) or not spec.low <= given <= spec.high:
        raise FaultMistake(f"{name} is {given!r}", name, (f"a number from {spec.low:g} to {spec.high:g}",))
    return given


class FaultBook:
    """The faults that lie on devices now. `on(device)` is a live mapping that a device may keep and look into."""

    def __init__(self) -> None:
        self._by_device: dict[str, dict[str, Fault]] = {}

    def on(self, device: str) -> Mapping[str, Fault]:
        return self._by_device.setdefault(device, {})

    def add(self, fault: Fault) -> None:
        """Lay a fault; the same kind on the same device is replaced."""
        self._by_device.setdefault(fault.device, {})[fault.kind] = fault

    def take(self, device: str = "", kind: str = "") -> list[Fault]:
        """Lift the faults of a device, of a kind, or all, and return them."""
        lifted = [f for f in self.all() if device in ("", f.device) and kind in ("", f.kind)]
        for fault in lifted:
            del self._by_device[fault.device][fault.kind]
        return lifted

    def all(self) -> list[Fault]:
        return [fault for faults in self._by_device.values() for fault in faults.values()]
