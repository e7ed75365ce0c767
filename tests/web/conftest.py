"""One browser for all tests of a file: starting it costs more than a test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser
from web_chromium import chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started
