"""All the core remembers, frozen: one slice for each subject. A step makes new slices and keeps the untouched ones,
so `new.panic is old.panic` means that nothing of panic changed; invariants and outputs rely on that.

Instants are monotonic seconds of this boot (`*_at`), None where there is none. What must survive a restart is written
as the `data` of a `box.latched` record (see `agent.core.latched`), without any monotonic instant in it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.core.calendar import Shift, Span
from agent.core.crowd import EMPTY, Crowd
from agent.core.events import BollardReading, Seq
from agent.core.outputs import MotionRequest
from agent.core.policy import LeaveSlip, Policy
from agent.core.rules import BoxRules
from agent.core.words import ClockTrust, Contact, Hold, Journal, Line, Mode, Motion, Position, Rank, Sensor, Stage


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every slice of state."""


# ── panic ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class ButtonState(Slice, frozen=True, kw_only=True):
    """One panic button: its line as measured, and when it last settled."""

    line: Line = Line.UNREAD
    since_at: float = 0.0
    released_at: float | None = None  # start of the present stable NORMAL time; a press after >= 50 ms of it is new
    presses: int = 0
    fault_ref: Seq | None = None  # the record of the present cut/short/disagreement/unread alarm
    armed: bool = True  # stably NORMAL since the last press, so that the next PRESSED is a new press
    stuck_ref: Seq | None = None  # the record of the present stuck-button alarm
    recent: tuple[float, ...] = ()  # the last presses, so many as make chatter
    chatter_ref: Seq | None = None  # the record of the present chatter alarm


class AlarmState(Slice, frozen=True, kw_only=True):
    """One alarm on its way: an object with a stage for each path. `ref` is the record of the press."""

    ref: Seq
    button: str
    pressed_at: float
    drill: bool = False
    stages: dict[str, Stage] = {}  # path → furthest stage
    acknowledged_by: str = ""


class PanicState(Slice, frozen=True, kw_only=True):
    """`latched` holds until an authorised person on site resets it, through any restart."""

    buttons: dict[str, ButtonState] = {}
    latched: bool = False
    latched_ref: Seq | None = None
    alarms: tuple[AlarmState, ...] = ()  # open alarms, newest last, at most 32 kept
    lockdown: bool = False  # entry side locked; set by panic or by command
    lockdown_ref: Seq | None = None
    lockdown_by: str = ""  # "panic": ends with the panic's reset; "command": only by an all-clear


class DrillState(Slice, frozen=True, kw_only=True):
    """`button` is the only one whose first press is a drill, from `live_at` on; "" = no drill. `ref` is the record that
    announced it."""

    button: str = ""
    ends_at: float = 0.0
    operator: str = ""
    reason: str = ""
    ref: Seq | None = None
    minutes: int = 0
    announced_at: float = 0.0
    live_at: float | None = None  # None: announced, nobody has answered yet, every press is real
    unanswered: bool = False  # the time for an answer is over: a person on site may go ahead
    stages: dict[str, Stage] = {}  # path → how far the announcement has come
    presses: int = 0
    press_at: float | None = None  # first drill press: a second within 10 s, or 3 s of hold, is real
    pressed: str = ""  # the button of that press; outlives the drill, so that a hold across its end is still real
    press_ref: Seq | None = None


class Asked(Slice, frozen=True, kw_only=True):
    """What the far side asks a person on site to do: an all-clear, or a drill of `button`."""

    verb: str
    button: str = ""
    minutes: str = ""
    reason: str = ""
    actor: str = ""
    since_at: float = 0.0
    until_at: float = 0.0
    ref: Seq | None = None


class OrdersState(Slice, frozen=True, kw_only=True):
    """Signed commands that were judged, id → expiry in UTC ms; `floor_ms` is the latest expiry of those forgotten."""

    spent: dict[str, int] = {}
    floor_ms: int = 0
    asked: tuple[Asked, ...] = ()


# ── lanes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class SensorState(Slice, frozen=True, kw_only=True):
    """`clear_since_at` is the start of unbroken, fresh CLEAR readings; None while not clear or not fresh."""

    value: Sensor = Sensor.UNREAD
    read_at: float = float("-inf")
    clear_since_at: float | None = None


