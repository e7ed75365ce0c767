"""Every invariant of motion bites: one planted bug each, caught by that very invariant and by no other.

A bug is a function of the lane code replaced for the test, or a step of it wrapped; the scene is played through the
real `box.step`. Each scene is played without its bug too, and then nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lane_world import Broken, World, box_rules, lane_rules
from msgspec.structs import replace

from agent.core import lane, lane_allow, lane_motion, lane_output, lane_reading
from agent.core.events import DeviceBack, DeviceLost, FireInput
from agent.core.invariants import REGISTRY
from agent.core.lane_bench import RISES, Bench
from agent.core.outputs import LaneOutputs
from agent.core.rules import BollardRules
from agent.core.state import BoxState
from agent.core.words import Hold, Mode, Motion, Position, Rank, Sensor

Patch = Callable[..., None]
Scene = Callable[[World], object]


class Case:
    """`plant` makes the bug with monkeypatch.setattr; `scene` is what brings it out."""

    def __init__(
        self, name: str, plant: Callable[[Patch], None], scene: Scene, world: Callable[[], World] = World
    ) -> None:
        self.name = name
        self.plant = plant
        self.scene = scene
        self.world = world


CASES: list[tuple[str, Case]] = []


def case(invariant: str, world: Callable[[], World] = World) -> Callable[[Callable[[Patch], Scene]], None]:
    """The function below plants a bug and returns the scene; its name says what the bug does."""

    def register(make: Callable[[Patch], Scene]) -> None:
        scenes: list[Scene] = []
        CASES.append((make.__name__, Case(invariant, lambda patch: scenes.append(make(patch)), _later(make), world)))

    return register


def _later(make: Callable[[Patch], Scene]) -> Scene:
    return make(lambda *_: None)


# ── the bugs ───────────────────────────────────────────────────────────────────────────────────────────────────────


def efo_up_then_lower(world: World) -> None:
    world.press()
    world.run(3)
    world.command("lower")
    world.run(5)


@case("efo_holds_against_ranks_5_to_8")
def anybody_lowers_under_efo(patch: Patch) -> Scene:
    patch(lane_allow, "EFO_LOWER_RANKS", frozenset(Rank))
    return efo_up_then_lower


def raise_before_a_vehicle(world: World) -> None:
    world.sensor(Sensor.OCCUPIED)
    world.run(0.3)
    world.command("raise")
    world.run(5)


@case("no_raise_on_occupied_or_stale")
def sensors_always_allow(patch: Patch) -> Scene:
    patch(lane_allow, "allows", lambda *_: True)
    return raise_before_a_vehicle


@case("no_raise_on_occupied_or_stale")
def age_is_not_looked_at(patch: Patch) -> Scene:
    patch(lane_allow, "allows", lambda sensor, *_: sensor.value is Sensor.CLEAR)

    def scene(world: World) -> None:
        world.plc.silent = True
        world.run(0.6)
        world.press()

    return scene


@case("no_raise_on_occupied_or_stale")
def clear_for_an_instant_is_enough(patch: Patch) -> Scene:
    honest = lane_allow.allows
    patch(lane_allow, "allows", lambda sensor, at, stale_s, clear_s: honest(sensor, at, stale_s, 0.0))

    def scene(world: World) -> None:
        world.sensor(Sensor.OCCUPIED)
        world.run(0.3)
        world.sensor(Sensor.CLEAR)
        world.run(0.2)
        world.press()

    return scene


def vehicle_during_a_rise(world: World) -> None:
    world.command("raise")
    world.run(4.5)
    world.sensor(Sensor.OCCUPIED)
    world.run(1)


@case("obstruction_reverses")
def rises_are_not_watched(patch: Patch) -> Scene:
    patch(lane, "watch_rises", lambda bench: None)
    return vehicle_during_a_rise


@case("obstruction_reverses")
def staleness_has_no_deadline(patch: Patch) -> Scene:
    patch(lane_output, "_stale_at", lambda *_: float("inf"))

    def scene(world: World) -> None:
        world.command("raise")
        world.run(4.5)
        world.plc.silent = True
        world.run(0.5)
        world.command("stop", Rank.UPSTREAM)

    return scene


@case("obstruction_reverses")
def reversals_are_not_counted(patch: Patch) -> Scene:
    patch(lane_motion, "REVERSALS_LIMIT", 99)

    def scene(world: World) -> None:
        for _ in range(2):
            vehicle_during_a_rise(world)
            world.sensor(Sensor.CLEAR)
            world.run(6)

    return scene


@case("no_motion_without_warning")
def the_warning_is_cut_short(patch: Patch) -> Scene:
    patch(lane_motion, "prewarn_s", lambda rules: 0.4)

    def scene(world: World) -> None:
        world.command("raise")
        world.run(4)

    return scene


@case("no_motion_without_warning")
def a_dark_lamp_is_not_noticed(patch: Patch) -> Scene:
    def note(bench: Bench) -> None:
        request = bench.lane.request
        if request is not None and request.warned_at is None:
            bench.set(request=replace(request, warned_at=bench.at))

    patch(lane_reading, "note_warning", note)

    def scene(world: World) -> None:
        world.plc.warning_works = False
        world.command("raise")
        world.run(5)

    return scene


@case("no_motion_without_warning")
def efo_is_silent(patch: Patch) -> Scene:
    honest = lane_output.lane_outputs

    def silent(*args: Any) -> LaneOutputs:
        return replace(honest(*args), warning=False)

    patch(lane, "lane_outputs", silent)
    return lambda world: world.press()


def _on_reading(patch: Patch, act: Callable[[Bench], None]) -> None:
    """Something more is done with every reading of the main lane, after all that should be."""
    honest = lane.on_reading

    def more(state: BoxState, event: Any, now: Any, log: Any) -> BoxState:
        bench = Bench(honest(state, event, now, log), "main", now, log)
        act(bench)
        return bench.done()

    patch(lane, "on_reading", more)


@case("raise_is_started_by_a_person")
def a_refused_raise_waits_for_the_loop_to_clear(patch: Patch) -> Scene:
    def retry(bench: Bench) -> None:
        clear = all(sensor.value is Sensor.CLEAR for sensor in bench.lane.sensors.values())
        if bench.lane.blocked and clear and bench.lane.request is None and not bench.rising():
            lane_motion.ask(bench, Motion.RAISE, Rank.CONSOLE, "guard-1")

    _on_reading(patch, retry)

    def scene(world: World) -> None:
        world.sensor(Sensor.OCCUPIED)
        world.run(0.3)
        world.command("raise")
        world.run(1)
        world.sensor(Sensor.CLEAR)
        world.run(8)

    return scene


@case("raise_is_started_by_a_person")
def efo_starts_when_the_loop_clears_after_the_press(patch: Patch) -> Scene:
    def again(bench: Bench) -> None:
        why = lane_allow.sensor_in_the_way(bench, 1.0)
        if bench.lane.efo and not why and bench.bollards["main-1"].motion is None:
            lane_motion.issue(bench, "main-1", Motion.EFO, Rank.PANIC, "panic", None, bench.at)

    _on_reading(patch, again)

    def scene(world: World) -> None:
        world.sensor(Sensor.OCCUPIED)
        world.run(0.3)
        world.press()
        world.release()
        world.sensor(Sensor.CLEAR)
        world.run(3)

    return scene


def up_down_up(world: World) -> None:
    world.raise_all()
    world.command("lower")
    world.run(8)
    world.command("raise")
    world.run(8)


@case("token_goes_once")
def the_same_number_again(patch: Patch) -> Scene:
    patch(lane_motion, "next_token", lambda bollard: 9)
    return up_down_up


@case("token_goes_once")
def a_routine_token_does_not_wait_for_its_record(patch: Patch) -> Scene:
    patch(lane_motion, "EMERGENCY_RANKS", frozenset(Rank))
    return up_down_up


@case("token_goes_once")
def an_unsure_token_is_sent_again(patch: Patch) -> Scene:
    honest = lane_motion.told

    def retry(bench: Bench, event: Any) -> None:
        mine = next((m for m in bench.lane.motions if m.bollard == event.bollard), None)
        honest(bench, event)
        if mine is not None:
            bench.set(motions=(*bench.lane.motions, replace(mine, issued_at=bench.at)))

    patch(lane, "told", retry)
    return up_down_up


@case("token_goes_once")
def old_tokens_stay_open(patch: Patch) -> Scene:
    patch(lane, "drop_old_tokens", lambda bench: None)
    patch(lane, "lane_deadline", lambda part, rules: _without_tokens(part, rules))

    def scene(world: World) -> None:
        world.plc.tells = False
        world.plc.token_delay_s = 99.0
        world.press()
        world.run(5)

    return scene


def _without_tokens(part: Any, rules: Any) -> float:
    return lane_output.lane_deadline(replace(part, motions=()), rules)


def reversal(world: World) -> None:
    vehicle_during_a_rise(world)
    world.run(3)


@case("hold_lasts_until_read_back")
def a_hold_is_let_go_unread(patch: Patch) -> Scene:
    patch(lane_motion, "_is_obeyed", lambda *_: True)
    return reversal


@case("position_by_switches_only")
def commanded_is_done(patch: Patch) -> Scene:
    honest = lane_reading._position
    patch(lane_reading, "_position", lambda b, seen: Position.UP if b.motion in RISES else honest(b, seen))
    return lambda world: world.raise_all()


@case("position_by_switches_only")
def nothing_is_ever_late(patch: Patch) -> Scene:
    patch(lane, "watch_times", lambda bench: None)
    patch(lane_output, "overdue_at", lambda b, rules: float("inf"))

    def scene(world: World) -> None:
        world.command("raise")
        world.run(4)
        world.post().jammed = True
        world.run(20)

    return scene


@case("green_only_when_proven_down")
def green_whatever_is_latched(patch: Patch) -> Scene:
    patch(lane_output, "_forbids_green", lambda *_: False)

    def scene(world: World) -> None:
        world.sensor(Sensor.OCCUPIED)
        world.run(0.3)
        world.press()

    return scene


@case("green_only_when_proven_down")
def green_is_never_doubted(patch: Patch) -> Scene:
    honest = lane_output.lane_deadline

    def never(part: Any, rules: Any) -> float:
        return honest(part, replace(rules, lost_s=float("inf")))

    patch(lane, "lane_deadline", never)

    def scene(world: World) -> None:
        world.plc.silent = True
        world.run(2.5)
        world.command("stop", Rank.UPSTREAM, "other")

    return scene


@case("unasked_move_is_an_alarm")
def every_move_is_taken_for_asked(patch: Patch) -> Scene:
    patch(lane_reading, "_is_explained", lambda *_, **__: True)

    def scene(world: World) -> None:
        world.post().way = 0.1
        world.run(3)

    return scene


@case("fire_inhibits_every_raise")
def fire_is_not_asked(patch: Patch) -> Scene:
    patch(lane_allow, "fire_inhibits", lambda box: "")
    patch(lane_motion, "fire_inhibits", lambda box: "")

    def scene(world: World) -> None:
        world.do(FireInput(True))
        world.command("raise")
        world.run(5)

    return scene


@case("fire_inhibits_every_raise")
def the_plc_s_own_fire_key_latches_nothing(patch: Patch) -> Scene:
    patch(lane, "_on_plc_fire_key", lambda state, *_: state)

    def scene(world: World) -> None:
        world.plc.fire_key = True
        world.run(0.2)

    return scene


@case("loss_causes_no_motion")
def a_return_lowers(patch: Patch) -> Scene:
    honest = lane.on_device

    def lowers(state: BoxState, event: Any, now: Any, log: Any) -> BoxState:
        bench = Bench(honest(state, event, now, log), "main", now, log)
        if isinstance(event, DeviceBack):
            bench.put("main-1", hold=Hold.LOWER, hold_at=bench.at)
        return bench.done()

    patch(lane, "on_device", lowers)

    def scene(world: World) -> None:
        world.raise_all()
        world.back()

    return scene


def half_commissioned() -> World:
    half = (BollardRules(id="main-1", commissioned=True), BollardRules(id="main-2", commissioned=False))
    return World(box_rules(lane_rules(bollards=half)))


@case("uncommissioned_is_not_moved", half_commissioned)
def commissioning_is_not_asked(patch: Patch) -> Scene:
    patch(Bench, "movable", lambda bench: iter(bench.bollards.items()))

    def scene(world: World) -> None:
        world.command("raise")
        world.run(5)

    return scene


@case("stop_or_nothing_outside_remote")
def the_selector_is_noted_and_nothing_more(patch: Patch) -> Scene:
    def note(bench: Bench, mode: Mode) -> None:
        bench.write("lane.mode", {"mode": mode.value})
        bench.set(mode=mode)

    patch(lane_reading, "_change_mode", note)
    patch(lane_output, "_hold", lambda b, part: b.hold)

    def scene(world: World) -> None:
        vehicle_during_a_rise(world)
        world.plc.mode = Mode.UNKNOWN
        world.run(0.3)

    return scene


@case("stop_or_nothing_outside_remote")
def a_told_loss_is_not_believed(patch: Patch) -> Scene:
    patch(lane, "on_device", lambda state, *_: state)

    def scene(world: World) -> None:
        vehicle_during_a_rise(world)
        world.do(DeviceLost("lane:main", "no answer"))

    return scene


@case("timetable_only_asks")
def the_timetable_s_wish_is_a_command(patch: Patch) -> Scene:
    def obey(bench: Bench, event: Any) -> str:
        return lane_motion.ask(bench, Motion.RAISE, Rank.CONSOLE, event.actor)

    patch(lane, "_want", obey)
    return lambda world: world.command("raise", Rank.TIMETABLE)


# ── the tests ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [name for name, _ in CASES])
def test_a_planted_bug_is_caught_by_its_own_invariant(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = dict(CASES)[name]
    planted.plant(monkeypatch.setattr)
    world = planted.world()
    with pytest.raises(Broken) as found:
        planted.scene(world)
    assert found.value.names == {planted.name}


@pytest.mark.parametrize("name", [name for name, _ in CASES])
def test_the_same_scene_without_the_bug_breaks_nothing(name: str) -> None:
    planted = dict(CASES)[name]
    planted.scene(planted.world())


def test_every_invariant_of_motion_has_its_bug() -> None:
    motion = {rule.name for rule in REGISTRY if rule.check.__module__.endswith("invariants_motion")}
    assert {planted.name for _, planted in CASES} == motion
    numbers = {rule.number for rule in REGISTRY if rule.name in motion}
    assert numbers == set(range(14))
