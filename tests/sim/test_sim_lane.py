"""A lane by itself: travel, switches, tokens, interlocks, heartbeat, restart."""

from __future__ import annotations

import pytest
from sim_gates import Gate

from sim.ground import PLACES
from sim.lane import FAULT_SWITCHES, FAULT_TRAVEL, Lane

RISE_S, LOWER_S, EFO_S = 4.0, 3.0, 1.5  # the demo's main lane


@pytest.fixture
def lane(gate: Gate) -> Lane:
    """The main lane, remote, with a good heartbeat and its warning on."""
    lane = gate.world.lanes["main"]
    lane.keep_alive(True)
    lane.show(red=True, green=False, warning=True)
    gate.world.advance(20.0)
    return lane


def enabled(lane: Lane) -> bool:
    return lane.enabled


def raised(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "efo", 99)
    gate.world.advance(gate.world.now_s + EFO_S)
    assert lane.signs().bollards["main-1"].up


@pytest.mark.parametrize(("motion", "takes_s"), [("raise", RISE_S), ("efo", EFO_S)])
def test_a_rise_takes_its_nominal_time(gate: Gate, lane: Lane, motion: str, takes_s: float) -> None:
    lane.request("main-1", motion, 1)  # type: ignore[arg-type]
    gate.world.advance(20.0 + takes_s - 0.001)
    sign = lane.signs().bollards["main-1"]
    assert (sign.up, sign.down, sign.moving, sign.efo) == (False, False, True, motion == "efo")
    gate.world.advance(20.0 + takes_s)
    sign = lane.signs().bollards["main-1"]
    assert (sign.up, sign.down, sign.moving, sign.cycles) == (True, False, False, 1)


def test_only_the_asked_bollard_moves(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "raise", 1)
    gate.world.advance(22.0)
    assert lane.posts["main-1"].bollard.position() == pytest.approx(0.5)
    assert lane.signs().bollards["main-2"].down


def test_stop_halfway_and_go_on(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "raise", 1)
    gate.world.advance(21.0)
    lane.hold("main-1", "stop")
    gate.world.advance(60.0)
    assert lane.posts["main-1"].bollard.position() == pytest.approx(0.25)
    lane.request("main-1", "raise", 2)
    gate.world.advance(70.0)
    assert lane.posts["main-1"].bollard.position() == pytest.approx(0.25), "held"
    lane.hold("main-1", "none")
    lane.request("main-1", "raise", 3)
    gate.world.advance(73.0)
    assert lane.signs().bollards["main-1"].up


def test_a_token_is_acted_on_once(gate: Gate, lane: Lane) -> None:
    raised(gate, lane)
    lane.request("main-1", "lower", 5)
    gate.world.advance(30.0)
    assert lane.signs().bollards["main-1"].down
    lane.request("main-1", "raise", 5)
    assert lane.signs().bollards["main-1"].token == 5
    assert not lane.signs().bollards["main-1"].moving


def test_token_zero_and_unknown_codes_move_nothing(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "raise", 3)
    lane.hold("main-1", "stop")
    lane.hold("main-1", "none")
    lane.request("main-1", "raise", 0)
    lane.request("main-1", None, 4)
    assert not lane.signs().bollards["main-1"].moving


@pytest.mark.parametrize("mode", ["local", "hand", "estop"])
def test_nobody_moves_it_from_afar_out_of_remote(gate: Gate, lane: Lane, mode: str) -> None:
    gate.world.mode("main", mode)  # type: ignore[arg-type]
    lane.request("main-1", "raise", 1)
    lane.hold("main-1", "lower")
    assert not lane.signs().bollards["main-1"].moving
    gate.world.mode("main", "remote")
    gate.world.advance(40.0)
    assert not lane.signs().bollards["main-1"].moving, "what was ignored is not caught up on"


def test_turning_the_selector_stops_what_moves(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "raise", 1)
    gate.world.advance(21.0)
    gate.world.mode("main", "local")
    assert not lane.signs().bollards["main-1"].moving


def test_estop_stops_at_once(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "efo", 1)
    gate.world.advance(20.75)
    gate.world.mode("main", "estop")
    gate.world.advance(40.0)
    assert lane.posts["main-1"].bollard.position() == pytest.approx(0.5)
    assert lane.signs().estop


