"""Doors and fire: open lawfully, lock again, tell of force; fire lets everybody out until a hand resets it."""

from __future__ import annotations

import msgspec
import pytest
from people_scenes import GUARD, RESPONDER, RULES, STAFF, Gate, kinds, reading

from agent.core.events import DoorContact, FireInput, KeyInput, NewEpoch, OutputFault, Rex, ScanComplete
from agent.core.outputs import Level
from agent.core.rules import KeyRules
from agent.core.words import Contact, Rank

OPEN_NOW = Level(on=False, after=0)
LOCKED = Level(on=True, after=0)


def opens(gate: Gate, door: str = "wicket") -> None:
    gate.send(DoorContact(door, Contact.OPEN))


def closes(gate: Gate, door: str = "wicket") -> None:
    gate.send(DoorContact(door, Contact.CLOSED))


def test_a_grant_waits_for_its_record_and_relocks_after_the_passage() -> None:
    gate = Gate().start()
    ref = gate.card("wicket-in", STAFF)[0].ref
    assert gate.lock("wicket") == Level(on=False, after=ref[1])
    assert gate.lock("gatehouse") == LOCKED
    gate.wait(1.0)
    opens(gate)
    gate.wait(2.0)
    assert not gate.lock("wicket").on
    closes(gate)
    assert gate.lock("wicket") == LOCKED
    assert gate.of("door.opened")[0].cause == ref
    assert gate.of("door.closed")[0].data == {"forced": False, "held": False, "open_ms": 2000}


def test_a_grant_nobody_uses_ends_by_time() -> None:
    gate = Gate().start()
    gate.card("wicket-in", STAFF)
    gate.wait(4.9)
    assert not gate.lock("wicket").on
    assert kinds(gate.wait(0.2)) == ["door.relocked"]
    assert gate.lock("wicket") == LOCKED


def test_a_record_of_an_older_epoch_holds_no_lock_back() -> None:
    gate = Gate().start()
    gate.card("wicket-in", STAFF)
    gate.send(NewEpoch(2, 1, "lost tail"))
    assert gate.lock("wicket") == OPEN_NOW


def test_a_forced_door_is_an_alarm_within_two_seconds() -> None:
    gate = Gate().start()
    opens(gate)
    assert kinds(gate.wait(0.2)) == []
    assert kinds(gate.wait(0.2)) == ["door.forced"]
    assert "door.forced" not in kinds(gate.wait(10.0))
    closes(gate)
    assert gate.records[-1].kind == "door.closed"
    assert gate.records[-1].cause == gate.of("door.forced")[0].ref
    assert not gate.state.doors["wicket"].forced


def test_a_forced_door_slammed_shut_again_is_still_an_alarm() -> None:
    for contact in (Contact.CLOSED, Contact.UNREAD):
        gate = Gate().start()
        opens(gate)
        gate.wait(0.1)
        assert "door.forced" in kinds(gate.send(DoorContact("wicket", contact)))


def test_a_request_to_exit_just_after_the_contact_makes_it_lawful() -> None:
    gate = Gate().start()
    opens(gate)
    gate.wait(0.1)
    gate.send(Rex("wicket"))
    gate.wait(3.0)
    closes(gate)
    assert not gate.of("door.forced")


def test_a_door_pulled_as_the_bolt_comes_back_is_not_forced() -> None:
    gate = Gate().start()
    gate.card("wicket-in", STAFF)
    gate.wait(5.4)
    opens(gate)
    gate.wait(2.0)
    assert not gate.of("door.forced")


def test_held_open_and_closed_again() -> None:
    gate = Gate().start()
    gate.send(Rex("wicket"))
    opens(gate)
    assert "door.held_open" not in kinds(gate.wait(29.0))
    assert kinds(gate.wait(2.0)) == ["door.held_open"]
    closes(gate)
    assert gate.of("door.closed")[0].data["held"] is True
    assert gate.of("door.closed")[0].cause == gate.of("door.held_open")[0].ref


def test_people_streaming_in_do_not_hold_the_door_open() -> None:
    gate = Gate().start()
    gate.card("wicket-in", STAFF)
    opens(gate)
    for _ in range(5):
        gate.wait(20.0)
        gate.card("wicket-in", STAFF)
    assert not gate.of("door.held_open")


