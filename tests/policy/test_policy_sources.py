"""An office's files: what they say, and every mistake named with file, line and cure, all at once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from policy_files import FILES, office

from agent.core.calendar import day_of
from agent.core.policy import Contradiction, Policy
from agent.policy import values, words
from agent.policy.command import from_folder
from agent.policy.sources import Folder

PEOPLE = FILES["people.csv"]


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
    assert policy.slips["q1"].reason == "illness"
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


def test_lines_may_end_as_an_old_mac_ends_them(tmp_path: Path) -> None:
    policy, found = read(office(tmp_path, people_csv=PEOPLE.replace("\n", "\r").encode()))
    assert found == [] and policy is not None and len(policy.credentials) == 5


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1-5", "01234"), ("周一至周五", "01234"), ("星期六到星期日", "56"), ("一三五", "024"), ("周二、周四", "13"),
        ("1;3,7", "026"), ("", "0123456"), ("周一", "0"), ("5-1", ""), ("8", ""), ("0", ""), ("5月1日", ""),
        ("１-５", ""),
    ],
)  # fmt: skip
def test_days_of_the_week_as_people_write_them(text: str, days: str) -> None:
    if days:
        assert "".join(map(str, values.weekdays(text))) == days
    else:
        with pytest.raises(values.BadValue, match="no list of weekdays"):
            values.weekdays(text)


def test_english_headings_do_as_well(tmp_path: Path) -> None:
    text = FILES["people.csv"].replace(
        "卡号,编号,组别,年级,班级,截止日期,状态", "card,Holder,group,grade,class,to,state"
    )
    policy, found = read(office(tmp_path, people_csv=text))
    assert found == [] and policy is not None


def test_a_card_whose_hex_digits_look_like_a_rounded_number_is_a_card(tmp_path: Path) -> None:
    policy, found = read(office(tmp_path, people_csv=PEOPLE.replace("0200000002", "9E07183440")))
    assert found == [] and policy is not None
    assert any("9E07183440" in card for card in policy.credentials)


@pytest.mark.parametrize(
    ("changes", "source", "what"),
    [
        ({"people_csv": PEOPLE + "0200000001,pupil-0009,pupil,1,,,\n"}, "people.csv:7", "is there twice"),
        ({"people_csv": PEOPLE.replace("0200000002", "2.00E+08")}, "people.csv:3", "spreadsheet rounded"),
        ({"people_csv": PEOPLE.replace("0200000002", "200000002")}, "people.csv:3", "no card number"),
        ({"people_csv": PEOPLE.replace("2027-07-10", "2027-02-30")}, "people.csv:3", "is no date"),
        ({"people_csv": PEOPLE.replace("卡号", "卡")}, "people.csv:1", "no column “卡”"),
        ({"people_csv": PEOPLE.replace("组别,", "").replace(",pupil,", ",")}, "people.csv:1", "(组别) is missing"),
        ({"people_csv": PEOPLE.replace("0300000001,staff-1", "0300000001,")}, "people.csv:4", "holder (编号) is empty"),
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
    assert all(_is_translated(one) for one in found), found


CALENDAR, PLANS, POLICY = FILES["calendar.toml"], FILES["plans.toml"], FILES["policy.toml"]


@pytest.mark.parametrize(
    ("changes", "source", "what", "cure"),
    [
        ({"calendar_toml": CALENDAR.replace(', sun = "closed"', "")},
         "calendar.toml:5", "no day plan for sun", "sun ="),
        ({"calendar_toml": CALENDAR.replace("[[term]]", "[term]")}, "calendar.toml:7", "several times", "[[…term]]"),
        ({"calendar_toml": CALENDAR.replace("2026-10-01", "2026-10-1")}, "calendar.toml:13", "not TOML", "2026-9-1"),
        ({"plans_toml": PLANS.replace("window.passage]", "window.passages]", 1)},
         "plans.toml:6", "no key “passages”", "passage,"),
        ({"plans_toml": PLANS + "[[plan.windows]]\n"}, "plans.toml:29", "no key “windows”", "write window,"),
        ({"plans_toml": PLANS + "[[passage]]\n"}, "plans.toml:31", "no part named “passage”", "plan"),
        ({"plans_toml": PLANS.replace("peak", "paek")}, "plans.toml:6", "no key “paek”", "peak"),
        ({"plans_toml": PLANS.replace('"out"', '"exit"')}, "plans.toml:24", "direction: 'exit'", "'both', 'in', 'out'"),
        ({"plans_toml": PLANS.replace('["1"]', "[1]")}, "plans.toml:24", "grades must be a text", "in quotes"),
        ({"plans_toml": PLANS.replace('["1"]', '"1"')}, "plans.toml:24", "grades must be a list", "in brackets"),
        ({"plans_toml": PLANS.replace('start = "7:00"', "")}, "plans.toml:6", "start: “” is no time", "07:30"),
        ({"plans_toml": PLANS.replace('"平日"', "“平日”")}, "plans.toml:4", "not TOML", "quotes"),
        ({"plans_toml": "# later\n"}, "plans.toml", "no day plan in this file", "[[plan]]"),
        ({"policy_toml": POLICY.replace('site = "dongfang-primary"', "")},
         "policy.toml:1", "site is missing", "site ="),
        ({"policy_toml": POLICY.replace('kind = "pupil"', 'kind = "child"')},
         "policy.toml:5", "kind: 'child'", "'pupil'"),
        ({"policy_toml": POLICY + "pair_s = 0\n"}, "policy.toml:34", "pair_s cannot be 0", "from 1"),
        ({"policy_toml": POLICY + 'pair_s = "60"\n'},
         "policy.toml:34", "pair_s must be a whole number", "without quotes"),
        ({"policy_toml": None}, "policy.toml", "missing", "copy"),
        ({"people_csv": None}, "people.csv", "missing", "export"),
        ({"people_csv": PEOPLE.partition("\n")[0]}, "people.csv:1", "nobody", "export"),
        ({"people_csv": PEOPLE.encode("utf-16-le")}, "people.csv:1", "neither UTF-8 nor", "CSV UTF-8"),
        ({"people_csv": PEOPLE.replace("班级", "年级")}, "people.csv:1", "“年级” is there twice", "remove"),
        ({"people_csv": PEOPLE.replace("staff-1", '"staff-1')}, "people.csv:4", "to line 6", "quotation mark"),
        ({"people_csv": PEOPLE.replace("0200000001", "12")}, "people.csv:2", "no card number", "ten hex digits"),
        ({"people_csv": PEOPLE.replace(",guard,", ",gard,")}, "people.csv:5", "no group named 'gard'", "guard"),
        ({"people_csv": PEOPLE.replace("-0002,pupil,", "-0002,pupils,")}, "people.csv:3", "no group named", "pupil"),
        ({"pickups_csv": "家长,学生\nguardian-1,pupil-0001\nguardian-1,pupil-0002\n"},
         "pickups.csv:3", "twice", "apart by ;"),
        ({"slips_csv": FILES["slips.csv"].replace("病假", "王小明发烧")}, "slips.csv:2", "no reason for leave", "病假"),
        ({"roster_csv": FILES["roster.csv"].replace("1-5", "5-1")}, "roster.csv:2", "no list of weekdays", "1-5"),
    ],
)  # fmt: skip
def test_one_mistake_is_told_once_where_it_stands(
    tmp_path: Path, changes: dict[str, str | bytes | None], source: str, what: str, cure: str
) -> None:
    """Nobody is sent to pick-ups and slips because a line of people.csv could not be read."""
    policy, found = read(office(tmp_path, **changes))
    assert policy is None and len(found) == 1, found
    assert found[0].source == source and what in found[0].what and cure in found[0].cure, found
    assert _is_translated(found[0]), found


def _is_translated(one: Contradiction) -> bool:
    told = words.told(one, "zh_CN")
    return told.what != one.what and told.cure != one.cure


@pytest.mark.parametrize("name", ["slip.csv", "Slips.CSV", "slips.xlsx"])
def test_a_table_under_another_name_is_not_passed_over(tmp_path: Path, name: str) -> None:
    folder = office(tmp_path, slips_csv=None)
    (folder / name).write_text(FILES["slips.csv"], "utf-8")
    _, found = read(folder)
    (folder / "people.csv").rename(folder / "People.csv")
    assert [one.source for one in read(folder)[1]] == ["People.csv", name]  # and no word of pupils nobody knows
    assert [(one.source, one.cure) for one in found] == [(name, "save it as slips.csv")]
    assert _is_translated(found[0])


@pytest.mark.parametrize(
    ("names", "line", "what"),
    [
        (FILES["names.csv"] + "pupil-0001,孙三\n", 4, "pupil-0001 is there twice (first in names.csv:2)"),
        (FILES["names.csv"].replace("编号,姓名", "姓名,编号"), 2, "no code"),
    ],
)
def test_a_name_table_that_would_name_people_wrongly_is_refused(
    tmp_path: Path, names: str, line: int, what: str
) -> None:
    folder = Folder(office(tmp_path, names_csv=names))
    folder.names()
    assert folder.found[0].source == f"names.csv:{line}" and what in folder.found[0].what, folder.found


def test_a_rule_for_weekdays_and_vacations_is_found_on_its_line(tmp_path: Path) -> None:
    """However the table is written: `preview` sends people to that line."""
    policy, _ = read(office(tmp_path))
    assert policy is not None
    assert day_of(policy, date(2026, 9, 2)).source == "calendar.toml:5"
    assert day_of(policy, date(2027, 2, 2)).source == "calendar.toml:4"
    folder = tmp_path / "b"
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    table = "[weekdays]\n" + "".join(f'{day} = "{"closed" if day[0] == "s" else "week"}"\n' for day in days)
    head, _, rest = CALENDAR.partition("weekdays")
    policy, found = read(office(folder, calendar_toml=head + table + rest.partition("\n")[2]))
    assert policy is not None, found
    assert day_of(policy, date(2026, 9, 2)).source == "calendar.toml:8"  # a Wednesday


def test_what_is_no_date_is_told_once_on_its_line(tmp_path: Path) -> None:
    """In the office's words: what the reader of the wire form has against it is no other mistake."""
    text = FILES["calendar.toml"].replace("last = 2027-07-10", 'last = "soon"').replace("2026-10-01", '"2026-02-30"')
    _, _, found = from_folder(office(tmp_path, calendar_toml=text), 1, 1)
    last, special = (text.splitlines().index(line) + 1 for line in ('last = "soon"', "[[special]]"))
    assert [(one.source, one.what) for one in found] == [
        (f"calendar.toml:{last}", "“soon” is no date"),
        (f"calendar.toml:{special}", "“2026-02-30” is no date"),
    ]


def test_a_name_with_a_quotation_mark_is_told_in_chinese_too(tmp_path: Path) -> None:
    _, _, found = from_folder(office(tmp_path, roster_csv="岗位,保安,起,止\nga'te,guard-1,07:00,19:00\n"), 1, 1)
    assert [words.told(one, "zh_CN").what for one in found] == ["没有名为“ga'te”的岗位"]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    people = PEOPLE.replace("0200000001,", "12,").replace("2027-07-10", "soon")
    slips = FILES["slips.csv"].replace("9:30", "x")
    _, found = read(office(tmp_path, people_csv=people, slips_csv=slips, plans_toml="[["))
    assert {one.source.partition(":")[0] for one in found} >= {"people.csv", "slips.csv", "plans.toml"}
