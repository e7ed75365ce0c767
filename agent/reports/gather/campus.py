"""The closed campus: the plan of each day, who was let through, who was refused and why, and every exception."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from agent.reports.model import MOST_ROWS, Campus, Denied, Exit, Passed, SchoolDay
from agent.reports.month import Month
from agent.reports.records import Told
from agent.reports.spans import Span

EXITS = (
    "access.unauthorised_exit", "access.let_out", "access.duress", "access.wrong_tries", "access.passback",
    "slip.used", "door.shunted", "door.forced", "door.held_open", "lockdown.started", "fire.active",
    "visit.card_missing",
)  # fmt: skip
CHANGES = {
    "shift_day": "minutes", "swap_day": "plan", "restore_day": "", "slip_add": "slip", "slip_cancel": "slip",
    "card_ban": "card", "card_unban": "card", "release": "door",
}  # fmt: skip
"""verb of a command that is an exception by itself → the argument that says more"""
MOST_KEPT = 5_000  # D: leave slips whose issuer is remembered


class CampusBook:
    kinds: ClassVar[frozenset[str]] = frozenset({*EXITS, "access.granted", "access.denied", "day.plan", "command.done"})

    def __init__(self, month: Month) -> None:
        self._month = month
        self._days: dict[str, SchoolDay] = {}
        self._passed: Counter[tuple[str, str]] = Counter()
        self._denied: Counter[tuple[str, str, str]] = Counter()
        self._exits: list[Exit] = []
        self._counts: Counter[str] = Counter()
        self._issuers: dict[str, str] = {}

    def gap(self, span: Span) -> None:
        """What happened meanwhile is not here; the coverage tells of it."""

    def see(self, told: Told, inside: bool) -> None:
        if told.kind == "command.done":
            self._command(told, inside)
        elif not inside:
            return
        elif told.kind == "access.granted":
            self._passed[told.text("group"), told.text("direction")] += 1
        elif told.kind == "access.denied":
            self._denied[told.text("reader"), told.text("direction"), told.text("why")] += 1
        elif told.kind == "day.plan":
            self._plan(told)
        else:
            self._exit(told)

    def _plan(self, told: Told) -> None:
        date = told.text("date")
        self._days[date] = SchoolDay(
            date,
            told.text("plan"),
            told.text("label"),
            told.text("because"),
            told.text("source"),
            told.number("shift_min") or 0,
        )

    def _command(self, told: Told, inside: bool) -> None:
        args = told.data.get("args")
        verb = told.text("verb")
        if not isinstance(args, dict) or verb not in CHANGES:
            return
        if verb == "slip_add":
            self._issuers[str(args.get("slip", ""))] = str(args.get("issuer", ""))
            if len(self._issuers) > MOST_KEPT:
                del self._issuers[next(iter(self._issuers))]
        if inside:
            self._add(
                told,
                f"command:{verb}",
                place=str(args.get("door", "")),
                holder=str(args.get("pupil") or args.get("holder") or args.get("card") or ""),
                why=" ".join(str(args[name]) for name in dict.fromkeys((CHANGES[verb], "reason")) if args.get(name)),
                by=str(args.get("issuer") or told.actor),
            )

    def _exit(self, told: Told) -> None:
        slip = told.text("slip")
        why = told.text("why") or told.text("reason") or slip
        by = self._issuers.get(slip, "") if slip else "" if told.actor == "box" else told.actor
        place = told.text("door") or told.text("reader") or told.thing
        self._add(
            told,
            told.kind,
            place="" if slip or told.kind == "visit.card_missing" else place,
            holder=told.text("holder") or told.text("visit"),
            why=why,
            by=by,
        )

    def _add(self, told: Told, kind: str, *, place: str, holder: str, why: str, by: str) -> None:
        self._counts[kind] += 1
        if len(self._exits) < MOST_ROWS:
            self._exits.append(Exit(at=told.when, kind=kind, place=place, holder=holder, why=why, by=by, ref=told.ref))

    def done(self) -> Campus:
        return Campus(
            days=tuple(self._days[date] for date in sorted(self._days) if date.startswith(self._month.text)),
            passed=tuple(Passed(*key, count) for key, count in sorted(self._passed.items())),
            denied=tuple(Denied(*key, count) for key, count in sorted(self._denied.items())),
            exits=tuple(self._exits),
            more_exits=sum(self._counts.values()) - len(self._exits),
            counts=tuple(sorted(self._counts.items())),
        )
