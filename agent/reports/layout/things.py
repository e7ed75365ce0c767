"""Rule three, the ledger of hazards, the device log and the visitors."""

from __future__ import annotations

from agent.locale import mark
from agent.reports.layout.speech import Speech, minutes
from agent.reports.layout.table import Cell, Column, Table
from agent.reports.model import DeviceSpan, Hazard, Report, Visit
from agent.web import kinds
from agent.web.choices import CONSENT, HAZARD, PURPOSE, VISIT_KIND

END = {
    "out": mark("left"),
    "cancelled": mark("cancelled"),
    "open": mark("not ended"),
    "expired": mark("never came"),
}
CARD = {"none": mark("no card"), "back": mark("back"), "out": mark("NOT BACK"), "unsaid": mark("not said")}


def pictures(s: Speech) -> Table:
    """No build of the box takes pictures yet: said, not faked."""
    return Table(
        id="pictures",
        title=s.t("Picture points"),
        short=s.t("Picture points"),
        columns=(Column(s.t("Picture point"), "text", 24), Column(s.t("State"), "text", 40)),
        rows=(),
        empty=s.t(
            "Not fitted: this box takes no pictures, so it can show none and vouch for none. The school's own video "
            "system has to be looked at by itself."
        ),
    )


def hazards(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="hazards",
        title=t("Ledger of hazards"),
        short=t("Hazards"),
        columns=(
            Column(t("Hazard"), "text", 16),
            Column(t("What is wrong"), "text", 14),
            Column(t("Found"), "time", 19),
            Column(t("Who sees to it"), "text", 16),
            Column(t("Due"), "date", 11),
            Column(t("Closed"), "time", 19),
            Column(t("Days open"), "count", 9),
            Column(t("State"), "text", 14),
            Column(t("Photo"), "text", 14),
        ),
        rows=tuple(_hazard(one, s) for one in report.hazards),
        notes=(
            t("Closed this month, or open at its end. Photo: how its SHA-256 begins; it is in the guard console."),
            *s.more(report.more_hazards),
        ),
        empty=t("The ledger has no entry for this month."),
    )


def _hazard(one: Hazard, s: Speech) -> tuple[Cell, ...]:
    if one.closed is None:
        state = s.t("OVERDUE") if one.late else s.t("open")
    else:
        state = s.t("closed late") if one.late else s.t("closed")
    return (
        one.hazard,
        s.of(HAZARD, one.what),
        s.time(one.found_ms),
        s.person(one.owner),
        s.date(one.due_ms),
        s.when(one.closed),
        one.days,
        state,
        one.photo[:12] or "—",
    )


def device_sums(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="devices",
        title=t("Devices: time out of order"),
        short=t("Devices"),
        columns=(
            Column(t("Device"), "text", 30),
            Column(t("Faults"), "count", 9),
            Column(t("Out of order, min"), "minutes", 14),
        ),
        rows=tuple((s.thing(one.thing), one.faults, minutes(one.ms)) for one in report.devices.sums),
        notes=(t("A device that is not named here had no fault while the box was running."),),
        empty=t("No device had a fault."),
    )


def device_log(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="device-log",
        title=t("Device log"),
        short=t("Device log"),
        columns=(
            Column(t("Device"), "text", 26),
            Column(t("What happened"), "text", 26),
            Column(t("Reason"), "text", 24),
            Column(t("From"), "time", 19),
            Column(t("To"), "time", 19),
            Column(t("Minutes"), "minutes", 11),
            Column(t("Remark"), "text", 26),
            Column(t("Record"), "ref", 11),
        ),
        rows=tuple(_device(one, s) for one in report.devices.spans),
        notes=s.more(report.devices.more_spans),
        empty=t("No device had a fault."),
    )


def _device(one: DeviceSpan, s: Speech) -> tuple[Cell, ...]:
    own = kinds.why_of(one.kind, one.why)
    remarks = {
        "open": s.t("still so at the end of the report"),
        "restart": s.t("then the box went off; how long it lasted is unknown"),
    }
    return (
        s.thing(one.thing),
        s.kind(one.kind),
        (s.of(own, one.why) if own else s.why(one.why)) or None,
        s.time(one.from_ms),
        None if one.end == "open" else s.time(one.to_ms),
        minutes(one.ms),
        remarks.get(one.end),
        s.ref(one.ref),
    )


def visits(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="visitors",
        title=t("Visitors and vehicles from outside"),
        short=t("Visitors"),
        columns=(
            Column(t("Visit"), "text", 16),
            Column(t("Kind"), "text", 10),
            Column(t("Purpose"), "text", 12),
            Column(t("Visited"), "text", 14),
            Column(t("Consent"), "text", 14),
            Column(t("Where"), "text", 12),
            Column(t("Registered"), "time", 19),
            Column(t("In"), "time", 19),
            Column(t("Out"), "time", 19),
            Column(t("Minutes"), "minutes", 11),
            Column(t("Allowed until"), "time", 19),
            Column(t("Too long, min"), "count", 9),
            Column(t("State"), "text", 12),
            Column(t("Card"), "text", 10),
        ),
        rows=tuple(_visit(one, s) for one in report.visits.visits),
        notes=(
            t("Cards not returned: %(n)s.", n=report.visits.cards_out),
            *s.more(report.visits.more),
        ),
        empty=t("No visitor was registered."),
    )


def _visit(one: Visit, s: Speech) -> tuple[Cell, ...]:
    came, left = one.came_ms, one.left_ms
    state = s.of(END, one.end)
    return (
        s.person(one.handle),
        s.of(VISIT_KIND, one.kind),
        s.of(PURPOSE, one.purpose),
        s.person(one.host),
        s.of(CONSENT, one.consent) if one.consent else s.t("none"),
        s.place(one.place),
        s.when(one.registered),
        s.time(came),
        s.time(left) if came is not None else None,
        minutes(left - came) if came is not None and left is not None else None,
        s.time(one.until_ms),
        one.late_min if came is not None else None,
        s.t("%(state)s, stayed too long", state=state) if one.overstayed else state,
        s.of(CARD, one.card),
    )
