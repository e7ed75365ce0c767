"""Health, supplies, ways up, the clock: what is lost, since when, and what that takes away."""

from __future__ import annotations

from people_scenes import Gate, kinds

from agent.core.events import (
    ClockChanged,
    DeviceBack,
    DeviceLost,
    JournalChanged,
    PathHealth,
    SupplyInput,
)
from agent.core.words import ClockTrust, Journal


def test_a_device_is_lost_once_and_back_once() -> None:
    gate = Gate(lane_alive=True).start()
    since_ms = gate.wall_ms
    assert kinds(gate.send(DeviceLost("reader:guard", "unplugged"))) == ["device.lost"]
    assert not gate.send(DeviceLost("reader:guard", "unplugged"))
    assert gate.lamp("fault")
    assert gate.state.health.devices["reader:guard"].since_ms == since_ms
    gate.wait(4.0)
    back = gate.send(DeviceBack("reader:guard"))
    assert back[0].data["lost_ms"] == 4000
    assert not gate.send(DeviceBack("reader:guard"))
    assert not gate.lamp("fault")


def test_tamper_is_an_alarm_at_once() -> None:
    gate = Gate(lane_alive=True).start()
    alarm = gate.send(SupplyInput("tamper", False))
    assert kinds(alarm) == ["supply.alarm"]
    assert gate.lamp("fault")
    restored = gate.send(SupplyInput("tamper", True))
    assert kinds(restored) == ["supply.ok"] and restored[0].cause == alarm[0].ref
    assert not gate.lamp("fault")


def test_mains_alarm_comes_within_a_minute_and_not_for_a_dip() -> None:
    gate = Gate().start()
    gate.send(SupplyInput("mains", False))
    gate.wait(5.0)
    gate.send(SupplyInput("mains", True))
    assert not gate.of("supply.alarm")
    gate.send(SupplyInput("mains", False))
    assert "supply.alarm" in kinds(gate.wait(60.0))
    assert len(gate.of("supply.alarm")) == 1


def test_a_supply_that_cannot_be_read_is_an_alarm_and_its_failure_then_too() -> None:
    gate = Gate().start()
    assert kinds(gate.send(SupplyInput("mains", None))) == ["supply.unread"]
    assert kinds(gate.send(SupplyInput("mains", False))) == ["supply.alarm"]


def test_losing_the_last_way_up_is_an_alarm_after_a_grace() -> None:
    gate = Gate().start()
    gate.send(PathHealth("mqtt", True))
    gate.send(PathHealth("dc09", True))
    gate.send(PathHealth("mqtt", False, "broker away"))
    assert "path.none" not in kinds(gate.wait(100.0))
    gate.send(PathHealth("dc09", False, "no route"))
    assert "path.none" not in kinds(gate.wait(19.0))
    assert "path.none" in kinds(gate.wait(2.0))
    assert "path.none" not in kinds(gate.wait(1000.0))
    assert kinds(gate.send(PathHealth("dc09", True))) == ["path.up"]
    gate.send(PathHealth("dc09", False))
    assert "path.none" in kinds(gate.wait(21.0))


def test_the_journal_failing_is_loud() -> None:
    gate = Gate(lane_alive=True).start()
    assert kinds(gate.send(JournalChanged(Journal.FAILING, "disk full"))) == ["journal.failing"]
    assert gate.lamp("fault")
    assert not gate.send(JournalChanged(Journal.FAILING, "disk full"))
    assert kinds(gate.send(JournalChanged(Journal.OK))) == ["journal.ok"]
    assert not gate.lamp("fault")


# ── the clock ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_trust_changes_and_steps_are_one_record_each() -> None:
    gate = Gate().start()
    gate.trust = ClockTrust.HOLDOVER
    changed = gate.send(ClockChanged(ClockTrust.HOLDOVER, why="no time service"))
    assert changed[0].data == {"from": "trusted", "to": "holdover", "step_ms": 0, "why": "no time service"}
    assert kinds(gate.send(ClockChanged(ClockTrust.HOLDOVER, step_ms=300))) == ["clock.stepped"]
    assert kinds(gate.send(ClockChanged(ClockTrust.TRUSTED))) == ["clock.trust"]
    assert not gate.send(ClockChanged(ClockTrust.TRUSTED))


def test_a_trusted_clock_off_by_more_than_two_seconds_is_an_alarm() -> None:
    gate = Gate().start()
    assert kinds(gate.send(ClockChanged(ClockTrust.TRUSTED, step_ms=-2500))) == ["clock.off"]
    gate.send(ClockChanged(ClockTrust.UNTRUSTED))
    assert kinds(gate.send(ClockChanged(ClockTrust.TRUSTED, step_ms=900_000_000))) == ["clock.trust"]


def test_a_day_without_synchronisation_is_an_alarm_through_holdover_and_untrusted() -> None:
    gate = Gate(lane_alive=False).start()
    gate.send(ClockChanged(ClockTrust.HOLDOVER))
    gate.wait(43_200.0)
    gate.send(ClockChanged(ClockTrust.UNTRUSTED))
    assert "clock.unsynced" not in kinds(gate.wait(43_000.0))
    assert "clock.unsynced" in kinds(gate.wait(300.0))
    assert gate.lamp("fault")
    gate.send(ClockChanged(ClockTrust.TRUSTED))
    assert not gate.state.clock.alarmed


def test_a_box_that_never_had_the_time_alarms_after_a_day() -> None:
    gate = Gate()
    gate.trust = ClockTrust.UNTRUSTED
    gate.start()
    assert "clock.unsynced" in kinds(gate.wait(86_500.0))
