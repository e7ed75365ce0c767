"""Visitors: in with the host's consent, at the doors and in the time named, and out again."""

from __future__ import annotations

import pytest
from campus_scenes import TEACHER, card, reason, refused, restarted, school
from people_scenes import PUPIL, Gate, kinds

SPARE = card(0xD1)
VISIT = {
    "visit": "v-7f3a", "kind": "visitor", "host": "staff-t", "purpose": "meeting", "minutes": "60",
    "card": SPARE, "door": "gatehouse",
}  # fmt: skip


def registered(**changes: str) -> Gate:
    gate = school(10)
    assert kinds(gate.ask("visit_register", VISIT | changes)) == ["command.done"]
    return gate


def test_a_lent_card_opens_with_consent_at_its_door_in_its_time_and_never_again() -> None:
    gate = registered()
    assert reason(gate.card("house-in", SPARE)) == "no_consent"
    gate.command("visit_consent", visit="v-7f3a", by="phone")
    assert reason(gate.card("house-in", SPARE)) == ""
    assert reason(gate.card("wicket-in", SPARE)) == "wrong_door"
    assert gate.state.campus.crowd.counts()["visitor"] == 1
    assert reason(gate.card("house-out", SPARE)) == ""
    assert kinds(gate.command("visit_out", visit="v-7f3a")) == ["command.done", "visit.ended"]
    assert reason(gate.card("house-in", SPARE)) == "unknown"


def test_a_visitor_who_stays_too_long_is_told_once_and_let_out() -> None:
    gate = registered()
    gate.command("visit_consent", visit="v-7f3a", by="phone")
    gate.card("house-in", SPARE)
    told = [r.kind for r in gate.wait(7200) if r.kind.startswith("visit.")]
    assert told == ["visit.overstay"]
    assert reason(gate.card("house-in", SPARE)) == "expired"
    assert reason(gate.card("wicket-out", SPARE)) == "wrong_door"  # an evacuation way: it opened all the same
    assert not gate.lock("wicket").on
    ended = gate.command("visit_out", visit="v-7f3a")
    assert [r.data["late_min"] for r in ended if r.kind == "visit.ended"] == [60]


def test_a_visit_that_never_came_only_ends() -> None:
    gate = registered()
    assert [r.kind for r in gate.wait(3700) if r.kind.startswith("visit.")] == ["visit.expired"]


def test_a_number_slip_is_let_in_by_the_guard() -> None:
    gate = registered(card="")
    assert refused(gate.command("visit_in", visit="v-7f3a")) == "no_consent"
    gate.command("visit_consent", visit="v-7f3a", by="in_person")
    assert kinds(gate.command("visit_in", visit="v-7f3a")) == ["command.done", "access.granted"]
    assert not gate.lock("gatehouse").on
    gate.wait(3600)
    assert refused(gate.command("visit_in", visit="v-7f3a")) == "expired"


def test_a_vehicle_asks_its_lane_down_and_never_up() -> None:
    gate = registered(kind="vehicle", door="", lane="main")
    gate.lane_alive = True
    gate.command("visit_consent", visit="v-7f3a", by="message")
    gate.wait(1)
    records = gate.card("lane-in", SPARE)
    assert reason(records) == "" and "lane.token" not in kinds(records)


def test_visits_survive_a_restart_with_their_end() -> None:
    gate = registered()
    gate.command("visit_consent", visit="v-7f3a", by="phone")
    gate.wait(1800)
    again = restarted(gate)
    assert reason(again.card("house-in", SPARE)) == ""
    told = [r.kind for r in again.wait(1900) if r.kind.startswith("visit.")]
    assert told == ["visit.overstay"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"visit": "张三"}, "visit"),
        ({"kind": "friend"}, "kind"),
        ({"purpose": "看望王老师"}, "purpose"),
        ({"host": "王 老师"}, "host"),
        ({"minutes": "0"}, "minutes:1-720"),
        ({"minutes": "9999"}, "minutes:1-720"),
        ({"door": "nowhere"}, "unknown_door"),
        ({"door": "", "lane": ""}, "unknown_door"),
        ({"card": TEACHER}, "card_in_use"),
        ({"card": PUPIL}, "card_in_use"),
        ({"card": "京A12345"}, "card_in_use"),
    ],
)
def test_what_makes_no_sense_is_refused_and_no_word_of_it_is_kept(changes: dict[str, str], why: str) -> None:
    records = school(10).ask("visit_register", VISIT | changes)
    assert refused(records) == why
    assert not any(word in str(records) for word in ("张三", "王", "京A12345"))


def test_one_card_is_lent_once() -> None:
    gate = registered()
    assert refused(gate.ask("visit_register", VISIT | {"visit": "v-2"})) == "card_in_use"
    assert refused(gate.ask("visit_register", VISIT)) == "visit_exists"
    assert refused(gate.command("visit_out", visit="v-9")) == "unknown_visit"
    assert refused(gate.command("visit_consent", visit="v-7f3a", by="telepathy")) == "by"
