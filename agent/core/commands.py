"""Commands of persons and of the far side: who may ask what, each id decided once, one outcome record for each.

A refused id is spent too: delivered again later, it must not be carried out when nobody means it any more.

A command comes from the local console, from upstream, or from the timetable. The ranks above them belong to what a
person does at the box with his hands (keys, buttons, wires); nobody claims them in a command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from agent.core import access, campus_commands, door, drill, duty, fire, lane, orders, panic, shunt, visits
from agent.core.args import Check
from agent.core.events import Command, Now, Seq
from agent.core.latched import KEPT_IDS
from agent.core.log import Log
from agent.core.records import Record, Value
from agent.core.shapes import is_code
from agent.core.state import BoxState
from agent.core.words import Rank

# domain rules, section 1: no raise, no reset
UPSTREAM_VERBS = (
    frozenset({"lower", "release", "acknowledge", "lockdown"}) | orders.ASKING_VERBS | campus_commands.UPSTREAM_VERBS
)
TIMETABLE_VERBS = frozenset({"lower", "raise"})  # its raise is only shown to the guard: the lane sees to that
LANE_VERBS = frozenset({"lower", "raise", "stop", "lane_clear_fault"})
ON_SITE_VERBS = (
    frozenset({"panic_reset", "fire_reset", "all_clear", "drill_start", "drill_go_ahead"})
    | duty.ON_SITE_VERBS
    | shunt.ON_SITE_VERBS
)
KEPT_ARGS = tuple(
    dict.fromkeys(
        ("button", "door", "lane", "minutes", "reason", *campus_commands.ARGS, *visits.ARGS, *duty.ARGS, *shunt.ARGS)
    )
)
MAX_TEXT = 120  # D: of a text that a person typed, so much goes into a record


def on_command(state: BoxState, event: Command, now: Now, log: Log) -> BoxState:
    """Carry a command out, or refuse it: exactly one `command.done` or `command.refused`."""
    untimely = orders.refusal(state, event, now)
    why = untimely or _refusal(state, event, now)
    if event.expires_ms:
        state = state if untimely else orders.spend(state, event, now)
    elif why not in ("no_id", "duplicate"):
        state = replace(state, commands=(*state.commands, event.id)[-KEPT_IDS:])
    if why:
        log.add("command.refused", "command", told(state, event, why), actor=event.actor)
        return state
    if event.verb in LANE_VERBS:
        return _lane(state, event, now, log)
    cause = log.add("command.done", "command", told(state, event, ""), actor=event.actor)
    if event.verb in PEOPLE_VERBS:
        return _subject(event.verb).do(state, event, cause, now, log)
    return _VERBS[event.verb](state, event, cause, now, log)


def refusal(records: Sequence[Record]) -> str:
    """Why the command of a step was refused, "" if it was not: a short id, with ":" and a detail where there is one."""
    for record in records:
        if record.kind == "command.refused":
            return str(record.data["why"])
    return ""


def told(state: BoxState, event: Command, why: str) -> dict[str, Value]:
    """What the record of its outcome says of a command; `why` it was refused, or ""."""
    args = _kept_args(state, event)
    verb, command_id = event.verb[:MAX_TEXT], event.id[:MAX_TEXT]
    data: dict[str, Value] = {"args": args, "id": command_id, "rank": event.rank.value, "verb": verb}
    if event.verb.startswith("drill_"):
        data["drill"] = True
    return data | ({"why": why} if why else {})


def _kept_args(state: BoxState, event: Command) -> dict[str, Value]:
    """The arguments worth a record; of one that fails its check, and so may be a name, only that it was there."""
    given = {name: text for name in KEPT_ARGS if (text := event.args.get(name, ""))}
    if event.verb in PEOPLE_VERBS:
        checks = _subject(event.verb).ARGS
        return {name: text if checks[name](state, text) else "?" for name, text in given.items() if name in checks}
    return {name: text if is_code(text) else "?" for name, text in given.items()}


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _refusal(state: BoxState, event: Command, now: Now) -> str:
    if not event.id:
        return "no_id"
    if event.id in state.commands and not event.expires_ms:
        return "duplicate"
    if event.verb not in KNOWN_VERBS:
        return "unknown_verb"
    return _not_by_rank(event) or _not_on_site(state, event, now) or _not_now(state, event, now)


def _not_by_rank(event: Command) -> str:
    match event.rank:
        case Rank.CONSOLE:
            return orders.by_rank(event)
        case Rank.UPSTREAM:
            return "" if event.verb in UPSTREAM_VERBS else "rank"
        case Rank.TIMETABLE:
            return "" if event.verb in TIMETABLE_VERBS else "rank"
        case _:
            return "rank"


def _not_on_site(state: BoxState, event: Command, now: Now) -> str:
    needs = event.verb in ON_SITE_VERBS
    return "not_on_site" if needs and not access.on_site(state, now) else ""


def _not_now(state: BoxState, event: Command, now: Now) -> str:
    match event.verb:
        case verb if verb in PEOPLE_VERBS:
            return _subject(verb).refusal(state, event, now)
        case "release":
            return _no_release(state, event)
        case "all_clear" | "all_clear_request":
            return panic.all_clear_refusal(state)
        case "panic_reset":
            return panic.reset_refusal(state)
        case "fire_reset":
            return _no_fire_reset(state)
        case "drill_start" | "drill_propose":
            return drill.start_refusal(state, *(event.args.get(name, "") for name in ("button", "minutes", "reason")))
        case "drill_go_ahead":
            return drill.go_ahead_refusal(state)
        case "drill_end":
            return "" if state.drill.button else "no_drill"
        case "acknowledge":
            return "" if state.panic.alarms else "no_alarm"
        case verb if verb in LANE_VERBS:
            return "" if event.args.get("lane", "") in state.lanes else "unknown_lane"
        case _:
            return ""


def _no_release(state: BoxState, event: Command) -> str:
    """In a lockdown only a person at the box lets somebody through a door: the far side cannot see who stands there."""
    if event.args.get("door", "") not in state.doors:
        return "unknown_door"
    return "lockdown" if state.panic.lockdown and event.rank is Rank.UPSTREAM else ""


def _no_fire_reset(state: BoxState) -> str:
    """A site with a fire reset key is reset with it, by hand at the box; only one without takes the guard's card."""
    if any(key.use == "fire_reset" for key in state.rules.keys):
        return "use_the_key"
    return fire.reset_refusal(state)


