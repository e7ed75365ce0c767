"""What waits to be written: in order, bounded while the disk fails, emergencies never dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from agent.core.records import Record

BATCH_RECORDS = 512  # D: a group stays small enough that an emergency behind it is not kept waiting
KEEP_RECORDS = 10_000  # D: about 10 MB of records in memory while the disk fails; routine ones beyond it are dropped
DROPPED = "journal.dropped"


class Group(msgspec.Struct):
    """Records of one step of the core, or a run of them that was dropped (then `records` has only its first)."""

    records: Sequence[Record]
    urgent: bool
    at: float  # monotonic seconds of the append
    dropped: int = 0  # how many records were here before they were dropped

    @property
    def count(self) -> int:
        return self.dropped or len(self.records)


class Pending:
    """The writer thread's queue. `droppable` tells which kinds of record may be given up when memory runs short."""

    def __init__(self, droppable: Callable[[str], bool]) -> None:
        self._droppable = droppable
        self._groups: deque[Group] = deque()
        self.records = 0  # numbers waiting, dropped ones included
        self._held = 0  # records really in memory

    def __bool__(self) -> bool:
        return bool(self._groups)

    def add(self, group: Group) -> None:
        self._groups.append(group)
        self.records += group.count
        self._held += len(group.records)

    @property
    def first(self) -> Record | None:
        return self._groups[0].records[0] if self._groups else None

    @property
    def oldest_at(self) -> float | None:
        return self._groups[0].at if self._groups else None

    @property
    def urgent_first(self) -> bool:
        return bool(self._groups) and self._groups[0].urgent

    def batch(self) -> list[Record]:
        """The next records to write, oldest first. It ends with an emergency if routine records would come after it:
        an emergency is not kept waiting for what is behind it."""
        records: list[Record] = []
        urgent = False
        for group in self._groups:
            if len(records) >= BATCH_RECORDS or (urgent and not group.urgent):
                break
            urgent = group.urgent
            records += group.records if not group.dropped else stand_ins(group, BATCH_RECORDS)
        return records

    def written(self, count: int) -> None:
        """The first `count` records are on disk."""
        self.records -= count
        while count:
            group = self._groups[0]
            if group.count > count:
                self._groups[0] = _rest(group, count)
                self._held -= len(group.records) - len(self._groups[0].records)
                return
            count -= group.count
            self._held -= len(group.records)
            self._groups.popleft()

    def thin(self) -> int:
        """While the disk fails: give up the oldest routine records beyond the bound. Returns how many were given up.

        Their numbers stay: each is written later as a record that says it was dropped, so that no gap looks like a
        deletion.
        """
        if self._held <= KEEP_RECORDS:
            return 0
        given_up = 0
        kept: deque[Group] = deque()
        for group in self._groups:
            if self._held > KEEP_RECORDS and not group.dropped and self._may_go(group):
                self._held -= len(group.records) - 1
                given_up += len(group.records)
                group = Group(group.records[:1], False, group.at, len(group.records))
            if kept and group.dropped and kept[-1].dropped:
                kept[-1].dropped += group.dropped
                self._held -= 1
            else:
                kept.append(group)
        self._groups = kept
        return given_up

    def _may_go(self, group: Group) -> bool:
        return not group.urgent and all(self._droppable(record.kind) for record in group.records)


def _rest(group: Group, count: int) -> Group:
    """A group without its first `count` records."""
    if not group.dropped:
        return Group(group.records[count:], group.urgent, group.at)
    first = group.records[0]
    moved = msgspec.structs.replace(first, seq=first.seq + count)
    return Group([moved], False, group.at, group.dropped - count)


def stand_ins(group: Group, most: int) -> list[Record]:
    """What is written in the place of dropped records: their numbers, and that they were dropped."""
    first = group.records[0]
    return [
        msgspec.structs.replace(
            first,
            actor="box",
            cause=None,
            data={"why": "the card refused records for so long that memory ran short"},
            kind=DROPPED,
            seq=first.seq + offset,
            subject="journal",
        )
        for offset in range(min(group.dropped, most))
    ]
