"""Links that come and go: power cuts, pulled adapters, ports that cannot be used, half-open connections."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from bus_helpers import bus_on, wait_for_answer
from modbus_peers import Tables, honest, rtu_peer, tcp_peer
from patience import soon, within

from drivers.errors import LinkLost, NoAnswer
from drivers.modbus_bus import ModbusBus
from hardware import site

TIMEOUT_S = 0.08


async def test_a_plc_that_loses_power_is_back_within_five_seconds() -> None:
    said: list[tuple[bool, str]] = []
    async with tcp_peer(honest({1: Tables()})) as peer:
        bus = ModbusBus(peer.bus, on_link=lambda up, why: said.append((up, why)), rng=random.Random(1))
        await bus.start()
        await bus.read_input(1, 0, 1)
        await peer.shut()
        with pytest.raises(LinkLost):
            for _ in range(10):
                await bus.read_input(1, 0, 1)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert not bus.up
        assert "127.0.0.1" in bus.why
        await peer.open()
        await wait_for_answer(bus, 3)
        assert [up for up, _ in said] == [True, False, True], "each change is told once"
        await bus.close()


async def test_a_silent_unit_is_asked_at_once_on_a_new_connection() -> None:
    """Its PLC hung, was switched off and on again: no reason to wait for the next probe."""
    async with tcp_peer(lambda heard: [], timeout_s=TIMEOUT_S) as peer:
        bus = ModbusBus(peer.bus, rng=random.Random(4))
        await bus.start()
        with pytest.raises(NoAnswer):
            await bus.read_input(1, 0, 1)
        await peer.shut()
        peer.script = honest({1: Tables()})
        await peer.open()
        await wait_for_answer(bus, 1)
        await bus.close()


async def test_a_call_in_flight_when_the_link_breaks_is_told_at_once() -> None:
    async with tcp_peer(lambda heard: [], timeout_s=5) as peer, bus_on(peer) as bus:
        call = asyncio.create_task(bus.read_input(1, 0, 1))
        await asyncio.sleep(0.02)
        await peer.shut()
        with pytest.raises(LinkLost):
            async with within(0.5):
                await call


async def test_calls_made_while_the_bus_still_connects_wait_for_it() -> None:
    async with tcp_peer(honest({1: Tables(inputs={0: 5})})) as peer:
        bus = ModbusBus(peer.bus)
        call = asyncio.create_task(bus.read_input(1, 0, 1))
        await asyncio.sleep(0)
        await bus.start()
        assert (await call).values == (5,)
        await bus.close()


async def test_no_plc_at_start_is_no_error_and_says_what_to_look_at() -> None:
    async with tcp_peer(honest({1: Tables()})) as peer:
        await peer.shut()
        bus = ModbusBus(peer.bus, rng=random.Random(2))
        await bus.start()
        assert not bus.up
        with pytest.raises(LinkLost, match=r"bus plc: cannot connect to 127\.0\.0\.1:\d+ \(Connection refused\).*PLC"):
            await bus.read_input(1, 0, 1)
        await peer.open()
        await wait_for_answer(bus, 5)
        await bus.close()


@pytest.mark.parametrize(("make", "words"), [("nothing", "no serial port"), ("a file", "not a serial port")])
async def test_a_serial_port_that_cannot_be_used(tmp_path: Path, make: str, words: str) -> None:
    if make == "a file":
        (tmp_path / "tty-cabinet").write_text("")
    bus = ModbusBus(site.Bus(name="cabinet", kind="rtu", device="tty-cabinet"), folder=str(tmp_path))
    await bus.start()
    assert words in bus.why
    assert "tty-cabinet" in bus.why
    await bus.close()


async def test_a_pty_that_cannot_do_parity() -> None:
    """pyserial raises a termios error there, which is no OSError; simulated lines are 8N1."""
    async with rtu_peer(honest({1: Tables()})) as peer:
        bus = ModbusBus(site.Bus(name="line", kind="rtu", device=peer.path, baud=38400, parity="E"))
        await bus.start()
        assert bus.why == f"bus line: serial port {peer.path} cannot do 38400 baud, 8E1"
        await bus.close()


async def test_a_serial_port_is_held_alone() -> None:
    async with rtu_peer(honest({1: Tables()})) as peer, bus_on(peer) as bus:
        second = ModbusBus(peer.bus)
        await second.start()
        assert "busy with another program" in second.why
        await bus.read_input(1, 0, 1)
        await second.close()


async def test_an_adapter_pulled_out_and_pushed_in(tmp_path: Path) -> None:
    """By a stable name, as udev gives it: the new pty has another number."""
    link = tmp_path / "tty-cabinet"
    bus = ModbusBus(
        site.Bus(name="cabinet", kind="rtu", device="tty-cabinet", timeout_s=TIMEOUT_S),
        folder=str(tmp_path),
        rng=random.Random(3),
    )
    async with rtu_peer(honest({1: Tables()})) as peer:
        link.symlink_to(peer.path)
        await bus.start()
        await bus.read_input(1, 0, 1)
    link.unlink()
    with pytest.raises(LinkLost, match="unplugged"):
        for _ in range(10):
            await bus.read_input(1, 0, 1)
    async with rtu_peer(honest({1: Tables()})) as peer:
        link.symlink_to(peer.path)
        await wait_for_answer(bus, 5)
        await bus.close()


async def test_a_half_open_connection_is_replaced() -> None:
    """A PLC that lost its power without a word leaves a socket that swallows everything."""
    said: list[bool] = []
    async with tcp_peer(lambda heard: [], timeout_s=TIMEOUT_S) as peer:
        bus = ModbusBus(peer.bus, on_link=lambda up, why: said.append(up))
        await bus.start()
        for unit in (1, 2, 3):
            with pytest.raises(NoAnswer):
                await bus.read_input(unit, 0, 1)
        peer.script = honest({4: Tables()})
        await bus.read_input(4, 0, 1)
        assert peer.connections == 2
        assert said == [True], "nobody is told of a loss that was none"
        await bus.close()


async def test_closing_tells_whoever_waits() -> None:
    async with tcp_peer(lambda heard: [], timeout_s=5) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        calls = [asyncio.create_task(bus.read_input(1, 0, 1)) for _ in range(3)]
        await asyncio.sleep(0.02)
        await bus.close()
        results = await soon(asyncio.gather(*calls, return_exceptions=True), 0.5)
        assert all(isinstance(result, LinkLost) for result in results), results
