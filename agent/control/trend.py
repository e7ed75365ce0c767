"""How each bollard's rises went lately, and how often one was turned round: from the records, restarts included."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.core.records import Record, Value
from agent.core.words import Position, Rank
from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.reader import JournalReader
from agent.picture.build import BollardFigures

RISES = 40  # D: so many last rises make the line on the page
RECALLED = 500  # D: records of positions and reversals looked at after a start
KINDS = frozenset({"lane.position", "lane.reversal"})

log = logging.getLogger("menwei.control")


class Trend:
    """Complete routine rises in ms, newest last, and reversals, by bollard. An emergency rise is another motion."""

    def __init__(self) -> None:
        self._rises: dict[str, deque[int]] = {}
        self._reversals: dict[str, int] = {}

    def note(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.kind in KINDS:
                self.take(record.kind, record.data)

    def take(self, kind: str, data: Mapping[str, Value]) -> None:
        """One record's data; what is not a complete rise or a reversal is passed over."""
        bollard = str(data.get("bollard", ""))
        if kind == "lane.reversal":
            self._reversals[bollard] = self._reversals.get(bollard, 0) + 1
        took_ms = data.get("ms")
        if data.get("position") == Position.UP and data.get("by") != Rank.PANIC and isinstance(took_ms, int):
            self._rises.setdefault(bollard, deque(maxlen=RISES)).append(took_ms)

    def figures(self) -> dict[str, BollardFigures]:
        return {
            name: BollardFigures(rises=tuple(self._rises.get(name, ())), reversals=self._reversals.get(name, 0))
            for name in {*self._rises, *self._reversals}
        }


def recall(path: Path) -> list[tuple[str, dict[str, Value]]]:
    """Kind and data of the last positions and reversals in the journal at `path`, oldest first; none if unreadable."""
    try:
        with JournalReader(path) as reader:
            rows = reader.records(KINDS, RECALLED)
    except JOURNAL_ERRORS as error:
        log.info("the bollards' earlier rises cannot be read: %s", error)
        return []
    bodies: list[dict[str, Any]] = [row.data for row in reversed(rows) if row.data is not None]
    return [(str(body["kind"]), body["data"]) for body in bodies]
