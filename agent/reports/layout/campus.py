"""Rule four: the closed campus."""

from __future__ import annotations

from collections.abc import Mapping

from agent.locale import mark
from agent.reports.layout.speech import GROUP, Speech
from agent.reports.layout.table import Cell, Column, Table
from agent.reports.model import Exit, Report
from agent.web import choices, words
from agent.web.kinds import HIDDEN

BECAUSE = {
    "swapped": mark("changed by a person"),
    "special": mark("special day"),
    "vacation": mark("vacation"),
    "weekday": mark("day of the week"),
    "unsettled": mark("outside the school's calendar"),
}
EXIT = {
    "access.duress": mark("CARD SHOWN UNDER DURESS"),
    "command:shift_day": mark("Day moved"),
    "command:swap_day": mark("Day's plan changed"),
    "command:restore_day": mark("Day's plan restored"),
    "command:slip_add": mark("Leave slip written"),
    "command:slip_cancel": mark("Leave slip cancelled"),
    "command:card_ban": mark("Card barred"),
    "command:card_unban": mark("Card allowed again"),
    "command:release": mark("Door unlocked by command"),
}
# Which list a guard chose the reason from: "lost" is another thing of a card than of a lane.
REASONS: Mapping[str, Mapping[str, str]] = {
    "access.let_out": choices.EXIT_REASON,
    "door.shunted": choices.SHUNT_REASON,
    "command:card_ban": choices.BAN_REASON,
    "command:shift_day": choices.DAY_REASON,
    "command:swap_day": choices.DAY_REASON,
}


def days(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="days",
        title=t("Plan of each day"),
        short=t("Days"),
        columns=(
            Column(t("Date"), "text", 11),
            Column(t("Plan"), "text", 12),
            Column(t("Label"), "text", 18),
            Column(t("Because of"), "text", 24),
            Column(t("Moved, min"), "count", 10),
            Column(t("Written at"), "text", 24),
        ),
        rows=tuple(
            (day.date, day.plan, day.label, s.of(BECAUSE, day.because), day.shift_min, day.source)
            for day in report.campus.days
        ),
        empty=t("No school policy was in force: the gate knew no plan of the day."),
    )


def exceptions(report: Report, s: Speech) -> Table:
    t = s.t
    shown = [one for one in report.campus.exits if s.names or one.kind not in HIDDEN]
    return Table(
        id="exceptions",
        title=t("Exceptions at the closed campus"),
        short=t("Exceptions"),
        columns=(
            Column(t("Time"), "time", 19),
            Column(t("What happened"), "text", 26),
            Column(t("Where"), "text", 16),
            Column(t("Who"), "text", 16),
            Column(t("Reason"), "text", 30),
            Column(t("By"), "text", 16),
            Column(t("Record"), "ref", 11),
        ),
        rows=tuple(_exit(one, s) for one in shown),
        notes=(*s.more(report.campus.more_exits), *_counted(report, s)),
        empty=t("There was no exception."),
    )


def _counted(report: Report, s: Speech) -> tuple[str, ...]:
    counts = [(kind, count) for kind, count in report.campus.counts if s.names or kind not in HIDDEN]
    return ("; ".join(f"{exit_word(kind, s)}: {count}" for kind, count in counts),) if counts else ()


def exit_word(kind: str, s: Speech) -> str:
    return s.of(EXIT, kind) if kind in EXIT else s.kind(kind)


def why_word(kind: str, why: str, s: Speech) -> str:
    """The reason of an exception, from the list that its kind is chosen from."""
    table = REASONS.get(kind, {})
    return s.of(table, why) if why in table else s.why(why)


def _exit(one: Exit, s: Speech) -> tuple[Cell, ...]:
    is_slip = one.kind.startswith(("slip.", "command:slip"))
    why = one.why if is_slip or one.kind.startswith("command:") else why_word(one.kind, one.why, s)
    return (
        s.when(one.at),
        exit_word(one.kind, s),
        s.place(one.place) or None,
        s.person(one.holder),
        _said(one.kind, why, s) or None,
        s.person(one.by),
        s.ref(one.ref),
    )


def _said(kind: str, why: str, s: Speech) -> str:
    """A command's argument and reason, a slip's number: what names a person's paper is left out with the person."""
    if not kind.startswith(("command:", "slip.")):
        return why
    if not s.names and kind.startswith(("slip.", "command:slip", "command:card")):
        return why_word(kind, why.rpartition(" ")[2], s) if " " in why else ""
    argument, space, reason = why.rpartition(" ")
    return f"{argument}{space}{why_word(kind, reason, s)}" if space else why


def refusals(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="refusals",
        title=t("Cards refused, by reason"),
        short=t("Cards refused"),
        columns=(
            Column(t("Reader"), "text", 18),
            Column(t("Direction"), "text", 12),
            Column(t("Reason"), "text", 40),
            Column(t("How often"), "count", 10),
        ),
        rows=tuple(
            (s.place(one.reader), s.of(words.DIRECTION, one.direction), s.why(one.why), one.count)
            for one in sorted(report.campus.denied, key=lambda one: -one.count)
        ),
        empty=t("No card was refused."),
    )


def passages(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="passages",
        title=t("Passages by card"),
        short=t("Passages"),
        columns=(
            Column(t("Who"), "text", 18),
            Column(t("Direction"), "text", 12),
            Column(t("How often"), "count", 10),
        ),
        rows=tuple(
            (s.of(GROUP, one.group) if one.group else t("unknown"), s.of(words.DIRECTION, one.direction), one.count)
            for one in report.campus.passed
        ),
        empty=t("Nobody passed by card."),
    )
