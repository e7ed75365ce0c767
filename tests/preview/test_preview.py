"""The day told beforehand, and a card's answer told with its rule: both from the core's own decisions."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest

from agent import assembly, cli, muster
from agent.core.calendar import Shift
from agent.core.policy import Policy
from agent.picture.guard import Inside
from agent.policy.command import from_folder
from agent.policy.names import NameTable
from agent.policy.sources import Folder
from agent.preview import day as days
from agent.preview import explain, svg
from agent.preview.words import LANGUAGES, TEXTS, Words
from agent.site_rules import rules_of
from agent.web.words import WHY
from hardware import loader

SITES = Path(loader.__file__).parent / "sites"
SCHOOL, SITE = SITES / "demo-school", SITES / "demo.toml"
EN, ZH = Words("en"), Words("zh_CN")
WHERE = ("--at", "10:00", "--config", str(SITE), "--policy", str(SCHOOL))


@pytest.fixture(scope="module")
def policy() -> Policy:
    made, _, found = from_folder(SCHOOL, 1, 1)
    assert made is not None, found
    return made


def menwei(*words: str) -> int:
    return cli.main(list(words))


def test_a_day_is_told_with_who_passes_and_where_it_is_written(policy: Policy) -> None:
    seen = days.view(policy, date(2026, 9, 21), ZH)
    assert (seen.plan, seen.because) == ("week", "weekday")
    first = seen.windows[0]
    assert (first.start, first.peak, first.bollards) == (410, True, "up")
    assert first.gate[0] == "main: 柱升起（由人操作）"
    assert first.who == ("进: 学生, 家长, 外包人员",)
    line = int(first.source.partition(":")[2])
    assert (SCHOOL / "plans.toml").read_text("utf-8").splitlines()[line - 1] == "[[plan.window]]"
    assert "上午课" in days.table(seen, ZH)


def test_a_special_day_a_vacation_and_a_day_nobody_settled_say_so(policy: Policy) -> None:
    assert days.view(policy, date(2026, 10, 1), EN).label == "休息日 · 国庆节"
    assert days.view(policy, date(2026, 10, 10), EN).plan == "week"  # a Saturday of work
    assert days.view(policy, date(2027, 2, 1), EN).because == "vacation"
    unsettled = days.view(policy, date(2028, 3, 1), EN)
    assert unsettled.because == "unsettled" and "WARNING" in unsettled.warnings[0]


def test_a_shifted_day_is_told_shifted(policy: Policy) -> None:
    seen = days.view(policy, date(2026, 9, 21), EN, "", (Shift(900, 30),))
    assert [entry.start for entry in seen.windows if entry.kind == "dismissal"] == [970, 1000, 1030]
    assert "from 15:00 on 30 min later" in seen.notes
    earlier = days.view(policy, date(2026, 9, 21), ZH, "", (Shift(660, -60),))  # the pick-up can only begin at once
    assert "自11:00起提前 60 分钟" in earlier.notes and "11:00–17:20 家长接送" in earlier.notes[1]


@pytest.mark.parametrize("w", [EN, ZH], ids=LANGUAGES)
def test_the_picture_is_whole_for_every_kind_of_day(policy: Policy, w: Words) -> None:
    for day in (date(2026, 9, 21), date(2026, 10, 1), date(2027, 1, 22), date(2026, 11, 12)):
        root = ElementTree.fromstring(svg.draw(days.view(policy, day, w), w))
        assert root.tag.endswith("svg")
        assert len(root.findall("{*}rect")) > len(days.view(policy, day, w).windows)


def test_no_two_hours_are_written_over_each_other(policy: Policy) -> None:
    """A closed day has one window of 24 hours: there the last hour takes the room of the one before."""
    w = Words("en")
    whole = svg.draw(days.view(policy, date(2026, 11, 28), w), w)
    assert ">22:00<" in whole and ">23:00<" not in whole and ">24:00<" in whole
    short = svg.draw(days.view(policy, date(2026, 11, 25), w), w)
    assert ">07:00<" in short


def test_every_text_is_there_in_both_languages() -> None:
    assert all(len(pair) == 2 and all(pair) for pair in TEXTS.values())


@pytest.mark.parametrize(
    ("card", "reader", "at", "granted", "opens", "why", "rule"),
    [
        ("0200000009", "turnstile-out", "2026-09-21T10:15", False, False, "class_hours", "上午课"),
        ("0200000009", "wicket-out", "2026-09-21T10:15", False, True, "class_hours", "上午课"),
        ("0200000009", "turnstile-out", "2026-09-21T15:50", True, True, "", "一二年级放学"),
        ("0200000009", "wicket-in", "2026-09-21T07:30", True, True, "", "早到校"),
        ("0200000009", "wicket-in", "2026-10-01T07:30", False, False, "door_closed", "全天关闭"),
        ("0100A1B2C4", "wicket-in", "2026-10-01T03:00", True, True, "", "not_bound"),
        ("0999999999", "wicket-in", "2026-09-21T07:30", False, False, "unknown", ""),
        ("020F000001", "wicket-in", "2026-09-21T07:30", False, False, "banned", "card"),
    ],
)
def test_an_answer_names_the_rule(
    policy: Policy, card: str, reader: str, at: str, granted: bool, opens: bool, why: str, rule: str
) -> None:
    site, _ = loader.load(SITE)
    assert site is not None
    found = explain.answer(policy, rules_of(site), card, reader, explain.moment(at, 480))
    assert (found.granted, found.opens, found.why, found.rule) == (granted, opens, why, rule)
    assert found.source or why == "unknown"
    assert not why or why in WHY
    assert explain.told(found, ZH, "…")


def test_an_answer_of_the_files_alone_is_no_plain_yes(policy: Policy) -> None:
    site, _ = loader.load(SITE)
    assert site is not None
    found = explain.answer(policy, rules_of(site), "0200000009", "wicket-in", explain.moment("2026-09-21T07:30", 480))
    assert (found.granted, found.basis) == (True, "files")
    assert found.left_out == ("lockdown", "wrong_tries", "clock", "gate")
    for w in (EN, ZH):
        lines = explain.told(found, w, "").splitlines()
        assert w.say("granted") not in lines and w.say("granted_unless") in lines
        assert [w.say(f"left_{name}") in line for name, line in zip(found.left_out, lines[-4:], strict=True)] == [
            True
        ] * 4


def test_an_answer_has_no_words_of_the_program_in_it(policy: Policy) -> None:
    site, _ = loader.load(SITE)
    assert site is not None
    at = explain.moment("2026-09-21T10:15", 480)
    teacher = explain.answer(policy, rules_of(site), "0100A1B2C4", "wicket-in", at)
    assert explain.told(teacher, ZH, "").splitlines()[0].endswith("，教职工")
    assert "规则：该组别不受时段限制 (people.csv:" in explain.told(teacher, ZH, "")


@pytest.mark.parametrize("text", ["yesterday", "25:00", "2026-13-01T10:00", ""])
def test_a_time_that_is_none_is_told(text: str) -> None:
    with pytest.raises(explain.Misasked, match="is no time"):
        explain.moment(text, 480)


def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert menwei("preview", "--date", "2026-09-21", "--policy", str(SCHOOL), "--json") == 0
    assert json.loads(capsys.readouterr().out)["plan"] == "week"
    assert menwei("preview", "--date", "2026-09-21", "--policy", str(SCHOOL), "--svg", str(tmp_path / "d.svg")) == 0
    assert (tmp_path / "d.svg").read_text("utf-8").startswith("<svg")
    where = ("--config", str(SITE), "--policy", str(SCHOOL), "--lang", "zh_CN")
    capsys.readouterr()
    assert (
        menwei("explain", "--card", "0200000009", "--reader", "turnstile-out", "--at", "2026-09-21T10:15", *where) == 0
    )
    assert "拒绝: 上课时间，学生不得离校" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("preview", "--date", "soon", "--policy", str(SCHOOL)), "is no date"),
        (("preview", "--date", "2026-09-21", "--policy", "/no/such"), "is not there"),
        (("preview", "--date", "2026-09-21", "--config", str(SITE)), "no school policy is in force"),
        (("explain", "--card", "12", "--reader", "door", *WHERE), "there is no reader “door”"),
        (("explain", "--card", "so", "--reader", "guard", *WHERE), "is no card number"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_told(words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert menwei(*words) == 2
    assert told in capsys.readouterr().err


# ── the muster list ────────────────────────────────────────────────────────────────────────────────────────────────


def pupil(number: int, grade: str, class_: str) -> Inside:
    return Inside(f"pupil-{number}", "pupil", 0, grade, class_)


INSIDE = (
    pupil(1, "1", "1-10"), pupil(2, "1", "1-2"), pupil(3, "", ""), pupil(4, "1", "1-2"), pupil(5, "三", "三(1)班"),
    pupil(6, "二", "二(1)班"), Inside("staff-1", "staff", 1_789_956_000_000),
)  # fmt: skip


def test_the_list_is_counted_class_by_class() -> None:
    """A teacher counts one class: pupils first, 2 before 10, 二 before 三, those without a class last of them."""
    found = [(part.kind, part.label, [one.holder for one in part.people]) for part in assembly.sections(INSIDE)]
    assert found == [
        ("pupil", "1-2", ["pupil-2", "pupil-4"]), ("pupil", "1-10", ["pupil-1"]), ("pupil", "二(1)班", ["pupil-6"]),
        ("pupil", "三(1)班", ["pupil-5"]), ("pupil", "", ["pupil-3"]), ("staff", "", ["staff-1"]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("grade", "class_", "called"),
    [
        ("1", "1-2", "1-2"), ("1", "2", "1 2"), ("1", "12", "1 12"), ("1", "1", "1 1"), ("7", "", "7"),
        ("一年级", "一年级2班", "一年级2班"), ("一", "一(2)班", "一(2)班"), ("1", "1年级2班", "1年级2班"),
        ("1", "1班", "1 1班"), ("", "3班", "3班"),
    ],
)  # fmt: skip
def test_a_class_is_called_so_that_no_two_are_one(grade: str, class_: str, called: str) -> None:
    assert assembly.class_name(grade, class_) == called


def test_the_list_is_for_the_eye_and_for_paper() -> None:
    site, _ = loader.load(SITE)
    assert site is not None
    parts = muster.listed(INSIDE, NameTable({"pupil-2": "赵一<b>"}), site)
    told = muster.text(parts, "2026-09-21 10:00", "zh_CN").splitlines()
    assert told[0] == "在校名单，时间 2026-09-21 10:00: 7" and told[1:3] == ["  学生: 6", "  教职工: 1"]
    assert told[3] == "学生 1-2: 2" and told[4].strip() == "赵一<b>" and "学生（班级未知）: 1" in told
    assert told[-2:] == ["教职工: 1", "  staff-1  09-21 10:00"]
    page = muster.page(parts, "2026-09-21 10:00", "东方小学", "zh_CN")
    assert page.count("☐") == 7 and "赵一&lt;b&gt;" in page and "<b>" not in page
    assert "<h2>学生 1-2: 2</h2>" in page and page.count("<h2>") == 6
    assert page.count("<section>") == page.count("</section>") == 6, (
        "a class is one piece of paper, to hand to its teacher"
    )
    data = json.loads(muster.as_json(parts, "2026-09-21 10:00"))
    assert data["counts"] == {"pupil": 6, "staff": 1} and data["classes"]["1-2"] == 2
    assert data["inside"][0] == ["pupil", "赵一<b>", "", "1-2"]


def test_names_need_their_key_and_their_absence_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    site, _ = loader.load(SITE)
    assert site is not None
    assert muster.name_table(site).name("pupil-0001") == "pupil-0001"
    assert "names cannot be shown" in capsys.readouterr().err
    assert Folder(SCHOOL).names()["pupil-0001"] == "钱松零零零一"
