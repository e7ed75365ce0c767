"""From wires to words: every role of terminal, edges and polls, and what nobody reads any more."""

from __future__ import annotations

import pytest
from control_scenes import Wires, demo_site, single_button_site, wired_site

from agent.core.events import (
    CardBad,
    CardRead,
    DoorContact,
    Event,
    FireInput,
    KeyInput,
    PanicLine,
    Rex,
    SupplyInput,
)
from agent.core.words import Contact, Line, Sensor
from drivers.ports import BadCard, CardFrame

# (gpio of the demo's site file, electrically high, what that is in words)
WORDS: list[tuple[int, bool, Event]] = [
    (20, True, DoorContact("wicket", Contact.OPEN)),
    (20, False, DoorContact("wicket", Contact.CLOSED)),
    (21, False, Rex("wicket")),
    (5, False, KeyInput("lane:main:raise", True)),
    (5, True, KeyInput("lane:main:raise", False)),
    (6, False, KeyInput("lane:main:lower", True)),
    (13, False, KeyInput("lane:service:lower", True)),
    (24, False, KeyInput("panic-reset", True)),
    (25, False, KeyInput("fire", True)),
    (19, True, KeyInput("fire-reset", False)),
    (4, True, FireInput(True)),  # active = "open": a cut wire is fire
    (4, False, FireInput(False)),
    (18, True, SupplyInput("tamper", False)),
    (18, False, SupplyInput("tamper", True)),
    (7, True, SupplyInput("mains", False)),
    (8, True, SupplyInput("battery", False)),
]


@pytest.mark.parametrize(("gpio", "high", "word"), WORDS, ids=lambda value: str(value))
def test_each_terminal_speaks_its_own_word(gpio: int, high: bool, word: Event) -> None:
    wires = Wires(demo_site())
    wires.high[gpio] = not high
    wires.settle()
    wires.high[gpio] = high
    assert wires.poll(4) == [word]


def test_a_request_to_exit_speaks_when_pressed_and_is_silent_when_let_go() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.high[21] = False
    assert wires.poll(4) == [Rex("wicket")]
    wires.high[21] = True
    assert wires.poll(4) == []


def test_at_the_first_reading_everything_is_told_but_nothing_asks_to_exit() -> None:
    wires = Wires(demo_site())
    told = wires.poll()
    assert {type(event) for event in told} == {PanicLine, DoorContact, KeyInput, FireInput, SupplyInput}
    assert all(event.line is Line.NORMAL for event in told if isinstance(event, PanicLine))


def test_a_rex_held_at_the_start_lets_out() -> None:
    wires = Wires(demo_site())
    wires.high[21] = False
    assert Rex("wicket") in wires.poll()


# ── panic lines: edges for speed, levels for truth ─────────────────────────────────────────────────────────────────


def test_two_edges_are_a_press_at_the_pins_own_instant() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.intake.edge(27, True, wires.at + 0.004)
    wires.intake.edge(17, False, wires.at + 0.006)
    assert wires.told == [PanicLine("gatehouse", Line.PRESSED, wires.at + 0.006)]


def test_a_press_whose_every_edge_is_lost_costs_one_poll() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.high |= {17: False, 27: True}
    assert wires.poll() == [PanicLine("gatehouse", Line.PRESSED, wires.at)]


def test_a_poll_that_was_asked_for_before_the_edge_takes_nothing_back() -> None:
    wires = Wires(demo_site())
    wires.settle()
    asked_at = wires.at + 0.020
    wires.intake.edge(27, True, asked_at + 0.001)
    wires.intake.edge(17, False, asked_at + 0.001)
    wires.intake.levels(wires.high, asked_at)  # answered late: the levels of before the press
    assert [event.line for event in wires.told if isinstance(event, PanicLine)] == [Line.PRESSED]


def test_an_edge_of_a_pin_nobody_knows_says_nothing() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.intake.edge(2, False, wires.at)
    assert wires.told == []


def test_a_cut_pair_is_cut_once_its_time_is_up() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.high |= {17: True, 27: True}
    assert wires.poll(2) == []
    assert [event.line for event in wires.poll(10) if isinstance(event, PanicLine)] == [Line.CUT]


def test_a_button_on_one_pin_still_presses() -> None:
    wires = Wires(single_button_site())
    wires.settle()
    wires.high[17] = False
    assert [event.line for event in wires.poll(2) if isinstance(event, PanicLine)] == [Line.PRESSED]


@pytest.mark.parametrize("word", ["normal", "pressed"])
def test_a_loop_speaks_for_its_button(word: str) -> None:
    wires = Wires(demo_site())
    wires.intake.loops("loops", (word, "normal", "normal", "normal"), 11.0)  # type: ignore[arg-type]
    assert wires.told == [PanicLine("office", Line(word), 11.0)]


