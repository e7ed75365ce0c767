"""What a form asks of the gate: who may ask it, and how it becomes one command of control.

Nothing here decides whether it may be done now: that is the core's, and it answers with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.core.shapes import is_handle
from agent.policy.names import NameTable
from agent.register import handles
from agent.register.store import MOST_NAME, MOST_TEXT, Entry, masked
from agent.web.console.accounts import Role
from agent.web.console.desk import Desk

GUARDS = frozenset({Role.GUARD, Role.HEAD})
KEEPERS = GUARDS | {Role.MAINTENANCE, Role.INSTALLER}
MINUTE_MS = 60_000
CARD_DIGITS = 10  # as the readers tell a card's number, `hardware/readers`


class Refusal(Exception):
    """The form cannot become a command; `args[0]` is an id of the console's words."""


@dataclass
class Form:
    """One form as sent, and what was written into the register for it, to be erased if the gate refuses."""

    fields: Mapping[str, str]
    desk: Desk
    names: NameTable
    by: str  # the account's handle
    now_ms: int  # by the box's clock
    card_format: str  # of the cards this site's readers read
    written: list[str] = field(default_factory=list)
    at: str = ""  # the field being read: the one at fault when that fails

    def get(self, name: str) -> str:
        return self.fields.get(name, "").strip()

    def number(self, name: str) -> str:
        self.at, text = name, self.get(name)
        if not (text.isascii() and text.isdecimal() and len(text) <= 4):
            raise Refusal("number")
        return str(int(text))

    def person(self, name: str) -> str:
        """A holder, or a handle of the register for somebody else."""
        self.at = name
        found = self.desk.person(self.get(name), self.names)
        if is_handle(found, "p"):
            self.written.append(found)
        return found

    def holder(self, name: str) -> str:
        self.at = name
        return self.desk.holder(self.get(name), self.names)

    def text(self, name: str, most: int) -> str:
        """A text that must be there. Raises Refusal(name)."""
        self.at, text = name, self.get(name)
        if not text or len(text) > most:
            raise Refusal(name)
        return text

    def write(self, prefix: str, entry: Entry) -> str:
        handle = self.desk.write(prefix, entry)
        self.written.append(handle)
        return handle


Args = dict[str, str]
Build = Callable[[Form], Args]


@dataclass(frozen=True)
class Ask:
    """`subject`: the field that tells two forms of this verb on one page apart; "" = there is one."""

    build: Build
    roles: frozenset[Role] = GUARDS
    subject: str = ""


def _plain(*names: str) -> Build:
    return lambda form: {name: form.get(name) for name in names if form.get(name)}


def _shift(form: Form) -> Args:
    form.at, text = "minutes", form.get("minutes")
    if not re.fullmatch(r"[+-]?[0-9]{1,4}", text):
        raise Refusal("number")
    return {"minutes": str(int(text)), "reason": form.get("reason")}


def _let_out(form: Form) -> Args:
    return {"door": form.get("door"), "holder": form.holder("who"), "reason": form.get("reason")}


def _slip(form: Form) -> Args:
    now_ms = form.now_ms // MINUTE_MS * MINUTE_MS
    return {
        "slip": handles.new("s"),
        "pupil": form.holder("who"),
        "issuer": form.person("issuer"),
        "from_ms": str(now_ms),
        "to_ms": str(now_ms + int(form.number("minutes")) * MINUTE_MS),
        "guardian": "1" if form.get("guardian") else "0",
        "reason": form.get("reason"),
    }


def _visit(form: Form) -> Args:
    name = " ".join(form.text("name", MOST_NAME).split())
    host = form.person("host")
    entry = Entry(name=name, id_tail=masked(form.get("id_number")), plate=form.get("plate")[:12].upper())
    place = form.get("place")
    kind, _, ident = place.partition(":")
    args = {"visit": form.write("v", entry), "host": host, "minutes": form.number("minutes")}
    args |= {name: form.get(name) for name in ("kind", "purpose") if form.get(name)}
    if form.get("card"):
        args["card"] = f"{form.card_format}:{form.get('card').upper().zfill(CARD_DIGITS)}"
    return args | ({"lane": ident} if kind == "lane" else {"door": ident})


def _hand_over(form: Form) -> Args:
    text = form.text("text", MOST_TEXT)
    return {"post": form.get("post"), "note": form.write("n", Entry(text=text, about=form.get("post"), by=form.by))}


def _hazard(form: Form) -> Args:
    text = form.text("text", MOST_TEXT)
    args = {"owner": form.person("owner"), "what": form.get("what"), "due": form.number("due")}
    return args | {"hazard": form.write("h", Entry(text=text))}


def _ban(form: Form) -> Args:
    return {"holder": form.holder("who"), "reason": form.get("reason")}


ASKS: Mapping[str, Ask] = {
    "acknowledge": Ask(_plain()),
    "panic_reset": Ask(_plain()),
    "fire_reset": Ask(_plain()),
    "lockdown": Ask(_plain()),
    "all_clear": Ask(_plain()),
    "release": Ask(_plain("door"), subject="door"),
    "raise": Ask(_plain("lane"), subject="lane"),
    "lower": Ask(_plain("lane"), subject="lane"),
    "stop": Ask(_plain("lane"), subject="lane"),
    "lane_clear_fault": Ask(_plain("lane"), subject="lane"),
    "shift_day": Ask(_shift),
    "swap_day": Ask(_plain("plan", "reason")),
    "restore_day": Ask(_plain()),
    "let_out": Ask(_let_out),
    "slip_add": Ask(_slip),
    "slip_cancel": Ask(_plain("slip"), subject="slip"),
    "visit_register": Ask(_visit),
    "visit_consent": Ask(_plain("visit", "by"), subject="visit"),
    "visit_in": Ask(_plain("visit"), subject="visit"),
    "visit_out": Ask(_plain("visit", "card_back"), subject="visit"),
    "visit_cancel": Ask(_plain("visit"), subject="visit"),
    "duty_check_in": Ask(_plain("post"), subject="post"),
    "duty_check_out": Ask(_plain("post"), subject="post"),
    "duty_confirm": Ask(_plain("post"), subject="post"),
    "hand_over": Ask(_hand_over, subject="post"),
    "hazard_open": Ask(_hazard, KEEPERS),
    "hazard_close": Ask(_plain("hazard"), KEEPERS, subject="hazard"),
    "drill_start": Ask(_plain("button", "minutes", "reason")),
    "drill_go_ahead": Ask(_plain()),
    "drill_end": Ask(_plain()),
    "card_ban": Ask(_ban),
    "door_shunt": Ask(_plain("door", "minutes", "reason"), GUARDS | {Role.MAINTENANCE}),
    "door_unshunt": Ask(_plain("door"), GUARDS | {Role.MAINTENANCE}, subject="door"),
    "card_unban": Ask(_plain("holder"), subject="holder"),
}
