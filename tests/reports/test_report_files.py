"""What a report looks like as files: both languages, CSV as Excel reads it, workbooks, the school's own form."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import socket
import threading
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from report_scenes import GUARD, Story, files, journal, ms, site_in

from agent import cli
from agent.journal.reader import JournalReader
from agent.reports import layout, page, sheets
from agent.reports.layout import Column, Speech, Table
from agent.reports.month import parse
from agent.reports.page import BadForm
from hardware import places
from hardware.site import Site

VISIT = "v-7f3a0c1d2e9k"
EVIL = "=HYPERLINK(0)"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A month with a little of everything in its journal, and a drill whose reason is a formula."""
    story = Story(site_in(tmp_path)).at("08-15 12:00").start()
    story.at("09-01 08:00").add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
    story.at("09-02 08:00").add("device.lost", "reader:guard", why="no answer")
    story.later(minutes=5).add("device.back", "reader:guard", lost_ms=300_000)
    story.at("09-03 10:00").add(
        "drill.started", "button:gatehouse", actor=GUARD, button="gatehouse", drill=True, minutes=5, reason=EVIL
    )
    story.later(seconds=9).add("panic.pressed", "button:gatehouse", button="gatehouse", drill=True, edge_ns=1)
    story.at("09-03 10:05").add("drill.ended", "button:gatehouse", button="gatehouse", drill=True, why="time")
    story.at("09-04 09:00").command(
        "visit_register",
        visit=VISIT,
        kind="visitor",
        host="h-1",
        purpose="meeting",
        minutes="60",
        door="wicket",
    )
    story.at("09-05 09:00").add(
        "access.unauthorised_exit", "door:wicket", door="wicket", holder="p-9", why="class_hours"
    )
    story.add("access.duress", "reader:wicket-in", holder="p-8", reader="wicket-in")
    story.add(
        "access.denied", "reader:turnstile-out", direction="out", holder="p-9", reader="turnstile-out", why="banned"
    )
    story.at("10-02 12:00").add("day.window", "day", peak=False, windows=[])
    return story.write().site


def laid_out(site: Site, language: str = "en", *, names: bool = True) -> tuple[Speech, tuple[Table, ...]]:
    month = parse("2026-09", Speech(language, site, names=names).zone, ms("12-01 00:00"))
    found = files.read(site, journal(site), month, ms("12-01 00:00"))
    speech = Speech(language, site, names=names)
    return speech, layout.tables(found, speech)


def html(site: Site, folder: Path, language: str = "en", *more: str) -> str:
    assert run(site, folder, "--format", "html", "--lang", language, *more) == 0
    return (folder / f"menwei-report-dongfang-primary-2026-09-{language}.html").read_text("utf-8")


def run(site: Site, folder: Path, *more: str) -> int:
    config = str(Path(site.folder) / "gatebox.toml")
    return cli.main(["report", "--month", "2026-09", "--out", str(folder), "--config", config, *more])


# ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_table_is_on_paper_with_its_title(site: Site, tmp_path: Path, language: str) -> None:
    text = html(site, tmp_path / "out", language)
    _, tables = laid_out(site, language)
    assert len({table.id for table in tables}) == len({table.short for table in tables}) == len(tables)
    for table in tables:
        assert f"{table.title}</h2>" in text, table.id
    assert 'src="' not in text and "href=" not in text and "url(" not in text and "<script" not in text


def test_the_chinese_report_holds_no_english_words_of_ours(site: Site) -> None:
    """Every title, column, note and word of a closed vocabulary comes from the catalogue."""
    _, chinese = laid_out(site, "zh_CN")
    _, english = laid_out(site, "en")
    for zh, en in zip(chinese, english, strict=True):
        assert zh.title != en.title and zh.short != en.short
        for one, other in zip(zh.columns, en.columns, strict=True):
            assert one.title != other.title, one.title
        assert all(re.search("[一-鿿]", note) for note in zh.notes), zh.notes


