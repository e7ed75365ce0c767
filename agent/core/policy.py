"""A school's policy as frozen data: calendar, day plans, people, slips, passes, roster.

`policy_parse` reads it and names every contradiction, `calendar` finds day and window, `campus` decides by it.

Minutes are minutes of the local day (0 to 1440), dates are local dates (Asia/Shanghai, UTC+8, no daylight saving),
`*_ms` are UTC milliseconds (from inclusive, to exclusive, 0 = no limit). `source` is "file:line" of whoever wrote it.
Holders are pseudonyms: no name is in here.

The wire form, the canonical JSON of `current.json`, has one key for each field of `Policy`; where that field is a dict
it is a list of its values there. Fields at their default may be left out.
"""

from __future__ import annotations

from datetime import date
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal[
    "pupil", "staff", "guard", "guardian", "visitor", "contractor", "vehicle", "bus", "responder"
]  # what a group is; the rules of the gate ask for this, never for a group's id
WindowKind: TypeAlias = Literal["arrival", "class", "lunch", "dismissal", "care", "night", "exam", "open"]
DoorRule: TypeAlias = Literal["card", "closed"]  # closed: guards, staff and responders only, for entry
DAY_MINUTES = 1440
DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base. A field nobody knows is a mistake of the file, so it is refused and never skipped."""


# ── the calendar ───────────────────────────────────────────────────────────────────────────────────────────────────


class Term(Part, frozen=True, kw_only=True):
    """School is in term from `first` to `last`, both included."""

    first: date
    last: date
    label: str = ""
    source: str = ""


class SpecialDay(Part, frozen=True, kw_only=True):
    """A holiday, a swapped workday (调休), an exam day, a half day: this one day follows `plan`."""

    date: date
    plan: str
    label: str = ""
    source: str = ""


class Calendar(Part, frozen=True, kw_only=True):
    """`first` to `last` is what the school has settled. Any other date follows the weekday rule, with a warning."""

    first: date
    last: date
    weekdays: tuple[str, str, str, str, str, str, str]  # a plan for each day of the week, Monday first
    vacation: str = ""  # the plan of days outside every term; "" = the weekday rule
    terms: tuple[Term, ...] = ()
    special: dict[date, SpecialDay] = {}
    sources: dict[str, str] = {}  # where a weekday's plan ("mon" to "sun") and "vacation" are written; else `source`
    source: str = ""


# ── a day ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Passage(Part, frozen=True, kw_only=True):
    """Who may pass which way while the window runs. An empty tuple means all: all groups, all grades, all doors."""

    direction: Literal["in", "out", "both"]
    groups: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()  # for pupils only; other groups are not asked for a grade
    doors: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    source: str = ""


class Window(Part, frozen=True, kw_only=True):
    """One stretch of the day, `start` inclusive, `end` exclusive. Windows may overlap: what one of them lets through
    may pass. Two that overlap must agree on every door and on the bollards."""

    kind: WindowKind
    start: int
    end: int
    label: str = ""
    passages: tuple[Passage, ...] = ()
    doors: dict[str, DoorRule] = {}  # a door that is not named opens by card
    peak: bool = False  # peak duty: the posts marked `peak` must be manned
    bollards: Literal["", "up", "down"] = ""  # what the timetable asks of the lanes in `lanes`; a person starts a raise
    lanes: tuple[str, ...] = ()  # () = every lane
    source: str = ""


class DayPlan(Part, frozen=True, kw_only=True):
    """Staff, guards and responders pass at all times; everybody else only as a window says. No window: a closed day."""

    id: str
    label: str = ""
    windows: tuple[Window, ...] = ()
    source: str = ""


# ── people ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Zone(Part, frozen=True, kw_only=True):
    id: str
    doors: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    source: str = ""


class Group(Part, frozen=True, kw_only=True):
    """What its members may use unless their own credential says otherwise. `timetable`: windows bind its members."""

    id: str
    kind: Kind
    doors: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    timetable: bool | None = None  # None: bound, unless staff, guard or responder
    source: str = ""


class Credential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One card. There may be 100 000 of these, so doors come from the group and the file's name stands only once."""

    card: str  # "<format>:<hex>", upper case hex
    holder: str  # pseudonym; a holder may have several cards
    group: str
    grade: str = ""
    class_: str = msgspec.field(default="", name="class")
    doors: tuple[str, ...] = ()  # () = the group's
    lanes: tuple[str, ...] = ()
    from_ms: int = 0
    to_ms: int = 0
    state: Literal["", "banned", "lost"] = ""  # acts on entry only
    duress: bool = False  # grants like any other, and tells upstream
    line: int = 0  # in `Policy.credentials_file`


