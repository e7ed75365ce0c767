"""The year plays the closed campus too, and a broken rule of it is caught by the rule, or by the world itself."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core import campus, campus_passage, people
from agent.core.campus import Decision
from sim.year.run import Year, play, told

DAYS, PUPILS = 100, 60


@pytest.fixture(scope="module")
def sound() -> Year:
    return play(5, DAYS, PUPILS)


def test_the_days_are_full_enough_to_prove_something(sound: Year) -> None:
    print(told(sound))
    assert sound.broken == ""
    stories = {"leave slip", "picked up", "tried to leave", "visitor", "left against the rules"}
    stories |= {"delivery", "lent card kept", "colleague at the gatehouse", "hazard"}
    assert stories <= set(sound.stories)
    kinds = {
        *("slip.used", "access.unauthorised_exit", "visit.ended", "duty.on", "duty.unmanned", "duty.manned"),
        *("day.plan", "day.window", "muster.snapshot", "policy.changed", "duty.patrol", "duty.patrols_short"),
        *("duty.off", "visit.card_missing", "hazard.closed", "lane.wanted"),
    }
    assert kinds <= set(sound.kinds), kinds - set(sound.kinds)


def _broken(patch: pytest.MonkeyPatch, module: object, name: str, new: Any) -> str:
    patch.setattr(module, name, new)
    year = play(5, DAYS, PUPILS)
    assert year.broken, "nobody noticed"
    assert play(5, DAYS, PUPILS).broken == year.broken, "it does not replay"
    return year.broken


def test_a_gate_that_lets_every_pupil_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    told_as = _broken(monkeypatch, campus, "_way_out", lambda *_: Decision(rule="open house"))
    assert "pupils_stay_in_class_hours" in told_as or "leaving_against_the_timetable_is_told" in told_as


def test_the_world_itself_sees_a_pupil_slip_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with no rule to judge it."""
    from agent.core import invariants_campus

    for rule in ("pupils_stay_in_class_hours", "leaving_against_the_timetable_is_told"):
        _silence(monkeypatch, getattr(invariants_campus, rule))
    assert _broken(monkeypatch, campus, "_way_out", lambda *_: Decision(rule="open house")).startswith("SlippedOut")


def _silence(patch: pytest.MonkeyPatch, check: Any) -> None:
    from agent.core import invariant

    kept = [rule for rule in invariant.REGISTRY if rule.check is not check]
    patch.setattr(invariant, "REGISTRY", kept)
    invariant._due.clear()
    patch.setattr(invariant, "_due", {})


def test_a_slip_that_is_never_used_up_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(state: Any, slip: str, holder: str, ref: Any, now: Any, log: Any) -> Any:
        log.add("slip.used", f"slip:{slip}", {"holder": holder, "slip": slip}, cause=ref)
        return state

    told_as = _broken(monkeypatch, campus_passage, "_use_slip", forgetful)
    assert "a_slip_lets_out_once" in told_as or "pupils_stay" in told_as


def test_a_visitor_without_consent_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    of_visit = people._of_visit

    def careless(visit: Any, bans: Any) -> Any:
        from msgspec.structs import replace

        return replace(of_visit(visit, bans), refusal="")

    assert "dead_cards_open_no_entry" in _broken(monkeypatch, people, "_of_visit", careless)
