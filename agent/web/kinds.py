"""Records in words: what happened, to what, and which record led to it.

Nothing of a person is shown: no holder, no card, no actor beyond what kind of asker it was. So a record's data is
never dumped; only the fields named here are read, and a subject is shown only when it is a thing of the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from agent.core.kinds import WEIGHT
from agent.core.records import Weight
from agent.journal.reader import Row
from agent.locale import mark
from agent.picture import Ref
from agent.web import reasons, words
from agent.web.words import Words

TITLES: Mapping[str, str] = {
    "box.started": mark("Box started"),
    "box.scanned": mark("All inputs read, outputs may go"),
    "box.latched": mark("Standing state noted"),
    "box.restore_failed": mark("Standing state could not be restored"),
    "box.new_epoch": mark("Journal begins anew: it cannot prove that it continues"),
    "box.bug": mark("The agent itself failed during a panic; the alarm went on"),
    "panic.pressed": mark("PANIC BUTTON PRESSED"),
    "panic.released": mark("Panic button let go"),
    "panic.latency": mark("Times of the press measured"),
    "panic.line_fault": mark("Panic line faulty"),
    "panic.line_ok": mark("Panic line good again"),
    "panic.stuck": mark("Panic button stuck"),
    "panic.chatter": mark("Panic button chatters"),
    "panic.restored": mark("Panic alarm still latched after restart"),
    "panic.reset": mark("Panic alarm reset"),
    "panic.reset_refused": mark("Panic reset refused"),
    "alarm.stage": mark("Alarm has come further"),
    "alarm.over": mark("Alarm of before the start is over"),
    "alarm.acknowledged": mark("Alarm seen by a person"),
    "lockdown.started": mark("Way in locked down"),
    "lockdown.ended": mark("All-clear"),
    "drill.started": mark("Drill announced"),
    "drill.running": mark("Drill running: presses of this button are a drill"),
    "drill.unanswered": mark("Nobody answered the announcement of the drill"),
    "drill.ended": mark("Drill ended, every press is real"),
    "drill.report": mark("Report of the drill written"),
    "request.ended": mark("District's request is over"),
    "fire.active": mark("FIRE: doors released"),
    "fire.restored": mark("Fire release still latched after restart"),
    "fire.input": mark("Fire contact changed"),
    "fire.unread": mark("Fire contact not measured"),
    "fire.read": mark("Fire contact measured again"),
    "fire.reset": mark("Fire release reset"),
    "fire.reset_refused": mark("Fire reset refused"),
    "access.granted": mark("Card let through"),
    "access.denied": mark("Card refused"),
    "access.presence": mark("Guard on site"),
    "access.wrong_tries": mark("Too many wrong cards"),
    "access.let_out": mark("Let out by the guard"),
    "access.unauthorised_exit": mark("PUPIL LEFT AGAINST THE TIMETABLE"),
    "access.passback": mark("Came in twice"),
    "slip.used": mark("Leave slip used"),
    "day.plan": mark("Plan of the day"),
    "day.window": mark("Time window changed"),
    "calendar.missing": mark("School calendar does not reach far enough"),
    "policy.changed": mark("New school policy in force"),
    "policy.refused": mark("School policy refused"),
    "muster.snapshot": mark("List of those inside noted"),
    "visit.ended": mark("Visit over"),
    "visit.card_missing": mark("Lent card did not come back; it is barred"),
    "visit.overstay": mark("Visitor has not left in time"),
    "visit.expired": mark("Visit never came"),
    "duty.on": mark("Guard took over the post"),
    "duty.off": mark("Guard left the post"),
    "duty.unmanned": mark("POST NOT MANNED"),
    "duty.manned": mark("Post stands empty no longer"),
    "duty.asked": mark("Guard asked for a sign"),
    "duty.confirmed": mark("Guard gave a sign"),
    "duty.unanswered": mark("NO SIGN FROM THE POST"),
    "duty.patrol": mark("Patrol point passed"),
    "duty.patrols": mark("Patrols of the day"),
    "duty.patrols_short": mark("Too few patrols in the day"),
    "duty.patrols_behind": mark("Patrols fall behind today"),
    "duty.hand_over": mark("Note for the next watch"),
    "duty.test_due": mark("Monthly panic test due"),
    "duty.test_overdue": mark("Monthly panic test overdue"),
    "hazard.overdue": mark("Hazard past its day"),
    "hazard.photo": mark("Picture of a hazard kept"),
    "hazard.closed": mark("Hazard dealt with"),
    "reader.bad_frame": mark("Card could not be read"),
    "door.rex": mark("Exit button pressed"),
    "door.released": mark("Door unlocked by command"),
    "door.shunted": mark("Door's alarms put aside"),
    "door.shunt_ended": mark("Door's alarms real again"),
    "door.opened": mark("Door opened"),
    "door.closed": mark("Door shut"),
    "door.relocked": mark("Door locked again"),
    "door.forced": mark("DOOR FORCED"),
    "door.held_open": mark("Door held open"),
    "door.contact": mark("Door contact changed"),
    "device.lost": mark("No answer"),
    "device.back": mark("Answers again"),
    "output.fault": mark("Output does not obey"),
    "output.ok": mark("Output obeys again"),
    "supply.lost": mark("Mains lost"),
    "supply.alarm": mark("Power or cabinet alarm"),
    "supply.unread": mark("Power or cabinet contact not measured"),
    "supply.ok": mark("Power or cabinet well again"),
    "path.down": mark("Uplink down"),
    "path.up": mark("Uplink up"),
    "path.none": mark("No uplink left"),
    "journal.failing": mark("Journal cannot write"),
    "journal.ok": mark("Journal writes again"),
    "journal.anchored": mark("Journal agrees with what the far side kept"),
    "journal.space": mark("Journal's card: how full"),
    "journal.pruned": mark("Old records given up, as the site keeps them"),
    "journal.evicted": mark("Old routine records thinned out: the card is short of room"),
    "journal.problem": mark("Something was wrong with the journal"),
    "clock.trust": mark("Trust in the clock changed"),
    "clock.stepped": mark("Clock was set"),
    "clock.off": mark("Clock was wrong"),
    "clock.unsynced": mark("Clock not synchronised for too long"),
    "command.done": mark("Command carried out"),
    "command.refused": mark("Command refused"),
    "command.keys": mark("Keys of the district changed"),
    "command.keys_refused": mark("Keys of the district cannot be read"),
    "socket.refused": mark("Stranger turned away from the box's socket"),
    "view.journal": mark("Records looked at"),
    "view.register": mark("Names looked at"),
    "register.erased": mark("Register entries erased"),
    "account.login": mark("Log-in at the guard console"),
    "account.logout": mark("Log-out at the guard console"),
    "account.refused": mark("Wrong log-in at the guard console"),
    "account.locked": mark("TOO MANY WRONG LOG-INS"),
    "account.code": mark("Code for an account made"),
    "account.made": mark("Account made"),
    "account.removed": mark("Account removed"),
    "view.report": mark("Monthly report looked at"),
    "note": mark("Note"),
    "lane.asked": mark("Motion asked for"),
    "lane.wanted": mark("Motion shown to the guard as asked for"),
    "lane.refused": mark("Motion refused"),
    "lane.token": mark("Motion commanded"),
    "lane.sent": mark("Command on the wire"),
    "lane.released": mark("Button at the box let go"),
    "lane.stopped": mark("Stop"),
    "lane.position": mark("Bollard reached its end"),
    "lane.reversal": mark("Rise turned round"),
    "lane.fault": mark("Bollard fault"),
    "lane.unasked": mark("BOLLARD MOVED UNASKED"),
    "lane.cleared": mark("Lane fault cleared"),
    "lane.mode": mark("Selector changed"),
    "lane.fire_key": mark("Fire key at the lane"),
    "lane.efo": mark("Emergency raise asked"),
    "lane.efo_cleared": mark("Emergency raise ended"),
    "lane.restored": mark("Lane still closed or raised after restart"),
    "lane.lost": mark("Lane cannot be read"),
    "lane.back": mark("Lane is read again"),
}

# What no page tells, for whoever forces a cardholder may stand before one: it goes upstream and into reports only.
HIDDEN = frozenset({"access.duress"})

GROUPS: Mapping[str, str] = {
    "alarm": mark("Alarms"),
    "lane": mark("Bollards"),
    "door": mark("Doors and cards"),
    "device": mark("Devices"),
    "box": mark("Box and clock"),
}
_GROUP_OF = {
    "panic": "alarm",
    "alarm": "alarm",
    "lockdown": "alarm",
    "drill": "alarm",
    "request": "alarm",
    "fire": "alarm",
    "lane": "lane",
    "access": "door",
    "slip": "door",
    "visit": "door",
    "reader": "door",
    "door": "door",
    "device": "device",
    "output": "device",
    "supply": "device",
    "path": "device",
}


def group(kind: str) -> str:
    """Which of GROUPS a kind belongs to."""
    return _GROUP_OF.get(kind.partition(".")[0], "box")


def kinds_of(name: str) -> tuple[str, ...]:
    """Every kind of a group; all of them for ""."""
    return tuple(kind for kind in TITLES if not name or group(kind) == name)


NEWS = tuple(kind for kind in TITLES if kind not in ("box.latched", "panic.latency", "muster.snapshot"))
"""What the short list on the status page shows: everything but the box's notes to itself."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One record as a line of a table. `cause` is the record that led to it."""

    ref: Ref
    at_ms: int
    kind: str
    title: str
    subject: str
    detail: str
    weight: str  # "alarm", "action", "passage", "fact"
    cause: Ref | None


