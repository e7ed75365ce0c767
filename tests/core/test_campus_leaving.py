"""Who lets a pupil go in class hours: a leave slip, or a guardian who fetches; and what neither may do."""

from __future__ import annotations

import pytest
from campus_scenes import (
    ANNA,
    BEN,
    CARL,
    HOUR,
    MOTHER,
    POLICY,
    at,
    go,
    reason,
    refused,
    restarted,
    school,
)
from msgspec.structs import replace
from people_scenes import kinds

from agent.core.policy import LeaveSlip
from agent.picture.guard import guard

# ── leave slips ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_slip_lets_out_once_and_in_its_time_only() -> None:
    gate = school(8, 30)
    assert reason(gate.card("house-out", ANNA)) == "slip_early"
    go(gate, 9, 30)
    records = gate.card("house-out", ANNA)
    assert reason(records) == "" and kinds(records) == ["access.granted", "slip.used"]
    gate.wait(60)
    assert reason(gate.card("house-out", ANNA)) == "slip_used"
    late = school(11, 30)
    assert reason(late.card("house-out", ANNA)) == "slip_expired"


def test_a_slip_is_used_up_through_a_restart() -> None:
    gate = school(9, 30)
    gate.card("house-out", ANNA)
    again = restarted(gate)
    assert reason(again.card("house-out", ANNA)) == "slip_used"


def test_why_a_pupil_leaves_is_shown_and_survives_a_restart() -> None:
    gate = school(8, 30)
    args = {"slip": "s-7f3a0c1d2e9k", "pupil": "pupil-b", "issuer": "staff-t", "reason": "illness"}
    args |= {"from_ms": str(at(8)), "to_ms": str(at(10))}
    assert kinds(gate.ask("slip_add", args)) == ["command.done"]
    shown = guard(restarted(gate).state, gate.now)
    assert [(slip.pupil, slip.reason) for slip in shown.slips] == [("pupil-b", "illness"), ("pupil-a", "")]
    assert refused(gate.ask("slip_add", args | {"slip": "s-7f3a0c1d2e9m", "reason": "weather"})) == "reason"


def test_a_slip_of_the_gate_wants_a_guardian_in_either_order() -> None:
    gate = school(8, 30)
    args = {"slip": "s-7f3a0c1d2e9k", "pupil": "pupil-b", "issuer": "staff-t", "guardian": "1"}
    args |= {"from_ms": str(at(8)), "to_ms": str(at(10))}
    assert kinds(gate.ask("slip_add", args)) == ["command.done"]
    assert reason(gate.card("house-out", BEN)) == "guardian_missing"
    gate.wait(30)
    records = gate.card("house-out", MOTHER)
    holders = [r.data["holder"] for r in records if r.kind == "access.granted"]
    assert holders == ["guardian-a", "pupil-b"] and "slip.used" in kinds(records)
    again = school(8, 30)
    again.ask("slip_add", args)
    again.card("house-out", MOTHER)
    again.wait(59)
    assert reason(again.card("house-out", BEN)) == ""
    third = school(8, 30)
    third.ask("slip_add", args)
    third.card("house-out", MOTHER)
    third.wait(61)
    assert reason(third.card("house-out", BEN)) == "guardian_missing"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"pupil": "nobody"}, "unknown_pupil"),
        ({"pupil": "staff-t"}, "unknown_pupil"),
        ({"slip": "王小明"}, "slip"),
        ({"slip": "s1"}, "slip_exists"),
        ({"issuer": "a teacher"}, "issuer"),
        ({"from_ms": "soon"}, "times"),
        ({"to_ms": str(at(8))}, "times"),
        ({"to_ms": str(at(8) + 30 * 3_600_000)}, "times"),
    ],
)
def test_a_slip_that_makes_no_sense_is_refused(change: dict[str, str], why: str) -> None:
    gate = school(8, 30)
    good = {
        "slip": "s-7f3a0c1d2e9k",
        "pupil": "pupil-b",
        "issuer": "staff-t",
        "from_ms": str(at(8)),
        "to_ms": str(at(10)),
    }
    records = gate.ask("slip_add", good | change)
    assert refused(records) == why


