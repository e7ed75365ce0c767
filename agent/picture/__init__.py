"""The picture of the gate: what `control` tells and everyone else shows. One JSON object, these structs.

Three rules hold everywhere in it. Measured and commanded are two fields, never merged. What nobody has measured
freshly is a word of its own ("unknown", "unread") or null, never a healthy default. No pupil, holder or card is named.

Instants (`since`, `asked`, `mono_ms` …) are whole monotonic milliseconds of the box's present boot, so that a clock
step never makes a fault look older or younger: its age is `picture.mono_ms - since`, and its time of day is
`picture.wall_ms` minus that age. None: not known, or before this boot.

Lists keep the order of the site file. `agent.picture.build.picture` makes it; this file stands on nothing but words.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from agent.core.words import (
    ClockTrust,
    Contact,
    Hold,
    Journal,
    Light,
    Line,
    Mode,
    Motion,
    Position,
    Rank,
    Sensor,
    Stage,
)

Ref: TypeAlias = tuple[int, int]  # (epoch, seq) of a record
Instant: TypeAlias = int  # monotonic milliseconds of this boot


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every part. A field that a reader does not know is skipped, so that adding one breaks nobody."""


class Clock(Part, frozen=True, kw_only=True):
    trust: ClockTrust = ClockTrust.UNTRUSTED
    since: Instant | None = None
    alarmed: bool = False  # unsynced for too long


# ── panic and fire ─────────────────────────────────────────────────────────────────────────────────────────────────


class Button(Part, frozen=True, kw_only=True):
    """A panic button's line as measured. UNREAD and CUT are alarms, never "normal"."""

    id: str
    name: str = ""
    line: Line = Line.UNREAD
    since: Instant | None = None
    presses: int = 0
    stuck: bool = False  # pressed for more than a minute
    chatter: bool = False  # more presses than a hand can give
    alarm_ref: Ref | None = None  # record of the present cut, short or disagreement


class Alarm(Part, frozen=True, kw_only=True):
    """One open alarm and how far it has come on each uplink path. A path missing from `stages` has not sent it."""

    ref: Ref
    button: str
    pressed: Instant | None = None  # None: pressed before this boot; the record `ref` tells when
    drill: bool = False
    stages: dict[str, Stage] = {}
    acknowledged: bool = False


class Drill(Part, frozen=True, kw_only=True):
    """A drill of one button. Only while it is `running` is a press of that button a drill; before, every press is real.

    `announced`: nobody has answered yet. `unanswered`: the time for that is over; a person on site may go ahead.
    """

    button: str
    ends: Instant
    phase: Literal["announced", "unanswered", "running"] = "running"
    minutes: int = 0
    reason: str = ""
    since: Instant | None = None  # when it was announced
    ref: Ref | None = None  # the record that announced it
    stages: dict[str, Stage] = {}  # how far the announcement has come on each path
    presses: int = 0


class Asked(Part, frozen=True, kw_only=True):
    """What the far side asks a person on site to do, until `until`: an all-clear, or a drill of `button`."""

    what: Literal["all_clear", "drill"]
    button: str = ""
    minutes: str = ""
    reason: str = ""
    since: Instant
    until: Instant
    ref: Ref | None = None


class Panic(Part, frozen=True, kw_only=True):
    latched: bool = False
    since: Instant | None = None
    latched_ref: Ref | None = None
    lockdown: bool = False
    lockdown_ref: Ref | None = None
    drill: Drill | None = None
    alarms: tuple[Alarm, ...] = ()  # newest last
    buttons: tuple[Button, ...] = ()


class Fire(Part, frozen=True, kw_only=True):
    """`input` and `key` are measured (None: unread); `latched` releases egress and inhibits every raise."""

    fitted: bool = False
    input: bool | None = None
    key: bool | None = None
    latched: bool = False
    ref: Ref | None = None


# ── lanes and doors ────────────────────────────────────────────────────────────────────────────────────────────────


