"""The wiring table and drawing say of every wire where it goes, in both languages, for any site."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from site_text_samples import GOOD, judge, spoil

from hardware import profiles, wiring, wiring_svg
from hardware.loader import load
from hardware.mistakes import Language
from hardware.site import Site
from hardware.terminals import Plc, uses

SITES = sorted((Path(profiles.__file__).parent / "sites").glob("*.toml"))
LANGUAGES: tuple[Language, ...] = ("en", "zh_CN")
EVERYTHING = spoil(
    (
        "monitor_only = true",
        'monitor_only = true\nlight_red = "gpio:12"\nbuzzer = "relays:3"\nwarning_lamp = "relays:4"',
    ),
    ('  loop1 = "plc"\n', '  loop1 = "gpio:22"\n  beam = "gpio:23"\n'),
    ('[tamper]\nterminal = "gpio:18"', '[tamper]\nterminal = "gpio:18"\nok = "open"\n[mains]\nterminal = "gpio:7"'),
    ('[fire]\nterminal = "gpio:4"', '[fire]\nterminal = "gpio:4"\nactive = "closed"'),
    ('sent = "gpio:9"', 'sent = "gpio:8"'),
)


def site_of(text: str) -> Site:
    site, mistakes = judge(text)
    assert site is not None, mistakes
    return site


def words_in(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def sites() -> list[Site]:
    shipped = [load(path)[0] for path in SITES]
    return [*(site for site in shipped if site), site_of(GOOD), site_of(EVERYTHING)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("site", sites(), ids=lambda site: f"{site.site.id}-{len(uses(site))}")
def test_every_wire_has_its_row_and_its_place_in_the_drawing(site: Site, language: Language) -> None:
    rows = wiring.table(site, language)
    assert sorted(row.key for row in rows) == sorted(use.key for use in uses(site))
    assert all(row.wire and row.rest and row.remark for row in rows)
    assert not any("{" in cell for row in rows for cell in (row.wire, row.rest, row.remark))
    said = words_in(wiring_svg.draw(site, language))
    for use in uses(site):
        if use.text.startswith("gpio:"):
            assert use.text in said
    assert not any("{" in word for word in said)


def test_rows_follow_the_header() -> None:
    site, _ = load(SITES[-1])
    assert site is not None
    pins = [int(row.pin) for row in wiring.table(site) if row.pin]
    assert pins == sorted(pins)
    row = next(row for row in wiring.table(site) if row.key == "panic_button.gatehouse.no")
    assert (row.terminal, row.pin, row.direction) == ("gpio:17", "11", "in")


@pytest.mark.parametrize(
    ("key", "remark"),
    [
        ("door.wicket.lock", "unlocked"),
        ("fire.terminal", "stays unseen"),
        ("tamper.terminal", "stays unseen"),
        ("mains.terminal", "closed while well"),
        ("indicators.sent", "at every start"),
        ("lane.side.light_red", "box off: off"),
        ("lane.side.buzzer", "relay released"),
        ("lane.main.sensors.beam", "a cut reads as a vehicle"),
    ],
)
def test_a_remark_says_what_happens_when_the_box_is_off_or_a_wire_is_cut(key: str, remark: str) -> None:
    row = next(row for row in wiring.table(site_of(EVERYTHING)) if row.key == key)
    assert remark in row.remark


def test_the_text_is_aligned_for_chinese_letters() -> None:
    site, _ = load(SITES[-1])
    assert site is not None
    lines = wiring.render(site, "zh_CN").split("\n")
    rule = next(line for line in lines if line.startswith("──"))
    starts = [match.start() for match in re.finditer("─+", rule)]
    rows = lines[lines.index(rule) + 1 : lines.index("", lines.index(rule))]
    for row in rows:
        columns = "".join(letter + ("\0" if wiring.width(letter) == 2 else "") for letter in row)
        assert all(start == 0 or columns[start - 2 : start].strip() == "" for start in starts if start < len(columns))
    assert wiring.width("门卫 a") == 6


def test_the_buses_are_listed_with_their_units() -> None:
    text = wiring.render(site_of(GOOD))
    assert "plc  10.0.0.5:502  unit 3: lane main" in text
    assert "cabinet  /dev/serial/by-path/cabinet 9600 8N1  unit 1: relays, unit 2: loops" in text
    assert "came  /dev/serial/by-path/came 38400 8E1  unit 4: lane side" in text


def test_names_of_any_kind_are_drawn_and_never_break_the_drawing() -> None:
    odd = '<script>"&东方小学第一分校南门主入口人行通道门卫室' * 3
    site = site_of(spoil(('name = "东方小学"', f"name = '{odd}'"), ("[[door]]\n", f"[[door]]\nname = '{odd}'\n")))
    said = words_in(wiring_svg.draw(site))
    assert any(word.startswith('<script>"&东方') and word.endswith("…") for word in said)


def test_pin_one_is_square_and_every_pin_is_drawn() -> None:
    svg = wiring_svg.draw(site_of(GOOD))
    assert {word for word in words_in(svg) if word.isdigit()} >= {str(pin) for pin in range(1, 41)}
    assert svg.count("<circle") >= 39


def test_both_languages_know_every_word() -> None:
    for section, entries in wiring.words().items():
        for name, languages in entries.items():
            assert set(languages) == {"en", "zh_CN"}, f"{section}.{name}"
            fields = [set(re.findall(r"{(\w+)}", text)) for text in languages.values()]
            assert fields[0] == fields[1], f"{section}.{name}"


def test_what_the_plc_has_itself_comes_last() -> None:
    rows = wiring.table(site_of(GOOD))
    own = [use.key for use in uses(site_of(GOOD)) if isinstance(use.terminal, Plc)]
    assert sorted(row.key for row in rows[-len(own) :]) == sorted(own)