class Told(msgspec.Struct, frozen=True):
    """What is read of a record's body; the rest of it never comes near a page."""

    kind: str
    subject: str
    at: str
    cause: Ref | None
    data: dict[str, Any]


def line(row: Row, w: Words) -> Line:
    """A row of the journal. A body that was evicted, or that is no record, says so."""
    try:
        told = msgspec.convert(row.data, Told)
    except msgspec.ValidationError:
        return _bodyless((row.epoch, row.seq), w)
    return _line((row.epoch, row.seq), told, w)


def _bodyless(ref: Ref, w: Words) -> Line:
    title = w.t("Passage, no longer kept in full")
    return Line(ref=ref, at_ms=0, kind="", title=title, subject="", detail="", weight="fact", cause=None)


def _line(ref: Ref, record: Told, w: Words) -> Line:
    return Line(
        ref=ref,
        at_ms=utc_ms(record.at),
        kind=record.kind,
        title=w.of(TITLES, record.kind),
        subject=subject(record, w),
        detail=detail(record, w),
        weight=WEIGHT.get(record.kind, Weight.FACT).value,
        cause=record.cause,
    )


def utc_ms(text: str) -> int:
    """`2026-09-01T07:30:00.125Z` to UTC milliseconds; 0 for what is no time."""
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return 0


