"""`LoopPort`: end-of-line loops, each state told apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from contract_rigs import LoopRig, Simulator, loop_rig
from patience import within

from drivers.errors import DriverError


@pytest.fixture(params=["fake", "peer", "sim"])
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(implementation: str, sim: Simulator | None) -> AsyncIterator[LoopRig]:
    async with loop_rig(implementation, sim) as made:
        yield made
        await made.dead(False)
        await made.line("normal")


async def shows(rig: LoopRig, state: str) -> None:
    for _ in range(150):
        if (await rig.port.read())[0] == state:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the loop never read {state}")


@pytest.mark.parametrize("state", ["cut", "shorted", "pressed"])
async def test_each_state_of_a_line(rig: LoopRig, state: str) -> None:
    await shows(rig, "normal")
    await rig.line(state)
    await shows(rig, state)


async def test_a_dead_board_is_told_within_its_bound(rig: LoopRig) -> None:
    await rig.port.read()
    await rig.dead(True)
    with pytest.raises(DriverError):
        async with within(1.0):
            await rig.port.read()
