"""The first full reading: bounded, and over once."""

from __future__ import annotations

from agent.control.scan import LIMIT_S, Scan


class Word:
    """Who was missing, each time the scan called itself complete."""

    def __init__(self) -> None:
        self.missing: list[tuple[str, ...]] = []

    def __call__(self, missing: tuple[str, ...]) -> None:
        self.missing.append(missing)


def test_it_is_complete_when_the_last_device_was_read() -> None:
    word = Word()
    scan = Scan(["gpio", "lane:main"], word)
    scan.read("gpio")
    assert word.missing == []
    scan.read("lane:main")
    assert word.missing == [()]


def test_it_ends_once_whatever_comes_after() -> None:
    word = Word()
    scan = Scan(["gpio"], word)
    scan.read("gpio")
    scan.read("gpio")
    scan.time_is_up()
    assert word.missing == [()]


def test_when_its_time_is_up_it_names_who_has_not_answered() -> None:
    word = Word()
    scan = Scan(["lane:main", "gpio", "loops"], word)
    scan.read("gpio")
    scan.time_is_up()
    scan.read("loops")
    assert word.missing == [("lane:main", "loops")]


def test_a_device_that_was_never_asked_for_is_no_help() -> None:
    word = Word()
    scan = Scan(["gpio"], word)
    scan.read("reader:guard")
    assert word.missing == []


def test_a_gate_without_inputs_is_scanned_at_once() -> None:
    word = Word()
    Scan([], word)
    assert word.missing == [()]


def test_a_first_press_is_served_within_half_a_second_of_the_start() -> None:
    assert LIMIT_S < 0.5
