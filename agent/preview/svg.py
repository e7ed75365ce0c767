"""A day as a picture: hours along the top, a bar for each window, who may pass written in it."""

from __future__ import annotations

from html import escape  # not the one of xml.sax, which brings a web client along

from agent.preview.day import DayView, Entry
from agent.preview.words import Words, clock

WIDTH, LEFT, RIGHT = 1180, 20, 20
ROW, TOP = 46, 96
BARE_TOP = 34  # without a heading
LABEL = 64  # what two times need side by side
COLOURS = {
    "arrival": "#2f8f5b", "class": "#c0392b", "lunch": "#c98a1b", "dismissal": "#2b6cb0", "care": "#6b46c1",
    "night": "#46525e", "exam": "#a12a6a", "open": "#2f8f5b",
}  # fmt: skip
FONT = 'font-family="system-ui, Noto Sans CJK SC, Microsoft YaHei, sans-serif"'


def draw(seen: DayView, w: Words, *, bare: bool = False) -> str:
    """The SVG of one day. `bare`: hours and windows alone, where a page says the rest beside it."""
    first = min((entry.start for entry in seen.windows), default=360) // 60
    last = -(-max((entry.end for entry in seen.windows), default=1200) // 60)
    scale = (WIDTH - LEFT - RIGHT) / max(1, (last - first) * 60)
    top, notes = (BARE_TOP, ()) if bare else (TOP, seen.notes)
    height = top + ROW * max(1, len(seen.windows)) + 22 * len(notes) + (0 if bare else 30)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT} role="img">',
        f"<title>{escape(seen.date, quote=False)} {escape(seen.label, quote=False)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *([] if bare else _heading(seen, w)),
    ]
    crowded = 60 * scale < LABEL  # the last hour is written to the left of its line, where the one before stands
    for hour in range(first, last + 1):
        x = LEFT + (hour - first) * 60 * scale
        parts.append(f'<path d="M{x:.1f} {top - 14}V{top + ROW * len(seen.windows)}" stroke="#d8e0e8"/>')
        ends = hour == last
        if crowded and hour == last - 1:
            continue
        parts.append(
            _text(
                x - 2 if ends else x + 2,
                top - 18,
                clock(hour * 60),
                11,
                "#56677a",
                "normal",
                "end" if ends else "start",
            )
        )
    for at, entry in enumerate(seen.windows):
        parts += _bar(entry, LEFT + (entry.start - first * 60) * scale, top + at * ROW, scale)
    for at, note in enumerate(notes):
        parts.append(_text(LEFT, top + ROW * len(seen.windows) + 26 + at * 22, note, 13, "#16212c"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _heading(seen: DayView, w: Words) -> list[str]:
    why = "  ".join((w.say("why", w.say(seen.because), seen.source), *seen.warnings))
    return [
        _text(LEFT, 34, f"{seen.date}  {seen.label or seen.plan}", 22, "#16212c", "bold"),
        _text(LEFT, 58, why, 13, "#56677a"),
    ]


def _bar(entry: Entry, x: float, y: float, scale: float) -> list[str]:
    """The words stand in the bar, or beside it on the side that has room."""
    width = max(3.0, (entry.end - entry.start) * scale)
    title = f"{clock(entry.start)}–{clock(entry.end)} {entry.label}"
    more = "; ".join((*entry.who, *entry.gate))
    longest = max(len(title.encode()) * 6.2, len(more.encode()) * 4.6)
    colour = COLOURS.get(entry.kind, "#46525e")
    parts = [f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 8}" rx="6" fill="{colour}"/>']
    if entry.peak:
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="5" rx="2" fill="#ffc247"/>')
    if longest < width - 16:
        at, anchor, ink, soft = x + 8, "start", "#fff", "#fff"
    elif x > WIDTH / 2:
        at, anchor, ink, soft = x - 8, "end", "#16212c", "#56677a"
    else:
        at, anchor, ink, soft = x + width + 8, "start", "#16212c", "#56677a"
    parts.append(_text(at, y + 17, title, 13, ink, "bold", anchor))
    parts.append(_text(at, y + 32, more, 11, soft, "normal", anchor))
    return parts


def _text(x: float, y: float, text: str, size: int, colour: str, weight: str = "normal", anchor: str = "start") -> str:
    look = f'font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text, quote=False)}</text>'
