"""Debounce by properties: any bounce, any lost or late edge, levels alone. All time is virtual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.debounce import RELEASE_S, TRANSIT_S, Contact, LoopLine, PairLine
from drivers.ports import LineText

POLL_S = 0.020
Levels = tuple[bool, bool]  # NO high, NC high
NORMAL: Levels = (True, False)
PRESSED: Levels = (False, True)
CUT: Levels = (True, True)
DISAGREE: Levels = (False, False)


@dataclass(frozen=True)
class Wave:
    """What both pins really do: levels from each instant on, instants rising."""

    steps: tuple[tuple[float, Levels], ...]

    def at(self, instant: float) -> Levels:
        levels = self.steps[0][1]
        for since, then in self.steps:
            if since > instant:
                break
            levels = then
        return levels


def play(
    wave: Wave, until: float, polls: list[float], keep_edge: Callable[[int], bool] = lambda index: False
) -> tuple[PairLine, list[tuple[LineText, float]]]:
    """Let a line see the polls and the edges kept, in the order of time; returns it and its changes."""
    line, changes = PairLine(), list[tuple[LineText, float]]()
    moments: list[tuple[float, Callable[[float], bool]]] = []
    for poll in polls:
        if poll <= until:
            moments.append((poll, lambda at: line.levels(*wave.at(at), at)))
    before = wave.steps[0][1]
    for index, (since, levels) in enumerate(wave.steps[1:]):
        for which, old, new in (("no", before[0], levels[0]), ("nc", before[1], levels[1])):
            if old is not new and keep_edge(index):
                moments.append((since, lambda at, which=which, new=new: line.edge(which, new, at)))  # type: ignore[misc]
        before = levels
    for at, see in sorted(moments, key=lambda moment: moment[0]):
        if see(at):
            changes.append((line.line, line.at))
    return line, changes


@st.composite
def polls(draw: st.DrawFn, until: float = 2.0) -> list[float]:
    """A level poll every 20 ms that comes up to 2 ms late."""
    phase = draw(st.floats(0, POLL_S))
    late = draw(st.lists(st.floats(0, 0.002), min_size=int(until / POLL_S), max_size=int(until / POLL_S)))
    return [phase + index * POLL_S + more for index, more in enumerate(late)]


bounces = st.lists(st.tuples(st.floats(0.0002, 0.003), st.sampled_from((NORMAL, CUT, DISAGREE, PRESSED))), max_size=6)


def press(at: float, held_s: float, down: list[tuple[float, Levels]], up: list[tuple[float, Levels]]) -> Wave:
    """Normal, bouncing for the sum of `down`, pressed until `at + held_s`, bouncing again, normal."""
    steps: list[tuple[float, Levels]] = [(0.0, NORMAL)]
    now = at
    for pause, levels in down:
        steps.append((now, levels))
        now += pause
    steps.append((now, PRESSED))
    now = max(at + held_s, now + 0.001)
    for pause, levels in up:
        steps.append((now, levels))
        now += pause
    steps.append((now, NORMAL))
    return Wave(tuple(steps))


@given(polls(), st.floats(0.1, 1.0), st.floats(0.050, 0.8), bounces, bounces)
def test_a_press_of_50_ms_is_never_missed_though_every_edge_is_lost(
    polls: list[float], at: float, held: float, down: list[tuple[float, Levels]], up: list[tuple[float, Levels]]
) -> None:
    """The contacts rest together at least from the bounce's end (18 ms at most) to the release."""
    line, changes = play(press(at, held, down, up), 2.0, polls)
    pressed = [instant for what, instant in changes if what == "pressed"]
    assert len(pressed) == 1, changes
    assert at <= pressed[0] <= at + held + 0.02
    assert line.line == "normal"


