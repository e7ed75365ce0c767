"""What a box says, taken apart by whoever receives it: records messages, single records, and what follows what.

The receivers keep bodies as they came; only the head of a record is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

Ref: TypeAlias = tuple[int, int]  # (epoch, seq)
NOWHERE: Ref = (0, 0)  # before any record
PREFIX = ("menwei", "v1")
LANES = ("live", "late")


class Garbage(Exception):
    """A message that cannot be right; the text says what is wrong with it."""


class RecordsMessage(msgspec.Struct, frozen=True):
    """Payload of `records`. `prev`: what stands before the first record in the box's journal, [0, 0] for nothing."""

    records: list[msgspec.Raw]
    lane: str
    prev: Ref | None = None


class RecordHead(msgspec.Struct, frozen=True):
    """The part of a record that a receiver reads."""

    epoch: int
    seq: int
    kind: str
    site_box: str


@dataclass(frozen=True, slots=True)
class Row:
    """One record as it came."""

    ref: Ref
    kind: str
    body: bytes


_decode_message = msgspec.json.Decoder(RecordsMessage).decode
_decode_head = msgspec.json.Decoder(RecordHead).decode


def address(topic: str) -> tuple[str, str, str]:
    """(site, box, what) of "menwei/v1/<site>/<box>/<what>". Raises Garbage."""
    parts = topic.split("/")
    if len(parts) != 5 or tuple(parts[:2]) != PREFIX or not all(0 < len(part) <= 64 for part in parts[2:]):
        raise Garbage(f"topic {topic!r}")
    return parts[2], parts[3], parts[4]


def parse_records(owner: str, payload: bytes) -> tuple[RecordsMessage, list[Row]]:
    """A records message of the box `owner`, "<site>/<box>". Raises Garbage."""
    try:
        message = _decode_message(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbage(f"records: {error}") from None
    if message.lane not in LANES:
        raise Garbage(f"records: lane {message.lane!r}")
    return message, [parse_record(owner, bytes(raw)) for raw in message.records]


def parse_record(owner: str, body: bytes) -> Row:
    """One record of the box `owner`. Raises Garbage."""
    try:
        head = _decode_head(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbage(f"record: {error}") from None
    if head.site_box != owner:
        raise Garbage(f"a record of {head.site_box!r} on the topic of {owner}")
    if not (0 < head.epoch < 2**62 and 0 < head.seq < 2**62):
        raise Garbage(f"a record numbered ({head.epoch}, {head.seq})")
    return Row((head.epoch, head.seq), head.kind, body)


def reach(position: Ref, prev: Ref | None, rows: Sequence[Row]) -> int:
    """How many of the rows, from the first, leave no gap between them and a receiver's position."""
    if not rows:
        return 0
    if rows[0].ref > position and not _starts_well(position, prev, rows[0].ref):
        return 0
    last = rows[0].ref
    for index, row in enumerate(rows[1:], start=1):
        if not _follows(last, row.ref):
            return index
        last = row.ref
    return len(rows)


def _starts_well(position: Ref, prev: Ref | None, first: Ref) -> bool:
    """A message continues where we stand if its box says so, or else if the numbers say so."""
    return prev <= position if prev is not None else _follows(position, first)


def _follows(last: Ref, ref: Ref) -> bool:
    """`seq` never restarts within a journal; a new epoch takes over at or before the next number."""
    return ref[1] == last[1] + 1 if ref[0] == last[0] else ref[0] > last[0] and ref[1] <= last[1] + 1
