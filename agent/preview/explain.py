"""Why a card would be let through or refused at a reader and a time: the core's own decision, told in words."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import msgspec
from msgspec.structs import replace

from agent.core import access, box, campus_latched, people
from agent.core.events import Now, PolicyChanged, ScanComplete, Started
from agent.core.policy import Policy
from agent.core.rules import BoxRules, ReaderRules
from agent.core.shapes import CARD
from agent.core.state import BoxState, Visit
from agent.core.words import ClockTrust
from agent.guard_picture import Guard, Visiting
from agent.preview.words import Words

FORMAT = "uart-125k"


class Misasked(ValueError):
    """A card, reader or time that is none; `args[0]` says so in field words."""


class Answer(msgspec.Struct, frozen=True):
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


def moment(text: str, offset_min: int) -> int:
    """UTC ms of a local time: 2026-09-21T10:15, or 10:15 for today. Raises Misasked."""
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
    raise Misasked(f"“{text}” is no time: write 2026-09-21T10:15, or 10:15 for today")


def answer(policy: Policy, rules: BoxRules, card: str, reader: str, at_ms: int, told: Guard | None = None) -> Answer:
    """`told`: what the box says of today, if it was asked: bans, slips, visits, and a day that somebody changed.

    Raises Misasked for a card that is no number, or a reader this gate does not have."""
    where = next((one for one in rules.readers if one.id == reader), None)
    if where is None:
        names = ", ".join(one.id for one in rules.readers)
        raise Misasked(f"there is no reader “{reader}”; there are: {names}")
    number = card.strip() if ":" in card else f"{FORMAT}:{card.strip().upper()}"
    if not CARD.fullmatch(number):
        raise Misasked(f"“{card}” is no card number: write its ten hex digits, zeros in front included")
    now = Now(1.0, at_ms, ClockTrust.TRUSTED)
    state = box.start(rules)
    for event in (Started("preview", None, None), ScanComplete()):
        state, _ = box.step(state, event, now)
    state = state if told is None else _as_told(state, policy, told, now)
    state, _ = box.step(state, PolicyChanged(policy, "preview", "preview"), now)
    person = people.find(state, number)
    found = access.decide(state, where, person, now)
    return Answer(
        card=number,
        holder=person.holder if person else "",
        group=person.group if person else "",
        reader=reader,
        at=datetime.fromtimestamp(at_ms / 1000, timezone(timedelta(minutes=rules.utc_offset_min))).isoformat(
            " ", "minutes"
        ),
        granted=not found.why,
        opens=not found.why or _evacuates(rules, where),
        why=found.why,
        rule=found.rule,
        source=found.source,
    )


def _as_told(state: BoxState, policy: Policy, told: Guard, now: Now) -> BoxState:
    """What people said at the gate. Who is inside, a lockdown and wrong tries are of this minute and left out."""
    slips = tuple(
        campus_latched.SlipPicture(s.id, s.pupil, s.issuer, s.from_ms, s.to_ms, s.guardian)
        for s in told.slips
        if s.id not in policy.slips
    )
    picture = campus_latched.CampusPicture(
        bans=dict.fromkeys(told.bans, "other"),
        cancelled=tuple(s.id for s in told.slips if s.state == "cancelled"),
        used={s.id: now.wall_ms for s in told.slips if s.state == "used"},
        slips=slips,
        changed_day=date.fromisoformat(told.day).toordinal() if told.day else 0,
        swapped=told.swapped,
        shifts=told.shifts,
    )
    visits = {one.handle: _visit(one, now) for one in told.visits}
    return replace(campus_latched.restore(state, picture), visits=visits)


def _visit(one: Visiting, now: Now) -> Visit:
    return Visit(
        handle=one.handle,
        kind=one.kind,
        host=one.host,
        purpose=one.purpose,
        card=one.lent,
        door=one.door,
        lane=one.lane,
        from_ms=one.from_ms,
        until_ms=one.until_ms,
        until_at=now.mono_s + (one.until_ms - now.wall_ms) / 1000,
        consent=one.consent,
        came=one.came,
        told=one.left_s < 0,
    )


def _evacuates(rules: BoxRules, reader: ReaderRules) -> bool:
    return reader.direction == "out" and any(d.id == reader.door and d.evacuation_way for d in rules.doors)


def told(found: Answer, w: Words, why: str) -> str:
    """For a terminal; `why` is the reason in words."""
    lines = [
        w.say("card", found.card, found.holder, w.people(found.group))
        if found.holder
        else w.say("unknown_card", found.card)
    ]
    lines.append(w.say("at", found.reader, found.at))
    lines.append(w.say("granted") if found.granted else f"{w.say('refused')}: {why}")
    if found.opens and not found.granted:
        lines.append(w.say("opens"))
    rule = " ".join(part for part in (w.rule(found.rule), f"({found.source})" if found.source else "") if part)
    return "\n".join([*lines, w.say("rule", rule)] if rule else lines)
