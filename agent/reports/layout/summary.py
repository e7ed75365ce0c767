"""The first page: the five rules, each with what was found. What is not known is never called in order."""

from __future__ import annotations

from collections.abc import Callable

from agent.locale import mark
from agent.reports.layout.speech import Speech, minutes, share
from agent.reports.layout.table import Column, Table
from agent.reports.model import Report

STATE = {
    "well": mark("nothing amiss found"),
    "gaps": mark("GAPS, see below"),
    "unknown": mark("partly unknown"),
    "not_fitted": mark("not fitted"),
    "nothing": mark("nothing recorded"),
}
LINE_FAULTS = frozenset({"panic.line_fault", "panic.stuck", "panic.chatter"})
RULES = (
    mark("Full-time guards, manned gatehouse"),
    mark("Anti-ram bollards"),
    mark("Video at the gate"),
    mark("Closed campus in class hours"),
    mark("One-touch alarm linked to the police"),
)


def rules(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="rules",
        title=t("The five rules"),
        short=t("Five rules"),
        columns=(
            Column(t("Rule"), "text", 30),
            Column(t("Finding"), "text", 20),
            Column(t("Figures"), "text", 70),
        ),
        rows=tuple(
            (t(RULES[at]), t(STATE[state(report)]), figures(report, s)) for at, (state, figures) in enumerate(_RULES)
        ),
        notes=(
            t("“Nothing amiss found” is said only where the whole time is known. It judges records, not the school."),
        ),
    )


def states(report: Report) -> tuple[str, ...]:
    """The finding for each rule, as a key of STATE."""
    return tuple(state(report) for state, _ in _RULES)


def _judged(report: Report, *, amiss: bool) -> str:
    if amiss:
        return "gaps"
    lost = any(one.kind == "box.new_epoch" for one in report.coverage.troubles)
    return "unknown" if lost or report.coverage.unknown or report.head.evicted else "well"


# ── duty ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _short_days(report: Report) -> int:
    """Days with fewer patrols than required, of those that are known whole."""
    return sum(day.known and day.required is not None and day.count < day.required for day in report.duty.patrols)


def _duty_state(report: Report) -> str:
    days = report.duty.days
    if not days:
        return "nothing"
    amiss = any(day.unmanned_ms or day.unanswered for day in days) or _short_days(report) > 0
    return _judged(report, amiss=amiss)


def _duty_figures(report: Report, s: Speech) -> str:
    days = report.duty.days
    return s.t(
        "%(posts)s posts; not manned %(unmanned)s min, unknown %(unknown)s min; %(ins)s check-ins; signs not given "
        "%(unanswered)s; days with too few patrols %(short)s",
        posts=len(report.duty.posts),
        unmanned=minutes(sum(day.unmanned_ms for day in days)),
        unknown=minutes(sum(day.unknown_ms for day in days)),
        ins=sum(day.check_ins for day in days),
        unanswered=sum(day.unanswered for day in days),
        short=_short_days(report),
    )


# ── bollards ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _lanes_state(report: Report) -> str:
    lanes, bollards = report.lanes.lanes, report.lanes.bollards
    if not lanes:
        return "not_fitted"
    if not any(lane.known_ms for lane in lanes):
        return "unknown"
    amiss = any(lane.out_ms for lane in lanes) or any(one.faults or one.unasked for one in bollards)
    return _judged(report, amiss=amiss)


def _lanes_figures(report: Report, s: Speech) -> str:
    lanes, bollards = report.lanes.lanes, report.lanes.bollards
    known = sum(lane.known_ms for lane in lanes)
    part = share(sum(lane.available_ms for lane in lanes), known)
    return s.t(
        "%(lanes)s lanes could serve %(share)s of the known time; %(cycles)s full cycles, %(reversals)s turned round, "
        "%(faults)s faults, moved unasked %(unasked)s times",
        lanes=len(lanes),
        share="—" if part is None else f"{part:.2%}",
        cycles=sum(one.cycles for one in bollards),
        reversals=sum(one.reversals for one in bollards),
        faults=sum(one.faults for one in bollards),
        unasked=sum(one.unasked for one in bollards),
    )


# ── video ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _video_state(report: Report) -> str:
    return "not_fitted"


def _video_figures(report: Report, s: Speech) -> str:
    return s.t("no camera on this box")


# ── campus ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _campus_state(report: Report) -> str:
    counts = dict(report.campus.counts)
    amiss = bool(counts.get("access.unauthorised_exit") or counts.get("door.forced"))
    return _judged(report, amiss=amiss) if amiss or report.campus.days else "nothing"


def _campus_figures(report: Report, s: Speech) -> str:
    counts = dict(report.campus.counts)
    return s.t(
        "pupils who left against the timetable %(exits)s; let out by hand %(let_out)s; leave slips used %(slips)s; "
        "cards refused %(denied)s; doors forced %(forced)s; visitors %(visits)s, cards not returned %(cards)s",
        exits=counts.get("access.unauthorised_exit", 0),
        let_out=counts.get("access.let_out", 0),
        slips=counts.get("slip.used", 0),
        denied=sum(one.count for one in report.campus.denied),
        forced=counts.get("door.forced", 0),
        visits=len(report.visits.visits) + report.visits.more,
        cards=report.visits.cards_out,
    )


# ── alarm ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def unconfirmed(report: Report) -> int:
    """Real presses of which no path brought a receipt."""
    confirmed = ("received", "coming", "arrived")
    return sum(
        not press.drill and not any(stage.stage in confirmed for stage in press.stages)
        for press in report.panic.presses
    )


def untested(report: Report) -> int:
    return sum(not button.tests for button in report.panic.buttons)


def _overdue(report: Report) -> int:
    """A test that was only told to be due is none."""
    return sum(one.kind == "duty.test_overdue" for one in report.panic.overdue)


def _panic_state(report: Report) -> str:
    if not report.panic.buttons:
        return "not_fitted"
    line_faults = any(span.kind in LINE_FAULTS for span in report.devices.spans)
    amiss = bool(unconfirmed(report) or untested(report) or _overdue(report) or line_faults)
    return _judged(report, amiss=amiss)


def _panic_figures(report: Report, s: Speech) -> str:
    presses = report.panic.presses
    return s.t(
        "real presses %(real)s, of them without a receipt %(unconfirmed)s; test presses %(tests)s; buttons without a "
        "test this month %(untested)s; drills %(drills)s; tests told as overdue %(overdue)s",
        real=sum(not press.drill for press in presses),
        unconfirmed=unconfirmed(report),
        tests=sum(button.tests for button in report.panic.buttons),
        untested=untested(report),
        drills=len(report.panic.drills),
        overdue=_overdue(report),
    )


_RULES: tuple[tuple[Callable[[Report], str], Callable[[Report, Speech], str]], ...] = (
    (_duty_state, _duty_figures),
    (_lanes_state, _lanes_figures),
    (_video_state, _video_figures),
    (_campus_state, _campus_figures),
    (_panic_state, _panic_figures),
)
assert len(_RULES) == len(RULES)
