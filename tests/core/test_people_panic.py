"""The panic button: never masked, latched, told once, reset only on site."""

from __future__ import annotations

import msgspec
import pytest
from people_scenes import GUARD, RULES, STAFF, Gate, kinds

from agent.core import lane
from agent.core.events import (
    AlarmStage,
    ClockChanged,
    DeviceLost,
    JournalChanged,
    KeyInput,
    PanicLine,
    PathHealth,
    ScanComplete,
)
from agent.core.outputs import Level
from agent.core.state import BoxState
from agent.core.words import ClockTrust, Journal, Line, Rank, Stage


def test_a_press_latches_locks_and_lights_in_its_own_step() -> None:
    gate = Gate().start()
    records = gate.line("gatehouse", Line.PRESSED)
    assert kinds(records)[0] == "panic.pressed"
    assert records[0].data["drill"] is False
    assert records[-1].kind == "box.latched"
    assert gate.state.panic.latched and gate.state.panic.lockdown
    assert gate.outputs.lamps["sent"] == Level(on=True, after=0)
    assert not gate.lamp("received") and not gate.lamp("coming")
    assert gate.lock("wicket") == Level(on=True, after=0)
    assert not gate.outputs.siren.on


def test_an_audible_site_sounds_its_siren_until_the_reset() -> None:
    gate = Gate(msgspec.structs.replace(RULES, panic_audible=True)).start()
    gate.press()
    assert gate.outputs.siren == Level(on=True, after=0)
    gate.turn("panic-reset")
    assert not gate.outputs.siren.on


def test_the_press_edge_asks_for_efo_only_where_the_site_signed() -> None:
    for signed in (True, False):
        gate = Gate(msgspec.structs.replace(RULES, panic_raises_bollards=signed), lane_alive=True).start()
        gate.wait(3.0)
        records = gate.line("gatehouse", Line.PRESSED)
        assert ("lane.efo" in kinds(records)) is signed
        assert bool(gate.outputs.motions) is signed


def test_every_new_press_edge_while_latched_is_a_record_and_a_new_ask() -> None:
    gate = Gate().start()
    for _ in range(3):
        assert "lane.efo" in kinds(gate.press())
        gate.wait(0.5)
    assert len(gate.of("panic.pressed")) == 3
    assert len(gate.state.panic.alarms) == 3


def test_bounce_is_one_press() -> None:
    gate = Gate().start()
    gate.line("gatehouse", Line.PRESSED)
    for _ in range(4):
        gate.wait(0.01)
        gate.line("gatehouse", Line.NORMAL)
        gate.wait(0.01)
        gate.line("gatehouse", Line.PRESSED)
    assert len(gate.of("panic.pressed")) == 1


def test_fifty_milliseconds_of_normal_make_a_new_press() -> None:
    gate = Gate().start()
    at = gate.mono_s + 10.0
    gate.wait(11.0)
    gate.send(PanicLine("gatehouse", Line.PRESSED, at))
    gate.send(PanicLine("gatehouse", Line.NORMAL, at + 0.25))
    gate.send(PanicLine("gatehouse", Line.PRESSED, at + 0.5))
    assert len(gate.of("panic.pressed")) == 2


@pytest.mark.parametrize("trouble", ["clock", "disk", "uplink", "devices", "fire", "lockdown"])
def test_nothing_masks_or_delays_a_press(trouble: str) -> None:
    gate = Gate().start()
    match trouble:
        case "clock":
            gate.trust = ClockTrust.UNTRUSTED
            gate.send(ClockChanged(ClockTrust.UNTRUSTED, -9_000_000))
        case "disk":
            gate.send(JournalChanged(Journal.FAILING, "no space"))
        case "uplink":
            gate.send(PathHealth("mqtt", False, "broker away"))
        case "devices":
            gate.send(DeviceLost("bus:plc", "no answer"))
            gate.send(DeviceLost("relays", "no answer"))
        case "fire":
            gate.turn("fire")
        case _:
            gate.command("lockdown")
    records = gate.line("wicket", Line.PRESSED)
    assert kinds(records)[0] == "panic.pressed"
    assert gate.outputs.lamps["sent"] == Level(on=True, after=0)


def test_a_button_that_nobody_configured_is_still_a_button() -> None:
    gate = Gate().start()
    gate.line("attic", Line.NORMAL)
    assert kinds(gate.line("attic", Line.PRESSED))[0] == "panic.pressed"


