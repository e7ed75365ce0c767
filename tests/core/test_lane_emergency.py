"""Panic and fire at a lane: EFO, what refuses it, what it refuses to others, and fire above it."""

from __future__ import annotations

import pytest
from lane_world import World, box_rules, lane_rules

from agent.core.events import FireInput, JournalChanged, KeyInput
from agent.core.words import Hold, Journal, Light, Line, Mode, Motion, Position, Rank, Sensor, Sent


def blocked(world: World) -> str:
    return str(world.last("lane.efo").data["blocked"])


def service() -> World:
    return World(box_rules(lane_rules(), lane_rules("service", service=True)))


def test_a_press_asks_efo_in_the_same_step_with_its_warning_and_waits_for_no_disk() -> None:
    world = World()
    world.press()
    assert [(m.motion, m.after, m.issued_at) for m in world.outputs.motions] == [(Motion.EFO, 0, world.t)] * 2
    assert world.warns() and world.outputs.lanes["main"].after == 0
    assert world.lane.efo and world.light() is Light.RED
    world.run(2)
    assert world.bollard().position is Position.UP


def test_a_failing_disk_delays_no_efo() -> None:
    world = World()
    world.do(JournalChanged(Journal.FAILING))
    world.press()
    world.run(2)
    assert world.bollard().position is Position.UP


@pytest.mark.parametrize("value", [Sensor.OCCUPIED, Sensor.FAULTY, Sensor.UNREAD])
def test_a_vehicle_on_the_loop_refuses_the_raise_and_clearing_it_starts_nothing(value: Sensor) -> None:
    world = World()
    world.sensor(value)
    world.run(0.2)
    world.press()
    assert not world.outputs.motions and world.lane.efo
    assert blocked(world) == world.lane.blocked == "sensor:loop1"
    world.sensor(Sensor.CLEAR)
    with world.nothing_moves():
        world.run(10)
    before = world.last("lane.efo").ref
    world.press()
    assert world.last("lane.efo").ref != before and len(world.outputs.motions) == 2
    assert world.lane.blocked == ""


def test_a_loop_that_cleared_half_a_second_ago_still_refuses() -> None:
    world = World()
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    world.sensor(Sensor.CLEAR)
    world.run(0.4)
    world.press()
    assert blocked(world) == "sensor:loop1" and world.last("lane.efo").data["sensor"] == "settling"
    world.run(1.2)
    world.press()
    assert blocked(world) == ""


def test_each_reason_against_efo_has_its_word() -> None:
    world = World()
    world.plc.silent = True
    world.run(0.35)
    world.press()
    assert blocked(world) == "sensor:loop1" and world.last("lane.efo").data["sensor"] == "stale"
    world.run(3)
    world.press()
    assert blocked(world) == "lost"
    world = World()
    world.plc.mode = Mode.HAND
    world.run(0.2)
    world.press()
    assert blocked(world) == "not_remote"
    world = World()
    world.post().fault = 3
    world.run(0.2)
    world.press()
    assert blocked(world) == "closed"
    world = World(box_rules(lane_rules(monitor_only=True)))
    world.press()
    assert blocked(world) == "monitor_only"


def test_an_e_stop_refuses_efo() -> None:
    world = World()
    world.plc.estop = True
    world.run(0.2)
    world.press()
    assert world.lane.mode is Mode.ESTOP and blocked(world) == "not_remote"


def test_a_second_press_while_it_rises_is_a_record_and_no_second_token() -> None:
    world = World()
    world.press()
    world.run(0.3)
    world.press()
    assert len(world.kinds_of("lane.efo")) == 2
    assert world.last("lane.efo").data == {"raised": [], "blocked": ""}
    assert len(world.kinds_of("lane.token")) == 2
    world.run(2)
    assert world.bollard().position is Position.UP


def test_a_press_after_a_token_that_failed_is_a_new_token() -> None:
    world = World()
    world.plc.answer = Sent.FAILED
    world.press()
    world.run(0.3)
    world.plc.answer = Sent.ACKED
    world.press()
    world.run(2)
    assert world.bollard().position is Position.UP


def test_efo_speeds_up_a_rise_and_turns_a_lowering_round() -> None:
    world = World()
    world.command("raise")
    world.run(3.5)
    world.press()
    world.run(2)
    assert world.bollard().position is Position.UP
    world.reset_panic()
    world.command("lower")
    world.run(4)
    assert world.bollard().position is Position.MOVING
    world.press()
    world.run(3)
    assert world.bollard().position is Position.UP and not world.closed()


def test_efo_over_a_lower_that_has_not_yet_left_the_switch() -> None:
    world = World()
    world.raise_all()
    world.plc.token_delay_s = 0.3
    world.command("lower")
    world.until(lambda: bool(world.outputs.motions))
    world.do(world.plc.reading(world.t))
    world.press()
    assert {m.motion for m in world.outputs.motions} == {Motion.EFO}
    world.run(5)
    assert world.bollard().position is Position.UP and not world.closed()


def test_a_refused_press_stops_a_lowering_where_it_is() -> None:
    """While EFO is latched ranks 5 to 8 cannot lower, though a vehicle forbids the rise."""
    world = World()
    world.raise_all()
    world.command("lower", Rank.UPSTREAM)
    world.run(3.5)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    world.press()
    assert world.hold() is Hold.STOP
    world.run(3)
    assert 0 < world.post().at < 1


