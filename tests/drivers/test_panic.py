"""Panic lines of a whole site: pins and loops to changes, and the analogue board's windows."""

from __future__ import annotations

import pytest
from modbus_peers import Tables, honest, tcp_peer

from drivers.errors import LinkLost, Misuse
from drivers.modbus_bus import ModbusBus
from drivers.panic import LineChange, LoopBoard, PanicLines
from drivers.ports import LineText
from hardware import site

PAIR = site.PanicButton(id="gatehouse", no="gpio:17", nc="gpio:27")
LOOP = site.PanicButton(id="office", loop="loops:1")
REST = {17: True, 27: False, 5: True}
DOWN = {17: False, 27: True, 5: True}


def test_each_button_says_only_what_changed() -> None:
    lines = PanicLines((PAIR, LOOP))
    assert lines.lines == {"gatehouse": "unread", "office": "unread"}
    assert lines.levels(REST, 1.0) == [LineChange("gatehouse", "normal", 1.0)]
    assert lines.levels(REST, 1.02) == []
    assert lines.edge(17, False, 1.025) == []
    assert lines.edge(27, True, 1.026) == [LineChange("gatehouse", "pressed", 1.026)]
    assert lines.loops("loops", ("normal", "pressed"), 1.03) == [LineChange("office", "pressed", 1.03)]
    assert lines.lines == {"gatehouse": "pressed", "office": "pressed"}


def test_pins_of_others_change_nothing() -> None:
    lines = PanicLines((PAIR,))
    lines.levels(REST, 1.0)
    assert lines.edge(5, False, 1.1) == []
    assert lines.levels({5: False}, 1.2) == []
    assert lines.levels({17: False, 5: False}, 1.3) == [], "half a pair proves nothing"
    assert lines.loops("another board", ("pressed",), 1.4) == []


def test_a_lost_source_takes_its_own_lines() -> None:
    lines = PanicLines((PAIR, LOOP))
    lines.levels(DOWN, 1.0)
    lines.loops("loops", ("normal", "normal"), 1.0)
    assert lines.lost("gpio", 2.0) == [LineChange("gatehouse", "unread", 2.0)]
    assert lines.lost("gpio", 2.1) == []
    assert lines.lines["office"] == "normal"
    assert lines.lost("loops", 2.2) == [LineChange("office", "unread", 2.2)]


def test_a_channel_the_board_does_not_have_is_unread() -> None:
    lines = PanicLines((LOOP,))
    lines.loops("loops", ("normal", "normal"), 1.0)
    assert lines.loops("loops", ("normal",), 1.1) == [LineChange("office", "unread", 1.1)]


@pytest.mark.parametrize(("which", "rest"), [("no", True), ("nc", False)])
def test_a_lone_contact_knows_normal_and_pressed(which: str, rest: bool) -> None:
    """Its cut wire reads as pressed with NC and as normal with NO, which is why `supervised` forbids it."""
    button = site.PanicButton(
        id="old", no="gpio:17" if which == "no" else "", nc="gpio:17" if which == "nc" else "", supervised=False
    )
    lines = PanicLines((button,))
    assert lines.levels({17: rest}, 1.0) == [LineChange("old", "normal", 1.0)]
    assert lines.edge(17, not rest, 1.1) == [LineChange("old", "pressed", 1.1)]


@pytest.mark.parametrize(
    "button",
    [
        site.PanicButton(id="b"),
        site.PanicButton(id="b", loop="gpio:17"),
        site.PanicButton(id="b", no="plc", nc="gpio:17"),
    ],
)
def test_a_button_wired_to_nothing_sensible(button: site.PanicButton) -> None:
    with pytest.raises(Misuse, match="panic button b"):
        PanicLines((button,))


@pytest.mark.parametrize(
    ("millivolts", "line"),
    [
        (0, "shorted"),
        (1499, "shorted"),
        (1500, "disagree"),
        (3333, "pressed"),
        (4100, "disagree"),
        (5000, "normal"),
        (7000, "disagree"),
        (10000, "cut"),
        (10500, "disagree"),
        (65535, "disagree"),
    ],
)
async def test_windows_of_the_analogue_board(millivolts: int, line: LineText) -> None:
    """Windows of hardware/analog/eol-4.toml: from `low` up to but not including `high`."""
    tables = Tables(inputs={0: 5000, 1: millivolts, 2: 5000, 3: 5000})
    async with tcp_peer(honest({2: tables})) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        board = LoopBoard(site.AnalogBoard(name="loops", bus="plc", unit=2, profile="eol-4"), bus)
        assert await board.read() == ("normal", line, "normal", "normal")
        assert len(peer.heard) == 1
        await bus.close()
        with pytest.raises(LinkLost):
            await board.read()
