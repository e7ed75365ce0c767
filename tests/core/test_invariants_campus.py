"""Every invariant of the closed campus bites: one seeded bug each, and that invariant sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from campus_scenes import ANNA, BEN, BUS, CARL, FORCED, LOST, MOTHER, TEACHER, VISIT, school
from msgspec.structs import replace
from people_scenes import Gate

from agent.core import access, assemble, campus, campus_commands, campus_day, campus_passage, lane, people
from agent.core.campus import Decision
from agent.core.events import ClockChanged, Now, PolicyChanged, Tick
from agent.core.invariant import REGISTRY
from agent.core.outputs import Level, MotionRequest
from agent.core.state import BoxState
from agent.core.words import ClockTrust, Motion

Patch = pytest.MonkeyPatch
OWN = {rule.name for rule in REGISTRY if rule.check.__module__ == "agent.core.invariants_campus"}


def _everybody_leaves(patch: Patch) -> Gate:
    gate = school(9)
    patch.setattr(campus, "_way_out", lambda *_: Decision(rule="open house"))
    gate.card("house-out", CARL)
    return gate


def _nobody_is_told(patch: Patch) -> Gate:
    gate = school(9)
    patch.setattr(campus_passage, "_tell_exit", lambda *_: None)
    gate.card("wicket-out", CARL)
    return gate


def _staff_is_kept_in(patch: Patch) -> Gate:
    gate = school(9)
    patch.setattr(campus, "_way_out", lambda *_: Decision("class_hours"))
    gate.card("house-out", TEACHER)
    return gate


def _lost_cards_work(patch: Patch) -> Gate:
    gate = school(9)
    patch.setattr(access, "_of_credential", lambda *_: "")
    gate.card("wicket-in", LOST)
    return gate


def _the_clock_set_back_opens(patch: Patch) -> Gate:
    """The bug that was: a lent card's end was judged by the wall clock."""
    gate = school(10)
    gate.ask("visit_register", VISIT)
    gate.command("visit_consent", visit=VISIT["visit"], by="phone")
    true_find = people._of_visit
    patch.setattr(
        people, "_of_visit", lambda v, bans: replace(true_find(v, bans), until_at=9e9, refusal="", to_ms=v.until_ms)
    )
    gate.wait(3700)
    gate.wall_ms -= 1_800_000
    gate.card("house-in", VISIT["card"])
    return gate


def _slips_for_ever(patch: Patch) -> Gate:
    gate = school(9, 30)
    gate.card("house-out", ANNA)
    gate.state = replace(gate.state, campus=replace(gate.state.campus, used={}))
    gate.card("house-out", ANNA)
    return gate


def _passback_traps(patch: Patch) -> Gate:
    gate = school(7, 30, passback="hard")
    patch.setattr(campus, "_came_in_already", lambda *_: True)
    gate.card("wicket-in", ANNA)
    return gate


def _duress_lights_a_lamp(patch: Patch) -> Gate:
    gate = school(9)
    true_lamps = assemble.desired

    def lit(state: Any) -> Any:
        outputs = true_lamps(state)
        return replace(outputs, siren=Level(on=state.campus.crowd.get("staff-f") is not None))

    gate.send(Tick())
    patch.setattr(assemble, "desired", lit)
    gate.card("wicket-in", FORCED)
    return gate


def _the_timetable_raises(patch: Patch) -> Gate:
    gate = school(6, 59)
    gate.lane_alive = True
    gate.wait(30)

    def raised(state: BoxState, event: Any, now: Now, log: Any) -> tuple[BoxState, str]:
        """The bug: the wish is carried out."""
        lane_state = state.lanes["main"]
        token = MotionRequest("main", "main-1", Motion.RAISE, 200, now.mono_s)
        return replace(state, lanes={"main": replace(lane_state, motions=(token,))}), ""

    patch.setattr(lane, "on_command", raised)
    gate.wall_ms += 120_000  # into the window that wants the bollards up
    policy = gate.state.policy
    assert policy is not None
    gate.send(PolicyChanged(policy, "d1", "office"))
    return gate


