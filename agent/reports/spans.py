"""Stretches of time: cut to a month, counted by day, and what is left of them where nothing is known."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agent.reports.month import Month


class Span(msgspec.Struct, frozen=True, order=True):
    """From `from_ms` up to `to_ms`, UTC; `why` tells what it was. Ordered by their beginning."""

    from_ms: int
    to_ms: int
    why: str = ""

    @property
    def ms(self) -> int:
        return self.to_ms - self.from_ms


def cut(span: Span, from_ms: int, to_ms: int) -> Span | None:
    """What of a span lies between two instants; None when nothing does."""
    start, end = max(span.from_ms, from_ms), min(span.to_ms, to_ms)
    return Span(start, end, span.why) if start < end else None


def within(spans: Iterable[Span], month: Month) -> list[Span]:
    return [part for span in spans if (part := cut(span, month.from_ms, month.to_ms)) is not None]


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same time without overlaps, oldest first; of spans that overlap the first one's `why` stays."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.from_ms <= found[-1].to_ms:
            found[-1] = Span(found[-1].from_ms, max(found[-1].to_ms, span.to_ms), found[-1].why)
        else:
            found.append(span)
    return found


def minus(spans: Iterable[Span], gone: Iterable[Span]) -> list[Span]:
    """The spans without what lies in `gone`."""
    left = sorted(spans)
    for hole in gone:
        left = [part for span in left for part in _without(span, hole)]
    return left


def _without(span: Span, hole: Span) -> list[Span]:
    if hole.to_ms <= span.from_ms or span.to_ms <= hole.from_ms:
        return [span]
    parts = (Span(span.from_ms, hole.from_ms, span.why), Span(hole.to_ms, span.to_ms, span.why))
    return [part for part in parts if part.ms > 0]


def by_day_ms(spans: Iterable[Span], month: Month) -> list[int]:
    """How much of each of the month's days they cover."""
    found = [0] * len(month.days)
    for span in within(spans, month):
        for day in range(month.day(span.from_ms), month.day(span.to_ms - 1) + 1):
            part = cut(span, month.edges[day], month.edges[day + 1])
            assert part is not None, "a day that the span touches"
            found[day] += part.ms
    return found


class Track:
    """One thing that is always in one state. Stretches that ended before `keep_from_ms` are forgotten."""

    def __init__(self, state: str, keep_from_ms: int) -> None:
        self.state = state
        self.since_ms = 0
        self._spans: list[Span] = []
        self._keep_from_ms = keep_from_ms

    def set(self, state: str, at_ms: int) -> None:
        """In this state from now on. Time that seems to run backwards ends a stretch where it began."""
        if state == self.state:
            return
        if at_ms > max(self.since_ms, self._keep_from_ms):
            self._spans.append(Span(self.since_ms, at_ms, self.state))
        self.state, self.since_ms = state, max(at_ms, self.since_ms)

    def end(self, at_ms: int) -> list[Span]:
        """Every stretch that was kept, up to then."""
        last = Span(self.since_ms, at_ms, self.state)
        return [*self._spans, last] if last.ms > 0 else list(self._spans)
