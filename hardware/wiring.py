"""The terminal table of a site: which wire goes where, what it is at rest, what happens when the box is off."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from hardware import profiles
from hardware.mistakes import Language
from hardware.site import Site
from hardware.terminals import Channel, Gpio, Plc, Use, uses

_COLUMNS = ("terminal", "pin", "wire", "rest", "remark")


class Row(msgspec.Struct, frozen=True):
    """One wire. `pin` is the header pin of a GPIO line, "" for a channel of a board or the PLC's own."""

    terminal: str
    pin: str
    wire: str
    rest: str
    remark: str
    key: str  # the site file's key, "door.wicket.lock"
    direction: str  # "in" or "out"


def table(site: Site, language: Language = "en") -> list[Row]:
    """Every wire of a site that the loader accepted: header pins first, then boards, then what the PLC has itself."""
    board = profiles.board(site.board.model)
    rows = [(_order(use, board), _row(site, use, board, language)) for use in uses(site)]
    return [row for _order, row in sorted(rows, key=lambda pair: pair[0])]


def render(site: Site, language: Language = "en") -> str:
    """The table with its heading, the buses below it, aligned for a terminal window (Chinese letters count double)."""
    board = profiles.board(site.board.model)
    heads = [word("head", column, language) for column in _COLUMNS]
    rows = [[getattr(row, column) for column in _COLUMNS] for row in table(site, language)]
    title = f"{site.site.id}/{site.site.box}  {site.site.name}  {board.title}"
    buses = [word("head", "buses", language), *(f"  {line}" for line in bus_lines(site, language))]
    return "\n".join([title, "", *_aligned([heads, *rows]), "", *buses])


def bus_lines(site: Site, language: Language = "en") -> list[str]:
    """One line for each bus with the units on it, and one for each reader."""
    lines = []
    for bus in site.bus:
        units = [
            f"{word('head', 'unit', language, unit=unit)}: {name}" for unit, name in units_of(site, bus.name, language)
        ]
        lines.append(f"{bus.name}  {bus_address(site, bus.name)}  {', '.join(units)}")
    for reader in site.reader:
        owner = called(reader.name, reader.id)
        lines.append(f"{word('head', 'reader', language, owner=owner)}  {reader.device}")
    return lines


def bus_address(site: Site, name: str) -> str:
    """How a bus is reached: "10.0.0.5:502", "/dev/serial0 9600 8N1"."""
    bus = next(bus for bus in site.bus if bus.name == name)
    return f"{bus.host}:{bus.port}" if bus.kind == "tcp" else f"{bus.device} {bus.baud} 8{bus.parity}{bus.stop_bits}"


def units_of(site: Site, bus: str, language: Language = "en") -> list[tuple[int, str]]:
    """(unit, what it is) of everything on a bus, by unit."""
    lanes = [
        (lane.unit, word("head", "lane", language, owner=called(lane.name, lane.id)))
        for lane in site.lane
        if lane.bus == bus
    ]
    relays = [(board.unit, board.name) for board in site.relay_board if board.bus == bus]
    loops = [(board.unit, board.name) for board in site.analog_board if board.bus == bus]
    return sorted(lanes + relays + loops)


def called(name: str, identity: str) -> str:
    """A thing's name with its id; the id alone when it has no name."""
    return f"{name} ({identity})" if name else identity


def owner_of(site: Site, use: Use, language: Language) -> str:
    """The name of what a wire belongs to: a door, lane, button or key of the site, or a part of the box."""
    table_name, index = use.path[0], use.path[1]
    if isinstance(index, int):
        thing = getattr(site, str(table_name))[index]
        return called(thing.name, thing.id)
    return part_of(use.owner, language)


def part_of(part: str, language: Language) -> str:
    """A part's word, such as "loop 1"; as written where it needs none."""
    return words()["part"][part][language] if part in words()["part"] else part


def word(section: str, name: str, language: Language, **filled: object) -> str:
    """A phrase of wiring.toml, filled in."""
    return words()[section][name][language].format_map({key: str(value) for key, value in filled.items()})


@cache
def words() -> dict[str, dict[str, dict[str, str]]]:
    """section → id → language → phrase."""
    return tomllib.loads((Path(__file__).parent / "wiring.toml").read_text("utf-8"))


def _row(site: Site, use: Use, board: profiles.BoardProfile, language: Language) -> Row:
    terminal = use.terminal
    wire = word("role", use.role, language, owner=owner_of(site, use, language), part=part_of(use.part, language))
    return Row(
        terminal=use.text,
        pin=str(board.header[str(terminal.number)]) if isinstance(terminal, Gpio) else "",
        wire=wire,
        rest=word("rest", _rest(use), language),
        remark=word("remark", remark_of(site, use, board), language),
        key=use.key,
        direction=use.direction,
    )


def _rest(use: Use) -> str:
    if isinstance(use.terminal, Channel) and use.rest in ("on", "off"):
        return f"relay_{use.rest}"
    return use.rest


def remark_of(site: Site, use: Use, board: profiles.BoardProfile) -> str:
    """Which remark of wiring.toml belongs to a wire."""
    terminal = use.terminal
    if isinstance(terminal, Plc):
        return "plc"
    if use.role == "lock":
        return "lock_fail_safe" if use.rest == "on" else "lock_fail_secure"
    if use.role in ("fire", "supply"):
        healthy_closed = use.rest == "closed"
        return f"{use.role}_{'open' if healthy_closed == (use.role == 'fire') else 'closed'}"
    if use.direction == "in":
        return use.role
    if isinstance(terminal, Gpio):
        return "output_high_at_start" if terminal.number in board.high_at_start else "output_gpio"
    return "output_relay"


def _order(use: Use, board: profiles.BoardProfile) -> tuple[int, str, int]:
    terminal = use.terminal
    match terminal:
        case Gpio():
            return 0, "", board.header[str(terminal.number)]
        case Channel():
            return 1, terminal.board, terminal.number
        case Plc():
            return 2, use.key, 0


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [[cell + " " * (widths[i] - width(cell)) for i, cell in enumerate(row)] for row in rows]
    ruled = [padded[0], ["─" * size for size in widths], *padded[1:]]
    return ["  ".join(row).rstrip() for row in ruled]


def width(text: str) -> int:
    """Columns a text takes in a terminal window."""
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
