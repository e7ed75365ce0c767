"""Every shipped profile loads, cites its source and holds together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hardware import profiles

KINDS: dict[str, Callable[[str], Any]] = {
    "boards": profiles.board,
    "bollards": profiles.bollard,
    "relays": profiles.relay,
    "analog": profiles.analog,
    "readers": profiles.reader,
}
SHIPPED = [(kind, name) for kind in KINDS for name in profiles.names(kind)]
BOARDS = ("cm4", "pi-3b-plus", "pi-4b", "pi-5", "pi-zero-2w")


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_a_shipped_profile_loads_under_its_own_name_and_cites_its_source(kind: str, name: str) -> None:
    profile = KINDS[kind](name)
    assert profile.name == name
    assert profile.sources
    assert all(source.maker and source.document and source.page for source in profile.sources)


@pytest.mark.parametrize("name", profiles.names("bollards"))
def test_a_bollard_profile_speaks_one_way(name: str) -> None:
    profile = profiles.bollard(name)
    assert (profile.registers is None) != (profile.states is None)
    assert profile.max_bollards >= 1


def test_the_reference_plc_lacks_nothing_and_its_words_do_not_overlap() -> None:
    profile = profiles.bollard("reference-plc")
    assert profile.lacks == () and profile.registers is not None
    words = profile.registers
    read = [words.lane.register, words.heartbeat_echo, words.bollard.register]
    assert words.bollard.register + profile.max_bollards <= words.cycles
    assert len(set(read)) == 3
    assert words.request + profile.max_bollards <= words.hold
    assert words.outputs < words.request and words.heartbeat < words.request
    lane = words.lane
    bits = [*lane.sensors_occupied.values(), *lane.sensors_faulty.values()]
    bits += [
        lane.mode_shift,
        lane.mode_shift + 1,
        lane.estop,
        lane.fire_key,
        lane.warning_on,
        lane.red_on,
        lane.green_on,
    ]
    assert len(bits) == len(set(bits)) and max(bits) < 16


def test_came_counts_registers_from_zero() -> None:
    states = profiles.bollard("came-zlb30b").states
    assert states is not None
    assert (states.state, states.error, states.operations, states.temperature) == (100, 103, 104, 109)
    assert states.coils == {"stop": 0, "lower": 1, "raise": 3}
    assert not set(states.up) & set(states.down)


@pytest.mark.parametrize("name", profiles.names("analog"))
def test_windows_of_a_loop_do_not_overlap_and_name_every_state(name: str) -> None:
    windows = sorted(profiles.analog(name).windows, key=lambda window: window.low)
    assert {window.line for window in windows} == {"normal", "pressed", "cut", "shorted"}
    assert all(window.low < window.high for window in windows)
    assert all(left.high < right.low for left, right in itertools.pairwise(windows))


def test_relay_addresses_that_move_all_channels_are_forbidden() -> None:
    relay = profiles.relay("waveshare-8ch")
    assert set(relay.forbidden) == {0x00FF, 0x01FF}
    assert not set(relay.forbidden) & set(range(relay.first_coil, relay.first_coil + relay.channels))


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_has_the_whole_header(name: str) -> None:
    board = profiles.board(name)
    pins = [*board.header.values(), *(int(pin) for pin in board.power)]
    assert sorted(pins) == list(range(1, 41))
    assert sorted(map(int, board.header)) == list(range(28))
    assert set(board.power.values()) == {"3V3", "5V", "GND"}
    lines = {line for pair in board.uart.values() for line in pair}
    assert lines <= set(range(28)) and tuple(board.uart["/dev/serial0"]) == (14, 15)
    assert board.watchdog_max_s == 15


def test_boards_differ_where_they_do() -> None:
    labels = {name: profiles.board(name).chip_label for name in BOARDS}
    assert labels == {
        "cm4": "pinctrl-bcm2711",
        "pi-3b-plus": "pinctrl-bcm2835",
        "pi-4b": "pinctrl-bcm2711",
        "pi-5": "pinctrl-rp1",
        "pi-zero-2w": "pinctrl-bcm2835",
    }
    assert [name for name in BOARDS if profiles.board(name).rtc] == ["pi-5"]
    assert profiles.names("boards") == sorted(BOARDS)


def test_a_missing_profile_says_which_there_are() -> None:
    with pytest.raises(profiles.ProfileError, match="pi-zero-2w"):
        profiles.board("pi-6")


def test_a_broken_profile_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "odd.toml").write_text('name = "odd"\n', "utf-8")
    monkeypatch.setattr(profiles, "FOLDER", tmp_path)
    with pytest.raises(profiles.ProfileError, match=r"odd\.toml"):
        profiles.board("odd")
