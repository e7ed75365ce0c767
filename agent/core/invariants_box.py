"""Domain rules 24 to 30 as far as the core can see them: records, the clock, the first scan, privacy.

What is held elsewhere: the growing file and its proofs (25), eviction (26) by the journal; the page that moves nothing
(28) by the web role; the refused site file (29) by its loader; the encrypted register (30) by whoever keeps names.
"""

from __future__ import annotations

from agent.core.events import CardRead, ClockChanged, Command, LaneReading, NewEpoch, Note, PanicLine
from agent.core.facts_campus import holder_of, kind_of
from agent.core.invariant import Step, invariant
from agent.core.kinds import WEIGHT
from agent.core.records import Record, Weight
from agent.core.words import ClockTrust, Hold, Line, Rank

CARD_KINDS = frozenset({"access.granted", "access.denied", "access.presence"})
AHEAD_MS = 5_000
OUTCOMES = frozenset({"command.done", "command.refused"})
ENTERS_ON_A_BAD_CLOCK = frozenset({"staff", "guard", "responder"})
EVICTABLE = (Weight.PASSAGE, Weight.FACT)
NEVER_EVICTED = ("panic.pressed", "panic.reset", "lane.asked", "lane.token", "lane.sent", "command.", "lockdown.")


# ── 24 to 26: records ──────────────────────────────────────────────────────────────────────────────────────────────


@invariant(24, "one_record_for_each_command", on=(Command,))
def one_record_for_each_command(step: Step) -> str | None:
    outcomes = [record for record in step.records if record.kind in OUTCOMES]
    return None if len(outcomes) == 1 else f"a command with {len(outcomes)} outcomes"


@invariant(24, "each_command_once", on=(Command,))
def each_command_once(step: Step) -> str | None:
    return "a command id was carried out again" if _is_done(step) and _done_before(step) else None


def _is_done(step: Step) -> bool:
    return any(record.kind == "command.done" for record in step.records)


def _done_before(step: Step) -> bool:
    assert isinstance(step.event, Command)
    return not step.event.expires_ms and step.event.id in step.facts.people.done_ids


@invariant(24, "signed_once_and_in_its_time", on=(Command,))
def signed_once_and_in_its_time(step: Step) -> str | None:
    """What the far side signed is done at most once, between its dates, by a clock that somebody vouches for. An id
    that comes again with a later expiry is no repetition: the far side has used it anew, and signed that."""
    assert isinstance(step.event, Command)
    event = step.event
    if not event.expires_ms or not _is_done(step):
        return None
    if event.expires_ms <= step.facts.people.signed_ids.get(event.id, 0):
        return "a signed command was carried out again"
    in_time = event.issued_ms - AHEAD_MS <= step.now.wall_ms < event.expires_ms
    known = step.now.trust is not ClockTrust.UNTRUSTED
    return None if in_time and known else "a signed command was carried out outside its time"


@invariant(24, "one_record_for_each_card", on=(CardRead,))
def one_record_for_each_card(step: Step) -> str | None:
    """Its own: whom a guardian or a second person lets through besides has a record too, with that one in it."""
    decisions = [r for r in step.records if r.kind in CARD_KINDS and not _of_a_pair(r)]
    if len(decisions) != 1:
        return f"a card with {len(decisions)} decisions"
    denied = decisions[0].kind == "access.denied"
    return "a denial without its reason" if denied and not decisions[0].data.get("why") else None


def _of_a_pair(record: Record) -> bool:
    """Of somebody who showed the own card a moment ago, and is let through by another's."""
    return "guardian" in record.data or "with" in record.data


@invariant(24, "one_record_for_each_note", on=(Note,))
def one_record_for_each_note(step: Step) -> str | None:
    assert isinstance(step.event, Note)
    kinds = [record.kind for record in step.records if record.kind in (step.event.kind, "note")]
    return None if len(kinds) == 1 else f"a note with {len(kinds)} records"


@invariant(24, "one_record_for_each_clock_change", on=(ClockChanged,))
def one_record_for_each_clock_change(step: Step) -> str | None:
    assert isinstance(step.event, ClockChanged)
    news = step.event.trust is not step.old.clock.trust or step.event.step_ms != 0
    told = sum(record.kind in ("clock.trust", "clock.stepped", "clock.off") for record in step.records)
    return None if told == news else f"a clock change with {told} records"


@invariant(24, "one_record_for_each_mode_change", on=(LaneReading,))
def one_record_for_each_mode_change(step: Step) -> str | None:
    assert isinstance(step.event, LaneReading)
    lane = step.event.lane
    new, old = step.new.lanes.get(lane), step.old.lanes.get(lane)
    if new is None or old is None or new.lost or old.lost:
        return None
    changed = new.mode is not old.mode
    if not changed and not step.records:
        return None
    if any(record.kind == "lane.lost" for record in step.records):
        return None  # lost by time and back by this reading: the mode was unknown in between
    told = sum(record.kind == "lane.mode" for record in step.records)
    return None if told == changed else f"a mode change with {told} records"


@invariant(25, "records_only_grow", always=True)
def records_only_grow(step: Step) -> str | None:
    """Numbered without a gap from where the journal goes on, in one epoch, which never goes back."""
    if not step.records and step.new.next_seq == step.old.next_seq and step.new.epoch == step.old.epoch:
        return None
    begin = step.event.next_seq if isinstance(step.event, NewEpoch) else step.old.next_seq
    for place, record in enumerate(step.records):
        if record.seq != begin + place or record.epoch != step.new.epoch:
            return f"record {record.ref} where {(step.new.epoch, begin + place)} was due"
    if step.new.next_seq != begin + len(step.records):
        return f"the next record would be {step.new.next_seq} after {len(step.records)} from {begin}"
    return "the epoch went back" if step.new.epoch < step.old.epoch else None


