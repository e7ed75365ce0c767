"""Visitors and vehicles that do not belong: registered at the gatehouse, let in with the host's consent, out again
in time.

Only a random handle is known here. Name, ID number and plate lie in an encrypted register under that handle, and
nothing but handles, codes and numbers can come through these commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from agent.core import door
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.shapes import HANDLE, NUMBER
from agent.core.state import BoxState, Visit

VERBS = frozenset({"visit_register", "visit_consent", "visit_in", "visit_out", "visit_cancel"})
KINDS = frozenset({"visitor", "contractor", "vehicle", "delivery", "parent"})
PURPOSES = frozenset({"meeting", "delivery", "repair", "parent", "inspection", "event", "other"})
CONSENTS = frozenset({"phone", "in_person", "message"})
MOST_MINUTES = 720  # D: longer than a working day is a pass, not a visit
MOST_OPEN = 200  # D
KEPT_ARGS = ("visit", "kind", "host", "purpose", "minutes", "card", "door", "lane", "by")
MINUTE_MS = 60_000


def put(state: BoxState, visit: Visit) -> BoxState:
    return replace(state, visits={**state.visits, visit.handle: visit})


def by_card(state: BoxState, card: str) -> Visit | None:
    """The open visit that this card was lent for."""
    return next((visit for visit in state.visits.values() if visit.card == card), None) if state.visits else None


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(state: BoxState, event: Command, now: Now) -> str:
    args = event.args
    handle = args.get("visit", "")
    if not HANDLE.fullmatch(handle):
        return "visit"
    if event.verb == "visit_register":
        return _no_register(state, args)
    if handle not in state.visits:
        return "unknown_visit"
    visit = state.visits[handle]
    if event.verb == "visit_consent":
        return "" if args.get("by", "") in CONSENTS else "by"
    if event.verb == "visit_in":
        return _no_entry(state, visit, args, now)
    return ""


def _no_register(state: BoxState, args: dict[str, str]) -> str:
    if args["visit"] in state.visits:
        return "visit_exists"
    for name, known in (("kind", KINDS), ("purpose", PURPOSES)):
        if args.get(name, "") not in known:
            return name
    if not HANDLE.fullmatch(args.get("host", "")):
        return "host"
    if not (NUMBER.fullmatch(args.get("minutes", "")) and 1 <= int(args["minutes"]) <= MOST_MINUTES):
        return f"minutes:1-{MOST_MINUTES}"
    card, place, lane = args.get("card", ""), args.get("door", ""), args.get("lane", "")
    if place not in state.doors and (place or lane not in state.lanes):
        return "unknown_door"
    if card and (not HANDLE.fullmatch(card) or by_card(state, card) is not None or _belongs(state, card)):
        return "card_in_use"
    return "too_many_visits" if len(state.visits) >= MOST_OPEN else ""


def _belongs(state: BoxState, card: str) -> bool:
    """A card that is somebody's own is not lent."""
    policy = state.policy
    return card in state.rules.credentials or (policy is not None and card in policy.credentials)


def _no_entry(state: BoxState, visit: Visit, args: dict[str, str], now: Now) -> str:
    if not visit.consent:
        return "no_consent"
    if now.mono_s >= visit.until_at:
        return "expired"
    if not visit.door:
        return "unknown_door"
    return "lockdown" if state.panic.lockdown else ""


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
    visit = state.visits[event.args["visit"]]
    return put(state, replace(visit, consent=event.args["by"]))


def _let_in(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """With a number slip instead of a card: the guard opens once."""
    visit = state.visits[event.args["visit"]]
    data: dict[str, Any] = {"direction": "in", "holder": visit.handle, "group": "visitor", "reader": "console"}
    ref = log.add("access.granted", f"door:{visit.door}", data, actor=event.actor, cause=cause)
    return door.unlock(put(state, replace(visit, came=True)), visit.door, ref, now, egress=False)


def _end(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    """Gone, or never came: the card is back and opens nothing any more."""
    visit = state.visits[event.args["visit"]]
    log.add("visit.ended", f"visit:{visit.handle}", _told(visit, event.verb, now), actor=event.actor, cause=visit.ref)
    return replace(state, visits={name: one for name, one in state.visits.items() if name != visit.handle})


def _told(visit: Visit, verb: str, now: Now) -> dict[str, Any]:
    return {
        "came": visit.came,
        "card_back": bool(visit.card),
        "late_min": max(0, (now.wall_ms - visit.until_ms) // MINUTE_MS),
        "why": "out" if verb == "visit_out" else "cancelled",
    }


# ── time and passages ──────────────────────────────────────────────────────────────────────────────────────────────


def on_passage(state: BoxState, holder: str) -> BoxState:
    """The card of a visit was let through on the way in."""
    visit = state.visits.get(holder)
    return state if visit is None or visit.came else put(state, replace(visit, came=True))


def deadline(state: BoxState) -> float:
    return min((_overstay_at(visit) for visit in state.visits.values()), default=float("inf"))


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    """A visit whose time is over is told once: somebody looks for the visitor. Its card is refused from then on."""
    for visit in state.visits.values():
        if now.mono_s >= _overstay_at(visit):
            kind = "visit.overstay" if visit.came else "visit.expired"
            log.add(kind, f"visit:{visit.handle}", {"kind": visit.kind, "visit": visit.handle}, cause=visit.ref)
            state = put(state, replace(visit, told=True))
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
