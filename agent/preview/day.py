"""One day at the gate as plain data, and as a table."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from datetime import date

import msgspec

from agent.core import calendar
from agent.core.calendar import Because, Day, Shift, Span
from agent.core.policy import Passage, Policy
from agent.preview.words import Words, clock


class Entry(msgspec.Struct, frozen=True):
    """One window of the day as it runs: local minutes, who may pass in words, what the gate does, where it stands."""

    start: int
    end: int
    kind: str
    label: str
    who: tuple[str, ...]
    gate: tuple[str, ...]
    peak: bool
    bollards: str
    closed: tuple[str, ...]
    source: str


class DayView(msgspec.Struct, frozen=True):
    """A date, its plan and the reason for it."""

    date: str
    plan: str
    label: str
    because: str
    source: str
    warnings: tuple[str, ...]
    windows: tuple[Entry, ...]
    notes: tuple[str, ...]


def view(policy: Policy, day: date, w: Words, swapped: str = "", shifts: tuple[Shift, ...] = ()) -> DayView:
    """What the gate will do that day."""
    found = calendar.day_of(policy, day, swapped)
    warnings = [w.say("beyond")] if found.because is Because.UNSETTLED else []
    if calendar.is_missing(policy.calendar, day) and not warnings:
        warnings.append(w.say("missing"))
    return DayView(
        date=day.isoformat(),
        plan=found.plan.id,
        label=_label(found),
        because=found.because.value,
        source=found.source,
        warnings=tuple(warnings),
        windows=tuple(entry(span, w) for span in calendar.spans(found.plan, shifts)),
        notes=tuple(notes([(p.start, p.end, p.source) for p in policy.pickup_windows], len(policy.passes), shifts, w)),
    )


def _label(found: Day) -> str:
    """The plan's name, with what makes the day special."""
    return " · ".join(part for part in (found.plan.label or found.plan.id, found.label) if part)


def entry(span: Span, w: Words, name: Callable[[str], str] = str) -> Entry:
    """One window in words. `name` tells what people call a door or a lane."""
    window = span.window
    closed = tuple(door for door, rule in window.doors.items() if rule == "closed")
    gate = [w.say("closed", name(door)) for door in closed]
    places = f"{', '.join(map(name, window.lanes))}: " if window.lanes else ""
    gate += [places + w.say(window.bollards)] if window.bollards else []
    gate += [w.say("peak")] if window.peak else []
    return Entry(
        start=span.start,
        end=span.end,
        kind=window.kind,
        label=window.label or w.kind(window.kind),
        who=tuple(_who(passage, w, name) for passage in window.passages) or (w.say("nobody"),),
        gate=tuple(gate),
        peak=window.peak,
        bollards=window.bollards,
        closed=closed,
        source=window.source,
    )


def _who(passage: Passage, w: Words, name: Callable[[str], str]) -> str:
    people = ", ".join(w.people(group) for group in passage.groups) or w.say("everybody")
    grades = " ".join(w.say("grade", grade) for grade in passage.grades)
    places = " ".join(map(name, (*passage.doors, *passage.lanes)))
    return " ".join(part for part in (w.say(passage.direction) + ":", people, grades, places) if part)


def notes(pickups: Sequence[tuple[int, int, str]], passes: int, shifts: Sequence[Shift], w: Words) -> list[str]:
    """What holds besides the windows. `pickups`: start, end and source of each pick-up window."""
    told = [w.say("always")]
    for start, end, source in pickups:
        start, end = calendar.moved(start, end, shifts)
        told.append(f"{clock(start)}–{clock(end)} {w.say('pickup')} ({source})")
    if passes:
        told.append(w.say("passes", passes))
    for shift in shifts:
        told.append(w.say("later" if shift.by > 0 else "earlier", clock(shift.at), abs(shift.by)))
    return told


def table(seen: DayView, w: Words) -> str:
    """For a terminal."""
    day = date.fromisoformat(seen.date)
    lines = [w.say("head", seen.date, w.weekday(day.weekday()), seen.label or seen.plan, seen.plan)]
    lines += [w.say("why", w.say(seen.because), seen.source), *seen.warnings, ""]
    rows = [tuple(w.say(name) for name in ("time", "window", "who", "notes", "written"))]
    for entry in seen.windows:
        times = f"{clock(entry.start)}–{clock(entry.end)}"
        rows.append((times, entry.label, "; ".join(entry.who), "; ".join(entry.gate), entry.source))
    widths = [max(_width(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        lines.append("  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return "\n".join([*lines, "", *seen.notes])


def _width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
