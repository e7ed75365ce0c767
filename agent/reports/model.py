"""What a month's report holds, as plain data: everything that is shown stands here, and nothing else is asked again.

Instants are UTC milliseconds, lengths of time whole milliseconds (`_ms`) or microseconds (`_us`). People are handles,
as the journal has them: a report knows no names.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from agent.reports.spans import Span

Ref: TypeAlias = tuple[int, int]
MOST_ROWS = 2_000  # D: rows of one table; what is beyond is counted and told, so that any journal fits in memory


class When(msgspec.Struct, frozen=True):
    """An instant. Where not `sure` the clock was not to be trusted: it happened after `at_ms`, no more is known."""

    at_ms: int
    sure: bool = True


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint of one epoch that the month's records lie in.

    `signature` is "good", "bad" (not of the box's key) or "unchecked" (no key at hand); "none": no checkpoint yet.
    `covered_seq` is the last record under it.
    """

    epoch: int
    first_seq: int
    last_seq: int
    origin: str = ""
    size: int = 0
    root: str = ""  # base64
    covered_seq: int = 0
    signature: str = "none"
    note: str = ""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What the report was made from: the journal up to record `up_to_seq`, of which `from_seq` to `to_seq` lie in the
    month (0: none). `until_ms`: up to here the month had passed when it was made."""

    site: str
    box: str
    name: str
    month: str
    zone: str
    from_ms: int
    to_ms: int
    until_ms: int
    made_ms: int
    from_seq: int
    to_seq: int
    records: int
    evicted: int
    up_to_seq: int
    checkpoints: tuple[Signed, ...]


class Boot(msgspec.Struct, frozen=True):
    """A start of the box in the month; `dark_ms` before it nothing was written."""

    at: When
    reason: str
    dark_ms: int


class Trouble(msgspec.Struct, frozen=True):
    """Something about the journal or the clock itself that a reader must know. `kind` is the record's."""

    at: When
    kind: str
    text: str
    ref: Ref


class Coverage(msgspec.Struct, frozen=True):
    """What the journal does not know of the month. `unknown` do not overlap; each has its reason."""

    unknown: tuple[Span, ...]
    boots: tuple[Boot, ...]
    troubles: tuple[Trouble, ...]


class DutyDay(msgspec.Struct, frozen=True, kw_only=True):
    """A post on a day: its number in the month from 0. Manned, unmanned (told as an alarm, from the beginning of the
    vacancy) and unknown do not overlap; what is left, nobody had to be there or the vacancy was short."""

    post: str
    day: int
    manned_ms: int
    unmanned_ms: int
    unknown_ms: int
    check_ins: int
    check_outs: int
    asked: int
    confirmed: int
    unanswered: int


class DutyLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the duty log."""

    at: When
    kind: str
    post: str
    guard: str
    more: str
    minutes: int | None
    ref: Ref


class PatrolDay(msgspec.Struct, frozen=True):
    """`required` is None where it was never told; `known`: the whole day is known."""

    day: int
    count: int
    required: int | None
    known: bool


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    posts: tuple[str, ...]
    days: tuple[DutyDay, ...]
    lines: tuple[DutyLine, ...]
    more_lines: int
    patrols: tuple[PatrolDay, ...]
    guards: int


class LaneUse(msgspec.Struct, frozen=True, kw_only=True):
    """`out_ms` is by reason the time in which the lane could not serve; `unknown_ms` the time nobody knows of."""

    lane: str
    available_ms: int
    unknown_ms: int
    out_ms: tuple[tuple[str, int], ...]
    asked: tuple[tuple[str, int], ...]  # by motion
    refused: int

    @property
    def known_ms(self) -> int:
        return self.available_ms + sum(ms for _, ms in self.out_ms)


class BollardUse(msgspec.Struct, frozen=True, kw_only=True):
    lane: str
    bollard: str
    raises: int
    lowers: int
    efo: int
    ups: int
    downs: int
    cycles: int
    reversals: int
    faults: int
    unasked: int
    mean_rise_ms: int | None
    longest_rise_ms: int | None
    last_cycle: When | None  # when a raise and a lower behind it had both been proven by limit switches


class Refusal(msgspec.Struct, frozen=True):
    lane: str
    verb: str
    why: str
    count: int


class Lanes(msgspec.Struct, frozen=True):
    lanes: tuple[LaneUse, ...]
    bollards: tuple[BollardUse, ...]
    refusals: tuple[Refusal, ...]


class SchoolDay(msgspec.Struct, frozen=True):
    """The plan of a day, as it last was."""

    date: str
    plan: str
    label: str
    because: str
    source: str
    shift_min: int


class Passed(msgspec.Struct, frozen=True):
    """How many of one group were let through one way."""

    group: str
    direction: str
    count: int


class Denied(msgspec.Struct, frozen=True):
    reader: str
    direction: str
    why: str
    count: int


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """Something at the closed campus that was not the rule. `kind` is the record's."""

    at: When
    kind: str
    place: str
    holder: str
    why: str
    by: str
    ref: Ref