def test_the_head_names_the_signed_checkpoint_on_every_form(site: Site, tmp_path: Path) -> None:
    with JournalReader(journal(site)) as reader:
        newest = reader.checkpoint()
    assert newest is not None
    root = newest[2].decode().split("\n")[2]
    assert f"menwei/dongfang-primary/gate-1/1 · {newest[1]} · {root} · signature: good" in html(site, tmp_path / "o")
    assert run(site, tmp_path / "o", "--format", "xlsx", "--lang", "en") == 0
    book = openpyxl.load_workbook(tmp_path / "o" / "menwei-report-dongfang-primary-2026-09-en.xlsx")
    assert any(root in str(row[1].value) for row in book.worksheets[0].iter_rows())
    assert all(root in str(sheet.oddFooter.left.text) for sheet in book.worksheets[1:])


def test_a_camera_that_is_not_fitted_is_said(site: Site, tmp_path: Path) -> None:
    assert "Not fitted: this box takes no pictures" in html(site, tmp_path / "out")
    assert "未安装：本机不拍摄图像" in html(site, tmp_path / "out", "zh_CN")


def test_persons_can_be_left_blank_and_duress_is_then_not_told(site: Site, tmp_path: Path) -> None:
    whole = html(site, tmp_path / "out")
    assert all(word in whole for word in (GUARD, "p-9", "p-8", VISIT, "DURESS"))
    blank = html(site, tmp_path / "out", "en", "--blank-persons")
    assert not any(word in blank for word in (GUARD, "p-9", "p-8", VISIT, "h-1", "DURESS"))
    assert "Single persons are left blank" in blank and "PUPIL LEFT" in blank


