"""Take the pictures of README and docs from a running demo: `python tools/pictures.py` writes docs/pictures/*.png;
`python tools/pictures.py reports` only those of the monthly report.

Needs Debian's chromium and fonts-noto-cjk, and the development requirements.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from debian_chromium import CHROMIUM, FLAGS
from playwright.sync_api import Browser, Page, sync_playwright

from agent.demo.gate import fetch

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "pictures"
WIDE, TALL = 1280, 860


def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    _reports()
    if sys.argv[1:] == ["reports"]:
        return 0
    with tempfile.TemporaryDirectory(prefix="menwei-pictures-") as folder:
        command = [sys.executable, "-m", "agent", "demo", "--headless", "--dir", folder]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert demo.stdout is not None
            _take_all(json.loads(demo.stdout.readline()))
        finally:
            demo.terminate()
            demo.wait()
    return 0


def _take_all(urls: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": WIDE, "height": TALL})
        time.sleep(2.0)
        fetch(f"{urls['simulator']}/press", {"button": "gatehouse"})
        time.sleep(2.5)
        for language, suffix in (("zh_CN", "zh"), ("en", "en")):
            _shot(page, urls["simulator"], f"gate-panic-{suffix}", language)
            _shot(page, f"{urls['status']}/?lang={language}", f"status-panic-{suffix}")
            _console(browser, urls, language, f"console-panic-{suffix}")
        browser.close()


def _reports() -> None:
    """The first sheet of a month's report, of a month that the simulated school played."""
    sys.path.append(str(ROOT / "tests" / "reports"))
    from report_scenes import site_in, write

    from agent.core.records import Record
    from agent.reports import command
    from sim.year.run import play

    records: list[Record] = []
    play(7, 33, 300, records.extend)
    with tempfile.TemporaryDirectory(prefix="menwei-report-") as folder:
        write(site_in(Path(folder)), records)
        line = ["--month", "2026-01", "--out", folder, "--config", f"{folder}/gatebox.toml", "--format", "html"]
        if command.run(line):
            raise SystemExit("the report could not be made")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
            page = browser.new_page(viewport={"width": 794, "height": TALL})
            for language, suffix in (("zh_CN", "zh"), ("en", "en")):
                page.goto(f"file://{next(Path(folder).glob(f'*-{language}.html'))}")
                page.screenshot(path=str(OUT / f"report-{suffix}.png"))
            browser.close()


def _console(browser: Browser, urls: dict[str, str], language: str, name: str) -> None:
    """The gatehouse's tablet: logged in, at the same moment."""
    page = browser.new_page(viewport={"width": 1024, "height": TALL}, ignore_https_errors=True)
    page.goto(f"{urls['console']}/login?lang={language}")
    page.fill("[name=login]", urls["console_login"])
    page.fill("[name=password]", urls["console_password"])
    page.click("main form button")
    page.wait_for_selector(".banner.alarm")
    page.wait_for_timeout(1500)
    page.screenshot(path=str(OUT / f"{name}.png"))
    page.close()


def _shot(page: Page, url: str, name: str, language: str = "zh_CN") -> None:
    page.goto(url)
    page.wait_for_timeout(1500)
    if language == "en":
        page.get_by_text("English").first.click()
        page.wait_for_timeout(800)
    page.screenshot(path=str(OUT / f"{name}.png"))


if __name__ == "__main__":
    raise SystemExit(main())
