"""The closed vocabularies of the gate: one meaning each, spelled the same in events, records and on every screen."""

from __future__ import annotations

from enum import StrEnum


class Line(StrEnum):
    """A supervised input. UNREAD is a state of its own: nobody has measured it, so it is never 'normal'."""

    NORMAL = "normal"
    PRESSED = "pressed"
    CUT = "cut"
    SHORTED = "shorted"
    DISAGREE = "disagree"  # an NO + NC pair whose contacts contradict each other for longer than a transit
    UNREAD = "unread"


class Sensor(StrEnum):
    """A vehicle or person sensor of a lane."""

    CLEAR = "clear"
    OCCUPIED = "occupied"
    FAULTY = "faulty"
    UNREAD = "unread"


class Position(StrEnum):
    """A bollard, by its limit switches only. MOVING: neither switch, within the time a move may take."""

    UP = "up"
    DOWN = "down"
    MOVING = "moving"
    FAULT = "fault"  # both switches, or neither past the time-out
    UNKNOWN = "unknown"  # not measured


class Mode(StrEnum):
    """Who has the bollards, as the PLC's selector says. Only REMOTE lets the agent ask for motion."""

    REMOTE = "remote"
    LOCAL = "local"
    HAND = "hand"
    ESTOP = "estop"
    UNKNOWN = "unknown"


class Motion(StrEnum):
    RAISE = "raise"
    LOWER = "lower"
    EFO = "efo"


class Hold(StrEnum):
    """What the agent keeps asking of a bollard until read back. These are levels; a motion is a token."""

    NONE = "none"
    STOP = "stop"
    LOWER = "lower"  # only after a reversal


class Light(StrEnum):
    RED = "red"
    GREEN = "green"
    OFF = "off"


class Contact(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    UNREAD = "unread"


class ClockTrust(StrEnum):
    TRUSTED = "trusted"
    HOLDOVER = "holdover"
    UNTRUSTED = "untrusted"


class Stage(StrEnum):
    """Where an alarm is. SENT is 'sent, not confirmed'; 'police notified' may be shown from RECEIVED on only."""

    QUEUED = "queued"
    SENT = "sent"
    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    COMING = "coming"
    ARRIVED = "arrived"

    def is_after(self, other: Stage) -> bool:
        """Further on the way than `other`."""
        return STAGES.index(self) > STAGES.index(other)


STAGES: tuple[Stage, ...] = tuple(Stage)
FROM_AFAR = frozenset({Stage.RECEIVED, Stage.ACKNOWLEDGED, Stage.COMING, Stage.ARRIVED})
"""The stages that only the far side's own word brings; a box never says them by itself."""


class Rank(StrEnum):
    """Who asks (domain rules, section 1). RANK_ORDER below gives the precedence."""

    HARDWARE = "hardware"
    FIRE = "fire"
    FIRE_KEY = "fire_key"
    PANIC = "panic"
    HOLD_TO_RUN = "hold_to_run"
    CONSOLE = "console"
    UPSTREAM = "upstream"
    TIMETABLE = "timetable"


class Sent(StrEnum):
    """What became of a motion token on the wire. It says nothing of the bollard."""

    ACKED = "acked"  # the PLC confirmed the write and read back the token
    EXPIRED = "expired"  # older than its age limit before it could go out: never sent
    REFUSED = "refused"  # the PLC answered with an exception
    FAILED = "failed"  # no or a wrong answer; whether the PLC got it is unknown: judge by read-back


class Journal(StrEnum):
    """How far the journal can be trusted to keep what it is given."""

    OK = "ok"
    FAILING = "failing"  # writes fail: emergencies and entry grants go on from memory, marked undurable


RANK_ORDER: tuple[Rank, ...] = tuple(Rank)
