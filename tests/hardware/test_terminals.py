"""Terminals: the text becomes a value, and a site's wires are listed once each with what rests on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_text_samples import GOOD, judge

from hardware import profiles
from hardware.loader import load
from hardware.site import Site
from hardware.terminals import BadTerminal, Channel, Gpio, Plc, Use, gpio_inputs, gpio_outputs, parse, uses

DEMO = Path(profiles.__file__).parent / "sites" / "demo.toml"


@pytest.fixture(scope="module")
def demo() -> Site:
    site, mistakes = load(DEMO)
    assert site is not None, mistakes
    return site


def use_of(site: Site, key: str) -> Use:
    (use,) = [use for use in uses(site) if use.key == key]
    return use


@pytest.mark.parametrize(
    ("text", "terminal"),
    [
        ("gpio:17", Gpio(17)),
        ("gpio:0", Gpio(0)),
        ("relays:7", Channel("relays", 7)),
        ("relay-board-2:0", Channel("relay-board-2", 0)),
        ("plc", Plc()),
    ],
)
def test_good_terminals(text: str, terminal: object) -> None:
    assert parse(text) == terminal


@pytest.mark.parametrize(
    "text", ["", "17", "gpio", "gpio:", "gpio:-1", "gpio:07", "gpio:1 ", "GPIO:1", "a:b", "gpio:１", "plc:1:2"]
)
def test_bad_terminals(text: str) -> None:
    with pytest.raises(BadTerminal):
        parse(text)


def test_every_wire_of_the_demo_is_listed_once(demo: Site) -> None:
    listed = uses(demo)
    keys = [use.key for use in listed]
    assert len(keys) == len(set(keys))
    wired = [use.terminal for use in listed if not isinstance(use.terminal, Plc)]
    assert len(wired) == len(set(wired))
    assert sum('"gpio:' in line for line in DEMO.read_text("utf-8").split("\n")) == len(
        gpio_inputs(demo) | gpio_outputs(demo)
    )


def test_inputs_and_outputs_do_not_mix(demo: Site) -> None:
    assert not set(gpio_inputs(demo)) & set(gpio_outputs(demo))
    assert gpio_outputs(demo)[16].key == "door.wicket.lock"
    assert gpio_inputs(demo)[17].key == "panic_button.gatehouse.no"


@pytest.mark.parametrize(
    ("key", "rest"),
    [
        ("panic_button.gatehouse.no", "open"),
        ("panic_button.gatehouse.nc", "closed"),
        ("panic_button.office.loop", "loop"),
        ("door.wicket.lock", "on"),  # fail-safe: energised is locked
        ("door.gatehouse.lock", "off"),  # fail-secure: energised is open
        ("door.wicket.contact", "closed"),
        ("door.wicket.rex", "open"),
        ("lane.main.raise_key", "open"),
        ("lane.main.sensors.loop1", "plc"),
        ("fire.terminal", "closed"),
        ("mains.terminal", "closed"),
        ("key.fire.terminal", "open"),
        ("indicators.siren", "off"),
    ],
)
def test_what_a_wire_is_at_rest(demo: Site, key: str, rest: str) -> None:
    assert use_of(demo, key).rest == rest


def test_a_fire_contact_that_closes_and_a_gpio_sensor() -> None:
    text = GOOD.replace('terminal = "gpio:4"', 'terminal = "gpio:4"\nactive = "closed"')
    text = text.replace('  loop1 = "plc"', '  loop1 = "gpio:22"')
    site, mistakes = judge(text)
    assert site is not None, mistakes
    assert use_of(site, "fire.terminal").rest == "open"
    assert use_of(site, "lane.main.sensors.loop1").rest == "closed"  # an open contact is a vehicle, or a cut wire


def test_a_path_leads_to_the_key_it_names(demo: Site) -> None:
    use = use_of(demo, "lane.service.raise_key")
    assert use.path == ("lane", 1, "raise_key")
    assert use.owner == "service" and use.part == "raise_key"