def _windows_by_a_bad_clock(patch: Patch) -> Gate:
    gate = school(9)
    policy = gate.state.policy
    assert policy is not None

    def trusting(state: Any, event: Any, now: Any, log: Any) -> Any:
        log.add("day.window", "day", {"peak": False, "windows": []})
        return state

    gate.trust = ClockTrust.UNTRUSTED
    gate.send(ClockChanged(ClockTrust.UNTRUSTED, 0, "lost"))
    patch.setattr(campus_day, "on_policy", trusting)
    gate.send(PolicyChanged(policy, "d1", "office"))
    return gate


def _the_guards_word_opens_nothing(patch: Patch) -> Gate:
    gate = school(9)
    patch.setitem(campus_commands._DOINGS, "let_out", lambda state, *_: state)
    gate.command("let_out", door="gatehouse", holder="pupil-c", reason="illness")
    return gate


def _a_barred_guardian_fetches(patch: Patch) -> Gate:
    """The bug that was: whoever left freely could fetch as well."""
    gate = school(12, 30)
    gate.command("card_ban", holder="guardian-a", reason="misused")
    patch.setattr(campus_passage, "_counts", lambda *_: True)
    gate.card("house-out", BEN)
    gate.card("house-out", MOTHER)
    return gate


def _a_pass_is_good_at_any_time(patch: Patch) -> Gate:
    gate = school(9)
    patch.setattr(campus, "_own_pass", lambda *_: Decision(rule="pass"))
    gate.card("lane-in", BUS)
    return gate


def _wrong_tries_keep_in(patch: Patch) -> Gate:
    gate = school(9)
    patch.setattr(access, "_locked_out", lambda *_: True)
    gate.card("house-out", TEACHER)
    return gate


SEEDED: dict[str, Callable[[Patch], Gate]] = {
    "pupils_stay_in_class_hours": _everybody_leaves,
    "leaving_against_the_timetable_is_told": _nobody_is_told,
    "only_pupils_are_kept_in": _staff_is_kept_in,
    "dead_cards_open_no_entry": _lost_cards_work,
    "a_pass_opens_its_lanes_in_its_time": _a_pass_is_good_at_any_time,
    "only_own_guardians_fetch": _a_barred_guardian_fetches,
    "a_slip_lets_out_once": _slips_for_ever,
    "passback_never_traps": _passback_traps,
    "duress_shows_nothing": _duress_lights_a_lamp,
    "no_timetable_starts_a_raise": _the_timetable_raises,
    "no_window_runs_by_a_bad_clock": _windows_by_a_bad_clock,
    "let_out_opens": _the_guards_word_opens_nothing,
}


def test_every_one_of_them_has_its_bug() -> None:
    assert set(SEEDED) == OWN


@pytest.mark.parametrize("name", SEEDED)
def test_its_bug_is_seen(name: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(Gate, "send", _lenient(Gate.send))
    gate = SEEDED[name](monkeypatch)
    assert name in {violation.name for violation in gate.violations}


def _lenient(send: Callable[..., Any]) -> Callable[..., Any]:
    """Violations are kept and not raised."""

    def sending(self: Gate, event: Any) -> Any:
        self.strict = False
        return send(self, event)

    return sending


def test_a_lent_card_opened_by_a_clock_set_back_is_seen(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Gate, "send", _lenient(Gate.send))
    gate = _the_clock_set_back_opens(monkeypatch)
    assert "dead_cards_open_no_entry" in {violation.name for violation in gate.violations}


def test_a_wait_after_wrong_tries_that_keeps_staff_in_is_seen(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Gate, "send", _lenient(Gate.send))
    gate = _wrong_tries_keep_in(monkeypatch)
    assert "only_pupils_are_kept_in" in {violation.name for violation in gate.violations}


def test_a_healthy_gate_in_the_same_scenes_breaks_nothing() -> None:
    gate = school(9, 30)
    gate.ask("visit_register", VISIT)
    gate.command("visit_consent", visit=VISIT["visit"], by="phone")
    for reader in ("house-out", "wicket-out", "wicket-in", "house-in"):
        for card in (ANNA, CARL, TEACHER, LOST, FORCED, VISIT["card"]):
            gate.card(reader, card)
            gate.wait(61)
    assert gate.violations == []
