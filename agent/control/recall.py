"""Who was inside before this start: the journal's last snapshot, and every passage after it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from agent.core import muster
from agent.core.crowd import Mark
from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.reader import JournalReader

log = logging.getLogger("menwei.control")
PAGE = 500
MOST = 20_000  # D: snapshots come every two hours of passages; a journal without one is young


def recall_inside(path: Path) -> tuple[tuple[str, Mark], ...]:
    """From the journal at `path`; nobody where it cannot be read. It delays a start by milliseconds, never fails it."""
    bodies: list[dict[str, Any]] = []
    try:
        with JournalReader(path) as reader:
            before: int | None = None
            while len(bodies) < MOST:
                rows = reader.records(muster.KINDS, PAGE, before)
                bodies += [row.data for row in rows if row.data is not None]
                if len(rows) < PAGE or any(body.get("kind") == "muster.snapshot" for body in bodies[-len(rows) :]):
                    break
                before = rows[-1].seq
    except JOURNAL_ERRORS as error:
        log.info("who was inside cannot be read: %s", error)
    return muster.fold(reversed(bodies))