_SUBJECT_KINDS = {
    "panic": "button",
    "drill": "button",
    "lane": "lane",
    "door": "door",
    "access": "reader",
    "reader": "reader",
    "key": "key",
}


def subject(record: Told, w: Words) -> str:
    """The thing of the site that a record is about, or "": a text that names no such thing is never shown."""
    text = record.subject
    kind, colon, ident = text.partition(":")
    if colon and kind in ("bollard", "lane", "door", "reader", "button", "key") and w.known(kind, ident):
        return w.thing(text) if kind != "bollard" else w.name("bollard", ident)
    for kind in (_SUBJECT_KINDS.get(record.kind.partition(".")[0], ""), *_ANY):
        if w.known(kind, text):
            return w.name(kind, text)
    return _box_subject(record, w)


_ANY = ("bollard", "door", "lane", "reader", "button")


def _box_subject(record: Told, w: Words) -> str:
    head, _, ident = record.subject.partition(":")
    match record.kind.partition(".")[0]:
        case "device" | "output":
            return w.thing(record.subject)
        case "supply":
            return w.of(words.SUPPLY, ident)
        case "path" if head == "path":
            return w.of(words.PATH, ident)
        case _:
            return ""


_DETAILS: Mapping[str, Mapping[str, str]] = {
    "stage": words.STAGE,
    "motion": words.MOTION,
    "position": words.POSITION,
    "line": words.LINE,
    "mode": words.MODE,
    "contact": words.CONTACT,
    "trust": words.TRUST,
    "fault": words.BOLLARD_FAULT,
    "group": {
        "pupil": mark("pupil card"),
        "staff": mark("staff card"),
        "guard": mark("guard card"),
        "guardian": mark("guardian card"),
        "visitor": mark("visitor card"),
        "contractor": mark("contractor card"),
        "vehicle": mark("vehicle card"),
        "bus": mark("bus card"),
        "responder": mark("responder card"),
    },
}


def why_of(kind: str, why: str) -> Mapping[str, str]:
    """The words for this reason of a record, where its kind has its own: "plc" of a bollard's fault is a fault that the
    controller reports, "plc" of a reversal that the controller turned it round."""
    return words.BOLLARD_FAULT if kind in _BOLLARD_FAULTS and why in words.BOLLARD_FAULT else {}


_BOLLARD_FAULTS = frozenset({"lane.fault", "lane.unasked"})


def _why(record: Told, w: Words) -> str:
    why = record.data.get("why")
    if not isinstance(why, str):
        return ""
    own = why_of(record.kind, why)
    if own:
        return w.of(own, why)
    known = why in words.WHY or why.startswith("sensor:") or reasons.taken_apart(why)
    return w.why(why) if known else ""


def detail(record: Told, w: Words) -> str:
    """The few data fields that are words of the gate; anything else stays in the journal."""
    parts = [w.t(table[value]) for key, table in _DETAILS.items() if (value := str(record.data.get(key))) in table]
    if record.data.get("drill") is True:
        parts.append(w.t("drill"))
    if "bollard" in record.data and w.known("bollard", str(record.data["bollard"])):
        parts.insert(0, w.name("bollard", str(record.data["bollard"])))
    parts.append(_why(record, w))
    path = record.data.get("path")
    if isinstance(path, str) and path in words.PATH:
        parts.append(words.PATH[path])
    return " · ".join(part for part in parts if part)
