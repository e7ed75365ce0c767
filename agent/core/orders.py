"""What the far side orders and asks: each signed command at most once, within its time, and what it may only ask for.

A command is remembered until it has expired; when one is forgotten, nothing that expires as early is taken any more.
So neither a restart, nor a flood, nor a clock that is set back makes one come twice. An all-clear and a drill cannot be
ordered from afar: they are shown as asked for, and a person on site does them or lets them pass.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.shapes import is_code
from agent.core.state import Asked, BoxState, OrdersState
from agent.core.words import ClockTrust, Rank

MOST_VALID_MS = 600_000  # D: a command that waits longer than ten minutes for a link is no longer what was meant
AHEAD_MS = 5_000  # D: so far may the far side's clock be ahead of ours
KEPT = 64  # D: commands remembered at once
ALL_CLEAR_S = 600.0  # D: so long an all-clear stays asked for
DRILL_S = 3600.0  # D: so long a drill stays proposed
ASKING_VERBS = frozenset({"all_clear_request", "drill_propose"})
_LASTS_S = {"all_clear_request": ALL_CLEAR_S, "drill_propose": DRILL_S}


def refusal(state: BoxState, event: Command, now: Now) -> str:
    """Why a signed command may not be carried out at this time, or "". One without an expiry is no signed command."""
    if not event.expires_ms:
        return ""
    if event.id in state.orders.spent:
        return "duplicate"
    if now.trust is ClockTrust.UNTRUSTED:
        return "clock_untrusted"
    if not 0 < event.expires_ms - event.issued_ms <= MOST_VALID_MS:
        return f"validity:1-{MOST_VALID_MS // 1000}"
    if event.issued_ms > now.wall_ms + AHEAD_MS:
        return "from_the_future"
    return "expired" if event.expires_ms <= max(now.wall_ms, state.orders.floor_ms) else ""


def spend(state: BoxState, event: Command, now: Now) -> BoxState:
    """It was judged in its time: whatever came of it, it is over."""
    spent = {**state.orders.spent, event.id: event.expires_ms}
    by_expiry = sorted(spent, key=lambda ident: spent[ident])
    over = [ident for ident in by_expiry if spent[ident] <= now.wall_ms]
    over += [ident for ident in by_expiry if ident not in over][: max(0, len(spent) - len(over) - KEPT)]
    floor_ms = max([state.orders.floor_ms, *(spent[ident] for ident in over)])
    kept = {ident: at for ident, at in spent.items() if ident not in over}
    return replace(state, orders=replace(state.orders, spent=kept, floor_ms=floor_ms))


# ── what is only asked for ─────────────────────────────────────────────────────────────────────────────────────────


def ask(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """Show it to the people at the gate; a newer one of the same kind takes its place."""
    assert event.verb in ASKING_VERBS, event.verb
    state = _without(state, [one for one in state.orders.asked if one.verb == event.verb], "replaced", log)
    new = Asked(
        verb=event.verb,
        button=event.args.get("button", ""),
        minutes=event.args.get("minutes", ""),
        reason=reason if is_code(reason := event.args.get("reason", "")) else "",
        actor=event.actor,
        since_at=now.mono_s,
        until_at=now.mono_s + _LASTS_S[event.verb],
        ref=cause,
    )
    return replace(state, orders=replace(state.orders, asked=(*state.orders.asked, new)))


def asked(state: BoxState, verb: str) -> Asked | None:
    """What is asked for in this verb."""
    return next((one for one in state.orders.asked if one.verb == verb), None)


def settle(state: BoxState, log: Log) -> BoxState:
    """What a person has done, or what came about otherwise, is no longer asked for."""
    done = [one for one in state.orders.asked if _is_done(state, one)]
    return _without(state, done, "done", log) if done else state


def _is_done(state: BoxState, one: Asked) -> bool:
    return not state.panic.lockdown if one.verb == "all_clear_request" else state.drill.button == one.button


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    late = [one for one in state.orders.asked if now.mono_s >= one.until_at]
    return _without(state, late, "expired", log) if late else state


def deadline(orders: OrdersState) -> float:
    return min((one.until_at for one in orders.asked), default=float("inf"))


def _without(state: BoxState, gone: list[Asked], why: str, log: Log) -> BoxState:
    for one in gone:
        ended(one.verb, why, one.ref, log)
    left = tuple(one for one in state.orders.asked if one not in gone)
    return replace(state, orders=replace(state.orders, asked=left)) if gone else state


def ended(verb: str, why: str, cause: Seq | None, log: Log) -> None:
    """Write that something is no longer asked for: `done`, `expired`, `replaced` or `restart`."""
    data: dict[str, Value] = {"verb": verb, "why": why}
    log.add("request.ended", "command", data, cause=cause)


def by_rank(event: Command) -> str:
    """Whoever stands at the gate does it, and asks nobody."""
    return "" if event.rank is Rank.UPSTREAM or event.verb not in ASKING_VERBS else "rank"
