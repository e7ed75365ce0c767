"""The console in a real browser over its real HTTPS port: log in, see, act, lose contact; by keyboard; for a reader of
the screen. Screenshots go to tests/out/web for a person to look at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import web_journal
import web_scenes as scenes
from axe_playwright_python.async_playwright import Axe
from console_rig import PASSWORD, CoreLink
from playwright.async_api import Browser, Locator, Page, expect
from web_chromium import IN_A_BROWSER, OUT
from web_rig import listening

from agent.core import box
from agent.core.events import Command, PanicLine
from agent.core.words import Line, Rank
from agent.demo import school
from agent.picture.build import Extras, picture
from agent.web import role
from agent.web.console import app, certificate, sessions
from agent.web.console.accounts import Accounts, Role
from hardware import places
from hardware.site import Site
from sim.ports import free_port

WIDTHS = (360, 800, 1440)
LANGUAGES = ("zh_CN", "en")

pytestmark = IN_A_BROWSER


class CoreControl:
    """Control's socket with the real core behind it, in virtual time."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.core = CoreLink(folder)
        self.path = places.control_socket(site)
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._subscribers):
            writer.transport.abort()

    def tell(self) -> None:
        for writer in list(self._subscribers):
            _write(writer, self._state())

    def _state(self) -> dict[str, Any]:
        state, now = self.core.state, self.core.now
        told = picture(state, now, box.desired(state, now), self.core.site, Extras())
        return {"op": "state", "state": msgspec.to_builtins(told)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                ask = json.loads(line)
                if ask["op"] == "subscribe":
                    _write(writer, {"op": "subscribed", "epoch": 1, "head": 1})
                    self._subscribers.add(writer)
                    _write(writer, self._state())
                elif ask["op"] == "ping":
                    _write(writer, {"op": "pong", "turn_ms": 1})
                else:
                    _write(writer, await self.core.request(ask))
                    self.tell()
        self._subscribers.discard(writer)
        writer.close()


def _write(writer: asyncio.StreamWriter, line: dict[str, Any]) -> None:
    writer.write(json.dumps(line).encode() + b"\n")


@asynccontextmanager
async def console(folder: Path) -> AsyncIterator[tuple[str, CoreControl]]:
    """The real web role with a console on a free port: (its base URL, control)."""
    port = free_port()
    site = scenes.demo_site(folder, (f"127.0.0.1:{free_port()}",))
    site = msgspec.structs.replace(site, web=msgspec.structs.replace(site.web, guard_listen=(f"127.0.0.1:{port}",)))
    web_journal.write(site)
    school.make_keys(folder)
    Accounts(places.web_dir(site)).add("gate", PASSWORD, Role.HEAD, 1)
    control = CoreControl(site, folder)
    await control.start()
    running = asyncio.create_task(role.run(site))
    try:
        await listening(port)
        yield f"https://127.0.0.1:{port}", control
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await control.stop()


@asynccontextmanager
async def opened(made: Browser, url: str, width: int, language: str) -> AsyncIterator[Page]:
    """A page that is logged in and fails the test when anything in it fails."""
    page = await made.new_page(viewport={"width": width, "height": 900}, ignore_https_errors=True)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    await log_in(page, url, language)
    yield page
    await page.close()
    assert not [text for text in wrong if "ERR_" not in text], wrong


async def log_in(page: Page, url: str, language: str) -> None:
    await page.goto(f"{url}/guard/login?lang={language}")
    await page.fill("[name=login]", "gate")
    await page.fill("[name=password]", PASSWORD)
    await page.click("main form button")
    await page.wait_for_selector("html.live #part-alarm .banner")


async def wide(page: Page) -> int:
    """How far the page is wider than its window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
async def test_the_console_is_whole_at_every_width(made: Browser, tmp_path: Path, width: int, language: str) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, width, language) as page:
        assert await wide(page) <= 0
        OUT.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=OUT / f"console-{language}-{width}.png", full_page=True)
        control.core.send(PanicLine("gatehouse", Line.PRESSED, control.core.mono_s))
        control.tell()
        await page.wait_for_selector(".banner.alarm")
        assert await wide(page) <= 0
        await page.screenshot(path=OUT / f"console-alarm-{language}-{width}.png")
        small = await page.evaluate(SMALL_TARGETS)
        assert small == []
        for between in (width, 900, 1024):
            await page.set_viewport_size({"width": between, "height": 900})
            assert await page.evaluate(UPRIGHT) == [], "a word of the menu broken over lines"
            assert await wide(page) <= 0


UPRIGHT = """() => Array.from(document.querySelectorAll(".top nav a, .way .path"))
  .filter(e => { const r = document.createRange(); r.selectNodeContents(e); return r.getClientRects().length > 1 })
  .map(e => e.textContent)"""
SMALL_TARGETS = """() => Array.from(document.querySelectorAll("main button, main summary, main input, main select"))
  .filter(e => e.offsetParent !== null && !["radio", "checkbox", "hidden"].includes(e.type))
  .map(e => [e.textContent.trim().slice(0, 20), e.getBoundingClientRect()])
  .filter(([, r]) => r.width > 0 && r.height < 44).map(([text, r]) => text + " " + r.height)"""


async def test_a_visitor_is_registered_by_keyboard_alone(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        await page.locator("#visits [name=name]").focus()
        for text in ("王小明", "110101199003074512", "京A12345", "staff-1"):
            await page.keyboard.type(text)
            await page.keyboard.press("Tab")
        for _ in range(4):  # kind, purpose, place and minutes as they stand
            await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")  # no card
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".list .visit.waiting")
        assert len(control.core.state.visits) == 1
        (shown,) = await page.locator(".list .visit").all_text_contents()
        assert "王小明" in shown and "…4512" in shown and "110101" not in shown


async def test_a_refused_form_comes_back_with_the_cursor_where_it_is_wrong(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        await page.locator("#slips summary").first.click()
        found = form(page, "#slips", "slip_add")
        for name, value in {"who": "pupil-0009", "issuer": "staff-1", "minutes": "1441"}.items():
            await found.locator(f"[name={name}]").fill(value)
        async with page.expect_navigation():
            await found.locator("button").click()
        await page.wait_for_function("() => document.activeElement.name === 'minutes'")
        assert await found.locator("[name=who]").input_value() == "pupil-0009"
        assert (await page.locator(".wrong").inner_text()).startswith("Not done: ")
        assert (await Axe().run(page)).violations_count == 0
        await found.locator("[name=minutes]").fill("60")
        await sent(page, found.locator("button"))
        assert len(control.core.state.campus.slips) == 1


async def test_an_alarm_is_seen_heard_of_and_acknowledged(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        control.core.send(PanicLine("gatehouse", Line.PRESSED, control.core.mono_s))
        control.tell()
        await expect(page).to_have_title(re.compile("ALARM"))
        assert await page.locator(".banner.alarm").get_attribute("role") == "alert"
        await page.get_by_role("button", name="I have seen it").click()
        await page.wait_for_selector(".flash.ok")
        assert control.core.state.panic.alarms[0].acknowledged_by


async def test_the_page_says_that_it_lost_the_box(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        control.core.away = True
        await control.stop()
        await page.wait_for_selector("text=It is not known how the gate stands")
        assert await page.locator("text=No alarm").count() == 0


async def test_no_alarm_is_not_said_of_a_box_that_is_not_heard(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, _):
        page = await made.new_page(ignore_https_errors=True)
        await log_in(page, url, "en")
        assert await page.locator("text=No alarm").is_visible()
    await page.wait_for_selector("#offline:not([hidden])")
    assert await page.locator("#offline-at").inner_text() != ""
    assert await page.locator("text=No alarm").is_hidden()
    await page.close()


async def test_one_console_too_many_is_no_lost_box(
    made: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MOST_STREAMS", 1)
    async with console(tmp_path) as (url, _), opened(made, url, 800, "en"):
        page = await made.new_page(viewport={"width": 800, "height": 900}, ignore_https_errors=True)
        await page.goto(f"{url}/guard/login?lang=en")
        await page.fill("[name=login]", "gate")
        await page.fill("[name=password]", PASSWORD)
        await page.click("main form button")
        await page.wait_for_selector("#offline.full:not([hidden])")
        told = await page.locator("#offline").inner_text()
        assert "Too many consoles are open" in told and "lost the box" not in told
        assert "Close this page on another screen" in told
        assert await page.locator("text=No alarm").is_hidden()
        await page.close()


async def test_a_log_in_that_has_ended_is_no_lost_box(
    made: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names do not stay on a screen that nobody is logged in at, and it says that it tells of no alarm."""
    async with console(tmp_path) as (url, _):
        page = await made.new_page(ignore_https_errors=True)
        await log_in(page, url, "en")
        await page.click("text=Note for the next watch")
        await page.fill("#duty textarea[name=text]", "The lamp at the wicket flickers")
        monkeypatch.setattr(sessions, "LONGEST_S", -1.0)
        await page.wait_for_url("**/guard/login?ended=page")
        told = await page.locator(".flash.bad").inner_text()
        assert told == "The log-in has ended. Until you log in again this screen tells of no alarm."
        monkeypatch.undo()
        await page.fill("[name=login]", "gate")
        await page.fill("[name=password]", PASSWORD)
        await page.click("main form button")
        await page.wait_for_url("**/guard#duty")
        await expect(page.locator("#duty textarea[name=text]")).to_have_value("The lamp at the wicket flickers")
        await page.close()


async def test_a_button_in_focus_never_becomes_another_persons(made: Browser, tmp_path: Path) -> None:
    """Three visitors wait; one goes while the keyboard stands on the next one's button, one comes before."""
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        core = control.core
        for name, minutes in (("A", 10), ("B", 20), ("C", 30)):
            await fill(page, "#visits", "visit_register", name=f"visitor {name}", host="staff-1", minutes=str(minutes))
        first, second, _ = core.state.visits
        await page.locator(f".visit form:has(input[value={second}]) button").nth(1).focus()
        core.send(Command("c1", Rank.CONSOLE, "u-0a1b2c3d4e5f", "visit_cancel", {"visit": first}))
        control.tell()
        await page.wait_for_function("() => document.querySelectorAll('.visit').length === 2")
        assert await page.evaluate(FOCUSED) == [second, "agreed in person"]
        again = {"visit": first, "host": "staff-1", "kind": "visitor", "purpose": "meeting", "minutes": "5"}
        core.send(Command("c2", Rank.CONSOLE, "u-0a1b2c3d4e5f", "visit_register", again | {"door": "wicket"}))
        control.tell()
        await page.wait_for_function("() => document.querySelectorAll('.visit').length === 3")
        assert await page.evaluate(FOCUSED) == [second, "agreed in person"]


FOCUSED = """() => { const e = document.activeElement;
  return [e.form && e.form.elements.visit ? e.form.elements.visit.value : null, e.innerText] }"""


async def test_a_button_in_focus_never_becomes_another_action(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        await page.get_by_role("button", name="Lock the way in").focus()
        control.core.send(PanicLine("gatehouse", Line.PRESSED, control.core.mono_s))
        control.tell()
        await page.wait_for_selector(".banner.alarm")
        assert await page.evaluate("document.activeElement.tagName") == "BODY"


async def test_nothing_moves_under_a_finger(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        await page.mouse.move(400, 500)
        await page.mouse.down()
        control.core.send(PanicLine("gatehouse", Line.PRESSED, control.core.mono_s))
        control.tell()
        alarm = page.locator(".banner.alarm")
        await asyncio.sleep(1.0)  # several times as long as the page takes to show it otherwise
        assert await alarm.count() == 0
        await page.mouse.up()
        await page.wait_for_selector(".banner.alarm")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_can_be_used_without_seeing_it_well(made: Browser, tmp_path: Path, language: str) -> None:
    """axe-core: names, roles, order, contrast AA; the calm page, the alarm, the log-in, the accounts, the list."""
    axe = Axe()
    async with console(tmp_path) as (url, control), opened(made, url, 1440, language) as page:
        for details in await page.locator("details").all():
            await details.evaluate("e => e.open = true")
        found = {"calm": await axe.run(page)}
        control.core.send(PanicLine("gatehouse", Line.PRESSED, control.core.mono_s))
        control.tell()
        await page.wait_for_selector(".banner.alarm")
        found["alarm"] = await axe.run(page)
        await page.emulate_media(color_scheme="dark")  # at night
        found["alarm at night"] = await axe.run(page)
        for path in ("muster", "accounts", "login", "first"):
            await page.goto(f"{url}/guard/{path}")
            found[path] = await axe.run(page)
    for name, result in found.items():
        assert result.violations_count == 0, f"{name}: {result.generate_report()}"


async def test_the_certificate_is_the_boxs_own_and_trusting_it_is_enough(tmp_path: Path) -> None:
    """A tablet that trusts the authority sees no warning; one that does not is warned."""
    async with console(tmp_path) as (url, _):
        port = int(url.rpartition(":")[2])
        folder = places.web_dir(scenes.demo_site(tmp_path))
        async with asyncio.timeout(60):
            while not (folder / certificate.LEAF).exists():  # noqa: ASYNC110 - made by another process
                await asyncio.sleep(0.05)
        trusting = ssl.create_default_context(cafile=str(folder / certificate.AUTHORITY))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        writer.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())
        assert len(certificate.fingerprint(folder)) == 95


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", WIDTHS)
async def test_a_guards_day(made: Browser, tmp_path: Path, width: int, language: str) -> None:
    """Takes the post, lets a visitor in and out, writes a slip, shifts the day, leaves a note: with fingers only."""
    async with console(tmp_path) as (url, control), opened(made, url, width, language) as page:
        core = control.core
        core.card()
        control.tell()
        await page.wait_for_selector("#duty form:has(input[value=duty_check_out])")  # the card alone did it
        await tap(page, "#duty", "duty_check_in")
        assert core.state.duty.on["gatehouse"].guard == "guard-1"
        await fill(page, "#visits", "visit_register", name="王小明", host="staff-1", minutes="30")
        await tap(page, "#visits", "visit_consent")
        await tap(page, "#visits", "visit_in")
        assert next(iter(core.state.visits.values())).came
        await tap(page, "#visits", "visit_out")
        assert not core.state.visits
        await fill(page, "#slips", "slip_add", who="pupil-0009", issuer="staff-1")
        assert [slip.pupil for slip in core.state.campus.slips.values()] == ["pupil-0009"]
        await page.locator("#today summary").click()
        await page.locator("#today .pick label").nth(3).click()
        await fill(page, "#today", "shift_day", reason="weather")
        assert core.state.campus.shifts[0].by == 20
        await fill(page, "#duty", "hand_over", text="明天有家长会")
        assert await page.locator(".note-left").inner_text() != ""
        assert await wide(page) <= 0


def form(page: Page, place: str, verb: str) -> Locator:
    return page.locator(f"{place} form:has(input[name=verb][value={verb}])").first


async def sent(page: Page, button: Locator) -> None:
    """Press, and wait for the page that answers; it must be content."""
    async with page.expect_navigation():
        await button.click()
    assert await page.locator(".flash.bad").count() == 0, await page.locator(".flash.bad").all_inner_texts()
    await page.wait_for_selector(".flash.ok")


async def tap(page: Page, place: str, verb: str) -> None:
    await sent(page, form(page, place, verb).locator("button"))


async def fill(page: Page, place: str, verb: str, **fields: str) -> None:
    """Open what hides the form, fill in, send."""
    found = form(page, place, verb)
    if not await found.locator("button").is_visible():
        await page.locator(f"{place} details:has(input[value={verb}]) > summary").click()
    for name, value in fields.items():
        field = found.locator(f"[name={name}]")
        if await field.evaluate("e => e.tagName") == "SELECT":
            await field.select_option(value)
        else:
            await field.fill(value)
    await sent(page, found.locator("button"))


async def test_a_picture_of_a_hazard_is_made_small_and_kept(made: Browser, tmp_path: Path) -> None:
    async with console(tmp_path) as (url, control), opened(made, url, 800, "en") as page:
        await fill(page, "#hazards", "hazard_open", text="wire torn", owner="staff-1")
        no_picture = tmp_path / "notes.png"
        no_picture.write_text("no picture at all")
        await page.locator("#hazards input[type=file]").set_input_files(no_picture)
        await page.wait_for_selector("#hazards .camera.danger:has-text('The picture was not kept: try again')")
        picture_file = tmp_path / "wall.png"
        await page.screenshot(path=picture_file, full_page=True)
        async with page.expect_navigation():
            await page.locator("#hazards input[type=file]").set_input_files(picture_file)
        link = page.locator("#hazards a[href^='/guard/photo/']")
        await link.wait_for()
        told = [record.data for record in control.core.records if record.kind == "hazard.photo"]
        assert len(told) == 1 and 1000 < int(str(told[0]["bytes"])) < 400_000
        answer = await page.request.get(f"{url}{await link.get_attribute('href')}")
        assert (await answer.body()).startswith(b"\xff\xd8\xff")
