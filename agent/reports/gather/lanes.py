"""The bollards: how long each lane could serve, what kept it from it, and what its bollards did."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import ClassVar

from agent.reports.model import BollardUse, Lanes, LaneUse, Refusal, When
from agent.reports.month import Month
from agent.reports.records import STARTED, Told
from agent.reports.spans import Span, Track, cut
from hardware.site import Lane, Site

UNKNOWN = "unknown"
STARTING = "starting"
START_MS = 60_000  # D: by then a box that started has read what can be read
REMOTE = "remote"


class _BollardBook:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rises_ms: Counter[str] = Counter()
        self.is_up = False
        self.last_cycle: When | None = None


class _LaneBook:
    """What is known of a lane now, and of the month so far."""

    def __init__(self, lane: Lane, month: Month) -> None:
        self.id = lane.id
        self.monitor = "monitor_only" if lane.monitor_only else ""
        if not self.monitor and not any(bollard.commissioned for bollard in lane.bollard):
            self.monitor = "not_commissioned"
        self.known = False
        self.lost = True
        self.starting = False
        self.closed = False
        self.between: set[str] = set()
        self.mode = UNKNOWN
        self.track = Track(UNKNOWN, month.from_ms)
        self.bollards = {bollard.id: _BollardBook() for bollard in lane.bollard}
        self.asked: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()

    def start(self) -> None:
        """The box starts: a latch is told again, everything else is read anew."""
        self.known, self.lost, self.closed, self.mode = True, True, False, UNKNOWN
        self.starting = True
        self.between.clear()

    def state(self) -> str:
        """Why the lane cannot serve, "" = it can; the worst reason first."""
        if not self.known:
            return UNKNOWN
        if self.monitor or self.lost:
            return self.monitor or (STARTING if self.starting else "lost")
        if self.closed or self.between:
            return "fault" if self.closed else "between"
        return "" if self.mode == REMOTE else f"mode:{self.mode}"


class LanesBook:
    kinds: ClassVar[frozenset[str]] = frozenset(
        f"lane.{what}"
        for what in (
            "asked", "refused", "token", "position", "reversal", "fault", "unasked", "cleared", "mode", "restored",
            "lost", "back",
        )
    ) | {STARTED}  # fmt: skip

    def __init__(self, site: Site, month: Month) -> None:
        self._month = month
        self._lanes = {lane.id: _LaneBook(lane, month) for lane in site.lane}

    def gap(self, span: Span) -> None:
        for lane in self._lanes.values():
            state = lane.track.state
            lane.track.set(UNKNOWN, span.from_ms)
            lane.track.set(state, span.to_ms)

    def see(self, told: Told, inside: bool) -> None:
        if told.kind == STARTED:
            for lane in self._lanes.values():
                lane.start()
                lane.track.set(lane.state(), told.at_ms)
            return
        found = self._lanes.get(told.thing)
        if found is None:  # a lane that the site file no longer has
            return
        _note(found, told)
        found.track.set(found.state(), told.at_ms)
        _follow_end(found, told, inside=inside)
        if inside:
            _count(found, told)

    # ── the month ──────────────────────────────────────────────────────────────────────────────────────────────

    def done(self, until_ms: int) -> Lanes:
        lanes = self._lanes.values()
        return Lanes(
            lanes=tuple(self._lane(lane, until_ms) for lane in lanes),
            bollards=tuple(_bollard(lane.id, name, book) for lane in lanes for name, book in lane.bollards.items()),
            refusals=tuple(
                Refusal(lane.id, verb, why, count)
                for lane in lanes
                for (verb, why), count in sorted(lane.refused.items())
            ),
        )

    def _lane(self, lane: _LaneBook, until_ms: int) -> LaneUse:
        sums: Counter[str] = Counter()
        for span in chain.from_iterable(map(_started, lane.track.end(until_ms))):
            part = cut(span, self._month.from_ms, until_ms)
            sums[span.why] += part.ms if part is not None else 0
        unknown_ms, available_ms = sums.pop(UNKNOWN, 0), sums.pop("", 0)
        return LaneUse(
            lane=lane.id,
            available_ms=available_ms,
            unknown_ms=unknown_ms,
            out_ms=tuple(sorted(((why, ms) for why, ms in sums.items() if ms), key=lambda one: (-one[1], one[0]))),
            asked=tuple(sorted(lane.asked.items())),
            refused=sum(lane.refused.values()),
        )


def _started(span: Span) -> tuple[Span, ...]:
    """Of a lane that was not read since a start: the first while nobody can know, then it is lost."""
    if span.why != STARTING:
        return (span,)
    middle_ms = min(span.to_ms, span.from_ms + START_MS)
    return (Span(span.from_ms, middle_ms, UNKNOWN), Span(middle_ms, span.to_ms, "lost"))


def _note(lane: _LaneBook, told: Told) -> None:
    """What a record says about whether the lane can serve."""
    match told.kind:
        case "lane.lost":
            lane.lost, lane.starting, lane.mode = True, False, UNKNOWN
        case "lane.back":
            lane.known, lane.lost, lane.starting = True, False, False
        case "lane.mode":
            lane.mode = told.text("mode")
        case "lane.token" if not lane.known:  # the journal begins in the middle: what is moved can serve
            lane.known, lane.lost, lane.mode = True, False, REMOTE
        case "lane.unasked":
            lane.closed = True
        case "lane.fault":
            if told.text("why") == "between":
                lane.between.add(told.text("bollard"))
            else:
                lane.closed = True
        case "lane.cleared":
            lane.closed = False
            lane.between.clear()
        case "lane.restored":
            lane.closed = told.data.get("closed") is True
        case "lane.position":
            lane.between.discard(told.text("bollard"))


def _follow_end(lane: _LaneBook, told: Told, *, inside: bool) -> None:
    """A cycle is a raise and the lower behind it, both proven by limit switches."""
    book = lane.bollards.get(told.text("bollard"))
    if told.kind != "lane.position" or book is None:
        return
    is_up = told.text("position") == "up"
    if book.is_up and not is_up and inside:
        book.counts["cycle"] += 1
        book.last_cycle = told.when
    book.is_up = is_up


def _count(lane: _LaneBook, told: Told) -> None:
    if told.kind == "lane.asked":
        lane.asked[told.text("motion")] += 1
    elif told.kind == "lane.refused":
        lane.refused[told.text("verb"), told.text("why")] += 1
    book = lane.bollards.get(told.text("bollard"))
    if book is None:
        return
    match told.kind:
        case "lane.token":
            book.counts[told.text("motion")] += 1
        case "lane.position":
            book.counts[told.text("position")] += 1
            took_ms = told.number("ms")
            if told.text("position") == "up" and took_ms is not None:
                book.rises_ms["count"] += 1
                book.rises_ms["sum"] += took_ms
                book.rises_ms["most"] = max(book.rises_ms["most"], took_ms)
        case "lane.reversal" | "lane.fault" | "lane.unasked":
            book.counts[told.kind] += 1


def _bollard(lane: str, name: str, book: _BollardBook) -> BollardUse:
    counts, rises = book.counts, book.rises_ms
    return BollardUse(
        lane=lane,
        bollard=name,
        raises=counts["raise"],
        lowers=counts["lower"],
        efo=counts["efo"],
        ups=counts["up"],
        downs=counts["down"],
        cycles=counts["cycle"],
        reversals=counts["lane.reversal"],
        faults=counts["lane.fault"],
        unasked=counts["lane.unasked"],
        mean_rise_ms=round(rises["sum"] / rises["count"]) if rises["count"] else None,
        longest_rise_ms=rises["most"] if rises["count"] else None,
        last_cycle=book.last_cycle,
    )
