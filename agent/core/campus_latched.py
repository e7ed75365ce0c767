"""What of the closed campus survives a restart in the latch picture: bans, slips, today as a person changed it, and the
doors that the first card of the day has opened.

Who is inside does not ride along: it has snapshots of its own, for a picture of a thousand names at every card is no
picture.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import asdict, replace

from agent.core.calendar import Shift
from agent.core.policy import LeaveSlip
from agent.core.records import Value, plain
from agent.core.state import BoxState, CampusState


class SlipPicture(msgspec.Struct, frozen=True):
    id: str
    pupil: str
    issuer: str
    from_ms: int
    to_ms: int
    guardian: bool = False
    reason: Literal["", "illness", "private", "other"] = ""


class CampusPicture(msgspec.Struct, frozen=True):
    bans: dict[str, str] = {}
    cancelled: tuple[str, ...] = ()
    changed_by: str = ""
    changed_day: int = 0
    changed_why: str = ""
    last_day: int = 0
    opened: dict[str, int] = {}
    shifts: tuple[tuple[int, int], ...] = ()
    slips: tuple[SlipPicture, ...] = ()
    swapped: str = ""
    used: dict[str, int] = {}


def picture(campus: CampusState) -> dict[str, Value]:
    """As the data of a record: lists, dicts, texts, whole numbers and truth only."""
    return {
        "bans": {**campus.bans},
        "cancelled": [*sorted(campus.cancelled)],
        "changed_by": campus.changed_by,
        "changed_day": campus.changed_day,
        "changed_why": campus.changed_why,
        "last_day": campus.last_day,
        "opened": {**campus.opened},
        "shifts": [[shift.at, shift.by] for shift in campus.shifts],
        "slips": [plain(slip, SlipPicture) for slip in campus.slips.values()],
        "swapped": campus.swapped,
        "used": {**campus.used},
    }


def may_differ(old: CampusState, new: CampusState) -> bool:
    """Cheap: a passage touches none of these."""
    return not (
        old.bans is new.bans
        and old.cancelled is new.cancelled
        and old.slips is new.slips
        and old.used is new.used
        and old.shifts is new.shifts
        and old.opened is new.opened
        and (old.swapped, old.changed_day, old.last_day) == (new.swapped, new.changed_day, new.last_day)
    )


def restore(state: BoxState, part: CampusPicture) -> BoxState:
    campus = replace(
        state.campus,
        bans=part.bans,
        cancelled=frozenset(part.cancelled),
        changed_by=part.changed_by,
        changed_day=part.changed_day,
        changed_why=part.changed_why,
        last_day=part.last_day,
        opened=part.opened,
        shifts=tuple(Shift(at, by) for at, by in part.shifts),
        slips={slip.id: LeaveSlip(**asdict(slip)) for slip in part.slips},
        swapped=part.swapped,
        used=part.used,
    )
    return replace(state, campus=campus)
