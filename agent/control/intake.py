"""From wires to events: what the pins, loops and readers say, in the core's words.

Edges make it quick, polled levels make it true: both feed the same filters, so a lost edge costs one poll (20 ms).
Runs in the event loop's thread. A level that cannot be read becomes "unread", never its last value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from agent.core.events import (
    CardBad,
    CardRead,
    DoorContact,
    Event,
    FireInput,
    KeyInput,
    PanicLine,
    Rex,
    SupplyInput,
)
from agent.core.words import Contact, Line, Sensor
from drivers.ports import BadCard, CardFrame, LineText
from hardware.site import Site
from hardware.terminals import Use, gpio_inputs


class LineChange(Protocol):
    @property
    def button(self) -> str: ...
    @property
    def line(self) -> LineText: ...
    @property
    def at(self) -> float: ...


class LineFilter(Protocol):
    """All panic lines of the site (`drivers.panic.PanicLines`)."""

    @property
    def lines(self) -> Mapping[str, LineText]: ...
    def edge(self, gpio: int, high: bool, at: float) -> Sequence[LineChange]: ...
    def levels(self, levels: Mapping[int, bool], at: float) -> Sequence[LineChange]: ...
    def loops(self, board: str, lines: Sequence[LineText], at: float) -> Sequence[LineChange]: ...
    def lost(self, source: str, at: float) -> Sequence[LineChange]: ...


class ContactFilter(Protocol):
    """One debounced contact (`drivers.debounce.Contact`). Calls return True when `high` changed."""

    @property
    def high(self) -> bool | None: ...
    def edge(self, high: bool, at: float) -> bool: ...
    def level(self, high: bool, at: float) -> bool: ...
    def lost(self, at: float) -> bool: ...


SETTLED_S = 0.5  # D: several times the longest of the filters' own times (0.1 s, drivers.debounce)
_PANIC = ("panic_no", "panic_nc", "panic_loop")


class Intake:
    """The site's inputs. `emit` takes each event as it is found."""

    def __init__(
        self,
        site: Site,
        lines: LineFilter,
        contact: Callable[[], ContactFilter],
        sensor: Callable[[], ContactFilter],
        emit: Callable[[Event], None],
    ) -> None:
        self._lines = lines
        self._emit = emit
        self._uses = {gpio: use for gpio, use in gpio_inputs(site).items() if use.role not in _PANIC}
        # A vehicle sensor is judged otherwise than a push button.
        self._contacts = {gpio: (sensor if use.role == "sensor" else contact)() for gpio, use in self._uses.items()}
        self._fire_high = site.fire is None or site.fire.active == "open"
        self._ok_high = {
            name: supply.ok == "open"
            for name in ("tamper", "mains", "battery")
            if (supply := getattr(site, name)) is not None
        }
        self._sensor_pins = self._local_sensor_pins()
        self.scanned_at: float | None = None  # when the pins were last all read
        self._levels: Mapping[int, bool] = {}
        self._stirred_at = 0.0  # last change of a level, or edge
        # Told "gpio", a board's name, or "panic" (every line judged), whenever that was just read. None: nobody asks.
        self.on_read: Callable[[str], None] | None = None

    def _local_sensor_pins(self) -> dict[str, dict[str, int]]:
        pins: dict[str, dict[str, int]] = {}
        for gpio, use in self._uses.items():
            if use.role == "sensor":
                pins.setdefault(use.owner, {})[use.part] = gpio
        return pins

    # ── pins ───────────────────────────────────────────────────────────────────────────────────────────────────

    def edge(self, gpio: int, high: bool, at: float) -> None:
        self._stirred_at = at
        contact = self._contacts.get(gpio)
        if contact is None:
            self._tell(self._lines.edge(gpio, high, at))
        elif contact.edge(high, at):
            self._say(gpio)

    def levels(self, levels: Mapping[int, bool], at: float) -> None:
        """One fresh reading of all pins, asked for at `at`."""
        self.scanned_at = at
        if levels != self._levels:
            self._levels, self._stirred_at = dict(levels), at
        elif at - self._stirred_at > SETTLED_S:
            return  # every filter has long made up its mind
        self._tell(self._lines.levels(levels, at))
        for gpio, contact in self._contacts.items():
            if contact.level(levels[gpio], at):
                self._say(gpio)
        if self.settled:
            self._was_read("gpio")

    def lost(self, at: float) -> None:
        """The pins cannot be read any more."""
        self.scanned_at = None
        self._levels = {}
        self._tell(self._lines.lost("gpio", at))
        for gpio, contact in self._contacts.items():
            if contact.lost(at):
                self._say(gpio)

    @property
    def settled(self) -> bool:
        """Whether every pin has been read and has a debounced value."""
        return self.scanned_at is not None and all(contact.high is not None for contact in self._contacts.values())

    def _was_read(self, device: str) -> None:
        if self.on_read is None:
            return
        self.on_read(device)
        if "unread" not in self._lines.lines.values():
            self.on_read("panic")

    # ── loops and readers ──────────────────────────────────────────────────────────────────────────────────────

    def loops(self, board: str, lines: Sequence[LineText], at: float) -> None:
        self._tell(self._lines.loops(board, lines, at))
        self._was_read(board)

    def loops_lost(self, board: str, at: float) -> None:
        self._tell(self._lines.lost(board, at))

    def card(self, reader: str, frame: CardFrame | BadCard) -> None:
        match frame:
            case CardFrame(card=card):
                self._emit(CardRead(reader, card))
            case BadCard(why=why):
                self._emit(CardBad(reader, why))

    # ── what lanes ask ─────────────────────────────────────────────────────────────────────────────────────────

    def local_sensors(self, lane: str) -> tuple[Mapping[str, Sensor], float] | None:
        """The lane's sensors wired to the box and when they were read; None when it has none.

        A sensor's contact is normally closed, so a cut wire reads as occupied.
        """
        pins = self._sensor_pins.get(lane)
        if pins is None:
            return None
        values = {name: self._sensor(self._contacts[gpio].high) for name, gpio in pins.items()}
        return values, self.scanned_at if self.scanned_at is not None else float("-inf")

    @staticmethod
    def _sensor(high: bool | None) -> Sensor:
        if high is None:
            return Sensor.UNREAD
        return Sensor.OCCUPIED if high else Sensor.CLEAR

    # ── words ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, changes: Sequence[LineChange]) -> None:
        for change in changes:
            self._emit(PanicLine(change.button, Line(change.line), change.at))

    def _say(self, gpio: int) -> None:
        event = self._event(self._uses[gpio], self._contacts[gpio].high)
        if event is not None:
            self._emit(event)

    def _event(self, use: Use, high: bool | None) -> Event | None:
        """The event of one contact; None where a change says nothing (a sensor is read with its lane)."""
        closed = None if high is None else not high
        match use.role:
            case "door_contact":
                return DoorContact(use.owner, _contact(closed))
            case "rex":
                return Rex(use.owner) if closed else None
            case "raise_key":
                return KeyInput(f"lane:{use.owner}:raise", closed)
            case "lower_key":
                return KeyInput(f"lane:{use.owner}:lower", closed)
            case "key":
                return KeyInput(use.owner, closed)
            case "fire":
                return FireInput(None if high is None else high is self._fire_high)
            case "supply":
                return self._supply(use.owner, high)
            case _:
                return None

    def _supply(self, which: str, high: bool | None) -> SupplyInput:
        ok = None if high is None else high is self._ok_high[which]
        match which:
            case "tamper":
                return SupplyInput("tamper", ok)
            case "mains":
                return SupplyInput("mains", ok)
            case _:
                return SupplyInput("battery", ok)


def _contact(closed: bool | None) -> Contact:
    if closed is None:
        return Contact.UNREAD
    return Contact.CLOSED if closed else Contact.OPEN
