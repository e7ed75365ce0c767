"""What one can do to the gate from outside, as named verbs with named arguments, checked in field words.

Pure but for the hands it is given: the world, the readers' lines and the clock's offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from hardware import profiles
from sim.button import LINE_STATES
from sim.door import SIDES
from sim.faults import FaultMistake
from sim.ground import PLACES
from sim.readers import DIGITS
from sim.world import UnknownName, World

MODES: tuple[Literal["remote", "local", "hand", "estop"], ...] = ("remote", "local", "hand", "estop")
PRESS_S = 0.3  # D: a quick press, well above the 50 ms that must not be missed
YEARS_S = 10 * 366 * 86_400.0
Told: TypeAlias = dict[str, object]
Word = TypeVar("Word", bound=str)


class WrongInput(Exception):
    """The caller asked for what cannot be: which field, and what it may be."""

    def __init__(self, message: str, field: str, valid: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.field = field
        self.valid = tuple(valid)


class NotNow(Exception):
    """The request is sound, the gate is not in a state for it."""


class SwipesCards(Protocol):
    """Where cards are held: a reader's line, or whatever stands for it."""

    def swipe(self, digits: str) -> None: ...


class StepsClock(Protocol):
    def step(self, by_s: float) -> int:
        """Step the box's wall clock; returns the whole offset in milliseconds. Raises OSError."""
        ...


