"""One pass over the journal for a month: oldest record first, each placed in time, with every gap told.

Only what a report needs is decoded; of everything else a few bytes are looked at. Records before the month are read
too, for what stood open when it began.

A record's time is its wall clock's where that was trusted. Where it was not, the monotonic clock of the same boot
tells how far it lies from one that was; a boot whose clock was never trusted leaves a gap, and its records are known to
lie after the last sure one, no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TypeAlias, TypeVar

import msgspec

from agent.core.calendar import DAY_MS
from agent.core.records import utc_text
from agent.core.strange import NOT_JSON
from agent.journal.errors import Damaged
from agent.journal.reader import JournalReader
from agent.reports.model import Ref, When
from agent.reports.month import Month
from agent.reports.spans import Span

ROWS = 2_000
PEEK_ROWS = 20_000  # D: so far ahead the first trusted record of a boot is looked for
BEYOND_ROWS = 1_000  # D: after so many records behind the month it is over; fewer are a clock that was wrong
UNTRUSTED = "untrusted"
STARTED = "box.started"
_AT, _KIND, _CLOCK = b'"at":"', b'"kind":"', b'"clock":"untrusted"'
_AT_BYTES = len("2026-09-01T07:30:00.125Z")
_BEFORE_DATA = 512  # the envelope's fields before `data` fit in so many bytes


_Part = TypeVar("_Part")


class Told(msgspec.Struct):
    """A record. `at_ms` is where it lies in time, see the head of this file; `sure` whether that is an instant."""

    actor: str
    at: str
    boot: str
    cause: Ref | None
    clock: str
    data: dict[str, object]
    epoch: int
    kind: str
    mono_ns: int
    seq: int
    subject: str
    at_ms: int = 0
    sure: bool = True

    @property
    def ref(self) -> Ref:
        return (self.epoch, self.seq)

    @property
    def when(self) -> When:
        return When(self.at_ms, self.sure)

    @property
    def thing(self) -> str:
        """The subject without its kind: "main" of "lane:main"."""
        return self.subject.partition(":")[2] or self.subject

    def text(self, name: str) -> str:
        """A field of the data as text, "" where there is none."""
        value = self.data.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)

    def part(self, name: str, kind: type[_Part]) -> _Part | None:
        """A field of the data as a struct; None where it is absent. Raises Damaged where it is another thing."""
        try:
            return None if self.data.get(name) is None else msgspec.convert(self.data[name], kind)
        except msgspec.ValidationError as error:
            text = f"record {self.epoch}-{self.seq} cannot be read: “{name}” is of another version of this program"
            raise Damaged(f"{text} ({error})") from error

    def number(self, name: str) -> int | None:
        value = self.data.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


class EpochSeen(msgspec.Struct):
    """The records of an epoch that were read: from `first_seq` on, which is number `first_index` of its tree."""

    epoch: int
    first_seq: int
    first_index: int
    last_seq: int


Item: TypeAlias = Told | Span
_DECODER = msgspec.json.Decoder(Told)


def decode(body: bytes) -> Told:
    """Raises Damaged for what is no record."""
    try:
        told = _DECODER.decode(body)
        told.at_ms = utc_ms(told.at)
    except (*NOT_JSON, ValueError) as error:
        raise Damaged("a record is not what was written: run menwei journal verify") from error
    return told


def utc_ms(text: str) -> int:
    """`2026-09-01T07:30:00.125Z` to UTC milliseconds. ValueError for anything else."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class _Sure(msgspec.Struct):
    """Where the last sure record lies. `offset_ms`: wall clock less monotonic clock, in its boot."""

    boot: str
    at_ms: int
    offset_ms: int