class Campus(msgspec.Struct, frozen=True, kw_only=True):
    days: tuple[SchoolDay, ...]
    passed: tuple[Passed, ...]
    denied: tuple[Denied, ...]
    exits: tuple[Exit, ...]
    more_exits: int
    counts: tuple[tuple[str, int], ...]  # of `exits` by kind, all of them


class PathStage(msgspec.Struct, frozen=True):
    """How far an alarm came on one path, and how long after the press."""

    path: str
    stage: str
    after_ms: int
    by: str


class Press(msgspec.Struct, frozen=True, kw_only=True):
    """`seen` is False where the line was found pressed. `hops_us` are the measured hops, since the edge."""

    ref: Ref
    at: When
    button: str
    drill: bool
    seen: bool
    hops_us: tuple[tuple[str, int], ...]
    stages: tuple[PathStage, ...]
    acknowledged_ms: int | None
    reset_ms: int | None


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """`at` is its announcement. `answered`: somebody had it before it began; None: it never began. `waited_ms`: from
    the announcement to the beginning. `report` is the SHA-256 of its signed report."""

    at: When
    button: str
    minutes: int
    by: str
    reason: str
    answered: bool | None
    waited_ms: int | None
    presses: int
    ended: When | None
    why: str
    report: str
    ref: Ref


class ButtonTest(msgspec.Struct, frozen=True):
    """`last_ms` is the last drill press the journal knows of, also before the month; None: it knows of none."""

    button: str
    tests: int
    presses: int
    last_ms: int | None


class Overdue(msgspec.Struct, frozen=True):
    at: When
    kind: str
    days: int
    ref: Ref


class Panic(msgspec.Struct, frozen=True, kw_only=True):
    presses: tuple[Press, ...]
    more_presses: int
    drills: tuple[Drill, ...]
    buttons: tuple[ButtonTest, ...]
    overdue: tuple[Overdue, ...]


class Hazard(msgspec.Struct, frozen=True, kw_only=True):
    """`days`: how long it was, or has been, open. `photo`: SHA-256 of its picture in the register, "" = none."""

    hazard: str
    what: str
    owner: str
    found_ms: int
    due_ms: int
    closed: When | None
    days: int
    late: bool
    photo: str = ""


class DeviceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A fault from–to. `end` is "" where it ended, "restart" where the box was started anew and it is unknown how
    long it went on, "open" where it stood at the end. `ms` counts the part within the month."""

    thing: str
    kind: str
    why: str
    from_ms: int
    to_ms: int
    ms: int
    end: str
    ref: Ref


class DeviceSum(msgspec.Struct, frozen=True):
    thing: str
    faults: int
    ms: int


class Devices(msgspec.Struct, frozen=True):
    spans: tuple[DeviceSpan, ...]
    more_spans: int
    sums: tuple[DeviceSum, ...]


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """`end` is "out", "cancelled", "open" (not ended in the month) or "expired" (never came)."""

    handle: str
    kind: str
    purpose: str
    host: str
    place: str
    registered: When
    until_ms: int
    consent: str
    came_ms: int | None
    left_ms: int | None
    end: str
    overstayed: bool
    late_min: int | None
    card: str  # "none", "back", "out", "unsaid" (of a visit that never came)


class Visits(msgspec.Struct, frozen=True):
    visits: tuple[Visit, ...]
    more: int
    cards_out: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    head: Head
    coverage: Coverage
    duty: Duty
    lanes: Lanes
    campus: Campus
    panic: Panic
    hazards: tuple[Hazard, ...]
    more_hazards: int
    devices: Devices
    visits: Visits


EMPTY = Report(
    head=Head(
        site="", box="", name="", month="", zone="", from_ms=0, to_ms=0, until_ms=0, made_ms=0, from_seq=0, to_seq=0,
        records=0, evicted=0, up_to_seq=0, checkpoints=(),
    ),
    coverage=Coverage((), (), ()),
    duty=Duty(posts=(), days=(), lines=(), more_lines=0, patrols=(), guards=0),
    lanes=Lanes((), (), ()),
    campus=Campus(days=(), passed=(), denied=(), exits=(), more_exits=0, counts=()),
    panic=Panic(presses=(), more_presses=0, drills=(), buttons=(), overdue=()),
    hazards=(),
    more_hazards=0,
    devices=Devices((), 0, ()),
    visits=Visits((), 0, 0),
)  # fmt: skip
"""Of nothing: for whoever wants to know a report's tables without one."""