# ── passes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class LeaveSlip(Part, frozen=True, kw_only=True):
    """请假条: lets one pupil out once. `reason` is for the guard's screen: one of the words that a slip of the gate may
    have too, for a free text could name somebody."""

    id: str
    pupil: str  # holder
    issuer: str
    from_ms: int
    to_ms: int
    reason: Literal["", "illness", "private", "other"] = ""
    guardian: bool = False  # a guardian bound to the pupil must show a card at the same door within a minute
    source: str = ""


class Pickup(Part, frozen=True, kw_only=True):
    """家长接送: a guardian's card lets these pupils out in the pick-up window, both within a minute."""

    guardian: str  # holder
    pupils: tuple[str, ...]  # holders
    source: str = ""


class PickupWindow(Part, frozen=True, kw_only=True):
    start: int
    end: int
    source: str = ""


class VehiclePass(Part, frozen=True, kw_only=True):
    """A vehicle or bus with its own times; on its weekdays it needs no window of the day plan."""

    holder: str
    lanes: tuple[str, ...]
    start: int = 0
    end: int = DAY_MINUTES
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)  # Monday is 0
    from_ms: int = 0
    to_ms: int = 0
    source: str = ""


# ── duty ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Post(Part, frozen=True, kw_only=True):
    """A place a guard checks in to at a presence reader. `always`: manned 24 h; `peak`: manned in peak windows."""

    id: str
    reader: str
    label: str = ""
    always: bool = False
    peak: bool = False
    confirm_min: int = 0  # a guard on post shows the card again within this; 0 = not asked
    source: str = ""


class Duty(Part, frozen=True, kw_only=True):
    """Roster: who stands where and when. `end` before `start` runs over midnight."""

    post: str
    guard: str  # holder
    start: int
    end: int
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    source: str = ""


class Rules(Part, frozen=True, kw_only=True):
    """The school's choices."""

    passback: Literal["off", "soft", "hard", "timed"] = "off"
    passback_min: int = 10  # for "timed": the same way again is refused for so long
    two_person_doors: tuple[str, ...] = ()  # entry needs two different holders within `pair_s`
    first_card_doors: tuple[str, ...] = ()  # entry is shut each day until the first staff or guard card
    pair_s: int = 60  # D: guardian and pupil, or two persons, show their cards within a minute
    patrol_readers: tuple[str, ...] = ()  # presence readers that count as patrol points
    patrols_a_day: int = 5  # GB/T 29315-2022 (V): at least five
    patrol_hours: tuple[int, ...] = (18, 21)  # D: at these hours fewer than so much of the day asks for are told
    panic_test_due_days: int = 30  # local notices (V): monthly
    panic_test_days: int = 35  # D: overdue
    source: str = ""


# ── the whole ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Policy(Part, frozen=True, kw_only=True):
    """All of it, swapped whole or not at all. `version` never goes back."""

    version: int
    made_at_ms: int
    site_box: str  # "<site>/<box>", or "<site>/*" for every box of the site
    calendar: Calendar
    plans: dict[str, DayPlan]
    groups: dict[str, Group]
    credentials: dict[str, Credential] = {}  # by card
    credentials_file: str = ""
    zones: dict[str, Zone] = {}
    slips: dict[str, LeaveSlip] = {}
    pickups: dict[str, Pickup] = {}  # by guardian
    pickup_windows: tuple[PickupWindow, ...] = ()
    passes: dict[str, VehiclePass] = {}  # by holder
    posts: dict[str, Post] = {}
    roster: tuple[Duty, ...] = ()
    rules: Rules = Rules()


class Contradiction(msgspec.Struct, frozen=True):
    """What is wrong, where it was written, and what would mend it."""

    source: str  # "file:line", or the key of the wire form
    what: str
    cure: str


UNBOUND: frozenset[str] = frozenset({"staff", "guard", "responder"})  # kinds that no timetable binds by default


def calendar_source(calendar: Calendar, name: str) -> str:
    """Where the plan of a weekday ("mon") or of the "vacation" is written."""
    return calendar.sources.get(name) or calendar.sources.get("weekdays") or calendar.source


def doors_of(policy: Policy, credential: Credential) -> tuple[str, ...]:
    """The doors a card may use: its own list, or its group's with the group's zones."""
    return credential.doors or group_doors(policy, policy.groups[credential.group])


def lanes_of(policy: Policy, credential: Credential) -> tuple[str, ...]:
    """The lanes a card may lower: its own list, or its group's with the group's zones."""
    return credential.lanes or group_lanes(policy, policy.groups[credential.group])


def group_doors(policy: Policy, group: Group) -> tuple[str, ...]:
    """The group's own doors and those of its zones."""
    return (*group.doors, *(door for zone in group.zones for door in policy.zones[zone].doors))


def group_lanes(policy: Policy, group: Group) -> tuple[str, ...]:
    return (*group.lanes, *(lane for zone in group.zones for lane in policy.zones[zone].lanes))


def bound(group: Group) -> bool:
    """Whether the windows of the day bind this group's members."""
    return group.timetable if group.timetable is not None else group.kind not in UNBOUND
