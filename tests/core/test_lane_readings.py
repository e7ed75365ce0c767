"""What a lane's PLC tells: ends, faults, moves nobody asked for, modes, loss and return; what survives a restart."""

from __future__ import annotations

import pytest
from lane_world import World, box_rules, lane_rules
from msgspec.structs import replace
from people_scenes import Gate, reading

from agent.core import box, lane
from agent.core.events import BollardReading, Command, LaneReading, MotionSent, Now
from agent.core.log import Log
from agent.core.rules import BollardRules
from agent.core.words import ClockTrust, Hold, Light, Mode, Motion, Position, Rank, Sensor, Sent


def test_both_switches_are_a_fault_at_once() -> None:
    world = World()
    world.post().stuck = {"up": True, "down": True}
    world.run(0.12)
    assert world.bollard().position is Position.FAULT and world.bollard().fault == "both_switches"
    assert world.closed() and world.light() is Light.RED
    world.command("lane_clear_fault")
    assert world.last("lane.refused").data["why"] == "fault_persists"
    world.post().stuck = {}
    world.run(0.2)
    assert world.closed(), "well again, but a person decides"
    world.command("lane_clear_fault")
    assert not world.closed() and world.light() is Light.GREEN


def test_a_rise_that_reaches_no_switch_in_time_is_a_fault_and_stops() -> None:
    world = World()
    world.command("raise")
    world.run(3.5)
    world.post().jammed = True
    took = world.until(world.closed)
    assert 5.6 <= took < 5.7, "1.5 times four seconds from the PLC's confirmation"
    assert world.hold() is Hold.STOP
    world.run(1)
    assert world.bollard().position is Position.FAULT and world.bollard().fault == "timeout"
    assert world.bollard("main-2").position is Position.UP, "its neighbour finished"
    assert world.last("lane.fault").data == {"bollard": "main-1", "why": "timeout"}


def test_a_commanded_up_is_not_an_up() -> None:
    world = World()
    world.command("raise")
    world.run(3.3)
    world.post().stuck = {"up": False}
    world.run(5)
    assert world.bollard("main-2").position is Position.UP
    assert world.bollard("main-1").position is Position.MOVING


def test_a_move_nobody_asked_for_stays_one_when_the_selector_goes_to_hand_behind_it() -> None:
    """It left its end in remote: whoever turns the selector afterwards did not ask for that."""
    gate = Gate().start()
    between = {name: BollardReading(up=False, down=False, moving=True, token=0) for name in ("main-1", "main-2")}
    arrived = {name: BollardReading(up=True, down=False, moving=False, token=0) for name in ("main-1", "main-2")}
    gate.send(reading(gate.mono_s, bollards=between))
    gate.wait(0.01)
    gate.send(reading(gate.mono_s, bollards=arrived, mode=Mode.HAND))
    assert gate.of("lane.unasked") and gate.state.lanes["main"].closed
    gate.wait(3)


def test_a_fault_code_of_the_plc_closes_the_lane_with_its_code() -> None:
    world = World()
    world.post().fault = 7
    world.run(0.2)
    assert world.last("lane.fault").data == {"bollard": "main-1", "why": "plc", "code": 7}
    world.post().fault = 0
    world.run(0.2)
    with world.nothing_moves():
        world.command("lane_clear_fault")
        world.run(3)
    assert not world.closed()


@pytest.mark.parametrize("rank", [Rank.UPSTREAM, Rank.TIMETABLE])
def test_only_a_person_clears_a_lane(rank: Rank) -> None:
    world = World()
    world.post().fault = 7
    world.run(0.2)
    world.post().fault = 0
    world.run(0.2)
    world.command("lane_clear_fault", rank)
    assert world.closed()


def test_a_chattering_switch_is_no_flood_of_records() -> None:
    world = World()
    for _ in range(40):
        world.post().fault = 7
        world.post().stuck = {"up": True, "down": True}
        world.run(0.1)
        world.post().fault = 0
        world.post().stuck = {}
        world.run(0.1)
    assert len(world.kinds_of("lane.fault")) == 1


# ── moves nobody asked for ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", [0.3, 5.0])
def test_a_bollard_that_rises_by_itself_is_an_alarm_within_a_second(way: float) -> None:
    world = World()
    moved_at = world.t
    world.post().way = way
    took = world.until(lambda: world.closed())
    assert took <= 1.0
    alarm = world.last("lane.unasked")
    assert alarm.mono_ns / 1e9 - moved_at <= 1.0 and world.lane.closed_ref == alarm.ref
    assert world.light() is Light.RED


