"""The wiring of a site as one SVG drawing: the 40-pin header with what hangs on it, then the buses with their units.

Plain shapes and text, no script and no outside reference, so that it prints, mails and opens on any phone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias
from xml.sax.saxutils import escape, quoteattr

from hardware import profiles, wiring
from hardware.mistakes import Language
from hardware.site import AnalogBoard, Lane, RelayBoard, Site
from hardware.terminals import Channel, Gpio, Plc, Use, uses

WIDTH = 1280
_MARGIN = 40
_MIDDLE = WIDTH // 2
_ROW = 30  # height of one pair of header pins
_PIN_X = 34  # from the middle to a pin
_EDGE_X = 58  # from the middle to the edge of the header
_TAG_X = 98  # from the middle to the near end of a tag
_TAG_WIDTH = 350
_BOX_WIDTH = 288
_BOX_GAP = 16
_LINE = 21  # height of one line of a box

Side: TypeAlias = Literal["left", "right"]
Group: TypeAlias = Literal["alarm", "fire", "door", "lane", "box"]
_COLOURS: dict[Group, tuple[str, str]] = {  # (ink, paper): dark on light, readable when printed in grey
    "alarm": ("#b3261e", "#fdecea"),
    "fire": ("#b45309", "#fff4e0"),
    "door": ("#1d4ed8", "#e8f0fe"),
    "lane": ("#166534", "#e8f6ec"),
    "box": ("#475569", "#eef2f6"),
}
_SUPPLY = {"3V3": "#d97706", "5V": "#dc2626", "GND": "#111827"}
_STYLE = """
text{font-family:'Noto Sans CJK SC','Noto Sans SC','Source Han Sans SC','PingFang SC','Microsoft YaHei',
 system-ui,sans-serif;font-size:13px;fill:#1f2937}
.mono{font-family:'DejaVu Sans Mono','Noto Sans Mono','Consolas',monospace;font-size:12px}
.title{font-size:26px;font-weight:700}.sub{font-size:14px;fill:#64748b}.head{font-size:16px;font-weight:700}
.faint{fill:#94a3b8;font-size:12px}.rest{fill:#64748b;font-size:12px}.number{font-size:10px;fill:#f8fafc;font-weight:700}
.end{text-anchor:end}.mid{text-anchor:middle}
"""


def draw(site: Site, language: Language = "en") -> str:
    """A whole SVG document for a site that the loader accepted."""
    sheet = _Sheet(site, language)
    y = sheet.title()
    y = sheet.header(y + 26)
    y = sheet.buses(y + 34)
    y = sheet.readers(y + 10)
    return sheet.document(sheet.legend(y + 24) + 24)


class _Sheet:
    """Shapes collected from top to bottom; each part takes the y it begins at and gives the y it ends at."""

    def __init__(self, site: Site, language: Language) -> None:
        self.site = site
        self.language: Language = language
        self.board = profiles.board(site.board.model)
        self.uses = uses(site)
        self.shapes: list[str] = []

    def document(self, height: int) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        )
        name = escape(f"{self.site.site.id}/{self.site.site.box}")
        ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
        return "\n".join(
            [f'{head} role="img">', f"<title>{name}</title><style>{_STYLE}</style>{ground}", *self.shapes, "</svg>\n"]
        )

    # ── parts ──

    def title(self) -> int:
        site = self.site.site
        self._text(_MARGIN, 58, site.name or f"{site.id} / {site.box}", "title", WIDTH - 2 * _MARGIN)
        self._text(_MARGIN, 82, f"{site.id} / {site.box} · {self.board.title}", "sub", WIDTH - 2 * _MARGIN)
        return 82

    def header(self, y: int) -> int:
        """The header as it lies on the board: odd pins left, even pins right, pin 1 at the top."""
        height = 20 * _ROW + 72
        self._card(y, height)
        self._text(_MIDDLE, y + 30, self._word("head", "header"), "head mid")
        top = y + 50
        self._rect(_MIDDLE - _EDGE_X, top, 2 * _EDGE_X, 20 * _ROW + 4, 10, "#1f2937")
        by_pin = {
            self.board.header[str(use.terminal.number)]: use for use in self.uses if isinstance(use.terminal, Gpio)
        }
        lines = {pin: number for number, pin in self.board.header.items()}
        for pin in range(1, 41):
            row_y = top + 2 + ((pin - 1) // 2) * _ROW + _ROW // 2
            side: Side = "left" if pin % 2 else "right"
            self._pin(pin, row_y, side, by_pin.get(pin))
            if pin in by_pin:
                self._wire(by_pin[pin], row_y, side)
            else:
                self._idle(lines.get(pin, ""), self.board.power.get(str(pin), ""), row_y, side)
        return y + height

    def buses(self, y: int) -> int:
        """Each bus as a trunk with its units hanging below."""
        for bus in self.site.bus:
            self._text(_MARGIN, y + 4, bus.name, "head")
            left = _MARGIN + 16 + _wide(bus.name, 16)
            self._text(left, y + 4, wiring.bus_address(self.site, bus.name), "sub mono")
            self._line(_MARGIN, y + 18, WIDTH - _MARGIN, y + 18, "#334155", 4)
            y = self._boxes(list(self._units(bus.name)), y + 18, hanging=True) + 34
        return y

    def readers(self, y: int) -> int:
        if not self.site.reader:
            return y
        self._text(_MARGIN, y, self._word("head", "readers"), "head")
        boxes: list[_Box] = []
        for reader in self.site.reader:
            rows: list[_Line] = [
                (reader.device, "mono", None),
                (self._word("reader", reader.direction, place=reader.door or reader.lane), "", None),
            ]
            boxes.append((wiring.called(reader.name, reader.id), "#475569", rows))
        return self._boxes(boxes, y, hanging=False)

    def legend(self, y: int) -> int:
        x = _MARGIN
        for group, (ink, paper) in _COLOURS.items():
            self._rect(x, y - 12, 16, 16, 4, paper, ink)
            word = self._word("head", f"group_{group}")
            self._text(x + 24, y, word)
            x += 44 + _wide(word, 13)
        for direction, name in (("in", "input"), ("out", "output")):
            x += 20
            self._arrow(x, y - 4, x + 36, y - 4, "#334155", direction == "out")
            word = self._word("head", name)
            self._text(x + 46, y, word)
            x += 56 + _wide(word, 13)
        return y

    # ── the header ──

    def _pin(self, pin: int, y: int, side: Side, use: Use | None) -> None:
        x = _MIDDLE + (-_PIN_X if side == "left" else _PIN_X)
        colour = _SUPPLY.get(self.board.power.get(str(pin), ""), "#64748b")
        if use:
            colour = _COLOURS[_group(use, self.site)][0]
        shape = "rect" if pin == 1 else "circle"  # pin 1 has the square pad on every board
        where = f'x="{x - 9}" y="{y - 9}" width="18" height="18" rx="2"' if pin == 1 else f'cx="{x}" cy="{y}" r="9"'
        self.shapes.append(f'<{shape} {where} fill="{colour}" stroke="#e2e8f0" stroke-width="1.5"/>')
        self._text(_MIDDLE + (-11 if side == "left" else 11), y + 4, str(pin), "number mid")

    def _wire(self, use: Use, y: int, side: Side) -> None:
        ink, paper = _COLOURS[_group(use, self.site)]
        edge, near = self._x(side, _EDGE_X), self._x(side, _TAG_X)
        self._arrow(near, y, edge, y, ink, use.direction == "out")
        far = self._x(side, _TAG_X + _TAG_WIDTH)
        self._rect(min(near, far), y - 12, _TAG_WIDTH, 24, 6, paper, ink)
        left = min(near, far) + 10
        self._text(left, y + 4, use.text, "mono")
        self._text(left + 68, y + 4, self._says(use), "", _TAG_WIDTH - 84)
        rest = self._word("rest", use.rest)
        self._text(self._x(side, _TAG_X + _TAG_WIDTH + 12), y + 4, rest, f"rest {'end' if side == 'left' else ''}")

    def _idle(self, number: str, supply: str, y: int, side: Side) -> None:
        """A pin nobody uses: its supply, or its line in faint letters."""
        anchor = "end" if side == "left" else ""
        x = self._x(side, _EDGE_X + 10)
        if supply:
            self.shapes.append(
                f'<text x="{x}" y="{y + 4}" class="mono {anchor}" style="fill:{_SUPPLY[supply]}">{supply}</text>'
            )
        else:
            self._text(x, y + 4, f"gpio:{number}", f"faint mono {anchor}")

    def _x(self, side: Side, distance: int) -> int:
        return _MIDDLE - distance if side == "left" else _MIDDLE + distance

    # ── boxes ──

    def _units(self, bus: str) -> Iterator[_Box]:
        """(title, colour, lines) of everything on a bus, by unit."""
        things: list[Lane | RelayBoard | AnalogBoard] = [*self.site.lane, *self.site.relay_board]
        things += self.site.analog_board
        for thing in sorted((thing for thing in things if thing.bus == bus), key=lambda thing: thing.unit):
            unit = self._word("head", "unit", unit=thing.unit)
            if isinstance(thing, Lane):
                name = self._word("head", "lane", owner=wiring.called(thing.name, thing.id))
                yield f"{unit} · {name}", _COLOURS["lane"][0], list(self._lane_lines(thing))
            else:
                channels = self._channels(thing)
                yield (
                    f"{unit} · {thing.name} · {thing.profile}",
                    "#334155",
                    list(self._channel_lines(thing.name, channels)),
                )

    def _channels(self, board: RelayBoard | AnalogBoard) -> int:
        if isinstance(board, RelayBoard):
            return profiles.relay(board.profile).channels
        return profiles.analog(board.profile).channels

    def _lane_lines(self, lane: Lane) -> Iterator[_Line]:
        yield lane.profile, "mono faint", None
        if lane.monitor_only:
            yield self._word("head", "watched"), "rest", None
        names = ", ".join(f"{bollard.index} {bollard.name or bollard.id}" for bollard in lane.bollard)
        yield self._word("head", "bollards", names=names), "", None
        own = [
            use for use in self.uses if use.owner == lane.id and use.path[0] == "lane" and isinstance(use.terminal, Plc)
        ]
        for use in own:
            yield (
                wiring.part_of(use.part, self.language) if use.role in ("sensor", "light") else self._short(use),
                "",
                use,
            )

    def _channel_lines(self, board: str, channels: int) -> Iterator[_Line]:
        taken = {use.terminal: use for use in self.uses}
        for number in range(channels):
            use = taken.get(Channel(board, number))
            said = self._says(use) if use else self._word("head", "free")
            yield f"{number}  {said}", "" if use else "faint", use

    def _boxes(self, boxes: list[_Box], y: int, hanging: bool) -> int:
        """Boxes side by side, four to a row; the y below the lowest."""
        across = (WIDTH - 2 * _MARGIN + _BOX_GAP) // (_BOX_WIDTH + _BOX_GAP)
        for start in range(0, len(boxes), across):
            row = boxes[start : start + across]
            top = y + (28 if hanging else 16)
            for i, (title, colour, lines) in enumerate(row):
                x = _MARGIN + i * (_BOX_WIDTH + _BOX_GAP)
                if hanging:
                    self._line(x + 30, y, x + 30, top, "#334155", 3)
                self._box(x, top, title, colour, lines)
            y = top + 44 + _LINE * max(len(lines) for _title, _colour, lines in row)
        return y

    def _box(self, x: int, y: int, title: str, colour: str, lines: list[_Line]) -> None:
        self._rect(x, y, _BOX_WIDTH, 40 + _LINE * len(lines), 8, "#f8fafc", "#cbd5e1")
        self.shapes.append(
            f'<path d="M{x} {y + 28}v-20a8 8 0 0 1 8-8h{_BOX_WIDTH - 16}a8 8 0 0 1 8 8v20z" fill="{colour}"/>'
        )
        fitted = escape(_fitted(title, _BOX_WIDTH - 24, 13))
        self.shapes.append(f'<text x="{x + 12}" y="{y + 19}" style="fill:#ffffff;font-weight:700">{fitted}</text>')
        for i, (said, style, use) in enumerate(lines):
            line_y = y + 50 + i * _LINE
            if use:
                self.shapes.append(
                    f'<circle cx="{x + 15}" cy="{line_y - 4}" r="4" fill="{_COLOURS[_group(use, self.site)][0]}"/>'
                )
            self._text(x + 26, line_y, said, style, _BOX_WIDTH - 40)

    # ── words and shapes ──

    def _word(self, section: str, name: str, **filled: object) -> str:
        return wiring.word(section, name, self.language, **filled)

    def _short(self, use: Use) -> str:
        part = wiring.part_of(use.part, self.language)
        return self._word("short", use.role, owner=wiring.part_of(use.owner, self.language), part=part)

    def _says(self, use: Use) -> str:
        """What a wire goes to, in two words and the owner's name."""
        if use.role in ("fire", "supply", "lamp", "siren"):
            return self._short(use)
        return f"{self._short(use)} · {wiring.owner_of(self.site, use, self.language)}"

    def _text(self, x: int, y: int, said: str, style: str = "", room: int = 0) -> None:
        size = 26 if "title" in style else 13
        fitted = escape(_fitted(said, room, size) if room else said)
        self.shapes.append(f'<text x="{x}" y="{y}" class={quoteattr(style.strip())}>{fitted}</text>')

    def _rect(self, x: int, y: int, width: int, height: int, round_: int, fill: str, edge: str = "none") -> None:
        place = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="{round_}"'
        self.shapes.append(f'<rect {place} fill="{fill}" stroke="{edge}"/>')

    def _card(self, y: int, height: int) -> None:
        self._rect(_MARGIN, y, WIDTH - 2 * _MARGIN, height, 14, "#f8fafc", "#e2e8f0")

    def _line(self, x1: int, y1: int, x2: int, y2: int, colour: str, thick: int) -> None:
        self.shapes.append(
            f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{colour}" stroke-width="{thick}" stroke-linecap="round"/>'
        )

    def _arrow(self, far: int, y1: int, near: int, y2: int, colour: str, outward: bool) -> None:
        """A wire between a tag (`far`) and the header (`near`); the head is at the header for an input."""
        self._line(far, y1, near, y2, colour, 2)
        tip, back = (far, near) if outward else (near, far)
        step = 8 if back > tip else -8
        self.shapes.append(f'<path d="M{tip} {y1}l{step} -4.5v9z" fill="{colour}"/>')


_Line: TypeAlias = tuple[str, str, Use | None]
"""One line of a box: its text, its style, the wire it is about."""

_Box: TypeAlias = tuple[str, str, list[_Line]]
"""A box: its title, the colour of its bar, its lines."""


def _group(use: Use, site: Site) -> Group:
    match use.role:
        case "panic_no" | "panic_nc" | "panic_loop" | "lamp" | "siren":
            return "alarm"
        case "lock" | "door_contact" | "rex":
            return "door"
        case "fire":
            return "fire"
        case "supply":
            return "box"
        case "key":
            use_of = {switch.id: switch.use for switch in site.key}
            return "alarm" if use_of[use.owner] == "panic_reset" else "fire"
        case _:
            return "lane"


def _wide(said: str, size: int) -> int:
    """About how many pixels a text takes: a Chinese letter is square, a Latin one about half as wide."""
    return round(sum(1.0 if wiring.width(letter) == 2 else 0.56 for letter in said) * size)


def _fitted(said: str, room: int, size: int) -> str:
    """The text, shortened with an ellipsis to the room there is."""
    if _wide(said, size) <= room:
        return said
    while said and _wide(said + "…", size) > room:
        said = said[:-1]
    return said + "…"