@pytest.mark.parametrize(("who", "at"), [("vehicle", "on_loop"), ("vehicle", "between"), ("person", "between")])
def test_the_plc_refuses_a_raise_over_someone_and_for_a_second_after(gate: Gate, lane: Lane, who: str, at: str) -> None:
    place = getattr(gate.world, who)
    place("main", at)
    lane.request("main-1", "efo", 1)
    assert not lane.signs().bollards["main-1"].moving
    place("main", "away")
    gate.world.advance(20.9)
    lane.request("main-1", "efo", 2)
    assert not lane.signs().bollards["main-1"].moving, "loop suppression until 1 s after clear"
    gate.world.advance(21.0)
    lane.request("main-1", "efo", 3)
    assert lane.signs().bollards["main-1"].moving


def test_obstruction_turns_a_rise_round(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "raise", 1)
    gate.world.advance(22.0)
    gate.world.person("main", "between")
    assert lane.posts["main-1"].bollard.driven == "down"
    gate.world.advance(22.0 + LOWER_S / 2)
    assert lane.signs().bollards["main-1"].down
    assert gate.world.breaches == []


def test_sensors_seen_along_the_way(gate: Gate, lane: Lane) -> None:
    def occupied() -> set[str]:
        return {name for name, says in lane.signs().sensors.items() if says == "occupied"}

    seen = []
    for place in PLACES:
        gate.world.vehicle("main", place)
        seen.append(occupied())
    assert seen == [set(), {"loop1"}, {"loop1", "loop2", "beam"}, {"loop2"}, set()]
    gate.world.person("main", "between")
    assert occupied() == {"beam", "pressure"}


def test_remote_enable_drops_two_seconds_after_the_last_beat(gate: Gate) -> None:
    lane = gate.world.lanes["main"]
    lane.request("main-1", "raise", 1)
    assert not lane.signs().bollards["main-1"].moving, "no heartbeat yet"
    for beat in range(1, 6):
        lane.heartbeat(beat)
        assert lane.signs().echo == beat
        gate.world.advance(gate.world.now_s + 0.5)
    lane.show(red=False, green=True, warning=False)
    gate.world.advance(gate.world.now_s + 1.49)
    assert enabled(lane)
    lane.heartbeat(5)  # the same value is no beat
    gate.world.advance(gate.world.now_s + 0.02)
    assert not enabled(lane)
    assert lane.outputs == (True, False, False), "an abandoned lane shows red"
    lane.request("main-1", "raise", 2)
    assert not lane.signs().bollards["main-1"].moving
    lane.heartbeat(6)
    gate.world.advance(gate.world.now_s + 1.0)
    assert not lane.signs().bollards["main-1"].moving, "the beat's return causes no motion"


def test_a_lower_held_when_the_agent_dies_does_not_move_when_it_returns(gate: Gate) -> None:
    lane = gate.world.lanes["main"]
    lane.heartbeat(1)
    lane.request("main-1", "raise", 1)
    gate.world.advance(11.0)
    lane.hold("main-1", "stop")
    gate.world.advance(20.0)
    lane.posts["main-1"].hold = "lower"
    lane.heartbeat(2)
    gate.world.advance(30.0)
    lane.heartbeat(3)
    gate.world.advance(31.0)
    assert lane.posts["main-1"].bollard.position() == pytest.approx(0.25)


def test_a_begun_rise_is_finished_under_the_plcs_own_eyes(gate: Gate) -> None:
    lane = gate.world.lanes["main"]
    lane.heartbeat(1)
    lane.request("main-1", "raise", 1)
    gate.world.advance(13.0)
    assert not enabled(lane)
    assert lane.signs().bollards["main-1"].moving
    gate.world.vehicle("main", "on_loop")
    gate.world.advance(20.0)
    assert lane.signs().bollards["main-1"].down


def test_a_restarted_plc_moves_nothing_and_remembers_nothing(gate: Gate, lane: Lane) -> None:
    lane.keep_alive(False)
    raised(gate, lane)
    lane.heartbeat(7)
    lane.request("main-1", "lower", 2)
    gate.world.advance(gate.world.now_s + 1.5)
    gate.world.fault("lane:main", "reboot", {"boot_s": 1.5})
    assert lane.booting
    assert lane.signs().mode == "unknown"
    lane.heartbeat(8)
    lane.request("main-1", "lower", 3)
    gate.world.advance(gate.world.now_s + 10)
    sign = lane.signs().bollards["main-1"]
    assert (sign.moving, sign.token, lane.signs().mode) == (False, 3, "remote")
    assert lane.posts["main-1"].bollard.position() == pytest.approx(0.5)
    assert sign.cycles == 1
    lane.heartbeat(9)
    lane.request("main-1", "lower", 3)
    assert not lane.signs().bollards["main-1"].moving, "a token it has seen"
    lane.request("main-1", "lower", 4)
    assert lane.signs().bollards["main-1"].moving


