"""Rule two: the bollards."""

from __future__ import annotations

from agent.locale import mark
from agent.reports.layout.speech import Speech, minutes, share
from agent.reports.layout.table import Column, Table
from agent.reports.model import LaneUse, Report
from agent.web import words

OUT = {
    "lost": mark("its controller could not be read"),
    "fault": mark("closed after a fault"),
    "between": mark("a bollard stood between its ends"),
    "monitor_only": mark("only watched, never moved"),
    "not_commissioned": mark("no bollard there is commissioned"),
}


def out(why: str, s: Speech) -> str:
    """Why a lane could not serve."""
    kind, colon, mode = why.partition(":")
    if colon and kind == "mode":
        return s.t("selector on “%(mode)s”", mode=s.of(words.MODE, mode))
    return s.of(OUT, why)


def availability(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="lanes",
        title=t("Bollard lanes: share of the time in which they could serve"),
        short=t("Lanes"),
        columns=(
            Column(t("Lane"), "text", 14),
            Column(t("Could serve"), "percent", 10),
            Column(t("Could serve, min"), "minutes", 11),
            Column(t("Could not serve, min"), "minutes", 11),
            Column(t("Why not, min"), "text", 34),
            Column(t("Unknown, min"), "minutes", 11),
            Column(t("Raises asked"), "count", 9),
            Column(t("Lowers asked"), "count", 9),
            Column(t("Refused"), "count", 9),
        ),
        rows=tuple(
            (
                s.w.name("lane", lane.lane),
                share(lane.available_ms, lane.known_ms),
                minutes(lane.available_ms),
                minutes(lane.known_ms - lane.available_ms),
                _reasons(lane, s),
                minutes(lane.unknown_ms),
                dict(lane.asked).get("raise", 0),
                dict(lane.asked).get("lower", 0),
                lane.refused,
            )
            for lane in report.lanes.lanes
        ),
        notes=(
            t(
                "The share is of the time that is known; unknown time (box off, records missing) counts as neither. "
                "Whether a lane is only watched is as the site file says now."
            ),
        ),
        empty=t("This site has no bollard lane."),
    )


def _reasons(lane: LaneUse, s: Speech) -> str:
    return "; ".join(f"{out(why, s)} {minutes(ms)}" for why, ms in lane.out_ms)


def bollards(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="bollards",
        title=t("Bollards: motions and tests"),
        short=t("Bollards"),
        columns=(
            Column(t("Lane"), "text", 12),
            Column(t("Bollard"), "text", 12),
            Column(t("Raises"), "count", 8),
            Column(t("Lowers"), "count", 8),
            Column(t("Emergency raises"), "count", 12),
            Column(t("Proven up"), "count", 8),
            Column(t("Proven down"), "count", 8),
            Column(t("Full cycles"), "count", 8),
            Column(t("Turned round"), "count", 8),
            Column(t("Faults"), "count", 8),
            Column(t("Moved unasked"), "count", 10),
            Column(t("Mean rise, ms"), "ms", 9),
            Column(t("Longest rise, ms"), "ms", 9),
            Column(t("Last full cycle"), "time", 19),
        ),
        rows=tuple(
            (
                s.w.name("lane", one.lane), s.w.name("bollard", one.bollard), one.raises, one.lowers, one.efo, one.ups,
                one.downs, one.cycles, one.reversals, one.faults, one.unasked, one.mean_rise_ms, one.longest_rise_ms,
                s.when(one.last_cycle),
            )
            for one in report.lanes.bollards
        ),
        notes=(
            t(
                "A full cycle is a raise and the lower behind it, both proven by limit switches: it is the test of a "
                "bollard. Raises and lowers count commands sent."
            ),
        ),
        empty=t("This site has no bollard."),
    )  # fmt: skip


def refusals(report: Report, s: Speech) -> Table:
    t = s.t
    return Table(
        id="lane-refusals",
        title=t("Motions refused or given up"),
        short=t("Motions refused"),
        columns=(
            Column(t("Lane"), "text", 14),
            Column(t("Motion"), "text", 14),
            Column(t("Reason"), "text", 40),
            Column(t("How often"), "count", 10),
        ),
        rows=tuple(
            (s.w.name("lane", one.lane), s.of(VERB, one.verb), s.why(one.why), one.count)
            for one in report.lanes.refusals
        ),
        empty=t("No motion was refused."),
    )


VERB = {**words.MOTION, "stop": mark("Stop"), "lane_clear_fault": mark("clear a fault")}
