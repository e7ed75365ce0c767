"""Fire: the panel's contact and the fire key. Latched until reset by hand at the box with the input quiet.

Latched means: the doors of evacuation ways are unlocked, and no bollard rises on the whole site. Relocking is that same
reset, so no timer and no far side ever locks people in (domain rule 16).

An *unread* fire input is neither fire nor quiet, but a fault that is an alarm. It is not taken for fire, because then
cutting our own cable would open the school to the street, and because nobody depends on us there: from inside an
evacuation door opens without power or software, and the fire panel cuts the lock supply itself (rank 1). It is not
taken for quiet either: the lanes refuse every raise while nobody knows, and the latch cannot be reset.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core import door, lane
from agent.core.events import FireInput, Now, Seq
from agent.core.log import Log
from agent.core.state import BoxState


def on_input(state: BoxState, event: FireInput, now: Now, log: Log) -> BoxState:
    was = state.fire.input
    if event.active is was:
        return state
    state = replace(state, fire=replace(state.fire, input=event.active))
    if event.active is None:
        return _unread(state, log)
    state = _read_again(state, log)
    if event.active and not state.fire.latched:
        ref = log.add("fire.active", "fire", {"by": "input", "seen": was is not None})
        return lane.on_fire(_released(state, ref), ref, now, log)
    if was is not None:
        log.add("fire.input", "fire", {"active": event.active}, cause=state.fire.ref)
    return state


def on_key(state: BoxState, key: str, on: bool | None, was: bool | None, now: Now, log: Log) -> BoxState:
    """A fire key at the box. Turned, it asks every lane down. Found on at the start, or after it was unread, it is fire
    and no more than that."""
    state = replace(state, fire=replace(state.fire, key=_any_key(state)))
    if not on:
        if was:
            log.add("fire.input", f"key:{key}", {"active": on}, cause=state.fire.ref)
        return state
    ref = log.add("fire.active", f"key:{key}", {"by": "key", "seen": was is not None}, cause=state.fire.ref)
    fresh = not state.fire.latched
    if fresh:
        state = _released(state, ref)
    if was is False:
        return lane.on_fire_key(state, ref, now, log)
    return lane.on_fire(state, ref, now, log) if fresh else state


def _any_key(state: BoxState) -> bool | None:
    """All fire keys of the site as one: on if any is on, off only if all are known to be off."""
    positions = [state.keys.get(key.id) for key in state.rules.keys if key.use == "fire_key"]
    return True if True in positions else None if None in positions else False


def _released(state: BoxState, ref: Seq) -> BoxState:
    return replace(state, fire=replace(state.fire, latched=True, ref=ref))


def _unread(state: BoxState, log: Log) -> BoxState:
    if state.fire.fault_ref is not None:
        return state
    return replace(state, fire=replace(state.fire, fault_ref=log.add("fire.unread", "fire")))


def _read_again(state: BoxState, log: Log) -> BoxState:
    if state.fire.fault_ref is None:
        return state
    log.add("fire.read", "fire", cause=state.fire.fault_ref)
    return replace(state, fire=replace(state.fire, fault_ref=None))


def on_scan(state: BoxState, log: Log) -> BoxState:
    return _unread(state, log) if state.rules.has_fire and state.fire.input is None else state


def reset_refusal(state: BoxState) -> str:
    """Why the release may not end now, or ""."""
    if not state.fire.latched:
        return "not_latched"
    if state.rules.has_fire and state.fire.input is not False:
        return "fire_input_active" if state.fire.input else "fire_input_unread"
    if _has_key(state) and state.fire.key is not False:
        return "fire_key_on" if state.fire.key else "fire_key_unread"
    on_lanes = (name for name, lane_state in state.lanes.items() if lane_state.fire_key)
    return next((f"fire_key_on:lane:{name}" for name in on_lanes), "")


def _has_key(state: BoxState) -> bool:
    return any(key.use == "fire_key" for key in state.rules.keys)


def reset(state: BoxState, actor: str, cause: Seq | None, now: Now, log: Log) -> BoxState:
    """End the release; evacuation doors lock again. The caller has seen to `reset_refusal` and to presence."""
    assert state.fire.latched
    log.add("fire.reset", "fire", actor=actor, cause=cause or state.fire.ref)
    state = replace(state, fire=replace(state.fire, latched=False, ref=None))
    return door.on_fire_reset(state, now)


def on_reset_key(state: BoxState, key: str, now: Now, log: Log) -> BoxState:
    why = reset_refusal(state)
    if why:
        log.add("fire.reset_refused", f"key:{key}", {"why": why}, actor=f"key:{key}")
        return state
    return reset(state, f"key:{key}", None, now, log)
