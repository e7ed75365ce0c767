"""Rule five: the one-touch alarm."""

from __future__ import annotations

from agent.locale import mark
from agent.picture import HOPS
from agent.reports.layout.speech import Speech
from agent.reports.layout.table import Cell, Column, Table
from agent.reports.model import Drill, Press, Report
from agent.reports.month import local
from agent.web import words
from agent.web.choices import DRILL_REASON

HOP = {
    "decision_us": mark("Decided, ms"),
    "outputs_us": mark("Outputs set, ms"),
    "modbus_us": mark("Bollard controller confirmed, ms"),
    "position_us": mark("Bollards up, ms"),
    "durable_us": mark("On disk, ms"),
    "sent_us": mark("Sent, ms"),
    "received_us": mark("Received, ms"),
}
ENDED = {
    "time": mark("its time was over"),
    "command": mark("ended by a person"),
    "real_press": mark("a real press"),
    "restart": mark("the box was started anew"),
    "not_begun": mark("it never began"),
    "": mark("not ended"),
}


def presses(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="presses",
        title=t("Presses of the panic buttons, with the measured hops"),
        short=t("Presses"),
        columns=(
            Column(t("Time"), "time", 19),
            Column(t("Button"), "text", 14),
            Column(t("Drill or real"), "text", 10),
            *(Column(t(HOP[hop]), "ms", 9) for hop in HOPS),
            Column(t("Seen by a person"), "time", 19),
            Column(t("Reset"), "time", 19),
            Column(t("Record"), "ref", 11),
        ),
        rows=tuple(_press(press, s) for press in report.panic.presses),
        notes=(
            t("Each hop counts from the edge of the press; a hop that is not there was not measured or not reached."),
            *s.more(report.panic.more_presses),
        ),
        empty=t("No panic button was pressed."),
    )


def _press(press: Press, s: Speech) -> tuple[Cell, ...]:
    hops = dict(press.hops_us)
    return (
        s.when(press.at),
        s.w.name("button", press.button),
        _real(press, s),
        *(round(hops[hop] / 1000, 1) if hop in hops else None for hop in HOPS),
        s.time(press.acknowledged_ms),
        s.time(press.reset_ms),
        s.ref(press.ref),
    )


def _real(press: Press, s: Speech) -> str:
    if press.drill:
        return s.t("drill")
    return s.t("REAL") if press.seen else s.t("REAL (found pressed)")


def receipts(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="receipts",
        title=t("Receipts of each press, by path"),
        short=t("Receipts"),
        columns=(
            Column(t("Press"), "ref", 11),
            Column(t("Button"), "text", 14),
            Column(t("Path"), "text", 12),
            Column(t("Stage"), "text", 22),
            Column(t("After the press, s"), "seconds", 12),
            Column(t("By"), "text", 18),
        ),
        rows=tuple(
            (
                s.ref(press.ref),
                s.w.name("button", press.button),
                s.of(words.PATH, stage.path),
                s.of(words.STAGE, stage.stage),
                stage.after_ms / 1000,
                stage.by or None,
            )
            for press in report.panic.presses
            for stage in press.stages
        ),
        notes=(t("Without a line “received” nobody confirmed that press."),),
        empty=t("No receipt was recorded."),
    )


def tests(report: Report, s: Speech) -> Table:
    t, head = s.t, report.head
    until = local(head.until_ms - 1, s.zone).date()
    return Table(
        id="tests",
        title=t("Tests of each panic button"),
        short=t("Button tests"),
        columns=(
            Column(t("Button"), "text", 18),
            Column(t("Tests in the month"), "count", 12),
            Column(t("Real presses"), "count", 12),
            Column(t("Last test"), "time", 19),
            Column(t("Days since"), "count", 10),
        ),
        rows=tuple(
            (
                s.w.name("button", one.button),
                one.tests,
                one.presses,
                s.time(one.last_ms),
                None if one.last_ms is None else (until - s.date(one.last_ms)).days,
            )
            for one in report.panic.buttons
        ),
        notes=(
            t("A test is a press in a drill. “Days since” counts to the end of the month, or to this report."),
            *(_overdue(report, s)),
        ),
        empty=t("This site has no panic button."),
    )


def _overdue(report: Report, s: Speech) -> tuple[str, ...]:
    return tuple(
        s.t(
            "%(what)s: told %(time)s, %(days)s days after the last one.",
            what=s.kind(one.kind),
            time=s.when(one.at),
            days=one.days,
        )
        for one in report.panic.overdue[:5]
    )


def drills(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="drills",
        title=t("Drills"),
        short=t("Drills"),
        columns=(
            Column(t("Announced"), "time", 19),
            Column(t("Button"), "text", 14),
            Column(t("Answered by the far side"), "text", 14),
            Column(t("Waited, s"), "seconds", 9),
            Column(t("Planned, min"), "count", 9),
            Column(t("By"), "text", 16),
            Column(t("Reason"), "text", 24),
            Column(t("Presses"), "count", 9),
            Column(t("Ended"), "time", 19),
            Column(t("Why it ended"), "text", 20),
            Column(t("Signed report, SHA-256"), "text", 20),
            Column(t("Record"), "ref", 11),
        ),
        rows=tuple(
            (
                s.when(one.at),
                s.w.name("button", one.button),
                _answered(one, s),
                None if one.waited_ms is None else one.waited_ms / 1000,
                one.minutes,
                s.person(one.by),
                s.of(DRILL_REASON, one.reason) or None,
                one.presses,
                s.when(one.ended),
                s.of(ENDED, one.why),
                one.report[:16] or None,
                s.ref(one.ref),
            )
            for one in report.panic.drills
        ),
        notes=(t("Of a report's SHA-256 the first 16 digits stand here; menwei drill verify checks the file."),),
        empty=t("There was no drill."),
    )


def _answered(one: Drill, s: Speech) -> str:
    """A drill that nobody has heard of is one that a guard went ahead with all the same, or that never began."""
    if one.answered is None:
        return s.t("never began")
    return s.t("yes") if one.answered else s.t("NO, went ahead")