def test_the_plcs_own_fire_key_inhibits_and_turns_round(gate: Gate, lane: Lane) -> None:
    lane.request("main-1", "raise", 1)
    gate.world.advance(22.0)
    gate.world.key("lane:main:fire", True)
    assert lane.signs().fire_key
    assert lane.posts["main-1"].bollard.driven == "down"
    gate.world.advance(30.0)
    lane.request("main-1", "raise", 2)
    assert not lane.signs().bollards["main-1"].moving


def test_a_jammed_bollard_times_out_in_the_plc(gate: Gate, lane: Lane) -> None:
    gate.world.fault("bollard:main-1", "jammed")
    lane.request("main-1", "raise", 1)
    gate.world.advance(20.0 + 2 * RISE_S)
    sign = lane.signs().bollards["main-1"]
    assert (sign.fault, sign.moving, sign.down) == (FAULT_TRAVEL, False, True)
    gate.world.heal()
    lane.request("main-1", "raise", 2)
    gate.world.advance(40.0)
    assert lane.signs().bollards["main-1"].up
    assert lane.signs().bollards["main-1"].fault == 0


def test_a_stuck_switch_shows_both(gate: Gate, lane: Lane) -> None:
    gate.world.fault("main-1", "stuck_limit_switch", {"switch": "up", "reads": "on"})
    sign = lane.signs().bollards["main-1"]
    assert (sign.up, sign.down, sign.fault) == (True, True, FAULT_SWITCHES)
    lane.request("main-1", "raise", 1)
    assert not lane.signs().bollards["main-1"].moving


def test_a_dead_switch_keeps_the_drive_on_until_the_time_out(gate: Gate, lane: Lane) -> None:
    gate.world.fault("main-1", "stuck_switch", {"switch": "up", "reads": "off"})
    lane.request("main-1", "raise", 1)
    gate.world.advance(20.0 + RISE_S + 1)
    assert lane.signs().bollards["main-1"].moving
    assert lane.posts["main-1"].bollard.position() == 1.0
    gate.world.advance(20.0 + 2 * RISE_S)
    assert lane.signs().bollards["main-1"].fault == FAULT_TRAVEL


def test_swapped_switches_lie(gate: Gate, lane: Lane) -> None:
    gate.world.fault("main-1", "lying")
    assert lane.signs().bollards["main-1"].up
    gate.world.heal("main-1")
    assert lane.signs().bollards["main-1"].down


def test_slow_sinks_and_rises_alone(gate: Gate, lane: Lane) -> None:
    gate.world.fault("main-1", "slow", {"factor": 1.5})
    lane.request("main-1", "raise", 1)
    gate.world.advance(20.0 + RISE_S)
    assert lane.posts["main-1"].bollard.position() == pytest.approx(1 / 1.5)
    gate.world.advance(20.0 + 1.5 * RISE_S)
    gate.world.heal()
    gate.world.fault("main-1", "sinks", {"over_s": 10})
    gate.world.advance(31.0)
    assert not lane.signs().bollards["main-1"].up
    assert not lane.signs().bollards["main-1"].moving, "nobody drives it"
    gate.world.advance(40.0)
    assert lane.signs().bollards["main-1"].down
    gate.world.heal()
    gate.world.fault("main-1", "rises_alone", {"after_s": 30})
    gate.world.advance(70.0 + RISE_S + 0.01)
    assert lane.signs().bollards["main-1"].up


def test_the_witness_sees_a_silent_motion_and_one_under_someone(gate: Gate, lane: Lane) -> None:
    lane.show(red=True, green=False, warning=False)
    lane.request("main-1", "raise", 1)
    assert [b.value for b in gate.world.breaches] == ["moved without warning"]
    gate.world.fault("sensor:main:beam", "stuck_clear")
    gate.world.fault("sensor:main:pressure", "stuck_clear")
    gate.world.person("main", "between")
    gate.world.advance(21.0)
    assert [b.value for b in gate.world.breaches][1:] == ["rose under someone"]


def test_an_efo_may_start_together_with_its_warning(gate: Gate, lane: Lane) -> None:
    lane.show(red=True, green=False, warning=False)
    gate.world.advance(30.0)
    lane.request("main-1", "efo", 1)
    lane.show(red=True, green=False, warning=True)
    gate.world.advance(32.0)
    assert gate.world.breaches == []
