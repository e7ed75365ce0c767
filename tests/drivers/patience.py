"""How long something may take, counted so that a busy machine does not matter: in ticks of the loop it runs in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

T = TypeVar("T")
TICK_S = 0.01


@contextlib.asynccontextmanager
async def within(limit_s: float) -> AsyncIterator[None]:
    """Raises TimeoutError when the block takes longer, by a clock that goes on only while this process has its turn.
    A block that keeps the loop to itself is not seen."""
    async with asyncio.timeout(None) as limit:
        counting = asyncio.create_task(_count(limit, round(limit_s / TICK_S)))
        try:
            yield
        finally:
            counting.cancel()


async def _count(limit: asyncio.Timeout, ticks: int) -> None:
    for _ in range(ticks):
        await asyncio.sleep(TICK_S)
    limit.reschedule(asyncio.get_running_loop().time())


async def soon(what: Awaitable[T], limit_s: float) -> T:
    """What it gives, or TimeoutError: `asyncio.wait_for` by that clock."""
    async with within(limit_s):
        return await what