def test_a_door_found_open_at_the_start_is_not_forced_but_may_be_held() -> None:
    gate = Gate()
    gate.boot()
    opens(gate)
    gate.wait(1.0)
    assert not gate.of("door.forced")
    assert gate.of("door.opened")[0].data["found"] is True
    assert "door.held_open" in kinds(gate.wait(31.0))


def test_a_door_that_opened_while_nobody_could_see_it_was_forced() -> None:
    gate = Gate().start()
    gate.send(DoorContact("wicket", Contact.UNREAD))
    gate.wait(5.0)
    opens(gate)
    assert "door.forced" in kinds(gate.wait(1.0))


def test_a_contact_lost_and_found_closed() -> None:
    gate = Gate().start()
    gate.send(DoorContact("wicket", Contact.UNREAD))
    closes(gate)
    assert [record.data["contact"] for record in gate.of("door.contact")] == ["unread", "closed"]


def test_a_lock_that_does_not_obey_shows_at_its_door() -> None:
    gate = Gate(lane_alive=True).start()
    gate.send(OutputFault("lock:wicket", False, "reads back otherwise"))
    assert gate.state.doors["wicket"].fault == "reads back otherwise"
    assert gate.lamp("fault")
    gate.send(OutputFault("lock:wicket", True))
    assert gate.state.doors["wicket"].fault == ""
    assert not gate.lamp("fault")
    assert kinds(gate.records)[-2:] == ["output.fault", "output.ok"]


@pytest.mark.parametrize("trouble", ["lockdown", "panic", "fire", "plain"])
def test_request_to_exit_opens_always_and_at_once(trouble: str) -> None:
    gate = Gate().start()
    if trouble == "lockdown":
        gate.command("lockdown")
    elif trouble == "panic":
        gate.press()
    elif trouble == "fire":
        gate.turn("fire")
    for door in ("wicket", "gatehouse"):
        gate.send(Rex(door))
        assert gate.lock(door) == OPEN_NOW


def test_a_press_ends_entry_but_not_leaving() -> None:
    gate = Gate().start()
    gate.send(Rex("wicket"))
    gate.card("house-in", GUARD)
    gate.press()
    assert gate.lock("wicket") == OPEN_NOW
    assert gate.lock("gatehouse") == LOCKED


def test_an_entry_does_not_ride_on_a_leaving_through_a_lockdown() -> None:
    gate = Gate().start()
    gate.send(Rex("wicket"))
    gate.wait(4.0)
    gate.card("wicket-in", STAFF)
    gate.wait(0.5)
    gate.command("lockdown")
    assert gate.lock("wicket") == OPEN_NOW
    gate.wait(0.6)
    assert gate.lock("wicket") == LOCKED
    gate = Gate().start()
    gate.send(Rex("wicket"))
    gate.wait(4.0)
    gate.card("wicket-in", STAFF)
    gate.wait(2.0)
    gate.press()
    assert gate.lock("wicket") == LOCKED


def test_release_by_command_is_once_and_a_lockdown_ends_it() -> None:
    gate = Gate().start()
    assert kinds(gate.command("release", Rank.UPSTREAM, door="wicket")) == ["command.done", "door.released"]
    assert not gate.lock("wicket").on
    gate.command("lockdown")
    assert gate.lock("wicket") == LOCKED
    assert gate.command("release", Rank.UPSTREAM, door="wicket")[0].data["why"] == "lockdown"
    gate.command("release", door="wicket")
    assert not gate.lock("wicket").on
    assert gate.command("release", door="cellar")[0].data["why"] == "unknown_door"


# ── fire ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fire_releases_evacuation_doors_at_once_until_reset_by_hand() -> None:
    gate = Gate().start()
    records = gate.send(FireInput(True))
    assert records[0].kind == "fire.active" and records[0].data["by"] == "input"
    assert gate.lock("wicket") == OPEN_NOW
    assert gate.lock("gatehouse") == LOCKED
    refused = gate.turn("fire-reset")
    assert refused[0].data["why"] == "fire_input_active"
    gate.send(FireInput(False))
    gate.wait(7200.0)
    assert gate.lock("wicket") == OPEN_NOW
    assert kinds(gate.turn("fire-reset")) == ["fire.reset"]
    assert gate.lock("wicket") == LOCKED


