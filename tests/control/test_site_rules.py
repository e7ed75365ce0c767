"""From the site file to the core's rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from control_scenes import demo_site
from msgspec.structs import replace

from agent.site_rules import fitted_sensors, rules_of
from hardware.site import Credential, Indicators, Uplinks


def utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_the_demos_gate_is_there_whole() -> None:
    rules = rules_of(demo_site())
    assert rules.site_box == "dongfang-primary/gate-1"
    assert [(lane.id, lane.bus, lane.service, lane.entry) for lane in rules.lanes] == [
        ("main", "plc", False, True),
        ("service", "plc", True, False),
    ]
    assert rules.lanes[0].sensors == ("loop1", "loop2", "beam", "pressure")
    assert all(bollard.commissioned for lane in rules.lanes for bollard in lane.bollards)
    assert [(door.id, door.lock_kind, door.evacuation_way) for door in rules.doors] == [
        ("wicket", "fail_safe", True),
        ("gatehouse", "fail_secure", False),
        ("turnstile", "fail_safe", False),
    ]
    assert rules.buttons == ("gatehouse", "wicket", "office")
    assert {key.id: key.use for key in rules.keys} == {
        "panic-reset": "panic_reset",
        "fire": "fire_key",
        "fire-reset": "fire_reset",
    }
    assert (rules.paths, rules.has_fire) == (("mqtt",), True)
    assert (rules.panic_raises_bollards, rules.panic_audible) == (True, False)
    assert rules.lamps == ("sent", "received", "coming", "fault")


@pytest.mark.parametrize("kind", ["entry", "exit", "both", "service"])
def test_which_lanes_let_in(kind: str) -> None:
    site = demo_site()
    lane = replace(site.lane[0], kind=kind)
    (rules,) = rules_of(replace(site, lane=(lane,))).lanes
    assert (rules.entry, rules.service) == (kind in ("entry", "both"), kind == "service")


def test_only_sensors_with_a_terminal_are_fitted() -> None:
    assert fitted_sensors(demo_site().lane[1]) == ("loop1", "loop2", "beam")


def test_a_card_is_known_by_its_format_and_its_number_in_capitals() -> None:
    site = replace(demo_site(), credential=(Credential(card="0100a1b2c3", holder="g", group="guard"),))
    assert list(rules_of(site).credentials) == ["uart-125k:0100A1B2C3"]


def test_days_are_days_at_the_gate_first_and_last_included() -> None:
    card = Credential(card="01", holder="g", group="guard", valid_from="2026-06-01", valid_to="2026-06-30")
    rules = rules_of(replace(demo_site(), credential=(card,))).credentials["uart-125k:01"]
    assert rules.valid_from_ms == utc_ms("2026-05-31T16:00:00")  # midnight in Shanghai
    assert rules.valid_to_ms == utc_ms("2026-06-30T16:00:00")


def test_no_date_is_no_limit() -> None:
    rules = rules_of(demo_site()).credentials["uart-125k:0100A1B2C3"]
    assert (rules.valid_from_ms, rules.valid_to_ms) == (0, 0)


def test_what_is_not_fitted_is_not_in_the_rules() -> None:
    rules = rules_of(replace(demo_site(), fire=None, uplink=Uplinks(), indicators=Indicators(siren="relays:2")))
    assert (rules.has_fire, rules.paths, rules.lamps) == (False, (), ())
