"""The closed campus, judged from what a by-stander saw: nobody slips out, nobody is kept in who may not be, nothing
of a duress shows, and no timetable moves a bollard up."""

from __future__ import annotations

from agent.core.events import CardRead, Command, PolicyChanged, Rex
from agent.core.facts_campus import (
    credential_of,
    holder_of,
    is_banned,
    is_good,
    is_out_of_time,
    kind_of,
    may_leave,
    minute_of,
    today,
    visit_of,
)
from agent.core.invariant import Step, invariant
from agent.core.policy import Credential
from agent.core.rules import ReaderRules
from agent.core.words import ClockTrust, Motion, Rank


def _is_evacuation(step: Step, door: str) -> bool:
    for rules in step.new.rules.doors:
        if rules.id == door:
            return rules.evacuation_way
    return False


def _granted(step: Step) -> bool:
    """Whether this card itself was let through: the guardian's showing lets others through as well."""
    assert isinstance(step.event, CardRead)
    for record in step.records:  # noqa: SIM110  # asked of every card: a generator costs thrice as much
        if record.kind == "access.granted" and record.cause is None:
            return True
    return False


@invariant(14, "pupils_stay_in_class_hours", on=(CardRead,))
def pupils_stay_in_class_hours(step: Step) -> str | None:
    """Through a controlled way that is no evacuation way."""
    assert isinstance(step.event, CardRead)
    reader = step.facts.campus.reader
    if reader is None or reader.direction != "out" or not reader.door or _is_evacuation(step, reader.door):
        return None
    if kind_of(step, step.event.card) != "pupil" or not _granted(step) or step.now.trust is ClockTrust.UNTRUSTED:
        return None
    if may_leave(step, step.event.card, reader.door):
        return None
    return f"a pupil left by {reader.door} without a window, a slip, a guardian or an override"


@invariant(15, "leaving_against_the_timetable_is_told", on=(CardRead,))
def leaving_against_the_timetable_is_told(step: Step) -> str | None:
    """An evacuation way opens for a pupil who should stay: that is an alarm, unless a guardian may still come."""
    assert isinstance(step.event, CardRead)
    reader = step.facts.campus.reader
    if reader is None or reader.direction != "out" or not _is_evacuation(step, reader.door):
        return None
    told = any(record.kind == "access.unauthorised_exit" for record in step.records)
    waits = any(record.data.get("policy") == "guardian_missing" for record in step.records)
    pupil = kind_of(step, step.event.card) == "pupil" and isinstance(credential_of(step, step.event.card), Credential)
    judged = pupil and step.now.trust is not ClockTrust.UNTRUSTED and not _other_reason(step)
    if not judged or waits or told:
        return None
    return (
        None if may_leave(step, step.event.card, reader.door) else f"a pupil left by {reader.door} and nobody was told"
    )


def _other_reason(step: Step) -> bool:
    """The card was wrong for another reason than the timetable: that is told by its own record."""
    reasons = ("class_hours", "outside_hours", "slip_early", "slip_used", "slip_expired", "guardian_missing")
    policy = [record.data["policy"] for record in step.records if "policy" in record.data]
    return bool(policy) and policy[0] not in reasons


@invariant(15, "only_pupils_are_kept_in", on=(CardRead,))
def only_pupils_are_kept_in(step: Step) -> str | None:
    """A valid card of anybody but a pupil opens the way out, timetable or not."""
    assert isinstance(step.event, CardRead)
    reader = step.facts.campus.reader
    known = credential_of(step, step.event.card)
    if reader is None or reader.direction != "out" or not reader.door or known is None:
        return None
    if kind_of(step, step.event.card) in ("pupil", "") or _granted(step):
        return None
    reasons = {str(record.data.get("why")) for record in step.records if record.kind == "access.denied"}
    bad = reasons - {"wrong_door", "expired", "not_yet_valid"}
    return f"{known.holder} was kept in: {sorted(bad)}" if bad else None


@invariant(15, "dead_cards_open_no_entry", on=(CardRead,))
def dead_cards_open_no_entry(step: Step) -> str | None:
    """An expired, banned or not yet valid card, or one nobody knows, opens no way in and asks no lane down."""
    assert isinstance(step.event, CardRead)
    reader = step.facts.campus.reader
    if reader is None or reader.direction not in ("in", "out") or (reader.direction == "out" and reader.door):
        return None
    if not _granted(step):
        return None
    card = step.event.card
    visit = visit_of(step, card)
    if visit is not None and credential_of(step, card) is None:
        return _of_visit(step, reader, card, visit)
    if credential_of(step, card) is None or is_banned(step, card):
        return f"{reader.id} let a card in that is unknown or banned"
    return f"{reader.id} let a card in outside its validity" if is_out_of_time(step, card) else None


def _of_visit(step: Step, reader: ReaderRules, card: str, visit: tuple[str, float, bool]) -> str | None:
    """Its time is the monotonic clock's (domain rule 27): whoever sets the wall clock back opens nothing by it."""
    handle, until_at, agreed = visit
    if not agreed or step.now.mono_s >= until_at:
        return f"{reader.id} let a visit in without consent or after its end"
    return f"{reader.id} let a banned lent card in" if {card, handle} & step.facts.campus.bans else None


