"""The ledger of hazards. Its open entries stand in the picture that survives restarts, whole: what was found, by
whom it is seen to, and until when."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from agent.core.calendar import DAY_MS
from agent.reports.model import MOST_ROWS, Hazard, When
from agent.reports.month import Month
from agent.reports.records import Told
from agent.reports.spans import Span


class _Entry(msgspec.Struct):
    what: str
    owner: str
    found_ms: int
    due_ms: int
    closed: When | None = None
    photo: str = ""


class _Ledger(msgspec.Struct):
    """What of the picture that survives restarts is the ledger's."""

    hazards: dict[str, _Entry] = {}


class HazardsBook:
    kinds: ClassVar[frozenset[str]] = frozenset({"box.latched", "hazard.closed", "hazard.photo"})

    def __init__(self, month: Month) -> None:
        self._month = month
        self._entries: dict[str, _Entry] = {}
        self._done: list[tuple[str, _Entry]] = []
        self._more = 0

    def gap(self, span: Span) -> None:
        """The ledger survives a restart."""

    def see(self, told: Told, inside: bool) -> None:
        if told.kind == "hazard.closed":
            self._close(told, inside)
        elif told.kind == "hazard.photo":
            self._photo(told)
        elif told.at_ms < self._month.to_ms:
            ledger = told.part("duty", _Ledger) or _Ledger()
            for name, entry in ledger.hazards.items():
                self._entries.setdefault(name, entry)

    def _photo(self, told: Told) -> None:
        """The newest picture taken before the month's end counts."""
        entry = self._entries.get(told.text("hazard"))
        if entry is not None and told.at_ms < self._month.to_ms:
            entry.photo = told.text("sha256")

    def _close(self, told: Told, inside: bool) -> None:
        entry = self._entries.get(told.text("hazard"))
        if entry is None or told.at_ms >= self._month.to_ms:
            return
        del self._entries[told.text("hazard")]
        entry.closed = told.when
        if inside and len(self._done) < MOST_ROWS:
            self._done.append((told.text("hazard"), entry))
        else:
            self._more += inside

    def done(self, until_ms: int) -> tuple[tuple[Hazard, ...], int]:
        """Closed in the month, then still open at its end, each by when it was found; and how many more there are."""
        rows = [*self._done, *self._entries.items()]
        found = sorted((_hazard(name, entry, until_ms) for name, entry in rows), key=lambda one: one.found_ms)
        return tuple(found[:MOST_ROWS]), self._more + max(0, len(found) - MOST_ROWS)


def _hazard(name: str, entry: _Entry, until_ms: int) -> Hazard:
    end_ms = until_ms if entry.closed is None else entry.closed.at_ms
    return Hazard(
        hazard=name,
        what=entry.what,
        owner=entry.owner,
        found_ms=entry.found_ms,
        due_ms=entry.due_ms,
        closed=entry.closed,
        days=max(0, (end_ms - entry.found_ms) // DAY_MS),
        late=end_ms > entry.due_ms,
        photo=entry.photo,
    )
