"""The policy of the year's school: calendar, day plans, people, slips and passes, built as plain data from its
people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from agent.core.policy import (
    Calendar,
    Credential,
    DayPlan,
    Duty,
    Group,
    Passage,
    Pickup,
    PickupWindow,
    Policy,
    Post,
    Rules,
    SpecialDay,
    Term,
    VehiclePass,
    Window,
)

DOORS = ("wicket", "turnstile")
GRADES = ("1", "2", "3", "4", "5", "6")
DISMISSAL = {"1": 940, "2": 940, "3": 970, "4": 970, "5": 1000, "6": 1000}  # minute of the day a grade may leave
DISMISSAL_MIN = 40
CLASS = (480, 940)
PICKUP = (720, 1080)
CARE = (1040, 1100)
NIGHT_FROM = 1200


def policy(
    version: int,
    people: Iterable[Credential],
    pickups: Sequence[Pickup],
    holidays: Sequence[tuple[date, date]],
    breaks: Sequence[tuple[date, date]],
    first: date,
    days: int,
) -> Policy:
    """Everything for `days` from `first`; days of a holiday or break are closed."""
    return Policy(
        version=version,
        made_at_ms=0,
        site_box="dongfang-primary/*",
        calendar=_calendar(holidays, breaks, first, days),
        plans={plan.id: plan for plan in _plans()},
        groups={group.id: group for group in _groups()},
        credentials={one.card: one for one in people},
        credentials_file="people.csv",
        pickups={pickup.guardian: pickup for pickup in pickups},
        pickup_windows=(PickupWindow(start=PICKUP[0], end=PICKUP[1]),),
        passes={"bus-1": VehiclePass(holder="bus-1", lanes=("main",), start=400, end=470, weekdays=(0, 1, 2, 3, 4))},
        posts={
            "house": Post(id="house", reader="guard", always=True, confirm_min=300),
            "kerb": Post(id="kerb", reader="guard", peak=True),
        },
        roster=tuple(Duty(post="house", guard=f"guard-000{n}", start=n * 480, end=(n + 1) * 480) for n in range(3)),
        rules=Rules(passback="timed", passback_min=2, patrol_readers=("guard",)),
    )


def _calendar(
    holidays: Sequence[tuple[date, date]], breaks: Sequence[tuple[date, date]], first: date, days: int
) -> Calendar:
    closed = {
        start + timedelta(days=more) for start, end in (*holidays, *breaks) for more in range((end - start).days + 1)
    }
    last = first + timedelta(days=max(days, 1) - 1)
    return Calendar(
        first=first,
        last=last,
        weekdays=("week", "week", "week", "week", "week", "closed", "closed"),
        terms=(Term(first=first, last=last),),
        special={day: SpecialDay(date=day, plan="closed") for day in sorted(closed) if first <= day <= last},
    )


def _plans() -> tuple[DayPlan, ...]:
    outs = tuple(_dismissal(minute) for minute in sorted(set(DISMISSAL.values())))
    week = (
        Window(kind="arrival", start=420, end=CLASS[0], peak=True, bollards="up", lanes=("main",), passages=(IN,)),
        Window(kind="class", start=CLASS[0], end=CLASS[1]),
        *outs,
        Window(kind="care", start=CARE[0], end=CARE[1], passages=(OUT,)),
        Window(kind="night", start=NIGHT_FROM, end=1440, doors={"wicket": "closed"}),
    )
    snow = (Window(kind="open", start=0, end=1440, passages=(OUT,)),)
    return (DayPlan(id="week", windows=week), DayPlan(id="snow", windows=snow), DayPlan(id="closed"))


IN = Passage(direction="in", groups=("pupil", "contractor", "guardian"))
OUT = Passage(direction="out", groups=("pupil",))


def _dismissal(minute: int) -> Window:
    grades = tuple(grade for grade, at in DISMISSAL.items() if at == minute)
    passage = Passage(direction="out", groups=("pupil",), grades=grades)
    fetch = Passage(direction="both", groups=("guardian",))
    return Window(kind="dismissal", start=minute, end=minute + DISMISSAL_MIN, peak=True, passages=(passage, fetch))


def _groups() -> tuple[Group, ...]:
    return (
        Group(id="pupil", kind="pupil", doors=DOORS),
        Group(id="staff", kind="staff", doors=DOORS, lanes=("main",)),
        Group(id="guard", kind="guard", doors=(*DOORS, "gatehouse"), lanes=("main", "service")),
        Group(id="guardian", kind="guardian", doors=DOORS),
        Group(id="contractor", kind="contractor", doors=("wicket",)),
        Group(id="bus", kind="bus", lanes=("main",)),
    )
