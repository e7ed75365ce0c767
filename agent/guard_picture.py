"""What only the guard's side of the gate may see: holders as pseudonyms, slips and pick-ups, who is inside.

Told by the socket's `guard` op, never by the status page. Names are added by whoever has the school's name key.
"""

from __future__ import annotations

from datetime import date

import msgspec

from agent.core import calendar
from agent.core.events import Now
from agent.core.state import BoxState
from agent.picture import Asked
from agent.picture_build import asked


class Inside(msgspec.Struct, frozen=True):
    """One person on the muster list."""

    holder: str
    kind: str
    since_ms: int  # UTC, when the card was shown


class Slip(msgspec.Struct, frozen=True):
    """A leave slip of today: `state` is "waiting", "valid", "used", "expired" or "cancelled"."""

    id: str
    pupil: str
    issuer: str
    from_ms: int
    to_ms: int
    guardian: bool
    state: str


class Waiting(msgspec.Struct, frozen=True):
    """A pupil at a door whose guardian has not shown a card yet."""

    door: str
    holder: str
    since_s: int


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """Today as the guard needs it. `day` "" = no policy in force, or a clock nobody can trust."""

    day: str = ""
    plan: str = ""
    because: str = ""
    swapped: str = ""
    shifts: tuple[tuple[int, int], ...] = ()  # (local minute, minutes)
    changed_by: str = ""
    changed_why: str = ""
    windows: tuple[str, ...] = ()
    next: str = ""  # local time of the next boundary, "16:10"
    version: int = 0
    slips: tuple[Slip, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    bans: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    asked: tuple[Asked, ...] = ()
    inside: tuple[Inside, ...] = ()


def guard(state: BoxState, now: Now) -> Guard:
    """The picture at `now`."""
    campus, policy = state.campus, state.policy
    _, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    known = policy is not None and campus.day > 0
    boundary = calendar.next_boundary(campus.spans, minute) if known else 0
    inside = sorted(campus.crowd.inside(), key=lambda one: (one[1].kind, one[0]))
    return Guard(
        day=date.fromordinal(campus.day).isoformat() if known else "",
        plan=campus.plan if known else "",
        because=campus.because if known else "",
        swapped=campus.swapped,
        shifts=tuple((shift.at, shift.by) for shift in campus.shifts),
        changed_by=campus.changed_by,
        changed_why=campus.changed_why,
        windows=campus.windows,
        next=f"{boundary // 60:02d}:{boundary % 60:02d}" if known else "",
        version=policy.version if policy is not None else 0,
        slips=tuple(_slips(state, now)),
        waiting=tuple(_waiting(state, now)),
        bans=tuple(sorted(campus.bans)),
        counts=campus.crowd.counts(),
        asked=tuple(map(asked, state.orders.asked)),
        inside=tuple(Inside(holder, mark.kind, mark.since_ms) for holder, mark in inside),
    )


def _slips(state: BoxState, now: Now) -> list[Slip]:
    """Those of today, by their beginning."""
    campus, offset = state.campus, state.rules.utc_offset_min
    today, _ = calendar.local(now.wall_ms, offset)
    first = calendar.utc_ms(today, 0, offset)
    written = state.policy.slips.values() if state.policy is not None else ()
    found = []
    for slip in (*written, *campus.slips.values()):
        if slip.from_ms < first + calendar.DAY_MS and slip.to_ms > first:
            state_of = _slip_state(state, slip.id, slip.from_ms, slip.to_ms, now)
            found.append(Slip(slip.id, slip.pupil, slip.issuer, slip.from_ms, slip.to_ms, slip.guardian, state_of))
    return sorted(found, key=lambda slip: (slip.from_ms, slip.id))


def _slip_state(state: BoxState, ident: str, from_ms: int, to_ms: int, now: Now) -> str:
    if ident in state.campus.used:
        return "used"
    if ident in state.campus.cancelled:
        return "cancelled"
    if now.wall_ms < from_ms:
        return "waiting"
    return "valid" if now.wall_ms < to_ms else "expired"


def _waiting(state: BoxState, now: Now) -> list[Waiting]:
    pair_s = state.policy.rules.pair_s if state.policy is not None else 0
    return [
        Waiting(door, shown.holder, round(now.mono_s - shown.at_s))
        for door, many in state.campus.recent.items()
        for shown in many
        if shown.why == "guardian_missing" and now.mono_s - shown.at_s <= pair_s
    ]
