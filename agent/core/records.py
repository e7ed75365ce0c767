"""Records: what the journal keeps, and their one canonical encoding.

The body of a record is canonical JSON: UTF-8, keys sorted by code point, no spaces, integers only (no floats). The
hash chain is computed over these bytes, so this file and `docs/journal-format.md` are one contract.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

import msgspec

from agent.core.words import ClockTrust

Value: TypeAlias = "str | int | bool | list[Value] | dict[str, Value] | None"


class Weight(StrEnum):
    """What a record is worth when storage is short, and how it travels."""

    ALARM = "alarm"  # never evicted; goes up on the alarm lane at once
    ACTION = "action"  # motions, overrides, mode and config changes: never evicted
    PASSAGE = "passage"  # routine passages: body may be evicted once synced
    FACT = "fact"  # health, starts, notes: body may be evicted once synced


class Record(msgspec.Struct, frozen=True):
    """One journal record. `at` is UTC with milliseconds; `cause` is the (epoch, seq) that led here."""

    actor: str
    at: str
    boot: str
    cause: tuple[int, int] | None
    clock: ClockTrust
    data: dict[str, Value]
    epoch: int
    kind: str
    mono_ns: int
    seq: int
    site_box: str
    subject: str

    @property
    def ref(self) -> tuple[int, int]:
        return (self.epoch, self.seq)


def plain(one: object, picture: type[msgspec.Struct]) -> dict[str, Value]:
    """Those fields of `one` that `picture` keeps, as a record's data."""
    fields = ((name, getattr(one, name)) for name in picture.__struct_fields__)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields}


_ENCODER = msgspec.json.Encoder(order="sorted")
GENESIS_LINK = bytes(32)
_PLAIN = frozenset({str, int, bool, type(None)})  # nearly all values are these: they need no closer look


def encode(record: Record) -> bytes:
    """The canonical body. Raises TypeError if `data` holds a float or another type the format forbids."""
    if not _PLAIN.issuperset(map(type, record.data.values())):
        _refuse_floats(record.data.values())
    return _ENCODER.encode(record)


def _refuse_floats(items: Iterable[object]) -> None:
    for value in items:
        if type(value) in _PLAIN:
            continue
        if isinstance(value, float):
            raise TypeError("a record holds no floats: use whole milliseconds, millimetres or the like")
        if isinstance(value, dict):
            _refuse_floats(value.values())
        elif isinstance(value, (list, tuple)):
            _refuse_floats(value)


def leaf_hash(body: bytes) -> bytes:
    """RFC 6962 leaf hash."""
    return hashlib.sha256(b"\x00" + body).digest()


def link_hash(prev_link: bytes, leaf: bytes) -> bytes:
    return hashlib.sha256(prev_link + leaf).digest()


def utc_text(wall_ms: int) -> str:
    """`2026-09-01T07:30:00.125Z`."""
    minutes, ms = divmod(wall_ms, 60_000)
    return f"{_minute_text(minutes)}:{ms // 1000:02d}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4)
def _minute_text(minutes: int) -> str:
    """Date, hour and minute so many minutes after 1970 began; a minute's records share them."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")
