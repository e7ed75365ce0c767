"""The invented school that ships: its files are what the script makes, and they make a policy the demo's box takes."""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path

from agent.core import calendar
from agent.core.calendar import Because
from agent.core.policy_parse import against_site
from agent.policy.command import from_folder
from agent.site_rules import rules_of
from hardware import loader

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "hardware" / "sites" / "demo-school"


def test_the_files_are_what_the_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_school", ROOT / "tools" / "make_school.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.files() == {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}


def test_the_school_is_whole_and_fits_the_demos_gate() -> None:
    policy, _, found = from_folder(FOLDER, 1, 1)
    assert found == [] and policy is not None
    site, _ = loader.load(ROOT / "hardware" / "sites" / "demo.toml")
    assert site is not None
    assert against_site(policy, rules_of(site)) == []
    pupils = {one.holder for one in policy.credentials.values() if one.group == "pupil"}
    assert len(pupils) == 1200
    assert {one.grade for one in policy.credentials.values() if one.group == "pupil"} == set("123456")


def test_its_calendar_follows_the_notice_for_2026_and_invents_nothing_for_2027() -> None:
    policy, _, _ = from_folder(FOLDER, 1, 1)
    assert policy is not None
    holidays = {day for day, one in policy.calendar.special.items() if one.plan == "weekend"}
    assert holidays == {
        *(date(2026, 9, day) for day in (25, 26, 27)), *(date(2026, 10, day) for day in range(1, 8)),
    }  # fmt: skip
    swapped = {day for day, one in policy.calendar.special.items() if "调休" in one.label}
    assert swapped == {date(2026, 9, 20), date(2026, 10, 10)}  # a Sunday and a Saturday of work
    assert not any(one.plan == "weekend" for day, one in policy.calendar.special.items() if day.year == 2027)
    assert calendar.day_of(policy, date(2027, 1, 1)).because is Because.WEEKDAY
    assert calendar.day_of(policy, date(2027, 2, 1)).plan.id == "vacation"
    assert calendar.is_missing(policy.calendar, date(2027, 12, 1))
