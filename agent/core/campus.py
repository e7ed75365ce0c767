"""The closed campus, card by card: what the day's windows, leave slips, pick-ups and passes allow a person now.

Asked after a card was found known, valid and meant for this door (`agent.core.access`). Only people whose group is
bound by the timetable are asked for a window, and of those who leave only pupils: nobody else is ever kept in. Where
the way out is an evacuation way the answer holds nobody either; it is written down, and told to the guard.
"""

from __future__ import annotations

import msgspec

from agent.core import calendar, people
from agent.core.calendar import Span
from agent.core.crowd import Mark
from agent.core.events import Now
from agent.core.people import Person
from agent.core.policy import LeaveSlip, Passage, PickupWindow, Policy, VehiclePass
from agent.core.rules import ReaderRules
from agent.core.state import BoxState, Shown
from agent.core.words import ClockTrust

CLOSED_PLAN = frozenset({"staff", "guard", "responder"})  # who may enter with a bad clock, and through a closed door
FIRST_CARDS = frozenset({"staff", "guard", "responder"})


class Decision(msgspec.Struct, frozen=True):
    """`why` is the reason for a refusal, "" = let through; `rule` and `source` are what decided and where it stands."""

    why: str = ""
    rule: str = ""
    source: str = ""
    slip: str = ""  # the leave slip that lets a pupil out


def leaves(reader: ReaderRules) -> bool:
    """Whether this reader stands at a way out. A lane is a way in whichever way the vehicle goes."""
    return bool(reader.door) and reader.direction == "out"


def allows(state: BoxState, reader: ReaderRules, person: Person, now: Now) -> Decision:
    """What the school's policy says. With an untrusted clock it says nothing: `access` has the closed plan for that."""
    policy = state.policy
    if policy is None or now.trust is ClockTrust.UNTRUSTED:
        return Decision(rule="no_timetable")
    if leaves(reader):
        return _way_out(state, policy, reader, person, now)
    entry = _hours(state, policy, reader, person, now)
    if entry.why or not reader.door:
        return entry
    return _entry_rules(state, policy, reader, person, now) or entry


def running(state: BoxState, now: Now) -> tuple[Span, ...]:
    """The windows of this minute; none while no day is known."""
    day, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    return calendar.at_minute(state.campus.spans, minute) if state.campus.day == day.toordinal() else ()


# ── windows ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _hours(state: BoxState, policy: Policy, reader: ReaderRules, person: Person, now: Now) -> Decision:
    windows = running(state, now)
    for span in windows:
        if span.window.doors.get(reader.door) == "closed" and person.kind not in CLOSED_PLAN and not leaves(reader):
            return Decision("door_closed", span.window.label or span.window.kind, span.window.source)
    if not person.bound:
        return Decision(rule="not_bound", source=person.source)
    own = policy.passes.get(person.holder)
    if own is not None and not reader.door:
        return _own_pass(own, state, reader, now)
    for span in windows:
        for passage in span.window.passages:
            if _matches(passage, reader, person):
                return Decision(rule=span.window.label or span.window.kind, source=passage.source or span.window.source)
    return _no_window(windows, leaving=leaves(reader))


def _no_window(windows: tuple[Span, ...], *, leaving: bool) -> Decision:
    """Only whoever wants to leave is told to stay; whoever comes too late is not."""
    held = next((span for span in windows if span.window.kind in ("class", "exam")), None)
    if held is not None and leaving:
        return Decision("class_hours", held.window.label or held.window.kind, held.window.source)
    first = held.window if held is not None else windows[0].window if windows else None
    return Decision("outside_hours", first.label or first.kind if first else "", first.source if first else "")


def _matches(passage: Passage, reader: ReaderRules, person: Person) -> bool:
    way = "out" if leaves(reader) else "in"
    if passage.direction not in (way, "both"):
        return False
    if passage.groups and person.group not in passage.groups and person.kind not in passage.groups:
        return False
    if passage.grades and person.kind == "pupil" and person.grade not in passage.grades:
        return False
    if reader.door:
        return not passage.doors or reader.door in passage.doors
    return not passage.lanes or reader.lane in passage.lanes


def _own_pass(own: VehiclePass, state: BoxState, reader: ReaderRules, now: Now) -> Decision:
    """A vehicle or bus with its own times needs no window of the day; the lanes are the pass's too, whatever others
    the group may use."""
    if reader.lane not in own.lanes:
        return Decision("wrong_lane", "pass", own.source)
    day, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    valid = own.from_ms <= now.wall_ms and (not own.to_ms or now.wall_ms < own.to_ms)
    in_time = day.weekday() in own.weekdays and own.start <= minute < own.end
    return Decision("" if valid and in_time else "pass_not_now", "pass", own.source)


# ── the way out ────────────────────────────────────────────────────────────────────────────────────────────────────


def _way_out(state: BoxState, policy: Policy, reader: ReaderRules, person: Person, now: Now) -> Decision:
    if person.kind != "pupil":
        return Decision(rule="leaves_freely", source=person.source)
    hours = _hours(state, policy, reader, person, now)
    if not hours.why:
        return hours
    fetched = _picked_up(state, policy, reader, person, now)
    if fetched is not None and not fetched.why:
        return fetched
    slip = _by_slip(state, policy, reader, person, now)
    if slip is not None and (fetched is None or slip.why in ("", "guardian_missing")):
        return slip
    return fetched or hours


