"""The pages in a real browser: at three widths, in two languages, live, by keyboard, honest when contact is lost.

Screenshots go to tests/out/web for a person to look at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import web_scenes as scenes
from axe_playwright_python.async_playwright import Axe
from patience import within
from playwright.async_api import Browser, Page
from web_chromium import IN_A_BROWSER, OUT
from web_rig import served

from agent.picture import Picture
from agent.web import stream

WIDTHS = (360, 800, 1440)
BETWEEN = (721, 1024, 1060)  # where the page changes its columns
LANGUAGES = ("zh_CN", "en")
SCENES = {"normal": "ok", "panic": "alarm", "plc_dead": "fault"}

pytestmark = IN_A_BROWSER


@asynccontextmanager
async def opened(made: Browser, url: str, width: int = 1440, **more: Any) -> AsyncIterator[Page]:
    """A page that fails the test when anything in it fails: script error, refused resource, blocked style."""
    page = await made.new_page(viewport={"width": width, "height": 900}, **more)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    await page.goto(url)
    await page.wait_for_selector("html.live")
    try:
        yield page
        assert not wrong
    finally:
        await page.close()


async def shot(page: Page, name: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / f"{name}.png"
    await page.screenshot(path=file, full_page=True, animations="disabled")
    assert file.stat().st_size > 20_000


OVER = """() => [...document.querySelectorAll('body *:not(.skip)')]
    .filter(e => !e.closest('svg') && e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.tagName + '.' + e.className)"""


async def fits(page: Page) -> None:
    """Nothing hangs over the right edge."""
    assert await page.evaluate(OVER) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def picture(name: str, site: Any) -> Picture:
    made = getattr(scenes, name)(site)
    assert isinstance(made, Picture)
    return made


@pytest.mark.parametrize("width", WIDTHS)
async def test_every_state_is_shown_in_both_languages(made: Browser, tmp_path: Path, width: int) -> None:
    async with served(tmp_path) as (url, control, site):
        for language in LANGUAGES:
            async with opened(made, f"{url}/?lang={language}", width) as page:
                for scene, state in SCENES.items():
                    await control.show(picture(scene, site))
                    await page.wait_for_selector(f"html[data-state={state}]")
                    await fits(page)
                    await shot(page, f"status-{scene}-{language}-{width}")
                for path in ("devices", "events", "reports"):
                    await page.goto(f"{url}/{path}?lang={language}")
                    await fits(page)
                    await shot(page, f"{path}-{language}-{width}")
                await control.show(picture("normal", site))
                for between in BETWEEN if width == max(WIDTHS) else ():
                    await page.set_viewport_size({"width": between, "height": 900})
                    for path in ("", "devices"):
                        await page.goto(f"{url}/{path}?lang={language}")
                        await fits(page)


async def test_in_the_dark(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, site):
        await control.show(picture("panic", site))
        async with opened(made, url, color_scheme="dark") as page:
            await shot(page, "status-panic-dark")


async def test_measured_commanded_and_unknown_look_different(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, site), opened(made, url) as page:
        service = page.locator("svg .bollard[data-id=service-1]")
        assert await service.get_attribute("class") == "bollard down"
        assert await service.locator(".asked, .arrow, .hatched").count() == 0
        await control.show(picture("panic", site))
        await page.wait_for_selector("svg .bollard.moving[data-id=service-1] circle.asked")
        assert await service.locator(".arrow").count() == 1
        await control.show(picture("plc_dead", site))
        await page.wait_for_selector("svg .bollard.unknown[data-id=service-1] .hatched")
        assert (await service.locator("text").text_content()) == "?"
        fill = await service.locator(".hatched").evaluate("e => getComputedStyle(e).fill")
        assert "hatch" in fill


STEPS = "all => all.map(e => e.className + ' ' + e.innerText.trim())"


async def test_the_stages_of_an_alarm_move_without_a_reload(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, site), opened(made, f"{url}/?lang=en") as page:
        await page.evaluate("window.untouched = true")
        await control.show(picture("panic", site))
        await page.wait_for_selector(".steps")
        steps = await page.locator(".steps li").evaluate_all(
            "all => all.map(e => e.className + ' ' + e.innerText.trim())"
        )
        assert steps == ["done sent", "done received", "now not coming yet", "open not there yet"]
        assert (await page.title()).startswith("🔴 PANIC ALARM")
        assert await page.evaluate("window.untouched")


async def test_ages_tick(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, site):
        await control.show(picture("panic", site))
        async with opened(made, f"{url}/?lang=en") as page:
            age = page.locator("#part-panic .big .age")
            first = await age.inner_text()
            assert first.endswith("s ago") and 45 < int(first.split()[0]) < 60
            await page.wait_for_function(
                "t => document.querySelector('#part-panic .big .age').innerText !== t", arg=first
            )


async def test_a_lost_control_is_told_within_three_seconds_and_all_measured_is_grey(
    made: Browser, tmp_path: Path
) -> None:
    async with (
        served(tmp_path) as (url, control, _),
        opened(made, f"{url}/?lang=zh_CN") as chinese,
        opened(made, f"{url}/?lang=en") as english,
    ):
        pages = {"zh_CN": chinese, "en": english}
        for page in pages.values():
            await page.wait_for_selector("html[data-state=ok]")
        control.mute = True
        for page in pages.values():
            async with within(3.0):
                await page.wait_for_selector("html.stale[data-state=lost]")
        for language, page in pages.items():
            for part in ("map", "panic", "lanes", "doors", "uplink"):
                filtered = await page.locator(f"#part-{part}").evaluate("e => getComputedStyle(e).filter")
                assert filtered == "grayscale(1)", part
            assert await page.locator(".verdict .since time").inner_text()
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 900})
                await fits(page)
                await shot(page, f"status-lost-{language}-{width}")
        control.mute = False
        for page in pages.values():
            await page.wait_for_selector("html[data-state=ok]:not(.stale)")


async def test_a_lost_box_is_told_within_three_seconds(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, _, _):
        page = await made.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(f"{url}/?lang=en")
        await page.wait_for_selector("html.live")
        assert await page.locator("#offline").is_hidden()
    async with within(3.0):
        await page.wait_for_selector("#offline:not([hidden])")
    assert "This page has lost the box" in await page.locator("#offline").inner_text()
    assert await page.locator("#offline-at").inner_text() != ""
    assert await page.locator(".verdict").is_hidden(), "nothing may say all right"
    await shot(page, "status-offline-en-1440")
    await page.close()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_one_page_too_many_is_told_what_to_do_and_goes_on_when_there_is_room(
    made: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setattr(stream, "MAX_LISTENERS", 1)
    async with served(tmp_path) as (url, _, _), opened(made, f"{url}/?lang={language}", 360) as first:
        page = await made.new_page(viewport={"width": 360, "height": 900})
        await page.goto(f"{url}/?lang={language}")
        await page.wait_for_selector("#offline.full:not([hidden])")
        told = await page.locator("#offline").inner_text()
        assert ("Too many pages" if language == "en" else "打开的页面太多") in told and "lost the box" not in told
        assert ("Close this page on another" if language == "en" else "关掉") in told and "失去" not in told
        await fits(page)
        await shot(page, f"status-full-{language}-360")
        await first.goto("about:blank")
        await page.wait_for_selector("html.live #offline:not(.full)[hidden]", state="attached")
        await page.close()


async def test_a_page_follows_control_through_a_restart(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, site), opened(made, url) as page:
        await control.stop()
        async with within(3.0):
            await page.wait_for_selector("html[data-state=lost]")
        control.path.unlink()
        await control.start()
        await control.show(picture("panic", site))
        await page.wait_for_selector("html[data-state=alarm]")


async def test_by_keyboard_alone(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, _, _), opened(made, url) as page:
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        reached = set()
        for _ in range(12):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.getAttribute('href')"))
            ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring == "solid"
        assert {"/", "/schedule", "/devices", "/events", "/reports", "?lang=en"} <= reached
        await page.locator("a.lang").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_selector("html[lang=en]")
        await page.locator("a[href='/devices']").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/devices")
        assert await page.locator("html").get_attribute("lang") == "en"


READABLE = """() => {
  const light = c => { const v = c.map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4 });
    return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
  const rgb = t => (t.match(/[\\d.]+/g) || []).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (getComputedStyle(e).backgroundImage !== 'none') return null;
    if (c.length === 3 || c[3] > .99) return c.slice(0, 3) } return [255, 255, 255] };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg') || !e.offsetParent) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.nodeValue.trim())) continue;
    const back = ground(e); if (!back) continue;
    const a = light(rgb(getComputedStyle(e).color).slice(0, 3)), b = light(back);
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) low.push([ratio.toFixed(2), e.className, e.innerText.slice(0, 20)]);
  }
  return low }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_is_readable_and_every_drawing_has_a_name(made: Browser, tmp_path: Path, scheme: str) -> None:
    """WCAG AA contrast (4.5:1) of every text on its own ground."""
    async with served(tmp_path) as (url, control, site):
        for path in ("/", "/schedule", "/devices", "/events", "/reports") if scheme == "light" else ("/",):
            async with opened(made, url + path, color_scheme=scheme) as page:
                for scene, state in SCENES.items():
                    await control.show(picture(scene, site))
                    await page.wait_for_selector(f"html[data-state={state}]")
                    assert await page.evaluate(READABLE) == [], (scene, path)
                nameless = "[...document.querySelectorAll('svg[role=img]:not([aria-label])')].length"
                assert await page.evaluate(nameless) == 0
                assert await page.evaluate("document.querySelectorAll('h1').length") == 1


async def test_a_report_is_shown_styled_in_its_cage_and_its_look_is_written_down(made: Browser, tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, _):
        async with opened(made, f"{url}/reports?lang=zh_CN") as page:
            assert (await Axe().run(page)).violations_count == 0
            links = page.locator(".reports a")
            assert await links.count() >= 2
            address = await links.first.get_attribute("href")
        assert control.notes == []
        report = await made.new_page()
        wrong: list[str] = []
        report.on("console", lambda message: wrong.append(message.text))
        await report.goto(f"{url}{address}")
        heading = report.locator("h1")
        assert "五个百分之百" in await heading.inner_text()
        assert await heading.evaluate("e => getComputedStyle(e).marginTop") == "0px"  # its own style holds
        assert await report.evaluate("self.origin") == "null"
        assert [note["data"]["form"] for note in control.notes] == ["html"]
        assert wrong == []
        await shot(report, "report-preview")
        await report.close()
