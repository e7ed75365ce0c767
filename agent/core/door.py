"""Doors: who may pass is decided elsewhere; here is how long the lock is open and what the contact tells.

A lock is open while an unlock time runs, or while fire is latched and the door is an evacuation way. Everything else is
locked. An opening is lawful if the lock was open, or had been a moment ago; any other is forced. A request-to-exit
races the door's own contact, so a forced alarm waits `forced_s` for it, and no longer.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agent.core import shunt
from agent.core.events import DoorContact, Now, Rex, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.rules import BoxRules, DoorRules
from agent.core.state import BoxState, DoorState
from agent.core.words import Contact

BOLT_S = 1.0  # D: a door pulled just as the bolt comes back belongs to the unlock before


def rules_of(rules: BoxRules, door: str) -> DoorRules:
    """The rules of a door that is known to exist."""
    for candidate in rules.doors:
        if candidate.id == door:
            return candidate
    raise KeyError(f"no door {door!r} in the rules")


def _put(state: BoxState, door: str, **changes: Any) -> BoxState:
    return replace(state, doors={**state.doors, door: replace(state.doors[door], **changes)})


def _fire_released(state: BoxState, rules: DoorRules) -> bool:
    return state.fire.latched and rules.evacuation_way


# ── unlocking and relocking ────────────────────────────────────────────────────────────────────────────────────────


def unlock(state: BoxState, door: str, ref: Seq, now: Now, *, egress: bool) -> BoxState:
    """Open the lock for the door's time, explained by record `ref`. `egress`: it lets someone out, so it waits for no
    disk and a lockdown leaves it."""
    rules, was = rules_of(state.rules, door), state.doors[door]
    until = now.mono_s + rules.unlock_s
    return _put(
        state,
        door,
        unlocked_until_at=until,
        grant_ref=ref,
        egress_until_at=until if egress else was.egress_until_at,
        lawful_until_at=until + BOLT_S,
        opened_lawfully=was.opened_lawfully or _may_still_be_lawful(was),
        held_from_at=was.held_from_at if was.opened_at is None else now.mono_s,
    )


def _may_still_be_lawful(door: DoorState) -> bool:
    return door.opened_at is not None and not door.forced


def on_rex(state: BoxState, event: Rex, now: Now, log: Log) -> BoxState:
    """Request-to-exit opens always: in lockdown, with a bad clock, with anything lost (domain rules 14, 15)."""
    ref = log.add("door.rex", _subject(event.door))
    return _put(unlock(state, event.door, ref, now, egress=True), event.door, rex_at=now.mono_s)


def release(state: BoxState, door: str, actor: str, cause: Seq, now: Now, log: Log) -> BoxState:
    """A person's command unlocks the door once. It can let people in too, so a later lockdown ends it."""
    ref = log.add("door.released", _subject(door), actor=actor, cause=cause)
    return unlock(state, door, ref, now, egress=False)


def _relock(state: BoxState, door: str, now: Now, why: str, cause: Seq | None, log: Log) -> BoxState:
    data: dict[str, Value] = {"why": why}
    log.add("door.relocked", _subject(door), data, cause=cause)
    return _locked(state, door, now)


def _locked(state: BoxState, door: str, now: Now) -> BoxState:
    return _put(
        state, door, unlocked_until_at=None, grant_ref=None, egress_until_at=None, lawful_until_at=now.mono_s + BOLT_S
    )


def on_lockdown(state: BoxState, cause: Seq, log: Log) -> BoxState:
    """End every unlock that could let someone in; whoever is leaving has the rest of his own time for it."""
    at = log.now.mono_s
    for name, door in state.doors.items():
        if door.unlocked_until_at is None:
            continue
        if door.egress_until_at is not None and door.egress_until_at > at:
            state = _put(state, name, unlocked_until_at=door.egress_until_at)
        else:
            state = _relock(state, name, log.now, "lockdown", cause, log)
    return state


def on_fire_reset(state: BoxState, now: Now) -> BoxState:
    """The release is over: doors that stand open have until their held-open time to be closed."""
    for name in state.doors:
        if rules_of(state.rules, name).evacuation_way:
            state = _put(state, name, held_from_at=now.mono_s, lawful_until_at=now.mono_s + BOLT_S)
    return state


# ── the contact ────────────────────────────────────────────────────────────────────────────────────────────────────


