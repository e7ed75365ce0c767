"""Today as a table and a timeline, from the picture alone: this role never reads the school's policy."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.calendar import Because, Shift, Span
from agent.core.policy import Passage, Window
from agent.picture import Campus, PlanWindow
from agent.preview.day import DayView, entry, notes
from agent.preview.words import Words


def day_view(campus: Campus, w: Words, name: Callable[[str], str]) -> DayView | None:
    """What `menwei preview` shows of the same day; None while the day is not known. `name` tells what people call a
    door or a lane."""
    day = campus.today
    if day is None:
        return None
    warnings = [w.say("beyond")] if day.because == Because.UNSETTLED else []
    if day.calendar_missing and not warnings:
        warnings.append(w.say("missing"))
    shifts = [Shift(at, by) for at, by in day.shifts]
    return DayView(
        date=day.day,
        plan=day.plan,
        label=day.label,
        because=day.because,
        source=day.source,
        warnings=tuple(warnings),
        windows=tuple(entry(Span(one.start, one.end, _window(one)), w, name) for one in day.windows),
        notes=tuple(notes(campus.pickups, campus.passes, shifts, w)),
    )


def _window(one: PlanWindow) -> Window:
    return Window(
        kind=one.kind,
        start=one.start,
        end=one.end,
        label=one.label,
        passages=tuple(
            Passage(direction=way.direction, groups=way.groups, grades=way.grades, doors=way.doors, lanes=way.lanes)
            for way in one.passages
        ),
        doors=dict.fromkeys(one.closed, "closed"),
        peak=one.peak,
        bollards=one.bollards,
        source=one.source,
    )
