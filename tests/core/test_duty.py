"""Guards on duty: who stands where, an empty post, an answer that does not come, patrols, tests and hazards."""

from __future__ import annotations

from datetime import date

import pytest
from campus_scenes import WATCH, go, refused, restarted, school
from people_scenes import GUARD, Gate, kinds

from agent.core import duty
from agent.core.records import Record
from agent.core.words import Line

DAY = 86_400


def of(records: list[Record], kind: str) -> list[dict[str, object]]:
    return [dict(record.data) for record in records if record.kind == kind]


def test_a_card_begins_a_watch_and_the_next_guards_card_ends_it() -> None:
    gate = school(23, 30)
    first = gate.card("guard", WATCH)
    assert of(list(first), "duty.on") == [{"guard": "guard-w", "post": "house", "relieves": "", "rostered": True}]
    gate.wait(3600)
    second = gate.card("guard", GUARD)
    assert of(list(second), "duty.on") == [
        {"guard": "guard-1", "post": "house", "relieves": "guard-w", "rostered": False}
    ]
    assert gate.state.duty.on["house"].guard == "guard-1"


def test_a_roster_runs_over_midnight() -> None:
    gate = school(2, 0)
    assert duty.rostered_now(gate.state, "house", gate.now) == {"guard-w"}
    late = school(12, 0)
    assert duty.rostered_now(late.state, "house", late.now) == frozenset()


def test_an_empty_post_is_told_after_ten_minutes_and_its_end_with_the_minutes() -> None:
    gate = school(10)
    assert not of(gate.wait(duty.GRACE_S - 1), "duty.unmanned")
    assert of(gate.wait(2), "duty.unmanned") == [{"peak": False, "post": "house"}]
    assert not of(gate.wait(3600), "duty.unmanned")
    assert of(list(gate.card("guard", WATCH)), "duty.manned") == [{"minutes": 70, "post": "house"}]


def test_the_peak_post_must_be_manned_while_the_peak_lasts_only() -> None:
    gate = school(6, 30)
    gate.card("guard", WATCH)  # at the house
    records = go(gate, 7, 2)
    assert not of(records, "duty.unmanned")
    assert of(go(gate, 7, 5), "duty.unmanned") == [{"peak": True, "post": "kerb"}]
    assert {"minutes": 60, "post": "kerb"} in of(go(gate, 8, 1), "duty.manned")
    manned = school(6, 59)
    manned.card("guard", WATCH)
    manned.wait(120)
    assert of(list(manned.card("guard", GUARD)), "duty.on")[0]["post"] == "kerb"
    assert not of(go(manned, 7, 30), "duty.unmanned")


def test_a_guard_is_asked_and_an_answer_that_does_not_come_is_an_alarm_once() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    records = gate.wait(3600 + duty.ANSWER_S + 1)
    assert (len(of(records, "duty.asked")), len(of(records, "duty.unanswered"))) == (1, 1)
    assert not of(gate.wait(3600), "duty.unanswered")
    answered = school(10)
    answered.card("guard", WATCH)
    answered.wait(3601)
    assert "duty.confirmed" in kinds(answered.card("guard", WATCH))
    assert not of(answered.wait(3500), "duty.unanswered")


def test_checking_in_and_out_by_command_needs_the_guards_card() -> None:
    gate = school(10)
    assert refused(gate.command("duty_check_in", post="house")) == "not_on_site"
    gate.card("guard", WATCH)
    assert kinds(gate.command("duty_check_out", post="house")) == ["command.done", "duty.off"]
    assert kinds(gate.command("duty_check_in", post="kerb")) == ["command.done", "duty.on"]
    assert refused(gate.command("duty_confirm", post="house")) == "nobody_on_post"
    assert refused(gate.command("duty_check_in", post="nowhere")) == "unknown_post"


def test_patrols_count_once_in_ten_minutes_and_a_short_day_is_told() -> None:
    gate = school(10)
    for _ in range(3):
        gate.card("guard", WATCH)
        gate.wait(60)
    assert gate.state.duty.patrols == 1
    gate.wait(600)
    gate.card("guard", WATCH)
    short = go(gate, 0, 5, date(2026, 9, 22))
    assert of(short, "duty.patrols_short") == [{"count": 2, "required": 5}]
    for _ in range(5):
        gate.card("guard", WATCH)
        gate.wait(601)
    assert of(go(gate, 0, 5, date(2026, 9, 23)), "duty.patrols") == [{"count": 5, "required": 5}]


def test_a_panic_test_is_overdue_after_35_days_and_a_drill_press_is_one() -> None:
    gate = school(10)
    assert not of(gate.wait(34 * DAY), "duty.test_overdue")
    assert of(gate.wait(3 * DAY), "duty.test_overdue")
    gate.card("guard", GUARD)
    gate.command("drill_start", button="gatehouse", minutes="5")
    gate.line("gatehouse", Line.PRESSED)
    gate.wait(0.3)
    gate.line("gatehouse", Line.NORMAL)
    assert not of(gate.wait(30 * DAY), "duty.test_overdue")


def test_a_watch_and_the_ledger_survive_a_restart() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.command("hazard_open", hazard="h1", what="bollard", owner="staff-t", due="7")
    again = restarted(gate)
    assert again.state.duty.on["house"].guard == "guard-w" and "h1" in again.state.duty.hazards
    assert not of(again.wait(duty.GRACE_S + 5), "duty.unmanned")
    closed = again.command("hazard_close", hazard="h1")
    assert of(list(closed), "hazard.closed") == [{"days": 0, "hazard": "h1", "late": False, "what": "bollard"}]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"hazard": "一号隐患"}, "hazard"),
        ({"what": "ghost"}, "what"),
        ({"owner": "王 师傅"}, "owner"),
        ({"due": "0"}, "due:1-365"),
        ({"due": "soon"}, "due:1-365"),
    ],
)
def test_a_hazard_is_codes_and_handles(args: dict[str, str], why: str) -> None:
    good = {"hazard": "h1", "what": "lock", "owner": "staff-t", "due": "7"}
    gate = school(10)
    records = gate.ask("hazard_open", good | args)
    assert refused(records) == why
    assert "王" not in str(records) and "隐患" not in str(records)


def test_a_note_for_the_next_watch_is_a_handle() -> None:
    gate = school(10)
    assert kinds(gate.command("hand_over", post="house", note="n-81")) == ["command.done", "duty.hand_over"]
    assert refused(gate.command("hand_over", post="house", note="call Mr Wang")) == "note"


def test_without_a_policy_nobody_is_on_duty_and_nothing_is_missed() -> None:
    gate = Gate().start()
    gate.card("guard", GUARD)
    assert not [record for record in gate.wait(DAY) if record.kind.startswith("duty.")]