def on_contact(state: BoxState, event: DoorContact, now: Now, log: Log) -> BoxState:
    was = state.doors[event.door]
    if event.contact is was.contact:
        return state
    if event.contact is not Contact.OPEN:
        state = _flush_forced(state, event.door, log)
    state = _put(state, event.door, contact=event.contact, since_at=now.mono_s)
    match event.contact:
        case Contact.OPEN:
            return _opened(state, event.door, was, now, log)
        case Contact.CLOSED:
            return _closed(state, event.door, was, now, log)
        case Contact.UNREAD:
            log.add("door.contact", _subject(event.door), {"contact": "unread"})
            return _put(state, event.door, opened_at=None)


def _opened(state: BoxState, door: str, was: DoorState, now: Now, log: Log) -> BoxState:
    """A door found open in the first scan is not forced: nobody saw it closed. It can still be held open."""
    released = _fire_released(state, rules_of(state.rules, door))
    lately = was.lawful_until_at is not None and now.mono_s <= was.lawful_until_at
    found = not state.scanned and was.contact is Contact.UNREAD
    lawful = released or lately or was.unlocked_until_at is not None or found or shunt.is_on(was, now)
    log.add("door.opened", _subject(door), {"found": found, "lawful": lawful}, cause=was.grant_ref)
    return _put(state, door, opened_at=now.mono_s, held_from_at=now.mono_s, opened_lawfully=lawful)


def _closed(state: BoxState, door: str, was: DoorState, now: Now, log: Log) -> BoxState:
    """Closing ends every alarm of the opening and, after a passage, the unlock: open once, closed, locked."""
    if was.contact is Contact.UNREAD:
        if state.scanned:
            log.add("door.contact", _subject(door), {"contact": "closed"})
        return _put(state, door, forced=False, forced_ref=None, held=False, held_ref=None)
    was = state.doors[door]
    assert was.opened_at is not None
    open_ms = round((now.mono_s - was.opened_at) * 1000)
    data: dict[str, Value] = {"forced": was.forced, "held": was.held, "open_ms": open_ms}
    log.add("door.closed", _subject(door), data, cause=was.forced_ref or was.held_ref or was.grant_ref)
    state = _put(
        state, door, opened_at=None, opened_lawfully=False, forced=False, forced_ref=None, held=False, held_ref=None
    )
    return _locked(state, door, now) if was.unlocked_until_at is not None else state


def _flush_forced(state: BoxState, door: str, log: Log) -> BoxState:
    """An unlawful opening is an alarm even if the door closed again, or went unread, within the grace."""
    was = state.doors[door]
    pending = was.opened_at is not None and not was.opened_lawfully and not was.forced
    return _forced(state, door, log) if pending else state


def _forced(state: BoxState, door: str, log: Log) -> BoxState:
    return _put(state, door, forced=True, forced_ref=log.add("door.forced", _subject(door)))


# ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    state = shunt.on_tick(state, now, log)
    for name, door in state.doors.items():
        rules = rules_of(state.rules, name)
        if now.mono_s >= _relock_at(door):
            state = _relock(state, name, now, "time", door.grant_ref, log)
        if now.mono_s >= _forced_at(door, rules):
            state = _forced(state, name, log)
        if now.mono_s >= _held_at(door, rules, released=_fire_released(state, rules)):
            ref = log.add("door.held_open", _subject(name), {"after_s": round(rules.held_open_s)})
            state = _put(state, name, held=True, held_ref=ref)
    return state


def deadline(state: BoxState) -> float:
    at = float("inf")
    for name, door in state.doors.items():
        if door.shunted_until_at is not None:
            at = min(at, shunt.deadline(door))
        if door.unlocked_until_at is None and door.opened_at is None:
            continue
        rules = rules_of(state.rules, name)
        held_at = _held_at(door, rules, released=_fire_released(state, rules))
        at = min(at, _relock_at(door), _forced_at(door, rules), held_at)
    return at


def _relock_at(door: DoorState) -> float:
    return float("inf") if door.unlocked_until_at is None else door.unlocked_until_at


def _forced_at(door: DoorState, rules: DoorRules) -> float:
    if door.opened_at is None or door.opened_lawfully or door.forced:
        return float("inf")
    return door.opened_at + rules.forced_s


def _held_at(door: DoorState, rules: DoorRules, *, released: bool) -> float:
    if door.opened_at is None or door.held_from_at is None or door.held or released:
        return float("inf")
    if door.shunted_until_at is not None:
        return float("inf")
    return door.held_from_at + rules.held_open_s


def _subject(door: str) -> str:
    return f"door:{door}"