class Arguments:
    """The body of one request. Every field asked for is marked; `done` refuses the ones nobody asked for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._read: set[str] = set()

    def _take(self, field: str) -> Any:
        self._read.add(field)
        return self._given.get(field)

    def word(self, field: str, valid: Iterable[Word]) -> Word:
        """One of a few words."""
        value, words = self._take(field), tuple(valid)
        for word in words:
            if word == value:
                return word
        said = f"{field} is missing" if value is None else f"there is no {field} {value!r}"
        raise WrongInput(said, field, words)

    def text(self, field: str, what: str) -> str:
        """Free text that is not empty."""
        value = self._take(field)
        if not isinstance(value, str) or not value.strip():
            raise WrongInput(f"{field} is {'missing' if value is None else repr(value)}", field, (what,))
        return value.strip()

    def flag(self, field: str, default: bool | None = None) -> bool:
        value = self._take(field)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise WrongInput(f"{field} is {'missing' if value is None else repr(value)}", field, ("true", "false"))
        return value

    def number(self, field: str, low: float, high: float, default: float | None = None) -> float:
        value = self._take(field)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            said = "missing" if value is None else repr(value)
            raise WrongInput(f"{field} is {said}", field, (f"a number from {low:g} to {high:g}",))
        return float(value)

    def has(self, field: str) -> bool:
        return self._given.get(field) is not None

    def rest(self) -> dict[str, Any]:
        """All fields not asked for yet."""
        left = {field: value for field, value in self._given.items() if field not in self._read}
        self._read |= set(left)
        return left

    def done(self) -> None:
        for field in self._given:
            if field not in self._read:
                raise WrongInput(f"{field!r} means nothing here", field, sorted(self._read))


class Hands:
    """The verbs. `do(verb, body)` returns what to answer; it raises WrongInput or NotNow."""

    def __init__(self, world: World, readers: Mapping[str, SwipesCards], clock: StepsClock) -> None:
        self._world = world
        self._readers = readers
        self._clock = clock
        self._holders = {credential.holder: credential.card for credential in world.site.credential}
        self._formats = {r.id: profiles.reader(r.profile).format for r in world.site.reader}
        self._verbs: dict[str, Callable[[Arguments], Told]] = {
            "press": self._press, "release": self._release, "line": self._line, "swipe": self._swipe,
            "door": self._door, "vehicle": self._vehicle, "person": self._person, "fire": self._fire,
            "tamper": self._tamper, "mains": self._mains, "battery": self._battery, "key": self._key,
            "rex": self._rex, "mode": self._mode, "clock": self._step, "fault": self._fault, "heal": self._heal,
        }  # fmt: skip

    @property
    def verbs(self) -> tuple[str, ...]:
        return tuple(self._verbs)

    def do(self, verb: str, body: object) -> Told:
        """Run a verb. `body` is the decoded JSON of the request."""
        if verb not in self._verbs:
            raise WrongInput(f"there is no verb {verb!r}", "verb", self._verbs)
        if not isinstance(body, dict):
            raise WrongInput("the body must be a JSON object", "", ('{"field": value}',))
        arguments = Arguments(body)
        try:
            return {"ok": True} | self._verbs[verb](arguments)
        except UnknownName as error:
            raise WrongInput(str(error), error.what, error.known) from error
        except FaultMistake as error:
            raise WrongInput(str(error), error.field, error.valid) from error

    # Each verb reads all its fields before it moves anything: a wrong request changes nothing.

    def _press(self, a: Arguments) -> Told:
        button = a.word("button", self._world.buttons)
        hold_s = None if a.flag("hold", False) else a.number("hold_s", 0.001, 3600, PRESS_S)
        a.done()
        self._world.press(button, hold_s)
        return {}

    def _release(self, a: Arguments) -> Told:
        button = a.word("button", self._world.buttons)
        a.done()
        self._world.release(button)
        return {}

    def _line(self, a: Arguments) -> Told:
        button, state = a.word("button", self._world.buttons), a.word("state", LINE_STATES)
        a.done()
        self._world.line(button, state)
        return {}

    def _swipe(self, a: Arguments) -> Told:
        reader = a.word("reader", self._formats)
        digits = self._digits(reader, a.text("card", "ten hex digits, <format>:<hex>, or a holder of the site file"))
        a.done()
        if "unplugged" in self._world.faults.on(f"reader:{reader}"):
            raise NotNow(f"reader {reader} is unplugged: heal it first")
        self._world.swipe(reader, f"{self._formats[reader]}:{digits}")
        self._readers[reader].swipe(digits)
        return {"card": digits}

    def _digits(self, reader: str, card: str) -> str:
        head, colon, tail = card.partition(":")
        if colon and head != self._formats[reader]:
            raise WrongInput(f"reader {reader} does not read {head!r} cards", "card", (f"{self._formats[reader]}:…",))
        digits = self._holders.get(card, tail if colon else card)
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{DIGITS}}}", digits, re.ASCII):
            raise WrongInput(f"{card!r} is no card", "card", (f"{DIGITS} hex digits", *self._holders))
        return digits.upper()

    def _door(self, a: Arguments) -> Told:
        door, open = a.word("door", self._world.doors), a.flag("open")
        side = a.word("from", SIDES) if a.has("from") else None
        for_s = a.number("for_s", 0, 3600, 0.0)
        a.done()
        why = self._world.door(door, open, side, for_s)
        return {"moved": not why, "why": why}

    def _vehicle(self, a: Arguments) -> Told:
        lane, at = a.word("lane", self._world.lanes), a.word("at", PLACES)
        a.done()
        self._world.vehicle(lane, at)
        return {}

    def _person(self, a: Arguments) -> Told:
        lane, at = a.word("lane", self._world.lanes), a.word("at", PLACES)
        a.done()
        self._world.person(lane, at)
        return {}

    def _fire(self, a: Arguments) -> Told:
        on = a.flag("on")
        a.done()
        self._world.fire(on)
        return {}

    def _tamper(self, a: Arguments) -> Told:
        on = a.flag("on", True)
        a.done()
        self._world.supply("tamper", not on)
        return {}

    def _mains(self, a: Arguments) -> Told:
        on = a.flag("on")
        a.done()
        self._world.supply("mains", on)
        return {}

    def _battery(self, a: Arguments) -> Told:
        on = a.flag("on")
        a.done()
        self._world.supply("battery", on)
        return {}

    def _key(self, a: Arguments) -> Told:
        key, position = a.word("key", self._world.keys), a.word("position", ("on", "off"))
        a.done()
        self._world.key(key, position == "on")
        return {}

    def _rex(self, a: Arguments) -> Told:
        door = a.word("door", self._world.rex_down)
        hold_s = a.number("hold_s", 0.001, 3600, 0.5)
        a.done()
        self._world.rex(door, hold_s)
        return {}

    def _mode(self, a: Arguments) -> Told:
        lane, mode = a.word("lane", self._world.lanes), a.word("mode", MODES)
        a.done()
        self._world.mode(lane, mode)
        return {}

    def _step(self, a: Arguments) -> Told:
        by_s = a.number("step_s", -YEARS_S, YEARS_S)
        a.done()
        try:
            return {"offset_ms": self._clock.step(by_s)}
        except OSError as error:
            raise NotNow(f"the clock's offset cannot be written: {error}") from error

    def _fault(self, a: Arguments) -> Told:
        device = a.text("device", "a device, for example lane:main")
        kind = a.text("kind", "a kind of fault").lower().replace("-", "_").replace(" ", "_")
        fault = self._world.fault(device, kind, a.rest())
        return {"device": fault.device, "kind": fault.kind, "params": dict(fault.params)}

    def _heal(self, a: Arguments) -> Told:
        device = a.text("device", "a device") if a.has("device") else ""
        kind = a.text("kind", "a kind of fault") if a.has("kind") else ""
        a.done()
        return {"healed": [f"{fault.device} {fault.kind}" for fault in self._world.heal(device, kind)]}
