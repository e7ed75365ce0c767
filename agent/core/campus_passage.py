"""What a card that was shown leaves behind: who is inside, the slip that is used up, the pair that is complete, and the
alarms of an exit nobody allowed and of a card shown under duress."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agent.core import calendar, campus, people, visits
from agent.core.campus import Decision
from agent.core.crowd import Mark
from agent.core.door import rules_of as door_rules
from agent.core.events import Now, Seq
from agent.core.log import Log
from agent.core.people import Person
from agent.core.records import Value
from agent.core.rules import ReaderRules
from agent.core.state import BoxState, Shown

KEEP_SHOWN = 16  # D: cards remembered at one door; a minute's worth of a rush counts for pairs no longer
TIMETABLE_REASONS = frozenset(
    {"class_hours", "outside_hours", "guardian_missing", "slip_early", "slip_used", "slip_expired"}
)


def put(state: BoxState, **changes: Any) -> BoxState:
    return replace(state, campus=replace(state.campus, **changes))


def passed(
    state: BoxState, reader: ReaderRules, person: Person, decision: Decision, ref: Seq, now: Now, log: Log
) -> BoxState:
    """The lock opened for this person at a door. `decision.why` is "" unless an evacuation way opened all the same."""
    if not campus.leaves(reader):
        state = visits.on_passage(state, person.holder)
    if state.policy is None:
        return _seen(state, person, now, inside=not campus.leaves(reader))
    if decision.slip and not decision.why:
        state = _use_slip(state, decision.slip, person.holder, ref, now, log)
    if not campus.leaves(reader) and campus.breaks_soft_passback(state, person, now):
        log.add("access.passback", f"reader:{reader.id}", {"holder": person.holder}, cause=ref)
    if _counts(person, decision):
        state = _remember(state, reader, person, decision, ref, now)
    if campus.leaves(reader):
        if _counts(person, decision):
            state = _release_waiting(state, reader, person, ref, now, log)
        if person.kind == "pupil" and decision.why in TIMETABLE_REASONS - {"guardian_missing"}:
            _tell_exit(reader.door, person.holder, decision.why, ref, log)
    else:
        state = _first_of_two(state, reader, person.holder, ref, now, log)
        if person.kind in campus.FIRST_CARDS:
            state = _first_card(state, reader, now)
    return _seen(state, person, now, inside=not campus.leaves(reader))


def refused(
    state: BoxState, reader: ReaderRules, person: Person, decision: Decision, ref: Seq, now: Now, log: Log
) -> BoxState:
    """Remember who stands here: the other half of a pair may come within the minute. A guardian who may not come in
    now can still fetch from outside; whoever left by the evacuation way meanwhile has waited long enough."""
    if state.policy is None or not reader.door:
        return state
    fetches = person.kind == "guardian" and decision.why in ("outside_hours", "door_closed")
    if not fetches and decision.why not in ("guardian_missing", "second_person"):
        return state
    state = _remember(state, reader, person, decision, ref, now)
    if not fetches or not door_rules(state.rules, reader.door).evacuation_way:
        return state
    return _release_waiting(state, reader, person, ref, now, log)


def _counts(person: Person, decision: Decision) -> bool:
    """Whether this showing counts for others: with a banned card, or one out of its time, everybody may leave, but
    nobody is fetched."""
    return not person.banned and decision.why in ("", *TIMETABLE_REASONS)


def _seen(state: BoxState, who: Person | Shown, now: Now, *, inside: bool) -> BoxState:
    mark = Mark(inside, who.kind, who.group, now.mono_s, now.wall_ms)
    return put(state, crowd=state.campus.crowd.put(who.holder, mark))


def _use_slip(state: BoxState, slip: str, holder: str, ref: Seq, now: Now, log: Log) -> BoxState:
    log.add("slip.used", f"slip:{slip}", {"holder": holder, "slip": slip}, cause=ref)
    return put(state, used={**state.campus.used, slip: now.wall_ms})


def _first_card(state: BoxState, reader: ReaderRules, now: Now) -> BoxState:
    assert state.policy is not None
    day = calendar.local(now.wall_ms, state.rules.utc_offset_min)[0].toordinal()
    if reader.door not in state.policy.rules.first_card_doors or state.campus.opened.get(reader.door) == day:
        return state
    return put(state, opened={**state.campus.opened, reader.door: day})


def _remember(state: BoxState, reader: ReaderRules, person: Person, decision: Decision, ref: Seq, now: Now) -> BoxState:
    shown = Shown(
        now.mono_s, person.holder, person.kind, person.group, decision.why, decision.slip, ref, reader.direction
    )
    others = [s for s in campus.fresh(state, reader.door, now) if s.holder != person.holder]
    recent = {**state.campus.recent, reader.door: (*others, shown)[-KEEP_SHOWN:]}
    return put(state, recent=recent)


def _release_waiting(state: BoxState, reader: ReaderRules, guardian: Person, ref: Seq, now: Now, log: Log) -> BoxState:
    """The guardian came second: the pupils who wait for them at this door leave by the same opening."""
    assert state.policy is not None
    guardians = people.index(state.policy).guardians
    for shown in campus.fresh(state, reader.door, now):
        if shown.why != "guardian_missing" or guardian.holder not in guardians.get(shown.holder, ()):
            continue
        data: dict[str, Value] = {
            "direction": "out", "group": shown.kind, "guardian": guardian.holder, "holder": shown.holder,
            "reader": reader.id,
        }  # fmt: skip
        granted = log.add("access.granted", f"door:{reader.door}", data, cause=ref)
        if shown.slip:
            state = _use_slip(state, shown.slip, shown.holder, granted, now, log)
        state = _seen(state, shown, now, inside=False)
        state = _settle(state, reader.door, shown, "")
    return state


def _first_of_two(state: BoxState, reader: ReaderRules, second: str, ref: Seq, now: Now, log: Log) -> BoxState:
    """The second person opened a door for two: whoever was refused a moment before comes in with him, and must be
    found on the muster list."""
    for shown in campus.fresh(state, reader.door, now):
        if shown.why != "second_person" or shown.direction != reader.direction:
            continue
        data: dict[str, Value] = {
            "direction": "in", "group": shown.kind, "holder": shown.holder, "reader": reader.id, "with": second
        }  # fmt: skip
        log.add("access.granted", f"door:{reader.door}", data, cause=ref)
        state = _seen(visits.on_passage(state, shown.holder), shown, now, inside=True)
        state = _settle(state, reader.door, shown, "")
    return state


def _settle(state: BoxState, door: str, shown: Shown, why: str) -> BoxState:
    kept = tuple(replace(s, why=why) if s is shown else s for s in state.campus.recent[door])
    return put(state, recent={**state.campus.recent, door: kept})


def _tell_exit(door: str, holder: str, why: str, cause: Seq, log: Log) -> None:
    log.add("access.unauthorised_exit", f"door:{door}", {"door": door, "holder": holder, "why": why}, cause=cause)


# ── pupils who went out and whose guardian never came ──────────────────────────────────────────────────────────────


def deadline(state: BoxState) -> float:
    """When the next pupil who left by an evacuation way has waited too long for a guardian."""
    if state.policy is None:
        return float("inf")
    since = float("inf")
    for door, shown in state.campus.recent.items():
        for one in shown:
            if one.why == "guardian_missing" and one.at_s < since and _left_alone(state, door, one):
                since = one.at_s
    return since + state.policy.rules.pair_s + 0.001


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s < deadline(state):
        return state
    assert state.policy is not None
    pair_s = state.policy.rules.pair_s
    for door, shown in state.campus.recent.items():
        for one in shown:
            if _left_alone(state, door, one) and now.mono_s - one.at_s > pair_s:
                _tell_exit(door, one.holder, "guardian_missing", one.ref, log)
                state = _settle(state, door, one, "told")
    return state


def _left_alone(state: BoxState, door: str, shown: Shown) -> bool:
    missing = shown.why == "guardian_missing" and shown.direction == "out"
    return missing and door_rules(state.rules, door).evacuation_way