def test_a_bollard_that_sinks_by_itself_is_an_alarm() -> None:
    world = World()
    world.raise_all()
    world.post().way = -0.2
    world.run(1.0)
    assert world.kinds_of("lane.unasked") and world.closed()


def test_the_maker_s_own_re_rise_after_a_lower_is_caught() -> None:
    """Some makes rise again by themselves 30 s after a command."""
    world = World()
    world.raise_all()
    world.command("lower")
    world.run(30)
    world.post().way = 0.25
    world.run(1.0)
    assert world.closed()


def test_a_switch_that_flickers_is_no_move() -> None:
    world = World()
    world.post().stuck = {"down": False}
    world.run(0.15)
    world.post().stuck = {}
    world.run(3)
    assert not world.closed() and not world.kinds_of("lane.unasked")


def test_a_bollard_that_moved_while_nobody_looked_is_an_alarm_when_seen() -> None:
    world = World()
    world.raise_all()
    world.plc.silent = True
    world.run(5)
    assert world.bollard().position is Position.UNKNOWN
    world.post().at = 0.0
    world.plc.silent = False
    world.run(0.2)
    assert world.bollard().fault == "unasked" and world.closed()


@pytest.mark.parametrize("mode", [Mode.LOCAL, Mode.HAND])
def test_moves_by_those_who_have_the_bollards_are_facts(mode: Mode) -> None:
    world = World()
    world.plc.mode = mode
    world.run(0.2)
    world.post().way = 0.5
    world.run(1.0)
    world.plc.mode = Mode.REMOTE
    world.run(3)
    assert world.bollard().position is Position.UP and not world.closed()
    assert world.last("lane.position").data["by"] == ""
    assert world.light() is Light.RED


def test_an_uncommissioned_or_watched_bollard_may_move_as_it_likes() -> None:
    none = (BollardRules(id="main-1", commissioned=False),)
    for rules in (lane_rules(bollards=none), lane_rules(monitor_only=True)):
        world = World(box_rules(rules))
        world.post().way = 0.5
        world.run(3)
        assert world.bollard().position is Position.UP and not world.closed()


# ── modes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [Mode.LOCAL, Mode.HAND, Mode.UNKNOWN])
def test_leaving_remote_ends_whatever_we_asked(mode: Mode) -> None:
    world = World()
    world.command("raise")
    world.run(4)
    world.plc.mode = mode
    world.run(0.11)
    assert not world.outputs.motions and world.hold() in (Hold.STOP, Hold.NONE)
    assert world.bollard().motion is None
    world.plc.mode = Mode.REMOTE
    with world.nothing_moves():
        world.run(5)


def test_a_request_ends_with_the_selector() -> None:
    world = World()
    world.command("raise")
    world.run(1)
    world.plc.mode = Mode.LOCAL
    world.run(0.11)
    assert world.last("lane.refused").data["why"] == "not_remote"
    world.plc.mode = Mode.REMOTE
    with world.nothing_moves():
        world.run(6)


def test_an_e_stop_let_go_starts_nothing() -> None:
    world = World()
    world.command("raise")
    world.run(4)
    world.plc.estop = True
    for post in world.plc.posts.values():
        post.way = 0.0
    world.run(2)
    assert world.lane.mode is Mode.ESTOP
    world.plc.estop = False
    with world.nothing_moves():
        world.run(6)
    assert world.bollard().fault == "between"


# ── loss and return ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["lane:main", "bus:plc", "silence", "heartbeat"])
def test_a_lost_lane_is_unknown_red_and_does_nothing_and_returns_the_same(how: str) -> None:
    world = World()
    world.command("raise")
    world.run(1)
    match how:
        case "silence":
            world.plc.silent = True
        case "heartbeat":
            world.plc.heartbeat = False
        case _:
            world.plc.silent = True
            world.lose(how)
    world.run(2.3)
    assert world.lane.lost and world.lane.mode is Mode.UNKNOWN
    assert world.bollard().position is Position.UNKNOWN
    assert world.lane.sensors["loop1"].value is Sensor.UNREAD
    assert world.light() is Light.RED
    assert len(world.kinds_of("lane.lost")) == 1
    world.plc.silent, world.plc.heartbeat = False, True
    with world.nothing_moves():
        world.back()
        assert world.lane.lost, "only a reading brings it back"
        world.run(6)
    assert world.light() is Light.GREEN


def test_a_loss_in_the_middle_of_a_rise_holds_stop_and_nothing_goes_on_after_it() -> None:
    world = World()
    world.command("raise")
    world.run(4.5)
    world.plc.heartbeat = False
    world.run(0.11)
    assert world.hold() is Hold.STOP
    world.run(3)
    world.plc.heartbeat = True
    with world.nothing_moves():
        world.run(10)
    assert 0 < world.post().at < 1 and world.hold() is Hold.NONE


