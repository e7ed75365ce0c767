"""Records on their way out: cut into messages, the bodies joined as they stand in the journal.

A message holds records of one epoch with numbers one after the other, all live or all late. `prev` names the record
before the first, so that the far side can tell a message that was lost from a record that is no longer there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from agent.core.records import utc_text
from agent.core.strange import NOT_JSON

Ref: TypeAlias = tuple[int, int]  # (epoch, seq)
Row: TypeAlias = tuple[int, int, bytes | None]  # (seq, epoch, body) as the journal's reader gives it; None: evicted

LATE_MS = 60_000  # interfaces: late = older than 60 s at sending


class Batch(msgspec.Struct, frozen=True):
    """One message for the `records` topic."""

    epoch: int
    first: int
    last: int
    late: bool
    payload: bytes

    @property
    def last_ref(self) -> Ref:
        return (self.epoch, self.last)

    @property
    def lane(self) -> str:
        return "late" if self.late else "live"


class _Stamp(msgspec.Struct):
    at: str


log = logging.getLogger(__name__)
_decode_stamp = msgspec.json.Decoder(_Stamp).decode


def cut(rows: Iterable[Row], prev: Ref, wall_ms: int, max_bytes: int) -> Iterator[Batch]:
    """Cut rows, in journal order, into messages of about `max_bytes` of bodies (one record is never split).

    A record from the future is late too: whoever wrote it did not know the time. An evicted one is left out; the
    far side had it once, and `prev` of the next message reaches over it.
    """
    oldest, newest = utc_text(wall_ms - LATE_MS), utc_text(wall_ms + LATE_MS)
    group: list[bytes] = []
    size = 0
    start = last = prev
    late = False
    for seq, epoch, body in rows:
        at = _stamp(body, seq)
        if at is None or body is None:
            continue
        is_late = not oldest <= at <= newest
        if group and (last != (epoch, seq - 1) or is_late != late or size + len(body) > max_bytes):
            yield _batch(start, last, late, prev, group)
            prev, group, size = last, [], 0
        if not group:
            start, late = (epoch, seq), is_late
        group.append(body)
        size += len(body) + 1
        last = (epoch, seq)
    if group:
        yield _batch(start, last, late, prev, group)


def _stamp(body: bytes | None, seq: int) -> str | None:
    """When the record was written; None for one that cannot be sent: evicted, or not JSON any more."""
    if body is None:
        return None
    try:
        return _decode_stamp(body).at
    except NOT_JSON as error:
        log.error("record %d in the journal is damaged and is left out: %s", seq, error)
        return None


def _batch(first: Ref, last: Ref, late: bool, prev: Ref, bodies: list[bytes]) -> Batch:
    head = f'{{"lane":"{"late" if late else "live"}","prev":[{prev[0]},{prev[1]}],"records":['.encode()
    return Batch(first[0], first[1], last[1], late, head + b",".join(bodies) + b"]}")
