"""A door's own alarms put aside for a while: the lock is being repaired, the door stands open for a delivery.

Only "forced" and "held open" of one door are shunted, by a person on site, with a reason, for at most eight hours; it
ends by itself. Locks, access decisions, panic lines, fire and every sensor of a lane know nothing of it. A restart
ends it: what nobody remembers is not put aside.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core import args as checks
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState, DoorState

VERBS = frozenset({"door_shunt", "door_unshunt"})
ON_SITE_VERBS = frozenset({"door_shunt"})
REASONS = frozenset({"repair", "delivery", "moving", "event", "contact_faulty", "other"})
MOST_MIN = 480  # D: a working day; longer is a repair that is not done
ARGS: dict[str, checks.Check] = {
    "door": checks.door,
    "minutes": checks.number,
    "reason": checks.one_of(REASONS),
}


def is_on(door: DoorState, now: Now) -> bool:
    return door.shunted_until_at is not None and now.mono_s < door.shunted_until_at


def refusal(state: BoxState, event: Command, now: Now) -> str:
    args = event.args
    if args.get("door", "") not in state.doors:
        return "unknown_door"
    if event.verb == "door_unshunt":
        return "" if is_on(state.doors[args["door"]], now) else "not_shunted"
    if not (checks.number(state, args.get("minutes", "")) and 1 <= int(args["minutes"]) <= MOST_MIN):
        return f"minutes:1-{MOST_MIN}"
    return "" if args.get("reason", "") in REASONS else "reason"


def do(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    name, actor = event.args["door"], state.access.guard or event.actor
    if event.verb == "door_unshunt":
        return end(state, name, "command", actor, now, log)
    minutes = int(event.args["minutes"])
    data: dict[str, Value] = {"minutes": minutes, "reason": event.args["reason"]}
    ref = log.add("door.shunted", f"door:{name}", data, actor=actor, cause=cause)
    return _put(state, name, shunted_until_at=now.mono_s + minutes * 60.0, shunt_ref=ref)


def end(state: BoxState, name: str, why: str, actor: str, now: Now, log: Log) -> BoxState:
    """The alarms are real again. A door that stands open then has its held-open time from now on."""
    log.add("door.shunt_ended", f"door:{name}", {"why": why}, actor=actor, cause=state.doors[name].shunt_ref)
    held_from_at = now.mono_s if state.doors[name].opened_at is not None else state.doors[name].held_from_at
    return _put(state, name, shunted_until_at=None, shunt_ref=None, held_from_at=held_from_at)


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    for name, door in state.doors.items():
        if door.shunted_until_at is not None and now.mono_s >= door.shunted_until_at:
            state = end(state, name, "time", "box", now, log)
    return state


def deadline(door: DoorState) -> float:
    return float("inf") if door.shunted_until_at is None else door.shunted_until_at


def _put(state: BoxState, name: str, **changes: object) -> BoxState:
    return replace(state, doors={**state.doors, name: replace(state.doors[name], **changes)})
