"""What was typed into a form that was refused: shown again once, with what is wrong at the field that is at fault."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from agent.register.store import masked

LEFT_S = 600.0  # D: so long what was typed waits for its writer to log in again
MOST_LEFT = 8  # D: a gatehouse has a tablet and a PC
OWN = frozenset({"csrf", "verb", "place_on_page", "pick"})  # of the page, typed by nobody
# Which field a reason of the gate is about: the first of these that the form has.
ABOUT: Mapping[str, tuple[str, ...]] = {
    "reason": ("reason",),
    "minutes": ("minutes",),
    "times": ("minutes",),
    "due": ("due",),
    "host": ("host",),
    "kind": ("kind",),
    "purpose": ("purpose",),
    "unknown_door": ("door", "place"),
    "unknown_lane": ("lane", "place"),
    "unknown_plan": ("plan",),
    "unknown_pupil": ("who",),
    "holder": ("who",),
    "issuer": ("issuer",),
    "card": ("card",),
    "card_in_use": ("card",),
    "card_banned": ("card",),
    "unknown_post": ("post",),
    "unknown_button": ("button",),
    "what": ("what",),
    "owner": ("owner",),
}
# The same for the pages on which one logs in and makes an account.
AT_THE_DOOR: Mapping[str, str] = {
    "code": "code",
    "login": "login",
    "login_taken": "login",
    "password_length": "password",
    "password_weak": "password",
    "password_twice": "again",
    "wrong": "password",
}


def at_fault(why: str) -> dict[str, dict[str, str]]:
    """What marks the field at fault on such a page, by its name."""
    field = AT_THE_DOOR.get(why)
    return {field: {"aria-invalid": "true", "aria-describedby": "why", "autofocus": ""}} if field else {}


class Answer(msgspec.Struct, frozen=True):
    """What became of a form: `why` it was not done, "" = done; the `field` at fault, "" = none alone; the people that
    what was typed there could mean, as (holder, name)."""

    why: str
    field: str = ""
    people: tuple[tuple[str, str], ...] = ()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One refused form. `told`: why, as a sentence; `field`: the one at fault, "" = none alone; `place`: the part of
    the page that it stands in."""

    verb: str = ""
    fields: Mapping[str, str] = {}
    told: str = ""
    field: str = ""
    people: tuple[tuple[str, str], ...] = ()
    place: str = ""


NOTHING = Kept()


def keep(verb: str, fields: Mapping[str, str], answer: Answer, told: str) -> Kept:
    """The form as it is shown again. Of an ID number no more is kept than the register would have."""
    typed = {name: text for name, text in fields.items() if name not in OWN}
    if "id_number" in typed:
        typed["id_number"] = masked(typed["id_number"])
    about = ABOUT.get(answer.why.partition(":")[0], ())
    field = answer.field or next((name for name in about if name in typed), "")
    place = fields.get("place_on_page", "")
    return Kept(verb=verb, fields=typed, told=told, field=field, people=answer.people, place=place)


class LeftOver:
    """Forms of browsers whose log-in had ended, by the token they still show. In memory and for a short while: names
    may stand in them. Whoever logs in with that browser has his form again; nothing of it is done."""

    def __init__(self) -> None:
        self._forms: dict[str, tuple[float, Kept]] = {}

    def put(self, token: str, form: Kept, now: float) -> None:
        """Of too many the oldest goes; a token that is none is no browser of ours."""
        self._fresh(now)
        if token:
            self._forms.pop(digest(token), None)
            self._forms = dict([*self._forms.items(), (digest(token), (now, form))][-MOST_LEFT:])

    def take(self, token: str, now: float) -> Kept:
        """Once."""
        self._fresh(now)
        return self._forms.pop(digest(token), (now, NOTHING))[1]

    def _fresh(self, now: float) -> None:
        self._forms = {name: one for name, one in self._forms.items() if now - one[0] < LEFT_S}


def digest(token: str) -> str:
    """What is kept of a token: a look at memory or a log gives nobody away."""
    return hashlib.sha256(token.encode()).hexdigest()


def picked(fields: dict[str, str]) -> dict[str, str]:
    """The form with a tapped person, `pick` = "field=holder", in place of what was typed there."""
    name, _, holder = fields.get("pick", "").partition("=")
    return fields | {name: holder} if holder and name in fields else fields
