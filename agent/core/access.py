"""Cards: one decision for each read, with a reason for every refusal.

Entry is decided by credential, lockdown and clock. Leaving through an evacuation door is never refused by the lock:
what the credential would have got goes into the record as `policy` (domain rules 14, 15). A responder's credential
enters in lockdown and at a locked-out reader. With an untrusted clock nobody can tell who is still valid, so entry
falls to the closed plan: staff, guards and responders only.

A grant at a lane reader asks the lane *down*, never up, and with the console's rank: a card stands for a person the
guard's list lets in, so it may do what the guard's console may do at most, and must give way to EFO and to the guard's
hand on the keys.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core import door, lane
from agent.core.events import CardBad, CardRead, Command, Now
from agent.core.log import Log
from agent.core.records import Value
from agent.core.rules import BoxRules, CredentialRules, ReaderRules
from agent.core.state import AccessState, BoxState
from agent.core.words import ClockTrust, Rank

CLOSED_PLAN = frozenset({"staff", "guard", "responder"})
WRONG_CARD = frozenset({"unknown", "not_yet_valid", "expired", "wrong_door", "wrong_lane", "banned", "not_a_guard"})
ID_TAIL = 4  # of an unknown card as many digits go into the record: enough to find the card, too few to be it


def on_card(state: BoxState, event: CardRead, now: Now, log: Log) -> BoxState:
    """A card was read: granted or denied, one record."""
    reader = next((r for r in state.rules.readers if r.id == event.reader), None)
    if reader is None:
        return _deny(state, ReaderRules(id=event.reader, door="", lane="", direction="in"), event, "no_reader", log)
    why = refusal(state, reader, event.card, now)
    if reader.direction == "presence":
        return _presence(state, reader, event, why, now, log)
    if reader.door and _free_to_leave(state, reader):
        return _grant_door(state, reader, event, why, now, log)
    if why:
        return _deny(state, reader, event, why, log)
    if reader.door:
        return _grant_door(state, reader, event, "", now, log)
    return _grant_lane(state, reader, event, now, log)


def on_bad_card(state: BoxState, event: CardBad, log: Log) -> BoxState:
    log.add("reader.bad_frame", f"reader:{event.reader}", {"why": event.why})
    return state


# ── deciding ───────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(state: BoxState, reader: ReaderRules, card: str, now: Now) -> str:
    """Why this card is not let through here, or "". The first reason that holds, gravest for the holder last."""
    credential = state.rules.credentials.get(card)
    responder = credential is not None and credential.group == "responder"
    if not responder and _locked_out(state.access, reader.id, now):
        return "locked_out"
    if credential is None:
        return "unknown"
    return _of_credential(credential, reader, now) or _of_the_gate(state, credential, reader, now)


def _locked_out(access: AccessState, reader: str, now: Now) -> bool:
    return access.locked_out_until.get(reader, float("-inf")) > now.mono_s


def _of_credential(credential: CredentialRules, reader: ReaderRules, now: Now) -> str:
    if credential.banned and reader.direction != "out":
        return "banned"
    if reader.direction == "presence":
        if credential.group != "guard":
            return "not_a_guard"
    elif reader.door and reader.door not in credential.doors:
        return "wrong_door"
    elif not reader.door and reader.lane not in credential.lanes:
        return "wrong_lane"
    leaves = bool(reader.door) and reader.direction == "out"
    return _of_validity(credential, now, leaves=leaves)


def _of_validity(credential: CredentialRules, now: Now, *, leaves: bool) -> str:
    """A bad clock acts on entry only, and a lowered bollard is a way in whichever way the vehicle goes."""
    if now.trust is ClockTrust.UNTRUSTED:
        return "" if leaves or credential.group in CLOSED_PLAN else "clock_untrusted"
    if credential.valid_from_ms and now.wall_ms < credential.valid_from_ms:
        return "not_yet_valid"
    if credential.valid_to_ms and now.wall_ms >= credential.valid_to_ms:
        return "expired"
    return ""


def _of_the_gate(state: BoxState, credential: CredentialRules, reader: ReaderRules, now: Now) -> str:
    """Lockdown shuts the way in, and again a lane is one."""
    shuts = reader.direction == "in" or (reader.lane and not reader.door)
    return "lockdown" if state.panic.lockdown and shuts and credential.group != "responder" else ""


def _free_to_leave(state: BoxState, reader: ReaderRules) -> bool:
    return reader.direction == "out" and door.rules_of(state.rules, reader.door).evacuation_way


# ── doing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _grant_door(state: BoxState, reader: ReaderRules, event: CardRead, policy: str, now: Now, log: Log) -> BoxState:
    """`policy`: why an evacuation door would rather have stayed shut for this card; it opened all the same."""
    data = _passage(state.rules, reader, event)
    if policy:
        data["policy"] = policy
    ref = log.add("access.granted", f"door:{reader.door}", data)
    if policy in WRONG_CARD:
        state = _count_wrong(state, reader, log, locks_out=False)
    egress = _free_to_leave(state, reader)
    return door.unlock(state, reader.door, ref, now, egress=egress)


def _grant_lane(state: BoxState, reader: ReaderRules, event: CardRead, now: Now, log: Log) -> BoxState:
    data = _passage(state.rules, reader, event)
    log.cause = log.add("access.granted", f"lane:{reader.lane}", data)
    asked = Command("", Rank.CONSOLE, str(data["holder"]), "lower", {"lane": reader.lane})
    state, _ = lane.on_command(state, asked, now, log)
    return state


def _deny(state: BoxState, reader: ReaderRules, event: CardRead, why: str, log: Log) -> BoxState:
    data = _passage(state.rules, reader, event)
    data["why"] = why
    log.add("access.denied", f"reader:{reader.id}", data)
    return _count_wrong(state, reader, log, locks_out=True) if why in WRONG_CARD else state


def _presence(state: BoxState, reader: ReaderRules, event: CardRead, why: str, now: Now, log: Log) -> BoxState:
    if why:
        return _deny(state, reader, event, why, log)
    data = _passage(state.rules, reader, event)
    log.add("access.presence", f"reader:{reader.id}", data)
    return replace(state, access=replace(state.access, guard_at=now.mono_s, guard=str(data["holder"])))


def _passage(rules: BoxRules, reader: ReaderRules, event: CardRead) -> dict[str, Value]:
    """Who, as a pseudonym; of a card nobody knows only the last digits (domain rule 30)."""
    data: dict[str, Value] = {"direction": reader.direction, "reader": reader.id}
    credential = rules.credentials.get(event.card)
    if credential is None:
        return data | {"holder": "", "card_ends": event.card[-ID_TAIL:]}
    return data | {"group": credential.group, "holder": credential.holder}


def _count_wrong(state: BoxState, reader: ReaderRules, log: Log, *, locks_out: bool) -> BoxState:
    """GB 50396 5.1.5: five wrong tries in five minutes are an alarm and shut the reader, for entry, for a minute."""
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
