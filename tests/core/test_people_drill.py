"""Drill mode: one button, a while, labelled; everything else stays real."""

from __future__ import annotations

import pytest
from people_scenes import GUARD, Gate, kinds

from agent.core.events import AlarmStage, PanicLine
from agent.core.words import Line, Rank, Stage


def test_a_drill_press_is_labelled_and_touches_nothing() -> None:
    gate = Gate().start()
    gate.drill()
    records = gate.press()
    assert kinds(records) == ["panic.pressed"]
    assert records[0].data["drill"] is True
    assert not gate.state.panic.latched and not gate.state.panic.lockdown
    assert gate.lamp("sent") and not gate.outputs.siren.on
    staged = gate.send(AlarmStage(records[0].ref, "mqtt", Stage.RECEIVED))
    assert staged[0].data["drill"] is True
    assert gate.lamp("received")
    assert gate.of("panic.released")[0].data["drill"] is True


def test_other_buttons_are_real_and_end_the_drill() -> None:
    gate = Gate().start()
    gate.drill("gatehouse")
    records = gate.press("wicket")
    assert records[0].data["drill"] is False
    assert gate.state.panic.latched
    assert gate.of("drill.ended")[0].data["why"] == "real_press"
    gate.wait(20.0)
    assert gate.press("gatehouse")[0].data["drill"] is False


def test_a_second_press_within_ten_seconds_is_real() -> None:
    gate = Gate().start()
    gate.drill()
    gate.press()
    gate.wait(9.0)
    assert gate.press()[0].data["drill"] is False
    assert gate.state.panic.latched and not gate.state.drill.button


def test_a_second_press_after_eleven_seconds_is_a_drill_again() -> None:
    gate = Gate().start()
    gate.drill()
    gate.press()
    gate.wait(11.0)
    assert gate.press()[0].data["drill"] is True


def test_a_hold_of_three_seconds_is_real_and_asks_for_efo_now() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(3.0)
    gate.drill()
    drilled = gate.line("gatehouse", Line.PRESSED)
    assert not gate.outputs.motions
    gate.wait(2.9)
    assert not gate.state.panic.latched
    gate.wait(0.2)
    real = gate.of("panic.pressed")[-1]
    assert real.data["drill"] is False and real.data["held_ms"] == 3000
    assert real.cause == drilled[0].ref
    assert gate.outputs.motions


def test_bounce_neither_makes_a_drill_real_nor_hides_a_hold() -> None:
    gate = Gate().start()
    gate.drill()
    gate.line("gatehouse", Line.PRESSED)
    for line in (Line.NORMAL, Line.PRESSED, Line.NORMAL, Line.PRESSED):
        gate.wait(0.01)
        gate.line("gatehouse", line)
    assert len(gate.of("panic.pressed")) == 1
    gate.wait(3.0)
    assert gate.state.panic.latched


def test_a_drill_ends_by_itself_and_then_everything_is_real() -> None:
    gate = Gate().start()
    gate.drill(minutes="1")
    gate.press()
    assert "drill.ended" not in kinds(gate.wait(59.0))
    ended = [record for record in gate.wait(1.0) if record.kind == "drill.ended"]
    assert [record.data["why"] for record in ended] == ["time"]
    assert not gate.lamp("sent")
    assert gate.press()[0].data["drill"] is False


def test_a_press_at_the_very_end_is_real_however_late_the_tick_is() -> None:
    gate = Gate().start()
    gate.drill(minutes="1")
    gate.mono_s += 60.0
    pressed = [record for record in gate.line("gatehouse", Line.PRESSED) if record.kind == "panic.pressed"]
    assert pressed[0].data["drill"] is False


