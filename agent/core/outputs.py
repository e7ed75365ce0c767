"""What the core wants of the world: a picture of levels, and the motion tokens that are open.

`desired(state, now)` gives the whole picture each time. The shell reconciles levels against what devices report, as
often as it likes. A motion token it sends exactly once, if it is younger than `max_age_s` when its turn on the bus
comes, and then reports `MotionSent`.

`after` is the sequence number of the record that must be durable first; 0 means at once. This is the whole of
"act, record, send": emergencies carry 0, everything else carries the record that explains it. While the journal is
failing the shell lets levels pass whatever their `after` is, and lets no motion pass that has one.
"""

from __future__ import annotations

import msgspec

from agent.core.words import Hold, Light, Motion


class Level(msgspec.Struct, frozen=True):
    """One two-state output. `blink`: while on it flashes, which says that this is a drill; a real alarm is steady."""

    on: bool
    after: int = 0
    blink: bool = False


class LaneOutputs(msgspec.Struct, frozen=True):
    light: Light
    warning: bool  # pre-warning lamp and buzzer together
    hold: dict[str, Hold]  # per bollard id
    after: int = 0


class MotionRequest(msgspec.Struct, frozen=True):
    """One token for one bollard. `token` is 1..255, never repeats the one before it on that bollard."""

    lane: str
    bollard: str
    motion: Motion
    token: int
    issued_at: float
    after: int = 0
    max_age_s: float = 2.0  # domain rule 5: never older than 2 s on the wire


class Outputs(msgspec.Struct, frozen=True):
    locks: dict[str, Level]  # door id → on = locked
    lamps: dict[str, Level]  # "sent", "received", "coming", "fault"
    siren: Level
    lanes: dict[str, LaneOutputs]
    motions: tuple[MotionRequest, ...]
