"""The window, driven by a far side that loses, repeats and lies; and the cutting of records into messages."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uplink_rig import make_record

from agent.core.records import encode, utc_text
from agent.uplink.batch import Batch, Ref, cut
from agent.uplink.outbox import LEAST_BUDGET, MOST_BUDGET, SLOW_S, STALL_S, WINDOW, Outbox

NOW_MS = 1_788_000_000_000


def a_batch(first: int, last: int, epoch: int = 1, size: int = 100) -> Batch:
    return Batch(epoch, first, last, False, b"x" * size)


def test_only_a_receipt_moves_the_cursor() -> None:
    outbox = Outbox((0, 0))
    batch = a_batch(1, 10)
    outbox.add(batch, 0.0)
    outbox.acknowledged(batch, 0.1)
    assert (outbox.cursor, outbox.waiting) == ((0, 0), 1)
    assert outbox.receipt((1, 4), 0.2)
    assert (outbox.cursor, outbox.waiting) == ((1, 4), 1)
    assert outbox.receipt((1, 10), 0.3)
    assert (outbox.cursor, outbox.waiting) == ((1, 10), 0)


@pytest.mark.parametrize(
    "wrong",
    [(1, 21), (2, 15), (1, 5), (1, 10), (0, 0), (3, 1)],
    ids=["beyond", "epoch", "old", "doubled", "zero", "far"],
)
def test_receipts_that_cannot_be_right_are_ignored_and_counted(wrong: Ref) -> None:
    outbox = Outbox((0, 0))
    outbox.add(a_batch(1, 10), 0.0)
    outbox.add(a_batch(11, 20), 0.0)
    outbox.receipt((1, 10), 0.1)
    assert not outbox.receipt(wrong, 0.2)
    assert (outbox.cursor, outbox.waiting, outbox.ignored) == ((1, 10), 1, 1)


def test_an_old_receipt_during_progress_takes_nothing_back() -> None:
    outbox = Outbox((1, 100))
    outbox.add(a_batch(101, 110), 0.0)
    outbox.receipt((1, 50), 1.0)
    assert outbox.cursor == (1, 100)
    assert not outbox.stalled(STALL_S - 0.1)
    assert outbox.stalled(STALL_S)
    outbox.recover((1, 110))
    assert (outbox.cursor, outbox.sent_ref, outbox.waiting) == ((1, 50), (1, 50), 0)


def test_a_far_side_that_says_nothing_or_too_much_does_not_move_us() -> None:
    outbox = Outbox((1, 100))
    outbox.add(a_batch(101, 110), 0.0)
    outbox.receipt((9, 999), 1.0)
    outbox.recover((1, 500))
    assert outbox.cursor == (1, 100)


def test_a_far_side_that_has_what_an_earlier_life_sent_is_caught_up_with() -> None:
    """It only ever names its position, far beyond what we sent since the restart: no progress, until a stall."""
    outbox = Outbox((1, 100))
    outbox.add(a_batch(101, 110), 0.0)
    assert not outbox.receipt((1, 150), 0.1)
    outbox.recover((1, 500))
    assert outbox.cursor == (1, 110)
    for first in range(111, 151, 10):
        outbox.add(a_batch(first, first + 9), 6.0)
        assert outbox.receipt((1, 150), 6.1)
    assert outbox.cursor == (1, 150)
    outbox.add(a_batch(151, 160), 7.0)
    assert not outbox.receipt((1, 170), 7.1), "trusted only as far as it was said when we stalled"


def test_a_slow_link_gets_fewer_bytes_and_a_fast_one_more() -> None:
    outbox = Outbox((0, 0))
    for number in range(1, 40):
        batch = a_batch(number, number)
        outbox.add(batch, float(number))
        outbox.acknowledged(batch, number + SLOW_S + 0.1)
        outbox.receipt((1, number), number + 0.7)
    assert outbox.budget == LEAST_BUDGET
    for number in range(40, 80):
        batch = a_batch(number, number)
        outbox.add(batch, float(number))
        outbox.acknowledged(batch, number + 0.01)
        outbox.receipt((1, number), number + 0.02)
    assert outbox.budget == MOST_BUDGET


def test_the_far_side_owes_a_receipt_across_resends_of_one_connection() -> None:
    outbox = Outbox((0, 0))
    outbox.add(a_batch(1, 5), 0.0)
    outbox.go_back()
    outbox.add(a_batch(1, 5), 6.0)
    assert outbox.owed_s(20.0) == 20.0
    outbox.new_connection()
    assert outbox.owed_s(20.0) == 0.0


def test_a_link_lost_with_bytes_on_their_way_is_given_fewer_the_next_time() -> None:
    outbox = Outbox((0, 0))
    tried = []
    for _ in range(8):
        tried.append(outbox.room())
        outbox.add(a_batch(1, 10, size=outbox.room()), 0.0)
        outbox.new_connection()
    assert tried == [65536, 32768, 16384, 8192, 4096, 4096, 4096, 4096]
    outbox.new_connection()
    assert outbox.room() == 65536, "an idle link that was lost says nothing about its speed"


@given(st.integers(0, 2**32))
def test_whatever_the_far_side_says_nothing_is_skipped(seed: int) -> None:
    """A far side that keeps what it gets in order, answers when it likes, and sometimes lies; a link that loses. The
    cursor only ever covers what the far side really has. Then the faults end, and it comes to cover everything."""
    random = Random(seed)
    outbox = Outbox((0, 0))
    total, now, has = 60, 0.0, 0
    on_the_way: list[Batch] = []
    for turn in range(4000):
        faults = turn < 1000
        if outbox.cursor == (1, total):
            break
        now += random.random()
        match random.randrange(5):
            case 0 if outbox.room() and outbox.sent_ref[1] < total:
                first = outbox.sent_ref[1] + 1
                batch = a_batch(first, min(total, first + random.randrange(4)))
                outbox.add(batch, now)
                if not faults or random.random() < 0.8:
                    on_the_way.append(batch)
            case 1 if on_the_way:
                arrived = on_the_way.pop(0)
                outbox.acknowledged(arrived, now)
                if arrived.first <= has + 1:
                    has = max(has, arrived.last)
            case 2:
                outbox.receipt((1, has), now)
            case 3 if faults and random.random() < 0.2:
                outbox.receipt((random.randrange(3), random.randrange(0, has + 1)), now)
            case 4 if outbox.stalled(now):
                on_the_way.clear()
                outbox.recover((1, total))
        assert outbox.cursor <= (1, has)
        assert outbox.waiting <= WINDOW
        assert outbox.room() >= 0
    assert outbox.cursor == (1, total), f"seed {seed}: stuck at {outbox.cursor}"


# ── cutting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def rows(*parts: tuple[int, int, int | None]) -> list[tuple[int, int, bytes | None]]:
    """(epoch, seq, age in ms; None = evicted)."""
    return [
        (seq, epoch, None if age is None else encode(make_record(seq, epoch=epoch, at_ms=NOW_MS - age)))
        for epoch, seq, age in parts
    ]


def spans(batches: list[Batch]) -> list[tuple[int, int, int, str]]:
    return [(batch.epoch, batch.first, batch.last, batch.lane) for batch in batches]


def test_messages_are_cut_at_epochs_gaps_and_lateness() -> None:
    found = rows((1, 5, 99_000), (1, 6, 60_000), (1, 7, 10), (1, 9, 10), (2, 10, 10), (2, 11, None), (2, 12, 10))
    batches = list(cut(found, (1, 4), NOW_MS, 10_000))
    assert spans(batches) == [
        (1, 5, 5, "late"),
        (1, 6, 7, "live"),
        (1, 9, 9, "live"),
        (2, 10, 10, "live"),
        (2, 12, 12, "live"),
    ]
    assert [json.loads(batch.payload)["prev"] for batch in batches] == [[1, 4], [1, 5], [1, 7], [1, 9], [2, 10]]


def test_a_damaged_body_is_left_out_and_the_rest_goes() -> None:
    found = rows((1, 1, 10), (1, 2, 10), (1, 3, 10))
    found[1] = (2, 1, b'{"at": "half a rec')
    assert spans(list(cut(found, (0, 0), NOW_MS, 10_000))) == [(1, 1, 1, "live"), (1, 3, 3, "live")]


@given(st.lists(st.integers(0, 120_000), min_size=1, max_size=40), st.integers(1, 4000))
def test_messages_hold_the_very_bytes_of_the_journal(ages: list[int], max_bytes: int) -> None:
    found = rows(*[(1, index + 1, age) for index, age in enumerate(ages)])
    batches = list(cut(found, (0, 0), NOW_MS, max_bytes))
    bodies = [body or b"" for _, _, body in found]
    joined = b"".join(batch.payload.partition(b'"records":[')[2][:-2] + b"," for batch in batches)
    assert joined == b",".join(bodies) + b","
    assert batches[0].first == 1
    assert batches[-1].last == len(ages)
    assert all(after.first == before.last + 1 for before, after in pairwise(batches))
    for batch in batches:
        message = json.loads(batch.payload)
        assert message["lane"] == batch.lane
        late = [record["at"] < utc_text(NOW_MS - 60_000) for record in message["records"]]
        assert late == [batch.late] * len(late)
        assert len(message["records"]) == 1 or len(batch.payload) <= max_bytes + 100
