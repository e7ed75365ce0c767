"""`GpioPort`: pulled-up inputs with edges and levels, outputs read from the pin. Runs on a real board with --rig."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from contract_rigs import GpioRig, Simulator, gpio_rig

from drivers.errors import LinkLost, Misuse


@pytest.fixture(params=["fake", "peer", "sim", pytest.param("rig", marks=pytest.mark.rig)])
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(implementation: str, sim: Simulator | None) -> AsyncIterator[GpioRig]:
    async with gpio_rig(implementation, sim) as made:
        await made.close_contact(False)
        yield made


async def test_an_open_contact_is_high_and_a_closed_one_low(rig: GpioRig) -> None:
    pin = rig.pins[0]
    assert (await rig.port.read_inputs())[pin]
    await rig.close_contact(True)
    assert not (await rig.port.read_inputs())[pin]
    await rig.close_contact(False)
    assert (await rig.port.read_inputs())[pin]


async def test_edges_are_told_with_level_and_instant(rig: GpioRig) -> None:
    seen: list[tuple[int, bool, float]] = []
    news = threading.Event()

    def listener(gpio: int, high: bool, at: float) -> None:
        seen.append((gpio, high, at))
        news.set()

    rig.port.listen(listener)
    before = time.monotonic()
    await rig.close_contact(True)
    assert await asyncio.to_thread(news.wait, 2)
    gpio, high, at = seen[0]
    assert (gpio, high) == (rig.pins[0], False)
    assert before - 0.01 <= at <= time.monotonic() + 0.01


async def test_an_output_reads_back_from_its_pin(rig: GpioRig) -> None:
    pin = rig.pins[1]
    for high in (True, False, True):
        await rig.port.write(pin, high)
        assert (await rig.port.read_outputs())[pin] is high
    await rig.port.write(pin, False)


async def test_inputs_are_not_written(rig: GpioRig) -> None:
    with pytest.raises(Misuse):
        await rig.port.write(rig.pins[0], True)


async def test_a_lost_bank_stays_lost(rig: GpioRig) -> None:
    await rig.port.read_inputs()
    await rig.dead(True)
    with pytest.raises(LinkLost):
        await rig.port.read_inputs()
    await rig.dead(False)
    for call in (rig.port.read_inputs, rig.port.read_outputs, lambda: rig.port.write(rig.pins[1], True)):
        with pytest.raises(LinkLost):
            await call()


async def test_closing_twice_is_harmless(rig: GpioRig) -> None:
    await rig.port.close()
    await rig.port.close()
    with pytest.raises(LinkLost):
        await rig.port.read_inputs()
