"""Time at the gate: the day's plan, its windows as they come and go, and what a person changed about today.

Windows are wall time, deadlines monotonic: the next boundary is mapped onto the monotonic clock, and mapped anew
whenever the wall clock is set. With an untrusted clock no window runs and nothing is asked of a lane (domain rule
27). A window that wants the bollards up only asks the guard; one that wants them down asks with the timetable's rank.
"""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace

from agent.core import calendar, crowd, duty_days, lane
from agent.core.calendar import Because, Day, Span
from agent.core.campus_passage import put
from agent.core.events import Command, InsideRecalled, Now, PolicyChanged
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState
from agent.core.words import ClockTrust, Rank

SNAPSHOT_S = (
    7200.0  # D: who is inside is written whole this often while it changes; a restart replays from the last one
)
MINUTE_S = 60.0
USED_KEPT_MS = 90 * calendar.DAY_MS  # D: a used slip that no policy names any more is remembered this long


def on_policy(state: BoxState, event: PolicyChanged, now: Now, log: Log) -> BoxState:
    """Another policy is in force from now on, whole. What people changed about today goes on where it still fits."""
    policy = event.policy
    data: dict[str, Value] = {
        "cards": len(policy.credentials),
        "digest": event.digest,
        "plans": len(policy.plans),
        "slips": len(policy.slips),
        "source": event.source,
        "version": policy.version,
    }
    log.cause = log.add("policy.changed", "policy", data, actor=event.actor)
    state = replace(state, policy=policy)
    oldest_ms = now.wall_ms - USED_KEPT_MS
    used = {slip: at for slip, at in state.campus.used.items() if slip in policy.slips or at > oldest_ms}
    state = put(state, digest=event.digest, since_ms=now.wall_ms, day=0, recent={}, used=used)
    return refresh(state, now, log)


def on_recalled(state: BoxState, event: InsideRecalled, now: Now) -> BoxState:
    """Who was inside before this start; what the journal has need not be written again."""
    kept = crowd.of(event.inside)
    known = [(name, mark) for bucket in state.campus.crowd.buckets for name, mark in bucket.items()]
    return put(state, crowd=crowd.of([*event.inside, *known]) if known else kept, kept=kept, kept_at=now.mono_s)


def refresh(state: BoxState, now: Now, log: Log) -> BoxState:
    """Find the day and its windows anew, write down what changed, and set the next boundary."""
    if state.policy is None or now.trust is ClockTrust.UNTRUSTED:
        return put(state, day=0, spans=(), windows=(), next_at=float("inf")) if state.campus.day else state
    today, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    if state.campus.day != today.toordinal():
        state = _begin_day(state, today, now, log)
    state = _windows(state, minute, now, log)
    boundary = calendar.next_boundary(state.campus.spans, minute)
    into_minute_ms = now.wall_ms % calendar.MINUTE_MS
    return put(state, next_at=now.mono_s + (boundary - minute) * MINUTE_S - into_minute_ms / 1000)


def _begin_day(state: BoxState, today: date, now: Now, log: Log) -> BoxState:
    """Whatever was changed for another day ends; who went home stays forgotten, who is inside is remembered."""
    policy = state.policy
    assert policy is not None
    if state.campus.last_day != today.toordinal():
        state = put(duty_days.on_day(state, state.campus.last_day, log), last_day=today.toordinal())
    if state.campus.changed_day != today.toordinal():
        state = put(state, swapped="", shifts=(), changed_day=0, changed_by="", changed_why="")
        state = put(state, crowd=crowd.forgiven(state.campus.crowd))
    found = calendar.day_of(policy, today, state.campus.swapped)
    state = put(
        state,
        day=today.toordinal(),
        plan=found.plan.id,
        because=found.because.value,
        spans=calendar.spans(found.plan, state.campus.shifts),
    )
    log.add("day.plan", "day", _told(found, state))
    if calendar.is_missing(policy.calendar, today):
        log.add("calendar.missing", "day", {"last": policy.calendar.last.isoformat()})
    return state