# ── CSV ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_csv_opens_in_excel_s_manner(site: Site, tmp_path: Path) -> None:
    assert run(site, tmp_path / "out", "--format", "csv", "--lang", "zh_CN") == 0
    data = (tmp_path / "out" / "menwei-report-dongfang-primary-2026-09-zh_CN-device-log.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and data.endswith(b"\r\n")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0][0] == "序号" and len({len(row) for row in rows}) == 1
    assert rows[1][4:7] == ["2026-09-02 08:00:00", "2026-09-02 08:05:00", "5.0"]


@pytest.mark.parametrize("text", [EVIL, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "＝1", "\u3000=1"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    table = Table(id="x", title="x", short="x", columns=(Column("a"), Column("b", "count")), rows=((text, -5),))
    row = list(csv.reader(io.StringIO(sheets.to_csv(table, "No.").decode("utf-8-sig"), newline="")))[1]
    assert row == ["1", f"'{text}", "-5"]


# ── workbook ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_workbook_holds_numbers_times_and_no_formula(site: Site, tmp_path: Path) -> None:
    assert run(site, tmp_path / "out", "--format", "xlsx", "--lang", "en") == 0
    book = openpyxl.load_workbook(tmp_path / "out" / "menwei-report-dongfang-primary-2026-09-en.xlsx")
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    assert book["Drills"]["H4"].value == EVIL
    log = book["Device log"]
    assert log["E4"].value == datetime(2026, 9, 2, 8, 0) and log["G4"].value == 5.0
    assert book["Duty"]["B4"].value == datetime(2026, 9, 1) and book["Duty"]["D4"].value == 960.0
    assert log.print_title_rows == "$3:$3" and log.page_setup.paperSize == 9 and log.page_setup.fitToHeight == 0
    shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    assert len(shown) == len(laid_out(site)[1]) + 1 == len(book.worksheets) - 1


def test_a_workbook_takes_texts_that_begin_like_formulas_as_texts(tmp_path: Path) -> None:
    rows = tuple((text, date(2026, 9, 1), None) for text in (EVIL, "+1", "-1", "@A1", "{=1}", "http://x/"))
    columns = (Column("=a"), Column("b", "date"), Column("c", "count"))
    table = Table(id="x", title="=1+1", short="a[b]:*?/\\'" + "long" * 9, columns=columns, rows=rows, notes=("=2",))
    path = tmp_path / "x.xlsx"
    sheets.write_xlsx(path, "t", [("=n", "=v")], (table,), "No.", datetime(2026, 9, 1), "{}")
    sheet = openpyxl.load_workbook(path).worksheets[1]
    assert [sheet.cell(4 + at, 2).value for at in range(len(rows))] == [row[0] for row in rows]
    assert all(cell.data_type in ("s", "n", "d") for row in sheet.iter_rows() for cell in row)
    assert all(cell.hyperlink is None for row in sheet.iter_rows() for cell in row)


# ── the school's own form ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_form_of_the_school_s_own_gets_figures_and_tables(site: Site, tmp_path: Path) -> None:
    form = tmp_path / "form.html"
    form.write_text(
        "<h1>{{ site_name }} {{ month }}</h1>{{ figures.head.records }}|"
        "{% for row in tables['device-log'].rows %}{{ row[0]|shown('text') }}{% endfor %}|{{ facts[0][1] }}",
        "utf-8",
    )
    text = html(site, tmp_path / "out", "zh_CN", "--template", str(form))
    assert text == "<h1>东方小学 南门 2026-09</h1>10|读卡器“门卫室读卡器”|dongfang-primary / gate-1"


def test_the_site_file_names_the_form(site: Site, tmp_path: Path) -> None:
    config = Path(site.folder) / "gatebox.toml"
    config.write_text(config.read_text("utf-8") + '\n[reports]\ntemplate = "form.html"\n', "utf-8")
    (Path(site.folder) / "form.html").write_text("本校月报 {{ month }}\n", "utf-8")
    assert html(site, tmp_path / "out", "zh_CN") == "本校月报 2026-09\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a\nb\n{% if %}", 3, "Expected an expression"),
        ("a\n{{ nothing_of_that_name }}", 2, "is undefined"),
        ("\n\n\n{{ figures.nothing.more }}", 4, "no attribute 'nothing'"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
        ("\n{{ 1 / 0 }}", 2, "division by zero"),
        ("\n{% for i in range(10**9) %}{% endfor %}", 2, "Range too big"),
        ("\n{% include '/etc/passwd' %}", 2, "no loader"),
    ],
)
def test_a_mistake_in_a_form_is_told_with_its_line(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, what: str
) -> None:
    form = tmp_path / "form.html"
    form.write_text(text, "utf-8")
    assert run(site, tmp_path / "out", "--template", str(form)) == 2
    told = capsys.readouterr().err
    assert f"form.html, line {line}: " in told and what in told
    assert list((tmp_path / "out").iterdir()) == []


def test_a_form_that_is_no_text_or_far_too_large_is_refused(site: Site, tmp_path: Path) -> None:
    speech, tables = laid_out(site)
    found = files.read(site, journal(site), parse("2026-09", speech.zone, ms("12-01 00:00")), ms("12-01 00:00"))
    form = tmp_path / "form.html"
    for data, what in ((b"a\n\xff\xfe", "line 2: not UTF-8"), (b"x" * (page.MOST_BYTES + 1), "larger than 512 kB")):
        form.write_bytes(data)
        with pytest.raises(BadForm, match=what):
            page.render(found, tables, speech, page.seal(found, speech), form)


def test_what_the_journal_holds_is_text_on_the_page(site: Site, tmp_path: Path) -> None:
    speech, _ = laid_out(site)
    evil = Table(id="x", title="<b>", short="x", columns=(Column("<i>"),), rows=(("<script>",),), notes=("<u>",))
    found = files.read(site, journal(site), parse("2026-09", speech.zone, ms("12-01 00:00")), ms("12-01 00:00"))
    text = page.render(found, (evil,), speech, page.seal(found, speech))
    assert not any(tag in text for tag in ("<script>", "<i>", "<u>", "<b>"))


# ── the command ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_writes_all_by_default_and_says_what(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(site, tmp_path / "new" / "folder") == 0
    told = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(told) == sorted((tmp_path / "new" / "folder").iterdir())
    assert by_suffix(told) == {".html": 2, ".xlsx": 2, ".csv": 2 * len(laid_out(site)[1])}


def by_suffix(paths: list[Path]) -> dict[str, int]:
    return {suffix: sum(path.suffix == suffix for path in paths) for suffix in {path.suffix for path in paths}}


def test_a_look_is_a_record_where_the_box_runs(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[bytes] = []
    socket_path = places.control_socket(site)
    socket_path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(socket_path))
        served.listen()
        peer = threading.Thread(target=_answer_once, args=(served, asked))
        peer.start()
        assert run(site, tmp_path / "out", "--format", "html", "--lang", "en") == 0
        peer.join()
    assert json.loads(asked[0])["data"] == {"form": "html", "language": "en", "month": "2026-09"}
    assert capsys.readouterr().err == ""
    assert run(site, tmp_path / "out", "--format", "html", "--lang", "en") == 0
    assert "this look is not in the journal: nobody serves" in capsys.readouterr().err


def _answer_once(served: socket.socket, asked: list[bytes]) -> None:
    peer, _ = served.accept()
    with peer, peer.makefile("rwb") as lines:
        asked.append(lines.readline())
        lines.write(b'{"op":"done","ok":true,"records":[[1,2]]}\n')


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--month", "2026-13"], "is no month"),
        (["--month", "2999-01"], "has not begun"),
        (["--month", "2025-01"], "holds nothing of 2025-01: it begins 2026-08-15"),
        (["--format", "pdf"], "choose from html, csv, xlsx"),
        (["--format", ""], "choose from html, csv, xlsx"),
        (["--journal", "/nowhere/journal.db"], "/nowhere/journal.db: there is no journal here"),
        (["--template", "/nowhere/form.html"], "/nowhere/form.html: there is no such file"),
        (["--out", "/proc/nowhere"], "/proc/nowhere"),
        (["--out", "/dev/null"], "/dev/null"),
    ],
)
def test_what_cannot_be_is_told_in_field_words(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], what: str
) -> None:
    assert run(site, tmp_path / "out", *more) == 2
    told = capsys.readouterr().err
    assert what in told and "Traceback" not in told


