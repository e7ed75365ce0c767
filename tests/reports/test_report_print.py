"""A report on paper: printed by a real browser on A4, nothing hanging over the edge, every page looked at as a picture.

The PDF and a picture go to tests/out/reports for a person to look at.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser
from report_scenes import GUARD, Story, site_in
from web_chromium import IN_A_BROWSER, chromium

from agent import cli

OUT = Path(__file__).parents[1] / "out" / "reports"
A4 = ("595", "842")  # points
A4_INSIDE_PX = 703  # 186 mm at 96 dpi: the sheet without the margins that the report asks for

pytestmark = IN_A_BROWSER


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full month: long handles, long reasons, every table with rows."""
    folder = tmp_path_factory.mktemp("print")
    story = Story(site_in(folder)).at("08-30 12:00").start()
    for day in range(1, 31):
        _day(story, f"09-{day:02d}")
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    story.write()
    line = ["report", "--month", "2026-09", "--out", str(folder / "out"), "--config", str(folder / "gatebox.toml")]
    assert cli.main([*line, "--format", "html"]) == 0
    return folder / "out"


def _day(story: Story, day: str) -> None:
    visit = f"v-7f3a0c1d2e{day[-2:]}"
    story.at(f"{day} 06:00").add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
    story.at(f"{day} 07:00").add("duty.patrol", "reader:guard", count=1, guard=GUARD, reader="guard")
    story.at(f"{day} 08:00").command(
        "visit_register", visit=visit, kind="contractor", host="h-0c1d2e3f4g5h", purpose="inspection", minutes="60",
        door="turnstile", card="uart-125k:0800000001",
    )  # fmt: skip
    story.at(f"{day} 08:05").add("access.granted", "door:wicket", direction="in", holder=visit, reader="wicket-in")
    story.at(f"{day} 09:10").add("visit.overstay", f"visit:{visit}", kind="contractor", visit=visit)
    story.at(f"{day} 10:00").add(
        "access.unauthorised_exit", "door:wicket", door="wicket", holder="pupil-00000000000000000000000000000042",
        why="guardian_missing",
    )  # fmt: skip
    press = story.at(f"{day} 11:00").add(
        "panic.pressed", "button:gatehouse", button="gatehouse", drill=False, edge_ns=1, seen=False
    )
    hops = ("decision_us", "outputs_us", "modbus_us", "position_us", "durable_us", "sent_us", "received_us")
    measured: dict[str, Any] = dict.fromkeys(hops, 12_345_678)
    story.add("panic.latency", "gatehouse", press=list(press), **measured)
    for stage in ("sent", "received", "coming", "arrived"):
        story.later(seconds=1).add(
            "alarm.stage", "button:gatehouse", cause=press, button="gatehouse", by="district-platform-of-a-long-name",
            drill=False, path="gb28181", stage=stage,
        )  # fmt: skip
    story.add("alarm.acknowledged", "panic", actor="desk", alarms=1, drill=False)
    story.later(minutes=1).add("panic.reset", "panic", actor="key:panic-reset", lockdown_ended=True)
    story.at(f"{day} 12:00").add(
        "device.lost", "reader:wicket-out", why="an unusually_long_reason_without_any_space_in_it"
    )
    story.at(f"{day} 12:30").add("lane.lost", "lane:main", why="no answer")
    story.at(f"{day} 12:40").add("lane.back", "lane:main")
    story.at(f"{day} 13:00").start(f"boot-{day}")


@pytest.mark.parametrize("language", ["zh_CN", "en"])
async def test_it_prints_on_a4_with_nothing_cut_off(browser: Browser, folder: Path, language: str) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    page = await browser.new_page(viewport={"width": A4_INSIDE_PX, "height": 1000})
    wrong: list[str] = []
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    await page.emulate_media(media="print")
    await page.goto(f"file://{folder}/menwei-report-dongfang-primary-2026-09-{language}.html")
    over = """() => [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1)
        .filter(e => getComputedStyle(e).display !== 'inline')
        .map(e => e.tagName + '.' + e.className + ': ' + e.innerText.slice(0, 40))"""
    assert await page.evaluate(over) == []
    tables = await page.locator("table").count()
    styles = await page.locator("thead").evaluate_all("all => all.map(e => getComputedStyle(e).display)")
    headed = styles.count("table-header-group")  # its heading stands on every page
    assert tables == headed > 15
    await page.screenshot(path=OUT / f"report-{language}.png", full_page=True)
    pdf = await page.pdf(path=OUT / f"report-{language}.pdf", prefer_css_page_size=True, print_background=True)
    boxes = re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", pdf)
    pages = len(re.findall(rb"/Type /Page\b", pdf))
    assert pages == len(boxes) > 5
    for width, height in boxes:
        assert (f"{float(width):.0f}", f"{float(height):.0f}") == A4
    assert wrong == []
    await page.close()


async def test_a_screen_reader_can_follow_it(browser: Browser, folder: Path) -> None:
    page = await browser.new_page()
    await page.goto(f"file://{folder}/menwei-report-dongfang-primary-2026-09-zh_CN.html")
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    await page.close()


async def test_on_a_phone_the_page_can_be_read(browser: Browser, folder: Path) -> None:
    page = await browser.new_page(viewport={"width": 360, "height": 800})
    await page.goto(f"file://{folder}/menwei-report-dongfang-primary-2026-09-zh_CN.html")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.close()
