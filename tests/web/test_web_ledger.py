"""What the pages read of the journal: in turns, so that a search holds up nobody, and whole where one is hidden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from agent.journal.reader import Row
from agent.web.kinds import HIDDEN
from agent.web.ledger import MOST_SEARCHES, PAGE, SEARCH, STRIDE, Busy, Ledger


class Shelf:
    """So many records, newest first, some of them of a kind that is not shown. `reads` counts."""

    def __init__(self, count: int, hidden: Collection[int] = ()) -> None:
        kind = next(iter(HIDDEN))
        self._rows = [Row(1, seq, {"kind": kind if seq in hidden else "door.opened"}) for seq in range(count, 0, -1)]
        self.reads = 0

    def records(
        self, kinds: Collection[str] | None = None, newest: int = 50, before_seq: int | None = None
    ) -> list[Row]:
        self.reads += 1
        top = self._rows[0].seq
        start = 0 if before_seq is None else max(0, top - before_seq + 1)
        return self._rows[start : start + newest]

    def close(self) -> None:
        pass


@pytest.fixture
async def ledgers() -> AsyncIterator[list[Ledger]]:
    made: list[Ledger] = []
    yield made
    for ledger in made:
        ledger.close()


def test_the_shelf_is_long_enough() -> None:
    assert SEARCH > 10 * STRIDE > 10 * PAGE


async def test_a_hidden_record_cuts_no_page_short(ledgers: list[Ledger]) -> None:
    """Else nobody reads on past it; and whoever watches the pages end there knows what is hidden."""
    hidden = {2990, 2950, 2449, 1000, 1}
    ledgers.append(ledger := Ledger(lambda: Shelf(3000, hidden)))
    shown: list[Row] = []
    while len(shown) % PAGE == 0:
        shown += await ledger.page(None, shown[-1].seq if shown else None)
    assert [row.seq for row in shown] == [seq for seq in range(3000, 0, -1) if seq not in hidden]
    found, on = await ledger.matching(None, None, lambda row: row.seq < 50)
    assert ([row.seq for row in found], on) == ([*range(49, 1, -1)], 0)


async def test_a_search_lets_others_read_between_and_few_search_at_once(ledgers: list[Ledger]) -> None:
    shelf = Shelf(SEARCH + 10)
    ledgers.append(ledger := Ledger(lambda: shelf))
    searches = [asyncio.create_task(ledger.matching(None, None, lambda row: False)) for _ in range(MOST_SEARCHES)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await ledger.matching(None, None, lambda row: True)
    await ledger.newest("a new head")
    assert shelf.reads <= 2 * MOST_SEARCHES and not any(search.done() for search in searches)
    assert await asyncio.gather(*searches) == [((), 11)] * MOST_SEARCHES
    assert (await ledger.matching(None, None, lambda row: True))[1] == SEARCH + 10 - PAGE + 1
