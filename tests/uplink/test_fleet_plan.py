"""What the fleet's receiver does with a box's messages: against any loss, doubling and disorder no gap gets in."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sim.box_messages import NOWHERE, Ref, Row
from sim.fleet.plan import part_of, plan

TOTAL = 60


def rows(first: int, last: int, epoch: int = 1) -> list[Row]:
    return [Row((epoch, seq), "access.granted", b"%d" % seq) for seq in range(first, last + 1)]


def seqs(found: list[Row]) -> list[int]:
    return [row.ref[1] for row in found]


def test_what_follows_is_new_and_what_is_there_is_old() -> None:
    made = plan((1, 10), [((1, 5), rows(6, 12)), ((1, 12), rows(13, 14))])
    assert (seqs(made.old), seqs(made.new)) == ([6, 7, 8, 9, 10], [11, 12, 13, 14])
    assert (made.end, made.receipt, made.gap) == ((1, 14), (1, 14), False)


def test_a_gap_keeps_nothing_and_asks_from_the_end() -> None:
    made = plan((1, 10), [((1, 12), rows(13, 14))])
    assert (made.old, made.new, made.receipt, made.gap) == ([], [], (1, 10), True)


def test_a_box_may_reach_over_what_it_no_longer_has() -> None:
    made = plan((1, 10), [((1, 10), rows(13, 14))])
    assert (seqs(made.new), made.gap) == ([13, 14], False)


def test_an_empty_stream_takes_only_a_beginning() -> None:
    assert plan(NOWHERE, [((1, 500), rows(501, 510))]).gap
    assert seqs(plan(NOWHERE, [(NOWHERE, rows(1, 3))]).new) == [1, 2, 3]


def test_a_receipt_says_no_more_than_the_box_has_sent() -> None:
    assert plan((1, 100), [((1, 5), rows(6, 12))]).receipt == (1, 12)


def test_a_new_epoch_goes_on_at_numbers_seen_before() -> None:
    made = plan((1, 100), [((1, 90), rows(91, 95, epoch=2))])
    assert (made.end, made.gap) == ((2, 95), False)


@pytest.mark.parametrize("round_", range(20))
def test_no_gap_gets_in_whatever_the_broker_does(round_: int, seed: int) -> None:
    """Messages lost, doubled and out of order, and a box that goes back to what it is told."""
    random = Random(seed)
    stream: list[Ref] = []
    cursor, sent, on_the_way = 0, 0, list[tuple[Ref, list[Row]]]()
    for _ in range(2000):
        end = stream[-1] if stream else NOWHERE
        if random.random() < 0.5 and sent < TOTAL:
            last = min(TOTAL, sent + random.randint(1, 8))
            on_the_way.append(((1, sent) if sent else NOWHERE, rows(sent + 1, last)))
            sent = last
        if on_the_way:
            index = random.randrange(len(on_the_way)) if random.random() < 0.3 else 0
            message = on_the_way[index] if random.random() < 0.1 else on_the_way.pop(index)
            if random.random() < 0.2:
                continue
            made = plan(end, [message])
            stream += [row.ref for row in made.new]
            if made.gap:
                sent = min(sent, made.receipt[1])
            cursor = max(cursor, made.receipt[1])
        elif sent == TOTAL and cursor < TOTAL:
            sent = cursor
    assert stream == [(1, seq) for seq in range(1, TOTAL + 1)]


def test_boxes_are_shared_out_evenly_and_always_the_same_way() -> None:
    shares = Counter(part_of("school", f"gate-{number}", 8) for number in range(8000))
    assert all(800 <= share <= 1200 for share in shares.values())
    assert part_of("dongfang-primary", "gate-1", 8) == 7, "a new release must not move boxes between running workers"