# ── doing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _lane(state: BoxState, event: Command, now: Now, log: Log) -> BoxState:
    state, why = lane.on_command(state, event, now, log)
    log.add("command.refused" if why else "command.done", "command", told(state, event, why), actor=event.actor)
    return state


def _release(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return door.release(state, event.args["door"], event.actor, cause, now, log)


def _lockdown(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return panic.start_lockdown(state, event.actor, cause, log)


def _all_clear(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return panic.all_clear(state, _person(state, event), cause, log)


def _acknowledge(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return panic.acknowledge(state, event.actor, cause, log)


def _panic_reset(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return panic.reset(state, _person(state, event), cause, now, log)


def _fire_reset(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return fire.reset(state, _person(state, event), cause, now, log)


def _drill_start(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    args, person = event.args, _person(state, event)
    return drill.start(state, args["button"], args.get("minutes", ""), args["reason"], person, cause, now, log)


def _drill_go_ahead(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return drill.go_ahead(state, _person(state, event), cause, now, log)


def _drill_end(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    return drill.end(state, "command", event.actor, cause, log)


def _person(state: BoxState, event: Command) -> str:
    """What needs presence is done by the guard whose card was read, whoever sat at the screen."""
    return state.access.guard or event.actor


_VERBS: dict[str, Callable[[BoxState, Command, Seq, Now, Log], BoxState]] = {
    "all_clear_request": orders.ask,
    "drill_propose": orders.ask,
    "release": _release,
    "lockdown": _lockdown,
    "all_clear": _all_clear,
    "acknowledge": _acknowledge,
    "panic_reset": _panic_reset,
    "fire_reset": _fire_reset,
    "drill_start": _drill_start,
    "drill_go_ahead": _drill_go_ahead,
    "drill_end": _drill_end,
}


class _Subject(Protocol):
    """A file whose verbs go through here: campus_commands, visits, duty, shunt."""

    VERBS: frozenset[str]
    ARGS: dict[str, Check]

    def refusal(self, state: BoxState, event: Command, now: Now) -> str: ...

    def do(self, state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState: ...


SUBJECTS: tuple[_Subject, ...] = (campus_commands, visits, duty, shunt)
PEOPLE_VERBS = frozenset(verb for subject in SUBJECTS for verb in subject.VERBS)


def _subject(verb: str) -> _Subject:
    return next(subject for subject in SUBJECTS if verb in subject.VERBS)


KNOWN_VERBS = frozenset(_VERBS) | LANE_VERBS | PEOPLE_VERBS
