"""Which alarm record goes to a receiving centre as what: Contact ID codes and their SIA letters.

Zones: panic buttons count from 1, doors from 101, lanes from 201, readers from 301, each in the site file's order;
0 is the box itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hardware.site import Door, Lane, PanicButton, Reader, Site

_FIRST_ZONE = {"button": 1, "door": 101, "lane": 201, "reader": 301}


class Code(msgspec.Struct, frozen=True):
    """`cid`: three digits; `sia`: two letters; `why` one sentence: what the centre is to make of it; `over`: SIA's two
    letters for its end, "" where nothing ends it. Those of SIA DC-03 by pysiaalarm's table (X)."""

    cid: str
    sia: str
    why: str
    over: str = ""


PANIC = Code("120", "PA", "somebody asks for help")
DRILL = Code("601", "RX", "the same button in an announced drill: a test by hand, nobody need come")
UNKNOWN = Code("300", "YX", "an alarm of a kind this table does not know yet: better told roughly than not at all")

CODES: Mapping[str, Code] = {
    "panic.pressed": PANIC,
    "panic.restored": Code("120", "PA", "the alarm of before a restart stands still"),
    "panic.line_fault": Code("380", "UT", "a panic button's line is cut or shorted: it may not be heard", "UJ"),
    "panic.stuck": Code("380", "UT", "a panic button stays pressed: a second press is not heard", "UJ"),
    "drill.started": Code("607", "TS", "a drill begins: a walk test, until its restore", "TE"),
    "panic.chatter": Code("380", "UT", "a panic button gives false presses", "UJ"),
    "access.duress": Code("121", "HA", "somebody is forced to open"),
    "access.wrong_tries": Code("421", "DD", "many wrong cards at one reader"),
    "access.unauthorised_exit": Code("423", "DF", "a pupil left by an emergency way"),
    "door.forced": Code("423", "DF", "a door opened that nobody had opened", "DR"),
    "door.held_open": Code("426", "DN", "a door stands open", "DH"),
    "fire.active": Code("110", "FA", "fire panel or fire key: the ways out are free", "FR"),
    "fire.restored": Code("110", "FA", "the fire release of before a restart stands still"),
    "fire.unread": Code("373", "FT", "the fire input cannot be read", "FJ"),
    "supply.alarm": Code("300", "YX", "a supply is not well", "YZ"),
    "supply.unread": Code("380", "UT", "a supply or tamper contact cannot be read", "UJ"),
    "output.fault": Code("320", "YX", "a lock, lamp or siren does not obey", "YZ"),
    "path.none": Code("350", "YC", "no way up was left for a while", "YK"),
    "box.bug": Code("300", "YX", "a part of the box failed in a panic"),
    "box.restore_failed": Code("305", "RR", "after a restart a part of the memory was unreadable"),
    "journal.failing": Code("300", "YX", "the box cannot write its journal", "YZ"),
    "clock.off": Code("626", "JT", "the box's clock was wrong"),
    "lane.fault": Code("300", "YX", "bollards out of order", "YZ"),
    "lane.unasked": Code("300", "YX", "a bollard moved and nobody had asked", "YZ"),
}
_SUPPLIES: Mapping[str, Code] = {
    "supply:tamper": Code("137", "TA", "the box is open", "TR"),
    "supply:mains": Code("301", "AT", "no mains", "AR"),
    "supply:battery": Code("302", "YT", "the battery is low or away", "YR"),
}

NOT_SENT: Mapping[str, str] = {
    "box.new_epoch": "the journal's own proof: for the district, which keeps the checkpoints",
    "journal.problem": "for the district and the maintainers",
    "clock.unsynced": "for the maintainers; alarms carry the receiver's own time",
    "lane.reversal": "the safety gear worked",
    "drill.ended": "told as the end of drill.started",
    "visit.overstay": "for the school: somebody looks for the visitor",
    "duty.unmanned": "for the school and the district: a post stands empty",
    "duty.unanswered": "for the school and the district: nobody on a post answers",
    "duty.patrols_short": "for the school: the day's patrols were too few",
    "duty.test_overdue": "for the school: the monthly test is due",
    "lane.fire_key": "the fire itself is told by fire.active",
}


def code_of(kind: str, subject: str = "", *, drill: bool = False) -> Code | None:
    """How an alarm is told, or None where it deliberately is not."""
    if kind in NOT_SENT:
        return None
    if drill and kind.startswith("panic."):
        return DRILL
    if kind == "supply.alarm":
        return _SUPPLIES.get(subject, CODES[kind])
    return CODES.get(kind, UNKNOWN)


def zones(site: Site) -> dict[str, int]:
    """Zone number by a record's subject."""
    things: dict[str, tuple[PanicButton | Door | Lane | Reader, ...]] = {
        "button": site.panic_button,
        "door": site.door,
        "lane": site.lane,
        "reader": site.reader,
    }
    return {f"{what}:{one.id}": _FIRST_ZONE[what] + i for what, them in things.items() for i, one in enumerate(them)}


def data_of(protocol: str, account: str, code: Code, zone: int, *, drill: bool, over: bool = False) -> str:
    """What stands between the brackets. 1: a new event, 3: it is over. A drill is a walk test, and SIA's text says it
    in a word."""
    if protocol == "SIA-DCS":
        return f"#{account}|Nri0/{code.over if over else code.sia}{zone:03d}" + ("^DRILL^" if drill else "")
    return f"#{account}|{'3' if over else '1'}{code.cid} 00 {zone:03d}"
