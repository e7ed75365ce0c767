"""The addresses: what each answers, in health and without control, and what it never shows."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
import web_journal
import web_scenes as scenes
from web_rig import Rig

from agent.core.words import Stage
from agent.picture import Orders
from agent.web import openapi
from agent.web.kinds import Line
from agent.web.search import to_csv
from agent.web.stream import State
from agent.web.view import View
from agent.web.words import Words
from hardware.site import Dc09

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
PAGES = ("/", "/schedule", "/devices", "/events")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    made.show(scenes.normal(made.site))
    return made


async def test_the_status_page_answers_the_question(rig: Rig) -> None:
    async with rig.client() as client:
        normal = await client.get("/?lang=en")
        rig.show(scenes.panic(rig.site))
        panic = await client.get("/?lang=en")
    assert "The gate is all right" in normal.text and "PANIC ALARM" not in normal.text
    assert "PANIC ALARM" in panic.text and "The gate is all right" not in panic.text
    assert 'data-state="alarm"' in panic.text


async def test_today_is_told_as_a_table_and_a_timeline_and_names_nobody(rig: Rig) -> None:
    async with rig.client() as client:
        english = (await client.get("/schedule?lang=en")).text
        chinese = (await client.get("/schedule?lang=zh_CN")).text
    assert english.count('aria-current="time"') == 1
    row = english.split('aria-current="time"')[1].split("</tr>")[0]
    assert "16:00–17:10" in row and "out: pupils grade 1 grade 2" in row and "plans.toml:9" in row
    assert "&lt;1&gt;" in row and "<1>" not in english
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in english and "人操作" in chinese and "出:" in chinese
    assert english.count("At all times: ") == english.count("why: ") == 1, "beside the picture, and not in it too"
    for text in (english, chinese):
        assert "guard-7" not in text and "uart-125k" not in text


async def test_without_a_policy_or_a_clock_the_schedule_says_so(rig: Rig) -> None:
    shown = scenes.normal(rig.site)
    assert shown.campus is not None
    for campus, text in (
        (None, "No school policy is in force"),
        (msgspec.structs.replace(shown.campus, today=None), "the clock cannot be trusted"),
    ):
        rig.show(msgspec.structs.replace(shown, campus=campus))
        async with rig.client() as client:
            assert text in (await client.get("/schedule?lang=en")).text
            assert (await client.get("/")).status_code == 200


async def test_stages_are_shown_only_as_far_as_they_came(rig: Rig) -> None:
    rig.show(scenes.panic(rig.site))
    async with rig.client() as client:
        text = (await client.get("/?lang=en")).text
    steps = [
        part.split('"')[0] for part in text.split('<ol class="steps">')[1].split("</ol>")[0].split('<li class="')[1:]
    ]
    assert steps == ["done", "done", "now", "open"]


def test_no_step_reads_as_done_before_it_is(rig: Rig) -> None:
    """Without looking at its colour: of an alarm that no way has taken nothing says "sent"."""
    shown = scenes.panic(rig.site)
    (alarm,) = shown.panic.alarms
    rig.show(shown)
    for language, done in (("en", "sent"), ("zh_CN", "已发出")):
        view = View(rig.feed, rig.site, Words(language, rig.site), (), "")
        texts = [step.text for step in view.steps(msgspec.structs.replace(alarm, stages={}), "mqtt")]
        assert done not in texts and len(set(texts)) == 4
        assert view.steps(alarm, "mqtt")[0].text == done


async def test_language_is_asked_once_and_kept(rig: Rig) -> None:
    async with rig.client() as client:
        assert 'lang="zh-Hans-CN"' in (await client.get("/")).text
        english = await client.get("/?lang=en")
        assert 'lang="en"' in english.text
        cookie = english.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie
        assert 'lang="en"' in (await client.get("/devices")).text
        assert 'lang="zh-Hans-CN"' in (await client.get("/devices?lang=zh_CN")).text
    async with rig.client() as client:
        assert 'lang="zh-Hans-CN"' in (await client.get("/?lang=tlh")).text


@pytest.mark.parametrize("path", PAGES)
async def test_without_control_no_page_says_all_right(path: str, tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.client() as client:
        before = await client.get(f"{path}?lang=en")
        rig.show(scenes.normal(rig.site))
        rig.feed.take({"op": "lost", "why": "control has stopped"})
        after = await client.get(f"{path}?lang=en")
    for answer in (before, after):
        assert answer.status_code == 200
        assert "No contact with the box" in answer.text
        assert "The gate is all right" not in answer.text
        assert 'data-frozen="1"' in answer.text


async def test_state_tells_measured_and_commanded_apart(rig: Rig) -> None:
    async with rig.client() as client:
        told = (await client.get("/api/v1/state")).json()
    assert told["control"]["up"] is True and told["site"] == "dongfang-primary"
    assert told["lanes"][0]["bollards"][0]["position"] == "up"
    assert told["lanes"][0]["bollards"][0]["motion"] is None
    assert (told["doors"][0]["lock_commanded"], told["doors"][0]["lock"]) == (True, True)


async def test_health_needs_a_finished_round_trip(rig: Rig) -> None:
    async with rig.client() as client:
        well = await client.get("/healthz")
        rig.link.pong = False
        ill = await client.get("/healthz")
    assert (well.status_code, well.json()["ok"]) == (200, True)
    assert (ill.status_code, ill.json()["ok"]) == (503, False)
    assert "control has stopped" in ill.json()["why"]


async def test_the_page_tells_what_came_of_the_districts_commands(rig: Rig) -> None:
    async with rig.client() as client:
        none = (await client.get("/", params={"lang": "en"})).text
        rig.show(
            msgspec.structs.replace(
                scenes.normal(rig.site), orders=Orders(keys=1, done=3, refused={"forged": 2, "expired": 1})
            )
        )
        some = (await client.get("/", params={"lang": "en"})).text
    assert "Commands of the district" not in none
    assert "3 done, 3 refused" in some and "its signature is wrong 2" in some


@pytest.mark.parametrize(
    ("stages", "spare"),
    [
        ({"mqtt": Stage.RECEIVED, "dc09": Stage.QUEUED}, True),
        ({"mqtt": Stage.SENT, "dc09": Stage.QUEUED}, False),
        ({"mqtt": Stage.RECEIVED, "dc09": Stage.SENT}, False),
        ({"mqtt": Stage.QUEUED, "dc09": Stage.RECEIVED}, False),
    ],
)
def test_a_way_that_waits_for_a_failure_is_no_way_that_hangs(rig: Rig, stages: dict[str, Stage], spare: bool) -> None:
    """The centre is asked when the broker's side has not confirmed: until then "sent" is not its next step."""
    replace, uplink = msgspec.structs.replace, rig.site.uplink
    site = replace(rig.site, uplink=replace(uplink, dc09=(Dc09(host="10.0.0.9", port=1, account="1234"),)))
    shown = scenes.panic(site)
    alarm = replace(shown.panic.alarms[0], stages=stages)
    rig.show(replace(shown, panic=replace(shown.panic, alarms=(alarm,))))
    view = View(rig.feed, site, Words("en", site), (), "")
    assert view.spare(alarm, "dc09") is spare and not view.spare(alarm, "mqtt")
    assert ("spare: not needed" in rig.pages.renderer._render("panic", "en", view)) is spare


