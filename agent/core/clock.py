"""Trust in the wall clock. Interlocks never ask it; validity of cards and timetables do."""

from __future__ import annotations

from msgspec.structs import replace

from agent.core.events import ClockChanged, Now
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState, ClockState
from agent.core.words import ClockTrust

OFF_MS = 2000  # GB 50396 5.1.3 (V) wants < 5 s a day; alarm at 2 s (D)


def on_change(state: BoxState, event: ClockChanged, now: Now, log: Log) -> BoxState:
    """One record for a change of trust, a step, or both. A clock that was trusted and yet wrong is an alarm."""
    was = state.clock
    changed = event.trust is not was.trust
    if not changed and not event.step_ms:
        return state
    data: dict[str, Value] = {
        "from": was.trust.value,
        "step_ms": event.step_ms,
        "to": event.trust.value,
        "why": event.why,
    }
    log.add(_kind(was.trust, event.step_ms, changed=changed), "clock", data)
    return replace(state, clock=_next(was, event.trust, now)) if changed else state


def _kind(trust: ClockTrust, step_ms: int, *, changed: bool) -> str:
    if trust is not ClockTrust.UNTRUSTED and abs(step_ms) > OFF_MS:
        return "clock.off"
    return "clock.trust" if changed else "clock.stepped"


def _next(was: ClockState, trust: ClockTrust, now: Now) -> ClockState:
    """`since_at` counts from the last time it was trusted: from holdover to untrusted nothing starts anew."""
    if trust is ClockTrust.TRUSTED:
        return ClockState(trust=trust, since_at=now.mono_s)
    since_at = now.mono_s if was.trust is ClockTrust.TRUSTED else was.since_at
    return replace(was, trust=trust, since_at=since_at)


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s < deadline(state):
        return state
    log.add("clock.unsynced", "clock", {"hours": round(state.rules.clock_alarm_s / 3600)})
    return replace(state, clock=replace(state.clock, alarmed=True))


def deadline(state: BoxState) -> float:
    clock = state.clock
    if clock.trust is ClockTrust.TRUSTED or clock.alarmed:
        return float("inf")
    return clock.since_at + state.rules.clock_alarm_s
