"""Rule one: the manned gatehouse, the patrols, the duty log."""

from __future__ import annotations

from agent.reports.layout.speech import Speech, minutes
from agent.reports.layout.table import Cell, Column, Table
from agent.reports.model import DutyLine, Report


def days(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="duty",
        title=t("Gatehouse duty by post and day"),
        short=t("Duty"),
        columns=(
            Column(t("Date"), "date", 11),
            Column(t("Post"), "text", 12),
            Column(t("Manned, min"), "minutes", 11),
            Column(t("Not manned, min"), "minutes", 11),
            Column(t("Unknown, min"), "minutes", 11),
            Column(t("Check-ins"), "count", 9),
            Column(t("Check-outs"), "count", 9),
            Column(t("Asked for a sign"), "count", 9),
            Column(t("Answered"), "count", 9),
            Column(t("Not answered"), "count", 9),
        ),
        rows=tuple(
            (
                s.day(report.head, day.day),
                day.post,
                minutes(day.manned_ms),
                minutes(day.unmanned_ms),
                minutes(day.unknown_ms),
                day.check_ins,
                day.check_outs,
                day.asked,
                day.confirmed,
                day.unanswered,
            )
            for day in sorted(report.duty.days, key=lambda one: (one.day, one.post))
        ),
        notes=(
            t(
                "“Not manned” counts from the beginning of a vacancy that became an alarm: after 10 minutes, in a peak "
                "after 3. Shorter vacancies are no alarm and stand in neither column."
            ),
            t("%(n)s guards checked in during the month.", n=report.duty.guards),
        ),
        empty=t("The journal names no post: no school policy with posts was in force."),
    )


def patrols(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="patrols",
        title=t("Patrols a day"),
        short=t("Patrols"),
        columns=(
            Column(t("Date"), "date", 11),
            Column(t("Patrols"), "count", 10),
            Column(t("Required"), "count", 10),
            Column(t("Enough"), "text", 16),
        ),
        rows=tuple(
            (s.day(report.head, day.day), day.count, day.required, _enough(day.count, day.required, day.known, s))
            for day in report.duty.patrols
        ),
        empty=t("The journal knows of no patrol point."),
    )


def _enough(count: int, required: int | None, known: bool, s: Speech) -> str:
    if required is None:
        return s.t("unknown")
    if count >= required:
        return s.t("yes")
    return s.t("NO") if known else s.t("unknown")


def log(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="duty-log",
        title=t("Duty log"),
        short=t("Duty log"),
        columns=(
            Column(t("Time"), "time", 19),
            Column(t("What happened"), "text", 22),
            Column(t("Post"), "text", 12),
            Column(t("Guard"), "text", 16),
            Column(t("Relieved, or note"), "text", 16),
            Column(t("Minutes"), "count", 9),
            Column(t("Record"), "ref", 11),
        ),
        rows=tuple(_line(line, s) for line in report.duty.lines),
        notes=s.more(report.duty.more_lines),
        empty=t("No duty was recorded."),
    )


def _line(line: DutyLine, s: Speech) -> tuple[Cell, ...]:
    return (
        s.when(line.at),
        s.kind(line.kind),
        line.post,
        s.person(line.guard),
        s.person(line.more),
        line.minutes,
        s.ref(line.ref),
    )
