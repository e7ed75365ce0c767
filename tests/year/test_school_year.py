"""The year run: it holds, it replays, and it catches what is broken on purpose."""

from __future__ import annotations

import pytest

from agent.core import lane_allow, lane_emergency, lane_motion
from sim.year.bridge import Bridge
from sim.year.run import Year, play, told

DAYS, PUPILS = 120, 25  # from New Year into April: holidays, a break and school weeks


@pytest.fixture(scope="module")
def sound() -> Year:
    return play(7, DAYS, PUPILS)


def test_every_rule_holds_through_faults_power_cuts_and_clock_steps(sound: Year) -> None:
    print(told(sound))
    assert sound.broken == ""
    assert sound.breaches == 0
    assert sound.passages > 300 and sound.vehicles > 50
    assert {"power cut", "clock step", "panic", "lane lost", "bollard fault", "fire"} <= set(sound.mishaps)
    happened = {"panic.pressed", "lane.reversal", "lane.fault", "fire.active", "panic.restored", "access.wrong_tries"}
    assert happened <= set(sound.kinds), f"the days were too quiet to prove anything: {happened - set(sound.kinds)}"


def test_the_same_seed_gives_the_same_records(sound: Year) -> None:
    again = play(7, DAYS, PUPILS)
    assert (again.hash, again.records, again.steps) == (sound.hash, sound.records, sound.steps)


def test_another_seed_gives_another_year(sound: Year) -> None:
    other = play(8, DAYS, PUPILS)
    assert other.broken == ""
    assert other.hash != sound.hash


def _breaks(days: int = DAYS) -> str:
    """Play twice: what broke must break again, at the same instant, from the same seed."""
    first, again = play(7, days, PUPILS), play(7, days, PUPILS)
    assert first.broken, "the broken rule was not caught"
    assert again.broken == first.broken
    assert f"replay: make year SEED=7 DAYS={days}" in told(first)
    return first.broken


def test_a_raise_over_an_occupied_sensor_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lane_allow, lane_emergency, lane_motion):
        if hasattr(module, "sensor_in_the_way"):
            monkeypatch.setattr(module, "sensor_in_the_way", lambda bench, clear_s: "")
    broken = _breaks()
    assert "no_raise" in broken or "obstruction_reverses" in broken


def test_a_gate_that_does_not_recover_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    find = Bridge.find

    def forget(self: Bridge, device: str) -> None:
        if not device.startswith("reader:"):
            find(self, device)

    monkeypatch.setattr(Bridge, "find", forget)
    assert _breaks().startswith("NotWell")
