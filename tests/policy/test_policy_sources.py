"""An office's files: what they say, and every mistake named with file, line and cure, all at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from policy_files import FILES, office

from agent.core.policy import Contradiction, Policy
from agent.policy.command import from_folder


def read(folder: Path) -> tuple[Policy | None, list[Contradiction]]:
    policy, _, found = from_folder(folder, 7, 1)
    return policy, found


def test_the_files_make_a_policy(tmp_path: Path) -> None:
    policy, found = read(office(tmp_path))
    assert found == [] and policy is not None
    assert (policy.version, policy.site_box) == (7, "dongfang-primary/*")
    assert policy.calendar.special[date(2026, 10, 1)].label == "国庆节"
    assert [(w.kind, w.start, w.end) for w in policy.plans["week"].windows] == [
        ("arrival", 420, 480), ("class", 480, 960), ("dismissal", 960, 990),
    ]  # fmt: skip
    pupil = policy.credentials["uart-125k:0200000002"]
    assert (pupil.holder, pupil.grade, pupil.class_, pupil.line) == ("pupil-0002", "1", "1-2", 3)
    assert pupil.to_ms == 1_815_235_200_000  # the end of 2027-07-10 in Shanghai
    assert policy.pickups["guardian-1"].pupils == ("pupil-0001", "pupil-0002")
    assert policy.slips["q1"].from_ms == 1_789_954_200_000  # 2026-09-21 09:30 in Shanghai
    assert policy.roster[0].weekdays == (0, 1, 2, 3, 4)


def test_where_each_rule_stands_is_kept(tmp_path: Path) -> None:
    policy, _ = read(office(tmp_path))
    assert policy is not None
    assert policy.slips["q1"].source == "slips.csv:2"
    assert policy.plans["week"].windows[2].passages[0].source.startswith("plans.toml:")
    line = int(policy.plans["week"].windows[1].source.partition(":")[2])
    assert FILES["plans.toml"].splitlines()[line - 1] == "[[plan.window]]"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_come_as_spreadsheets_save_them(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = FILES["people.csv"].replace(",", delimiter).replace("\n", "\r\n")
    policy, found = read(office(tmp_path, people_csv=text.encode(encoding)))
    assert found == [] and policy is not None and len(policy.credentials) == 5


def test_english_headings_do_as_well(tmp_path: Path) -> None:
    text = FILES["people.csv"].replace(
        "卡号,编号,组别,年级,班级,截止日期,状态", "card,Holder,group,grade,class,to,state"
    )
    policy, found = read(office(tmp_path, people_csv=text))
    assert found == [] and policy is not None


PEOPLE = FILES["people.csv"]


@pytest.mark.parametrize(
    ("changes", "source", "what"),
    [
        ({"people_csv": PEOPLE + "0200000001,pupil-0009,pupil,1,,,\n"}, "people.csv:7", "is there twice"),
        ({"people_csv": PEOPLE.replace("0200000002", "2.00E+08")}, "people.csv:3", "spreadsheet rounded"),
        ({"people_csv": PEOPLE.replace("0200000002", "200000002")}, "people.csv:3", "no card number"),
        ({"people_csv": PEOPLE.replace("2027-07-10", "2027-02-30")}, "people.csv:3", "is no date"),
        ({"people_csv": PEOPLE.replace("卡号", "卡")}, "people.csv:1", "no column “卡”"),
        ({"people_csv": PEOPLE.replace("组别,", "").replace(",pupil,", ",")}, "people.csv:1", "(组别) is missing"),
        ({"people_csv": PEOPLE.replace("0300000001,staff-1", "0300000001,")}, "people.csv:4", "holder is empty"),
        ({"people_csv": PEOPLE.replace(",staff,", ",stuff,")}, "people.csv:4", "no group named 'stuff'"),
        ({"people_csv": b"\xff\xff\x81"}, "people.csv:1", "neither UTF-8 nor GB18030"),
        ({"people_csv": b"PK\x03\x04rest"}, "people.csv", "is a spreadsheet"),
        ({"people_csv": ""}, "people.csv:1", "empty"),
        ({"slips_csv": FILES["slips.csv"].replace("pupil-0001", "pupil-77")}, "slips.csv:2", "pupil-77 is not a pupil"),
        ({"slips_csv": FILES["slips.csv"].replace("9:30,11:00", "11:00,9:30")}, "slips.csv:2", "ends before it starts"),
        ({"slips_csv": FILES["slips.csv"].replace("9:30", "halb zehn")}, "slips.csv:2", "no time of day"),
        ({"roster_csv": FILES["roster.csv"].replace("1-5", "daily")}, "roster.csv:2", "no list of weekdays"),
        ({"plans_toml": FILES["plans.toml"].replace('end = "08:00"', 'end = "06:00"')}, "plans.toml:", "ends before"),
        ({"plans_toml": FILES["plans.toml"] + "= 3"}, "plans.toml", "not TOML"),
        ({"calendar_toml": FILES["calendar.toml"] + '[[special]]\ndate = 2026-10-01\nplan = "week"\n'},
         "calendar.toml:", "a plan for 2026-10-01 is there twice"),
        ({"calendar_toml": FILES["calendar.toml"].replace('vacation = "closed"', 'vacation = "shut"')},
         "calendar.toml:", "no day plan named 'shut'"),
        ({"calendar_toml": None}, "calendar.toml", "missing"),
        ({"policy_toml": FILES["policy.toml"].replace("[rules]", "[rulez]")}, "policy.toml", "no part named “rulez”"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, changes: dict[str, str | bytes | None], source: str, what: str
) -> None:
    policy, found = read(office(tmp_path, **changes))
    assert policy is None
    assert any(one.source.startswith(source) and what in one.what for one in found), found
    assert all(one.cure for one in found)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    people = PEOPLE.replace("0200000001,", "12,").replace("2027-07-10", "soon")
    slips = FILES["slips.csv"].replace("9:30", "x")
    _, found = read(office(tmp_path, people_csv=people, slips_csv=slips, plans_toml="[["))
    assert {one.source.partition(":")[0] for one in found} >= {"people.csv", "slips.csv", "plans.toml"}