def test_a_hold_across_the_end_is_still_real() -> None:
    gate = Gate().start()
    gate.drill(minutes="1")
    gate.wait(58.0)
    gate.line("gatehouse", Line.PRESSED)
    gate.wait(2.5)
    assert not gate.state.drill.button and not gate.state.panic.latched
    gate.wait(1.0)
    assert gate.state.panic.latched


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"button": "gatehouse", "reason": ""}, "reason"),
        ({"button": "gatehouse", "reason": "王老师要求"}, "reason"),
        ({"button": "nowhere"}, "unknown_button"),
        ({"button": "gatehouse", "minutes": "16"}, "minutes:1-15"),
        ({"button": "gatehouse", "minutes": "0"}, "minutes:1-15"),
        ({"button": "gatehouse", "minutes": "-1"}, "minutes:1-15"),
        ({"button": "gatehouse", "minutes": "５"}, "minutes:1-15"),
        ({"button": "gatehouse", "minutes": "1e3"}, "minutes:1-15"),
        ({}, "unknown_button"),
    ],
)
def test_a_drill_needs_a_button_a_bounded_time_and_a_reason(args: dict[str, str], why: str) -> None:
    gate = Gate().start()
    gate.card("guard", GUARD)
    assert gate.ask("drill_start", {"reason": "training"} | args)[0].data["why"] == why


def test_upstream_or_a_screen_alone_starts_no_drill() -> None:
    gate = Gate().start()
    assert gate.command("drill_start", button="gatehouse")[0].data["why"] == "not_on_site"
    gate.card("guard", GUARD)
    assert gate.command("drill_start", Rank.UPSTREAM, button="gatehouse")[0].data["why"] == "rank"


def test_no_drill_while_one_runs_or_an_alarm_is_latched_or_the_line_is_bad() -> None:
    gate = Gate().start()
    gate.drill()
    gate.card("guard", GUARD)
    assert gate.command("drill_start", button="wicket")[0].data["why"] == "drill_running:gatehouse"
    assert kinds(gate.command("drill_end")) == ["command.done", "drill.ended"]
    gate.line("office", Line.CUT)
    assert gate.command("drill_start", button="office")[0].data["why"] == "line:cut"
    gate.press("wicket")
    assert gate.command("drill_start", button="gatehouse")[0].data["why"] == "panic_latched"
    assert gate.command("drill_end")[0].data["why"] == "no_drill"


def test_a_drills_receipt_lights_nothing_while_a_real_alarm_is_open() -> None:
    gate = Gate().start()
    gate.drill()
    drilled = gate.press()[0].ref
    gate.press("wicket")
    gate.send(AlarmStage(drilled, "mqtt", Stage.COMING))
    assert not gate.lamp("received") and not gate.lamp("coming")


def test_a_restart_ends_the_drill_and_says_so() -> None:
    gate = Gate().start()
    gate.drill()
    again = gate.restart()
    assert again.of("drill.ended")[0].data["why"] == "restart"
    assert again.of("drill.ended")[0].data["drill"] is True
    again.scan()
    assert again.press()[0].data["drill"] is False


# ── announced first ────────────────────────────────────────────────────────────────────────────────────────────────


def test_until_somebody_has_heard_of_it_every_press_is_real() -> None:
    gate = Gate().start()
    ref = gate.announce()
    gate.send(AlarmStage(ref, "mqtt", Stage.SENT))
    pressed = gate.press()
    assert pressed[0].data["drill"] is False and gate.state.panic.latched
    assert gate.of("drill.ended")[0].data["why"] == "real_press"