async def test_metrics_are_prometheus_text_and_leave_out_the_unknown(rig: Rig) -> None:
    async with rig.client() as client:
        well = await client.get("/metrics")
        rig.show(scenes.plc_dead(rig.site))
        dead = await client.get("/metrics")
        well_off = scenes.normal(rig.site)
        (path,) = well_off.paths
        rig.show(msgspec.structs.replace(well_off, paths=(msgspec.structs.replace(path, given_up=3),)))
        short = [await client.get(page) for page in ("/metrics", "/?lang=en", "/?lang=zh_CN")]
        rig.feed.take({"op": "lost", "why": "x"})
        gone = await client.get("/metrics")
    assert well.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'menwei_bollard_position{lane="main",bollard="main-1",position="up"} 1' in well.text
    assert 'menwei_bollard_position{lane="main",bollard="main-1",position="up"} 0' in dead.text
    assert 'menwei_bollard_position{lane="main",bollard="main-1",position="unknown"} 1' in dead.text
    assert 'menwei_device_up{device="bus:plc"} 0' in dead.text
    assert 'menwei_district_commands{outcome="done"} 0' in well.text
    assert 'menwei_uplink_backlog{path="mqtt"} 412' in dead.text
    assert 'menwei_uplink_given_up{path="mqtt"} 0' in well.text
    marks = 'menwei_uplink_given_up{path="mqtt"} 3', "3 alarm messages given up", "放弃了 3 条报警"
    assert [mark in page.text for mark, page in zip(marks, short, strict=True)] == [True] * 3
    for told in (
        'menwei_post_manned{post="house"} 1', "menwei_patrols_today 4", "menwei_visits_open 0",
        "menwei_panic_test_days 12", "menwei_policy_version 7", "menwei_policy_age_days 20",
    ):  # fmt: skip
        assert told in well.text and told not in dead.text
    assert "menwei_control_up 0" in gone.text and "menwei_panic_latched" not in gone.text
    for answer in (well, dead, gone):
        _check_prometheus(answer.text)


