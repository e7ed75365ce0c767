"""Panic lines: end-of-line loops on an analogue board, and all the site's buttons judged in one place.

An NO + NC pair on two pins tells normal, pressed, cut and disagreement. An end-of-line loop also tells a short: the
resistor at the button's end makes every wire fault a voltage of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers.debounce import LoopLine, PairLine
from drivers.errors import Misuse
from drivers.modbus_bus import ModbusBus
from drivers.ports import LineText
from hardware import profiles, site
from hardware.terminals import Channel, Gpio, parse


class LoopBoard:
    """`ports.LoopPort` over a Modbus analogue input board: one FC04 read of all channels, in millivolts."""

    def __init__(self, board: site.AnalogBoard, bus: ModbusBus) -> None:
        self._unit = board.unit
        self._bus = bus
        self._profile = profiles.analog(board.profile)

    async def read(self) -> tuple[LineText, ...]:
        """Each channel as its window says; a voltage in no window is "disagree": somebody has been at the line."""
        words = await self._bus.read_input(self._unit, self._profile.first_register, self._profile.channels)
        return tuple(self._line(millivolts) for millivolts in words.values)

    def _line(self, millivolts: int) -> LineText:
        for window in self._profile.windows:
            if window.low <= millivolts < window.high:
                return window.line
        return "disagree"


@dataclass(frozen=True, slots=True)
class LineChange:
    """Button `button` is now `line`, decided by an observation of instant `at` (monotonic s)."""

    button: str
    line: LineText
    at: float


class PanicLines:
    """All panic buttons of the site. Pure: time is passed in, and each call returns the lines that changed.

    Every line starts as "unread" without saying so. A single pin (`no` or `nc` alone, not supervised) knows only
    normal and pressed.
    """

    def __init__(self, buttons: Sequence[site.PanicButton]) -> None:
        self._pins: dict[int, tuple[str, str]] = {}  # gpio → button, contact
        self._pairs: dict[str, PairLine] = {}
        self._single: dict[str, str] = {}  # button with one contact → that contact
        self._channels: dict[str, dict[int, str]] = {}  # board → channel → button
        self._loops: dict[str, LoopLine] = {}
        for button in buttons:
            self._add(button)

    def _add(self, button: site.PanicButton) -> None:
        if button.loop:
            channel = parse(button.loop)
            if not isinstance(channel, Channel):
                raise Misuse(f"panic button {button.id}: a loop ends on an analogue board, not at {button.loop}")
            self._channels.setdefault(channel.board, {})[channel.number] = button.id
            self._loops[button.id] = LoopLine()
            return
        contacts = {which: text for which, text in (("no", button.no), ("nc", button.nc)) if text}
        if not contacts:
            raise Misuse(f"panic button {button.id} is wired to nothing")
        for which, text in contacts.items():
            pin = parse(text)
            if not isinstance(pin, Gpio):
                raise Misuse(f"panic button {button.id}: its contacts end on pins of the box, not at {text}")
            self._pins[pin.number] = (button.id, which)
        self._pairs[button.id] = PairLine()
        if len(contacts) == 1:
            self._single[button.id] = next(iter(contacts))

    @property
    def lines(self) -> Mapping[str, LineText]:
        """Every button's judged line now."""
        return {button: judged.line for button, judged in (*self._pairs.items(), *self._loops.items())}

    def edge(self, gpio: int, high: bool, at: float) -> list[LineChange]:
        """An edge of any pin, with the pin's own instant; pins of no button change nothing."""
        if gpio not in self._pins:
            return []
        button, which = self._pins[gpio]
        pair = self._pairs[button]
        if button in self._single:
            no_high, nc_high = _as_pair(which, high)
            return _change(button, pair, pair.levels(no_high, nc_high, at))
        return _change(button, pair, pair.edge(which, high, at))

    def levels(self, levels: Mapping[int, bool], at: float) -> list[LineChange]:
        """One fresh reading of the pins (`GpioPort.read_inputs`); `at` is when it was asked for."""
        seen: dict[str, dict[str, bool]] = {}
        for gpio, (button, which) in self._pins.items():
            if gpio in levels:
                seen.setdefault(button, {})[which] = levels[gpio]
        changes: list[LineChange] = []
        for button, contacts in seen.items():
            changes += self._levels(button, contacts, at)
        return changes

    def _levels(self, button: str, contacts: Mapping[str, bool], at: float) -> list[LineChange]:
        pair = self._pairs[button]
        single = self._single.get(button)
        if single is not None:
            no_high, nc_high = _as_pair(single, contacts[single])
        elif len(contacts) == 2:
            no_high, nc_high = contacts["no"], contacts["nc"]
        else:
            return []  # half a pair proves nothing
        return _change(button, pair, pair.levels(no_high, nc_high, at))

    def loops(self, board: str, lines: Sequence[LineText], at: float) -> list[LineChange]:
        """One fresh reading of an analogue board. A channel it does not have is unread."""
        changes: list[LineChange] = []
        for channel, button in self._channels.get(board, {}).items():
            line = lines[channel] if channel < len(lines) else "unread"
            changes += _change(button, self._loops[button], self._loops[button].reading(line, at))
        return changes

    def lost(self, source: str, at: float) -> list[LineChange]:
        """Nothing reads "gpio", or the analogue board of that name, any more: its lines are unread."""
        changes: list[LineChange] = []
        if source == "gpio":
            for button, pair in self._pairs.items():
                changes += _change(button, pair, pair.lost(at))
        for button in self._channels.get(source, {}).values():
            changes += _change(button, self._loops[button], self._loops[button].lost(at))
        return changes


def _as_pair(which: str, high: bool) -> tuple[bool, bool]:
    """What the missing contact of a lone one would be, if the button were whole: (NO high, NC high)."""
    return (high, not high) if which == "no" else (not high, high)


def _change(button: str, judged: PairLine | LoopLine, changed: bool) -> list[LineChange]:
    return [LineChange(button, judged.line, judged.at)] if changed else []