class Bollard(Part, frozen=True, kw_only=True):
    """Measured: `position` by limit switches, UNKNOWN whenever its lane is lost. Commanded: `motion` and `hold`."""

    id: str
    name: str = ""
    commissioned: bool = False
    position: Position = Position.UNKNOWN
    since: Instant | None = None
    last_position: Position = Position.UNKNOWN  # the last end proved; still tells while `position` cannot
    motion: Motion | None = None  # the motion we asked for and whose end is not yet read back
    asked: Instant | None = None
    sent: bool = False  # the PLC has confirmed the token; says nothing of the bollard
    hold: Hold = Hold.NONE
    fault: str = ""  # "", "timeout", "both_switches", "unasked", "plc", "reversals" …
    plc_fault: int | None = None  # the PLC's own code, 0 = none, None = not read
    reversals: int = 0
    cycles: int | None = None
    rise_ms: int | None = None  # last complete rise
    rises: tuple[int, ...] = ()  # ms of the last complete routine rises, newest last, restarts included
    turned_round: int = 0  # reversals among the same records
    nominal_rise_ms: int = 0


class LaneSensor(Part, frozen=True, kw_only=True):
    id: str  # "loop1", "loop2", "beam", "pressure"
    value: Sensor = Sensor.UNREAD


class Request(Part, frozen=True, kw_only=True):
    """A routine motion that waits for its warning time; `rank` tells who asked."""

    motion: Motion
    rank: Rank
    asked: Instant


class Lane(Part, frozen=True, kw_only=True):
    id: str
    name: str = ""
    kind: Literal["entry", "exit", "both", "service"] = "both"
    monitor_only: bool = False
    lost: bool = True  # no fresh reading: everything measured of this lane is unknown
    fresh: Instant | None = None  # last good reading; only while lost, so that a healthy lane's picture stands still
    mode: Mode = Mode.UNKNOWN
    light_commanded: Light | None = None
    light: Light | None = None  # read back; None: cannot be read, or not read
    warning_commanded: bool | None = None
    warning: bool | None = None  # lamp and buzzer, read back
    bollards: tuple[Bollard, ...] = ()
    sensors: tuple[LaneSensor, ...] = ()
    request: Request | None = None
    wanted: Motion | None = None  # what the timetable asks for; a person starts it
    efo: bool = False
    blocked: str = ""  # why the last raise was refused: "sensor:loop1", "fire", "not_remote" …
    closed: bool = False  # lane fault: a person decides
    closed_ref: Ref | None = None
    fire_key: bool | None = None


class Door(Part, frozen=True, kw_only=True):
    id: str
    name: str = ""
    lock_kind: Literal["fail_safe", "fail_secure"] = "fail_safe"
    evacuation_way: bool = False
    lock_commanded: bool | None = None  # True = locked
    lock: bool | None = None  # the lock output read back, True = locked; None: not read
    contact: Contact = Contact.UNREAD
    contact_fitted: bool = False
    since: Instant | None = None  # of `contact`
    unlocked_until: Instant | None = None
    forced: bool = False
    forced_ref: Ref | None = None
    held: bool = False
    held_ref: Ref | None = None
    shunted_until: Instant | None = None  # "forced" and "held open" are put aside until then
    shunt_ref: Ref | None = None
    fault: str = ""


class Reader(Part, frozen=True, kw_only=True):
    id: str
    name: str = ""
    door: str = ""
    lane: str = ""
    direction: Literal["in", "out", "presence"] = "in"
    up: bool | None = None
    locked_out_until: Instant | None = None


class Key(Part, frozen=True, kw_only=True):
    id: str
    name: str = ""
    use: Literal["panic_reset", "fire_key", "fire_reset"] = "panic_reset"
    on: bool | None = None


# ── the school ─────────────────────────────────────────────────────────────────────────────────────────────────────


class PlanPassage(Part, frozen=True, kw_only=True):
    """Who may pass while a window runs; an empty tuple means all."""

    direction: Literal["in", "out", "both"]
    groups: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()
    lanes: tuple[str, ...] = ()


