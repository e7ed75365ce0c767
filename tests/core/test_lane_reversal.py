"""A rise in front of something: turned round at once, whatever is still on the wire."""

from __future__ import annotations

import pytest
from lane_world import World, box_rules, lane_rules

from agent.core.words import Hold, Light, Mode, Position, Sensor


def rising(world: World, seconds: float = 4.5) -> None:
    world.command("raise")
    world.run(seconds)
    assert world.bollard().position is Position.MOVING


@pytest.mark.parametrize("value", [Sensor.OCCUPIED, Sensor.FAULTY, Sensor.UNREAD])
def test_a_sensor_that_turns_during_a_rise_lowers_within_its_reading(value: Sensor) -> None:
    world = World()
    rising(world)
    world.sensor(value)
    took = world.until(lambda: world.hold() is Hold.LOWER)
    assert took <= 0.12, "one poll"
    assert world.hold("main-2") is Hold.LOWER and world.warns()
    world.run(3)
    assert world.post().at == 0.0 and world.bollard().position is Position.DOWN
    assert world.hold() is Hold.NONE and world.bollard().reversals == 1
    assert world.last("lane.reversal").data["sensor"] == value.value
    assert world.lane.blocked == "sensor:loop1"


def test_a_missing_sensor_in_a_reading_is_not_a_clear_one() -> None:
    world = World()
    rising(world)
    del world.plc.sensors["beam"]
    world.run(0.15)
    assert world.hold() is Hold.LOWER


def test_readings_that_stop_during_a_rise_lower_after_300_ms() -> None:
    world = World()
    rising(world)
    world.plc.silent = True
    took = world.until(lambda: world.hold() is Hold.LOWER)
    assert 0.18 <= took <= 0.32
    assert world.last("lane.reversal").data["sensor"] == "stale"


def test_a_reversal_is_asked_until_the_lower_switch_says_so() -> None:
    world = World()
    rising(world)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    world.sensor(Sensor.CLEAR)
    while world.post().at > 0:
        assert world.hold() is Hold.LOWER
        world.run(0.1)
    world.run(0.5)
    assert world.hold() is Hold.NONE
    with world.nothing_moves():
        world.run(10)


def test_a_reversal_outlives_the_token_that_has_not_yet_arrived() -> None:
    """Occupied just after the token was issued: the bollard reads down, but the raise is still on the wire."""
    world = World()
    world.plc.token_delay_s = 1.0
    world.command("raise")
    world.until(lambda: bool(world.outputs.motions))
    world.sensor(Sensor.OCCUPIED)
    world.run(0.15)
    assert world.hold() is Hold.LOWER and not world.outputs.motions
    world.sensor(Sensor.CLEAR)
    world.run(0.7)
    assert world.hold() is Hold.LOWER, "down by its switch, but nobody has told what became of the token"
    world.run(2)
    assert world.post().at == 0.0 and world.hold() is Hold.NONE


def test_two_reversals_in_a_row_close_the_lane_for_machines() -> None:
    world = World()
    for turn in (1, 2):
        rising(world)
        world.sensor(Sensor.OCCUPIED)
        world.run(0.3)
        world.sensor(Sensor.CLEAR)
        world.run(6)
        assert world.bollard().reversals == turn
    assert world.bollard().position is Position.DOWN and world.closed()
    assert world.bollard().fault == "reversals" and world.light() is Light.RED
    world.command("raise")
    assert world.last("lane.refused").data["why"] == "closed"
    with world.nothing_moves():
        world.command("lane_clear_fault")
        world.run(5)
    assert not world.closed() and world.light() is Light.GREEN
    world.raise_all()
    assert world.bollard().position is Position.UP


def test_a_rise_that_succeeds_ends_the_row() -> None:
    world = World()
    rising(world)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.3)
    world.sensor(Sensor.CLEAR)
    world.run(6)
    world.raise_all()
    assert world.bollard().reversals == 0


def test_efo_is_turned_round_like_any_other_rise() -> None:
    world = World()
    world.press()
    world.run(0.5)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.15)
    assert world.hold() is Hold.LOWER
    world.run(5)
    assert world.bollard().position is Position.DOWN and world.lane.efo
    world.sensor(Sensor.CLEAR)
    with world.nothing_moves():
        world.run(5)
    world.press()
    world.run(3)
    assert world.bollard().position is Position.UP, "the next press is a new one"


def test_a_reversal_in_progress_lets_no_press_raise() -> None:
    world = World()
    world.press()
    world.run(0.6)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.15)
    world.sensor(Sensor.CLEAR)
    world.press()
    assert world.last("lane.efo").data["blocked"] in ("reversing", "sensor:loop1")


def test_a_plc_that_turns_round_by_itself_is_told_and_counted() -> None:
    world = World()
    for turn in (1, 2):
        rising(world)
        for post in world.plc.posts.values():
            post.way = -1 / 3
        world.run(5)
        assert world.bollard().reversals == turn and world.last("lane.reversal").data["why"] == "plc"
    assert world.closed()


def test_a_bollard_already_up_stays_while_its_slower_neighbour_is_turned_round() -> None:
    world = World()
    rising(world, 3.5)
    world.post("main-2").jammed = True
    world.until(lambda: world.bollard("main-1").position is Position.UP)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    assert world.hold("main-1") is Hold.NONE and world.hold("main-2") is Hold.LOWER


def test_a_reversal_that_never_gets_down_is_a_fault_and_still_asked() -> None:
    world = World()
    rising(world)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.15)
    world.post().jammed = True
    world.run(8)
    assert world.bollard().fault == "timeout" and world.closed()
    assert world.bollard().position is Position.FAULT and world.hold() is Hold.LOWER


@pytest.mark.parametrize("mode", [Mode.LOCAL, Mode.HAND])
def test_whoever_takes_the_bollards_at_the_plc_ends_our_reversal(mode: Mode) -> None:
    world = World()
    rising(world)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.3)
    world.plc.mode = mode
    world.run(0.3)
    assert world.hold() is Hold.NONE
    world.plc.mode = Mode.REMOTE
    with world.nothing_moves():
        world.run(3)


def test_an_unknown_mode_during_a_reversal_leaves_stop_only() -> None:
    world = World()
    rising(world)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.15)
    world.plc.mode = Mode.UNKNOWN
    world.run(0.12)
    assert world.hold() is Hold.STOP


def test_a_rise_nobody_asked_for_is_lowered_before_something_in_its_way() -> None:
    world = World()
    world.post().way = 0.1
    world.run(1.0)
    assert world.closed() and world.hold() is Hold.NONE, "an alarm; nothing is in the way yet"
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    assert world.hold() is Hold.LOWER
    world.run(3)
    assert world.bollard().position is Position.DOWN


def test_the_lane_next_door_is_left_alone() -> None:
    world = World(box_rules(lane_rules(), lane_rules("other")))
    world.command("raise")
    world.command("raise", lane="other")
    world.run(4.5)
    world.sensor(Sensor.OCCUPIED)
    world.run(5)
    assert world.bollard("main-1").position is Position.DOWN
    assert world.bollard("other-1").position is Position.UP
