"""Cards: every refusal has its reason, leaving is free, guessing is punished, and a guard is a guard on site."""

from __future__ import annotations

import pytest
from people_scenes import (
    BANNED,
    EXPIRED,
    FUTURE,
    GUARD,
    PUPIL,
    RESPONDER,
    STAFF,
    UNKNOWN,
    Gate,
    kinds,
)

from agent.core.events import CardBad
from agent.core.outputs import Level
from agent.core.words import ClockTrust, Rank


@pytest.mark.parametrize(
    ("card", "reader", "why"),
    [
        (UNKNOWN, "wicket-in", "unknown"),
        (EXPIRED, "wicket-in", "expired"),
        (FUTURE, "wicket-in", "not_yet_valid"),
        (PUPIL, "house-in", "wrong_door"),
        (PUPIL, "lane-in", "wrong_lane"),
        (BANNED, "wicket-in", "banned"),
        (STAFF, "guard", "not_a_guard"),
        (STAFF, "nowhere", "no_reader"),
        (PUPIL, "house-out", "wrong_door"),
    ],
)
def test_every_refusal_has_its_reason(card: str, reader: str, why: str) -> None:
    gate = Gate().start()
    records = gate.card(reader, card)
    assert kinds(records) == ["access.denied"]
    assert records[0].data["why"] == why
    assert gate.lock("wicket").on and gate.lock("gatehouse").on


def test_a_known_card_is_told_by_its_handle_and_an_unknown_one_by_its_end() -> None:
    gate = Gate().start()
    known = gate.card("wicket-in", PUPIL)[0]
    assert known.data == {"direction": "in", "group": "pupil", "holder": "pupil-1", "reader": "wicket-in"}
    unknown = gate.card("wicket-in", UNKNOWN)[0]
    assert unknown.data["card_ends"] == "0009" and unknown.data["holder"] == ""


@pytest.mark.parametrize(
    ("card", "policy"), [(STAFF, None), (UNKNOWN, "unknown"), (EXPIRED, "expired"), (BANNED, None)]
)
def test_leaving_by_an_evacuation_door_is_never_refused(card: str, policy: str | None) -> None:
    gate = Gate().start()
    records = gate.card("wicket-out", card)
    assert kinds(records) == ["access.granted"]
    assert records[0].data.get("policy") == policy
    assert gate.lock("wicket") == Level(on=False, after=0)


def test_leaving_works_in_a_lockdown_with_a_bad_clock_and_after_wrong_tries() -> None:
    gate = Gate().start()
    gate.press()
    gate.trust = ClockTrust.UNTRUSTED
    for _ in range(7):
        assert "access.granted" in kinds(gate.card("wicket-out", UNKNOWN))
        assert gate.lock("wicket") == Level(on=False, after=0)
        gate.wait(10.0)
    assert len(gate.of("access.wrong_tries")) == 1
    assert gate.of("access.wrong_tries")[0].data["lockout_s"] == 0


def test_lockdown_lets_in_responders_only() -> None:
    gate = Gate().start()
    gate.press()
    for card in (STAFF, GUARD, PUPIL):
        assert gate.card("wicket-in", card)[0].data["why"] == "lockdown"
    assert kinds(gate.card("wicket-in", RESPONDER)) == ["access.granted"]


def test_an_untrusted_clock_is_the_closed_plan() -> None:
    gate = Gate().start()
    gate.trust = ClockTrust.UNTRUSTED
    assert gate.card("wicket-in", PUPIL)[0].data["why"] == "clock_untrusted"
    for card in (STAFF, GUARD, RESPONDER):
        assert kinds(gate.card("wicket-in", card)) == ["access.granted"]
    assert kinds(gate.card("wicket-out", PUPIL)) == ["access.granted"]
    assert "policy" not in gate.records[-1].data
    gate.trust = ClockTrust.HOLDOVER
    assert kinds(gate.card("wicket-in", PUPIL)) == ["access.granted"]


def test_five_wrong_tries_in_five_minutes_alarm_and_shut_the_reader_for_a_minute() -> None:
    gate = Gate().start()
    for _ in range(4):
        gate.wait(60.0)
        assert kinds(gate.card("wicket-in", UNKNOWN)) == ["access.denied"]
    gate.wait(50.0)
    assert kinds(gate.card("wicket-in", UNKNOWN)) == ["access.denied", "access.wrong_tries"]
    assert gate.card("wicket-in", STAFF)[0].data["why"] == "locked_out"
    assert kinds(gate.card("wicket-in", RESPONDER)) == ["access.granted"]
    assert kinds(gate.card("house-in", GUARD)) == ["access.granted"]
    gate.wait(59.0)
    assert gate.card("wicket-in", STAFF)[0].data["why"] == "locked_out"
    gate.wait(2.0)
    assert kinds(gate.card("wicket-in", STAFF)) == ["access.granted"]


def test_wrong_tries_at_a_way_out_alarm_and_keep_nobody_in() -> None:
    """At a turnstile as well: somebody's five tries must not hold a whole school's staff for a minute."""
    gate = Gate().start()
    for _ in range(5):
        gate.card("house-out", UNKNOWN)
    (told,) = gate.of("access.wrong_tries")
    assert told.data["lockout_s"] == 0
    assert gate.card("house-out", UNKNOWN)[0].data["why"] == "unknown"
    assert kinds(gate.card("house-out", GUARD)) == ["access.granted"]


def test_wrong_tries_far_apart_are_no_alarm() -> None:
    gate = Gate().start()
    for _ in range(12):
        gate.wait(80.0)
        gate.card("wicket-in", UNKNOWN)
    assert not gate.of("access.wrong_tries")


def test_a_refusal_by_the_gate_itself_is_no_wrong_try() -> None:
    gate = Gate().start()
    gate.command("lockdown")
    for _ in range(10):
        gate.card("wicket-in", STAFF)
    assert not gate.of("access.wrong_tries")


def test_presence_lasts_ten_seconds_and_opens_nothing() -> None:
    gate = Gate().start()
    assert kinds(gate.card("guard", GUARD)) == ["access.presence"]
    assert gate.lock("wicket").on and gate.lock("gatehouse").on
    assert gate.state.access.guard == "guard-1"


def test_a_lane_reader_asks_the_lane_down_and_never_up() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(1.0)
    records = gate.card("lane-in", STAFF)
    assert kinds(records)[0] == "access.granted"
    assert records[1].cause == records[0].ref
    lane = gate.state.lanes["main"]
    assert lane.request is None or lane.request.rank is Rank.CONSOLE
    assert all(motion.motion.value == "lower" for motion in gate.outputs.motions)


def test_a_lane_reader_gives_way_to_a_lockdown() -> None:
    gate = Gate(lane_alive=True).start()
    gate.command("lockdown")
    assert gate.card("lane-in", STAFF)[0].data["why"] == "lockdown"
    assert kinds(gate.card("lane-in", RESPONDER))[0] == "access.granted"


def test_a_garbled_frame_decides_nothing() -> None:
    gate = Gate().start()
    records = gate.send(CardBad("wicket-in", "check digits"))
    assert kinds(records) == ["reader.bad_frame"]
    assert gate.lock("wicket").on
