"""What only the guard's side of the gate may see: holders as pseudonyms, slips and pick-ups, who is inside.

Told by the socket's `guard` op, never by the status page. Names are added by whoever has the school's name key.
"""

from __future__ import annotations

from datetime import date

import msgspec

from agent.core import access, calendar, people
from agent.core.events import Now
from agent.core.state import BoxState
from agent.picture import Asked
from agent.picture.build import asked


class Inside(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person on the muster list. A pupil's grade and class as the school wrote them, "" = not written."""

    holder: str
    kind: str
    since_ms: int  # UTC, when the card was shown
    grade: str = ""
    class_: str = msgspec.field(default="", name="class")


class Slip(msgspec.Struct, frozen=True):
    """A leave slip of today: `state` is "waiting", "valid", "used", "expired" or "cancelled"."""

    id: str
    pupil: str
    issuer: str
    from_ms: int
    to_ms: int
    guardian: bool
    state: str
    reason: str = ""


class Waiting(msgspec.Struct, frozen=True):
    """A pupil at a door whose guardian has not shown a card yet."""

    door: str
    holder: str
    since_s: int


class Window(msgspec.Struct, frozen=True):
    """A stretch of today as it runs, in local minutes; `kind` is a word of the day plans."""

    start: int
    end: int
    kind: str
    label: str
    peak: bool


class Visiting(msgspec.Struct, frozen=True, kw_only=True):
    """A visit that is not over. `host` is a holder or a handle, `consent` how the host agreed, "" = not yet."""

    handle: str
    kind: str
    host: str
    purpose: str
    card: bool
    lent: str  # the number of that card, "" = none
    door: str
    lane: str
    from_ms: int
    until_ms: int
    left_s: int  # below 0: its time is over
    consent: str
    came: bool


class OnPost(msgspec.Struct, frozen=True, kw_only=True):
    """A post of the roster: who stands there (a holder, "" = nobody), and what is asked of it now."""

    id: str
    label: str
    guard: str
    since_ms: int
    needed: bool
    empty_s: int  # how long it has stood empty that must not, 0 = it has not
    asked_s: int  # how long an answer is waited for, 0 = none
    unanswered: bool


class OpenHazard(msgspec.Struct, frozen=True):
    handle: str
    what: str
    owner: str
    found_ms: int
    due_ms: int


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
    day_windows: tuple[Window, ...] = ()
    wall_ms: int = 0  # UTC, when this was told, by the box's own clock
    minute: int = 0  # of the local day, then
    plans: tuple[tuple[str, str], ...] = ()  # (id, label) of every day plan
    visits: tuple[Visiting, ...] = ()
    posts: tuple[OnPost, ...] = ()
    patrols: int = 0
    patrols_required: int = 0  # 0 = no patrol point is set up
    hazards: tuple[OpenHazard, ...] = ()
    present: str = ""  # the guard whose card proves presence on site now, "" = nobody's


def guard(state: BoxState, now: Now) -> Guard:
    """The picture at `now`."""
    campus, policy = state.campus, state.policy
    _, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    known = policy is not None and campus.day > 0
    boundary = calendar.next_boundary(campus.spans, minute) if known else 0
    classes = people.index(policy).classes if policy is not None else {}
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
        inside=tuple(Inside(holder, mark.kind, mark.since_ms, *classes.get(holder, ())) for holder, mark in inside),
        day_windows=tuple(_windows(state)) if known else (),
        wall_ms=now.wall_ms,
        minute=minute,
        plans=tuple((plan.id, plan.label) for plan in policy.plans.values()) if policy is not None else (),
        visits=tuple(_visits(state, now)),
        posts=tuple(_posts(state, now)),
        patrols=_patrols(state, now),
        patrols_required=policy.rules.patrols_a_day if policy is not None and policy.rules.patrol_readers else 0,
        hazards=tuple(
            OpenHazard(name, one.what, one.owner, one.found_ms, one.due_ms)
            for name, one in sorted(state.duty.hazards.items(), key=lambda pair: pair[1].due_ms)
        ),
        present=state.access.guard if access.on_site(state, now) else "",
    )


def _windows(state: BoxState) -> list[Window]:
    spans = sorted(state.campus.spans, key=lambda span: (span.start, span.end))
    return [
        Window(span.start, span.end, span.window.kind, span.window.label, span.window.peak)
        for span in spans
        if span.start < span.end
    ]


def _visits(state: BoxState, now: Now) -> list[Visiting]:
    """The one whose time is over first."""
    return [
        Visiting(
            handle=visit.handle,
            kind=visit.kind,
            host=visit.host,
            purpose=visit.purpose,
            card=bool(visit.card),
            lent=visit.card,
            door=visit.door,
            lane=visit.lane,
            from_ms=visit.from_ms,
            until_ms=visit.until_ms,
            left_s=round(visit.until_at - now.mono_s),
            consent=visit.consent,
            came=visit.came,
        )
        for visit in sorted(state.visits.values(), key=lambda visit: (visit.until_at, visit.handle))
    ]


def _posts(state: BoxState, now: Now) -> list[OnPost]:
    found = []
    for name, post in state.policy.posts.items() if state.policy is not None else ():
        watch, vacancy = state.duty.on.get(name), state.duty.vacant.get(name)
        asked = watch.asked if watch is not None else None
        found.append(
            OnPost(
                id=name,
                label=post.label,
                guard=watch.guard if watch is not None else "",
                since_ms=watch.since.ms if watch is not None else 0,
                needed=post.always or vacancy is not None,
                empty_s=max(1, round(now.mono_s - vacancy.since.at)) if vacancy is not None else 0,
                asked_s=max(1, round(now.mono_s - asked.at)) if asked is not None else 0,
                unanswered=watch.unanswered if watch is not None else False,
            )
        )
    return found


def _patrols(state: BoxState, now: Now) -> int:
    """Those of today."""
    today, _ = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    return state.duty.patrols if state.duty.patrol_day == today.toordinal() else 0


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
            span = (slip.from_ms, slip.to_ms)
            found.append(Slip(slip.id, slip.pupil, slip.issuer, *span, slip.guardian, state_of, slip.reason))
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