class BollardState(Slice, frozen=True, kw_only=True):
    """Measured (`position`, by limit switches only) and commanded (`motion`, `token`) apart."""

    position: Position = Position.UNKNOWN
    since_at: float = 0.0
    reading: BollardReading | None = None
    motion: Motion | None = None  # the motion under way that we asked for
    token: int = 0  # last token issued
    asked_at: float | None = None  # when that token was issued
    sent: bool = False  # that token was acknowledged by the PLC
    left_at: float | None = None  # when the bollard last left a limit switch
    hold: Hold = Hold.NONE
    reversals: int = 0  # in a row; two close the lane for machines, a person decides
    fault: str = ""  # "", or the reason in a word: "timeout", "both_switches", "unasked", "plc", "reversals"
    moved_ms: int | None = None  # duration of the last complete rise, for the trend
    rank: Rank | None = None  # who asked for the motion under way
    flying: bool = False  # the last token may be on its way: what became of it is not known yet
    told_at: float | None = None  # when that became known
    hold_at: float = float("-inf")  # when the present hold began
    free_at: float = float("-inf")  # the end of the last hold has surely reached the PLC: a token may follow
    known: Position = Position.UNKNOWN  # the last end a switch proved; kept while the link is lost
    strayed_at: float | None = None  # since when it is seen away from that end without anyone having asked


class LaneRequest(Slice, frozen=True, kw_only=True):
    """A routine motion between the asking and the token: it waits for warning time, never for a sensor to clear."""

    motion: Motion
    rank: Rank
    actor: str
    ref: Seq
    asked_at: float
    warned_at: float | None = None  # when the warning was first read back as on
    held: bool = False  # hold-to-run: ends with the key's release


class LaneState(Slice, frozen=True, kw_only=True):
    mode: Mode = Mode.UNKNOWN
    fresh_at: float = float("-inf")  # instant of the last reading with a good heartbeat
    lost: bool = True  # no PLC, no bus, or no fresh heartbeat
    bollards: dict[str, BollardState] = {}
    sensors: dict[str, SensorState] = {}
    warning_on: bool | None = None
    request: LaneRequest | None = None
    motions: tuple[MotionRequest, ...] = ()  # tokens open for sending
    efo: bool = False  # EFO latched for this lane
    blocked: str = ""  # why the last raise was refused, for the guard's screen: "vehicle on loop1: press again"
    closed: bool = False  # lane fault: red light, no motion but by a person after clearing
    closed_ref: Seq | None = None
    fire_key: bool = False
    raise_key: bool = False  # the guard's hold-to-run buttons, as last told; unread counts as released
    lower_key: bool = False
    wanted: Motion | None = None  # what is shown to the guard as asked for; a person starts it


# ── doors and people ───────────────────────────────────────────────────────────────────────────────────────────────


class DoorState(Slice, frozen=True, kw_only=True):
    contact: Contact = Contact.UNREAD
    since_at: float = 0.0
    unlocked_until_at: float | None = None
    grant_ref: Seq | None = None
    rex_at: float | None = None
    forced: bool = False
    forced_ref: Seq | None = None
    opened_at: float | None = None
    held_from_at: float | None = None  # start of the held-open time: the opening, or the last unlock since
    held: bool = False
    held_ref: Seq | None = None
    opened_lawfully: bool = False  # the present opening had a grant, a REX or a fire release
    egress_until_at: float | None = None  # until then somebody is let out: that waits for nothing, lockdown leaves it
    shunted_until_at: float | None = None  # "forced" and "held open" are put aside until then
    shunt_ref: Seq | None = None
    lawful_until_at: float | None = None  # an opening up to here belongs to the last unlock (the bolt takes its time)
    fault: str = ""


class AccessState(Slice, frozen=True, kw_only=True):
    """Wrong tries for each reader, and where a guard was last seen."""

    wrong: dict[str, tuple[float, ...]] = {}
    locked_out_until: dict[str, float] = {}
    guard_at: float | None = None  # last guard card at a presence reader
    guard: str = ""


class Shown(Slice, frozen=True):
    """A card shown at a door: the other half of a pair may come within a minute. `why`: what it was refused for, or
    what an evacuation way opened in spite of; "" = let through."""

    at_s: float
    holder: str
    kind: str
    group: str
    why: str
    slip: str
    ref: Seq
    direction: str


class CampusState(Slice, frozen=True, kw_only=True):
    """The closed campus: the policy in force, today as it runs, what people changed about it, who is inside.

    `day` is the ordinal of the local date that `spans` belong to, 0 while no day is known.
    """

    digest: str = ""
    since_ms: int = 0  # wall clock when the policy came into force here
    day: int = 0
    plan: str = ""
    because: str = ""
    last_day: int = 0  # the last day that began here; it outlives a clock nobody can trust
    spans: tuple[Span, ...] = ()
    windows: tuple[str, ...] = ()  # those that run now, by name
    next_at: float = float("inf")  # the next window boundary, monotonic
    swapped: str = ""  # the plan a person chose for today
    shifts: tuple[Shift, ...] = ()
    changed_day: int = 0  # the day those two are for
    changed_by: str = ""
    changed_why: str = ""
    slips: dict[str, LeaveSlip] = {}  # written at the gate
    cancelled: frozenset[str] = frozenset()
    used: dict[str, int] = {}  # slip → wall-clock ms of its use
    bans: dict[str, str] = {}  # card or holder → reason
    opened: dict[str, int] = {}  # door → the day of its first staff card
    recent: dict[str, tuple[Shown, ...]] = {}
    crowd: Crowd = EMPTY
    kept: Crowd = EMPTY  # the crowd that the last snapshot wrote
    kept_at: float = 0.0


