"""What the report stands on, and what its journal does not know."""

from __future__ import annotations

from agent.locale import mark
from agent.reports.layout.speech import Speech, minutes
from agent.reports.layout.table import Cell, Column, Table
from agent.reports.model import Report, Signed

UNKNOWN = {
    "off": mark("the box was off, or its last records were lost"),
    "clock": mark("the clock was not to be trusted"),
    "before_journal": mark("before the first record that is kept"),
    "after_journal": mark("after the newest record"),
}
SIGNATURE = {
    "good": mark("good"),
    "bad": mark("NOT of this box's key"),
    "unchecked": mark("not checked: no public key at hand"),
    "none": mark("no checkpoint yet: not signed"),
}


def unknown(report: Report, s: Speech) -> Table:
    t, head = s.t, report.head
    notes = [t("In these times nothing is counted as normal, and nothing as a fault.")]
    if head.evicted:
        notes.append(
            t(
                "%(n)s records of routine passages are no longer kept in full, as storage ran short: passages and "
                "refusals are counted without them.",
                n=head.evicted,
            )
        )
    notes += [
        f"{s.when(one.at)} · {s.kind(one.kind)}{f' ({one.text})' if one.text else ''} · {s.ref(one.ref)}"
        for one in report.coverage.troubles[:50]
    ]
    return Table(
        id="unknown",
        title=t("What the journal does not know"),
        short=t("Unknown"),
        columns=(
            Column(t("From"), "time", 19),
            Column(t("To"), "time", 19),
            Column(t("Minutes"), "minutes", 10),
            Column(t("Why"), "text", 44),
        ),
        rows=tuple(
            (s.time(span.from_ms), s.time(span.to_ms), minutes(span.ms), s.of(UNKNOWN, span.why))
            for span in report.coverage.unknown
        ),
        notes=tuple(notes),
        empty=t("There was no such time."),
    )


def starts(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="starts",
        title=t("Starts of the box"),
        short=t("Starts"),
        columns=(
            Column(t("Time"), "time", 19),
            Column(t("Reason"), "text", 24),
            Column(t("Without a record before it, min"), "minutes", 14),
        ),
        rows=tuple(
            (s.when(boot.at), s.why(boot.reason) or None, minutes(boot.dark_ms)) for boot in report.coverage.boots
        ),
        empty=t("The box was not started in this month."),
    )


def checkpoints(report: Report, s: Speech) -> Table:
    t, head = s.t, report.head
    return Table(
        id="checkpoints",
        title=t("Signed checkpoints that this report was made from"),
        short=t("Checkpoints"),
        columns=(
            Column(t("Origin"), "text", 34),
            Column(t("Epoch"), "count", 9),
            Column(t("Size"), "count", 10),
            Column(t("Root"), "text", 46),
            Column(t("Signature"), "text", 26),
            Column(t("Records used"), "text", 22),
            Column(t("Last record signed"), "count", 12),
        ),
        rows=tuple(_checkpoint(one, report, s) for one in head.checkpoints),
        notes=(
            t(
                "Records %(first)s to %(last)s, %(n)s of them, lie in this month.",
                first=head.from_seq,
                last=head.to_seq,
                n=head.records,
            ),
            t(
                "To check: menwei report verify FILE makes this report anew from the journal and compares; menwei "
                "journal verify checks the journal itself, with a checkpoint that the district keeps."
            ),
        ),
    )


def _checkpoint(one: Signed, report: Report, s: Speech) -> tuple[Cell, ...]:
    first, last = max(one.first_seq, report.head.from_seq), min(one.last_seq, report.head.to_seq)
    return (
        one.origin or None,
        one.epoch,
        one.size or None,
        one.root or None,
        s.of(SIGNATURE, one.signature),
        f"{first}–{last}",
        one.covered_seq or None,
    )
