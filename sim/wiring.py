"""What joins what: contacts and loops on their way in, outputs on their way to locks, lamps and the siren.

Terminals are the texts of the site file. Behind them are the board's lines, the relay boards' channels and the
analogue boards' loops; all of them are only levels here, their protocols live elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from hardware import profiles
from hardware.site import Site
from hardware.terminals import Channel, Gpio, parse
from sim.agenda import Agenda, Due
from sim.faults import Fault, FaultBook
from sim.pinbank import PinBank

Sink: TypeAlias = Callable[[bool], None]
"""What hangs on an output: called with True when it is energised."""


class RelayBank:
    """The channels of one relay board. `state` is what the coils say, `contact` what the contacts do."""

    def __init__(self, channels: int, agenda: Agenda, faults: Mapping[str, Fault], tell: Callable[[int], None]) -> None:
        self.state = [False] * channels
        self._agenda = agenda
        self._faults = faults
        self._tell = tell
        self._pulse: dict[int, Due] = {}

    def set(self, channel: int, on: bool) -> None:
        """Switch a channel; a pulse that ran on it is over."""
        pulse = self._pulse.pop(channel, None)
        if pulse is not None:
            pulse.cancel()
        self.state[channel] = on
        self._tell(channel)

    def flash(self, channel: int, on: bool, for_s: float) -> None:
        """A pulse that ends by itself in the board."""
        self.set(channel, on)
        self._pulse[channel] = self._agenda.at(self._agenda.now_s + for_s, lambda: self.set(channel, not on))

    def contact(self, channel: int) -> bool:
        """Whether the channel's contact energises what hangs on it."""
        stuck = self._faults.get("stuck_relay")
        if stuck is not None and int(stuck.number("channel")) == channel:
            return stuck.word("state") == "on"
        return self.state[channel]


class Wiring:
    """All wires of one box."""

    def __init__(self, site: Site, agenda: Agenda, book: FaultBook) -> None:
        self.pins = PinBank()
        self.pins.listen_drive(lambda gpio, _: self._settle(f"gpio:{gpio}"))
        self.relays: dict[str, RelayBank] = {}
        self.loops: dict[str, list[int]] = {}
        self._sinks: dict[str, list[Sink]] = {}
        self._shown: dict[str, bool] = {}
        self._analog_faults = {board.name: book.on(f"board:{board.name}") for board in site.analog_board}
        for board in site.relay_board:
            self.relays[board.name] = self._relay_bank(board.name, board.profile, agenda, book)
        for analog in site.analog_board:
            self.loops[analog.name] = [0] * profiles.analog(analog.profile).channels

    def _relay_bank(self, name: str, profile: str, agenda: Agenda, book: FaultBook) -> RelayBank:
        channels = profiles.relay(profile).channels
        faults = book.on(f"board:{name}")
        return RelayBank(channels, agenda, faults, lambda channel: self._settle(f"{name}:{channel}"))

    # ── inward ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def contact(self, terminal: str, closed: bool) -> None:
        """A contact at a GPIO terminal closes or opens. An unwired ("") one is nobody's business."""
        if terminal:
            end = parse(terminal)
            assert isinstance(end, Gpio), f"a contact cannot end at {terminal}"
            self.pins.contact(end.number, closed)

    def closed(self, terminal: str) -> bool:
        """What the contact at a terminal looks like from the box: wire faults included, pull-up assumed."""
        end = parse(terminal)
        assert isinstance(end, Gpio), f"no contact ends at {terminal}"
        forced = self.pins.forced.get(end.number)
        return self.pins.closed[end.number] if forced is None else not forced

    def set_loop(self, terminal: str, millivolts: int) -> None:
        end = parse(terminal)
        assert isinstance(end, Channel), f"a loop cannot end at {terminal}"
        self.loops[end.board][end.number] = millivolts

    def millivolts(self, board: str) -> list[int]:
        """What an analogue board measures on each channel."""
        drift = self._analog_faults[board].get("drift")
        more = int(drift.number("mv")) if drift is not None else 0
        return [min(65_535, max(0, mv + more)) for mv in self.loops[board]]

    # ── outward ────────────────────────────────────────────────────────────────────────────────────────────────────

    def hang(self, terminal: str, sink: Sink) -> None:
        """Hang something on an output terminal; it is told its present state at once."""
        if terminal and terminal != "plc":
            self._sinks.setdefault(terminal, []).append(sink)
            sink(self.energised(terminal))

    def drive(self, terminal: str, on: bool) -> None:
        """Set an output as the box would: a GPIO line high or low, a relay on or off."""
        end = parse(terminal)
        if isinstance(end, Gpio):
            self.pins.write(end.number, on)
        elif isinstance(end, Channel):
            self.relays[end.board].set(end.number, on)

    def energised(self, terminal: str) -> bool:
        end = parse(terminal)
        if isinstance(end, Gpio):
            return self.pins.driven_high(end.number)
        assert isinstance(end, Channel), f"nothing hangs on {terminal}"
        return self.relays[end.board].contact(end.number)

    def settle_all(self) -> None:
        """Let everything on an output look again: a relay's fault came or went."""
        for terminal in self._sinks:
            self._settle(terminal)

    def _settle(self, terminal: str) -> None:
        sinks = self._sinks.get(terminal)
        if not sinks:
            return
        on = self.energised(terminal)
        if self._shown.get(terminal) != on:
            self._shown[terminal] = on
            for sink in sinks:
                sink(on)
