"""Every invariant of the gatehouse's book bites: one seeded bug each, and that invariant sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from campus_scenes import VISIT, WATCH, school
from msgspec.structs import replace
from people_scenes import GUARD, Gate, reading

from agent.core import duty, duty_days, lane, visits
from agent.core.events import Tick
from agent.core.invariant import REGISTRY
from agent.core.outputs import MotionRequest
from agent.core.state import Instant, Vacancy
from agent.core.words import Motion

Patch = pytest.MonkeyPatch
OWN = {rule.name for rule in REGISTRY if rule.check.__module__ == "agent.core.invariants_duty"}


def _an_empty_post_is_nobodys(patch: Patch) -> Gate:
    gate = school(10)
    patch.setitem(duty._TIMES, "unmanned", lambda state, post, now, log: _heard(state, post))
    gate.wait(700)
    gate.send(Tick())
    return gate


def _heard(state: Any, post: str) -> Any:
    """The bug: the alarm is ticked off and written by nobody."""
    vacancy = replace(state.duty.vacant[post], due_at=float("inf"))
    return duty_days.put(state, vacant={post: vacancy})


def _a_manned_post_is_called_empty(patch: Patch) -> Gate:
    gate = school(10)
    gate.card("guard", WATCH)
    since = Instant(gate.mono_s - 700, gate.wall_ms - 700_000)
    vacancy = Vacancy(since=since, due_at=gate.mono_s, peak=False)
    gate.state = replace(gate.state, duty=replace(gate.state.duty, vacant={"house": vacancy}))
    gate.send(Tick())
    return gate


def _the_relieved_is_forgotten(patch: Patch) -> Gate:
    gate = school(6)
    gate.card("guard", GUARD)
    patch.setattr(duty, "_tell_off", lambda *_: None)
    gate.card("guard", WATCH)
    return gate


def _a_colleague_relieves_by_his_card(patch: Patch) -> Gate:
    gate = school(10)
    gate.card("guard", WATCH)
    patch.setattr(duty, "_taken_over", lambda state, posts, guard, now: posts[0])
    gate.card("guard", GUARD)
    return gate


def _a_registered_vehicle_opens_its_way(patch: Patch) -> Gate:
    gate = school(10)
    gate.ask("visit_register", VISIT | {"kind": "vehicle", "door": "", "lane": "main", "card": ""})
    gate.command("visit_consent", visit=VISIT["visit"], by="phone")
    gate.send(reading(gate.mono_s))

    def lowered(state: Any, name: str, motion: Any, actor: str, now: Any, log: Any) -> Any:
        token = MotionRequest(name, "main-1", Motion.LOWER, 300, now.mono_s)
        return replace(state, lanes={name: replace(state.lanes[name], motions=(token,))})

    patch.setattr(lane, "wish", lowered)
    gate.command("visit_in", visit=VISIT["visit"])
    return gate


def _a_name_gets_through(patch: Patch) -> Gate:
    gate = school(10)
    patch.setitem(visits.ARGS, "host", lambda state, text: True)
    gate.ask("visit_register", VISIT | {"host": "ZhangSan"})
    return gate


SEEDED: dict[str, Callable[[Patch], Gate]] = {
    "an_empty_post_is_told": _an_empty_post_is_nobodys,
    "no_manned_post_is_called_empty": _a_manned_post_is_called_empty,
    "a_watch_that_ends_is_written": _the_relieved_is_forgotten,
    "no_card_relieves_against_the_roster": _a_colleague_relieves_by_his_card,
    "paper_moves_no_bollard": _a_registered_vehicle_opens_its_way,
    "only_codes_and_handles_of_people": _a_name_gets_through,
}


def test_every_one_of_them_has_its_bug() -> None:
    assert set(SEEDED) == OWN


@pytest.mark.parametrize("name", SEEDED)
def test_its_bug_is_seen(name: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(Gate, "send", _lenient(Gate.send))
    gate = SEEDED[name](monkeypatch)
    assert name in {violation.name for violation in gate.violations}


def test_a_name_that_is_stored_and_not_told_is_seen_as_well(monkeypatch: Patch) -> None:
    monkeypatch.setattr(Gate, "send", _lenient(Gate.send))
    monkeypatch.setattr(visits, "_no_register", lambda state, args: "")
    gate = school(10)
    gate.ask("visit_register", VISIT | {"host": "ZhangSan"})
    assert "only_codes_and_handles_of_people" in {violation.name for violation in gate.violations}


def test_an_empty_post_at_a_peak_that_is_told_late_is_seen(monkeypatch: Patch) -> None:
    """The bug: a peak is given as much patience as any other hour."""
    monkeypatch.setattr(Gate, "send", _lenient(Gate.send))
    monkeypatch.setattr(duty, "PEAK_GRACE_S", duty.GRACE_S)
    gate = school(6, 59)
    gate.card("guard", WATCH)
    gate.wait(260)
    gate.send(Tick())
    assert "an_empty_post_is_told" in {violation.name for violation in gate.violations}


def _lenient(send: Callable[..., Any]) -> Callable[..., Any]:
    """Violations are kept and not raised."""

    def sending(self: Gate, event: Any) -> Any:
        self.strict = False
        return send(self, event)

    return sending


def test_a_healthy_gatehouse_breaks_nothing() -> None:
    gate = school(6)
    for card in (WATCH, GUARD, WATCH):
        gate.card("guard", card)
        gate.command("duty_check_in", post="kerb")
        gate.wait(4000)
    gate.ask("visit_register", VISIT | {"lane": "main"})
    gate.command("visit_consent", visit=VISIT["visit"], by="phone")
    gate.command("visit_in", visit=VISIT["visit"], lane="main")
    gate.command("visit_out", visit=VISIT["visit"], card_back="no")
    assert gate.violations == []
