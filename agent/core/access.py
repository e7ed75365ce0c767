"""Cards: one decision for each read, with a reason for every refusal and the rule that gave it.

Entry is decided by credential, lockdown, clock and the school's policy (`agent.core.campus`). Leaving through an
evacuation door is never refused by the lock: what the credential would have got goes into the record as `policy`
(domain rules 14, 15). A responder's credential enters in lockdown and at a locked-out reader. With an untrusted
clock nobody can tell who is still valid, so entry falls to the closed plan: staff, guards and responders only.

A grant at a lane reader asks the lane *down*, never up, and with the console's rank: a card stands for a person the
guard's list lets in, so it may do what the guard's console may do at most, and must give way to EFO and to the guard's
hand on the keys.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core import campus, campus_passage, door, duty, lane, people, visits
from agent.core.campus import CLOSED_PLAN, Decision
from agent.core.events import CardBad, CardRead, Command, Now, Seq
from agent.core.log import Log
from agent.core.people import Person
from agent.core.records import Value
from agent.core.rules import ReaderRules
from agent.core.state import AccessState, BoxState
from agent.core.words import ClockTrust, Rank

WRONG_CARD = frozenset({"unknown", "not_yet_valid", "expired", "wrong_door", "wrong_lane", "banned", "not_a_guard"})
CLOCK_RULE = "closed plan"
ID_TAIL = 4  # of an unknown card as many digits go into the record: enough to find the card, too few to be it


def on_card(state: BoxState, event: CardRead, now: Now, log: Log) -> BoxState:
    """A card was read: granted or denied, one record."""
    reader = _reader(state, event.reader)
    if reader is None:
        nowhere = ReaderRules(id=event.reader, door="", lane="", direction="in")
        return _deny(state, nowhere, event, None, Decision("no_reader"), now, log)
    person = people.find(state, event.card)
    decision = decide(state, reader, person, now)
    if reader.direction == "presence":
        return _presence(state, reader, event, person, decision, now, log)
    if decision.why and not (reader.door and _free_to_leave(state, reader)):
        return _deny(state, reader, event, person, decision, now, log)
    if reader.door:
        return _grant_door(state, reader, event, person, decision, now, log)
    return _grant_lane(state, reader, event, person, now, log)


def _reader(state: BoxState, name: str) -> ReaderRules | None:
    for reader in state.rules.readers:
        if reader.id == name:
            return reader
    return None


def on_bad_card(state: BoxState, event: CardBad, log: Log) -> BoxState:
    log.add("reader.bad_frame", f"reader:{event.reader}", {"why": event.why})
    return state


# ── deciding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def decide(state: BoxState, reader: ReaderRules, person: Person | None, now: Now) -> Decision:
    """Whether this person is let through here, and which rule says so. The first reason that holds, gravest first."""
    responder = person is not None and person.kind == "responder"
    if not responder and _locked_out(state.access, reader, now):
        return Decision("locked_out", "five wrong tries")
    if person is None:
        return Decision("unknown")
    why = _of_credential(person, reader, now)
    if why:
        return Decision(why, CLOCK_RULE) if why == "clock_untrusted" else Decision(why, "card", person.source)
    if _locked_down(state, person, reader):
        return Decision("lockdown", "lockdown")
    return Decision() if reader.direction == "presence" else campus.allows(state, reader, person, now)


def refusal(state: BoxState, reader: ReaderRules, card: str, now: Now) -> str:
    """Why this card is not let through here, or ""."""
    return decide(state, reader, people.find(state, card), now).why


def _locked_out(access: AccessState, reader: ReaderRules, now: Now) -> bool:
    """Egress is unaffected by it (GB 50396 5.1.5 V), at a turnstile as at an evacuation door."""
    return not campus.leaves(reader) and access.locked_out_until.get(reader.id, float("-inf")) > now.mono_s


def _of_credential(person: Person, reader: ReaderRules, now: Now) -> str:
    if person.banned and reader.direction != "out":
        return "banned"
    if person.refusal and not campus.leaves(reader):
        return person.refusal
    if reader.direction == "presence":
        if person.kind != "guard":
            return "not_a_guard"
    elif reader.door and reader.door not in person.doors:
        return "wrong_door"
    elif not reader.door and reader.lane not in person.lanes:
        return "wrong_lane"
    return _of_validity(person, now, leaves=campus.leaves(reader))


def _of_validity(person: Person, now: Now, *, leaves: bool) -> str:
    """A bad clock acts on entry only, and a lowered bollard is a way in whichever way the vehicle goes. A visitor who
    stayed too long is let out: the overstay is told already."""
    if now.mono_s >= person.until_at and not leaves:
        return "expired"
    if now.trust is ClockTrust.UNTRUSTED:
        return "" if leaves or person.kind in CLOSED_PLAN else "clock_untrusted"
    if person.from_ms and now.wall_ms < person.from_ms:
        return "not_yet_valid"
    if person.to_ms and now.wall_ms >= person.to_ms:
        return "expired"
    return ""


def _locked_down(state: BoxState, person: Person, reader: ReaderRules) -> bool:
    """Lockdown shuts the way in, and again a lane is one."""
    shuts = reader.direction == "in" or (bool(reader.lane) and not reader.door)
    return state.panic.lockdown and shuts and person.kind != "responder"


def _free_to_leave(state: BoxState, reader: ReaderRules) -> bool:
    return reader.direction == "out" and door.rules_of(state.rules, reader.door).evacuation_way


# ── doing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _grant_door(
    state: BoxState,
    reader: ReaderRules,
    event: CardRead,
    person: Person | None,
    decision: Decision,
    now: Now,
    log: Log,
) -> BoxState:
    """`decision.why`: why an evacuation door would rather have stayed shut for this card; it opened all the same."""
    data = _passage(reader, event, person)
    if decision.why:
        data["policy"] = decision.why
    ref = log.add("access.granted", f"door:{reader.door}", data)
    if decision.why in WRONG_CARD:
        state = _count_wrong(state, reader, log)
    state = door.unlock(state, reader.door, ref, now, egress=_free_to_leave(state, reader))
    _tell_duress(reader, person, log, ref)
    return state if person is None else campus_passage.passed(state, reader, person, decision, ref, now, log)


def _grant_lane(
    state: BoxState, reader: ReaderRules, event: CardRead, person: Person | None, now: Now, log: Log
) -> BoxState:
    data = _passage(reader, event, person)
    log.cause = log.add("access.granted", f"lane:{reader.lane}", data)
    if reader.direction == "in":
        state = visits.on_passage(state, str(data["holder"]))
    _tell_duress(reader, person, log)
    asked = Command("", Rank.CONSOLE, str(data["holder"]), "lower", {"lane": reader.lane})
    state, _ = lane.on_command(state, asked, now, log)
    return state


def _deny(
    state: BoxState,
    reader: ReaderRules,
    event: CardRead,
    person: Person | None,
    decision: Decision,
    now: Now,
    log: Log,
) -> BoxState:
    data = _passage(reader, event, person)
    data["why"] = decision.why
    ref = log.add("access.denied", f"reader:{reader.id}", data)
    _tell_duress(reader, person, log, ref)
    if person is not None:
        state = campus_passage.refused(state, reader, person, decision, ref, now, log)
    return _count_wrong(state, reader, log) if decision.why in WRONG_CARD else state


def _presence(
    state: BoxState,
    reader: ReaderRules,
    event: CardRead,
    person: Person | None,
    decision: Decision,
    now: Now,
    log: Log,
) -> BoxState:
    if decision.why:
        return _deny(state, reader, event, person, decision, now, log)
    data = _passage(reader, event, person)
    log.add("access.presence", f"reader:{reader.id}", data)
    _tell_duress(reader, person, log)
    state = replace(state, access=replace(state.access, guard_at=now.mono_s, guard=str(data["holder"])))
    return duty.on_presence(state, reader.id, str(data["holder"]), now, log)


def _tell_duress(reader: ReaderRules, person: Person | None, log: Log, cause: Seq | None = None) -> None:
    """Whoever shows such a card is in distress, whatever the card opens or is refused for."""
    if person is not None and person.duress:
        log.add("access.duress", f"reader:{reader.id}", {"holder": person.holder, "reader": reader.id}, cause=cause)


def _passage(reader: ReaderRules, event: CardRead, person: Person | None) -> dict[str, Value]:
    """Who, as a pseudonym; of a card nobody knows only the last digits (domain rule 30)."""
    data: dict[str, Value] = {"direction": reader.direction, "reader": reader.id}
    if person is None:
        return data | {"holder": "", "card_ends": event.card[-ID_TAIL:]}
    return data | {"group": person.kind, "holder": person.holder}


def _count_wrong(state: BoxState, reader: ReaderRules, log: Log) -> BoxState:
    """GB 50396 5.1.5: five wrong tries in five minutes are an alarm and shut the reader, for entry, for a minute."""
    locks_out = not campus.leaves(reader)
    rules, access, at = state.rules, state.access, log.now.mono_s
    recent = (*(t for t in access.wrong.get(reader.id, ()) if at - t < rules.wrong_window_s), at)
    if len(recent) < rules.wrong_tries:
        return replace(state, access=replace(access, wrong={**access.wrong, reader.id: recent}))
    data: dict[str, Value] = {"lockout_s": round(rules.lockout_s) if locks_out else 0, "tries": len(recent)}
    log.add("access.wrong_tries", f"reader:{reader.id}", data)
    until = {**access.locked_out_until, reader.id: at + rules.lockout_s} if locks_out else access.locked_out_until
    wrong = {**access.wrong, reader.id: ()}
    return replace(state, access=replace(access, wrong=wrong, locked_out_until=until))


def on_site(state: BoxState, now: Now) -> bool:
    """Whether a guard's card was read at a presence reader within the last 10 s."""
    at = state.access.guard_at
    return at is not None and now.mono_s - at <= state.rules.presence_s
