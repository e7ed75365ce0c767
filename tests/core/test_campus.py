"""The closed campus: who passes when, by window, slip, guardian, pass and the school's own rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from campus_scenes import (
    ANNA,
    BEN,
    BUS,
    CARL,
    FORCED,
    HELPER,
    LOST,
    MONDAY,
    MOTHER,
    POLICY,
    TEACHER,
    WATCH,
    at,
    go,
    reason,
    refused,
    restarted,
    school,
)
from msgspec.structs import replace
from people_scenes import STAFF, kinds

from agent.core import calendar
from agent.core.calendar import Because, Shift
from agent.core.events import CardRead, ClockChanged, PolicyChanged
from agent.core.policy import Credential
from agent.core.words import ClockTrust, Motion, Rank

# ── the calendar ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("day", "plan", "because"),
    [
        (date(2026, 9, 21), "week", Because.WEEKDAY),
        (date(2026, 9, 26), "closed", Because.WEEKDAY),
        (date(2026, 9, 25), "closed", Because.SPECIAL),
        (date(2026, 9, 20), "week", Because.SPECIAL),  # a Sunday that is a workday (调休)
        (date(2027, 1, 25), "closed", Because.VACATION),
        (date(2027, 2, 1), "week", Because.UNSETTLED),
        (date(2020, 2, 29), "closed", Because.UNSETTLED),
    ],
)
def test_each_day_has_a_plan_and_a_reason(day: date, plan: str, because: Because) -> None:
    found = calendar.day_of(POLICY, day)
    assert (found.plan.id, found.because) == (plan, because)
    assert found.source


def test_a_swap_wins_over_everything_and_an_unknown_plan_over_nothing() -> None:
    assert calendar.day_of(POLICY, date(2026, 9, 25), "exam").because is Because.SWAPPED
    assert calendar.day_of(POLICY, date(2026, 9, 25), "no-such-plan").because is Because.SPECIAL


@pytest.mark.parametrize(
    ("day", "missing"),
    [(date(2026, 11, 30), False), (date(2026, 12, 1), False), (date(2027, 2, 1), True), (date(2026, 8, 31), True)],
)
def test_a_calendar_that_ends_is_missed(day: date, missing: bool) -> None:
    assert calendar.is_missing(POLICY.calendar, day) is missing


def test_next_year_is_missed_from_december_on() -> None:
    short = replace(POLICY.calendar, last=date(2026, 12, 31))
    assert not calendar.is_missing(short, date(2026, 11, 30))
    assert calendar.is_missing(short, date(2026, 12, 1))


def test_a_shift_moves_the_rest_of_the_day_and_not_the_past() -> None:
    shifted = calendar.spans(POLICY.plans["week"], (Shift(690, 30),))
    assert [(span.start, span.end) for span in shifted] == [
        (420, 480), (480, 730), (730, 750), (750, 770), (1230, 1440),
    ]  # fmt: skip
    earlier = calendar.spans(POLICY.plans["week"], (Shift(690, -30),))
    assert [(span.start, span.end) for span in earlier] == [
        (420, 480), (480, 690), (690, 710), (690, 710), (1170, 1410),
    ]  # fmt: skip
    at_once = calendar.spans(POLICY.plans["week"], (Shift(690, -240),))
    assert [(span.start, span.end) for span in at_once][2:4] == [(690, 710), (690, 710)]  # no dismissal is lost


def test_local_time_is_eight_hours_ahead() -> None:
    assert calendar.local(at(0), 480) == (MONDAY, 0)
    assert calendar.local(at(0) - 1, 480) == (date(2026, 9, 20), 1439)
    assert calendar.local(calendar.utc_ms(MONDAY, 61, 480), 480) == (MONDAY, 61)


# ── windows ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_in_class_hours_a_pupil_stays_and_at_dismissal_the_own_grade_goes() -> None:
    gate = school(9)
    assert reason(gate.card("house-out", BEN)) == "class_hours"
    assert reason(gate.card("house-out", CARL)) == "class_hours"
    go(gate, 11, 41)
    assert reason(gate.card("house-out", BEN)) == ""
    assert reason(gate.card("house-out", CARL)) == "outside_hours"
    go(gate, 12, 1)
    assert reason(gate.card("house-out", CARL)) == ""


def test_an_evacuation_way_opens_all_the_same_and_it_is_an_alarm() -> None:
    gate = school(10)
    records = gate.card("wicket-out", CARL)
    assert reason(records) == "class_hours"
    assert not gate.lock("wicket").on
    assert [r.data["why"] for r in records if r.kind == "access.unauthorised_exit"] == ["class_hours"]


def test_pupils_come_in_at_arrival_only_and_staff_always() -> None:
    gate = school(7, 30)
    assert reason(gate.card("wicket-in", ANNA)) == ""
    go(gate, 8, 30)
    assert reason(gate.card("wicket-in", BEN)) == "outside_hours"  # who comes late is not told to stay
    assert reason(gate.card("wicket-in", TEACHER)) == ""
    go(gate, 15)
    assert reason(gate.card("wicket-in", BEN)) == "outside_hours"
    assert reason(gate.card("wicket-in", TEACHER)) == ""


def test_a_closed_door_lets_in_guards_and_staff_only() -> None:
    gate = school(21)
    assert reason(gate.card("wicket-in", MOTHER)) == "door_closed"
    assert reason(gate.card("wicket-in", TEACHER)) == ""
    assert reason(gate.card("wicket-in", WATCH)) == ""


def test_nobody_but_pupils_is_kept_in() -> None:
    gate = school(10)
    for card in (MOTHER, TEACHER, WATCH, FORCED, LOST):
        assert reason(gate.card("house-out", card)) == ""
        gate.wait(20)


def test_cards_of_the_site_file_go_on_to_work() -> None:
    gate = school(10)
    assert reason(gate.card("wicket-in", STAFF)) == ""


def test_a_card_past_its_time_and_a_lost_one_open_nothing() -> None:
    gate = school(8, 59)
    assert reason(gate.card("wicket-in", HELPER)) == ""
    go(gate, 9)
    assert reason(gate.card("wicket-in", HELPER)) == "expired"
    assert reason(gate.card("wicket-in", LOST)) == "banned"


def test_a_bus_has_its_own_times_and_asks_the_lane_down() -> None:
    gate = school(7)
    gate.lane_alive = True
    gate.wait(1)
    assert "lane.asked" in kinds(gate.card("lane-in", BUS)) or "lane.refused" in kinds(gate.records)
    go(gate, 7, 50)
    assert reason(gate.card("lane-in", BUS)) == "pass_not_now"
    other = replace(POLICY.passes["bus-1"], lanes=("service",))
    gate = school(7, policy=replace(POLICY, passes={"bus-1": other}))
    assert reason(gate.card("lane-in", BUS)) == "wrong_lane"  # the group may use it, this bus may not


# ── what a person changes ──────────────────────────────────────────────────────────────────────────────────────────


def test_one_action_moves_the_rest_of_today_and_ends_with_it() -> None:
    gate = school(11)
    assert kinds(gate.command("shift_day", minutes="30", reason="weather"))[:2] == ["command.done", "day.plan"]
    go(gate, 11, 45)
    assert reason(gate.card("house-out", BEN)) == "class_hours"
    go(gate, 12, 15)
    assert reason(gate.card("house-out", BEN)) == ""
    go(gate, 13, 45)
    assert reason(gate.card("house-out", BEN)) == "guardian_missing"  # the pick-up time has moved with the rest
    go(gate, 11, 45, date(2026, 9, 22))
    assert reason(gate.card("house-out", BEN)) == ""
    assert gate.state.campus.shifts == ()


def test_a_changed_day_survives_a_restart() -> None:
    gate = school(11)
    gate.command("swap_day", plan="exam", reason="exam")
    again = restarted(gate)
    assert (again.state.campus.plan, again.state.campus.changed_by) == ("exam", "desk")
    assert kinds(again.command("restore_day", reason="other"))[:2] == ["command.done", "day.plan"]
    assert again.state.campus.plan == "week"


@pytest.mark.parametrize(
    ("verb", "args", "why"),
    [
        ("shift_day", {"minutes": "0", "reason": "weather"}, "minutes:1-240"),
        ("shift_day", {"minutes": "9999", "reason": "weather"}, "minutes:1-240"),
        ("shift_day", {"minutes": "ten", "reason": "weather"}, "minutes:1-240"),
        ("shift_day", {"minutes": "10", "reason": "王老师说的"}, "reason"),
        ("swap_day", {"plan": "nope", "reason": "exam"}, "unknown_plan"),
        ("restore_day", {}, "not_changed"),
        ("let_out", {"door": "nope", "holder": "pupil-a", "reason": "illness"}, "unknown_door"),
        ("let_out", {"door": "wicket", "holder": "小明", "reason": "illness"}, "holder"),
        ("let_out", {"door": "wicket", "holder": "pupil-a", "reason": "because"}, "reason"),
        ("card_ban", {"reason": "lost"}, "holder"),
        ("card_unban", {"card": "x"}, "card"),
        ("card_unban", {"card": TEACHER}, "not_banned"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_word(verb: str, args: dict[str, str], why: str) -> None:
    assert refused(school(10).ask(verb, args)) == why


def test_the_guard_lets_one_person_out_with_a_reason() -> None:
    gate = school(10)
    records = gate.command("let_out", door="gatehouse", holder="pupil-c", reason="illness")
    assert kinds(records) == ["command.done", "access.let_out"]
    assert not gate.lock("gatehouse").on
    upstream = gate.command("let_out", Rank.UPSTREAM, door="gatehouse", holder="p", reason="illness")
    assert kinds(upstream) == ["command.refused"]


def test_a_lost_card_is_banned_at_the_gate_and_stays_so() -> None:
    gate = school(10)
    gate.command("card_ban", card=TEACHER, reason="lost")
    assert reason(gate.card("wicket-in", TEACHER)) == "banned"
    assert reason(gate.card("house-out", TEACHER)) == ""
    again = restarted(gate)
    assert reason(again.card("wicket-in", TEACHER)) == "banned"
    again.command("card_unban", card=TEACHER)
    assert reason(again.card("wicket-in", TEACHER)) == ""


# ── the school's own rules of entry ────────────────────────────────────────────────────────────────────────────────


def test_hard_passback_refuses_the_second_entry_and_never_an_exit() -> None:
    gate = school(7, 30, passback="hard")
    assert reason(gate.card("wicket-in", ANNA)) == ""
    assert reason(gate.card("wicket-in", ANNA)) == "passback"
    go(gate, 11, 45)
    assert reason(gate.card("wicket-out", ANNA)) == ""
    assert reason(gate.card("wicket-out", ANNA)) == ""
    go(gate, 7, 30, date(2026, 9, 22))
    assert reason(gate.card("wicket-in", ANNA)) == ""


def test_passback_is_forgiven_at_the_start_of_a_day() -> None:
    gate = school(7, 30, passback="hard")
    gate.card("wicket-in", ANNA)
    go(gate, 7, 30, date(2026, 9, 22))
    assert reason(gate.card("wicket-in", ANNA)) == ""


def test_timed_passback_ends_and_soft_is_only_written_down() -> None:
    gate = school(7, 10, passback="timed", passback_min=10)
    gate.card("wicket-in", ANNA)
    gate.wait(500)
    assert reason(gate.card("wicket-in", ANNA)) == "passback"
    gate.wait(101)
    assert reason(gate.card("wicket-in", ANNA)) == ""
    soft = school(7, 10, passback="soft")
    soft.card("wicket-in", ANNA)
    assert "access.passback" in kinds(soft.card("wicket-in", ANNA))


def test_two_persons_and_the_first_card_of_the_day() -> None:
    gate = school(7, 30, two_person_doors=("gatehouse",), first_card_doors=("wicket",))
    assert reason(gate.card("house-in", TEACHER)) == "second_person"
    assert reason(gate.card("house-in", TEACHER)) == "second_person"
    records = gate.card("house-in", WATCH)
    assert reason(records) == ""
    assert [r.data["holder"] for r in records if r.kind == "access.granted"] == ["guard-w", "staff-t"]
    assert {name for name, _ in gate.state.campus.crowd.inside()} == {"guard-w", "staff-t"}  # both are on the list
    gate.wait(120)
    gate.card("house-out", WATCH)
    assert reason(gate.card("house-in", TEACHER)) == "second_person"  # who has just left is not the second person
    assert reason(gate.card("wicket-in", ANNA)) == "first_card"
    assert reason(gate.card("wicket-in", TEACHER)) == ""
    assert reason(gate.card("wicket-in", ANNA)) == ""
    policy = gate.state.policy
    assert policy is not None
    assert reason(restarted(gate, policy).card("wicket-in", BEN)) == ""  # a restart asks nobody to come once more
    go(gate, 7, 30, date(2026, 9, 22))
    assert reason(gate.card("wicket-in", ANNA)) == "first_card"


def test_duress_opens_like_any_other_and_is_told_upstream_only() -> None:
    gate, calm = school(10), school(10)
    records, plain = gate.card("wicket-in", FORCED), calm.card("wicket-in", TEACHER)
    assert kinds(records) == ["access.granted", "access.duress"] and kinds(plain) == ["access.granted"]
    assert gate.outputs == calm.outputs


@pytest.mark.parametrize("reader", ["house-in", "lane-in", "guard"])
def test_duress_is_told_though_the_card_opens_nothing(reader: str) -> None:
    """Somebody is forced: whether the gate has another reason to stay shut makes no difference to that."""
    gate = school(7, 30, two_person_doors=("gatehouse",))
    gate.command("lockdown")
    records = gate.card(reader, FORCED)
    assert kinds(records)[:2] == ["access.denied", "access.duress"]
    calm = school(7, 30, two_person_doors=("gatehouse",))
    calm.command("lockdown")
    calm.card(reader, TEACHER)
    assert gate.outputs == calm.outputs


# ── time and trust ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_windows_come_and_go_by_themselves_and_a_wish_for_the_bollards_is_only_shown() -> None:
    gate = school(6)
    gate.lane_alive = True
    gate.wait(1)
    gate.lane_alive = False
    records = go(gate, 8, 1)
    windows = [r.data["windows"] for r in records if r.kind == "day.window"]
    assert windows == [["arrival 07:00-08:00"], ["早课 08:00-11:40"]]
    assert [r.subject for r in records if r.kind == "lane.wanted"] == ["lane:main"]
    assert not [r for r in records if r.kind == "lane.token"]
    assert gate.state.lanes["main"].wanted is Motion.RAISE


def test_a_clock_nobody_can_trust_runs_no_window_and_lets_in_the_closed_plan_only() -> None:
    gate = school(7, 30)
    gate.trust = ClockTrust.UNTRUSTED
    gate.send(ClockChanged(ClockTrust.UNTRUSTED, 0, "lost"))
    assert gate.state.campus.spans == ()
    assert reason(gate.card("wicket-in", ANNA)) == "clock_untrusted"
    assert reason(gate.card("wicket-in", TEACHER)) == ""
    assert refused(gate.command("shift_day", minutes="5", reason="weather")) == "clock"
    gate.trust = ClockTrust.TRUSTED
    gate.send(ClockChanged(ClockTrust.TRUSTED, 0, "back"))
    assert reason(gate.card("wicket-in", ANNA)) == ""


def test_a_clock_that_was_set_moves_the_windows_with_it() -> None:
    gate = school(7, 30)
    gate.wall_ms += 3_600_000
    gate.send(ClockChanged(ClockTrust.TRUSTED, 3_600_000, "set"))
    assert gate.state.campus.windows == ("早课 08:00-11:40",)


def test_a_day_is_told_with_its_reason_and_a_calendar_that_ends_once_a_day() -> None:
    gate = school(23, 50, day=date(2027, 1, 31))
    records = go(gate, 0, 10, date(2027, 2, 1))
    plans = [r.data for r in records if r.kind == "day.plan"]
    assert [(p["plan"], p["because"], p["source"]) for p in plans] == [("week", "unsettled", "calendar.toml:1")]
    assert len([r for r in records if r.kind == "calendar.missing"]) == 1


# ── a policy comes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_policy_is_swapped_whole_and_told() -> None:
    gate = school(10)
    without = replace(POLICY, version=4, credentials={c: k for c, k in POLICY.credentials.items() if c != TEACHER})
    records = gate.send(PolicyChanged(without, "d2", "office", "usb"))
    assert kinds(records)[:2] == ["policy.changed", "day.plan"]
    assert records[0].data["version"] == 4
    assert reason(gate.card("wicket-in", TEACHER)) == "unknown"


# ── who is inside ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_is_inside_survives_a_restart_with_and_without_a_snapshot() -> None:
    gate = school(7, 30)
    for card in (ANNA, BEN, CARL):
        gate.card("wicket-in", card)
    assert gate.state.campus.crowd.counts() == {"pupil": 3}
    early = restarted(gate)
    assert early.state.campus.crowd.counts() == {"pupil": 3}
    assert [r.kind for r in gate.wait(7300) if r.kind == "muster.snapshot"] == ["muster.snapshot"]
    gate.card("wicket-out", CARL)
    late = restarted(gate)
    assert sorted(holder for holder, _ in late.state.campus.crowd.inside()) == ["pupil-a", "pupil-b"]


def test_a_snapshot_is_written_only_when_something_changed() -> None:
    gate = school(7, 30)
    gate.card("wicket-in", ANNA)
    assert len([r for r in gate.wait(30 * 3600) if r.kind == "muster.snapshot"]) <= 2


def test_a_card_at_the_gate_costs_no_search_through_all_cards() -> None:
    """Counted work: with a hundred thousand cards a decision looks at as many as with ten."""
    like = POLICY.credentials[ANNA]
    cards = [f"uart-125k:{number:010X}" for number in range(0x100000, 0x100000 + 100_000)]
    crowd = {card: replace(like, card=card, holder=f"p{number}") for number, card in enumerate(cards)}
    looked = Counted(crowd)
    gate = school(7, 30, policy=replace(POLICY, credentials=looked))
    looked.gets = looked.walks = 0
    gate.card("wicket-in", "uart-125k:0000100007")
    assert looked.gets <= 12 and looked.walks == 0


class Counted(dict[str, Credential]):
    """A dict that counts what is asked of it."""

    gets = walks = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.gets += 1
        return super().get(key, default)

    def __getitem__(self, key: str) -> Credential:
        self.gets += 1
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return super().__iter__()

    def values(self) -> Any:
        self.walks += 1
        return super().values()


def test_a_reader_the_policy_does_not_know_is_no_crash() -> None:
    gate = school(10)
    assert kinds(gate.send(CardRead("no-such-reader", ANNA))) == ["access.denied"]