@invariant(26, "records_have_their_weight", reads=("next_seq",), on=(NewEpoch,))
def records_have_their_weight(step: Step) -> str | None:
    """Every kind is known, and what must never be evicted is of no kind that may be. No record is written without a
    number: `records_only_grow` sees to that."""
    for record in step.records:
        weight = WEIGHT.get(record.kind)
        if weight is None:
            return f"no weight for {record.kind}"
        if weight in EVICTABLE and record.kind.startswith(NEVER_EVICTED):
            return f"{record.kind} may be evicted"
    return None


# ── 27: time ───────────────────────────────────────────────────────────────────────────────────────────────────────


@invariant(27, "bad_clock_closes_entry", on=(CardRead,))
def bad_clock_closes_entry(step: Step) -> str | None:
    assert isinstance(step.event, CardRead)
    people, reader = step.facts.people, step.facts.campus.reader
    if step.now.trust is not ClockTrust.UNTRUSTED or reader is None or reader.direction != "in" or not reader.door:
        return None
    if kind_of(step, step.event.card) in ENTERS_ON_A_BAD_CLOCK:
        return None
    was_locked = people.before is None or people.before.locks[reader.door].on
    opened = was_locked and not step.outputs.locks[reader.door].on
    return f"{reader.door} opened for entry on an untrusted clock" if opened else None


@invariant(27, "bad_clock_moves_nothing", on=(Command,))
def bad_clock_moves_nothing(step: Step) -> str | None:
    assert isinstance(step.event, Command)
    if step.event.rank is not Rank.TIMETABLE or step.new.clock.trust is not ClockTrust.UNTRUSTED:
        return None
    begun = [name for name, lane in step.new.lanes.items() if lane.request is not step.old.lanes[name].request]
    return f"the timetable moved {begun} on an untrusted clock" if any(_asked(step, name) for name in begun) else None


def _asked(step: Step, lane: str) -> bool:
    request = step.new.lanes[lane].request
    return request is not None and request.rank is Rank.TIMETABLE


# ── 29: the first scan ─────────────────────────────────────────────────────────────────────────────────────────────


@invariant(29, "nothing_goes_out_before_the_scan", always=True)
def nothing_goes_out_before_the_scan(step: Step) -> str | None:
    if step.facts.people.scanned:
        return None
    if step.new.scanned:
        return "scanned without a scan"
    if step.outputs.motions:
        return "a motion before the first full scan"
    held = [
        lane for lane, wanted in step.outputs.lanes.items() if any(h is not Hold.NONE for h in wanted.hold.values())
    ]
    return f"a hold on {held} before the first full scan" if held else None


@invariant(29, "found_active_is_a_press", on=(PanicLine,))
def found_active_is_a_press(step: Step) -> str | None:
    assert isinstance(step.event, PanicLine)
    people = step.facts.people
    if people.scanned or step.event.line is not Line.PRESSED or people.line_before is Line.PRESSED:
        return None
    if not people.new_press:
        return None
    latched = step.new.panic.latched and any(record.kind == "panic.pressed" for record in step.records)
    return None if latched else f"{step.event.button} found active at the start was no press"


# ── 30: privacy ────────────────────────────────────────────────────────────────────────────────────────────────────


@invariant(30, "no_card_number_in_records", on=(CardRead,))
def no_card_number_in_records(step: Step) -> str | None:
    assert isinstance(step.event, CardRead)
    number = step.event.card.partition(":")[2] or step.event.card
    if len(number) < 6:
        return None
    for record in step.records:
        for text in (record.subject, record.actor, *record.data.values()):
            if isinstance(text, str) and number in text:
                return "a whole card number in a record"
    return None


@invariant(30, "holders_are_pseudonyms", on=(CardRead,))
def holders_are_pseudonyms(step: Step) -> str | None:
    """Whoever a card record names is a handle of the credential list, or nobody."""
    assert isinstance(step.event, CardRead)
    allowed = ("", holder_of(step, step.event.card))
    for record in step.records:
        named = record.data.get("holder", "")
        if named not in allowed and record.kind in CARD_KINDS and not _of_a_pair(record):
            return f"a card record names {named}"
    return None


LONGEST_SHUNT_S = 8 * 3600.0  # D: a working day


@invariant(24, "a_shunt_is_short_and_told", reads=("doors",))
def a_shunt_is_short_and_told(step: Step) -> str | None:
    """A door's alarms are put aside, and come back, by one record each, and for a working day at most."""
    for name, door in step.new.doors.items():
        before, until = step.old.doors.get(name), door.shunted_until_at
        if before is door:
            continue
        was = before.shunted_until_at if before is not None else None
        if until is not None and until - step.now.mono_s > LONGEST_SHUNT_S:
            return f"the alarms of {name} are put aside for {until - step.now.mono_s:.0f} s"
        if until != was and not _told_of_shunt(step, name):
            return f"the alarms of {name} were put aside or came back and nobody was told"
    return None


def _told_of_shunt(step: Step, door: str) -> bool:
    kinds = ("door.shunted", "door.shunt_ended")
    return any(record.subject == f"door:{door}" and record.kind in kinds for record in step.records)
