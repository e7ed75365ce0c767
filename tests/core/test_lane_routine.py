"""A routine motion: asked, announced, judged once, one token each, proven by its switch. Times are the demo site's."""

from __future__ import annotations

import pytest
from lane_world import World, box_rules, lane_rules
from msgspec.structs import replace

from agent.core.events import ClockChanged, FireInput, JournalChanged
from agent.core.rules import BollardRules
from agent.core.words import ClockTrust, Hold, Journal, Light, Mode, Motion, Position, Rank, Sensor, Sent


def refused(world: World) -> str:
    return str(world.last("lane.refused").data["why"])


def test_a_lane_starts_unknown_and_red_and_nothing_moves() -> None:
    world = World(start=False)
    assert world.bollard().position is Position.UNKNOWN
    assert world.lane.mode is Mode.UNKNOWN and world.lane.lost
    assert world.light() is Light.RED
    with world.nothing_moves():
        world.settle()
    assert world.bollard().position is Position.DOWN
    assert world.light() is Light.GREEN


def test_a_raise_is_announced_for_three_seconds_then_proven_by_the_switch() -> None:
    world = World()
    asked_at = world.t
    world.command("raise")
    assert world.warns() and world.light() is Light.RED
    world.run(2.9)
    assert not world.plc.moves, "the pre-warning is not over"
    world.run(0.5)
    assert [(bollard, motion) for _, bollard, motion in world.plc.moves] == [
        ("main-1", Motion.RAISE),
        ("main-2", Motion.RAISE),
    ]
    assert world.plc.moves[0][0] - asked_at >= 3.0
    assert world.bollard().position is Position.MOVING and world.warns()
    world.run(5)
    assert world.bollard().position is Position.UP and world.bollard().moved_ms == 4000
    assert not world.warns()
    assert world.light() is Light.RED, "up is no way for a vehicle"


def test_every_record_of_a_raise_names_its_cause() -> None:
    world = World()
    world.command("raise")
    world.run(8)
    asked, tokens = world.last("lane.asked"), world.kinds_of("lane.token")
    assert asked.actor == "guard-1"
    assert [token.cause for token in tokens] == [asked.ref, asked.ref]
    assert [record.data["ms"] for record in world.kinds_of("lane.position")[-2:]] == [4000, 4000]


def test_a_lower_is_announced_too_and_no_sensor_stands_against_it() -> None:
    world = World()
    world.raise_all()
    world.sensor(Sensor.OCCUPIED)
    world.command("lower")
    world.run(2.9)
    assert world.bollard().position is Position.UP
    world.run(5)
    assert world.bollard().position is Position.DOWN
    assert world.light() is Light.GREEN


def test_tokens_wait_for_their_record_and_the_warning_for_the_asking() -> None:
    world = World()
    world.command("raise")
    assert world.outputs.lanes["main"].after == world.last("lane.asked").seq
    world.until(lambda: bool(world.outputs.motions))
    assert [motion.after for motion in world.outputs.motions] == [record.seq for record in world.kinds_of("lane.token")]
    assert world.outputs.lanes["main"].after == 0


def test_a_short_prewarning_in_the_site_file_is_one_second_all_the_same() -> None:
    world = World(box_rules(lane_rules(prewarn_s=0.1, clear_s=1.0)))
    asked_at = world.t
    world.command("raise")
    world.run(3)
    assert world.plc.moves[0][0] - asked_at >= 1.0


@pytest.mark.parametrize("value", [Sensor.OCCUPIED, Sensor.FAULTY, Sensor.UNREAD])
def test_a_sensor_not_clear_refuses_a_raise_at_once_and_clearing_it_starts_nothing(value: Sensor) -> None:
    world = World()
    world.sensor(value, "beam")
    world.run(0.3)
    world.command("raise")
    assert refused(world) == "sensor:beam" and world.lane.blocked == "sensor:beam"
    assert world.last("lane.refused").data["sensor"] == value.value
    world.sensor(Sensor.CLEAR, "beam")
    with world.nothing_moves():
        world.run(10)
    assert not world.warns()


def test_a_vehicle_that_comes_during_the_warning_ends_the_request() -> None:
    world = World()
    world.command("raise")
    world.run(2.0)
    world.sensor(Sensor.OCCUPIED)
    world.run(0.5)
    world.sensor(Sensor.CLEAR)
    with world.nothing_moves():
        world.run(10)
    assert refused(world) == "sensor:loop1"
    assert world.last("lane.refused").data["sensor"] == "settling", "clear, but not for three seconds"
    assert world.last("lane.refused").cause == world.last("lane.asked").ref


def test_a_gap_between_readings_begins_the_clear_time_anew() -> None:
    world = World()
    world.plc.silent = True
    world.run(0.35)
    world.plc.silent = False
    world.run(0.1)
    world.command("raise")
    world.run(5)
    since = world.lane.sensors["loop1"].clear_since_at
    assert since is not None and world.plc.moves[0][0] >= since + 3.0