class PlanWindow(Part, frozen=True, kw_only=True):
    """One window of today as it runs, shifts applied: local minutes of the day, `end` exclusive."""

    start: int
    end: int
    kind: Literal["arrival", "class", "lunch", "dismissal", "care", "night", "exam", "open"]
    label: str = ""
    running: bool = False
    peak: bool = False
    bollards: Literal["", "up", "down"] = ""
    closed: tuple[str, ...] = ()  # doors
    passages: tuple[PlanPassage, ...] = ()
    source: str = ""


class Post(Part, frozen=True, kw_only=True):
    """A guard post. Whoever stands there is not named; `since` is of the present watch or vacancy."""

    id: str
    name: str = ""
    needed: bool = False  # must be manned now
    manned: bool = False
    since: Instant | None = None
    asked: bool = False  # a sign of life is waited for
    unanswered: bool = False
    alarm_ref: Ref | None = None  # the record that says it stands empty


class Today(Part, frozen=True, kw_only=True):
    """The day as it runs: which plan, why, and its windows."""

    day: str  # 2026-09-01
    plan: str
    label: str = ""
    because: str = ""  # why the day has this plan: "swapped", "special", "vacation", "weekday", "unsettled"
    source: str = ""
    shifts: tuple[tuple[int, int], ...] = ()  # (from this local minute on, by so many minutes)
    windows: tuple[PlanWindow, ...] = ()
    next_minute: int = 0  # local minute of the next beginning or end of a window
    calendar_last: str = ""
    calendar_missing: bool = False  # today or the next year is not in the calendar
    patrols: int = 0
    patrols_behind: bool = False  # fewer than at the last set hour were asked for
    test_days: int | None = None  # whole days since the last panic test; None: not known yet


class Book(Part, frozen=True, kw_only=True):
    """The gatehouse's book in numbers."""

    visits: int = 0  # registered and not over
    overstays: int = 0
    cards_missing: int = 0  # lent, not returned, and banned
    hazards: int = 0
    hazards_overdue: int = 0
    guards: int = 0  # with a card
    guards_wanted: int = 0  # at least so many for this number of pupils; 0 = no number is known


class Campus(Part, frozen=True, kw_only=True):
    """The school's policy in force and what it asks for, today, and the gatehouse's book."""

    version: int
    made_ms: int  # UTC
    today: Today | None = None  # None: the day is not known, for the clock cannot be trusted
    posts: tuple[Post, ...] = ()
    pickups: tuple[tuple[int, int, str], ...] = ()  # local minutes of the pick-up windows, and where they are written
    passes: int = 0  # vehicles with times of their own
    patrols_required: int = 0  # a day; 0 = there are no patrol points
    test_due_days: int = 0
    test_overdue_days: int = 0
    book: Book = Book()


# ── the box ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Device(Part, frozen=True, kw_only=True):
    """`takes` names what its loss takes away: "lane:main", "lock:wicket", "button:office", "reader:guard", "key:fire",
    "contact:wicket", "rex:wicket", "lamp:fault", "siren", "fire", "tamper", "mains", "battery", "light:main"."""

    id: str  # "gpio", "bus:plc", "lane:main", "reader:guard", or a board's name
    kind: Literal["gpio", "bus", "lane", "reader", "relays", "loops", "other"] = "other"
    up: bool | None = None  # None: not heard of since the start
    since: Instant | None = None
    since_wall_ms: int | None = None
    why: str = ""
    where: str = ""  # what to check: "127.0.0.1:502", "/dev/ttyAMA1", the bus's name for what hangs on a bus
    unit: int | None = None  # Modbus unit
    takes: tuple[str, ...] = ()
    errors: int | None = None  # wrong and missing answers since the start; None: not counted for this device
    losses: int = 0  # times it was given up since the start
    heard: Instant | None = None  # last good word of a device that is lost, and a reader's last card


class Output(Part, frozen=True, kw_only=True):
    """An output that does not read back as commanded: "lock:wicket", "lamp:sent", "siren", "light:main"."""

    id: str
    why: str = ""