@pytest.mark.parametrize("rank", [Rank.CONSOLE, Rank.UPSTREAM, Rank.TIMETABLE])
def test_while_efo_is_latched_nobody_from_hold_to_run_down_lowers(rank: Rank) -> None:
    world = World()
    world.press()
    world.run(3)
    world.command("lower", rank)
    assert world.last("lane.refused").data["why"] == "efo_latched"
    world.key("lower", True)
    assert world.last("lane.refused").data["why"] == "efo_latched"
    with world.nothing_moves():
        world.run(5)


def test_the_fire_key_lowers_though_efo_is_latched_and_the_lane_closed() -> None:
    world = World()
    world.press()
    world.run(3)
    world.post().fault = 3
    world.run(0.2)
    assert world.closed() and world.lane.efo
    world.do(KeyInput("fire", True))
    world.run(8)
    assert world.bollard().position is Position.DOWN and world.bollard("main-2").position is Position.DOWN
    assert world.bollard().fault == "plc", "lowering it does not clear it"


def test_a_reset_ends_efo_and_moves_nothing() -> None:
    world = World()
    world.press()
    world.run(3)
    with world.nothing_moves():
        world.reset_panic()
        world.run(3)
    assert not world.lane.efo and world.bollard().position is Position.UP
    world.command("lower")
    world.run(8)
    assert world.bollard().position is Position.DOWN


def test_efo_survives_a_restart_and_nothing_moves_by_it() -> None:
    world = World()
    world.sensor(Sensor.OCCUPIED)
    world.run(0.2)
    world.press()
    world.sensor(Sensor.CLEAR)
    kept = world.last("box.latched").data
    with world.nothing_moves():
        world.boot(dict(kept))
        world.settle()
        world.run(5)
    assert world.lane.efo and world.light() is Light.RED
    world.press()
    world.run(3)
    assert world.bollard().position is Position.UP


def test_a_button_found_pressed_at_the_start_raises_nothing() -> None:
    world = World(start=False)
    with world.nothing_moves():
        world.settle(Line.PRESSED)
        world.run(5)
    assert world.state.panic.latched, "it is a press all the same"


# ── fire ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fire_forbids_every_raise_until_it_is_reset_by_hand() -> None:
    world = World()
    world.do(FireInput(True))
    assert world.light() is Light.RED
    world.press()
    assert blocked(world) == "fire"
    world.command("raise")
    assert world.last("lane.refused").data["why"] == "fire"
    world.do(FireInput(False))
    world.command("raise")
    assert world.last("lane.refused").data["why"] == "fire", "quiet, but not reset"
    world.turn("unfire")
    world.raise_all()
    assert world.bollard().position is Position.UP


def test_fire_turns_a_rise_round_and_ends_one_that_waits() -> None:
    world = World()
    world.press()
    world.run(0.6)
    world.do(FireInput(True))
    assert world.hold() is Hold.LOWER and world.bollard().reversals == 0
    world.run(4)
    assert world.bollard().position is Position.DOWN
    world = World()
    world.command("raise")
    world.do(FireInput(True))
    assert world.last("lane.refused").data["why"] == "fire"
    with world.nothing_moves():
        world.run(5)


def test_fire_lowers_the_service_lane_and_no_other() -> None:
    world = service()
    world.raise_all("main")
    world.raise_all("service")
    world.do(FireInput(True))
    world.run(8)
    assert world.bollard("service-1").position is Position.DOWN
    assert world.bollard("main-1").position is Position.UP
    token = world.kinds_of("lane.token")[-1]
    assert token.data["rank"] == "fire" and token.cause == world.last("lane.asked").ref


def test_fire_leaves_the_service_lane_up_before_an_occupied_sensor() -> None:
    world = service()
    world.raise_all("service")
    world.sensor(Sensor.OCCUPIED, lane="service")
    world.run(0.2)
    world.do(FireInput(True))
    world.sensor(Sensor.CLEAR, lane="service")
    with world.nothing_moves():
        world.run(8)
    assert world.last("lane.refused").data["why"] == "sensor:loop1"


def test_with_efo_latched_only_the_fire_key_lowers_the_service_lane() -> None:
    world = service()
    world.press()
    world.run(3)
    world.do(FireInput(True))
    with world.nothing_moves():
        world.run(5)
    assert world.last("lane.refused").data["why"] == "efo_latched"
    world.do(KeyInput("fire", True))
    world.run(8)
    assert world.bollard("service-1").position is Position.DOWN


def test_the_fire_key_at_a_plc_is_fire_for_the_whole_site() -> None:
    world = service()
    world.plcs["main"].fire_key = True
    world.run(0.2)
    assert world.state.fire.latched and world.kinds()[-1] == "lane.fire_key"
    world.command("raise", lane="service")
    assert world.last("lane.refused").data["why"] == "fire"
    world.plcs["main"].fire_key = False
    world.run(0.2)
    assert world.state.fire.latched, "until reset by hand at the box"


def test_what_the_plc_moves_by_its_own_fire_key_is_no_alarm() -> None:
    world = World()
    world.raise_all()
    world.plc.fire_key = True
    world.run(0.2)
    for post in world.plc.posts.values():
        post.way = -1 / 3
    world.run(4)
    assert world.bollard().position is Position.DOWN and not world.closed()
