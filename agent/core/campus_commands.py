"""What a guard says about today and about people: shifts, leave slips, cards that are lost, and a pupil let out by
hand.

Every argument has its check (`agent.core.args`): no name, ID number or plate can come through here into a record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from agent.core import args as checks
from agent.core import calendar, campus_day, door, people
from agent.core.campus_passage import put
from agent.core.crowd import Mark
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.policy import LeaveSlip
from agent.core.records import Value
from agent.core.state import BoxState

# D: why a pupil is let out by hand, a card banned, a day changed. A free text could name somebody.
EXIT_REASONS = frozenset({"illness", "guardian_at_gate", "teacher_present", "errand", "card_forgotten", "other"})
SLIP_REASONS = frozenset({"", "illness", "private", "other"})
BAN_REASONS = frozenset({"lost", "stolen", "left_school", "misused", "other"})
DAY_REASONS = frozenset({"weather", "exam", "event", "traffic", "authority", "illness", "drill", "other"})
MOST_SLIPS = 500  # D: written at one gate and kept; those over go, the oldest first
SLIP_MS = 24 * 3600 * 1000  # a slip is for a day

VERBS = frozenset(
    {"shift_day", "swap_day", "restore_day", "let_out", "slip_add", "slip_cancel", "card_ban", "card_unban"}
)
UPSTREAM_VERBS = frozenset({"shift_day", "swap_day", "restore_day", "card_ban"})
ARGS: dict[str, checks.Check] = {
    "minutes": checks.signed,
    "plan": checks.plan,
    "reason": checks.one_of(EXIT_REASONS | BAN_REASONS | DAY_REASONS | SLIP_REASONS),
    "holder": checks.person,
    "door": checks.door,
    "slip": checks.slip,
    "pupil": checks.person,
    "issuer": checks.person,
    "from_ms": checks.moment,
    "to_ms": checks.moment,
    "guardian": checks.one_of(("0", "1")),
    "card": checks.card,
}
Doing = Callable[[BoxState, Command, Seq, Now, Log], BoxState]


def refusal(state: BoxState, event: Command, now: Now) -> str:
    """Why this may not be done now, or ""."""
    return _REFUSALS[event.verb](state, event.args, now)


def do(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """Carry out what `refusal` had nothing against."""
    return _DOINGS[event.verb](state, event, cause, now, log)


# ── today ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _no_shift(state: BoxState, args: dict[str, str], now: Now) -> str:
    if campus_day.minutes_of(args.get("minutes", "")) is None:
        return f"minutes:1-{calendar.MOST_SHIFT_MIN}"
    return _no_reason(args, DAY_REASONS) or campus_day.no_change(state, now)


def _no_swap(state: BoxState, args: dict[str, str], now: Now) -> str:
    why = _no_reason(args, DAY_REASONS) or campus_day.no_change(state, now)
    if not why and state.policy is not None and args.get("plan", "") not in state.policy.plans:
        return "unknown_plan"
    return why


def _no_restore(state: BoxState, args: dict[str, str], now: Now) -> str:
    return campus_day.no_change(state, now) or ("" if state.campus.changed_day else "not_changed")


def _no_reason(args: dict[str, str], known: frozenset[str]) -> str:
    return "" if args.get("reason", "") in known else "reason"


def _shift(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    by = campus_day.minutes_of(event.args["minutes"])
    assert by is not None
    _, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    shifts = (*state.campus.shifts, calendar.Shift(minute, by))
    log.cause = cause
    return campus_day.change(state, state.campus.swapped, shifts, event.actor, event.args["reason"], now, log)


def _swap(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    log.cause = cause
    return campus_day.change(state, event.args["plan"], (), event.actor, event.args["reason"], now, log)


def _restore(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    log.cause = cause
    return campus_day.change(state, "", (), event.actor, "", now, log)


# ── people ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _no_let_out(state: BoxState, args: dict[str, str], now: Now) -> str:
    if args.get("door", "") not in state.doors:
        return "unknown_door"
    if not checks.person(state, args.get("holder", "")):
        return "holder"
    return _no_reason(args, EXIT_REASONS)


def _let_out(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """The guard opens the way out for one person, with a reason. It could let somebody in too: a lockdown ends it."""
    holder, name = event.args["holder"], event.args["door"]
    data: dict[str, Value] = {"door": name, "holder": holder, "reason": event.args["reason"]}
    ref = log.add("access.let_out", f"door:{name}", data, actor=event.actor, cause=cause)
    known = state.campus.crowd.get(holder)
    kind, group = (known.kind, known.group) if known is not None else ("", "")
    mark = Mark(False, kind, group, now.mono_s, now.wall_ms)
    state = put(state, crowd=state.campus.crowd.put(holder, mark))
    return door.unlock(state, name, ref, now, egress=False)


def _no_slip(state: BoxState, args: dict[str, str], now: Now) -> str:
    slip, pupil, issuer = (args.get(name, "") for name in ("slip", "pupil", "issuer"))
    if state.policy is None:
        return "no_policy"
    if not checks.slip(state, slip):
        return "slip"
    if not checks.person(state, issuer):
        return "issuer"
    if not _is_pupil(state, pupil):
        return "unknown_pupil"
    if slip in state.campus.slips or slip in state.policy.slips:
        return "slip_exists"
    if args.get("reason", "") not in SLIP_REASONS:
        return "reason"
    if not all(checks.moment(state, args.get(name, "")) for name in ("from_ms", "to_ms")):
        return "times"
    from_ms, to_ms = int(args["from_ms"]), int(args["to_ms"])
    return "times" if not from_ms < to_ms <= from_ms + SLIP_MS or to_ms <= now.wall_ms else ""


def _is_pupil(state: BoxState, holder: str) -> bool:
    assert state.policy is not None
    return people.index(state.policy).kinds.get(holder) == "pupil"


def _add_slip(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    args = event.args
    slip = LeaveSlip(
        id=args["slip"],
        pupil=args["pupil"],
        issuer=args["issuer"],
        from_ms=int(args["from_ms"]),
        to_ms=int(args["to_ms"]),
        guardian=args.get("guardian") == "1",
        reason=cast(Any, args.get("reason", "")),
    )
    kept = {name: known for name, known in state.campus.slips.items() if known.to_ms > now.wall_ms}
    kept = dict(list(kept.items())[-(MOST_SLIPS - 1) :])
    return put(state, slips={**kept, slip.id: slip})


def _no_cancel(state: BoxState, args: dict[str, str], now: Now) -> str:
    known = state.policy.slips if state.policy is not None else {}
    slip = args.get("slip", "")
    if slip not in state.campus.slips and slip not in known:
        return "unknown_slip"
    return "slip_used" if slip in state.campus.used else ""


def _cancel_slip(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return put(state, cancelled=state.campus.cancelled | {event.args["slip"]})


def _no_ban(state: BoxState, args: dict[str, str], now: Now) -> str:
    return _no_target(state, args) or _no_reason(args, BAN_REASONS)


def _no_unban(state: BoxState, args: dict[str, str], now: Now) -> str:
    return _no_target(state, args) or ("" if _target(args) in state.campus.bans else "not_banned")


def _no_target(state: BoxState, args: dict[str, str]) -> str:
    """A card is a card's number; a holder one that is known here, or banned already."""
    if args.get("card"):
        return "" if checks.card(state, args["card"]) else "card"
    holder = args.get("holder", "")
    return "" if checks.person(state, holder) or holder in state.campus.bans else "holder"


def _target(args: dict[str, str]) -> str:
    return args.get("card") or args.get("holder", "")


def _ban(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return put(state, bans={**state.campus.bans, _target(event.args): event.args["reason"]})


def _unban(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    target = _target(event.args)
    return put(state, bans={name: why for name, why in state.campus.bans.items() if name != target})


_REFUSALS: dict[str, Callable[[BoxState, dict[str, str], Now], str]] = {
    "shift_day": _no_shift,
    "swap_day": _no_swap,
    "restore_day": _no_restore,
    "let_out": _no_let_out,
    "slip_add": _no_slip,
    "slip_cancel": _no_cancel,
    "card_ban": _no_ban,
    "card_unban": _no_unban,
}
_DOINGS: dict[str, Doing] = {
    "shift_day": _shift,
    "swap_day": _swap,
    "restore_day": _restore,
    "let_out": _let_out,
    "slip_add": _add_slip,
    "slip_cancel": _cancel_slip,
    "card_ban": _ban,
    "card_unban": _unban,
}
assert _REFUSALS.keys() == _DOINGS.keys() == VERBS
