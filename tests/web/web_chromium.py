"""Debian's Chromium as the page tests start it, and what is said where it is not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OUT = Path(__file__).parents[1] / "out" / "web"  # screenshots, for a person to look at
IN_A_BROWSER = [
    pytest.mark.skipif(os.environ.get("MENWEI_NO_BROWSER") == "1", reason="MENWEI_NO_BROWSER=1"),
    pytest.mark.asyncio(loop_scope="module"),
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(
            f"{CHROMIUM} is not installed: run tools/install-test-packages.sh (packages chromium and fonts-noto-cjk), "
            "or set MENWEI_NO_BROWSER=1 to leave the browser tests out"
        )
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        await started.close()