@pytest.mark.parametrize("part", ["efo", "on_tick"])
def test_a_bug_in_a_lane_does_not_cost_the_alarm(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate().start()

    def breaks(*rest: object) -> BoxState:
        raise AssertionError("a bug of ours")

    monkeypatch.setattr(lane, part, breaks)
    gate.mono_s += 3.0  # past the lane's deadline: time would act first
    gate.line("gatehouse", Line.PRESSED)
    assert gate.state.panic.latched and gate.lamp("sent")
    assert gate.of("panic.pressed") and gate.of("box.latched")
    assert [record.data["what"] for record in gate.of("box.bug")] == ["AssertionError"]


# ── lines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line", [Line.CUT, Line.SHORTED, Line.DISAGREE, Line.UNREAD])
def test_a_bad_line_is_one_alarm_and_one_restore(line: Line) -> None:
    gate = Gate(lane_alive=True).start()
    records = gate.line("office", line)
    assert kinds(records) == ["panic.line_fault"]
    assert records[0].data == {"button": "office", "line": line.value}
    assert gate.lamp("fault")
    gate.wait(5.0)
    gate.line("office", Line.NORMAL)
    restored = gate.wait(3.0)
    assert [(record.kind, record.cause) for record in restored] == [("panic.line_ok", records[0].ref)]
    assert not gate.lamp("fault")


def test_a_loose_wire_is_one_alarm_and_not_hundreds() -> None:
    gate = Gate().start()
    for _ in range(50):
        gate.line("office", Line.CUT)
        gate.wait(0.2)
        gate.line("office", Line.NORMAL)
        gate.wait(0.2)
    assert len(gate.of("panic.line_fault")) == 1


def test_an_unread_line_is_an_alarm_once_the_scan_is_complete() -> None:
    gate = Gate()
    gate.boot()
    gate.line("gatehouse", Line.NORMAL)
    assert not gate.of("panic.line_fault")
    records = gate.send(ScanComplete())
    assert sorted(str(r.data["button"]) for r in records if r.kind == "panic.line_fault") == ["office", "wicket"]


def test_a_press_on_a_bad_line_is_still_a_press() -> None:
    gate = Gate().start()
    gate.line("office", Line.CUT)
    assert kinds(gate.line("office", Line.PRESSED))[0] == "panic.pressed"


def test_a_chattering_button_is_an_alarm_of_its_own_and_masks_no_press() -> None:
    gate = Gate().start()
    for _ in range(20):
        gate.press(hold_s=0.1)
        gate.wait(0.4)
    assert len(gate.of("panic.pressed")) == 20
    (told,) = gate.of("panic.chatter")
    assert told.data == {"button": "gatehouse", "presses": 8, "within_s": 10}
    assert gate.of("panic.pressed")[7].seq < told.seq < gate.of("panic.pressed")[8].seq
    assert gate.lamp("fault")
    gate.wait(59.0)
    assert not gate.of("panic.line_ok")
    gate.wait(1.0)
    (over,) = gate.of("panic.line_ok")
    assert over.cause == told.ref
    assert gate.state.panic.buttons["gatehouse"].chatter_ref is None


def test_a_hand_in_distress_is_no_chatter() -> None:
    gate = Gate().start()
    for _ in range(7):
        gate.press(hold_s=0.3)
        gate.wait(1.0)
    assert len(gate.of("panic.pressed")) == 7 and not gate.of("panic.chatter")


def test_a_stuck_button_is_an_alarm_of_its_own() -> None:
    gate = Gate().start()
    gate.line("office", Line.PRESSED)
    assert "panic.stuck" not in kinds(gate.wait(59.0))
    assert kinds(gate.wait(2.0)).count("panic.stuck") == 1
    assert "panic.stuck" not in kinds(gate.wait(600.0))
    records = gate.line("office", Line.NORMAL)
    assert records[0].kind == "panic.released" and records[0].data["stuck"] is True
    assert records[0].cause == gate.of("panic.stuck")[0].ref


# ── found active ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_found_active_in_the_first_scan_is_a_press_that_raises_nothing() -> None:
    gate = Gate()
    gate.boot()
    gate.scan(pressed=("gatehouse",))
    pressed = gate.of("panic.pressed")
    assert len(pressed) == 1 and pressed[0].data["seen"] is False
    assert gate.state.panic.latched and gate.state.lanes["main"].efo
    assert not gate.outputs.motions


@pytest.mark.parametrize("line", [Line.UNREAD, Line.CUT, Line.SHORTED])
def test_a_press_that_was_not_seen_as_an_edge_latches_and_raises_nothing(line: Line) -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(5.0)
    gate.line("gatehouse", line)
    gate.wait(1.0)
    gate.line("gatehouse", Line.PRESSED)
    assert gate.state.panic.latched
    assert not gate.outputs.motions
    assert gate.state.lanes["main"].blocked == "too_old"


def test_a_held_press_read_again_after_a_loss_is_no_second_press() -> None:
    gate = Gate().start()
    gate.line("gatehouse", Line.PRESSED)
    gate.line("gatehouse", Line.UNREAD)
    gate.wait(1.0)
    gate.line("gatehouse", Line.PRESSED)
    assert len(gate.of("panic.pressed")) == 1


# ── stages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stages_light_the_lamps_and_only_move_forward() -> None:
    gate = Gate().start()
    ref = gate.press()[0].ref
    assert gate.state.panic.alarms[0].stages == {"mqtt": Stage.QUEUED, "dc09": Stage.QUEUED}
    for stage, lit in ((Stage.SENT, (0, 0)), (Stage.RECEIVED, (1, 0)), (Stage.COMING, (1, 1)), (Stage.SENT, (1, 1))):
        gate.send(AlarmStage(ref, "mqtt", stage, "district"))
        assert (gate.lamp("received"), gate.lamp("coming")) == tuple(map(bool, lit))
        assert not gate.send(AlarmStage(ref, "mqtt", stage, "district")), "told twice, written once"
    assert gate.state.panic.alarms[0].stages == {"mqtt": Stage.COMING, "dc09": Stage.QUEUED}
    assert [record.data["stage"] for record in gate.of("alarm.stage")] == ["sent", "received", "coming"]
    assert all(record.cause == ref for record in gate.of("alarm.stage"))


def test_a_stage_of_an_unknown_alarm_or_path_changes_nothing() -> None:
    gate = Gate().start()
    ref = gate.press()[0].ref
    assert not gate.send(AlarmStage((1, 9999), "mqtt", Stage.RECEIVED))
    assert not gate.send(AlarmStage(ref, "carrier pigeon", Stage.RECEIVED))
    assert not gate.lamp("received")


def test_no_stage_and_no_upstream_command_resets() -> None:
    gate = Gate().start()
    ref = gate.press()[0].ref
    for stage in Stage:
        gate.send(AlarmStage(ref, "mqtt", stage))
    gate.card("guard", GUARD)
    assert gate.command("panic_reset", Rank.UPSTREAM)[0].data["why"] == "rank"
    gate.command("acknowledge", Rank.UPSTREAM)
    assert gate.state.panic.alarms[0].acknowledged_by == "desk"
    assert gate.state.panic.latched and gate.state.panic.lockdown


def test_open_alarms_are_bounded_and_the_first_real_one_stays() -> None:
    gate = Gate().start()
    first = gate.press()[0].ref
    for _ in range(40):
        gate.wait(0.2)
        gate.press()
    assert len(gate.state.panic.alarms) == 32
    assert gate.state.panic.alarms[0].ref == first
    assert len(gate.of("panic.pressed")) == 41


# ── reset ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_reset_key_resets_once_nothing_is_pressed() -> None:
    gate = Gate().start()
    gate.line("gatehouse", Line.PRESSED)
    refused = gate.turn("panic-reset")
    assert (refused[0].kind, refused[0].data["why"]) == ("panic.reset_refused", "still_pressed:gatehouse")
    gate.line("gatehouse", Line.NORMAL)
    assert kinds(gate.turn("panic-reset")) == ["panic.reset", "lane.efo_cleared"]
    assert not gate.state.panic.latched and not gate.state.panic.lockdown and not gate.state.panic.alarms
    assert not gate.lamp("sent")


def test_a_key_left_on_resets_nothing() -> None:
    gate = Gate()
    gate.boot()
    gate.line("gatehouse", Line.PRESSED)
    gate.line("gatehouse", Line.NORMAL)
    gate.send(KeyInput("panic-reset", True))
    assert gate.state.panic.latched
    gate = Gate().start()
    gate.press()
    gate.send(KeyInput("panic-reset", None))
    gate.send(KeyInput("panic-reset", True))
    assert gate.state.panic.latched


def test_a_command_resets_only_with_a_guard_on_site() -> None:
    gate = Gate().start()
    gate.press()
    assert gate.command("panic_reset")[0].data["why"] == "not_on_site"
    gate.card("guard", STAFF)
    assert gate.command("panic_reset")[0].data["why"] == "not_on_site"
    gate.card("guard", GUARD)
    gate.wait(10.5)
    assert gate.command("panic_reset")[0].data["why"] == "not_on_site"
    gate.card("guard", GUARD)
    gate.wait(9.0)
    assert kinds(gate.command("panic_reset"))[:2] == ["command.done", "panic.reset"]
    assert gate.of("panic.reset")[0].actor == "guard-1"
    assert gate.command("panic_reset")[0].data["why"] == "not_latched"


def test_a_lockdown_by_command_outlives_the_reset() -> None:
    gate = Gate().start()
    gate.press()
    gate.command("lockdown", Rank.UPSTREAM)
    gate.turn("panic-reset")
    assert gate.state.panic.lockdown and not gate.state.panic.latched
    assert gate.command("all_clear")[0].data["why"] == "not_on_site"
    gate.card("guard", GUARD)
    assert kinds(gate.command("all_clear")) == ["command.done", "lockdown.ended"]


def test_no_all_clear_while_the_panic_is_latched() -> None:
    gate = Gate().start()
    gate.press()
    gate.card("guard", GUARD)
    assert gate.command("all_clear")[0].data["why"] == "panic_latched"