def test_a_lane_without_any_sensor_never_rises() -> None:
    world = World(box_rules(lane_rules(sensors=())))
    world.command("raise")
    assert refused(world) == "no_sensor"
    world.press()
    assert world.last("lane.efo").data == {"raised": [], "blocked": "no_sensor"}


def test_a_warning_that_does_not_come_on_stops_everything_within_a_second() -> None:
    world = World()
    world.plc.warning_works = False
    world.command("raise")
    world.run(1.05)
    assert refused(world) == "warning"
    with world.nothing_moves():
        world.run(5)


def test_a_warning_that_goes_out_again_ends_the_request() -> None:
    world = World()
    world.raise_all()
    world.command("lower")
    world.run(1.5)
    world.plc.warning = False
    world.plc.warning_works = False
    world.run(0.2)
    assert refused(world) == "warning"


def test_where_the_warning_cannot_be_read_back_it_counts_from_a_reading_after_the_asking() -> None:
    world = World()
    world.plc.warning = None
    asked_at = world.t
    world.command("raise")
    world.run(4)
    assert world.plc.moves[0][0] - asked_at >= 3.0


def test_a_lane_that_fell_silent_during_the_warning_is_not_lowered() -> None:
    world = World(box_rules(lane_rules(lost_s=30.0)))
    world.raise_all()
    world.command("lower")
    world.run(1.5)
    world.plc.silent = True
    world.run(3)
    assert refused(world) == "stale"


def test_the_far_side_may_lower_and_never_raise() -> None:
    world = World()
    world.command("raise", Rank.UPSTREAM)
    with world.nothing_moves():
        world.run(6)
    world.raise_all()
    world.command("lower", Rank.UPSTREAM)
    world.run(8)
    assert world.bollard().position is Position.DOWN


def test_the_timetable_only_asks_for_a_raise_and_a_person_starts_it() -> None:
    world = World()
    world.command("raise", Rank.TIMETABLE)
    assert world.lane.wanted is Motion.RAISE and world.kinds()[-1] == "lane.wanted"
    with world.nothing_moves():
        world.run(10)
    world.raise_all()
    assert world.lane.wanted is None


def test_the_timetable_lowers_only_by_a_clock_that_can_be_trusted() -> None:
    world = World()
    world.raise_all()
    world.trust = ClockTrust.UNTRUSTED
    world.do(ClockChanged(ClockTrust.UNTRUSTED))
    world.command("lower", Rank.TIMETABLE)
    with world.nothing_moves():
        world.run(5)
    world.trust = ClockTrust.TRUSTED
    world.do(ClockChanged(ClockTrust.TRUSTED))
    world.command("lower", Rank.TIMETABLE)
    world.run(8)
    assert world.bollard().position is Position.DOWN


def test_each_reason_against_a_motion_has_its_word() -> None:
    world = World(box_rules(lane_rules(), lane_rules("watched", monitor_only=True)))
    world.command("raise", lane="watched")
    assert refused(world) == "monitor_only"
    world.command("lower")
    assert refused(world) == "already"
    world.command("raise")
    world.command("raise")
    assert refused(world) == "moving"
    world.run(8)
    world.plc.mode = Mode.LOCAL
    world.run(0.2)
    world.command("lower")
    assert refused(world) == "not_remote"
    world.plc.mode = Mode.REMOTE
    world.run(0.2)
    world.do(JournalChanged(Journal.FAILING))
    world.command("lower")
    assert refused(world) == "journal"
    world.do(JournalChanged(Journal.OK))
    world.lose()
    world.command("lower")
    assert refused(world) == "lost"


def test_before_the_first_full_scan_nothing_is_moved() -> None:
    world = World(start=False)
    world.do(FireInput(False))
    world.run(4)
    world.key("raise", False)
    world.key("raise", True)
    assert refused(world) == "not_scanned"
    with world.nothing_moves():
        world.settle()


def test_an_unread_fire_input_forbids_a_raise_and_no_lower() -> None:
    world = World()
    world.raise_all()
    world.do(FireInput(None))
    world.command("lower")
    world.run(8)
    assert world.bollard().position is Position.DOWN
    world.command("raise")
    assert refused(world) == "fire_unread"


def test_an_uncommissioned_bollard_is_left_out_and_a_lane_of_such_refused() -> None:
    half = (BollardRules(id="main-1", commissioned=True), BollardRules(id="main-2", commissioned=False))
    world = World(box_rules(lane_rules(bollards=half)))
    world.command("raise")
    world.run(8)
    assert world.bollard("main-1").position is Position.UP
    assert world.bollard("main-2").position is Position.DOWN
    none = (BollardRules(id="main-1", commissioned=False),)
    world = World(box_rules(lane_rules(bollards=none)))
    world.command("raise")
    assert refused(world) == "not_commissioned"


# ── precedence, stop and the wire ──────────────────────────────────────────────────────────────────────────────────


def test_a_lower_turns_a_rise_of_its_own_rank_round_without_any_warning() -> None:
    world = World()
    world.command("raise")
    world.run(4)
    world.command("lower")
    assert world.hold() is Hold.LOWER and world.bollard().reversals == 0
    assert world.last("lane.reversal").data["why"] == "lower_asked"
    world.run(4)
    assert world.bollard().position is Position.DOWN and world.hold() is Hold.NONE


