"""Visitors and vehicles that do not belong: registered at the gatehouse, let in with the host's consent, out again
in time.

Only a random handle is known here. Name, ID number and plate lie in an encrypted register under that handle, and
nothing but handles, codes and numbers can come through these commands. A visit's time is counted on the monotonic
clock: whoever sets the wall clock back makes no expired card valid again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from agent.core import args as checks
from agent.core import door, lane
from agent.core.calendar import MINUTE_MS
from agent.core.crowd import Mark
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.state import BoxState, Visit
from agent.core.words import ClockTrust, Motion

VERBS = frozenset({"visit_register", "visit_consent", "visit_in", "visit_out", "visit_cancel"})
KINDS = frozenset({"visitor", "contractor", "vehicle", "delivery", "parent"})
PURPOSES = frozenset({"meeting", "delivery", "repair", "parent", "inspection", "event", "other"})
CONSENTS = frozenset({"phone", "in_person", "message"})
CARD_BACK = frozenset({"yes", "no"})
NOT_RETURNED = "not_returned"  # why a lent card that did not come back is banned
MOST_MINUTES = 720  # D: longer than a working day is a pass, not a visit
MOST_OPEN = 200  # D
ARGS: dict[str, checks.Check] = {
    "visit": checks.handle("v"),
    "kind": checks.one_of(KINDS),
    "host": checks.person,
    "who": checks.person,
    "purpose": checks.one_of(PURPOSES),
    "minutes": checks.number,
    "card": checks.card,
    "door": checks.door,
    "lane": checks.lane,
    "by": checks.one_of(CONSENTS),
    "card_back": checks.one_of(CARD_BACK),
}


def put(state: BoxState, visit: Visit) -> BoxState:
    return replace(state, visits={**state.visits, visit.handle: visit})


def _put_campus(state: BoxState, **changes: Any) -> BoxState:
    return replace(state, campus=replace(state.campus, **changes))


def _mark(state: BoxState, handle: str, now: Now, *, inside: bool) -> BoxState:
    """For the muster list."""
    mark = Mark(inside, "visitor", "visit", now.mono_s, now.wall_ms)
    return _put_campus(state, crowd=state.campus.crowd.put(handle, mark))


def by_card(state: BoxState, card: str) -> Visit | None:
    """The open visit that this card was lent for."""
    return next((visit for visit in state.visits.values() if visit.card == card), None) if state.visits else None


def is_over(visit: Visit, now: Now) -> bool:
    """Whether its time has passed. What was told once stays so, also after a restart with another clock."""
    return visit.told or now.mono_s >= visit.until_at


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(state: BoxState, event: Command, now: Now) -> str:
    args = event.args
    handle = args.get("visit", "")
    if not ARGS["visit"](state, handle):
        return "visit"
    if event.verb == "visit_register":
        return _no_register(state, args)
    if handle not in state.visits:
        return "unknown_visit"
    visit = state.visits[handle]
    match event.verb:
        case "visit_consent":
            return _no_consent(state, visit, args, now)
        case "visit_in":
            return _no_entry(state, visit, args, now)
        case _:
            return _no_end(event.verb, visit, args)


def _no_register(state: BoxState, args: dict[str, str]) -> str:
    if args["visit"] in state.visits:
        return "visit_exists"
    for name in ("kind", "purpose", "host"):
        if not ARGS[name](state, args.get(name, "")):
            return name
    if not (checks.number(state, args.get("minutes", "")) and 1 <= int(args["minutes"]) <= MOST_MINUTES):
        return f"minutes:1-{MOST_MINUTES}"
    why = _no_way(state, args) or _no_lending(state, args.get("card", ""))
    return why or ("too_many_visits" if len(state.visits) >= MOST_OPEN else "")


def _no_way(state: BoxState, args: dict[str, str]) -> str:
    """A visit is for a door, a lane, or both; each must be there."""
    place, way = args.get("door", ""), args.get("lane", "")
    if place not in state.doors and (place or not way):
        return "unknown_door"
    return "unknown_lane" if way and way not in state.lanes else ""


def _no_lending(state: BoxState, card: str) -> str:
    """A card that is somebody's own, lent already or banned is not lent."""
    if not card:
        return ""
    if not checks.card(state, card):
        return "card"
    policy = state.policy
    belongs = card in state.rules.credentials or (policy is not None and card in policy.credentials)
    if belongs or by_card(state, card) is not None:
        return "card_in_use"
    return "card_banned" if card in state.campus.bans else ""


def _no_consent(state: BoxState, visit: Visit, args: dict[str, str], now: Now) -> str:
    if args.get("by", "") not in CONSENTS:
        return "by"
    if "who" in args and not checks.person(state, args["who"]):
        return "who"
    return "visit_over" if is_over(visit, now) else ""


def _no_entry(state: BoxState, visit: Visit, args: dict[str, str], now: Now) -> str:
    if not visit.consent:
        return "no_consent"
    if is_over(visit, now):
        return "visit_over"
    if args.get("lane", "") not in ("", visit.lane):
        return "wrong_lane"
    return "lockdown" if state.panic.lockdown else ""


def _no_end(verb: str, visit: Visit, args: dict[str, str]) -> str:
    """Whoever came with a card is asked for it. Of a visit that never came it may be left unsaid."""
    back = args.get("card_back", "")
    said = back in CARD_BACK or (not back and verb == "visit_cancel" and not visit.came)
    return "" if said or not visit.card else "card_back"


