"""`menwei report verify`: a report that was changed, or whose journal was, is told."""

from __future__ import annotations

import sqlite3
import zipfile
from pathlib import Path

import openpyxl
import pytest
from report_scenes import Story, journal, site_in

from agent import cli
from agent.journal.keys import BoxKey
from hardware import places
from hardware.site import Site


@pytest.fixture
def story(tmp_path: Path) -> Story:
    story = Story(site_in(tmp_path)).at("08-15 12:00").start()
    story.at("09-07 15:00").add("panic.pressed", "button:office", button="office", drill=False, edge_ns=1, seen=True)
    story.at("09-12 12:00").add("access.unauthorised_exit", "door:wicket", door="wicket", holder="p-9", why="banned")
    return story.write()


def made(site: Site, *more: str, suffix: str = "html") -> Path:
    folder = Path(site.folder) / "out"
    config = f"{site.folder}/gatebox.toml"
    line = ["report", "--month", "2026-09", "--out", str(folder), "--config", config, "--lang", "zh_CN"]
    assert cli.main([*line, "--format", suffix, *more]) == 0
    return next(folder.glob(f"*.{suffix}"))


def verify(site: Site, file: Path, *more: str) -> int:
    return cli.main(["report", "verify", str(file), "--config", f"{site.folder}/gatebox.toml", *more])


def test_an_unchanged_report_holds_also_when_the_journal_went_on(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    file = made(story.site)
    assert verify(story.site, file) == 0
    story.at("10-07 15:00").add("panic.pressed", "button:office", button="office", drill=False, edge_ns=1, seen=True)
    story.epoch = 2
    story.add("box.new_epoch", "box", epoch=2, why="test")
    story.write()
    key = places.storage_dir(story.site) / "journal.pub"
    assert verify(story.site, file, "--key", str(key)) == 0
    assert "says what the journal says" in capsys.readouterr().out


def test_a_figure_changed_on_the_report_is_told_with_its_line(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    file = made(story.site)
    text = file.read_text("utf-8")
    changed = text.replace("学生违规离校", "请假条已使用", 1)
    assert changed != text
    file.write_text(changed, "utf-8")
    assert verify(story.site, file) == 1
    told = capsys.readouterr().out
    assert "is not what the journal says" in told and "学生违规离校" in told


def test_a_workbook_can_be_checked_and_says_which_sheet_was_changed(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    file = made(story.site, suffix="xlsx")
    assert verify(story.site, file) == 0
    assert "says what the journal says" in capsys.readouterr().out
    assert openpyxl.load_workbook(file).worksheets[-1].sheet_state == "veryHidden"
    with zipfile.ZipFile(file) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    changed = [name for name, data in parts.items() if "学生违规离校".encode() in data and "sheet11" in name]
    assert len(changed) == 1
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as book:
        for name, data in parts.items():
            book.writestr(name, data)
    assert verify(story.site, file) == 0, "packed otherwise is not written otherwise"
    with zipfile.ZipFile(file, "w") as book:
        for name, data in parts.items():
            was = "学生违规离校".encode()
            book.writestr(name, data.replace(was, "请假条已使用".encode()) if name in changed else data)
    capsys.readouterr()
    assert verify(story.site, file) == 1
    assert "the sheet “例外” is not what the journal says" in capsys.readouterr().out


def test_a_workbook_that_an_office_program_saved_anew_is_told(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    file = made(story.site, suffix="xlsx")
    openpyxl.load_workbook(file).save(file)
    assert verify(story.site, file) == 1
    assert "saved it anew" in capsys.readouterr().out


@pytest.mark.parametrize("seal", ["html", "xlsx"])
def test_every_single_table_is_held_to_the_report_beside_it(
    story: Story, capsys: pytest.CaptureFixture[str], seal: str
) -> None:
    file = made(story.site, "--format", f"csv,{seal}", suffix="csv")
    tables = sorted(file.parent.glob("*.csv"))
    assert len(tables) > 20
    for table in (tables[0], next(file.parent.glob("*-duty-log.csv")), next(file.parent.glob("*-exceptions.csv"))):
        assert verify(story.site, table) == 0, table
    text = table.read_text("utf-8-sig")
    assert "学生违规离校" in text
    table.write_bytes(text.replace("学生违规离校", "请假条已使用").encode("utf-8-sig"))
    assert verify(story.site, table) == 1
    assert "line 2 is not what the journal says" in capsys.readouterr().out
    next(file.parent.glob(f"*.{seal}")).unlink()
    assert verify(story.site, tables[0]) == 1
    assert "lay the report it came with" in capsys.readouterr().out


def test_a_journal_that_was_rewritten_is_told(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    file = made(story.site)
    with sqlite3.connect(journal(story.site)) as connection:
        connection.execute("UPDATE record SET body = CAST(replace(body, 'p-9', 'p-8') AS BLOB)")
    connection.close()
    assert verify(story.site, file) == 1
    assert "was changed after it was written" in capsys.readouterr().out


def test_another_box_s_key_does_not_pass(story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = made(story.site)
    (tmp_path / "other.pub").write_bytes(BoxKey.generate().public_pem())
    assert verify(story.site, file, "--key", str(tmp_path / "other.pub")) == 1
    assert "not signed with this key" in capsys.readouterr().out


@pytest.mark.parametrize("data", [b"", b"<html>", b"\xff\xfe", b'<meta name="menwei-report" content="{}">'])
def test_what_is_no_report_is_told(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    for name in ("x.html", "x.xlsx"):
        (tmp_path / name).write_bytes(data)
        assert verify(story.site, tmp_path / name) == 1
    assert "its seal is missing or broken" in capsys.readouterr().out


def test_a_school_s_own_form_can_be_checked_if_it_keeps_the_seal(story: Story, tmp_path: Path) -> None:
    form = tmp_path / "form.html"
    form.write_text('<meta name="menwei-report" content="{{ seal }}">{{ figures.head.records }}', "utf-8")
    file = made(story.site, "--template", str(form))
    assert verify(story.site, file, "--template", str(form)) == 0
    form.write_text('<meta name="menwei-report" content="{{ seal }}">{{ figures.head.evicted }}', "utf-8")
    assert verify(story.site, file, "--template", str(form)) == 1


def test_files_that_are_not_there_are_told(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(story.site, Path("/nowhere.html")) == 2
    assert "/nowhere.html: there is no such file" in capsys.readouterr().err