class Pass:
    """Iterate once; afterwards the counts hold.

    `first_ms` and `last_ms` are the oldest and newest sure instants that were read, 0 = none. Raises Trouble, Damaged.
    """

    def __init__(self, reader: JournalReader, month: Month, kinds: Collection[str], up_to_seq: int) -> None:
        self._reader = reader
        self._month = month
        self._kinds = frozenset(kind.encode() for kind in kinds) | {STARTED.encode()}
        self._up_to = up_to_seq
        self._bounds = tuple(utc_text(ms).encode() for ms in (month.from_ms, month.to_ms, month.to_ms + DAY_MS))
        self._previous = b""  # the last sure record, not decoded until it matters
        self._sure: _Sure | None = None  # the same, once it mattered
        self._doubt = False  # the last record was not sure
        self._beyond = 0  # so many records in a row lie far behind the month
        self._offsets: dict[str, int | None] = {}
        self._index = 0
        self.records = self.evicted = 0
        self.from_seq = self.to_seq = 0
        self.first_ms = self.last_ms = 0
        self.epochs: list[EpochSeen] = []

    def __iter__(self) -> Iterator[Item]:
        base = self._reader.base()
        seq, self._index = base.seq + 1, base.frontier.size
        while rows := self._reader.read(seq, ROWS):
            for seq, epoch, body in rows:
                if seq > self._up_to or self._beyond >= BEYOND_ROWS:
                    break
                yield from self._row(seq, epoch, body)
            else:
                seq += 1
                continue
            break
        sure = self._last()
        self.last_ms = sure.at_ms if sure is not None else 0

    def _row(self, seq: int, epoch: int, body: bytes | None) -> Iterator[Item]:
        self._count_epoch(epoch, seq)
        if body is not None:
            yield from self._body(seq, body)
        elif self._last_was_inside:
            self.evicted += 1
            self._inside(seq)

    def _count_epoch(self, epoch: int, seq: int) -> None:
        if not self.epochs or self.epochs[-1].epoch != epoch:
            self.epochs.append(EpochSeen(epoch, seq, 0 if self.epochs else self._index, seq))
        self.epochs[-1].last_seq = seq

    @property
    def _last_was_inside(self) -> bool:
        """An evicted record's time is gone with its body: it counts where the one before it lies."""
        last = self._last()
        return last is not None and self._month.holds(last.at_ms)

    def _inside(self, seq: int) -> None:
        self.records += 1
        self.from_seq = self.from_seq or seq
        self.to_seq = seq

    # ── one body ───────────────────────────────────────────────────────────────────────────────────────────────

    def _body(self, seq: int, body: bytes) -> Iterator[Item]:
        if body.find(_CLOCK, 0, _BEFORE_DATA) >= 0:
            yield from self._doubtful(seq, body)
            return
        start = body.find(_AT) + len(_AT)
        at = body[start : start + _AT_BYTES]
        if start < len(_AT) or not at.endswith(b"Z"):
            decode(body)  # says what is wrong with it
        self._beyond = self._beyond + 1 if at >= self._bounds[2] else 0
        if self._bounds[0] <= at < self._bounds[1]:
            self._inside(seq)
        wanted = _kind(body) in self._kinds
        if wanted or self._doubt or self._beyond == 1 or not self.first_ms:
            yield from self._told(decode(body), wanted=wanted)
        self._previous, self._sure, self._doubt = body, None, False

    def _told(self, told: Told, *, wanted: bool) -> Iterator[Item]:
        yield from self._gap(told)
        if wanted and not self._beyond:
            yield told

    def _gap(self, told: Told) -> Iterator[Span]:
        """The time before this sure record of which nothing is known."""
        before = self._last()
        if before is None:
            self.first_ms = told.at_ms
            yield Span(0, told.at_ms, "before_journal")
        elif (self._doubt or told.kind == STARTED) and told.at_ms > before.at_ms:
            yield Span(before.at_ms, told.at_ms, "clock" if self._doubt else "off")

    def _last(self) -> _Sure | None:
        """The last sure record; None before the first."""
        if self._sure is None and self._previous:
            self._sure = _sure(decode(self._previous))
        return self._sure

    # ── where the clock was not to be trusted ──────────────────────────────────────────────────────────────────

    def _doubtful(self, seq: int, body: bytes) -> Iterator[Item]:
        told = decode(body)
        offset_ms, last = self._offset_ms(told), self._last()
        wanted = told.kind.encode() in self._kinds
        if offset_ms is not None:
            told.at_ms = offset_ms + told.mono_ns // 1_000_000
            yield from self._told(told, wanted=wanted)
            self._sure, self._doubt = _sure(told), False
        else:
            told.at_ms, told.sure = (told.at_ms if last is None else last.at_ms), False
            self._doubt = True
            if wanted:
                yield told
        if self._month.holds(told.at_ms):
            self._inside(seq)

    def _offset_ms(self, told: Told) -> int | None:
        last = self._last()
        if last is not None and last.boot == told.boot:
            return last.offset_ms
        if told.boot not in self._offsets:
            self._offsets[told.boot] = self._peeked(told)
        return self._offsets[told.boot]

    def _peeked(self, told: Told) -> int | None:
        """By the first record of this boot whose clock was trusted; None where there is none."""
        seq, looked = told.seq + 1, 0
        while looked < PEEK_ROWS and (rows := self._reader.read(seq, ROWS)):
            for _, _, body in rows:
                if body is None:
                    continue
                ahead = decode(body)
                if ahead.boot != told.boot:
                    return None
                if ahead.clock != UNTRUSTED:
                    return _sure(ahead).offset_ms
            seq, looked = rows[-1][0] + 1, looked + len(rows)
        return None


def _sure(told: Told) -> _Sure:
    return _Sure(told.boot, told.at_ms, told.at_ms - told.mono_ns // 1_000_000)


def _kind(body: bytes) -> bytes:
    """The last field of that name is the envelope's own; in texts its quotes are escaped."""
    start = body.rfind(_KIND) + len(_KIND)
    return body[start : body.find(b'"', start)]
