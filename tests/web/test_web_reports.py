"""Monthly reports on the page: made beside it, each look a record first, and nobody told apart."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
import pytest_asyncio
import web_scenes as scenes
from msgspec import structs
from web_journal import HANDLE, STORY, write

from agent.control.server import _NOTABLE
from agent.link import ControlAway
from agent.reports.job import Done, Job
from agent.web import reports
from agent.web.app import Pages, make_app
from agent.web.feed import Feed
from agent.web.guard import own_names
from agent.web.ledger import Ledger
from agent.web.listen import Address
from agent.web.openapi import document
from hardware.site import Site

MONTH, NOON_S = "2026-09", 1_789_444_800.0  # the story's day, which ends at noon in Shanghai on the 15th


class NotingLink:
    """A control that writes notes down; `away` when it has stopped, `refuses` when it will not."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self.away = False
        self.refuses = ""

    async def request(self, message: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
        await asyncio.sleep(0)
        if self.away:
            raise ControlAway("nobody serves control.sock: control has stopped")
        if self.refuses:
            return {"op": "done", "ok": False, "why": self.refuses}
        self.notes.append(message)
        return {"op": "done", "ok": True, "records": [[1, 9]]}

    async def subscribe(self, from_seq: int = 0, *, state: bool = False) -> Any:
        await asyncio.Event().wait()
        yield {}


class Rig:
    def __init__(self, folder: Path) -> None:
        self.site: Site = scenes.demo_site(folder)
        self.journal = write(self.site, STORY, len(STORY), NOON_S)
        self.link = NotingLink()
        feed = Feed(self.link, self.site)
        self.pages = Pages(self.site, feed, Ledger(lambda: pytest.fail("the ledger is not asked")))
        app = make_app(self.pages, own_names([Address("127.0.0.1", 8080)]))
        transport = httpx.ASGITransport(app=app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")

    @property
    def reports(self) -> reports.Reports:
        return self.pages.reports


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    async with made.client:
        yield made
    made.reports.close()


async def test_the_page_lists_the_months_of_the_journal(rig: Rig) -> None:
    text = (await rig.client.get("/reports?lang=en")).text
    assert f'href="/reports/{MONTH}.html?lang=en"' in text
    assert '<option value="duty-log">Duty log</option>' in text
    assert rig.link.notes == []  # a list of months tells nothing of anybody


async def test_a_look_is_a_record_first_and_the_report_stands_in_a_cage(rig: Rig) -> None:
    answer = await rig.client.get(f"/reports/{MONTH}.html?lang=en")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    assert "Gate report for the five rules" in answer.text
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1 and "default-src 'none'" in policy[0] and policy[0].endswith("sandbox")
    assert "script-src" not in policy[0] and answer.headers["x-frame-options"] == "DENY"
    (note,) = rig.link.notes
    assert note["op"] == "note" and note["kind"] == "view.report" and note["subject"] == f"report:{MONTH}"
    assert note["data"] == {"form": "html", "language": "en", "month": MONTH}
    assert note["kind"] in _NOTABLE


async def test_workbook_and_tables_can_be_taken_away(rig: Rig) -> None:
    book = await rig.client.get(f"/reports/{MONTH}.xlsx?lang=zh_CN")
    assert "五项要求" in openpyxl.load_workbook(io.BytesIO(book.content)).sheetnames
    assert f"{MONTH}-zh_CN.xlsx" in book.headers["content-disposition"]
    table = await rig.client.get(f"/reports/{MONTH}.csv?lang=en&table=presses")
    rows = list(csv.reader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert rows[0][0] == "Row no." and rows[1][3] == "REAL"
    assert [note["data"].get("table") for note in rig.link.notes] == [None, "presses"]


async def test_no_handle_of_a_person_is_in_any_form(rig: Rig) -> None:
    for form in ("html", "csv"):
        for table in ("exceptions", "refusals", "visitors", "duty-log") if form == "csv" else ("",):
            answer = await rig.client.get(f"/reports/{MONTH}.{form}?lang=en&table={table}")
            assert answer.status_code == 200
            assert HANDLE not in answer.text and "guard-1" not in answer.text
    assert "left blank" in (await rig.client.get(f"/reports/{MONTH}.html?lang=en")).text


async def test_what_cannot_be_written_down_is_not_shown(rig: Rig) -> None:
    rig.link.away = True
    away = await rig.client.get(f"/reports/{MONTH}.html")
    rig.link.away, rig.link.refuses = False, "the journal cannot write"
    refused = await rig.client.get(f"/reports/{MONTH}.html")
    for answer, why in ((away, "控制程序已停止"), (refused, "the journal cannot write")):
        assert answer.status_code == 503 and why in answer.text and "Gate report" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "2001-01.html", f"{MONTH}.pdf", "2026-13.html", f"{MONTH}.csv", f"{MONTH}.csv?table=nothing", "x.html",
        f"{MONTH}.csv?table=.", f"{MONTH}.csv?table=log",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_404_and_no_record(rig: Rig, path: str) -> None:
    assert (await rig.client.get(f"/reports/{path}")).status_code == 404
    assert rig.link.notes == []


async def test_a_head_request_makes_nothing_and_tells_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_worked", lambda job: pytest.fail("made for nobody"))
    answer = await rig.client.head(f"/reports/{MONTH}.html")
    assert answer.status_code == 200 and answer.content == b"" and rig.link.notes == []


class Workshop:
    """Stands for the process that makes reports: counts, and waits until it is told to go on."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.at_once = self.most_at_once = 0
        self.go = asyncio.Event()
        self.done = Done(files=("x-en.html",))

    async def __call__(self, job: Job) -> Done:
        self.jobs.append(job)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go.wait()
        self.at_once -= 1
        for language in ("en", "zh_CN"):
            (Path(job.folder) / f"x-{language}.html").write_text(f"made {len(self.jobs)}", "utf-8")
        return self.done


async def test_one_at_a_time_few_may_wait_and_what_was_made_is_kept(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop()
    monkeypatch.setattr(reports, "_worked", shop)
    asked = [asyncio.create_task(rig.client.get(f"/reports/{MONTH}.html?lang={lang}")) for lang in ("en", "zh_CN") * 2]
    while len(shop.jobs) < 1 or rig.reports._waiting < 4:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    crowded = await rig.client.get(f"/reports/{MONTH}.html")
    shop.go.set()
    answers: Sequence[httpx.Response] = await asyncio.gather(*asked)
    assert crowded.status_code == 503 and crowded.headers["retry-after"] == "60"
    assert [answer.status_code for answer in answers] == [200] * 4
    assert (len(shop.jobs), shop.most_at_once) == (2, 1)  # one for each language, the others were kept
    assert {job.language for job in shop.jobs} == {"en", "zh_CN"}


async def test_a_new_checkpoint_makes_a_running_month_anew(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop()
    shop.go.set()
    monkeypatch.setattr(reports, "_worked", shop)
    await rig.client.get(f"/reports/{MONTH}.html?lang=en")
    look = reports._look
    monkeypatch.setattr(reports, "_look", lambda path: _grown(look(path)))
    answer = await rig.client.get(f"/reports/{MONTH}.html?lang=en")
    assert (len(shop.jobs), answer.text) == (2, "made 2")


def _grown(standing: reports.Standing) -> reports.Standing:
    return reports.Standing(standing.file, standing.size + 1, standing.first_ms, standing.last_ms)


async def test_a_month_that_is_over_is_made_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop()
    shop.go.set()
    monkeypatch.setattr(reports, "_worked", shop)
    sizes = iter(range(100, 200))
    later_ms = round((NOON_S + 40 * 86_400) * 1000)
    look = reports._look
    monkeypatch.setattr(
        reports, "_look", lambda path: reports.Standing(look(path).file, next(sizes), look(path).first_ms, later_ms)
    )
    for _ in range(3):
        await rig.client.get(f"/reports/{MONTH}.html?lang=en")
    assert len(shop.jobs) == 1


async def test_only_few_are_kept_and_all_are_taken_away_at_the_end(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop()
    shop.go.set()
    monkeypatch.setattr(reports, "_worked", shop)
    look = reports._look
    for size in range(reports.MOST_KEPT + 3):
        monkeypatch.setattr(reports, "_look", lambda path, size=size: _sized(look(path), size))
        await rig.client.get(f"/reports/{MONTH}.html?lang=en")
    folder = Path(shop.jobs[0].folder).parent
    assert len(list(folder.iterdir())) == reports.MOST_KEPT
    rig.reports.close()
    assert not folder.exists()


def _sized(standing: reports.Standing, size: int) -> reports.Standing:
    return reports.Standing(standing.file, size, standing.first_ms, standing.last_ms)


async def test_looks_without_end_cannot_fill_the_journal(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop()
    shop.go.set()
    monkeypatch.setattr(reports, "_worked", shop)
    answers = [await rig.client.get(f"/reports/{MONTH}.html?lang=en") for _ in range(reports.VIEWS_A_MINUTE + 5)]
    assert [answer.status_code for answer in answers].count(200) == reports.VIEWS_A_MINUTE == len(rig.link.notes)
    assert answers[-1].status_code == 503


async def test_why_a_report_could_not_be_made_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Workshop()
    shop.go.set()
    shop.done = Done(why="form.html, line 3: nothing is undefined")
    monkeypatch.setattr(reports, "_worked", shop)
    answer = await rig.client.get(f"/reports/{MONTH}.html")
    assert answer.status_code == 503 and "form.html, line 3" in answer.text and rig.link.notes == []
    assert not list(Path(shop.jobs[0].folder).parent.iterdir())


async def test_a_process_that_does_not_end_is_ended(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here by a form that never comes to its end; the page goes on answering meanwhile."""
    started: list[asyncio.subprocess.Process] = []
    start, running = asyncio.create_subprocess_exec, asyncio.Event()

    async def starting(*words: str, **more: Any) -> asyncio.subprocess.Process:
        started.append(await start(*words, **more))
        running.set()
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", starting)
    monkeypatch.setattr(reports, "MAKING_S", 3.0)
    endless = "{% for n in range(99999) %}" * 3 + "{% endfor %}" * 3
    form = Path(rig.site.folder) / "form.html"
    form.write_text(endless, "utf-8")
    rig.reports._site = structs.replace(rig.site, reports=structs.replace(rig.site.reports, template="form.html"))
    asked = asyncio.create_task(rig.client.get(f"/reports/{MONTH}.html"))
    await running.wait()
    assert (await rig.client.get("/reports")).status_code == 200
    answer = await asked
    assert answer.status_code == 503 and "秒内没有生成" in answer.text
    assert started[0].returncode == -signal.SIGKILL and rig.link.notes == []


async def test_a_journal_that_cannot_be_read_is_told(rig: Rig) -> None:
    rig.journal.write_bytes(b"garbage" * 1000)
    page = await rig.client.get("/reports?lang=en")
    assert page.status_code == 200 and "The journal cannot be read now" in page.text
    assert (await rig.client.get(f"/reports/{MONTH}.html")).status_code == 503


def test_the_page_s_process_never_loads_what_makes_workbooks() -> None:
    code = "import agent.web.role, sys; print([name for name in sys.modules if name.startswith('xlsxwriter')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_three_forms_are_described() -> None:
    paths = document()["paths"]
    for form in ("html", "xlsx", "csv"):
        operation = paths[f"/reports/{{month}}.{form}"]["get"]
        assert {"200", "404", "503"} <= operation["responses"].keys()
        assert operation["parameters"][0]["in"] == "path"
