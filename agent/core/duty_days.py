"""The gatehouse's days: patrols, the monthly panic test, and the hazard ledger. Looked through at every full hour of
the school's clock, by a clock that can be trusted.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agent.core import args as checks
from agent.core import calendar
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.policy import Policy
from agent.core.state import BoxState, Hazard
from agent.core.words import ClockTrust

VERBS = frozenset({"hazard_open", "hazard_close"})
HAZARDS = frozenset({"bollard", "lock", "reader", "camera", "alarm", "light", "fence", "power", "network", "other"})
MOST_HAZARDS = 200  # D
MOST_DAYS = 365  # D: a hazard that may stay for longer is none
PATROL_GAP_S = 600.0  # D: the same point counts again after ten minutes
HOUR_MS = 3_600_000
GUARDS_AT = (1000, 3, 500)  # GB/T 29315-2022 (V): three guards at 1000 pupils, one more for every 500
ARGS: dict[str, checks.Check] = {
    "hazard": checks.handle("h"),
    "what": checks.one_of(HAZARDS),
    "owner": checks.person,
    "due": checks.number,
}


def put(state: BoxState, **changes: Any) -> BoxState:
    return replace(state, duty=replace(state.duty, **changes))


def guards_wanted(pupils: int) -> int:
    """How many guards a school of so many pupils has at least; 0 where the standard names no number."""
    least, guards, step = GUARDS_AT
    return guards + (pupils - least) // step if pupils >= least else 0


def deadline(state: BoxState) -> float:
    """The next look through; never where there is nothing to look through."""
    return state.duty.check_at if state.policy is not None or state.duty.hazards else float("inf")


def hour(state: BoxState, now: Now, log: Log) -> BoxState:
    """Everything that counts in days, once an hour."""
    into_hour_ms = (now.wall_ms + state.rules.utc_offset_min * calendar.MINUTE_MS) % HOUR_MS
    state = put(state, check_at=now.mono_s + (HOUR_MS - into_hour_ms) / 1000)
    if now.trust is ClockTrust.UNTRUSTED:
        return state
    state = _tell_hazards(state, now, log)
    if state.policy is None:
        return state
    return _tell_patrols(_tell_test(state, state.policy, now, log), state.policy, now, log)


# ── patrols ────────────────────────────────────────────────────────────────────────────────────────────────────────


def patrol(state: BoxState, reader: str, guard: str, now: Now, log: Log) -> BoxState:
    """A patrol point was passed. By a clock nobody can trust it counts for the day that was last known."""
    duty = state.duty
    last = duty.patrolled_at.get(reader, float("-inf"))
    if now.mono_s - last < PATROL_GAP_S:
        return state
    day = duty.patrol_day if now.trust is ClockTrust.UNTRUSTED else _today(state, now)
    count = duty.patrols + 1 if duty.patrol_day == day else 1
    log.add("duty.patrol", f"reader:{reader}", {"count": count, "guard": guard, "reader": reader}, actor=guard)
    return put(state, patrolled_at={**duty.patrolled_at, reader: now.mono_s}, patrol_day=day, patrols=count)


def _today(state: BoxState, now: Now) -> int:
    return calendar.local(now.wall_ms, state.rules.utc_offset_min)[0].toordinal()


def patrols_of(state: BoxState, day: int) -> int:
    """The patrols counted for a day, by its ordinal."""
    return state.duty.patrols if state.duty.patrol_day == day else 0


def _tell_patrols(state: BoxState, policy: Policy, now: Now, log: Log) -> BoxState:
    """At the set hours of a day: fewer patrols than that much of the day asks for, while there is time to walk."""
    told = _set_hour_of_all(state, policy, now)
    if told <= state.duty.patrol_told:
        return state
    count, required = patrols_of(state, _today(state, now)), policy.rules.patrols_a_day
    if not _are_too_few(count, required, told):
        return put(state, patrol_told=told)
    log.add("duty.patrols_behind", "day", {"count": count, "required": required})
    return put(state, patrol_told=told, patrol_short=told)


def _are_too_few(count: int, required: int, set_hour: int) -> bool:
    """Whether by this set hour there should have been more."""
    return count * 24 < required * (set_hour % 24)


def are_patrols_behind(state: BoxState, policy: Policy, now: Now) -> bool:
    """Whether it was told today that they fall behind, and nobody has made up for it since."""
    day, short = _today(state, now), state.duty.patrol_short
    return short // 24 == day and _are_too_few(patrols_of(state, day), policy.rules.patrols_a_day, short)


def _set_hour_of_all(state: BoxState, policy: Policy, now: Now) -> int:
    """The last hour at which patrols are looked at, as the day's ordinal × 24 + hour; 0 before today's first, and
    where there are no patrol points."""
    day, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    passed = [hour for hour in policy.rules.patrol_hours if 0 < hour * 60 <= minute]
    return day.toordinal() * 24 + max(passed) if passed and policy.rules.patrol_readers else 0


def on_day(state: BoxState, ended: int, log: Log) -> BoxState:
    """A day is over: the patrols it had."""
    if state.policy is not None and state.policy.rules.patrol_readers and ended:
        count, required = patrols_of(state, ended), state.policy.rules.patrols_a_day
        kind = "duty.patrols_short" if count < required else "duty.patrols"
        log.add(kind, "day", {"count": count, "required": required})
    return state


# ── the monthly panic test ─────────────────────────────────────────────────────────────────────────────────────────


def days_since_test(state: BoxState, now: Now) -> int:
    """Whole days since the last panic test, or since the policy first came to a box that has had none."""
    tested_ms = state.duty.tested_ms
    return max(0, now.wall_ms - tested_ms) // calendar.DAY_MS if tested_ms else 0


def _tell_test(state: BoxState, policy: Policy, now: Now, log: Log) -> BoxState:
    """Once that it is due, once that it is overdue."""
    if not state.duty.tested_ms:  # a new box: nobody knows what was before
        return put(state, tested_ms=now.wall_ms, patrol_told=_set_hour_of_all(state, policy, now))
    days, rules = days_since_test(state, now), policy.rules
    word = "overdue" if days >= rules.panic_test_days else "due" if days >= rules.panic_test_due_days else ""
    if word in ("", state.duty.test_told):
        return state
    log.add(f"duty.test_{word}", "panic", {"days": days})
    return put(state, test_told=word)


def on_test(state: BoxState, now: Now) -> BoxState:
    """A drill press came through: the monthly test is done."""
    return put(state, tested_ms=now.wall_ms, test_told="")


# ── the hazard ledger ──────────────────────────────────────────────────────────────────────────────────────────────


def is_overdue(hazard: Hazard, now: Now) -> bool:
    return now.wall_ms > hazard.due_ms


def _tell_hazards(state: BoxState, now: Now, log: Log) -> BoxState:
    """Each once, when its day has passed. No alarm: nobody is in danger this minute, and the page shows it until it is
    closed."""
    for name, hazard in state.duty.hazards.items():
        if is_overdue(hazard, now) and not hazard.told:
            data: dict[str, Any] = {"hazard": name, "what": hazard.what}
            log.add("hazard.overdue", f"hazard:{name}", data, cause=hazard.ref)
            state = put(state, hazards={**state.duty.hazards, name: replace(hazard, told=True)})
    return state


def refusal(state: BoxState, verb: str, args: dict[str, str]) -> str:
    """Why this entry may not be written or closed, or ""."""
    hazard = args.get("hazard", "")
    if not ARGS["hazard"](state, hazard):
        return "hazard"
    if verb == "hazard_close":
        return "" if hazard in state.duty.hazards else "unknown_hazard"
    if hazard in state.duty.hazards:
        return "hazard_exists"
    for name in ("what", "owner"):
        if not ARGS[name](state, args.get(name, "")):
            return name
    if not (checks.number(state, args.get("due", "")) and 1 <= int(args["due"]) <= MOST_DAYS):
        return f"due:1-{MOST_DAYS}"
    return "too_many_hazards" if len(state.duty.hazards) >= MOST_HAZARDS else ""


def do(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    args = event.args
    if event.verb == "hazard_close":
        return _close(state, args["hazard"], event.actor, now, log)
    due_ms = now.wall_ms + int(args["due"]) * calendar.DAY_MS
    hazard = Hazard(what=args["what"], owner=args["owner"], found_ms=now.wall_ms, due_ms=due_ms, ref=cause)
    return put(state, hazards={**state.duty.hazards, args["hazard"]: hazard})


def _close(state: BoxState, name: str, actor: str, now: Now, log: Log) -> BoxState:
    hazard = state.duty.hazards[name]
    days = (now.wall_ms - hazard.found_ms) // calendar.DAY_MS
    data: dict[str, Any] = {"days": days, "hazard": name, "late": is_overdue(hazard, now), "what": hazard.what}
    log.add("hazard.closed", f"hazard:{name}", data, actor=actor, cause=hazard.ref)
    return put(state, hazards={one: kept for one, kept in state.duty.hazards.items() if one != name})
