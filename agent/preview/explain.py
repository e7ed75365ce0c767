"""Why a card would be let through or refused at a reader and a time: the core's own decision, told in words.

On the box, at this moment, the core is shown the card on a copy of its state: that is what the gate would do. For
another time, or from the school's files alone, nobody knows what the moment will bring: the core is asked once more
with each of those circumstances, and the answer names every one that would turn it round.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone

import msgspec
from msgspec.structs import replace

from agent.core import access, box, calendar, campus_day, people
from agent.core.campus import Decision
from agent.core.crowd import EMPTY, Mark, of
from agent.core.events import CardRead, Now, PolicyChanged, ScanComplete, Started, Tick
from agent.core.log import Log
from agent.core.people import Person
from agent.core.policy import Policy
from agent.core.records import Record
from agent.core.rules import BoxRules, ReaderRules
from agent.core.shapes import CARD
from agent.core.state import AccessState, BoxState, Shown
from agent.core.words import ClockTrust
from agent.preview.words import Words

FORMAT = "uart-125k"
NOW = "now"
LET_THROUGH = frozenset({"access.granted", "access.presence"})
FIRST_MS, LAST_MS = 946_684_800_000, 4_102_444_800_000  # D: the years 2000 to 2099
SOMEBODY = "?"  # stands for whoever else might show a card; no holder has this name


class Misasked(ValueError):
    """A card, reader or time that is none; `args[0]` says so in field words."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`basis` is what was asked: "now" the box as it stands, "box" the box about another time, "files" the school's
    files alone. `left_out` are the circumstances that nobody could know and that would turn the answer round."""

    card: str
    holder: str
    group: str
    reader: str
    at: str
    granted: bool
    opens: bool  # the lock opens, granted or not: an evacuation way
    why: str
    rule: str
    source: str
    held: str = ""  # of a lane: why its bollards stay where they are all the same
    basis: str = NOW
    left_out: tuple[str, ...] = ()


def moment(text: str, offset_min: int) -> int:
    """UTC ms of a local time: 2026-09-21T10:15, or 10:15 for today; 0 for "now". Raises Misasked."""
    if text == NOW:
        return 0
    zone = timezone(timedelta(minutes=offset_min))
    for form in ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%H:%M"):
        try:
            read = datetime.strptime(text, form)
        except ValueError:
            continue
        if form == "%H:%M":
            today: date = datetime.now(zone).date()
            read = datetime(today.year, today.month, today.day, read.hour, read.minute)
        return round(read.replace(tzinfo=zone).timestamp() * 1000)
    raise Misasked(f"“{text}” is no time: write 2026-09-21T10:15, 10:15 for today, or now")


# ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_the_box(state: BoxState, now: Now, card: str, reader: str, at_ms: int = 0) -> Answer:
    """By the box's own state; `at_ms` 0, or any instant of this minute, is now.

    Raises Misasked for a card that is no number, or a reader this gate does not have."""
    where, number = _where(state.rules, reader), _number(card)
    _bounded(at_ms)
    if at_ms and at_ms // calendar.MINUTE_MS != now.wall_ms // calendar.MINUTE_MS:
        return _at_another_time(state, now, number, where, at_ms, "box")
    state, _ = box.step(state, Tick(), now)
    person = people.find(state, number)
    decision = access.decide(state, where, person, now)
    _, records = box.step(state, CardRead(where.id, number), now)
    refused = next((str(r.data["why"]) for r in records if r.kind == "lane.refused"), "")
    found = _answer(state, now, number, where, person, decision, records)
    return replace(found, held="" if refused == "already" else refused)


def answer(policy: Policy, rules: BoxRules, card: str, reader: str, at_ms: int) -> Answer:
    """By the school's files alone. Raises Misasked like `on_the_box`."""
    where, number = _where(rules, reader), _number(card)
    _bounded(at_ms)
    now = Now(1.0, at_ms or round(datetime.now().timestamp() * 1000), ClockTrust.TRUSTED)
    state = box.start(rules)
    for event in (Started("preview", None, None), ScanComplete(), PolicyChanged(policy, "preview", "preview")):
        state, _ = box.step(state, event, now)
    return _at_another_time(state, now, number, where, now.wall_ms, "files")


def _bounded(at_ms: int) -> None:
    if at_ms and not FIRST_MS <= at_ms < LAST_MS:
        raise Misasked("that is no time of any school's calendar: write 2026-09-21T10:15")


def _where(rules: BoxRules, reader: str) -> ReaderRules:
    where = next((one for one in rules.readers if one.id == reader), None)
    if where is None:
        names = ", ".join(one.id for one in rules.readers)
        raise Misasked(f"there is no reader “{reader}”; there are: {names}")
    return where


def _number(card: str) -> str:
    number = card.strip() if ":" in card else f"{FORMAT}:{card.strip().upper()}"
    if not CARD.fullmatch(number):
        raise Misasked(f"“{card}” is no card number: write its ten hex digits, zeros in front included")
    return number


