"""Which day plan holds on a date, why, and which of its windows run at a minute. Pure, and asked by everybody: the
gate, the preview, the explanation, the year.

A special day (holiday, swapped workday, exam day) wins over the vacation between terms, that over the rule for the day
of the week. A date outside what the school has settled follows the rule for the day of the week, and says so. Local
time is UTC plus a fixed offset: Asia/Shanghai has had no daylight saving since 1991.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum

import msgspec

from agent.core.policy import DAY_MINUTES, DAY_NAMES, Calendar, DayPlan, Policy, Window, calendar_source

MINUTE_MS = 60_000
DAY_MS = DAY_MINUTES * MINUTE_MS
_EPOCH = date(1970, 1, 1)
NEXT_YEAR_IS_DUE = (12, 1)  # domain rules, section 4: from 1 December a missing calendar is a warning
MOST_SHIFT_MIN = 240  # D: more than four hours is another plan, not a shift


class Because(StrEnum):
    """Why a day has its plan."""

    SWAPPED = "swapped"  # by a person, for today
    SPECIAL = "special"
    VACATION = "vacation"
    WEEKDAY = "weekday"
    UNSETTLED = "unsettled"  # outside the calendar: the day of the week decides, and nobody has settled it


class Shift(msgspec.Struct, frozen=True):
    """The rest of the day from local minute `at` on, moved by `by` minutes (negative: earlier)."""

    at: int
    by: int


class Day(msgspec.Struct, frozen=True):
    """A date's plan with the reason for it; `source` is the file and line that decided."""

    day: date
    plan: DayPlan
    because: Because
    source: str
    label: str = ""


class Span(msgspec.Struct, frozen=True):
    """A window as it really runs today, shifts applied; local minutes, `start` inclusive, `end` exclusive."""

    start: int
    end: int
    window: Window


def local(wall_ms: int, offset_min: int) -> tuple[date, int]:
    """The local date and minute of the day of a UTC instant."""
    days, ms = divmod(wall_ms + offset_min * MINUTE_MS, DAY_MS)
    return _EPOCH + timedelta(days=days), ms // MINUTE_MS


def utc_ms(day: date, minute: int, offset_min: int) -> int:
    """The UTC instant at which a local minute of a date begins."""
    return (day - _EPOCH).days * DAY_MS + (minute - offset_min) * MINUTE_MS


def day_of(policy: Policy, day: date, swapped: str = "") -> Day:
    """The plan of a date. `swapped` is the plan a person chose for it instead, "" = none."""
    calendar = policy.calendar
    if swapped in policy.plans:
        return Day(day, policy.plans[swapped], Because.SWAPPED, policy.plans[swapped].source)
    special = calendar.special.get(day)
    if special is not None:
        return Day(day, policy.plans[special.plan], Because.SPECIAL, special.source, special.label)
    weekday = policy.plans[calendar.weekdays[day.weekday()]]
    rule = calendar_source(calendar, DAY_NAMES[day.weekday()])
    if not calendar.first <= day <= calendar.last:
        return Day(day, weekday, Because.UNSETTLED, rule)
    if calendar.vacation and not any(term.first <= day <= term.last for term in calendar.terms):
        return Day(day, policy.plans[calendar.vacation], Because.VACATION, calendar_source(calendar, "vacation"))
    term = next((term for term in calendar.terms if term.first <= day <= term.last), None)
    return Day(day, weekday, Because.WEEKDAY, rule, term.label if term is not None else "")


def is_missing(calendar: Calendar, today: date) -> bool:
    """Whether people must be told that the calendar ends: today is outside it, or next year is due and not in it."""
    if not calendar.first <= today <= calendar.last:
        return True
    return (today.month, today.day) >= NEXT_YEAR_IS_DUE and calendar.last.year <= today.year


def spans(plan: DayPlan, shifts: tuple[Shift, ...] = ()) -> tuple[Span, ...]:
    """A plan's windows as they run, in order of their start. One that a shift moves over the end of the day is gone."""
    made = [Span(*moved(window.start, window.end, shifts), window) for window in plan.windows]
    return tuple(sorted((span for span in made if span.start < span.end), key=lambda span: (span.start, span.end)))


def moved(start: int, end: int, shifts: Sequence[Shift]) -> tuple[int, int]:
    """A stretch of the day with the shifts applied. What has not begun moves whole, but never into the past: a
    dismissal of twenty minutes that is moved to before now begins now, and lasts twenty minutes. What runs ends later
    or earlier, at the moment of the shift at the earliest."""
    for shift in shifts:
        if start >= shift.at:
            by = max(shift.by, shift.at - start)
            start, end = start + by, end + by
        elif end > shift.at:
            end = max(shift.at, end + shift.by)
    return min(start, DAY_MINUTES), min(end, DAY_MINUTES)


def at_minute(running: tuple[Span, ...], minute: int) -> tuple[Span, ...]:
    """The windows that run at a local minute."""
    return tuple(span for span in running if span.start <= minute < span.end)


def next_boundary(running: tuple[Span, ...], minute: int) -> int:
    """The next local minute at which a window begins or ends; the end of the day if there is none before it."""
    edges = (edge for span in running for edge in (span.start, span.end) if edge > minute)
    return min(edges, default=DAY_MINUTES)