def test_a_lower_rank_does_not_turn_a_higher_ranks_rise_round() -> None:
    world = World()
    world.key("raise", True)
    world.run(4)
    world.command("lower", Rank.UPSTREAM)
    assert refused(world) == "moving"
    world.run(5)
    assert world.bollard().position is Position.UP


def test_a_higher_rank_takes_over_and_letting_go_no_longer_stops() -> None:
    world = World()
    world.raise_all()
    world.key("lower", True)
    world.run(4)
    world.turn("fire")
    world.key("lower", False)
    world.run(4)
    assert world.bollard().position is Position.DOWN


def test_an_overruled_request_is_told_as_such() -> None:
    world = World()
    world.command("raise")
    world.run(0.5)
    world.key("raise", True)
    assert refused(world) == "overruled"
    world.run(2.7)
    assert world.plc.moves, "the warning of the same motion goes on counting"


def test_a_lower_ends_a_raise_that_still_waits_for_its_warning() -> None:
    world = World()
    world.command("raise")
    world.run(1)
    world.command("lower")
    assert refused(world) == "overruled" and not world.warns()
    with world.nothing_moves():
        world.run(6)


def test_stop_ends_everything_and_holds_until_it_is_read_standing() -> None:
    world = World()
    world.command("raise")
    world.run(4.5)
    world.command("stop")
    assert world.hold() is Hold.STOP
    world.run(0.5)
    standing = world.post().at
    with world.nothing_moves():
        world.run(5)
    assert world.post().at == standing and world.hold() is Hold.NONE


def test_stop_outlives_a_token_that_is_still_on_its_way() -> None:
    """The token was issued, not yet delivered, and the bollard reads as standing: stop must wait for the token."""
    world = World()
    world.plc.token_delay_s = 1.5
    world.command("raise")
    world.until(lambda: bool(world.outputs.motions))
    world.command("stop")
    assert not world.outputs.motions, "what is not out yet is taken back"
    world.run(1.0)
    assert world.hold() is Hold.STOP, "it stands, but a token may still arrive"
    world.run(3.0)
    assert world.post().at == 0.0 and world.hold() is Hold.NONE


def test_a_stop_by_upstream_is_not_in_its_list() -> None:
    world = World()
    world.command("raise")
    world.run(4)
    world.command("stop", Rank.UPSTREAM)
    world.run(5)
    assert world.bollard().position is Position.UP


@pytest.mark.parametrize("answer", [Sent.REFUSED, Sent.EXPIRED])
def test_a_token_that_never_acted_is_over_and_never_repeated(answer: Sent) -> None:
    world = World()
    world.plc.answer = answer
    world.command("raise")
    world.run(4)
    world.plc.answer = Sent.ACKED
    with world.nothing_moves():
        world.run(10)
    assert world.lane.blocked == answer.value and not world.closed()
    world.raise_all()
    assert len({record.data["token"] for record in world.kinds_of("lane.token")}) == 2, "a new token each time"


def test_a_token_whose_fate_is_unknown_is_judged_by_the_switches() -> None:
    world = World()
    world.plc.answer = Sent.FAILED
    world.command("raise")
    world.run(4)
    for post in world.plc.posts.values():
        post.way = 1 / 4.0  # it had arrived after all
    world.run(5)
    assert world.bollard().position is Position.UP and not world.closed()


def test_a_failed_token_that_did_nothing_is_a_timeout() -> None:
    world = World()
    world.plc.answer = Sent.FAILED
    world.command("raise")
    world.run(3 + 6.5)
    assert world.bollard().fault == "timeout" and world.closed()


def test_a_token_nobody_reports_on_is_closed_after_two_seconds() -> None:
    world = World()
    world.plc.tells = False
    world.plc.token_delay_s = 60.0
    world.command("raise")
    world.until(lambda: bool(world.outputs.motions))
    world.run(1.95)
    assert world.outputs.motions
    world.run(0.1)
    assert not world.outputs.motions
    world.run(7)
    assert world.bollard().fault == "timeout"


def test_a_token_is_never_the_one_its_plc_took_before_a_restart() -> None:
    world = World()
    for name in ("main-1", "main-2"):
        world.post(name).token = 1
    world.run(0.2)
    world.command("raise")
    world.run(8)
    assert [record.data["token"] for record in world.kinds_of("lane.token")] == [2, 2]
    assert world.bollard().position is Position.UP


def test_tokens_go_round_without_zero() -> None:
    world = World()
    for name in ("main-1", "main-2"):
        world.post(name).token = 255
    world.run(0.2)
    lane = replace(world.lane, bollards={name: replace(b, token=254) for name, b in world.lane.bollards.items()})
    world.state = replace(world.state, lanes={"main": lane})
    world.command("raise")
    world.run(8)
    assert [record.data["token"] for record in world.kinds_of("lane.token")] == [1, 1]
