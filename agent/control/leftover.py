"""Alarms of before this start that ended while nobody looked: a line mended, a door closed, the mains back.

What the gate remembers of them ends with the process, and a centre that was told of one would hold it open for good. So
the journal is asked which had no end, and what has not shown itself again and is seen to be well is told as over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from agent.control.runtime import Runtime
from agent.core.endings import ENDING_KINDS, ends
from agent.core.events import Note, Seq
from agent.core.records import Record
from agent.core.state import BoxState
from agent.core.words import Contact, Line
from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.reader import JournalReader

SETTLE_S = 60.0  # D: as long as the longest grace, the mains': what is still wrong has shown itself by then
AGAIN_S = 30.0  # D: what is not well yet is looked at again so often
PAGE = 500
MOST = 20_000  # D: alarms and ends, each door's closing among them; some days of a large school

_Open: TypeAlias = dict[tuple[str, str], Seq]  # (kind, subject) → the alarm's record
log = logging.getLogger("menwei.control")


def _line(state: BoxState, name: str) -> bool:
    button = state.panic.buttons.get(name)
    refs = (None, None, None) if button is None else (button.fault_ref, button.chatter_ref, button.stuck_ref)
    return button is not None and button.line is Line.NORMAL and refs == (None, None, None)


def _supply(state: BoxState, which: str) -> bool:
    return state.health.supplies.get(which) is True


def _door(state: BoxState, name: str) -> bool:
    return name in state.doors and state.doors[name].contact is Contact.CLOSED


def _output(state: BoxState, name: str) -> bool:
    """Every device answers and none says that it does not obey."""
    return not state.health.outputs and all(device.up for device in state.health.devices.values())


def _fire_input(state: BoxState, name: str) -> bool:
    return state.fire.input is not None and state.fire.fault_ref is None


def _path(state: BoxState, name: str) -> bool:
    return any(path.up for path in state.health.paths.values())


# Whether the thing an alarm told of is well, by what follows the colon of its subject. Latches (panic, fire, a lane's
# fault) and drills outlive a start, and end as always.
_WELL: dict[str, Callable[[BoxState, str], bool]] = {
    "door.forced": _door,
    "door.held_open": _door,
    "fire.unread": _fire_input,
    "output.fault": _output,
    "panic.chatter": _line,
    "panic.line_fault": _line,
    "panic.stuck": _line,
    "path.none": _path,
    "supply.alarm": _supply,
    "supply.unread": _supply,
}


class Leftovers:
    """What is still to be ended: `open` from the journal once, `note` for every record then, `judge` now and again."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.open: _Open = {}

    def note(self, records: Sequence[Record]) -> None:
        """What ended as always, or was told as over just now."""
        if self.open:
            for record in records:
                for kind in ends(record.kind, record.data, record.cause):
                    self.open.pop((kind, record.subject), None)

    def judge(self) -> None:
        """One record for each alarm whose thing is well."""
        for (kind, subject), ref in tuple(self.open.items()):
            if _WELL[kind](self._runtime.state, subject.partition(":")[2]):
                self._runtime.handle(Note("alarm.over", subject, "box", {"alarm": list(ref), "kind": kind}))


def recall(path: Path) -> _Open:
    """The alarms in the journal at `path` that have no end; none where it cannot be read."""
    left: _Open = {}
    ended: set[tuple[str, str] | Seq] = set()
    kinds, seen = ENDING_KINDS | _WELL.keys(), 0
    before: int | None = None
    try:
        with JournalReader(path) as reader:
            while seen < MOST:
                rows = reader.records(kinds, PAGE, before)
                for row in rows:
                    _take(row.data or {}, left, ended)
                if len(rows) < PAGE:
                    break
                before, seen = rows[-1].seq, seen + len(rows)
    except JOURNAL_ERRORS as error:
        log.info("alarms of before the start cannot be read: %s", error)
    return left


def _take(body: dict[str, object], left: _Open, ended: set[tuple[str, str] | Seq]) -> None:
    """One record, newest first: an alarm is open where no younger record ended it."""
    kind, subject, cause, data = (body.get(name) for name in ("kind", "subject", "cause", "data"))
    if not isinstance(kind, str) or not isinstance(subject, str) or not isinstance(data, dict):
        return
    of = (int(cause[0]), int(cause[1])) if isinstance(cause, list) else None
    over = ends(kind, data, of)
    if over and of is not None:
        ended.add(of)
    ended.update((one, subject) for one in over)
    ref = (int(str(body.get("epoch"))), int(str(body.get("seq"))))
    if kind in _WELL and (kind, subject) not in ended and ref not in ended:
        left.setdefault((kind, subject), ref)
