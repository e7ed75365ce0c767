"""Visitors and vehicles that do not belong: registered, in, out, too long, and whether their card came back."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from agent.reports.model import MOST_ROWS, Visit, Visits, When
from agent.reports.month import Month
from agent.reports.records import Told
from agent.reports.spans import Span

CARD: dict[object, str] = {"yes": "back", "no": "out"}


class _Visit(msgspec.Struct):
    kind: str
    purpose: str
    host: str
    place: str
    registered: When
    until_ms: int
    has_card: bool
    consent: str = ""
    came_ms: int | None = None
    left_ms: int | None = None
    end: str = "open"
    overstayed: bool = False
    late_min: int | None = None
    card: str = "none"


class _Standing(msgspec.Struct):
    """What of an open visit is in the picture that survives restarts."""

    handle: str
    kind: str
    host: str
    purpose: str
    card: str
    door: str
    lane: str
    from_ms: int
    until_ms: int
    consent: str
    came: bool


class VisitsBook:
    kinds: ClassVar[frozenset[str]] = frozenset(
        {"command.done", "access.granted", "visit.ended", "visit.overstay", "visit.expired", "box.latched"}
    )

    def __init__(self, month: Month) -> None:
        self._month = month
        self._open: dict[str, _Visit] = {}
        self._done: list[tuple[str, _Visit]] = []
        self._more = 0
        self._lost_cards = 0

    def gap(self, span: Span) -> None:
        """An open visit survives a restart."""

    def see(self, told: Told, inside: bool) -> None:
        if told.at_ms >= self._month.to_ms:
            return
        match told.kind:
            case "command.done":
                self._command(told)
            case "access.granted":
                self._passed(told)
            case "box.latched":
                self._recall(told)
            case "visit.ended":
                self._ended(told, inside)
            case _:
                self._late(told)

    def _command(self, told: Told) -> None:
        args = told.data.get("args")
        if not isinstance(args, dict):
            return
        handle = str(args.get("visit", ""))
        if told.text("verb") == "visit_register":
            minutes = str(args.get("minutes", ""))
            until_ms = told.at_ms + (int(minutes) * 60_000 if minutes.isdecimal() else 0)
            self._open[handle] = _visit(args, told.when, until_ms)
        elif told.text("verb") == "visit_consent" and handle in self._open:
            self._open[handle].consent = str(args.get("by", ""))

    def _recall(self, told: Told) -> None:
        """A visit from before the journal's beginning stands in the picture that survives restarts."""
        for one in told.part("visits", list[_Standing]) or ():
            if one.handle not in self._open:
                visit = _visit(msgspec.to_builtins(one), When(one.from_ms), one.until_ms)
                visit.consent = one.consent
                visit.came_ms = one.from_ms if one.came else None
                self._open[one.handle] = visit

    def _passed(self, told: Told) -> None:
        visit = self._open.get(told.text("holder"))
        if visit is None:
            return
        if told.text("direction") == "out":
            visit.left_ms = told.at_ms
        else:
            visit.came_ms = visit.came_ms or told.at_ms

    def _late(self, told: Told) -> None:
        visit = self._open.get(told.text("visit"))
        if visit is not None:
            visit.overstayed = told.kind == "visit.overstay"
            visit.end = "expired" if told.kind == "visit.expired" else visit.end

    def _ended(self, told: Told, inside: bool) -> None:
        visit = self._open.pop(told.thing, None)
        if visit is None:
            return
        visit.end = "expired" if visit.end == "expired" else told.text("why")
        visit.late_min = told.number("late_min")
        if told.data.get("came") is True:
            visit.came_ms = visit.came_ms or visit.registered.at_ms
            visit.left_ms = visit.left_ms or told.at_ms
        if visit.has_card:
            visit.card = CARD.get(told.data.get("card_back"), "unsaid")
        if not inside:
            return
        self._lost_cards += visit.card == "out"
        if len(self._done) < MOST_ROWS:
            self._done.append((told.thing, visit))
        else:
            self._more += 1

    def done(self) -> Visits:
        for visit in self._open.values():
            visit.card = "out" if visit.has_card else "none"
        rows = [*self._done, *self._open.items()]
        rows.sort(key=lambda row: row[1].registered.at_ms)
        return Visits(
            visits=tuple(_told(handle, visit) for handle, visit in rows[:MOST_ROWS]),
            more=self._more + max(0, len(rows) - MOST_ROWS),
            cards_out=self._lost_cards + sum(visit.has_card for visit in self._open.values()),
        )


def _visit(args: dict[str, Any], registered: When, until_ms: int) -> _Visit:
    return _Visit(
        kind=str(args.get("kind", "")),
        purpose=str(args.get("purpose", "")),
        host=str(args.get("host", "")),
        place=str(args.get("door") or args.get("lane") or ""),
        registered=registered,
        until_ms=until_ms,
        has_card=bool(args.get("card")),
    )


def _told(handle: str, visit: _Visit) -> Visit:
    return Visit(
        handle=handle,
        kind=visit.kind,
        purpose=visit.purpose,
        host=visit.host,
        place=visit.place,
        registered=visit.registered,
        until_ms=visit.until_ms,
        consent=visit.consent,
        came_ms=visit.came_ms,
        left_ms=visit.left_ms,
        end=visit.end,
        overstayed=visit.overstayed,
        late_min=visit.late_min,
        card=visit.card,
    )