def test_a_copy_is_told_of_and_nothing_is_left_beside_it(site: Site, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "journal.db"
    copy.parent.mkdir()
    shutil.copy(journal(site), copy)
    before = copy.read_bytes()
    assert run(site, tmp_path / "out", "--journal", str(copy), "--format", "html") == 0
    assert list(copy.parent.iterdir()) == [copy] and copy.read_bytes() == before
    text = next((tmp_path / "out").glob("*-en.html")).read_text("utf-8")
    assert "signature: not checked: no public key at hand" in text


def test_no_journal_and_a_broken_one_are_told(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = journal(site)
    path.write_bytes(b"garbage" * 1000)
    assert run(site, tmp_path / "out") == 2
    assert "the journal cannot be read" in capsys.readouterr().err
    path.unlink()
    assert run(site, tmp_path / "out") == 2
    assert "there is no journal here" in capsys.readouterr().err


def test_a_longer_table_than_fits_says_how_many_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("campus", "duty", "devices", "visits", "panic", "hazards"):
        monkeypatch.setattr(f"agent.reports.gather.{name}.MOST_ROWS", 3)
    story = Story(site_in(tmp_path)).at("09-01 00:00").start()
    for number in range(8):
        story.later(minutes=1).add("door.held_open", "door:wicket", after_s=30)
        story.add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
        story.add("device.lost", "reader:guard", why="x")
        story.add("device.back", "reader:guard", lost_ms=1)
        story.add("panic.pressed", "button:office", button="office", drill=False, edge_ns=number, seen=True)
        story.command("visit_register", visit=f"v{number}", kind="visitor", host="h", purpose="meeting", minutes="5")
        story.latched(hazards={f"h{n}": {"what": "lock", "owner": "o", "found_ms": n, "due_ms": n} for n in range(8)})
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    site = story.write().site
    month = parse("2026-09", Speech("en", site, names=True).zone, ms("12-01 00:00"))
    found = files.read(site, journal(site), month, ms("12-01 00:00"))
    assert (len(found.campus.exits), found.campus.more_exits) == (3, 5)
    assert (len(found.duty.lines), found.duty.more_lines) == (3, 5)
    assert (len(found.devices.spans), found.devices.more_spans, found.devices.sums[0].faults) == (3, 5, 8)
    assert (len(found.panic.presses), found.panic.more_presses) == (3, 5)
    assert (len(found.visits.visits), found.visits.more) == (3, 5)
    assert (len(found.hazards), found.more_hazards) == (3, 5)
    speech = Speech("en", site, names=True)
    noted = [table.id for table in layout.tables(found, speech) if any("5 more" in note for note in table.notes)]
    assert noted == ["duty-log", "exceptions", "presses", "hazards", "device-log", "visitors"]
