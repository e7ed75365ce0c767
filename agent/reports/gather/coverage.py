"""What the journal does not know: when the box was off, what it never had, where its clock or its file was in doubt."""

from __future__ import annotations

from typing import ClassVar

from agent.reports.model import MOST_ROWS, Boot, Coverage, Trouble
from agent.reports.month import Month
from agent.reports.records import STARTED, Told
from agent.reports.spans import Span, joined, within

_TROUBLES = {
    "box.new_epoch": "why",
    "box.restore_failed": "part",
    "box.bug": "what",
    "journal.problem": "what",
    "journal.failing": "why",
    "journal.ok": "",
    "journal.pruned": "why",
    "journal.evicted": "why",
    "clock.trust": "to",
    "clock.off": "step_ms",
    "clock.stepped": "step_ms",
    "clock.unsynced": "hours",
}
"""kind → the field of its data that says more"""


class CoverageBook:
    kinds: ClassVar[frozenset[str]] = frozenset({STARTED, *_TROUBLES})

    def __init__(self, month: Month) -> None:
        self._month = month
        self._dark_ms = 0
        self._boots: list[Boot] = []
        self._troubles: list[Trouble] = []
        self.gaps: list[Span] = []

    def gap(self, span: Span) -> None:
        self.gaps += within([span], self._month)
        self._dark_ms = span.ms if span.why != "before_journal" else 0

    def see(self, told: Told, inside: bool) -> None:
        if told.kind == STARTED:
            if inside and len(self._boots) < MOST_ROWS:
                self._boots.append(Boot(told.when, told.text("reason"), self._dark_ms))
            self._dark_ms = 0
        elif inside and len(self._troubles) < MOST_ROWS:
            text = told.text(_TROUBLES[told.kind]) if _TROUBLES[told.kind] else ""
            self._troubles.append(Trouble(told.when, told.kind, text, told.ref))

    def done(self) -> Coverage:
        return Coverage(tuple(joined(self.gaps)), tuple(self._boots), tuple(self._troubles))
