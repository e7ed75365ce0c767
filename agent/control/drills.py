"""Writes the report of each drill once it is over and its last press has been measured.

It reads the journal, off the loop, so that a report tells nothing that is not written there; after a start it makes up
for reports that were still due.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.control.runtime import Runtime
from agent.core.events import Note
from agent.core.records import Record
from agent.drills import report
from agent.drills.report import Ref
from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.files import replace_file
from agent.journal.keys import BoxKey
from agent.journal.reader import JournalReader

FOLDER = "drills"
SETTLE_S = 20.0  # D: a press's hops are written down 15 s after it
RETRY_S = 60.0
TRIES = 10
LOOK_BACK = 50  # D: drills that a start may still owe a report
LONGEST = 20_000  # records between a drill's announcement and its report; a day has about as many

log = logging.getLogger("menwei.control")


class Drills:
    """One box's. `note` hears every record; `owed` is called once after a start."""

    def __init__(self, journal: Path, folder: Path, key: BoxKey, runtime: Runtime) -> None:
        self._journal = journal
        self._folder = folder / FOLDER
        self._key = key
        self._runtime = runtime
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken: set[Ref] = set()  # a drill that a restart ended is told by its record and found as owed: once

    def note(self, records: Sequence[Record]) -> None:
        for record in records:
            started = record.data.get("started")
            if record.kind == "drill.ended" and isinstance(started, list):
                self._write_later(_ref(started))

    async def owed(self) -> None:
        """Reports of drills that ended while, or before, nobody could write them."""
        for started in await asyncio.to_thread(owed, self._journal):
            self._write_later(started)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _write_later(self, started: Ref) -> None:
        if started in self._taken:
            return
        self._taken.add(started)
        task = asyncio.get_running_loop().create_task(self._write(started), name=f"report {report.ident(started)}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, started: Ref) -> None:
        for again_s in (SETTLE_S, *(RETRY_S,) * TRIES):
            await asyncio.sleep(again_s)
            try:
                made = await asyncio.to_thread(self._make, started)
            except JOURNAL_ERRORS as error:
                log.warning("the report of drill %s waits: %s", report.ident(started), error)
                continue
            if made is not None:
                self._runtime.handle(Note("drill.report", f"button:{made['button']}", "box", made))
                return
        log.error("the report of drill %s could not be written; the journal has all of it", report.ident(started))

    def _make(self, started: Ref) -> dict[str, Any] | None:
        """Write the file; the data of its record. None while the journal does not have the end yet."""
        with JournalReader(self._journal) as reader:
            rows = reader.records(None, LONGEST, started[1] + LONGEST)
        bodies = [row.data for row in reversed(rows) if row.data is not None and (row.epoch, row.seq) >= started]
        made = report.build(bodies, started)
        if made is None:
            return None
        data = report.seal(made, self._key)
        self._folder.mkdir(mode=0o750, exist_ok=True)
        replace_file(self._folder / f"{made['id']}.json", data)
        return {
            "answered": bool(made["began"] and made["began"]["answered"]),
            "button": made["button"],
            "drill": True,
            "id": made["id"],
            "presses": len(made["presses"]),
            "sha256": report.digest(data),
        }


def owed(journal: Path) -> list[Ref]:
    """Drills of the journal that ended and have no report, oldest first; none where it cannot be read."""
    try:
        with JournalReader(journal) as reader:
            rows = reader.records({"drill.ended", "drill.report"}, LOOK_BACK)
    except JOURNAL_ERRORS as error:
        log.info("whether a drill's report is owed cannot be read: %s", error)
        return []
    told = [_told(row.data) for row in rows if row.data is not None]
    written = {data["id"] for kind, data in told if kind == "drill.report"}
    ended = [_ref(data["started"]) for kind, data in told if kind == "drill.ended" and data.get("started")]
    return [started for started in reversed(ended) if report.ident(started) not in written]


def _told(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return (body["kind"], body["data"])


def _ref(pair: Any) -> Ref:
    return (int(pair[0]), int(pair[1]))