class Visit(Slice, frozen=True, kw_only=True):
    """One visit that is not over: a random handle, what it is for, and until when."""

    handle: str
    kind: str
    host: str
    purpose: str
    card: str = ""  # lent for it
    door: str = ""
    lane: str = ""
    from_ms: int
    until_ms: int
    until_at: float
    consent: str = ""  # how the host agreed; "" = not yet
    consent_by: str = ""  # who agreed
    came: bool = False
    guessed: bool = False  # `until_at` was worked out by a clock nobody could trust
    told: bool = False  # its end was told
    ref: Seq | None = None


class Instant(Slice, frozen=True):
    """A moment on both clocks: `at` counts within a boot, `ms` (UTC) finds it again after a restart."""

    at: float
    ms: int


class Watch(Slice, frozen=True, kw_only=True):
    """A guard at a post. `asked`: since when an answer is waited for."""

    guard: str
    since: Instant
    confirmed: Instant
    asked: Instant | None = None
    unanswered: bool = False
    ref: Seq | None = None


class Vacancy(Slice, frozen=True, kw_only=True):
    """A post that must be manned and is not; `ref` is the record of its alarm."""

    since: Instant
    due_at: float
    peak: bool
    ref: Seq | None = None


class Hazard(Slice, frozen=True, kw_only=True):
    """An entry of the hazard ledger (隐患台账)."""

    what: str
    owner: str
    found_ms: int
    due_ms: int
    told: bool = False  # that it is overdue
    ref: Seq | None = None


class DutyState(Slice, frozen=True, kw_only=True):
    on: dict[str, Watch] = {}  # post → who stands there
    vacant: dict[str, Vacancy] = {}
    peak: bool = False  # a peak ran when the posts were last looked through
    patrol_day: int = 0
    patrols: int = 0  # of that day
    patrolled_at: dict[str, float] = {}  # reader → last patrol, monotonic
    patrol_told: int = 0  # the last set hour at which the patrols were looked at: day ordinal × 24 + hour
    patrol_short: int = 0  # the last of those at which they had fallen behind
    tested_ms: int = 0  # last panic test; on a new box, when the policy first came
    test_told: Literal["", "due", "overdue"] = ""
    hazards: dict[str, Hazard] = {}
    check_at: float = 0.0  # the next look through, monotonic; at once after a start


class FireState(Slice, frozen=True, kw_only=True):
    """`latched` releases egress and inhibits every raise until reset by hand at the box with the input quiet."""

    input: bool | None = None
    key: bool | None = None
    latched: bool = False
    ref: Seq | None = None
    fault_ref: Seq | None = None  # the record of the present "unread" alarm


# ── the box ────────────────────────────────────────────────────────────────────────────────────────────────────────


class DeviceState(Slice, frozen=True, kw_only=True):
    up: bool
    since_at: float
    since_ms: int  # wall clock, for people
    why: str = ""


class HealthState(Slice, frozen=True, kw_only=True):
    devices: dict[str, DeviceState] = {}
    outputs: dict[str, str] = {}  # outputs that do not obey → why
    supplies: dict[str, bool | None] = {}  # "tamper", "mains", "battery" → ok
    supply_since_at: dict[str, float] = {}  # when each last changed
    supply_refs: dict[str, Seq] = {}  # the record of each present supply alarm
    paths: dict[str, DeviceState] = {}  # uplink paths
    paths_ref: Seq | None = None  # the record of the present "no path is left" alarm
    journal: Journal = Journal.OK
    journal_why: str = ""


class ClockState(Slice, frozen=True, kw_only=True):
    trust: ClockTrust = ClockTrust.UNTRUSTED
    since_at: float = 0.0
    alarmed: bool = False


class BoxState(Slice, frozen=True, kw_only=True):
    """The whole gate."""

    rules: BoxRules
    boot: str = ""
    epoch: int = 1
    next_seq: int = 1
    scanned: bool = False  # every input freshly read since the start; before this nothing goes out
    panic: PanicState = PanicState()
    drill: DrillState = DrillState()
    fire: FireState = FireState()
    lanes: dict[str, LaneState] = {}
    doors: dict[str, DoorState] = {}
    access: AccessState = AccessState()
    health: HealthState = HealthState()
    clock: ClockState = ClockState()
    keys: dict[str, bool | None] = {}
    policy: Policy | None = None
    campus: CampusState = CampusState()
    visits: dict[str, Visit] = {}
    duty: DutyState = DutyState()
    commands: tuple[str, ...] = ()  # ids already decided, newest last, bounded
    orders: OrdersState = OrdersState()
