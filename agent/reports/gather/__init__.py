"""What each part of a report takes from the records, one file for each part."""

from __future__ import annotations

from typing import ClassVar, Protocol

from agent.reports.records import Told
from agent.reports.spans import Span


class Gatherer(Protocol):
    """Sees the records of its `kinds`, oldest first, from the journal's beginning on; counts those `inside` the month.

    `gap` is time of which nothing is known: called when it is over, before the record that ends it.
    """

    kinds: ClassVar[frozenset[str]]

    def see(self, told: Told, inside: bool) -> None: ...

    def gap(self, span: Span) -> None: ...
