"""`menwei policy`: what it prints, what it writes, and how it says no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from policy_files import FILES, keyed, office

from agent.core.people import index
from agent.policy import command


def made(folder: Path, out: Path, version: int = 5) -> int:
    return command.run(["make", str(folder), "--out", str(out), "--version", str(version)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = office(tmp_path / "office")
    keyed(folder)
    assert command.run(["key", "--names", str(folder / "names.key")]) == 0
    return folder


def test_a_bundle_is_made_and_shown(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.bundle"
    assert made(folder, out) == 0
    assert "version 5, 5 cards, 2 day plans" in capsys.readouterr().out
    assert "赵一一".encode() not in out.read_bytes()
    assert command.run(["show", str(out)]) == 0
    assert "cards: guards 1, guardians 1, pupils 2, staff 1" in capsys.readouterr().out
    assert command.run(["show", str(folder), "--lang", "zh_CN"]) == 0
    assert "卡：保安 1, 家长 1, 学生 2, 教职工 1" in capsys.readouterr().out


def test_the_difference_is_told_in_words(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "a.bundle", tmp_path / "b.bundle"
    made(folder, old, 5)
    people = FILES["people.csv"].replace("0300000001,staff-1,staff,,,,", "0300000001,staff-1,staff,,,,挂失")
    plans = FILES["plans.toml"].replace('end = "16:30"', 'end = "16:45"')
    office(folder, people_csv=people + "0200000003,pupil-0003,pupil,1,1-1,,\n", plans_toml=plans)
    made(folder, new, 6)
    capsys.readouterr()
    assert command.run(["diff", str(old), str(new), "--lang", "zh_CN"]) == 0
    told = capsys.readouterr().out
    assert "pupil：新增 1 张卡" in told and "staff：停用或挂失 1 张卡" in told
    assert "平日，dismissal：原 16:00–16:30，现 16:00–16:45" in told
    assert command.run(["diff", str(old), str(new), "--json"]) == 0
    assert "pupil: 1 cards more: pupil-0003" in json.loads(capsys.readouterr().out)["changes"]
    assert command.run(["diff", str(old), str(old)]) == 0
    assert "nothing changes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "was", "now", "told"),
    [
        ("policy.toml", 'doors = ["wicket"]', 'doors = []', "pupil: doors were wicket, are now —"),
        ("policy.toml", 'kind = "guardian"', 'kind = "guardian"\ntimetable = false',
         "guardian: the timetable no longer holds"),
        ("policy.toml", 'end = "17:30"', 'end = "18:00"', "pick-up times: were 16:00–17:30, are now 16:00–18:00"),
        ("policy.toml", "always = true", "peak = true", "posts: 0 more, 0 fewer, 1 changed"),
        ("calendar.toml", '"2027/1/22"', '"2027/1/15"',
         "terms: were 2026-09-01–2027-01-22, are now 2026-09-01–2027-01-15"),
        ("calendar.toml", 'vacation = "closed"', 'vacation = "week"', "days outside the terms: week (was closed)"),
        ("slips.csv", "11:00", "12:00", "leave slips: 0 more, 0 fewer, 1 changed: q1"),
        ("people.csv", "0200000002,pupil-0002,pupil,1,1-2", "0200000002,pupil-0002,pupil,1,1-1",
         "pupil: 1 cards with another class, door or validity: pupil-0002"),
        ("plans.toml", "peak = true", "", "平日, arrival: the gate was “peak: post manned”, is now “—”"),
        ("plans.toml", 'grades = ["1"]', 'grades = ["2"]',
         "平日, dismissal: who may pass was “out: pupils grade 1”, is now “out: pupils grade 2”"),
        ("plans.toml", 'kind = "class"', 'kind = "exam"', "平日, 上课: its kind, a door or its lanes have changed"),
        ("calendar.toml", 'wed = "week"', 'wed = "closed"', "Wednesday: closed (was week)"),
        ("roster.csv", "07:00", "06:00", "roster: 1 lines more, 1 fewer"),
    ],
)  # fmt: skip
def test_no_change_goes_untold(
    name: str, was: str, now: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert was in FILES[name]
    old, new = office(tmp_path / "old"), office(tmp_path / "new")
    (new / name).write_text(FILES[name].replace(was, now, 1), "utf-8")
    assert command.run(["diff", str(old), str(new)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith(told), lines


def test_who_may_fetch_whom_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = office(tmp_path / "old")
    new = office(tmp_path / "new", pickups_csv="家长,学生\nguardian-1,pupil-0001\n")
    assert command.run(["diff", str(old), str(new), "--lang", "zh_CN"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "接送名单：新增 0，减少 0，变更 1: guardian-1", "guardian-1 可接 pupil-0001（原为 pupil-0001, pupil-0002）",
    ]  # fmt: skip


def test_a_new_school_year_is_still_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = "".join(f"02000001{number:02d},pupil-01{number:02d},pupil,1,1-1,,\n" for number in range(30))
    old, new = office(tmp_path / "old"), office(tmp_path / "new", people_csv=FILES["people.csv"] + more)
    assert command.run(["diff", str(old), str(new)]) == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.startswith("pupil: 30 cards more: pupil-0100, pupil-0101,") and line.endswith("… and 22 more")


def test_of_two_bundles_the_damaged_one_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, cut = tmp_path / "good.bundle", tmp_path / "cut.bundle"
    made(folder, good)
    cut.write_bytes(good.read_bytes()[:-9])
    assert command.run(["diff", str(good), str(cut)]) == 2
    assert f"{cut}: the " in capsys.readouterr().err


def test_a_version_that_would_shut_out_all_others_is_a_slip_of_the_pen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.bundle"
    for version in (-1, 10**14, 10**30):
        assert made(folder, out, version) == 2 and not out.exists()
        assert "a version is a number from 0 to" in capsys.readouterr().err
    assert made(folder, out, 20261128175200) == 0


def test_two_windows_of_one_name_are_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = FILES["plans.toml"].replace('kind = "dismissal"', 'kind = "arrival"')
    old = office(tmp_path / "old", plans_toml=twice)
    new = office(tmp_path / "new", plans_toml=twice.replace('start = "7:00"', 'start = "6:45"'))
    assert command.run(["diff", str(old), str(new)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["平日, arrival: was 07:00–08:00, is now 06:45–08:00"]


def test_mistakes_in_the_names_are_told_with_all_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    office(
        folder, names_csv=FILES["names.csv"] + "pupil-0001,孙三\n", slips_csv=FILES["slips.csv"].replace("9:30", "x")
    )
    assert command.run(["make", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "slips.csv:2: “x” is no time" in told and "names.csv:4: pupil-0001 is there twice" in told


def test_mistakes_are_told_and_nothing_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office(folder, people_csv=FILES["people.csv"].replace("0200000002", "2E+08"))
    out = tmp_path / "a.bundle"
    assert made(folder, out) == 2 and not out.exists()
    assert "people.csv:3: “2E+08” was a card number" in capsys.readouterr().err
    assert command.run(["make", str(folder), "--lang", "zh_CN"]) == 2
    assert capsys.readouterr().err == (
        "people.csv:3: “2E+08”原是卡号，被电子表格四舍五入了\n    → 请将该列设为文本格式\n1 处错误：未作任何更改\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["make", "/no/such/folder"],
        ["show", __file__],
        ["diff", __file__, __file__],
        ["apply"],
        ["apply", "--stick", "/proc"],
    ],
)
def test_misuse_is_told_and_raises_nothing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(words) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_a_key_it_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["make", str(office(tmp_path / "o"))]) == 2
    assert "menwei policy key" in capsys.readouterr().err


def test_a_key_is_never_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["key", str(folder / "office.key")]) == 2
    assert command.run(["key", str(folder / "new.key")]) == 0
    assert (folder / "new.pub").exists()


def test_the_newest_bundle_of_a_stick_is_found(folder: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    assert command.newest_on(stick) is None
    for version in (5, 9, 7):
        made(folder, stick / f"menwei-x-{version}.bundle", version)
    (stick / "menwei-broken.bundle").write_bytes(b"x")
    (stick / "menwei-link.bundle").symlink_to(stick / "menwei-x-5.bundle")
    with (stick / "menwei-huge.bundle").open("wb") as file:
        file.truncate(1 << 40)
    assert command.newest_on(stick) == stick / "menwei-x-9.bundle"


def test_a_stick_with_nothing_but_a_broken_bundle_brings_that_to_be_refused(tmp_path: Path) -> None:
    (tmp_path / "menwei-broken.bundle").write_bytes(b"x")
    assert command.newest_on(tmp_path) == tmp_path / "menwei-broken.bundle"


def test_a_window_for_a_grade_nobody_is_in_is_told_and_stops_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office(folder, plans_toml=FILES["plans.toml"].replace('grades = ["1"]', 'grades = ["1", "一", "7"]'))
    line = 1 + FILES["plans.toml"].splitlines().index('direction = "out"') - 1
    assert made(folder, tmp_path / "a.bundle") == 0
    told = capsys.readouterr().err
    for grade in ("一", "7"):
        assert f"plans.toml:{line}: look at this: dismissal of week is for grade {grade}, and no pupil is in it" in told
    assert told.count("plans.toml") == 2 and "pupils are in: 1\n" in told
    assert command.run(["make", str(folder), "--lang", "zh_CN", "--json", "--version", "6"]) == 0
    noticed = json.loads(capsys.readouterr().out)["remarks"]
    assert [one["what"] for one in noticed] == [
        "week 的 dismissal 针对 一 年级，但没有该年级的学生", "week 的 dismissal 针对 7 年级，但没有该年级的学生",
    ]  # fmt: skip
    assert command.run(["show", str(folder)]) == 0
    assert "no pupil is in it" in capsys.readouterr().err


def test_a_leave_slip_of_another_year_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = office(tmp_path / "o", slips_csv=FILES["slips.csv"].replace("2026-09-21", "2025-09-21"))
    assert command.run(["show", str(folder), "--lang", "zh_CN"]) == 0
    assert capsys.readouterr().err == (
        "slips.csv:2: 请注意：q1: 2025-09-21 超出校历（2026-09-01 至 2027-07-10）\n"
        "    → 请更正日期，或校历的 first 和 last\n"
    )


@pytest.mark.parametrize("grade", ["１", "1.0", ""])
def test_pupils_whom_no_window_lets_out_are_told(
    grade: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spreadsheet's 1.0, a wide １ or an empty cell: on no day would these children's cards open."""
    more = f"0200000009,pupil-0009,pupil,{grade},1-1,,\n0200000010,pupil-0010,pupil,{grade},1-1,,\n"
    assert command.run(["show", str(office(tmp_path / "o", people_csv=FILES["people.csv"] + more))]) == 0
    told = capsys.readouterr().err
    assert (
        f"people.csv:7: look at this: no window of any plan lets out grade {grade or 'none'}: pupils affected 2" in told
    )
    assert "windows are for: 1\n" in told and told.count("look at this") == 1
    assert command.run(["show", str(tmp_path / "o"), "--lang", "zh_CN"]) == 0
    assert "涉及学生 2 名" in capsys.readouterr().err


