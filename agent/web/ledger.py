"""Records for the pages, read from the journal file, off the event loop, and kept for as long as the head stands.

The reader of the file is opened when first asked and again after a failure: the journal may be made, or set aside as
damaged, while the page is open.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

from agent.journal.reader import Row
from agent.picture import Ref
from agent.web.kinds import HIDDEN

log = logging.getLogger("menwei.web")

NEWEST = 12
PAGE = 100
SCAN = 5_000  # D: how far back a record's causes and effects are looked for
SEARCH, STRIDE = 50_000, 1_000  # D: how far one search looks back, and how much it reads at once
MOST_SEARCHES = 4  # D: at once; a search costs a small board some seconds of one core


P = ParamSpec("P")
T = TypeVar("T")


class Busy(Exception):
    """Too many are searching already."""


class Reader(Protocol):
    """What is needed of `agent.journal.reader.JournalReader`."""

    def records(
        self, kinds: Collection[str] | None = None, newest: int = 50, before_seq: int | None = None
    ) -> list[Row]: ...

    def close(self) -> None: ...


class Ledger:
    """The journal as the pages read it. `news` are the kinds of the short list (None: all).

    `why` is "", or tells why the journal could not be read last time.
    """

    def __init__(self, opened: Callable[[], Reader], news: Collection[str] | None = None) -> None:
        self._news = news
        self._open = opened
        self._reader: Reader | None = None
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "journal")  # one thread: an SQLite connection stays where it was made
        self._kept: tuple[object, tuple[Row, ...]] = (None, ())
        self._searches = 0
        self.why = ""

    async def _off_loop(self, read: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(read, *args, **more))

    def close(self) -> None:
        """Let the file and the thread go."""
        self._thread.submit(self._drop)
        self._thread.shutdown()

    async def newest(self, head: object) -> tuple[Row, ...]:
        """The newest news, newest first; the file is only read again when `head` is another."""
        async with self._turn:
            if self._kept[0] != head or self.why:
                self._kept = (head, await self._off_loop(self._read, NEWEST, self._news, None))
            return self._kept[1]

    async def page(self, kinds: Collection[str] | None, before: int | None) -> tuple[Row, ...]:
        """A page of records of these kinds (all for None), newest first, older than seq `before`."""
        async with self._turn:
            return await self._off_loop(self._read, PAGE, kinds, before)

    async def matching(
        self,
        kinds: Collection[str] | None,
        before: int | None,
        wanted: Callable[[Row], bool],
        limit: int = PAGE,
    ) -> tuple[tuple[Row, ...], int]:
        """Up to `limit` records that are `wanted`, newest first, and the seq to go on before; 0 = there are no more.

        It looks back over SEARCH records at most, and lets others read in between. Raises Busy.
        """
        if self._searches >= MOST_SEARCHES:
            raise Busy
        self._searches += 1
        found: list[Row] = []
        try:
            for _ in range(SEARCH // STRIDE):
                async with self._turn:
                    rows, more = await self._off_loop(self._stride, kinds, before, wanted)
                found += rows
                if len(found) >= limit:
                    return tuple(found[:limit]), found[limit - 1].seq
                if not more:
                    return tuple(found), 0
                before = more
        finally:
            self._searches -= 1
        return tuple(found), before or 0

    def _stride(
        self, kinds: Collection[str] | None, before: int | None, wanted: Callable[[Row], bool]
    ) -> tuple[list[Row], int]:
        """What is wanted among the next STRIDE records, and the seq to go on before; 0 = there are no more."""
        rows = self._read(STRIDE, kinds, before)
        return [row for row in rows if wanted(row)], rows[-1].seq if len(rows) == STRIDE else 0

    async def around(self, ref: Ref) -> tuple[Row, ...]:
        """A record, what led to it, and what followed from it, newest first."""
        async with self._turn:
            return await self._off_loop(self._around, ref)

    def _read(self, newest: int, kinds: Collection[str] | None, before: int | None) -> tuple[Row, ...]:
        try:
            if self._reader is None:
                self._reader = self._open()
            found = tuple(self._shown(self._reader, newest, kinds, before))
        except Exception as error:  # a broken file, a missing folder, a schema of another version: the page must live
            log.warning("the journal cannot be read: %s", error)
            self._drop()
            self.why = str(error) or type(error).__name__
            return ()
        self.why = ""
        return found

    @staticmethod
    def _shown(reader: Reader, newest: int, kinds: Collection[str] | None, before: int | None) -> Iterator[Row]:
        """As many as asked for where there are so many: a page that is short by one would tell that one is hidden."""
        while newest:
            rows = reader.records(kinds, newest, before)
            shown = [row for row in rows if kind_of(row) not in HIDDEN]
            yield from shown
            if len(shown) == len(rows):
                return
            newest, before = newest - len(shown), rows[-1].seq

    def _around(self, ref: Ref) -> tuple[Row, ...]:
        """Causes are found by walking back, effects by walking on; both among the newest records only."""
        rows = self._read(SCAN, None, None)
        causes = {(row.epoch, row.seq): cause_of(row) for row in rows}
        shown: set[Ref] = set()
        back: Ref | None = ref
        while back in causes and back not in shown:
            shown.add(back)
            back = causes[back]
        follows = {ref}
        for row in reversed(rows):
            if causes[row.epoch, row.seq] in follows:
                follows.add((row.epoch, row.seq))
        return tuple(row for row in rows if (row.epoch, row.seq) in shown | follows)[-PAGE:]

    def _drop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def kind_of(row: Row) -> str:
    """ "" where the body was evicted."""
    return str((row.data or {}).get("kind", ""))


def cause_of(row: Row) -> Ref | None:
    """The record that led to this one; None where there is none, or where the body was evicted."""
    match (row.data or {}).get("cause"):
        case [int(epoch), int(seq)]:
            return (epoch, seq)
        case _:
            return None