@invariant(15, "a_pass_opens_its_lanes_in_its_time", on=(CardRead,))
def a_pass_opens_its_lanes_in_its_time(step: Step) -> str | None:
    """A vehicle that has a pass of its own asks no other lane down, and none at any other time."""
    assert isinstance(step.event, CardRead)
    reader, policy, wall = step.facts.campus.reader, step.facts.campus.policy, step.now.wall_ms
    if reader is None or not reader.lane or policy is None or step.now.trust is ClockTrust.UNTRUSTED:
        return None
    known = credential_of(step, step.event.card)
    own = policy.passes.get(known.holder) if isinstance(known, Credential) else None
    if own is None or not isinstance(known, Credential) or not _granted(step):
        return None
    if policy.groups[known.group].timetable is False:
        return None
    in_days = own.from_ms <= wall and (not own.to_ms or wall < own.to_ms)
    weekday = (today(step, step.now) - 1) % 7  # ordinal 1 was a Monday
    in_time = weekday in own.weekdays and own.start <= minute_of(step, step.now) < own.end
    good = reader.lane in own.lanes and in_days and in_time
    return None if good else f"{known.holder} asked {reader.lane} down against its pass"


@invariant(14, "only_own_guardians_fetch", on=(CardRead,))
def only_own_guardians_fetch(step: Step) -> str | None:
    """Whoever lets a waiting pupil go is bound to that pupil, and shows a card that is good."""
    assert isinstance(step.event, CardRead)
    for record in step.records:
        if "guardian" not in record.data:
            continue
        guardian, pupil = str(record.data["guardian"]), str(record.data["holder"])
        if guardian != holder_of(step, step.event.card) or not is_good(step, step.event.card):
            return f"{guardian} fetched {pupil} without a good card"
        policy = step.facts.campus.policy
        if policy is None or pupil not in policy.pickups[guardian].pupils:
            return f"{guardian} fetched {pupil}, who is another's"
    return None


@invariant(24, "a_slip_lets_out_once", on=(CardRead,))
def a_slip_lets_out_once(step: Step) -> str | None:
    slips = [str(record.data["slip"]) for record in step.records if record.kind == "slip.used"]
    again = [slip for slip in slips if slip in step.facts.campus.used or slips.count(slip) > 1]
    return f"slips used twice: {again}" if again else None


@invariant(15, "passback_never_traps", on=(CardRead, Rex))
def passback_never_traps(step: Step) -> str | None:
    """Anti-passback refuses an entry at most, never an exit, and never the first entry of a day."""
    for record in step.records:
        why = record.data.get("why", record.data.get("policy"))
        if why != "passback":
            continue
        if record.data.get("direction") != "in":
            return "anti-passback acted on a way out"
        known = step.facts.campus.in_at.get(str(record.data.get("holder")))
        if known is None or not known[0] or known[2] != today(step, step.now):
            return "anti-passback refused somebody who had not come in today"
    return None


@invariant(30, "duress_shows_nothing", on=(CardRead,))
def duress_shows_nothing(step: Step) -> str | None:
    """A duress card does as any other does, is told upstream whether it opens or not, and lights and sounds nothing."""
    assert isinstance(step.event, CardRead)
    known = credential_of(step, step.event.card)
    if not isinstance(known, Credential) or not known.duress or step.facts.campus.reader is None:
        return None
    told = any(record.kind == "access.duress" for record in step.records)
    if not told:
        return "a card shown under duress was told to nobody"
    before = step.facts.people.before
    if before is not None and (before.lamps, before.siren) != (step.outputs.lamps, step.outputs.siren):
        return "a card shown under duress lit a lamp"
    return None


@invariant(13, "no_timetable_starts_a_raise", reads=("campus", "policy", "lanes"))
def no_timetable_starts_a_raise(step: Step) -> str | None:
    """A step in which only time, a card, a policy or a change of the day acted issues no raise."""
    if not step.facts.fresh or not (isinstance(step.event, PolicyChanged | CardRead) or _changes_the_day(step)):
        return None
    raises = [pair[1] for pair in step.facts.fresh if pair[1].motion in (Motion.RAISE, Motion.EFO)]
    return f"{raises[0].bollard} was asked up by the timetable" if raises else None


def _changes_the_day(step: Step) -> bool:
    event = step.event
    return isinstance(event, Command) and event.verb in ("shift_day", "swap_day", "restore_day")


@invariant(27, "no_window_runs_by_a_bad_clock", reads=("campus", "clock", "policy"), on=(PolicyChanged,))
def no_window_runs_by_a_bad_clock(step: Step) -> str | None:
    if step.now.trust is not ClockTrust.UNTRUSTED:
        return None
    if any(record.kind in ("day.window", "day.plan") for record in step.records):
        return "a window began with an untrusted clock"
    wants = [record for record in step.records if record.kind == "lane.wanted"]
    return "a lane was asked for by an untrusted clock" if wants and not _asked_by_hand(step) else None


def _asked_by_hand(step: Step) -> bool:
    return isinstance(step.event, Command) and step.event.rank is not Rank.TIMETABLE


@invariant(14, "let_out_opens", on=(Command,))
def let_out_opens(step: Step) -> str | None:
    """The guard's word lets a person out, whatever the timetable says."""
    event = step.event
    assert isinstance(event, Command)
    if event.verb != "let_out" or not any(record.kind == "command.done" for record in step.records):
        return None
    lock = step.outputs.locks[event.args["door"]]
    return None if not lock.on else f"the guard let somebody out and {event.args['door']} stayed at {lock}"