def do(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return _DOINGS[event.verb](state, event, cause, now, log)


def _register(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    args = event.args
    minutes = int(args["minutes"])
    visit = Visit(
        handle=args["visit"],
        kind=args["kind"],
        host=args["host"],
        purpose=args["purpose"],
        card=args.get("card", ""),
        door=args.get("door", ""),
        lane=args.get("lane", ""),
        from_ms=now.wall_ms,
        until_ms=now.wall_ms + minutes * MINUTE_MS,
        until_at=now.mono_s + minutes * 60,
        ref=cause,
    )
    return put(state, visit)


def _consent(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """How the host agreed, and who it was: the host, if nobody else is named."""
    visit = state.visits[event.args["visit"]]
    return put(state, replace(visit, consent=event.args["by"], consent_by=event.args.get("who") or visit.host))


def _let_in(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """With a number slip instead of a card: the guard opens the door once. At a lane the vehicle is only shown to the
    guard, who lowers the bollards by hand: no paper moves one."""
    visit = state.visits[event.args["visit"]]
    way = visit.lane if event.args.get("lane") or not visit.door else ""
    data: dict[str, Any] = {"direction": "in", "holder": visit.handle, "group": "visitor", "reader": "console"}
    subject = f"lane:{way}" if way else f"door:{visit.door}"
    ref = log.add("access.granted", subject, data, actor=event.actor, cause=cause)
    state = put(state, replace(visit, came=True))
    if way:
        return lane.wish(state, way, Motion.LOWER, event.actor, now, log)
    state = _mark(state, visit.handle, now, inside=True)
    return door.unlock(state, visit.door, ref, now, egress=False)


def _end(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """Gone, or never came: the card is back, or banned; the visitor is inside no more."""
    visit = state.visits[event.args["visit"]]
    back = event.args.get("card_back", "") if visit.card else ""
    data = _told(visit, event.verb, back, now)
    ref = log.add("visit.ended", f"visit:{visit.handle}", data, actor=event.actor, cause=visit.ref)
    state = _drop(state, visit)
    if visit.lane in state.lanes:
        state = lane.wish_over(state, visit.lane, Motion.LOWER)
    if state.campus.crowd.get(visit.handle) is not None:
        state = _mark(state, visit.handle, now, inside=False)
    return state if back != "no" else _ban(state, visit, event.actor, ref, log)


def _drop(state: BoxState, visit: Visit) -> BoxState:
    return replace(state, visits={name: one for name, one in state.visits.items() if name != visit.handle})


def _ban(state: BoxState, visit: Visit, actor: str, cause: Seq, log: Log) -> BoxState:
    """A lent card that stays away opens nothing, and is lent to nobody before a person lifts the ban."""
    data: dict[str, Any] = {"card": visit.card, "visit": visit.handle}
    log.add("visit.card_missing", f"visit:{visit.handle}", data, actor=actor, cause=cause)
    return _put_campus(state, bans={**state.campus.bans, visit.card: NOT_RETURNED})


def _told(visit: Visit, verb: str, back: str, now: Now) -> dict[str, Any]:
    return {
        "came": visit.came,
        "card_back": back,
        "late_min": max(0, int((now.mono_s - visit.until_at) // 60)),
        "why": "out" if verb == "visit_out" else "cancelled",
    }


# ── time and passages ──────────────────────────────────────────────────────────────────────────────────────────────


def on_passage(state: BoxState, holder: str) -> BoxState:
    """The card of a visit was let through on the way in."""
    visit = state.visits.get(holder)
    return state if visit is None or visit.came else put(state, replace(visit, came=True))


def on_clock(state: BoxState, now: Now) -> BoxState:
    """The clock is right again: visits that a restart took over by a wrong one end when they were meant to, never
    later than they would have."""
    if now.trust is ClockTrust.UNTRUSTED:
        return state
    for visit in state.visits.values():
        if visit.guessed:
            until_at = min(visit.until_at, until(visit.from_ms, visit.until_ms, now))
            state = put(state, replace(visit, until_at=until_at, guessed=False))
    return state


def until(from_ms: int, until_ms: int, now: Now) -> float:
    """A visit's end on this boot's monotonic clock: never further away than the visit was long."""
    return now.mono_s + min(until_ms - now.wall_ms, until_ms - from_ms) / 1000


def deadline(state: BoxState) -> float:
    return min((_overstay_at(visit) for visit in state.visits.values()), default=float("inf"))


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    """A visit whose time is over is told once: somebody looks for the visitor. Its card is refused from then on. One
    that never came and has no card to give back is closed by that: nobody signs out who was never there."""
    for visit in state.visits.values():
        if now.mono_s >= _overstay_at(visit):
            kind = "visit.overstay" if visit.came else "visit.expired"
            log.add(kind, f"visit:{visit.handle}", {"kind": visit.kind, "visit": visit.handle}, cause=visit.ref)
            closed = not visit.came and not visit.card
            state = _drop(state, visit) if closed else put(state, replace(visit, told=True))
    return state


def _overstay_at(visit: Visit) -> float:
    return float("inf") if visit.told else visit.until_at


_DOINGS: dict[str, Callable[[BoxState, Command, Seq, Now, Log], BoxState]] = {
    "visit_register": _register,
    "visit_consent": _consent,
    "visit_in": _let_in,
    "visit_out": _end,
    "visit_cancel": _end,
}
assert _DOINGS.keys() == VERBS