@given(polls(), st.floats(0.1, 1.0), st.floats(0.005, 0.8), bounces, bounces, st.sets(st.integers(0, 14)))
def test_a_press_is_one_press_whichever_edges_come(
    polls: list[float],
    at: float,
    held: float,
    down: list[tuple[float, Levels]],
    up: list[tuple[float, Levels]],
    lost: set[int],
) -> None:
    line, changes = play(press(at, held, down, up), 2.0, polls, lambda index: index not in lost)
    assert [what for what, _ in changes].count("pressed") <= 1
    assert {what for what, _ in changes} <= {"normal", "pressed"}, "a transit is no fault"
    assert line.line == "normal"


@given(polls(), st.floats(0.1, 1.0), st.floats(0.0005, 0.5))
def test_with_its_edges_any_press_is_seen_at_once_and_dated_by_its_edge(
    polls: list[float], at: float, held: float
) -> None:
    wave = Wave(((0.0, NORMAL), (at, CUT), (at + 0.0003, PRESSED), (at + held + 0.0003, NORMAL)))
    _, changes = play(wave, 2.0, polls, lambda index: True)
    pressed = [instant for what, instant in changes if what == "pressed"]
    assert pressed == [at + 0.0003]


@given(polls(), st.floats(0.1, 1.0), st.sampled_from((CUT, DISAGREE)), st.floats(0, 0.095))
def test_contacts_in_transit_are_no_fault(polls: list[float], at: float, odd: Levels, lasting: float) -> None:
    wave = Wave(((0.0, NORMAL), (at, odd), (at + lasting, NORMAL)))
    # What is seen lasts up to one poll longer than it is.
    if lasting > TRANSIT_S - 0.030:
        return
    _, changes = play(wave, 2.0, polls)
    assert [what for what, _ in changes] == ["normal"]


@given(polls(), st.floats(0.1, 1.0), st.sampled_from(((CUT, "cut"), (DISAGREE, "disagree"))))
def test_a_fault_that_stays_is_told_with_its_kind(polls: list[float], at: float, odd: tuple[Levels, LineText]) -> None:
    levels, name = odd
    _, changes = play(Wave(((0.0, NORMAL), (at, levels))), 2.0, polls)
    assert [what for what, _ in changes] == ["normal", name]
    assert at + TRANSIT_S <= changes[-1][1] <= at + TRANSIT_S + 3 * POLL_S


@given(polls(), st.sampled_from((CUT, DISAGREE)), st.floats(0.021, 0.045), st.floats(0.021, 0.045))
def test_a_line_that_flickers_for_ever_is_told(polls: list[float], odd: Levels, bad: float, good: float) -> None:
    """Never normal for RELEASE_S, never odd for TRANSIT_S: a loose wire."""
    steps, now = [(0.0, NORMAL)], 0.1
    while now < 1.9:
        steps += [(now, odd), (now + bad, NORMAL)]
        now += bad + good
    _, changes = play(Wave(tuple(steps)), 1.8, polls, lambda index: True)
    assert {"cut", "disagree"} & {what for what, _ in changes}


@given(
    st.lists(st.tuples(st.sampled_from(("no", "nc", "poll", "lost")), st.booleans(), st.booleans(), st.floats(0, 3)))
)
def test_no_order_of_observations_breaks_it_and_truth_wins_in_the_end(
    seen: list[tuple[str, bool, bool, float]],
) -> None:
    """Edges late, early, doubled, out of order; then two clean stretches of polls."""
    line = PairLine()
    for kind, first, second, at in seen:
        match kind:
            case "poll":
                line.levels(first, second, at)
            case "lost":
                line.lost(at)
            case _:
                line.edge(kind, first, at)
    for start, levels, name in ((4.0, PRESSED, "pressed"), (5.0, NORMAL, "normal"), (6.0, CUT, "cut")):
        for tick in range(10):
            line.levels(*levels, start + tick * POLL_S)
        assert line.line == name