@pytest.mark.parametrize("word", ["cut", "shorted", "disagree"])
def test_a_faulty_loop_speaks_after_a_transit(word: str) -> None:
    wires = Wires(demo_site())
    lines = (word, "normal", "normal", "normal")
    wires.intake.loops("loops", ("normal",) * 4, 11.0)
    wires.intake.loops("loops", lines, 11.1)  # type: ignore[arg-type]
    wires.intake.loops("loops", lines, 11.25)  # type: ignore[arg-type]
    assert wires.told[1:] == [PanicLine("office", Line(word), 11.25)]


# ── lost ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lost_pins_are_unread_never_what_they_were() -> None:
    wires = Wires(demo_site())
    wires.settle()
    lost = wires.lose()
    assert {event.button: event.line for event in lost if isinstance(event, PanicLine)} == {
        "gatehouse": Line.UNREAD,
        "wicket": Line.UNREAD,
    }
    assert {event.door: event.contact for event in lost if isinstance(event, DoorContact)} == {
        "wicket": Contact.UNREAD,
        "gatehouse": Contact.UNREAD,
    }
    assert FireInput(None) in lost
    assert {event.which: event.ok for event in lost if isinstance(event, SupplyInput)} == {
        "tamper": None,
        "mains": None,
        "battery": None,
    }
    assert {event.on for event in lost if isinstance(event, KeyInput)} == {None}
    assert not any(isinstance(event, Rex) for event in lost)


def test_lost_pins_are_told_once() -> None:
    wires = Wires(demo_site())
    wires.settle()
    assert wires.lose()
    assert wires.lose() == []


def test_lost_pins_that_come_back_are_told_anew() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.lose()
    back = wires.poll(2)
    assert FireInput(False) in back
    assert DoorContact("wicket", Contact.CLOSED) in back


def test_a_lost_board_takes_its_own_loops_only() -> None:
    wires = Wires(demo_site())
    wires.settle()
    wires.intake.loops("loops", ("normal",) * 4, wires.at)
    wires.told.clear()
    wires.intake.loops_lost("loops", wires.at + 0.1)
    assert wires.told == [PanicLine("office", Line.UNREAD, wires.at + 0.1)]


# ── the first scan ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_pins_are_settled_after_the_first_reading_and_not_once_lost() -> None:
    wires = Wires(demo_site())
    seen = [wires.intake.settled]
    wires.poll()
    seen.append(wires.intake.settled)
    wires.lose()
    seen.append(wires.intake.settled)
    assert seen == [False, True, False]


def test_each_device_says_that_it_has_been_read() -> None:
    wires = Wires(demo_site())
    wires.poll()
    assert wires.read == ["gpio"]
    wires.intake.loops("loops", ("normal",) * 4, wires.at)
    assert wires.read == ["gpio", "loops", "panic"]


def test_panic_lines_count_as_read_once_every_line_is_judged() -> None:
    wires = Wires(demo_site())
    wires.high |= {17: True, 27: True}  # cut: judged after its transit only
    wires.intake.loops("loops", ("normal",) * 4, wires.at)
    wires.poll(2)
    assert "panic" not in wires.read
    wires.poll(6)
    assert wires.read[-1] == "panic"


# ── what lanes and readers ask ─────────────────────────────────────────────────────────────────────────────────────


def test_a_lane_with_sensors_at_the_plc_only_has_none_here() -> None:
    assert Wires(demo_site()).intake.local_sensors("main") is None


def test_sensors_wired_to_the_box_are_unread_clear_or_occupied_with_their_instant() -> None:
    wires = Wires(wired_site())
    assert wires.intake.local_sensors("main") == (
        {"loop1": Sensor.UNREAD, "beam": Sensor.UNREAD},
        float("-inf"),
    )
    wires.settle()
    wires.high[14] = True  # a vehicle, or a cut wire: it must never read as clear
    assert wires.poll(4) == []  # a sensor is told with its lane
    assert wires.intake.local_sensors("main") == ({"loop1": Sensor.OCCUPIED, "beam": Sensor.CLEAR}, wires.at)
    wires.lose()
    assert wires.intake.local_sensors("main") == (
        {"loop1": Sensor.UNREAD, "beam": Sensor.UNREAD},
        float("-inf"),
    )


def test_a_card_and_a_garbled_card_are_two_things() -> None:
    wires = Wires(demo_site())
    wires.intake.card("guard", CardFrame("uart-125k:0100A1B2C3", 1.0))
    wires.intake.card("guard", BadCard("the frame has a wrong check digit", 2.0))
    assert wires.told == [
        CardRead("guard", "uart-125k:0100A1B2C3"),
        CardBad("guard", "the frame has a wrong check digit"),
    ]
