"""The status page by axe-core: names, roles, order, contrast, in both languages and every state it can be in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, async_playwright
from test_web_browser import CHROMIUM, FLAGS, SCENES, opened, picture
from web_rig import served

PATHS = ("/", "/schedule", "/devices", "/events", "/reports")

pytestmark = [
    pytest.mark.skipif(os.environ.get("MENWEI_NO_BROWSER") == "1", reason="MENWEI_NO_BROWSER=1"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is not installed: run tools/install-test-packages.sh, or set MENWEI_NO_BROWSER=1")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        await started.close()


@pytest.mark.parametrize("language", ["zh_CN", "en"])
async def test_no_page_shuts_anybody_out(made: Browser, tmp_path: Path, language: str) -> None:
    axe = Axe()
    async with served(tmp_path) as (url, control, site):
        for path in PATHS:
            async with opened(made, f"{url}{path}?lang={language}") as page:
                for scene, state in SCENES.items():
                    await control.show(picture(scene, site))
                    await page.wait_for_selector(f"html[data-state={state}]")
                    result = await axe.run(page)
                    assert result.violations_count == 0, f"{path} {scene}: {result.generate_report()}"
