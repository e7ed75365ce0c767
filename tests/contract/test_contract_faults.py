"""The simulator's faults of a wire against the drivers: a right answer or a `DriverError`, and back within 5 s."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import pytest
from contract_rigs import Simulator
from patience import within

from drivers.bollard import LanePlc
from drivers.errors import DriverError
from drivers.relay import RelayBoard

FAULTS = [
    ("bus:plc", "unplugged"), ("lane:main", "dead"), ("lane:main", "slow"), ("lane:main", "late"),
    ("lane:main", "garbage"), ("lane:main", "truncated"), ("lane:main", "one_byte"),
    ("lane:main", "wrong_transaction"), ("lane:main", "exception"), ("lane:main", "reboot"),
    ("bus:cabinet", "unplugged"), ("board:relays", "dead"), ("board:relays", "late"),
    ("board:relays", "garbage"), ("board:relays", "bad_check"), ("board:relays", "truncated"),
    ("board:relays", "wrong_unit"),
]  # fmt: skip


@pytest.fixture
async def sim(simulated: Simulator) -> Simulator:
    await simulated.do("heal")
    return simulated


async def bounded(call: Callable[[], Awaitable[object]]) -> None:
    """Nothing but an answer or a DriverError, and neither late."""
    async with within(1.5):
        with contextlib.suppress(DriverError):
            await call()


async def works_again(call: Callable[[], Awaitable[object]]) -> None:
    async with within(5):
        while True:
            with contextlib.suppress(DriverError):
                await call()
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("device", "kind"), FAULTS, ids=[f"{device} {kind}" for device, kind in FAULTS])
async def test_a_faulty_wire(sim: Simulator, device: str, kind: str) -> None:
    on_line = device in ("bus:cabinet", "board:relays")
    bus = sim.bus("cabinet" if on_line else "plc")
    await bus.start()
    lane, relays = LanePlc(sim.site.lane[0], bus), RelayBoard(sim.site.relay_board[0], bus)

    async def honest_relay() -> None:
        """What reads back is what was written, or it is told that it is not known."""
        await relays.write(4, True)
        states = await relays.read()
        assert states[4]

    calls: list[Callable[[], Awaitable[object]]] = (
        [honest_relay] if on_line else [lane.read, lane.beat, lambda: lane.show("red", False)]
    )
    for call in calls:
        await works_again(call)
    await sim.fault(device, kind, True)
    for _ in range(2):
        for call in calls:
            await bounded(call)
    await sim.fault(device, kind, False)
    for call in calls:
        await works_again(call)
    await bus.close()


async def test_a_lying_plc_is_seen_by_reading_back(sim: Simulator) -> None:
    """It echoes the token and never takes it: acknowledged is not taken, taken is not done."""
    bus = sim.bus("plc")
    await bus.start()
    lane = LanePlc(sim.site.lane[0], bus)
    before = (await lane.read()).bollards["main-1"].token
    token = (before or 0) % 255 + 1
    await sim.fault("lane:main", "lying", True)
    await lane.request("main-1", "lower", token, time.monotonic(), 2.0)
    await asyncio.sleep(0.1)
    assert (await lane.read()).bollards["main-1"].token == before
    await bus.close()


async def test_a_frozen_plc_shows_in_its_heartbeat(sim: Simulator) -> None:
    bus = sim.bus("plc")
    await bus.start()
    lane = LanePlc(sim.site.lane[0], bus)
    await lane.beat()
    await asyncio.sleep(0.1)
    assert (await lane.read()).heartbeat_ok
    await sim.fault("lane:main", "frozen", True)
    for _ in range(5):
        await asyncio.sleep(0.5)
        await lane.beat()
    assert not (await lane.read()).heartbeat_ok
    await bus.close()
