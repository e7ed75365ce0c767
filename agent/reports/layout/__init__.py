"""From a report to tables of words and numbers, the same for paper, CSV and spreadsheets."""

from __future__ import annotations

from agent.reports.layout import campus, duty, lanes, panic, proof, summary, things
from agent.reports.layout.speech import Speech
from agent.reports.layout.table import Cell, Column, Table
from agent.reports.model import EMPTY, Report

__all__ = ["Cell", "Column", "Speech", "Table", "tables", "titles"]


def titles(s: Speech) -> tuple[tuple[str, str], ...]:
    """(id, title) of every table."""
    return tuple((table.id, table.title) for table in tables(EMPTY, s))


def tables(report: Report, s: Speech) -> tuple[Table, ...]:
    """Every table of the report, in the order of the five rules; what proves them comes last."""
    return (
        summary.rules(report, s),
        duty.days(report, s),
        duty.patrols(report, s),
        duty.log(report, s),
        lanes.availability(report, s),
        lanes.bollards(report, s),
        lanes.refusals(report, s),
        things.pictures(s),
        campus.days(report, s),
        campus.exceptions(report, s),
        campus.refusals(report, s),
        campus.passages(report, s),
        panic.presses(report, s),
        panic.receipts(report, s),
        panic.tests(report, s),
        panic.drills(report, s),
        things.hazards(report, s),
        things.device_sums(report, s),
        things.device_log(report, s),
        things.visits(report, s),
        proof.unknown(report, s),
        proof.starts(report, s),
        proof.checkpoints(report, s),
    )