def test_the_first_reading_counts_at_once_but_for_faults() -> None:
    for levels, name in ((NORMAL, "normal"), (PRESSED, "pressed"), (CUT, "unread")):
        line = PairLine()
        assert line.line == "unread"
        assert line.levels(*levels, 1.0) is (name != "unread")
        assert line.line == name


def test_half_a_reading_is_none() -> None:
    line = PairLine()
    assert not line.edge("no", False, 1.0)
    assert line.line == "unread"


def test_a_lost_line_is_unread_and_starts_afresh() -> None:
    line = PairLine()
    line.levels(*NORMAL, 1.0)
    assert line.lost(1.1)
    assert not line.lost(1.2)
    assert line.line == "unread"
    assert line.levels(*PRESSED, 1.3)
    assert (line.line, line.at) == ("pressed", 1.3)


def test_a_stale_level_does_not_undo_an_edge() -> None:
    """The poll was asked for before the edges, and answered after them."""
    line = PairLine()
    line.levels(*NORMAL, 1.000)
    line.edge("no", False, 1.021)
    assert line.edge("nc", True, 1.022)
    assert not line.levels(*NORMAL, 1.020)
    assert line.line == "pressed"


def test_a_release_counts_after_it_stood() -> None:
    line = PairLine()
    line.levels(*PRESSED, 1.0)
    for tick in range(1, 10):
        at = 1.0 + tick * 0.01
        changed = line.levels(*NORMAL, at)
        assert changed is (tick == 6), f"{at}"  # normal since 1.01, for RELEASE_S at 1.06
    assert RELEASE_S == 0.050


# ── loops ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_loop_s_press_counts_at_once_and_its_faults_when_they_stay() -> None:
    loop = LoopLine()
    assert loop.reading("normal", 1.0)
    assert not loop.reading("disagree", 1.1)
    assert loop.reading("pressed", 1.12)
    assert not loop.reading("shorted", 1.2)
    assert loop.reading("shorted", 1.3)
    assert (loop.line, loop.at) == ("shorted", 1.3)
    assert not loop.reading("normal", 1.4)
    assert loop.reading("normal", 1.5)
    assert loop.reading("unread", 1.6)
    assert loop.reading("pressed", 1.7)


# ── single contacts ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(polls(), st.floats(0.1, 1.0), st.floats(0.050, 0.5))
def test_a_button_of_50_ms_is_never_missed_on_levels_alone(polls: list[float], at: float, held: float) -> None:
    contact, changes = Contact(), list[bool | None]()
    for poll in polls:
        if contact.level(not at <= poll < at + held, poll):
            changes.append(contact.high)
    assert changes == [True, False, True]


@settings(max_examples=50)
@given(st.lists(st.floats(0.0001, 0.01), max_size=20), st.booleans())
def test_a_contact_s_bounce_is_one_change(pauses: list[float], high: bool) -> None:
    contact, at, level, changes = Contact(), 1.0, high, 0
    contact.level(not high, 0.9)
    for pause in pauses:
        changes += contact.edge(level, at)
        level, at = not level, at + pause
    for tick in range(4):
        changes += contact.level(high, at + tick * POLL_S)
    assert (contact.high, changes) == (high, 1)


def test_a_stable_time_of_nought_counts_at_once() -> None:
    fire = Contact(rise_s=0)
    fire.level(False, 1.0)
    assert fire.edge(True, 1.001)
    assert (fire.high, fire.at) == (True, 1.001)


def test_a_contact_is_none_until_read_and_when_lost() -> None:
    contact = Contact()
    assert contact.high is None
    assert not contact.lost(0.5)
    assert contact.level(True, 1.0)
    assert contact.lost(1.1)
    assert contact.level(False, 1.2)


@pytest.mark.parametrize("late_s", [0.001, 0.1])
def test_an_edge_older_than_the_level_known_is_passed_over(late_s: float) -> None:
    contact = Contact(fall_s=0)
    contact.level(True, 1.0)
    assert not contact.edge(False, 1.0 - late_s)
    assert contact.high
