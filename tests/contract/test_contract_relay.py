"""`RelayPort`: two-state outputs that are read back from the board."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from contract_rigs import RelayRig, Simulator, relay_rig
from patience import within

from drivers.errors import DriverError, Misuse


@pytest.fixture(params=["fake", "peer", "sim"])
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(implementation: str, sim: Simulator | None) -> AsyncIterator[RelayRig]:
    async with relay_rig(implementation, sim) as made:
        yield made


async def test_every_channel_alone(rig: RelayRig) -> None:
    count = len(await rig.port.read())
    assert count == 8
    for channel in range(count):
        await rig.port.write(channel, False)
    for channel in (0, count - 1):
        await rig.port.write(channel, True)
        assert await rig.port.read() == tuple(each == channel for each in range(count))
        await rig.port.write(channel, False)
    assert not any(await rig.port.read())


async def test_a_doubled_write_is_the_same_write(rig: RelayRig) -> None:
    for _ in range(2):
        await rig.port.write(2, True)
    assert (await rig.port.read())[2]
    await rig.port.write(2, False)


@pytest.mark.parametrize("channel", [-1, 8, 255])
async def test_no_such_channel(rig: RelayRig, channel: int) -> None:
    with pytest.raises(Misuse):
        await rig.port.write(channel, True)
    assert not any(await rig.port.read())


async def test_a_dead_board_is_told_within_its_bound_and_found_again(rig: RelayRig) -> None:
    await rig.port.read()
    await rig.dead(True)
    for call in (rig.port.read, lambda: rig.port.write(1, True)):
        with pytest.raises(DriverError):
            async with within(1.0):
                await call()
    await rig.dead(False)
    async with within(5):
        while True:
            with contextlib.suppress(DriverError):
                await rig.port.write(1, False)
                return
            await asyncio.sleep(0.05)
