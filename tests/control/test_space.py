"""How full the card is: the rate of the last day, the days that are left, and a warning at each mark once."""

from __future__ import annotations

from pathlib import Path

from agent.control.space import DAY_S, LEAST_DAY_BYTES, MOST_DAYS, Measure, Space, look

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_nothing_is_known_before_a_look_nor_of_a_card_that_cannot_be_looked_at() -> None:
    space = Space()
    assert space.headroom_days() is None
    assert space.add(Measure(0, None, None)) is None
    assert space.headroom_days() is None


def test_a_young_box_is_counted_on_an_hour_at_least() -> None:
    clock = Clock()
    space = Space(clock)
    space.add(Measure(0, 1000 * MIB, 2000 * MIB))
    clock.s = 60.0
    space.add(Measure(MIB, 999 * MIB, 2000 * MIB))
    assert space.headroom_days() == round(999 / 24)  # one MiB an hour, not one a minute


def test_todays_rate_is_the_last_days_and_not_the_mean_since_the_start() -> None:
    clock = Clock()
    space = Space(clock)
    size = 0
    for hour in range(10 * 24):
        clock.s = hour * 3600.0
        size += 10 * MIB if hour < 9 * 24 else MIB
        space.add(Measure(size, 240 * MIB, 2000 * MIB))
    assert space.headroom_days() == 10
    assert len(space._samples) <= DAY_S / 900 + 2


def test_a_still_box_promises_no_centuries() -> None:
    space = Space(Clock())
    space.add(Measure(MIB, MIB * MIB, MIB * MIB))
    assert space.headroom_days() == MOST_DAYS
    space.add(Measure(MIB, LEAST_DAY_BYTES * 3, MIB * MIB))
    assert space.headroom_days() == 3


def test_each_mark_warns_once_and_again_only_after_the_card_was_well_below() -> None:
    space = Space(Clock())
    used = [70, 79, 80, 81, 79, 80, 89, 90, 95, 89, 90, 87, 81, 79, 77, 80]
    told = [space.add(Measure(0, 100 - percent, 100)) for percent in used]
    assert told == [None, None, 80, None, None, None, None, 90, None, None, None, 80, None, None, 0, 80]


def test_a_look_measures_the_file_and_its_card(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(bytes(5000))
    found = look(tmp_path / "journal.db")
    assert found.size == 5000
    assert found.free and found.total and found.free <= found.total
    assert look(tmp_path / "away" / "journal.db") == Measure(0, None, None)
