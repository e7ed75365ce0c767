"""The simulator in this loop, over real sockets and ptys, with the clients that the agent uses."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gpiozero
import pytest
import serial
from gpiozero.pins.pigpio import PiGPIOFactory
from sim_gates import live_text, site_from

from sim.frames import Pace, RtuFrame, TcpFrame, parse_rtu
from sim.pins import COMMAND, revision
from sim.simulator import Simulator

READ_RELAYS = RtuFrame(1, bytes.fromhex("01 0000 0008")).to_bytes()
READ_LANE = TcpFrame(5, 1, bytes.fromhex("04 0000 0002"))


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Simulator]:
    simulator = Simulator(site_from(live_text(), tmp_path), seed=7)
    await simulator.open()
    yield simulator
    simulator.close()
    await asyncio.sleep(0)


def frames(sim: Simulator) -> list[dict[str, Any]]:
    return [entry for entry in sim.wire.since() if entry["kind"] == "frame"]


async def until(what: Any, for_s: float = 20.0) -> None:
    """Wait for a condition, briefly; the limit is a failure, not a pause, and counted in looks."""
    for _ in range(round(for_s / 0.002)):
        if what():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("did not come")


# ── TCP ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_tcp_answers_and_notes_both_frames(sim: Simulator) -> None:
    expected = TcpFrame(5, 1, bytes.fromhex("04 04 0001 0000")).to_bytes()
    async with connected(sim.buses["plc"].address) as (reader, writer):
        before = time.monotonic_ns()
        writer.write(READ_LANE.to_bytes())
        assert await reader.readexactly(len(expected)) == expected
    request, answer = frames(sim)
    assert (request["dir"], answer["dir"]) == ("request", "reply")
    assert request["text"] == "lane:main read state (0+2)"
    assert answer["hex"] == expected.hex()
    assert before <= request["ns"] <= answer["ns"] <= time.monotonic_ns()


async def test_two_requests_in_one_piece(sim: Simulator) -> None:
    async with connected(sim.buses["plc"].address) as (reader, writer):
        writer.write(READ_LANE.to_bytes() * 2)
        data = await reader.readexactly(26)
    assert data[:13] == data[13:]


async def test_garbage_on_tcp_hangs_up_and_nothing_else(sim: Simulator) -> None:
    async with connected(sim.buses["plc"].address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    async with connected(sim.buses["plc"].address) as (reader, writer):
        writer.write(READ_LANE.to_bytes())
        assert len(await reader.readexactly(13)) == 13


async def test_late_and_piecemeal_answers_come_when_they_should(sim: Simulator) -> None:
    sim.do("fault", {"device": "lane:main", "kind": "late", "delay_s": 0.05})
    sim.do("fault", {"device": "lane:main", "kind": "one_byte", "gap_s": 0.001})
    async with connected(sim.buses["plc"].address) as (reader, writer):
        start = time.monotonic()
        writer.write(READ_LANE.to_bytes())
        await reader.readexactly(1)
        assert time.monotonic() - start >= 0.05
        await reader.readexactly(12)
        assert time.monotonic() - start >= 0.05 + 12 * 0.001


async def test_an_unplugged_bus_refuses_and_comes_back_at_its_address(sim: Simulator) -> None:
    address = sim.buses["plc"].address
    async with connected(address) as (reader, _):
        sim.do("fault", {"device": "bus:plc", "kind": "unplugged"})
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    with pytest.raises(ConnectionError):
        async with connected(address):
            pass
    sim.do("heal", {})
    await until(lambda: not sim.plugging)
    assert sim.buses["plc"].address == address
    async with connected(address):
        pass


# ── serial line ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_serial_exchange_takes_its_time_on_the_line(sim: Simulator, tmp_path: Path) -> None:
    port = serial.Serial(str(tmp_path / "run" / "tty-cabinet"), 9600, timeout=20, exclusive=True)
    start = time.monotonic()
    reply = await asyncio.to_thread(lambda: (port.write(READ_RELAYS), port.read(6))[1])
    took = time.monotonic() - start  # at least; a busy machine looks later
    assert parse_rtu(reply) == RtuFrame(1, bytes.fromhex("01 01 00"))
    pace = Pace.of(9600)
    assert took >= pace.frame_s(8) + pace.silence_s + pace.frame_s(6)
    request, answer = frames(sim)
    assert answer["ns"] - request["ns"] == pytest.approx((pace.silence_s + pace.frame_s(6)) * 1e9, rel=1e-6)
    assert request["ns"] / 1e9 - start >= pace.frame_s(8)
    port.close()


async def test_a_frame_in_pieces_is_one_frame_and_a_damaged_one_is_none(sim: Simulator) -> None:
    with serial.Serial(sim.buses["cabinet"].address, 9600, timeout=0.2) as port:
        for _ in range(20):  # on a busy machine the pause may last as long as a silence, and really end the frame
            port.write(READ_RELAYS[:3])
            await asyncio.sleep(0.001)
            port.write(READ_RELAYS[3:])
            if answered := len(await asyncio.to_thread(port.read, 6)) == 6:
                break
        assert answered
        port.write(READ_RELAYS[:-1] + b"\0")
        assert await asyncio.to_thread(port.read, 1) == b""
        assert frames(sim)[-1]["text"] == "not a frame: check sum wrong"


async def test_an_unplugged_serial_port_goes_and_comes_back_at_its_path(sim: Simulator, tmp_path: Path) -> None:
    link = tmp_path / "run" / "tty-cabinet"
    with serial.Serial(str(link), 9600, timeout=0.2) as port:
        sim.do("fault", {"device": "bus:cabinet", "kind": "unplugged"})
        assert not link.exists()
        with pytest.raises((serial.SerialException, OSError)):
            await asyncio.to_thread(lambda: (port.write(READ_RELAYS), port.read(6)))
    sim.do("heal", {"device": "bus:cabinet"})
    await until(link.exists)
    with serial.Serial(str(link), 9600, timeout=20) as port:
        port.write(READ_RELAYS)
        assert len(await asyncio.to_thread(port.read, 6)) == 6


# ── readers ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_card_is_a_frame_of_fourteen_characters(sim: Simulator, tmp_path: Path) -> None:
    with serial.Serial(str(tmp_path / "run" / "tty-guard"), 9600, timeout=20) as port:
        told = sim.do("swipe", {"reader": "guard", "card": "guard-1"})
        data = await asyncio.to_thread(port.read, 14)
        assert data == b"\x020100A1B2C3" + b"D1" + b"\x03"  # 01 ^ 00 ^ A1 ^ B2 ^ C3
        (noted,) = [entry for entry in sim.wire.since() if entry["kind"] == "card"]
        assert int(str(noted["ns"])) - int(str(told["ns"])) >= 14 * 10 / 9600 * 1e9
        sim.do("fault", {"device": "reader:guard", "kind": "bad_check"})
        sim.do("swipe", {"reader": "guard", "card": "uart-125k:0100a1b2c3"})
        spoilt = await asyncio.to_thread(port.read, 14)
        assert spoilt != data
        assert len(spoilt) == 14
        sim.do("heal", {})
        sim.do("fault", {"device": "reader:guard", "kind": "repeats"})
        sim.do("swipe", {"reader": "guard", "card": "0100A1B2C3"})
        assert await asyncio.to_thread(port.read, 28) == data * 2


async def test_a_reader_unplugged_and_plugged_in_again(sim: Simulator, tmp_path: Path) -> None:
    link = tmp_path / "run" / "tty-guard"
    with serial.Serial(str(link), 9600, timeout=0.2) as port:
        sim.do("fault", {"device": "reader:guard", "kind": "unplugged"})
        with pytest.raises((serial.SerialException, OSError)):
            await asyncio.to_thread(lambda: [port.read(1) for _ in range(5)])
    assert not link.is_symlink()
    sim.do("heal", {})
    await until(link.is_symlink)
    with serial.Serial(str(link), 9600, timeout=20) as port:
        sim.do("swipe", {"reader": "guard", "card": "staff-1"})
        assert len(await asyncio.to_thread(port.read, 14)) == 14


# ── pins, with gpiozero itself ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def factory(sim: Simulator) -> AsyncIterator[PiGPIOFactory]:
    host, _, port = sim.pins.address.rpartition(":")
    made = await asyncio.to_thread(PiGPIOFactory, host, int(port))
    yield made
    await asyncio.to_thread(made.close)


async def test_gpiozero_knows_the_board_and_sees_presses(sim: Simulator, factory: PiGPIOFactory) -> None:
    assert await asyncio.to_thread(lambda: factory.board_info.model) == "Zero2W"
    presses: list[int] = []

    def pair() -> tuple[gpiozero.Button, gpiozero.Button]:
        made = gpiozero.Button(17, pull_up=True, pin_factory=factory)
        made.when_pressed = lambda: presses.append(time.monotonic_ns())
        # The client compares each report with the last one it got, so the first edge of a line that it pulled up only
        # after it had connected is lost on it; the other contact of the pair makes a report that sets this right.
        other = gpiozero.Button(27, pull_up=True, pin_factory=factory)
        other.when_released = lambda: None
        return made, other

    made, other = await asyncio.to_thread(pair)
    assert not await asyncio.to_thread(lambda: made.is_pressed)
    for count in (1, 2):
        sim.do("press", {"button": "gatehouse", "hold": True})
        await until(lambda count=count: len(presses) == count, 0.1)
        assert await asyncio.to_thread(lambda: made.is_pressed)
        sim.do("release", {"button": "gatehouse"})
    edges = [e for e in sim.wire.since() if e["kind"] == "pin" and e["gpio"] == 17 and e["level"] == 0]
    assert all(int(str(e["ns"])) <= seen for seen, e in zip(presses, edges[-2:], strict=True))
    await asyncio.to_thread(made.close)
    await asyncio.to_thread(other.close)


async def test_gpiozero_drives_a_lock(sim: Simulator, factory: PiGPIOFactory) -> None:
    lock = await asyncio.to_thread(lambda: gpiozero.OutputDevice(16, pin_factory=factory))
    door = sim.world.doors["wicket"]
    seen = []
    for action in (lock.on, lock.off, lock.on):
        await asyncio.to_thread(action)
        seen.append(door.locked)
    assert seen == [True, False, True]
    assert await asyncio.to_thread(lambda: lock.value) == 1
    assert [e["level"] for e in sim.wire.since() if e["kind"] == "pin" and e["dir"] == "out"] == [1, 0, 1]
    await asyncio.to_thread(lock.close)
    assert not door.locked, "an input drives nothing"


async def command(sim: Simulator, *commands: tuple[int, int, int]) -> list[int]:
    """Send commands over one bare connection; returns the results, signed."""
    results = []
    async with connected(sim.pins.address) as (reader, writer):
        for number, p1, p2 in commands:
            writer.write(COMMAND.pack(number, p1, p2, 0))
            _, _, _, result = COMMAND.unpack(await reader.readexactly(16))
            results.append(result - (1 << 32) if result >> 31 else result)
    return results


async def test_the_daemon_protocol_by_numbers(sim: Simulator) -> None:
    results = await command(
        sim,
        (17, 0, 0), (2, 17, 2), (3, 17, 0), (1, 17, 0), (4, 5, 1), (1, 5, 0), (10, 0, 0), (97, 17, 5000),
        (3, 28, 0), (0, 5, 9), (2, 5, 7), (4, 5, 2), (97, 5, 300_001), (19, 77, 1), (5, 5, 5), (26, 0, 0),
        (14, 1 << 6, 0), (12, 1 << 5, 0),
    )  # fmt: skip
    # at power-on 0-8 are pulled up, but three of them have closed contacts: fire, mains, battery
    bank = 0b001101111 | (1 << 17)
    assert results == [revision("pi-zero-2w"), 0, 1, 0, 0, 1, bank, 0, -3, -4, -6, -5, -125, -25, -88, 79, 0, 0]
    assert sim.world.wiring.pins.driven_high(6)
    assert not sim.world.wiring.pins.driven_high(5)


async def test_reports_deafness_and_the_glitch_filter(sim: Simulator) -> None:
    async with connected(sim.pins.address) as (reader, writer):
        writer.write(COMMAND.pack(99, 0, 0, 0))
        handle = COMMAND.unpack(await reader.readexactly(16))[3]
        await command(sim, (2, 17, 2), (2, 27, 2), (19, handle, 1 << 17))
        sim.do("press", {"button": "gatehouse", "hold": True})
        report = await reader.readexactly(12)
        assert int.from_bytes(report[8:], "little") >> 17 & 1 == 0
        sim.do("fault", {"device": "gpio", "kind": "deaf"})
        sim.do("release", {"button": "gatehouse"})
        sim.do("heal", {})
        await command(sim, (97, 17, 20_000))
        sim.do("press", {"button": "gatehouse", "hold_s": 0.002})
        await asyncio.sleep(0.03)
        sim.do("press", {"button": "gatehouse", "hold": True})
        report = await reader.readexactly(12)
        assert report[0] == 1, "the second report of all: deafness and the filter swallowed three edges"


async def test_a_dying_daemon_breaks_connections_and_drops_outputs(sim: Simulator) -> None:
    await command(sim, (4, 16, 1))
    assert sim.world.wiring.pins.driven_high(16)
    async with connected(sim.pins.address) as (reader, _):
        await until(lambda: sim.pins.connections)
        sim.do("fault", {"device": "gpio", "kind": "restart", "down_s": 0.05})
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    assert sim.world.wiring.pins.bank & 1 << 16 == 0
    with pytest.raises(ConnectionError):
        await command(sim, (16, 0, 0))
    await until(lambda: not sim.world.faults.all() and not sim.plugging)
    assert len(await command(sim, (16, 0, 0))) == 1


async def test_a_hung_daemon_answers_nothing(sim: Simulator) -> None:
    sim.do("fault", {"device": "gpio", "kind": "hung"})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(command(sim, (16, 0, 0)), 0.05)