def test_a_cancelled_slip_lets_nobody_out() -> None:
    gate = school(9, 30)
    assert kinds(gate.command("slip_cancel", slip="s1")) == ["command.done"]
    assert reason(gate.card("house-out", ANNA)) == "class_hours"
    assert refused(gate.command("slip_cancel", slip="no-such")) == "unknown_slip"


# ── pick-up ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_guardian_fetches_a_pupil_in_the_window() -> None:
    gate = school(12, 30)
    assert reason(gate.card("house-out", BEN)) == "guardian_missing"
    records = gate.card("house-out", MOTHER)
    assert [r.data["holder"] for r in records if r.kind == "access.granted"] == ["guardian-a", "pupil-b"]
    assert reason(gate.card("house-out", CARL)) != ""  # not her child


def test_at_the_evacuation_way_the_alarm_waits_a_minute_for_the_guardian() -> None:
    gate = school(12, 30)
    assert kinds(gate.card("wicket-out", BEN)) == ["access.granted"]
    gate.wait(20)
    gate.card("wicket-out", MOTHER)
    assert not [r for r in gate.wait(120) if r.kind == "access.unauthorised_exit"]
    alone = school(12, 30)
    alone.card("wicket-out", BEN)
    told = [r for r in alone.wait(120) if r.kind == "access.unauthorised_exit"]
    assert [r.data for r in told] == [{"door": "wicket", "holder": "pupil-b", "why": "guardian_missing"}]


def test_a_guardian_outside_fetches_without_being_let_in() -> None:
    """The card shown at the outer reader, where only the dismissal lets guardians in."""
    gate = school(12, 30)
    assert reason(gate.card("house-in", MOTHER)) == "outside_hours"
    assert reason(gate.card("house-out", BEN)) == ""
    first = school(12, 30)
    assert reason(first.card("house-out", BEN)) == "guardian_missing"
    first.card("house-in", MOTHER)
    assert first.lock("gatehouse").on  # nothing opens for whoever is outside
    assert reason(first.card("house-out", BEN)) == ""
    left = school(12, 30)
    left.card("wicket-out", BEN)
    left.card("wicket-in", MOTHER)
    assert not [r for r in left.wait(120) if r.kind == "access.unauthorised_exit"]


@pytest.mark.parametrize("door", ["house-out", "wicket-out"])
def test_a_guardian_whose_card_is_barred_or_over_fetches_nobody(door: str) -> None:
    """In either order; leaving is still free for the guardian."""
    over = POLICY.credentials[MOTHER]
    for card in (replace(over, state="banned"), replace(over, to_ms=at(9))):
        policy = replace(POLICY, credentials={**POLICY.credentials, MOTHER: card})
        gate = school(12, 30, policy=policy)
        gate.card(door, MOTHER)
        assert reason(gate.card(door, BEN)) == "guardian_missing"
        gate.card(door, MOTHER)
        holders = [r.data["holder"] for r in gate.records if r.kind == "access.granted" and r.data.get("guardian")]
        assert holders == []
    banned = school(12, 30)
    banned.command("card_ban", holder="guardian-a", reason="misused")
    banned.card(door, BEN)
    banned.card(door, MOTHER)
    assert not [r for r in banned.records if r.data.get("guardian")]


def test_a_slip_of_another_day_is_no_reason_for_anything() -> None:
    """A pupil with last week's slip is fetched like any other, and no alarm is told before the guardian's minute."""
    week = 7 * 24 * HOUR
    slip = LeaveSlip(id="s1", pupil="pupil-b", issuer="staff-t", from_ms=at(9) - week, to_ms=at(11) - week)
    for slips in ({"s1": slip}, {"s1": replace(slip, from_ms=at(9) + week, to_ms=at(11) + week)}):
        gate = school(10, policy=replace(POLICY, slips=slips))
        assert reason(gate.card("house-out", BEN)) == "class_hours"
        go(gate, 12, 30)
        assert reason(gate.card("house-out", BEN)) == "guardian_missing"
        assert [r.data["holder"] for r in gate.card("house-out", MOTHER) if r.kind == "access.granted"][1:] == [
            "pupil-b"
        ]
        gate.wait(120)
        assert kinds(gate.card("wicket-out", BEN)) == ["access.granted"]
