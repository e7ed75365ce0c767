"""The verbs: each does what it says, and wrong input is told in field words and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sim_gates import Gate

from sim.clockfile import ClockFile
from sim.faults import KINDS
from sim.picture import truth
from sim.verbs import Hands, NotNow, WrongInput

ROOT = Path(__file__).parents[2]


class Swiped:
    def __init__(self) -> None:
        self.cards: list[str] = []

    def swipe(self, digits: str) -> None:
        self.cards.append(digits)


@pytest.fixture
def reader() -> Swiped:
    return Swiped()


@pytest.fixture
def hands(gate: Gate, reader: Swiped, tmp_path: Path) -> Hands:
    return Hands(gate.world, dict.fromkeys(("wicket-in", "wicket-out", "guard"), reader), ClockFile(tmp_path / "run"))


def line(gate: Gate) -> str:
    return gate.world.buttons["gatehouse"].line


def test_one_press_is_one_press(gate: Gate, hands: Hands) -> None:
    assert hands.do("press", {"button": "gatehouse"}) == {"ok": True}
    gate.world.advance(10.29)
    assert line(gate) == "pressed"
    gate.world.advance(10.31)
    assert line(gate) == "normal"


def test_a_held_press_and_a_timed_one(gate: Gate, hands: Hands) -> None:
    hands.do("press", {"button": "gatehouse", "hold": True})
    gate.world.advance(100)
    assert line(gate) == "pressed"
    hands.do("release", {"button": "gatehouse"})
    assert line(gate) == "normal"
    hands.do("press", {"button": "gatehouse", "hold_s": 5})
    gate.world.advance(104.9)
    assert line(gate) == "pressed"


@pytest.mark.parametrize("card", ["0100A1B2C3", "0100a1b2c3", "uart-125k:0100A1B2C3", "guard-1"])
def test_cards_by_digits_format_or_holder(gate: Gate, hands: Hands, reader: Swiped, card: str) -> None:
    assert hands.do("swipe", {"reader": "guard", "card": card}) == {"ok": True, "card": "0100A1B2C3"}
    assert reader.cards == ["0100A1B2C3"]
    assert gate.told("card", "guard") == ["uart-125k:0100A1B2C3"]


def test_a_card_at_an_unplugged_reader(gate: Gate, hands: Hands, reader: Swiped) -> None:
    hands.do("fault", {"device": "reader:guard", "kind": "unplugged"})
    with pytest.raises(NotNow, match="heal"):
        hands.do("swipe", {"reader": "guard", "card": "guard-1"})
    assert reader.cards == []


def test_doors_politely_and_by_force(gate: Gate, hands: Hands) -> None:
    told = hands.do("door", {"door": "gatehouse", "open": True, "from": "outside"})
    assert told == {"ok": True, "moved": False, "why": "locked"}
    assert hands.do("door", {"door": "gatehouse", "open": True}) == {"ok": True, "moved": True, "why": ""}
    assert gate.world.doors["gatehouse"].open
    hands.do("door", {"door": "gatehouse", "open": False})
    assert not truth(gate.world)["doors"]["gatehouse"]["open"]


def test_the_rest_of_the_verbs(gate: Gate, hands: Hands) -> None:
    for verb, body in (
        ("vehicle", {"lane": "main", "at": "on_loop"}),
        ("person", {"lane": "service", "at": "between"}),
        ("fire", {"on": True}),
        ("tamper", {}),
        ("mains", {"on": False}),
        ("battery", {"on": False}),
        ("key", {"key": "panic-reset", "position": "on"}),
        ("key", {"key": "lane:main:raise", "position": "on"}),
        ("rex", {"door": "wicket"}),
        ("mode", {"lane": "main", "mode": "local"}),
        ("mode", {"lane": "service", "mode": "estop"}),
        ("line", {"button": "office", "state": "cut"}),
    ):
        assert hands.do(verb, body)["ok"], verb
    picture = truth(gate.world)
    assert picture["lanes"]["main"]["vehicle"] == "on_loop"
    assert picture["lanes"]["main"]["sensors"]["loop1"] == "occupied"
    assert picture["lanes"]["service"]["person"] == "between"
    assert (picture["lanes"]["main"]["mode"], picture["lanes"]["service"]["mode"]) == ("local", "estop")
    assert (picture["fire"], picture["tamper"], picture["mains"], picture["battery"]) == (True, True, False, False)
    assert picture["keys"]["panic-reset"] == picture["keys"]["lane:main:raise"] == "on"
    assert picture["rex"] == {"wicket": True}
    assert picture["buttons"]["office"] == {"pressed": False, "line": "cut"}
    hands.do("tamper", {"on": False})
    assert truth(gate.world)["tamper"] is False


def test_the_clock_is_an_offset_in_a_file(hands: Hands, tmp_path: Path) -> None:
    file = tmp_path / "run" / "clock-offset"
    assert file.read_text() == "0\n"
    assert hands.do("clock", {"step_s": 3600}) == {"ok": True, "offset_ms": 3_600_000}
    assert hands.do("clock", {"step_s": -0.25}) == {"ok": True, "offset_ms": 3_599_750}
    assert file.read_text() == "3599750\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_clock_whose_folder_cannot_be_written(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    hands = Hands(gate.world, {}, ClockFile(tmp_path / "file" / "run"))
    with pytest.raises(NotNow, match="cannot be written"):
        hands.do("clock", {"step_s": 1})


def test_the_documentation_and_the_page_name_every_verb_and_fault(hands: Hands) -> None:
    told = (ROOT / "docs" / "simulator.md").read_text("utf-8")
    words = (ROOT / "sim" / "static" / "words.js").read_text("utf-8")
    faults = (ROOT / "sim" / "static" / "faultwords.js").read_text("utf-8")
    for verb in hands.verbs:
        assert f"`/{verb}`" in told
        assert f"do_{verb}:" in words
    for kind in KINDS:
        assert f"`{kind.name}`" in told
        assert f"{kind.name}: [" in faults
        for device_class in kind.on:
            assert f"{device_class}: [" in faults


def test_faults_and_healing(gate: Gate, hands: Hands) -> None:
    told = hands.do("fault", {"device": "lane:main", "kind": "late reply", "delay_s": 0.5})
    assert told == {"ok": True, "device": "lane:main", "kind": "late", "params": {"delay_s": 0.5, "p": 1.0, "count": 0}}
    hands.do("fault", {"device": "gatehouse", "kind": "Stuck-Button"})
    assert {f["kind"] for f in truth(gate.world)["faults"]} == {"late", "stuck"}
    assert hands.do("heal", {"device": "lane:main"}) == {"ok": True, "healed": ["lane:main late"]}
    assert hands.do("heal", {}) == {"ok": True, "healed": ["button:gatehouse stuck"]}
    assert hands.do("heal", {}) == {"ok": True, "healed": []}


WRONG: list[tuple[str, Any, str, str]] = [
    ("press", {"button": "roof"}, "button", "gatehouse"),
    ("press", {}, "button", "wicket"),
    ("press", {"button": 7}, "button", "office"),
    ("press", {"button": "gatehouse", "hold_s": 0}, "hold_s", "a number from 0.001 to 3600"),
    ("press", {"button": "gatehouse", "hold": "yes"}, "hold", "true"),
    ("press", {"button": "gatehouse", "holds": 1}, "holds", "hold_s"),
    ("press", ["gatehouse"], "", '{"field": value}'),
    ("release", {"button": "roof"}, "button", "gatehouse"),
    ("line", {"button": "gatehouse", "state": "bent"}, "state", "shorted"),
    ("line", {"button": "gatehouse", "state": "pressed"}, "state", "cut"),
    ("swipe", {"reader": "roof", "card": "guard-1"}, "reader", "guard"),
    ("swipe", {"reader": "guard"}, "card", "ten hex digits, <format>:<hex>, or a holder of the site file"),
    ("swipe", {"reader": "guard", "card": "nobody-1"}, "card", "guard-1"),
    ("swipe", {"reader": "guard", "card": "0100A1B2"}, "card", "10 hex digits"),
    ("swipe", {"reader": "guard", "card": "0100A1B2C３"}, "card", "10 hex digits"),
    ("swipe", {"reader": "guard", "card": "wiegand-26:0100A1B2C3"}, "card", "uart-125k:…"),
    ("door", {"door": "wicket", "open": "yes"}, "open", "true"),
    ("door", {"door": "wicket", "open": True, "from": "above"}, "from", "inside"),
    ("vehicle", {"lane": "north", "at": "away"}, "lane", "main"),
    ("vehicle", {"lane": "main", "at": "home"}, "at", "on_loop"),
    ("person", {"lane": "main"}, "at", "between"),
    ("fire", {}, "on", "false"),
    ("mains", {"on": 1}, "on", "true"),
    ("key", {"key": "lane:main:stop", "position": "on"}, "key", "lane:main:raise"),
    ("key", {"key": "fire", "position": "left"}, "position", "off"),
    ("rex", {"door": "gatehouse"}, "door", "wicket"),
    ("mode", {"lane": "main", "mode": "auto"}, "mode", "estop"),
    ("clock", {"step_s": "1h"}, "step_s", "a number from -3.16224e+08 to 3.16224e+08"),
    ("clock", {"step_s": float("nan")}, "step_s", "a number from -3.16224e+08 to 3.16224e+08"),
    ("fault", {"kind": "dead"}, "device", "a device, for example lane:main"),
    ("fault", {"device": "lane:main", "kind": "sad"}, "kind", "dead"),
    ("fault", {"device": "moon", "kind": "dead"}, "device", "bus:plc"),
    ("fault", {"device": "lane:main", "kind": "slow", "delay": 1}, "delay", "delay_s"),
    ("heal", {"device": "moon"}, "device", "gpio"),
    ("explode", {}, "verb", "press"),
]


@pytest.mark.parametrize(("verb", "body", "field", "valid"), WRONG)
def test_wrong_input_names_the_field_and_what_it_may_be(
    gate: Gate, hands: Hands, verb: str, body: Any, field: str, valid: str
) -> None:
    before = truth(gate.world)
    with pytest.raises(WrongInput) as caught:
        hands.do(verb, body)
    assert caught.value.field == field
    assert valid in caught.value.valid
    assert truth(gate.world) == before
