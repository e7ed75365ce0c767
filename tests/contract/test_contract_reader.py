"""`ReaderPort`: cards, garbled frames, and an end that is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contract_rigs import ReaderRig, Simulator, reader_rig
from patience import soon

from drivers.errors import LinkLost
from drivers.ports import BadCard, CardFrame


@pytest.fixture(params=["fake", "peer", "sim"])
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(implementation: str, sim: Simulator | None, tmp_path: Path) -> AsyncIterator[ReaderRig]:
    async with reader_rig(implementation, sim, tmp_path) as made:
        yield made


async def test_cards_in_their_order(rig: ReaderRig) -> None:
    for digits in ("0100A1B2C3", "0200000001", "0100A1B2C3"):
        before = time.monotonic()
        await rig.swipe(digits)
        frame = await soon(rig.port.next_frame(), 2)
        assert isinstance(frame, CardFrame)
        assert frame.card == f"uart-125k:{digits}"
        assert before <= frame.read_at <= time.monotonic()


async def test_a_garbled_frame_is_no_card_and_the_next_is_one(rig: ReaderRig) -> None:
    await rig.garble("0100A1B2C3")
    assert isinstance(await soon(rig.port.next_frame(), 2), BadCard)
    await rig.swipe("0100A1B2C3")
    assert isinstance(await soon(rig.port.next_frame(), 2), CardFrame)


async def test_unplugging_is_told_to_who_waits_and_who_comes_later(rig: ReaderRig) -> None:
    waiting = asyncio.create_task(rig.port.next_frame())
    await asyncio.sleep(0.05)
    await rig.unplug()
    with pytest.raises(LinkLost):
        await soon(waiting, 2)
    with pytest.raises(LinkLost):
        await soon(rig.port.next_frame(), 2)


async def test_waiting_has_no_limit_and_may_be_cancelled(rig: ReaderRig) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rig.port.next_frame(), 0.2)
    await rig.swipe("0100A1B2C3")
    assert isinstance(await soon(rig.port.next_frame(), 2), CardFrame)
