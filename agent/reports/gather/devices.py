"""The device log: every fault with its beginning and end, and how much of the month each thing was not well."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, TypeAlias

import msgspec

from agent.reports.model import MOST_ROWS, Devices, DeviceSpan, DeviceSum
from agent.reports.month import Month
from agent.reports.records import STARTED, Told
from agent.reports.spans import Span, cut

BEGINS = {
    "device.lost": "", "output.fault": "", "supply.lost": "", "supply.alarm": "", "supply.unread": "",
    "path.down": "", "panic.line_fault": "line", "panic.stuck": "", "panic.chatter": "", "lane.lost": "",
    "lane.fault": "why", "lane.unasked": "why", "fire.unread": "", "journal.failing": "", "clock.off": "",
}  # fmt: skip
ENDS = {
    "device.back": ("device.lost",),
    "output.ok": ("output.fault",),
    "supply.ok": ("supply.lost", "supply.alarm", "supply.unread"),
    "path.up": ("path.down",),
    "panic.line_ok": ("panic.line_fault", "panic.chatter"),
    "panic.released": ("panic.stuck",),
    "lane.back": ("lane.lost",),
    "lane.cleared": ("lane.fault", "lane.unasked"),
    "fire.read": ("fire.unread",),
    "journal.ok": ("journal.failing",),
    "clock.trust": ("clock.off",),
}
"""kind that ends → the kinds it ends, of the same thing"""
LATCHED = frozenset({"lane.fault", "lane.unasked"})  # these outlive a restart


_Key: TypeAlias = tuple[str, str, str]  # kind, subject, bollard


class _Open(msgspec.Struct):
    told: Told
    since_ms: int


class DevicesBook:
    kinds: ClassVar[frozenset[str]] = frozenset({*BEGINS, *ENDS, STARTED, "lane.position"})

    def __init__(self, month: Month) -> None:
        self._month = month
        self._open: dict[_Key, _Open] = {}
        self._spans: list[DeviceSpan] = []
        self._more = 0
        self._faults: Counter[str] = Counter()
        self._ill: dict[str, tuple[int, int]] = {}  # thing → how many of its faults are open, and since when it is ill
        self._sums_ms: Counter[str] = Counter()
        self._dark_ms: int | None = None

    def gap(self, span: Span) -> None:
        self._dark_ms = span.from_ms

    def see(self, told: Told, inside: bool) -> None:
        if told.kind == STARTED:
            self._restart(told.at_ms if self._dark_ms is None else self._dark_ms)
            self._dark_ms = None
            return
        if told.kind == "lane.position":
            self._end(("lane.fault", told.subject, told.text("bollard")), told, why="between")
        for kind in ENDS.get(told.kind, ()):
            for key in [key for key in self._open if key[:2] == (kind, told.subject)]:
                self._end(key, told)
        if told.kind in BEGINS:
            self._begin(told)

    def _begin(self, told: Told) -> None:
        """A loss that becomes an alarm goes on since the loss; a lane is not lost again with its controller."""
        if told.kind == "lane.lost" and ("device.lost", told.subject, "") in self._open:
            return
        lost = self._open.get(("supply.lost", told.subject, "")) if told.kind == "supply.alarm" else None
        if lost is not None:
            lost.told = told
            return
        key = (told.kind, told.subject, told.text("bollard"))
        if key not in self._open:
            self._open[key] = _Open(told, told.at_ms)
            count, ill_ms = self._ill.get(told.subject, (0, told.at_ms))
            self._ill[told.subject] = (count + 1, ill_ms)

    def _restart(self, at_ms: int) -> None:
        """What the box reads anew is told anew if it is still there."""
        for key in [key for key in self._open if key[0] not in LATCHED]:
            self._close(self._open.pop(key), at_ms, "restart")

    def _end(self, key: _Key, told: Told, why: str = "") -> None:
        """`why`: only a fault of that reason."""
        found = self._open.get(key)
        if found is not None and why in ("", found.told.text("why")):
            self._close(self._open.pop(key), told.at_ms, "")

    def _close(self, found: _Open, at_ms: int, end: str) -> None:
        self._mend(found.told.subject, at_ms)
        part = cut(Span(found.since_ms, max(at_ms, found.since_ms + 1)), self._month.from_ms, self._month.to_ms)
        if part is None:
            return
        told = found.told
        self._faults[told.subject] += 1
        if len(self._spans) >= MOST_ROWS:
            self._more += 1
            return
        field = BEGINS[told.kind]
        why = told.text(field) if field else told.text("why")
        self._spans.append(
            DeviceSpan(
                thing=told.subject, kind=told.kind, why=why, from_ms=found.since_ms, to_ms=at_ms, ms=part.ms,
                end=end, ref=told.ref,
            )
        )  # fmt: skip

    def _mend(self, thing: str, at_ms: int) -> None:
        """One of its faults is over; with the last one its time is added up, so that none counts twice."""
        count, ill_ms = self._ill.pop(thing)
        if count > 1:
            self._ill[thing] = (count - 1, ill_ms)
        elif part := cut(Span(ill_ms, at_ms), self._month.from_ms, self._month.to_ms):
            self._sums_ms[thing] += part.ms

    def done(self, until_ms: int) -> Devices:
        for found in self._open.values():
            self._close(found, max(until_ms, found.since_ms), "open")
        self._open.clear()
        return Devices(
            spans=tuple(sorted(self._spans, key=lambda span: (span.from_ms, span.ref))),
            more_spans=self._more,
            sums=tuple(
                DeviceSum(thing, faults, self._sums_ms[thing])
                for thing, faults in sorted(self._faults.items(), key=lambda one: (-self._sums_ms[one[0]], one[0]))
            ),
        )
