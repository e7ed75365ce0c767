"""The guard's hold-to-run buttons at the box: nothing moves unless held."""

from __future__ import annotations

import pytest
from lane_world import World

from agent.core.events import PanicLine
from agent.core.words import Hold, Light, Line, Position, Sensor


def refused(world: World) -> str:
    return str(world.last("lane.refused").data["why"])


def test_hold_to_run_raises_while_held_and_stops_when_let_go() -> None:
    world = World()
    world.key("raise", True)
    world.run(5.0)
    assert world.bollard().position is Position.MOVING
    world.key("raise", False)
    assert world.hold() is Hold.STOP
    world.run(0.5)
    stopped_at = world.post().at
    assert 0 < stopped_at < 1 and world.hold() is Hold.NONE, "stop is let go once it was read standing"
    world.run(10)
    assert world.post().at == stopped_at
    assert world.bollard().fault == "between" and not world.closed()
    assert world.light() is Light.RED
    world.key("raise", True)
    world.run(8)
    assert world.bollard().position is Position.UP, "from between its ends a person may go on"


@pytest.mark.parametrize("off", [False, None])
def test_letting_go_or_losing_the_button_during_the_warning_ends_the_request(off: bool | None) -> None:
    world = World()
    world.key("raise", True)
    world.run(2.0)
    world.key("raise", off)
    assert world.kinds()[-1] == "lane.released"
    with world.nothing_moves():
        world.run(6)


def test_a_button_that_stays_pressed_asks_once() -> None:
    world = World()
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    world.key("raise", True)
    before = len(world.kinds())
    world.sensor(Sensor.CLEAR)
    world.key("raise", True)
    with world.nothing_moves():
        world.run(10)
    assert len(world.kinds()) == before


def test_both_buttons_at_once_stop_everything() -> None:
    world = World()
    world.key("raise", True)
    world.run(4.5)
    world.key("lower", True)
    assert refused(world) == "both_keys" and world.hold() is Hold.STOP
    with world.nothing_moves():
        world.run(5)


def test_hold_to_run_lowers_while_held() -> None:
    world = World()
    world.raise_all()
    world.key("lower", True)
    world.run(4.0)
    world.key("lower", False)
    world.run(0.5)
    assert 0 < world.post().at < 1
    world.key("lower", True)
    world.run(8)
    assert world.bollard().position is Position.DOWN


def test_a_key_of_an_unknown_lane_is_no_event_at_all() -> None:
    world = World()
    assert world.key("raise", True, "nowhere") == []


def test_a_press_just_after_letting_go_waits_for_the_stop_to_reach_the_plc() -> None:
    """A token that arrives before the end of the stop is taken and does nothing: so it is refused, and said so."""
    world = World()
    world.key("raise", True)
    world.run(4.5)
    world.key("raise", False)
    world.until(lambda: world.hold() is Hold.NONE)
    world.do(PanicLine("gatehouse", Line.PRESSED, world.t))
    assert world.last("lane.efo").data["blocked"] == "stopping" and world.lane.blocked == "stopping"
    world.run(0.5)
    world.press()
    world.run(2)
    assert world.bollard().position is Position.UP
