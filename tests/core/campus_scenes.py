"""A school with a timetable, small enough to read, at the gate of `people_scenes`."""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace
from people_scenes import RULES, Gate

from agent.core import calendar, muster
from agent.core.events import PolicyChanged
from agent.core.policy import (
    Calendar,
    Credential,
    DayPlan,
    Duty,
    Group,
    LeaveSlip,
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
from agent.core.records import Record

MONDAY = date(2026, 9, 21)
HOUR = 3_600_000
DOORS = ("wicket", "gatehouse")


def at(hour: int, minute: int = 0, day: date = MONDAY) -> int:
    """UTC ms of a local time."""
    return calendar.utc_ms(day, hour * 60 + minute, 480)


def card(number: int) -> str:
    return f"uart-125k:{number:010X}"


ANNA, BEN, CARL = card(0xA1), card(0xA2), card(0xA3)  # pupils of grades 1, 1 and 6
MOTHER, TEACHER, WATCH = card(0xB1), card(0xB2), card(0xB3)
THIRD = card(0xB8)
HELPER, FORCED, LOST, BUS = card(0xB4), card(0xB5), card(0xB6), card(0xB7)


def _credential(number: str, holder: str, group: str, **more: object) -> Credential:
    return Credential(card=number, holder=holder, group=group, line=1, **more)  # type: ignore[arg-type]


def _window(kind: str, start: int, end: int, *passages: Passage, **more: object) -> Window:
    return Window(kind=kind, start=start, end=end, passages=passages, source="plans.toml:7", **more)  # type: ignore[arg-type]


WEEK = DayPlan(
    id="week",
    windows=(
        _window("arrival", 420, 480, Passage(direction="in"), peak=True, bollards="up"),
        _window("class", 480, 700, Passage(direction="in", groups=("staff", "contractor")), label="早课"),
        _window("dismissal", 700, 720, Passage(direction="out", groups=("pupil",), grades=("1",)), label="一年级放学"),
        _window("dismissal", 720, 740, Passage(direction="out", groups=("pupil",), grades=("6",)), label="六年级放学"),
        _window("night", 1200, 1440, doors={"wicket": "closed"}),
    ),
    source="plans.toml:3",
)
EXAM = DayPlan(id="exam", windows=(_window("exam", 480, 1000, Passage(direction="in", groups=("staff",))),))
CLOSED = DayPlan(id="closed")

POLICY = Policy(
    version=3,
    made_at_ms=1,
    site_box="school/gate-1",
    calendar=Calendar(
        first=date(2026, 9, 1),
        last=date(2027, 1, 31),
        weekdays=("week", "week", "week", "week", "week", "closed", "closed"),
        vacation="closed",
        terms=(Term(first=date(2026, 9, 1), last=date(2027, 1, 22)),),
        special={
            day: SpecialDay(date=day, plan=plan, label=label, source=f"calendar.toml:{line}")
            for day, plan, label, line in (
                (date(2026, 9, 25), "closed", "中秋", 9),
                (date(2026, 9, 20), "week", "调休", 10),
            )
        },
        source="calendar.toml:1",
    ),
    plans={"week": WEEK, "exam": EXAM, "closed": CLOSED},
    groups={
        "pupil": Group(id="pupil", kind="pupil", doors=DOORS),
        "staff": Group(id="staff", kind="staff", doors=DOORS, lanes=("main",)),
        "guard": Group(id="guard", kind="guard", doors=DOORS, lanes=("main",)),
        "guardian": Group(id="guardian", kind="guardian", doors=DOORS),
        "contractor": Group(id="contractor", kind="contractor", doors=DOORS),
        "bus": Group(id="bus", kind="bus", lanes=("main",)),
    },
    credentials={
        one.card: one
        for one in (
            _credential(ANNA, "pupil-a", "pupil", grade="1"),
            _credential(BEN, "pupil-b", "pupil", grade="1"),
            _credential(CARL, "pupil-c", "pupil", grade="6"),
            _credential(MOTHER, "guardian-a", "guardian"),
            _credential(TEACHER, "staff-t", "staff"),
            _credential(WATCH, "guard-w", "guard"),
            _credential(THIRD, "guard-3", "guard"),
            _credential(HELPER, "contractor-h", "contractor", to_ms=at(9)),
            _credential(FORCED, "staff-f", "staff", duress=True),
            _credential(LOST, "staff-l", "staff", state="lost"),
            _credential(BUS, "bus-1", "bus"),
        )
    },
    credentials_file="people.csv",
    slips={
        "s1": LeaveSlip(id="s1", pupil="pupil-a", issuer="staff-t", from_ms=at(9), to_ms=at(11), source="slips.csv:2")
    },
    pickups={"guardian-a": Pickup(guardian="guardian-a", pupils=("pupil-a", "pupil-b"), source="pickups.csv:2")},
    pickup_windows=(PickupWindow(start=740, end=800, source="groups.toml:30"),),
    posts={
        "house": Post(id="house", reader="guard", always=True, confirm_min=60),
        "kerb": Post(id="kerb", reader="guard", peak=True),
    },
    roster=(Duty(post="house", guard="guard-w", start=1380, end=420),),
    rules=Rules(patrol_readers=("guard",)),
    passes={"bus-1": VehiclePass(holder="bus-1", lanes=("main",), start=400, end=470, weekdays=(0, 1, 2, 3, 4))},
)


VISIT = {
    "visit": "v-7f3a0c1d2e9k", "kind": "visitor", "host": "staff-t", "purpose": "meeting", "minutes": "60",
    "card": card(0xD1), "door": "gatehouse",
}  # fmt: skip


def school(hour: int, minute: int = 0, *, policy: Policy = POLICY, day: date = MONDAY, **rules: object) -> Gate:
    """The gate at a local time, everything well, with the policy in force."""
    gate = Gate()
    gate.wall_ms = at(hour, minute, day)
    gate.start()
    if rules:
        policy = replace(policy, rules=Rules(**rules))  # type: ignore[arg-type]
    gate.send(PolicyChanged(policy, "d1", "office", "command"))
    return gate


def go(gate: Gate, hour: int, minute: int = 0, day: date = MONDAY) -> list[Record]:
    """Let time pass up to a local time."""
    return gate.wait((at(hour, minute, day) - gate.wall_ms) / 1000)


def reason(records: tuple[Record, ...]) -> str:
    """Why the card of this step was refused, or opened against the timetable; "" = let through."""
    for record in records:
        if record.kind == "access.denied":
            return str(record.data["why"])
        if record.kind == "access.granted" and record.cause is None:
            return str(record.data.get("policy", ""))
    raise AssertionError(f"no card was judged in {[record.kind for record in records]}")


def refused(records: tuple[Record, ...]) -> str:
    """Why the command of this step was refused."""
    return next(str(record.data["why"]) for record in records if record.kind == "command.refused")


def restarted(gate: Gate, policy: Policy = POLICY) -> Gate:
    """A new process from the records alone, as the shell does it."""
    bodies = ({"kind": r.kind, "data": r.data, "subject": r.subject, "at": r.at} for r in gate.records)
    again = gate.restart(muster.fold(bodies))
    again._ids = gate._ids + 100
    again.scan()
    again.send(PolicyChanged(policy, "d1", "box", "start"))
    return again


assert {door.id for door in RULES.doors} == set(DOORS)