def _check_prometheus(text: str) -> None:
    described: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            described.add(line.split()[2])
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            float(value)
            assert name.split("{")[0] in described
    assert len(described) == text.count("# TYPE ")


# ── records ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_records_are_told_in_words_with_their_causes(rig: Rig) -> None:
    async with rig.client() as client:
        text = (await client.get("/events?lang=en")).text
    assert "PANIC BUTTON PRESSED" in text and "panic button “门卫室”" in text
    press = web_journal.FIRST_SEQ + 11
    assert f'<a href="/events?cause=1-{press}">← 1-{press}</a>' in text
    assert text.index("Alarm has come further") < text.index("PANIC BUTTON PRESSED"), "newest first"


async def test_a_cause_is_followed_to_its_effects(rig: Rig) -> None:
    token = web_journal.FIRST_SEQ + 14
    async with rig.client() as client:
        text = (await client.get(f"/events?lang=en&cause=1-{token - 1}")).text
    assert "Motion commanded" in text and "PANIC BUTTON PRESSED" in text, "what led to it, and what followed"
    assert "Box started" not in text and "received · MQTT" not in text


async def test_records_can_be_narrowed_and_paged(rig: Rig) -> None:
    async with rig.client() as client:
        doors = (await client.get("/events?lang=en&group=door")).text
        early = (await client.get(f"/events?lang=en&before={web_journal.FIRST_SEQ + 1}")).text
        endless = (await client.get(f"/events?lang=en&before={'9' * 300}")).text
        wrong = await client.get("/events?group=moon")
    assert "Card let through" in doors and "Motion commanded" not in doors
    assert "Box started" in early and "Guard on site" not in early
    assert "Box started" in endless and rig.ledger.why == "", "a number that is none says nothing of the journal"
    assert wrong.status_code == 404


async def test_no_handle_of_a_person_is_ever_shown(rig: Rig) -> None:
    async with rig.client() as client:
        for path in (*PAGES, "/events?group=door", "/api/v1/state", "/metrics"):
            text = (await client.get(path)).text
            assert web_journal.HANDLE not in text and "guard-1" not in text, path
        assert "学生卡" in (await client.get("/events")).text


async def test_a_journal_that_cannot_be_read_is_told_and_comes_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.show(scenes.normal(rig.site))
    file = tmp_path / "state" / "journal.db"
    body = file.read_bytes()
    file.write_bytes(b"this is no database, it is a note" * 200)
    async with rig.client() as client:
        broken = await client.get("/?lang=en")
        file.write_bytes(body)
        mended = await client.get("/events?lang=en")
    assert broken.status_code == 200 and "The journal cannot be read here" in broken.text
    assert "Box started" in mended.text


# ── the description ────────────────────────────────────────────────────────────────────────────────────────────────


def test_openapi_document_is_the_generated_one() -> None:
    assert DOCUMENT.read_text("utf-8") == openapi.text(), "run: python -m agent.web.openapi > docs/openapi.json"


