"""One browser for all tests of a file, for starting it costs more than a test; and a console with a guard logged in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from console_rig import Desked
from playwright.async_api import Browser
from web_chromium import chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def desk(tmp_path: Path) -> Desked:
    made = Desked(tmp_path)
    assert (await made.log_in()).status_code == 303
    return made
