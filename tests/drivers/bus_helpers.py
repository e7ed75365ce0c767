"""Opening a bus on a peer, and waiting for it to work again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from modbus_peers import RtuPeer, TcpPeer
from patience import within

from drivers.errors import DriverError
from drivers.modbus_bus import ModbusBus


@contextlib.asynccontextmanager
async def bus_on(peer: TcpPeer | RtuPeer, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[ModbusBus]:
    bus = ModbusBus(peer.bus, clock=clock)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


async def wait_for_answer(bus: ModbusBus, within_s: float) -> None:
    async with within(within_s):
        while True:
            with contextlib.suppress(DriverError):
                await bus.read_input(1, 0, 1)
                return
            await asyncio.sleep(0.02)
