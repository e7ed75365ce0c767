"""Pins and channels: each exists, carries one wire, and is safe for what hangs on it."""

from __future__ import annotations

from collections.abc import Iterator

from hardware.checks.look import Check, Look, terminal_of
from hardware.mistakes import Finding, found
from hardware.terminals import Channel, Gpio, Role, Terminal, Use, uses

_FITS: dict[Role, tuple[str, ...]] = {  # what may end where: gpio, relay, loop (analogue channel), plc
    "panic_no": ("gpio",),
    "panic_nc": ("gpio",),
    "panic_loop": ("loop",),
    "lock": ("gpio", "relay"),
    "door_contact": ("gpio",),
    "rex": ("gpio",),
    "sensor": ("gpio", "plc"),
    "raise_key": ("gpio",),
    "lower_key": ("gpio",),
    "key": ("gpio",),
    "fire": ("gpio",),
    "supply": ("gpio",),
    "lamp": ("gpio", "relay"),
    "siren": ("gpio", "relay"),
    "light": ("gpio", "relay", "plc"),
    "buzzer": ("gpio", "relay", "plc"),
    "warning_lamp": ("gpio", "relay", "plc"),
}
_WRITTEN = {"gpio": "gpio:17", "relay": "relays:0", "loop": "loops:0", "plc": "plc"}


def _written(look: Look, fits: tuple[str, ...]) -> str:
    """Examples of what may stand there, with the names of the boards that this site has."""
    names = {"relay": [b.name for b in look.site.relay_board], "loop": [b.name for b in look.site.analog_board]}
    return ", ".join(f"{names[kind][0]}:0" if names.get(kind) else _WRITTEN[kind] for kind in fits)


def terminals_are_named(look: Look) -> Iterator[Finding]:
    """The text is a terminal at all; a required one is not empty."""
    for use in uses(look.site):
        if terminal_of(use) is None:
            yield found(use.path, "terminal_bad", text=use.text, example=_written(look, _FITS[use.role]))
    empty = [("door", i, "lock") for i, door in enumerate(look.site.door) if not door.lock]
    empty += [("key", i, "terminal") for i, switch in enumerate(look.site.key) if not switch.terminal]
    for path in empty:
        yield found(path, "terminal_empty", example=_written(look, _FITS["lock" if path[0] == "door" else "key"]))
    for name in ("fire", "tamper", "mains", "battery"):
        contact = getattr(look.site, name)
        if contact and not contact.terminal:
            yield found((name, "terminal"), "terminal_empty", example="gpio:4")


def boards_exist(look: Look) -> Iterator[Finding]:
    certain = look.column_sound("relay_board", "name") and look.column_sound("analog_board", "name")
    for use, terminal in look.uses:
        if isinstance(terminal, Channel) and not _kind(look, terminal) and certain:
            names = [board.name for board in look.site.relay_board] + [board.name for board in look.site.analog_board]
            yield found(use.path, "board_unknown", name=terminal.board, known=", ".join(names) or "-")


def _kind(look: Look, terminal: Terminal) -> str:
    """gpio, relay, loop or plc; "" for a board that the site does not have."""
    if not isinstance(terminal, Channel):
        return "gpio" if isinstance(terminal, Gpio) else "plc"
    if any(board.name == terminal.board for board in look.site.relay_board):
        return "relay"
    return "loop" if any(board.name == terminal.board for board in look.site.analog_board) else ""


def terminals_fit(look: Look) -> Iterator[Finding]:
    """A lock is no analogue input and a button is no relay."""
    for use, terminal in look.uses:
        kind = _kind(look, terminal)
        if kind and kind not in _FITS[use.role]:
            yield found(use.path, "terminal_unfit", text=use.text, example=_written(look, _FITS[use.role]))


def channels_are_there(look: Look) -> Iterator[Finding]:
    counts: dict[str, int] = {}
    for relays in look.site.relay_board:
        relay_profile = look.relay_profile(relays)
        if relay_profile:
            counts[relays.name] = relay_profile.channels
    for loops in look.site.analog_board:
        analog_profile = look.analog_profile(loops)
        if analog_profile:
            counts[loops.name] = analog_profile.channels
    for use, terminal in look.uses:
        if isinstance(terminal, Channel) and terminal.number >= counts.get(terminal.board, terminal.number + 1):
            last = counts[terminal.board] - 1
            yield found(use.path, "channel_out_of_range", text=use.text, board=terminal.board, last=last)


def terminals_carry_one_wire(look: Look) -> Iterator[Finding]:
    owners: dict[Terminal, Use] = {}
    for use, terminal in look.uses:
        if not isinstance(terminal, Gpio | Channel):
            continue
        if terminal in owners:
            yield found(use.path, "terminal_twice", text=use.text, owner=owners[terminal].key)
        else:
            owners[terminal] = use


def _gpio(look: Look) -> Iterator[tuple[Use, int]]:
    for use, terminal in look.uses:
        if isinstance(terminal, Gpio):
            yield use, terminal.number


def pins_are_on_the_header(look: Look) -> Iterator[Finding]:
    for use, number in _gpio(look):
        if look.board and str(number) not in look.board.header:
            yield found(use.path, "pin_not_there", text=use.text, board=look.board.title)


def id_pins_are_left_alone(look: Look) -> Iterator[Finding]:
    for use, number in _gpio(look):
        if look.board and number in look.board.id_lines:
            yield found(use.path, "pin_is_id", text=use.text, pin=look.board.header[str(number)])


def serial_pins_are_left_alone(look: Look) -> Iterator[Finding]:
    if not look.board:
        return
    taken: dict[int, str] = {}
    devices = [bus.device for bus in look.site.bus] + [reader.device for reader in look.site.reader]
    for device in devices:
        for number in look.board.uart.get(device, ()):
            taken[number] = device
    for use, number in _gpio(look):
        if number in taken:
            yield found(use.path, "pin_is_serial", text=use.text, device=taken[number])


def fixed_pull_ups_drive_nothing(look: Look) -> Iterator[Finding]:
    for use, number in _gpio(look):
        if look.board and number in look.board.pulled_up and use.direction == "out":
            yield found(use.path, "pin_pulled_up", text=use.text, pin=look.board.header[str(number)])


def locks_are_low_at_start(look: Look) -> Iterator[Finding]:
    """A lock on a line that is high before the program runs opens, or stays locked, with nobody in charge."""
    for use, number in _gpio(look):
        if look.board and use.role == "lock" and number in set(look.board.high_at_start) - set(look.board.pulled_up):
            code = "lock_held_at_start" if use.rest == "on" else "lock_opens_at_start"
            free = next((n for n in (16, 20, 21, 26, 19, 12, 13) if n not in {m for _, m in _gpio(look)}), 16)
            yield found(use.path, code, text=use.text, free=f"gpio:{free}")


CHECKS: tuple[Check, ...] = (
    terminals_are_named,
    boards_exist,
    terminals_fit,
    channels_are_there,
    terminals_carry_one_wire,
    pins_are_on_the_header,
    id_pins_are_left_alone,
    serial_pins_are_left_alone,
    fixed_pull_ups_drive_nothing,
    locks_are_low_at_start,
)