class Lamp(Part, frozen=True, kw_only=True):
    """An indicator or the siren: commanded, and read back (None: not read)."""

    id: str  # "sent", "received", "coming", "fault", "siren"
    commanded: bool | None = None
    on: bool | None = None


class Supply(Part, frozen=True, kw_only=True):
    which: Literal["tamper", "mains", "battery"]
    ok: bool | None = None
    since: Instant | None = None


class Path(Part, frozen=True, kw_only=True):
    """An uplink path."""

    id: str
    up: bool | None = None
    since: Instant | None = None
    since_wall_ms: int | None = None
    why: str = ""
    backlog: int | None = None  # records the far side has not confirmed
    last_receipt: Instant | None = None
    given_up: int = 0  # alarm messages that it gave up since its start, because too many waited


class JournalPart(Part, frozen=True, kw_only=True):
    """`head` is the newest record given a number, `durable` the newest on disk, `synced` the newest confirmed."""

    health: Journal | None = None  # None: not known
    why: str = ""
    head: int = 0
    durable: int | None = None
    synced: int | None = None
    size_bytes: int | None = None
    free_bytes: int | None = None
    headroom_days: int | None = None
    used_percent: int | None = None  # of the card the journal lies on
    signed_size: int | None = None  # records of the present epoch under the newest checkpoint signed since the start
    signed: Instant | None = None
    anchored_epoch: int | None = None  # what the far side last kept and agrees with the journal here
    anchored_size: int | None = None
    anchored: Instant | None = None  # when that was found


class Orders(Part, frozen=True, kw_only=True):
    """Signed commands of the far side since the start: how many keys this box knows, how many commands it carried out,
    and how many it refused for what reason."""

    keys: int = 0
    done: int = 0
    refused: dict[str, int] = {}


class Press(Part, frozen=True, kw_only=True):
    """How long one press took, in microseconds from the edge: "decision_us", "outputs_us", "modbus_us", …"""

    ref: Ref
    hops: dict[str, int] = {}


class Machine(Part, frozen=True, kw_only=True):
    """The computer itself; None where it cannot tell."""

    temperature_c: int | None = None
    under_voltage: bool | None = None  # since the last start of the computer


HOPS = ("decision_us", "outputs_us", "modbus_us", "position_us", "durable_us", "sent_us", "received_us")
"""What is measured of every press, in the order of the way."""


class Hop(Part, frozen=True, kw_only=True):
    """How long the last presses took to one hop, in microseconds from the edge; nearest-rank percentiles."""

    hop: str
    count: int
    p50_us: int
    p90_us: int
    p99_us: int
    max_us: int


class Picture(Part, frozen=True, kw_only=True):
    site: str
    box: str
    name: str = ""
    boot: str = ""
    epoch: int = 0
    head: int = 0  # newest record's seq
    mono_ms: Instant = 0  # when this picture was made
    wall_ms: int = 0  # UTC, the same instant
    turn_ms: int | None = None  # how long the last turn of the control loop took
    scanned: bool = False  # every input freshly read since the start; before this nothing moves
    clock: Clock = Clock()
    panic: Panic = Panic()
    fire: Fire = Fire()
    lanes: tuple[Lane, ...] = ()
    doors: tuple[Door, ...] = ()
    readers: tuple[Reader, ...] = ()
    keys: tuple[Key, ...] = ()
    supplies: tuple[Supply, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    devices: tuple[Device, ...] = ()
    outputs: tuple[Output, ...] = ()
    paths: tuple[Path, ...] = ()
    journal: JournalPart = JournalPart()
    presses: tuple[Press, ...] = ()  # newest first, at most 16
    machine: Machine = Machine()
    orders: Orders = Orders()
    campus: Campus | None = None  # None: no school policy is in force
    asked: tuple[Asked, ...] = ()  # what the far side asks of a person on site
    hops: tuple[Hop, ...] = ()  # percentiles over the last presses that are written down, restarts included


def decode(state: object) -> Picture:
    """The picture in the `state` of a message from the local socket. Raises msgspec.ValidationError."""
    return msgspec.convert(state, Picture)