def test_the_fire_key_releases_and_must_be_turned_back_before_the_reset() -> None:
    gate = Gate().start()
    gate.send(KeyInput("fire", True))
    assert gate.lock("wicket") == OPEN_NOW
    assert gate.turn("fire-reset")[0].data["why"] == "fire_key_on"
    gate.send(KeyInput("fire", False))
    gate.turn("fire-reset")
    assert gate.lock("wicket") == LOCKED


def test_two_fire_keys_are_one_only_when_both_are_off() -> None:
    rules = msgspec.structs.replace(RULES, keys=(*RULES.keys, KeyRules(id="fire-2", use="fire_key")))
    gate = Gate(rules).start()
    gate.send(KeyInput("fire", True))
    gate.send(KeyInput("fire-2", True))
    gate.send(KeyInput("fire", False))
    assert gate.turn("fire-reset")[0].data["why"] == "fire_key_on"
    gate.send(KeyInput("fire-2", None))
    assert gate.turn("fire-reset")[0].data["why"] == "fire_key_unread"


def test_a_fire_key_on_at_the_lane_holds_the_reset() -> None:
    gate = Gate().start()
    gate.send(FireInput(True))
    gate.send(FireInput(False))
    gate.send(reading(gate.mono_s, fire_key=True))
    assert gate.turn("fire-reset")[0].data["why"] == "fire_key_on:lane:main"


def test_only_the_key_resets_where_there_is_one() -> None:
    gate = Gate().start()
    gate.send(FireInput(True))
    gate.send(FireInput(False))
    gate.card("guard", GUARD)
    assert gate.command("fire_reset")[0].data["why"] == "use_the_key"
    assert gate.command("fire_reset", Rank.UPSTREAM)[0].data["why"] == "rank"
    assert gate.lock("wicket") == OPEN_NOW


def test_a_site_without_a_reset_key_takes_the_guards_card() -> None:
    keys = tuple(key for key in RULES.keys if key.use != "fire_reset")
    gate = Gate(msgspec.structs.replace(RULES, keys=keys)).start()
    gate.send(FireInput(True))
    gate.send(FireInput(False))
    assert gate.command("fire_reset")[0].data["why"] == "not_on_site"
    gate.card("guard", GUARD)
    assert kinds(gate.command("fire_reset")) == ["command.done", "fire.reset"]
    assert gate.lock("wicket") == LOCKED


def test_an_unread_fire_input_is_an_alarm_and_neither_fire_nor_quiet() -> None:
    gate = Gate(lane_alive=True).start()
    assert kinds(gate.send(FireInput(None))) == ["fire.unread"]
    assert gate.lock("wicket") == LOCKED and gate.lamp("fault")
    assert kinds(gate.send(FireInput(False))) == ["fire.read"]
    gate.send(reading(gate.mono_s))
    assert not gate.lamp("fault")
    gate.send(FireInput(True))
    gate.send(FireInput(None))
    assert gate.turn("fire-reset")[0].data["why"] == "fire_input_unread"


def test_a_fire_input_unread_in_the_first_scan_is_an_alarm() -> None:
    gate = Gate()
    gate.boot()
    assert "fire.unread" in kinds(gate.send(ScanComplete()))


def test_doors_open_in_a_fire_are_not_forced_and_have_time_after_the_reset() -> None:
    gate = Gate().start()
    gate.turn("fire")
    opens(gate)
    gate.wait(600.0)
    assert not gate.of("door.forced") and not gate.of("door.held_open")
    gate.turn("fire-reset")
    assert "door.held_open" not in kinds(gate.wait(29.0))
    assert "door.held_open" in kinds(gate.wait(2.0))


def test_a_responder_enters_in_a_lockdown() -> None:
    gate = Gate().start()
    gate.press()
    gate.card("wicket-in", RESPONDER)
    assert not gate.lock("wicket").on