def test_a_school_without_windows_out_means_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = office(tmp_path / "o", plans_toml=FILES["plans.toml"].replace('direction = "out"', 'direction = "in"'))
    assert command.run(["show", str(folder)]) == 0 and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("0200000009,pupil-0001,guard,,,,", "people.csv:7: pupil-0001 is a guard here and a pupil in people.csv:2"),
        ("0200000009,staff-1,pupil,1,1-1,,", "people.csv:7: staff-1 is a pupil here and a staff in people.csv:4"),
        ("0200000009,pupil-0001,pupil,2,2-1,,", "people.csv:7: pupil-0001 is in grade 2 here and in 1 in people.csv:2"),
        ("0200000009,pupil-0001,guard,,,,挂失", "pupil-0001 is a guard here"),  # a lost card still opens the way out
    ],
)  # fmt: skip
def test_a_pupil_is_nothing_else(more: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = office(tmp_path / "o", people_csv=FILES["people.csv"] + more + "\n")
    assert command.run(["make", str(folder)]) == 2
    assert told in capsys.readouterr().err
    assert command.run(["make", str(folder), "--lang", "zh_CN"]) == 2
    out = capsys.readouterr().err
    assert "pupil-0001 在此处是" in out or "staff-1 在此处是学生，在 people.csv:4 是教职工" in out


def test_a_person_may_have_several_cards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second one of the same kind, a teacher who is a parent, a lost one with last year's grade, and a pupil's that
    ends before the same person comes as a guardian."""
    head = "card,holder,group,grade,class,to,state,from\n"
    rows = FILES["people.csv"].partition("\n")[2].replace("\n", ",\n")
    more = (
        "0200000009,pupil-0001,pupil,1,1-1,,,\n"
        "0200000010,guardian-1,staff,,,,,\n"
        "0200000011,pupil-0001,pupil,6,6-1,,lost,\n"
        "0200000012,pupil-0002,guardian,,,,,2027-07-11\n"
    )
    folder = office(tmp_path / "o", people_csv=head + rows + more)
    assert command.run(["show", str(folder)]) == 0, capsys.readouterr().err
    office(folder, people_csv=head + rows + more.replace("2027-07-11", "2027-07-10"))
    assert command.run(["show", str(folder)]) == 2
    assert "people.csv:10: pupil-0002 is a guardian here" in capsys.readouterr().err


def test_the_pick_up_list_of_a_teacher_stands_whichever_card_comes_first(tmp_path: Path) -> None:
    for more in ("0200000010,guardian-1,staff,,,,\n", ""):
        head, _, rows = FILES["people.csv"].partition("\n")
        for people in (f"{head}\n{more}{rows}", f"{head}\n{rows}{more}"):
            policy, found = command.load(office(tmp_path / "o", people_csv=people))
            assert found == [] and policy is not None
            assert index(policy).counts == {"pupil": 2, "staff": 1 + bool(more), "guard": 1, "guardian": 1}