def _picked_up(state: BoxState, policy: Policy, reader: ReaderRules, person: Person, now: Now) -> Decision | None:
    """In the pick-up window a guardian bound to this pupil shows a card at the same door within a minute."""
    guardians = people.index(policy).guardians.get(person.holder)
    _, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    window = next((w for w in policy.pickup_windows if _runs(state, w, minute)), None)
    if guardians is None or window is None:
        return None
    here = any(shown.holder in guardians for shown in fresh(state, reader.door, now))
    return Decision("" if here else "guardian_missing", "pickup", window.source)


def _runs(state: BoxState, window: PickupWindow, minute: int) -> bool:
    """The rest of today moves with what a person shifted."""
    start, end = calendar.moved(window.start, window.end, state.campus.shifts)
    return start <= minute < end


def _by_slip(state: BoxState, policy: Policy, reader: ReaderRules, person: Person, now: Now) -> Decision | None:
    """The best of this pupil's slips for today: one that lets out, else the reason the guard can read aloud. A slip of
    another day is no reason for anything."""
    campus, (day, _) = state.campus, calendar.local(now.wall_ms, state.rules.utc_offset_min)
    begin_ms = calendar.utc_ms(day, 0, state.rules.utc_offset_min)
    slips = [*people.index(policy).slips.get(person.holder, ())]
    slips += [slip for slip in campus.slips.values() if slip.pupil == person.holder]
    todays = [slip for slip in slips if slip.from_ms < begin_ms + calendar.DAY_MS and slip.to_ms > begin_ms]
    judged = [_judge_slip(state, policy, reader, slip, now) for slip in todays if slip.id not in campus.cancelled]
    return min(judged, key=lambda found: _SLIP_ORDER.index(found.why)) if judged else None


_SLIP_ORDER = ("", "guardian_missing", "slip_early", "slip_used", "slip_expired")


def _judge_slip(state: BoxState, policy: Policy, reader: ReaderRules, slip: LeaveSlip, now: Now) -> Decision:
    if slip.id in state.campus.used:
        why = "slip_used"
    elif now.wall_ms < slip.from_ms:
        why = "slip_early"
    elif now.wall_ms >= slip.to_ms:
        why = "slip_expired"
    elif slip.guardian and not _guardian_is_here(state, policy, reader, slip, now):
        why = "guardian_missing"
    else:
        why = ""
    return Decision(why, "slip", slip.source or f"slip {slip.id}", slip.id)


def _guardian_is_here(state: BoxState, policy: Policy, reader: ReaderRules, slip: LeaveSlip, now: Now) -> bool:
    guardians = people.index(policy).guardians.get(slip.pupil, frozenset())
    return any(shown.holder in guardians for shown in fresh(state, reader.door, now))


def fresh(state: BoxState, door: str, now: Now) -> list[Shown]:
    """The cards shown at this door, either side, within the time a pair has."""
    pair_s = state.policy.rules.pair_s if state.policy is not None else 0
    return [s for s in state.campus.recent.get(door, ()) if now.mono_s - s.at_s <= pair_s]


# ── the way in ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _entry_rules(state: BoxState, policy: Policy, reader: ReaderRules, person: Person, now: Now) -> Decision | None:
    """Rules of the school for entry alone. Responders are never asked."""
    rules = policy.rules
    if person.kind == "responder":
        return None
    if rules.passback in ("hard", "timed") and _came_in_already(state, person, now):
        return Decision("passback", f"passback {rules.passback}", rules.source)
    if reader.door in rules.first_card_doors and person.kind not in FIRST_CARDS:
        day, _ = calendar.local(now.wall_ms, state.rules.utc_offset_min)
        if state.campus.opened.get(reader.door) != day.toordinal():
            return Decision("first_card", "first card in", rules.source)
    if reader.door in rules.two_person_doors:
        here = fresh(state, reader.door, now)
        others = (s for s in here if s.holder != person.holder and s.direction == reader.direction)
        if not any(other.why in ("", "second_person") for other in others):
            return Decision("second_person", "two persons", rules.source)
    return None


def _came_in_already(state: BoxState, person: Person, now: Now) -> bool:
    """Forgiven at the start of a day. Guards go in and out on duty, so nobody counts them."""
    mark = state.campus.crowd.get(person.holder)
    if mark is None or not mark.inside or person.kind == "guard" or not _is_today(state, mark, now):
        return False
    assert state.policy is not None
    rules = state.policy.rules
    return rules.passback == "hard" or now.mono_s - mark.at_s < rules.passback_min * 60


def breaks_soft_passback(state: BoxState, person: Person, now: Now) -> bool:
    """Whether this entry is one that soft anti-passback writes down."""
    mark = state.campus.crowd.get(person.holder)
    soft = state.policy is not None and state.policy.rules.passback == "soft"
    return soft and mark is not None and mark.inside and person.kind != "guard" and _is_today(state, mark, now)


def _is_today(state: BoxState, mark: Mark, now: Now) -> bool:
    offset = state.rules.utc_offset_min
    return calendar.local(mark.since_ms, offset)[0] == calendar.local(now.wall_ms, offset)[0]