async def test_what_is_served_is_what_is_described(rig: Rig) -> None:
    document = json.loads(DOCUMENT.read_text("utf-8"))
    served = {route.path for route in rig.pages.routes()} - {"/static/{name}"}
    assert set(document["paths"]) == served
    async with rig.client() as client:
        for scene in ("normal", "panic", "plc_dead", "fresh_start"):
            rig.show(getattr(scenes, scene)(rig.site))
            for path, item in document["paths"].items():
                if path == "/api/v1/stream":
                    continue  # never ends; its data is the state's, see the test of the role
                answer = await client.get(path)
                described = item["get"]["responses"][str(answer.status_code)]["content"]
                media_type = answer.headers["content-type"].split(";")[0]
                schema = described[media_type].get("schema")
                if schema:
                    jsonschema.validate(answer.json(), {**schema, "components": document["components"]})


async def test_the_state_has_no_field_that_is_not_described(rig: Rig) -> None:
    async with rig.client() as client:
        text = (await client.get("/api/v1/state")).content
    assert msgspec.json.encode(msgspec.json.decode(text, type=State)) == text


async def test_the_parts_of_a_page_are_what_a_reload_would_show(rig: Rig) -> None:
    """A page kept up to date by the stream and one loaded anew must agree."""
    rig.show(scenes.plc_dead(rig.site))
    stream = rig.pages.streams.parts("status", "en")
    told = json.loads((await anext(stream)).split(b"data: ", 1)[1])
    async with rig.client() as client:
        page = (await client.get("/?lang=en")).text
    for name, html in told["parts"].items():
        if name != "verdict":
            assert html in page, name
    assert told["title"] in page
    await stream.aclose()


async def test_only_parts_that_changed_are_sent_again(rig: Rig) -> None:
    stream = rig.pages.streams.parts("status", "en")
    first = json.loads((await anext(stream)).split(b"data: ", 1)[1])
    rig.show(msgspec.structs.replace(scenes.normal(rig.site), presses=()))
    second = json.loads((await anext(stream)).split(b"data: ", 1)[1])
    assert len(first["parts"]) == 10 and set(second["parts"]) == {"presses"}
    await stream.aclose()


# ── looking for records ────────────────────────────────────────────────────────────────────────────────────────────


async def test_records_are_found_by_the_words_shown(rig: Rig) -> None:
    async with rig.client() as client:
        everything = (await client.get("/events?lang=zh_CN")).text
        found = (await client.get("/events", params={"q": "升起", "lang": "zh_CN"})).text
        none = (await client.get("/events", params={"q": "no such thing", "lang": "en"})).text
    assert 0 < found.count('<td class="what">') < everything.count('<td class="what">')
    assert 'value="升起"' in found
    assert "No records." in none


async def test_records_are_found_by_day_and_a_wrong_day_is_said(rig: Rig) -> None:
    async with rig.client() as client:
        before = (await client.get("/events?to=2020-01-01&lang=en")).text
        wrong = (await client.get("/events?from=2026-13-01&lang=en")).text
        refused = await client.get("/events.csv?from=yesterday")
    assert "No records." in before
    assert "“2026-13-01” is no day" in wrong
    assert refused.status_code == 404


async def test_the_table_has_the_lines_of_the_page_and_no_formula(rig: Rig) -> None:
    async with rig.client() as client:
        page = (await client.get("/events?lang=en")).text
        answer = await client.get("/events.csv?lang=en")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0] == ["No.", "Time", "What happened", "Detail", "Where", "Because of"]
    assert len(rows) - 1 >= page.count('<td class="what">') > 0
    for formula in ("=1+1", " =1+1", "＝1+1", "-1"):
        table = to_csv([line_of(formula)], rig.pages.renderer.words["en"]).decode("utf-8-sig")
        assert table.splitlines()[1].count(f"'{formula}"), formula


def line_of(title: str) -> Line:
    return Line(ref=(1, 1), at_ms=0, kind="note", title=title, subject="", detail="", weight="fact", cause=None)
