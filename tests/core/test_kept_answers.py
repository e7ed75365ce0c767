"""What is kept between steps so that a step is cheap is what would be found anew: the picture, the next deadline, and
the by-stander's note-book, which skips what cannot matter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import test_core_random
import test_lane_chaos

from agent.core import assemble, box, deadline, invariant
from agent.core.facts import Facts
from agent.core.facts_lane import Ask, BollardFacts, LaneFacts
from agent.core.invariant import Step, Violation


class Thorough(Facts):
    """The note-book that skips nothing."""

    __slots__ = ()

    def keep(self, step: Step) -> None:
        self.people.keep(step)
        self.campus.keep(step)
        for lane in self.lanes.values():
            lane.keep(step)


def noted(of: object) -> object:
    """Everything a note-book says, to be compared."""
    if isinstance(of, LaneFacts | BollardFacts | Ask):
        # where nothing stirs, that it might have stirred costs time only
        return {name: noted(getattr(of, name)) for name in of.__slots__ if name != "stirs"}
    if isinstance(of, dict):
        return {name: noted(one) for name, one in of.items()}
    return [noted(one) for one in of] if isinstance(of, list) else of


class Compared:
    """Judges as ever, and compares at each step. Counts them."""

    def __init__(self, honest: Callable[[Step], list[Violation]]) -> None:
        self._honest = honest
        self._books: dict[int, tuple[Facts, Thorough]] = {}  # by the id of the note-book, which is kept with it
        self.steps = 0

    def __call__(self, step: Step) -> list[Violation]:
        self.steps += 1
        _, book = self._books.setdefault(id(step.facts), (step.facts, Thorough()))
        found = self._honest(step)
        book.see(step)
        again = Step(step.old, step.event, step.now, step.new, step.records, step.outputs, book)
        book.keep(again)
        assert noted(step.facts.lanes) == noted(book.lanes), step.event
        assert step.outputs == assemble._whole(step.new, assemble._lanes_faulty(step.new)), step.event
        assert box.next_deadline(step.new) == deadline._answer(step.new, None).at, step.event
        return found


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Compared:
    made = Compared(invariant.check)
    monkeypatch.setattr(invariant, "check", made)
    return made


def test_at_a_gate_with_people(compared: Compared) -> None:
    for seed in range(4):
        print(f"seed {seed}")
        test_core_random.play(seed, 300)
    assert compared.steps > 4 * 300


def test_at_a_lane_where_everything_happens(compared: Compared) -> None:
    print("seed 7")
    test_lane_chaos.play(7, 15)
    assert compared.steps > 1000


@pytest.mark.parametrize("blind", ["stirs", "shown", "picture"])
def test_a_note_book_that_skips_too_much_is_seen(
    compared: Compared, monkeypatch: pytest.MonkeyPatch, blind: str
) -> None:
    """Seeded: it asks less than it must before it skips a lane."""

    def keep(facts: Facts, step: Step) -> None:
        facts.people.keep(step)
        facts.campus.keep(step)
        for name, lane in facts.lanes.items():
            asks = {
                "stirs": lane.stirs, "shown": bool(lane.shown),
                "picture": lane.picture is not step.outputs.lanes[name], "motions": bool(step.outputs.motions),
            }  # fmt: skip
            if any(yes for ask, yes in asks.items() if ask != blind):
                lane.keep(step)

    monkeypatch.setattr(Facts, "keep", keep)
    with pytest.raises(AssertionError):
        for seed in range(3):
            test_lane_chaos.play(seed, 15)
