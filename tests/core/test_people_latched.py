"""A restart keeps what must be kept, believes no input, and moves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from people_scenes import Gate, kinds

from agent.core import latched
from agent.core.events import AlarmStage, FireInput, NewEpoch
from agent.core.outputs import Level
from agent.core.records import encode
from agent.core.words import Line, Rank, Stage


def test_a_latched_panic_survives_with_its_stages() -> None:
    gate = Gate().start()
    ref = gate.press()[0].ref
    gate.send(AlarmStage(ref, "mqtt", Stage.RECEIVED))
    gate.command("acknowledge", Rank.UPSTREAM)
    again = gate.restart()
    assert again.of("panic.restored")[0].cause == ref
    panic = again.state.panic
    assert panic.latched and panic.lockdown and panic.latched_ref == ref
    assert panic.alarms[0].stages == {"mqtt": Stage.RECEIVED, "dc09": Stage.QUEUED}
    assert panic.alarms[0].acknowledged_by == "desk"
    again.scan()
    assert again.lamp("sent") and again.lamp("received") and not again.lamp("coming")
    assert not again.outputs.motions
    again.turn("panic-reset")
    assert not again.state.panic.latched
    third = again.restart()
    assert not third.state.panic.latched and not third.of("panic.restored")


def test_a_button_held_over_the_restart_is_a_press_that_raises_nothing() -> None:
    gate = Gate().start()
    gate.line("gatehouse", Line.PRESSED)
    again = gate.restart()
    again.scan(pressed=("gatehouse",))
    assert len(again.of("panic.pressed")) == 1
    assert not again.outputs.motions


def test_efo_and_a_closed_lane_survive() -> None:
    gate = Gate().start()
    gate.press()
    assert gate.state.lanes["main"].efo
    again = gate.restart()
    assert again.state.lanes["main"].efo
    assert "lane.restored" in kinds(again.records)


def test_a_fire_release_survives_and_opens_only_after_the_scan() -> None:
    gate = Gate().start()
    gate.send(FireInput(True))
    again = gate.restart()
    assert again.of("fire.restored")[0].cause == gate.of("fire.active")[0].ref
    assert again.state.fire.latched and again.state.fire.input is None
    again.scan()
    assert again.lock("wicket") == Level(on=False, after=0)


def test_lockdown_by_command_survives() -> None:
    gate = Gate().start()
    gate.command("lockdown")
    again = gate.restart()
    assert again.state.panic.lockdown and not again.state.panic.latched
    assert again.state.panic.lockdown_by == "command"


def test_the_picture_is_written_when_it_changed_and_only_then() -> None:
    gate = Gate(lane_alive=True).start()
    assert not gate.of("box.latched")
    gate.wait(60.0)
    gate.card("wicket-in", "uart-125k:0100A1B2C4")
    gate.line("office", Line.CUT)
    assert not gate.of("box.latched")
    gate.press()
    assert len(gate.of("box.latched")) == 1
    assert gate.of("box.latched")[0].data["panic"] == latched.picture(gate.state)["panic"]


def test_the_picture_survives_the_journals_own_encoding() -> None:
    gate = Gate().start()
    gate.press()
    gate.send(FireInput(True))
    gate.command("lockdown")
    body: dict[str, Any] = json.loads(encode(gate.of("box.latched")[-1]))
    again = Gate()
    again.boot(body["data"], (1, 9))
    assert again.state.panic.latched and again.state.fire.latched
    assert again.state.panic.alarms[0].ref == gate.of("panic.pressed")[0].ref
    assert not again.of("box.restore_failed")


def test_no_monotonic_instant_is_in_the_picture() -> None:
    gate = Gate().start()
    gate.press()
    text = json.dumps(latched.picture(gate.state))
    assert "_at" not in text and str(int(gate.mono_s)) not in text


def test_a_new_epoch_before_the_start_does_not_forget_what_is_latched() -> None:
    """The journal tells of its new epoch first; a picture of the empty state written then would be the newest one."""
    gate = Gate().start()
    gate.press()
    kept = gate.of("box.latched")[-1]
    again = Gate()
    assert kinds(again.send(NewEpoch(2, 1, "the tail was lost"))) == [r.kind for r in again.records]
    again.boot(dict(kept.data), kept.ref)
    assert again.of("box.latched")[-1].epoch == 2
    assert again.state.panic.latched


def test_a_new_epoch_begins_with_the_picture() -> None:
    gate = Gate().start()
    gate.press()
    records = gate.send(NewEpoch(2, 1, "the tail was lost"))
    assert [(record.kind, record.ref) for record in records] == [("box.new_epoch", (2, 1)), ("box.latched", (2, 2))]
    assert gate.state.next_seq == 3


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("panic", 7),
        ("panic", {"latched": "yes"}),
        ("panic", {"alarms": [{"button": "x"}]}),
        ("fire", []),
        ("commands", [1]),
        ("commands", "abc"),
        ("drill", "x"),
        ("lanes", 3),
    ],
)
def test_a_damaged_part_is_told_and_the_others_restored(part: str, value: object) -> None:
    gate = Gate(strict=False).start()
    gate.press()
    gate.send(FireInput(True))
    gate.command("lockdown")
    data: dict[str, object] = dict(gate.of("box.latched")[-1].data) | {part: value}
    again = Gate(strict=False)
    again.boot(data, (1, 9))
    assert [record.data["part"] for record in again.of("box.restore_failed")] == [part]
    assert again.state.panic.latched and again.state.panic.lockdown and again.state.fire.latched
    assert again.state.lanes["main"].efo


def test_a_later_releases_picture_with_more_in_it_is_read() -> None:
    gate = Gate()
    gate.boot({"panic": {"latched": True, "moon": 1}, "weather": "fine"}, (1, 9))
    assert gate.state.panic.latched and not gate.of("box.restore_failed")


def test_an_empty_picture_restores_nothing() -> None:
    gate = Gate()
    gate.boot({}, (1, 9))
    assert kinds(gate.records) == ["box.started"]


def test_a_start_remembers_nothing_of_the_boot_before() -> None:
    gate = Gate(strict=False).start()
    gate.card("wicket-in", "uart-125k:0100A1B2C4")
    gate.press("office")
    gate.turn("fire")
    gate.boot()
    fresh = gate.state
    assert not fresh.panic.latched and not fresh.scanned and not fresh.fire.latched
    assert fresh.doors["wicket"].unlocked_until_at is None
    assert fresh.keys == {"panic-reset": None, "fire": None, "fire-reset": None}