def _answer(
    state: BoxState,
    now: Now,
    number: str,
    where: ReaderRules,
    person: Person | None,
    decision: Decision,
    records: tuple[Record, ...],
) -> Answer:
    zone = timezone(timedelta(minutes=state.rules.utc_offset_min))
    return Answer(
        card=number,
        holder=person.holder if person else "",
        group=person.group if person else "",
        reader=where.id,
        at=datetime.fromtimestamp(now.wall_ms / 1000, zone).isoformat(" ", "minutes"),
        granted=not decision.why,
        opens=_passes(records),
        why=decision.why,
        rule=decision.rule,
        source=decision.source,
    )


def _passes(records: tuple[Record, ...]) -> bool:
    return any(record.kind in LET_THROUGH for record in records)


# ── another time than now ──────────────────────────────────────────────────────────────────────────────────────────


def _at_another_time(state: BoxState, now: Now, number: str, where: ReaderRules, at_ms: int, basis: str) -> Answer:
    """What people wrote down holds then too; what is of the moment is taken as if nothing were the matter."""
    then = Now(now.mono_s + (at_ms - now.wall_ms) / 1000, at_ms, ClockTrust.TRUSTED)
    quiet = _quiet(state, now, then)
    person = people.find(quiet, number)
    decision = access.decide(quiet, where, person, then)
    records = _shown(quiet, where, number, then)
    found = _answer(quiet, then, number, where, person, decision, records)
    turning = [
        name
        for name, changed, at in _circumstances(quiet, where, person, then)
        if _passes(_shown(changed, where, number, at)) is not found.opens
    ]
    if where.lane and not where.door and found.opens:
        turning.append("lane")
    if basis == "files":
        turning.append("gate")
    told = {"lockdown": state.panic.lockdown, "clock": now.trust is ClockTrust.UNTRUSTED}
    return replace(found, basis=basis, left_out=tuple(f"{name}_{NOW}" if told.get(name) else name for name in turning))


def _quiet(state: BoxState, now: Now, then: Now) -> BoxState:
    """The box at `then` with nobody inside, no lockdown, no wrong tries, and no card shown a moment before."""
    opened = state.campus.opened if then.wall_ms >= now.wall_ms else {}
    state = replace(
        state,
        scanned=False,  # no window asks a lane
        panic=replace(state.panic, lockdown=False),
        access=AccessState(),
        campus=replace(state.campus, day=0, crowd=EMPTY, recent={}, opened=opened),
    )
    return campus_day.refresh(state, then, _log(state, then))


def _shown(state: BoxState, where: ReaderRules, number: str, now: Now) -> tuple[Record, ...]:
    log = _log(state, now)
    access.on_card(state, CardRead(where.id, number), now, log)
    return tuple(log.records)


def _log(state: BoxState, now: Now) -> Log:
    """Records that nobody keeps."""
    return Log(now, state.rules.site_box, state.boot, state.epoch, state.next_seq)


def _circumstances(
    state: BoxState, where: ReaderRules, person: Person | None, then: Now
) -> Iterator[tuple[str, BoxState, Now]]:
    """What the moment may bring, each alone: its name, and the box and the clock as they would be."""
    campus, day = state.campus, calendar.local(then.wall_ms, state.rules.utc_offset_min)[0].toordinal()
    yield "lockdown", replace(state, panic=replace(state.panic, lockdown=True)), then
    locked_out = AccessState(locked_out_until={where.id: float("inf")})
    yield "wrong_tries", replace(state, access=locked_out), then
    yield "clock", state, replace(then, trust=ClockTrust.UNTRUSTED)
    if person is None:
        return
    inside = of([(person.holder, Mark(True, person.kind, person.group, then.mono_s, then.wall_ms))])
    yield "inside", replace(state, campus=replace(campus, crowd=inside)), then
    opened = {**campus.opened, where.door: day}
    yield "first_card", replace(state, campus=replace(campus, opened=opened)), then
    guardians = people.index(state.policy).guardians.get(person.holder, ()) if state.policy is not None else ()
    shown = tuple(
        Shown(then.mono_s, holder, "guardian", "guardian", "", "", (0, 0), where.direction)
        for holder in (*guardians, SOMEBODY)
    )
    yield "pair", replace(state, campus=replace(campus, recent={where.door: shown})), then


# ── telling ────────────────────────────────────────────────────────────────────────────────────────────────────────


def told(found: Answer, w: Words, why: str, held: str = "") -> str:
    """For a terminal; `why` is the reason in words, `held` that of the bollards."""
    lines = [
        w.say("card", found.card, found.holder, w.people(found.group))
        if found.holder
        else w.say("unknown_card", found.card)
    ]
    lines.append(w.say("at", found.reader, found.at))
    lines.append(_outcome(found, w, why))
    if found.opens and not found.granted:
        lines.append(w.say("opens"))
    if held:
        lines.append(w.say("held", held))
    rule = " ".join(part for part in (w.rule(found.rule), f"({found.source})" if found.source else "") if part)
    if rule:
        lines.append(w.say("rule", rule))
    lines.append(w.say(f"basis_{found.basis}"))
    if found.left_out:
        lines.append(w.say("left_out"))
        lines += [f"  - {w.say(f'left_{name}')}" for name in found.left_out]
    return "\n".join(lines)


def _outcome(found: Answer, w: Words, why: str) -> str:
    if not found.granted:
        return f"{w.say('refused')}: {why}"
    return w.say("granted_unless" if found.left_out else "granted")