def test_the_first_receipt_makes_it_a_drill_and_the_others_are_written_down() -> None:
    gate = Gate().start()
    ref = gate.announce(minutes="2")
    gate.wait(0.4)
    records = gate.send(AlarmStage(ref, "dc09", Stage.RECEIVED, "10.0.0.9:7700"))
    assert kinds(records) == ["alarm.stage", "drill.running"]
    assert records[1].data == {
        "answered": True, "button": "gatehouse", "drill": True, "minutes": 2, "waited_ms": 400,
    }  # fmt: skip
    assert records[0].cause == ref and records[0].data["drill"] is True
    assert kinds(gate.send(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district"))) == ["alarm.stage"]
    assert not gate.send(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district")), "told twice, written once"
    assert not gate.send(AlarmStage(ref, "mqtt", Stage.SENT)), "stages only move on"
    assert gate.press()[0].data["drill"] is True
    assert "drill.ended" not in kinds(gate.wait(119.0))
    assert "drill.ended" in kinds(gate.wait(2.0)), "its minutes count from the receipt"


def test_a_press_from_before_the_receipt_is_real_however_late_it_is_told() -> None:
    gate = Gate().start()
    ref = gate.announce()
    gate.wait(0.2)
    edge_at = gate.mono_s - 0.01
    gate.send(AlarmStage(ref, "mqtt", Stage.RECEIVED))
    pressed = gate.send(PanicLine("gatehouse", Line.PRESSED, edge_at))
    assert pressed[0].data["drill"] is False


def test_when_nobody_answers_a_person_on_site_may_go_ahead() -> None:
    gate = Gate().start()
    gate.announce()
    gate.card("guard", GUARD)
    assert gate.command("drill_go_ahead")[0].data["why"] == "drill_waits"
    gate.wait(30.0)
    (told,) = gate.of("drill.unanswered")
    assert told.data == {"button": "gatehouse", "drill": True, "waited_s": 30}
    assert gate.command("drill_go_ahead")[0].data["why"] == "not_on_site"
    gate.card("guard", GUARD)
    assert gate.command("drill_go_ahead", Rank.UPSTREAM)[0].data["why"] == "rank"
    records = gate.command("drill_go_ahead")
    assert kinds(records) == ["command.done", "drill.running"]
    assert records[1].data["answered"] is False and records[1].actor == "guard-1"
    assert gate.press()[0].data["drill"] is True
    gate.card("guard", GUARD)
    assert gate.command("drill_go_ahead")[0].data["why"] == "drill_running:gatehouse"


def test_a_receipt_that_comes_late_still_counts() -> None:
    gate = Gate().start()
    ref = gate.announce()
    gate.wait(60.0)
    assert "drill.running" in kinds(gate.send(AlarmStage(ref, "mqtt", Stage.RECEIVED)))


def test_a_drill_that_nobody_heard_of_ends_by_itself() -> None:
    gate = Gate().start()
    gate.announce(minutes="15")
    gate.wait(300.0)
    (over,) = gate.of("drill.ended")
    assert (over.data["why"], over.data["presses"]) == ("not_begun", 0)
    gate.card("guard", GUARD)
    assert gate.command("drill_go_ahead")[0].data["why"] == "no_drill"


def test_what_an_unknown_path_says_of_it_begins_nothing() -> None:
    gate = Gate().start()
    ref = gate.announce()
    assert not gate.send(AlarmStage(ref, "pigeon", Stage.RECEIVED))
    assert not gate.send(AlarmStage((ref[0], ref[1] + 99), "mqtt", Stage.RECEIVED))
    assert gate.press()[0].data["drill"] is False


def test_a_drills_lamps_flash_and_a_real_alarms_do_not() -> None:
    gate = Gate().start()
    gate.drill()
    assert not gate.lamp("sent"), "an announcement is no press"
    drilled = gate.press()[0].ref
    gate.send(AlarmStage(drilled, "mqtt", Stage.RECEIVED))
    lamps = gate.outputs.lamps
    assert [name for name, level in lamps.items() if level.blink] == ["sent", "received"]
    gate.press("wicket")
    assert gate.lamp("sent") and not any(level.blink for level in gate.outputs.lamps.values())


def test_the_end_counts_the_presses_and_names_the_announcement() -> None:
    gate = Gate().start()
    gate.drill()
    for _ in range(2):
        gate.press()
        gate.wait(11.0)
    gate.command("drill_end")
    (over,) = gate.of("drill.ended")
    assert over.data["presses"] == 2
    assert over.data["started"] == list(gate.of("drill.started")[0].ref)
    assert over.actor == "desk"
