"""The status page by axe-core: names, roles, order, contrast, in both languages and every state it can be in."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser
from test_web_browser import SCENES, opened, picture
from web_chromium import IN_A_BROWSER
from web_rig import served

PATHS = ("/", "/schedule", "/devices", "/events", "/reports")

pytestmark = IN_A_BROWSER


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
