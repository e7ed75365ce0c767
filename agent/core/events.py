"""Everything that can happen to the gate, as frozen data. The core sees nothing else.

Instants are monotonic seconds (`*_at`); wall time comes only with `Now`. Text ids are those of the site file.
Card strings are "<format>:<hex>", so that a truncated number never equals a full one.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from agent.core.crowd import Mark
from agent.core.policy import Policy
from agent.core.words import ClockTrust, Contact, Journal, Line, Mode, Rank, Sensor, Sent, Stage

Seq: TypeAlias = tuple[int, int]  # (epoch, seq) of a record


class Event(msgspec.Struct, frozen=True):
    """Base of all events."""


class Now(msgspec.Struct, frozen=True):
    """The instant of a step. Interlocks, pulses and time-outs use `mono_s` only."""

    mono_s: float  # monotonic seconds, any origin, never goes back within a boot
    wall_ms: int  # UTC milliseconds since 1970
    trust: ClockTrust


# ── the box itself ─────────────────────────────────────────────────────────────────────────────────────────────────


class Started(Event, frozen=True):
    """First event of a boot. `latched` is the `data` of the newest `box.latched` record, or None on a new box."""

    boot: str  # random id of this boot
    latched: dict[str, object] | None
    latched_ref: Seq | None
    reason: str = ""  # "power", "restart", "watchdog", "update"


class Tick(Event, frozen=True):
    """Time has come for something: sent at `next_deadline`, harmless at any other time."""


class ScanComplete(Event, frozen=True):
    """Every input was freshly read once since the start. Before this no command goes out."""


class JournalChanged(Event, frozen=True):
    health: Journal
    why: str = ""


class NewEpoch(Event, frozen=True):
    """The journal cannot prove that it continues; records from here on are of `epoch`, numbered from `next_seq`."""

    epoch: int
    next_seq: int
    why: str


class DeviceLost(Event, frozen=True):
    """A keeper gave up on a device for now. `device` is "bus:plc", "lane:main", "reader:guard", "gpio", "relays" …"""

    device: str
    why: str


class DeviceBack(Event, frozen=True):
    device: str


class Note(Event, frozen=True):
    """A fact from the shell that must be one record and decides nothing (a refused request, an export, a view)."""

    kind: str
    subject: str
    actor: str
    data: dict[str, object]


# ── inputs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class PanicLine(Event, frozen=True):
    """A panic button's supervised line, as of `edge_at` (the pin's own time stamp where there is one)."""

    button: str
    line: Line
    edge_at: float


class FireInput(Event, frozen=True):
    active: bool | None  # None: unread


class KeyInput(Event, frozen=True):
    """A key switch of the box, or a lane's hold-to-run button ("lane:main:raise", "lane:main:lower")."""

    key: str
    on: bool | None


class SupplyInput(Event, frozen=True):
    """Tamper, mains and battery contacts: `ok` is True when healthy, None when unread."""

    which: Literal["tamper", "mains", "battery"]
    ok: bool | None


class DoorContact(Event, frozen=True):
    door: str
    contact: Contact


class Rex(Event, frozen=True):
    """Request-to-exit pressed inside (a press edge)."""

    door: str


class CardRead(Event, frozen=True):
    reader: str
    card: str


class CardBad(Event, frozen=True):
    """A frame the reader garbled (check digit, length): no decision, but a record."""

    reader: str
    why: str


# ── lanes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class BollardReading(msgspec.Struct, frozen=True):
    """One bollard as its PLC reports it. None: this profile cannot tell."""

    up: bool
    down: bool
    moving: bool | None = None
    fault: int = 0  # the PLC's fault code, 0 = none
    efo: bool | None = None
    token: int | None = None  # last token the PLC accepted
    cycles: int | None = None


class LaneReading(Event, frozen=True):
    """One complete reading of a lane: bollards, sensors, mode and warning, all measured at `read_at`."""

    lane: str
    read_at: float
    mode: Mode
    bollards: dict[str, BollardReading]
    sensors: dict[str, Sensor]
    warning_on: bool | None  # pre-warning lamp and buzzer, read back; None: cannot be read
    heartbeat_ok: bool  # the PLC's echo is fresh; False makes every input of this reading unknown
    estop: bool = False
    fire_key: bool = False


class MotionSent(Event, frozen=True):
    """The end of one token's way out. `acked_at` is set when the PLC confirmed it."""

    lane: str
    bollard: str
    token: int
    outcome: Sent
    acked_at: float | None = None
    why: str = ""


class OutputFault(Event, frozen=True):
    """An output that does not read back as desired despite rewriting, or is well again (`ok`)."""

    output: str  # "lock:wicket", "lamp:sent", "siren", "light:main" …
    ok: bool
    why: str = ""


# ── people and the far side ────────────────────────────────────────────────────────────────────────────────────────


class Command(Event, frozen=True):
    """A request by a person or the far side. The core decides by rank and presence; each id at most once.

    Verbs: "lower", "raise", "stop" (args lane) · "release" (door) · "lockdown" · "all_clear" · "acknowledge" ·
    "panic_reset" · "fire_reset" · "drill_start" (button, minutes, reason) · "drill_go_ahead" · "drill_end" ·
    "lane_clear_fault" (lane);
    from the far side alone "all_clear_request" · "drill_propose" (button, minutes, reason).
    """

    id: str
    rank: Rank
    actor: str
    verb: str
    args: dict[str, str]
    issued_ms: int = 0  # UTC; with `expires_ms` for a signed command of the far side, whose signature was checked
    expires_ms: int = 0


class InsideRecalled(Event, frozen=True):
    """Who was inside before this start, from the journal's last snapshot and what came after. A start waits for no
    list: whoever has passed meanwhile is known better already."""

    inside: tuple[tuple[str, Mark], ...]


class PolicyChanged(Event, frozen=True):
    """A policy that was verified, checked and kept on disk is in force from now on. `digest` names its bundle."""

    policy: Policy
    digest: str
    actor: str
    source: str = ""  # "start", "mqtt", "usb", "command"


class AlarmStage(Event, frozen=True):
    """An uplink path tells how far the alarm record `ref` has come. RECEIVED and later only on the far side's word."""

    ref: Seq
    path: str  # "mqtt", "dc09", "gb28181"
    stage: Stage
    by: str = ""
    at: float = 0.0


class PathHealth(Event, frozen=True):
    path: str
    up: bool
    why: str = ""


class ClockChanged(Event, frozen=True):
    """Trust in the wall clock changed, or it was stepped by `step_ms`."""

    trust: ClockTrust
    step_ms: int = 0
    why: str = ""
