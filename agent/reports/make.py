"""From a journal to a month's report: one pass, every part taking what concerns it."""

from __future__ import annotations

from collections import defaultdict
from zoneinfo import ZoneInfo

import msgspec

from agent.journal.errors import Damaged
from agent.journal.reader import JournalReader
from agent.reports import heads
from agent.reports.gather import Gatherer
from agent.reports.gather.campus import CampusBook
from agent.reports.gather.coverage import CoverageBook
from agent.reports.gather.devices import DevicesBook
from agent.reports.gather.duty import DutyBook
from agent.reports.gather.hazards import HazardsBook
from agent.reports.gather.lanes import LanesBook
from agent.reports.gather.panic import PanicBook
from agent.reports.gather.visits import VisitsBook
from agent.reports.model import Head, Report, Signed
from agent.reports.month import Month, local
from agent.reports.records import Pass, Told
from agent.reports.spans import Span
from hardware.site import Site

QUIET_MS = 6 * 3_600_000  # D: a journal whose newest record is younger is of a box that runs on; nights are quiet


class NoRecords(Exception):
    """The journal begins behind that month, or ends before it; `args[0]` says what it holds, in field words."""


class AsOf(msgspec.Struct, frozen=True):
    """What an earlier report was made from: up to which record, and which checkpoints by epoch."""

    up_to_seq: int
    notes: dict[int, bytes]


def make(
    reader: JournalReader, site: Site, month: Month, made_ms: int, key: bytes | None, as_of: AsOf | None = None
) -> Report:
    """The month as the journal of this site has it, up to the newest signed checkpoint, or made anew `as_of` then.

    `key` is the box's public key, to check signatures with. Raises NoRecords, Trouble, Damaged, BadNote.
    """
    owner = f"{site.site.id}/{site.site.box}"
    if reader.site_box() != owner:
        raise Damaged(f"this journal is of {reader.site_box()}, the site file of {owner}")
    books = _Books(site, month)
    up_to_seq = heads.signed_end(reader) if as_of is None else as_of.up_to_seq
    walk = Pass(reader, month, books.kinds, up_to_seq)
    for item in walk:
        books.take(item)
    if not walk.first_ms or month.to_ms <= walk.first_ms or walk.last_ms < month.from_ms:
        raise NoRecords(_what_there_is(walk, month))
    is_fresh = made_ms - walk.last_ms < QUIET_MS
    until_ms = min(month.to_ms, walk.last_ms if is_fresh else made_ms)
    if walk.last_ms < until_ms:
        books.take(Span(walk.last_ms, until_ms, "after_journal"))
    used = [seen for seen in walk.epochs if seen.last_seq >= walk.from_seq and seen.first_seq <= walk.to_seq]
    epochs = used or walk.epochs[-1:]  # a box that was off for the whole month: what is known of it stands around it
    kept = None if as_of is None else as_of.notes
    checkpoints = tuple(heads.signed(reader, seen, key, kept) for seen in epochs)
    return books.report(_head(site, month, made_ms, until_ms, up_to_seq, walk, checkpoints), until_ms)


class _Books:
    """All parts at once."""

    def __init__(self, site: Site, month: Month) -> None:
        self._month = month
        self.coverage = CoverageBook(month)
        self.duty = DutyBook(month)
        self.lanes = LanesBook(site, month)
        self.campus = CampusBook(month)
        self.panic = PanicBook(site, month)
        self.hazards = HazardsBook(month)
        self.devices = DevicesBook(month)
        self.visits = VisitsBook(month)
        self._all: tuple[Gatherer, ...] = (
            self.coverage, self.duty, self.lanes, self.campus, self.panic, self.hazards, self.devices, self.visits,
        )  # fmt: skip
        self._by_kind: dict[str, list[Gatherer]] = defaultdict(list)
        for book in self._all:
            for kind in book.kinds:
                self._by_kind[kind].append(book)

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self._by_kind)

    def take(self, item: Told | Span) -> None:
        if isinstance(item, Span):
            for book in self._all:
                book.gap(item)
            return
        inside = self._month.holds(item.at_ms)
        for book in self._by_kind.get(item.kind, ()):
            book.see(item, inside)

    def report(self, head: Head, until_ms: int) -> Report:
        coverage = self.coverage.done()
        hazards, more_hazards = self.hazards.done(until_ms)
        return Report(
            head=head,
            coverage=coverage,
            duty=self.duty.done(list(coverage.unknown), until_ms),
            lanes=self.lanes.done(until_ms),
            campus=self.campus.done(),
            panic=self.panic.done(),
            hazards=hazards,
            more_hazards=more_hazards,
            devices=self.devices.done(until_ms),
            visits=self.visits.done(),
        )


def _head(
    site: Site,
    month: Month,
    made_ms: int,
    until_ms: int,
    up_to_seq: int,
    walk: Pass,
    checkpoints: tuple[Signed, ...],
) -> Head:
    return Head(
        site=site.site.id,
        box=site.site.box,
        name=site.site.name,
        month=month.text,
        zone=str(ZoneInfo(site.site.timezone)),
        from_ms=month.from_ms,
        to_ms=month.to_ms,
        until_ms=until_ms,
        made_ms=made_ms,
        from_seq=walk.from_seq,
        to_seq=walk.to_seq,
        records=walk.records,
        evicted=walk.evicted,
        up_to_seq=up_to_seq,
        checkpoints=checkpoints,
    )


def _what_there_is(walk: Pass, month: Month) -> str:
    if not walk.first_ms:
        return "the journal holds no records yet"
    first, last = (local(ms, month.zone).strftime("%Y-%m-%d %H:%M") for ms in (walk.first_ms, walk.last_ms))
    return f"the journal holds nothing of {month.text}: it begins {first} and its newest record read is of {last}"
