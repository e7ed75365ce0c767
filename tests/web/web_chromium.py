"""Debian's Chromium as the page tests start it, and what is said where it is not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from debian_chromium import CHROMIUM, FLAGS
from playwright.async_api import Browser, async_playwright

OUT = Path(__file__).parents[1] / "out" / "web"  # screenshots, for a person to look at
UNLESS_LEFT_OUT = pytest.mark.skipif(os.environ.get("MENWEI_NO_BROWSER") == "1", reason="MENWEI_NO_BROWSER=1")
IN_A_BROWSER = [UNLESS_LEFT_OUT, pytest.mark.asyncio(loop_scope="module")]


def must_be_there() -> None:
    """A browser test that is skipped unasked is noticed by nobody."""
    if not CHROMIUM.exists():
        pytest.fail(
            f"{CHROMIUM} is not installed: run tools/install-test-packages.sh (packages chromium and fonts-noto-cjk), "
            "or set MENWEI_NO_BROWSER=1 to leave the browser tests out"
        )


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    must_be_there()
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        await started.close()