def test_the_loss_of_another_bus_is_not_ours() -> None:
    world = World()
    world.lose("bus:cabinet")
    assert not world.lane.lost


def test_an_older_reading_changes_nothing() -> None:
    world = World()
    old = replace(world.plc.reading(world.t), read_at=world.t - 1.0, sensors={})
    before = world.lane
    world.do(old)
    assert world.lane is before


def test_a_reading_from_the_future_is_one_of_now() -> None:
    world = World()
    world.do(replace(world.plc.reading(world.t), read_at=world.t + 50.0))
    assert world.lane.fresh_at == world.t
    world.run(1)
    assert not world.lane.lost


def test_a_bollard_missing_from_a_reading_is_unknown() -> None:
    world = World()
    reading = world.plc.reading(world.t)
    world.do(replace(reading, bollards={"main-2": reading.bollards["main-2"]}))
    assert world.bollard("main-1").position is Position.UNKNOWN
    assert world.light() is Light.RED
    world.run(0.2)
    assert world.bollard("main-1").position is Position.DOWN and not world.closed()


def test_events_of_what_is_not_there_change_nothing() -> None:
    world = World()
    now = Now(world.t, 0, ClockTrust.TRUSTED)
    log = Log(now, "s/b", "b", 1, 1)
    nowhere: LaneReading = replace(world.plc.reading(world.t), lane="nowhere")
    assert lane.on_reading(world.state, nowhere, now, log) is world.state
    sent = MotionSent("nowhere", "x", 1, Sent.ACKED)
    assert lane.on_motion_sent(world.state, sent, now, log) is world.state
    assert lane.on_motion_sent(world.state, replace(sent, lane="main"), now, log) is world.state
    assert not log.records
    command = Command("1", Rank.CONSOLE, "g", "raise", {"lane": "nowhere"})
    assert lane.on_command(world.state, command, now, log) == (world.state, "unknown_lane")
    command = Command("1", Rank.CONSOLE, "g", "dance", {"lane": "main"})
    assert lane.on_command(world.state, command, now, log) == (world.state, "rank")
    assert [record.kind for record in log.records] == ["lane.refused", "lane.refused"]


def test_an_idle_reading_changes_no_bollard() -> None:
    world = World()
    before = world.lane.bollards
    world.run(0.5)
    assert world.lane.bollards is before


# ── across a restart ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_closed_lane_stays_closed_across_a_restart() -> None:
    world = World()
    world.post().way = 5.0
    world.run(1)
    world.post().way = -5.0
    kept = world.last("box.latched").data
    world.boot(dict(kept))
    with world.nothing_moves():
        world.settle()
    assert world.closed() and world.bollard().fault == "unasked"
    world.command("lane_clear_fault")
    assert not world.closed()


@pytest.mark.parametrize("damaged", [None, 7, {}, {"efo": "?", "closed": 1, "faults": [1]}])
def test_what_cannot_be_understood_after_a_restart_closes_its_lane(damaged: object) -> None:
    state = box.start(box_rules())
    log = Log(Now(0.0, 0, ClockTrust.TRUSTED), "s/b", "b", 1, 1)
    state = lane.restore(state, {"main": damaged, "gone": {}}, None, log)
    assert state.lanes["main"].closed and state.lanes["main"].efo
    assert [record.kind for record in log.records] == ["lane.restored"]


def test_an_efo_that_no_panic_stands_behind_ends_when_a_person_clears_the_lane() -> None:
    world = World()
    world.boot({"lanes": {"main": "damaged"}, "panic": None})
    world.settle()
    assert world.closed() and world.lane.efo and not world.state.panic.latched
    with world.nothing_moves():
        world.command("lane_clear_fault")
    assert world.light() is Light.GREEN


def test_nothing_latched_is_nothing_kept() -> None:
    world = World()
    assert lane.latched(world.state) == {}
    log = Log(Now(0.0, 0, ClockTrust.TRUSTED), "s/b", "b", 1, 1)
    assert lane.restore(world.state, {}, None, log) is world.state


def test_a_stop_of_a_token_in_the_air_survives_a_change_to_local() -> None:
    world = World()
    world.plc.token_delay_s = 1.0
    world.command("raise")
    world.until(lambda: bool(world.outputs.motions))
    world.plc.mode = Mode.LOCAL
    world.run(0.3)
    assert world.hold() is Hold.STOP
    world.plc.mode = Mode.REMOTE
    world.run(0.2)
    assert world.hold() is Hold.STOP, "the token may arrive yet"
    world.run(3)
    assert world.post().at == 0.0 and Motion.RAISE not in {motion for _, _, motion in world.plc.moves}
