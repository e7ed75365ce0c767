"""Guards on duty: who stands where, an empty post, an answer that does not come, patrols, tests and hazards."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from campus_scenes import POLICY, THIRD, WATCH, go, refused, restarted, school
from msgspec.structs import replace
from people_scenes import GUARD, Gate, kinds
from test_core_random import play

from agent.core import duty, duty_days, people_latched
from agent.core.events import ClockChanged
from agent.core.policy import Post, Rules
from agent.core.records import Record
from agent.core.words import ClockTrust, Line

DAY = 86_400
HAZARD = "h-7f3a0c1d2e9k"


def of(records: list[Record], kind: str) -> list[dict[str, object]]:
    return [dict(record.data) for record in records if record.kind == kind]


def test_a_card_begins_a_watch_and_the_next_guards_card_ends_it() -> None:
    gate = school(23, 30)
    first = gate.card("guard", WATCH)
    assert of(list(first), "duty.on") == [{"guard": "guard-w", "post": "house", "relieves": "", "rostered": "yes"}]
    gate.wait(3600)
    gate.card("guard", GUARD)
    second = gate.command("duty_check_in", post="house")
    assert of(list(second), "duty.on") == [
        {"guard": "guard-1", "post": "house", "relieves": "guard-w", "rostered": "no"}
    ]
    assert of(list(second), "duty.off") == [{"guard": "guard-w", "minutes": 60, "post": "house"}]
    assert gate.state.duty.on["house"].guard == "guard-1"


def test_a_colleagues_card_proves_presence_and_relieves_nobody() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    for other in (GUARD, THIRD):
        assert kinds(gate.card("guard", other)) == ["access.presence"]
        assert {post: watch.guard for post, watch in gate.state.duty.on.items()} == {"house": "guard-w"}
    assert kinds(gate.command("duty_check_out", post="house")) == ["command.done", "duty.off"]  # he was on site


def test_the_roster_lets_a_card_take_over_and_the_relieved_gets_his_minutes() -> None:
    gate = school(22, 30)
    gate.card("guard", GUARD)
    go(gate, 23, 1)
    records = gate.card("guard", WATCH)
    assert of(list(records), "duty.off") == [{"guard": "guard-1", "minutes": 31, "post": "house"}]
    assert of(list(records), "duty.on")[0]["rostered"] == "yes"


def test_who_goes_to_another_post_leaves_the_first_with_a_record() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.wait(600)
    gate.card("guard", WATCH)
    records = gate.command("duty_check_in", post="kerb")
    assert of(list(records), "duty.off") == [{"guard": "guard-w", "minutes": 10, "post": "house"}]
    assert set(gate.state.duty.on) == {"kerb"} and "house" in gate.state.duty.vacant


def test_by_a_bad_clock_the_roster_says_nothing_and_only_empty_posts_are_taken() -> None:
    gate = school(23, 30)
    gate.trust = ClockTrust.UNTRUSTED
    gate.send(ClockChanged(ClockTrust.UNTRUSTED, 0, "lost"))
    first = gate.card("guard", GUARD)
    assert of(list(first), "duty.on") == [{"guard": "guard-1", "post": "house", "relieves": "", "rostered": "unknown"}]
    gate.card("guard", WATCH)
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
    assert {"minutes": 60, "post": "kerb", "why": "not_needed"} in of(go(gate, 8, 1), "duty.manned")  # nobody came
    manned = school(6, 59)
    manned.card("guard", WATCH)
    manned.wait(120)
    assert of(list(manned.card("guard", GUARD)), "duty.on")[0]["post"] == "kerb"
    assert not of(go(manned, 7, 30), "duty.unmanned")


def test_restarts_do_not_hide_an_empty_post_and_what_was_told_is_not_told_again() -> None:
    gate = school(10)
    told = []
    for _ in range(6):
        told += of(gate.wait(540), "duty.unmanned")
        gate = restarted(gate)
        told += of(gate.records, "duty.unmanned")
    assert told == [{"peak": False, "post": "house"}]
    back = of(list(gate.card("guard", WATCH)), "duty.manned")
    assert back == [{"minutes": 54, "post": "house"}]


def test_the_watch_at_a_peak_post_ends_with_the_peak_also_through_a_restart() -> None:
    gate = school(6, 59)
    gate.card("guard", WATCH)
    gate.wait(120)
    gate.card("guard", GUARD)
    again = restarted(gate)
    ended = of(go(again, 8, 1), "duty.off")
    assert ended == [{"guard": "guard-1", "minutes": 59, "post": "kerb"}]
    assert set(again.state.duty.on) == {"house"}
    assert {"peak": True, "post": "kerb"} in of(go(again, 7, 5, date(2026, 9, 22)), "duty.unmanned")


def test_a_post_of_day_and_peak_is_told_within_three_minutes_of_a_peak() -> None:
    posts = {"house": Post(id="house", reader="guard", always=True, peak=True)}
    gate = school(6, 58, policy=replace(POLICY, posts=posts))
    assert not of(go(gate, 7, 2), "duty.unmanned")
    assert of(go(gate, 7, 4), "duty.unmanned") == [{"peak": True, "post": "house"}]
    in_peak = school(7, 30, policy=replace(POLICY, posts=posts))
    assert of(in_peak.wait(181), "duty.unmanned") == [{"peak": True, "post": "house"}]


def test_a_question_that_waits_for_its_answer_survives_a_restart() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.wait(3610)
    again = restarted(gate)
    told = again.wait(duty.ANSWER_S)
    assert (of(told, "duty.asked"), len(of(told, "duty.unanswered"))) == ([], 1)
    once_more = restarted(again)
    assert not of(once_more.wait(7200), "duty.unanswered")


def test_restarts_do_not_put_off_the_question() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.wait(3000)
    assert of(restarted(gate).wait(600), "duty.asked")


def test_only_the_guard_on_post_confirms_and_only_on_site() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.wait(3601)
    assert refused(gate.command("duty_confirm", post="house")) == "not_on_site"
    gate.card("guard", GUARD)
    assert refused(gate.command("duty_confirm", post="house")) == "other_guard"
    assert gate.state.duty.on["house"].asked is not None
    gate.card("guard", WATCH)
    assert kinds(gate.command("duty_confirm", post="house")) == ["command.done"]


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
    ended = gate.command("duty_check_out", post="house")
    assert kinds(ended) == ["command.done", "duty.off"]
    assert [r.actor for r in ended if r.kind == "duty.off"] == ["guard-w"]
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


def test_a_box_that_was_off_at_midnight_tells_the_patrols_of_the_day_before() -> None:
    gate = school(23, 30)
    gate.card("guard", WATCH)
    gate.wall_ms += 3_600_000
    again = restarted(gate)
    assert of(again.records, "duty.patrols_short") == [{"count": 1, "required": 5}]


def test_patrols_that_fall_behind_are_told_while_there_is_time_and_once() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    behind = of(go(gate, 18, 30), "duty.patrols_behind")
    assert behind == [{"count": 1, "required": 5}]
    again = restarted(gate)
    assert of(again.wait(3600), "duty.patrols_behind") == []
    for _ in range(4):
        again.card("guard", WATCH)
        again.wait(601)
    assert not of(go(again, 23, 59), "duty.patrols_behind")
    assert of(go(again, 0, 5, date(2026, 9, 22)), "duty.patrols") == [{"count": 5, "required": 5}]


def test_that_patrols_fall_behind_stands_until_somebody_has_made_up_for_it() -> None:
    gate = school(17)
    gate.wait(3700)
    for walked in range(4):
        assert duty_days.are_patrols_behind(gate.state, POLICY, gate.now), walked
        gate.card("guard", WATCH)
        gate = restarted(gate)
        gate.wait(601)
    assert not duty_days.are_patrols_behind(gate.state, POLICY, gate.now)


def test_a_new_box_does_not_blame_anybody_for_the_hours_before_it() -> None:
    gate = school(19)
    assert not of(gate.wait(3600), "duty.patrols_behind")
    assert not duty_days.are_patrols_behind(gate.state, POLICY, gate.now)
    assert of(go(gate, 21, 1), "duty.patrols_behind") == [{"count": 0, "required": 5}]


def test_patrols_belong_to_a_day_of_a_trusted_clock_only() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.wait(700)
    gate.trust = ClockTrust.UNTRUSTED
    gate.send(ClockChanged(ClockTrust.UNTRUSTED, 0, "lost"))
    gate.wall_ms += 3 * DAY * 1000
    assert of(list(gate.card("guard", WATCH)), "duty.patrol")[0]["count"] == 2
    gate.wall_ms -= 3 * DAY * 1000
    gate.trust = ClockTrust.TRUSTED
    gate.send(ClockChanged(ClockTrust.TRUSTED, 0, "ntp"))
    gate.wait(700)
    assert of(list(gate.card("guard", WATCH)), "duty.patrol")[0]["count"] == 3


def test_a_panic_test_is_told_when_due_and_when_overdue_by_the_schools_own_days() -> None:
    gate = school(10, panic_test_due_days=10, panic_test_days=12)
    gate.wait(60)
    assert not of(gate.wait(10 * DAY - 3600), "duty.test_due")
    assert of(gate.wait(7200), "duty.test_due") == [{"days": 10}]
    again = restarted(gate, policy=replace(POLICY, rules=Rules(panic_test_due_days=10, panic_test_days=12)))
    told = again.wait(5 * DAY)
    assert of(told, "duty.test_overdue") == [{"days": 12}] and not of(told, "duty.test_due")


def test_a_panic_test_is_overdue_after_35_days_and_a_drill_press_is_one() -> None:
    gate = school(10)
    assert not of(gate.wait(34 * DAY), "duty.test_overdue")
    assert of(gate.wait(3 * DAY), "duty.test_overdue")
    gate.drill()
    gate.line("gatehouse", Line.PRESSED)
    gate.wait(0.3)
    gate.line("gatehouse", Line.NORMAL)
    assert not of(gate.wait(30 * DAY), "duty.test_overdue")


def test_a_watch_and_the_ledger_survive_a_restart() -> None:
    gate = school(10)
    gate.card("guard", WATCH)
    gate.command("hazard_open", hazard=HAZARD, what="bollard", owner="staff-t", due="7")
    again = restarted(gate)
    assert again.state.duty.on["house"].guard == "guard-w" and HAZARD in again.state.duty.hazards
    assert not of(again.wait(duty.GRACE_S + 5), "duty.unmanned")
    closed = again.command("hazard_close", hazard=HAZARD)
    assert of(list(closed), "hazard.closed") == [{"days": 0, "hazard": HAZARD, "late": False, "what": "bollard"}]


def test_a_hazard_past_its_day_is_told_once_by_a_clock_that_can_be_trusted() -> None:
    gate = Gate().start()
    gate.command("hazard_open", hazard=HAZARD, what="fence", owner="p-7f3a0c1d2e9k", due="2")
    assert not of(gate.wait(2 * DAY - 10), "hazard.overdue")
    assert of(gate.wait(3700), "hazard.overdue") == [{"hazard": HAZARD, "what": "fence"}]
    assert not of(gate.wait(5 * DAY), "hazard.overdue")
    assert not of(restarted(gate).wait(DAY), "hazard.overdue")
    lost = Gate().start()
    lost.command("hazard_open", hazard=HAZARD, what="fence", owner="p-7f3a0c1d2e9k", due="2")
    lost.trust = ClockTrust.UNTRUSTED
    assert not of(lost.wait(5 * DAY), "hazard.overdue")


def test_whatever_was_played_a_restart_brings_the_book_back_as_it_was() -> None:
    for seed in range(12):
        gate = play(seed, 250)
        latched = {"visits": people_latched.open_visits(gate.state), "duty": people_latched.duty(gate.state)}
        told = msgspec.convert(latched["visits"], tuple[people_latched.VisitPicture, ...])
        part = msgspec.convert(latched["duty"], people_latched.DutyPicture)
        again = people_latched.restore(Gate().state, told, part, gate.now)
        assert people_latched.open_visits(again) == latched["visits"], seed
        assert people_latched.duty(again) == latched["duty"], seed


@pytest.mark.parametrize(("pupils", "guards"), [(300, 0), (999, 0), (1000, 3), (1499, 3), (1500, 4), (2600, 6)])
def test_the_standard_asks_for_guards_by_the_number_of_pupils(pupils: int, guards: int) -> None:
    assert duty_days.guards_wanted(pupils) == guards


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
    good = {"hazard": HAZARD, "what": "lock", "owner": "staff-t", "due": "7"}
    gate = school(10)
    records = gate.ask("hazard_open", good | args)
    assert refused(records) == why
    assert "王" not in str(records) and "隐患" not in str(records)


def test_a_note_for_the_next_watch_is_a_handle() -> None:
    gate = school(10)
    assert kinds(gate.command("hand_over", post="house", note="n-7f3a0c1d2e9k")) == ["command.done", "duty.hand_over"]
    assert refused(gate.command("hand_over", post="house", note="call Mr Wang")) == "note"


def test_without_a_policy_nobody_is_on_duty_and_nothing_is_missed() -> None:
    gate = Gate().start()
    gate.card("guard", GUARD)
    assert not [record for record in gate.wait(DAY) if record.kind.startswith("duty.")]