def _told(found: Day, state: BoxState) -> dict[str, Value]:
    return {
        "because": found.because.value,
        "date": found.day.isoformat(),
        "label": found.label,
        "plan": found.plan.id,
        "shift_min": sum(shift.by for shift in state.campus.shifts),
        "source": found.source,
    }


def _windows(state: BoxState, minute: int, now: Now, log: Log) -> BoxState:
    """The windows that run from this minute on; lanes are asked only when a window begins."""
    running = calendar.at_minute(state.campus.spans, minute)
    names = tuple(_name(span) for span in running)
    if names == state.campus.windows:
        return state
    begun = [span for span in running if _name(span) not in state.campus.windows]
    state = put(state, windows=names)
    data: dict[str, Value] = {"peak": any(span.window.peak for span in running), "windows": list(names)}
    log.cause = log.add("day.window", "day", data)
    for span in begun:
        state = _ask_lanes(state, span, now, log)
    return state


def _name(span: Span) -> str:
    """A window's name for people and records, with its times: two of one kind are two windows."""
    start, end = (f"{m // 60:02d}:{m % 60:02d}" for m in (span.start, span.end))
    return f"{span.window.label or span.window.kind} {start}-{end}"


def _ask_lanes(state: BoxState, span: Span, now: Now, log: Log) -> BoxState:
    verb = {"up": "raise", "down": "lower"}.get(span.window.bollards)
    if verb is None or not state.scanned:
        return state
    for name in span.window.lanes or tuple(state.lanes):
        if name in state.lanes:
            asked = Command("", Rank.TIMETABLE, "timetable", verb, {"lane": name})
            state, _ = lane.on_command(state, asked, now, log)
    return state


# ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def deadline(state: BoxState) -> float:
    return min(state.campus.next_at, _snapshot_at(state))


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s >= state.campus.next_at:
        state = refresh(state, now, log)
    return snapshot(state, now, log) if now.mono_s >= _snapshot_at(state) else state


def _snapshot_at(state: BoxState) -> float:
    campus = state.campus
    return float("inf") if campus.crowd is campus.kept else campus.kept_at + SNAPSHOT_S


def snapshot(state: BoxState, now: Now, log: Log) -> BoxState:
    """Who is inside, whole, as pseudonyms: a start begins from the newest of these and replays what came after."""
    inside: dict[str, Value] = {
        holder: [mark.kind, mark.group, mark.since_ms] for holder, mark in sorted(state.campus.crowd.inside())
    }
    log.add("muster.snapshot", "campus", {"inside": inside})
    return put(state, kept=state.campus.crowd, kept_at=now.mono_s)


# ── what a person changes about today ──────────────────────────────────────────────────────────────────────────────


def no_change(state: BoxState, now: Now) -> str:
    """Why today cannot be changed, or ""."""
    if state.policy is None:
        return "no_policy"
    return "clock" if now.trust is ClockTrust.UNTRUSTED or not state.campus.day else ""


def minutes_of(text: str) -> int | None:
    """A shift's minutes as written, None for what is none."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4):
        return None
    by = int(text)
    return by if by and abs(by) <= calendar.MOST_SHIFT_MIN else None


def change(
    state: BoxState, swapped: str, shifts: tuple[calendar.Shift, ...], actor: str, why: str, now: Now, log: Log
) -> BoxState:
    """Today under another plan or moved; it ends with the local day."""
    today = state.campus.day
    changed = bool(swapped or shifts)
    state = put(
        state,
        swapped=swapped,
        shifts=shifts,
        changed_day=today if changed else 0,
        changed_by=actor if changed else "",
        changed_why=why if changed else "",
        day=0,
    )
    found = _begin_day_again(state, today, now, log)
    return refresh(found, now, log)


def _begin_day_again(state: BoxState, today: int, now: Now, log: Log) -> BoxState:
    """The same day once more: nobody is forgotten by it."""
    assert state.policy is not None
    found = calendar.day_of(state.policy, date.fromordinal(today), state.campus.swapped)
    log.add("day.plan", "day", _told(found, state))
    spans = calendar.spans(found.plan, state.campus.shifts)
    because = found.because.value if not state.campus.shifts else Because.SWAPPED.value
    return put(state, day=today, plan=found.plan.id, because=because, spans=spans)
