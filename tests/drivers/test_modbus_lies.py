"""A peer that lies, on TCP and on a serial line: whatever it says, no call is told anything but its own exact answer.

Two tests ask the bare library the same and watch it fall for it: the day they fail, our gatekeeper may be thinner.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import pytest
from bus_helpers import bus_on
from modbus_peers import Heard, RtuPeer, Say, Script, Tables, TcpPeer, honest, rtu_peer, tcp_peer
from patience import within
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu.bit_message import ReadCoilsResponse

from drivers.errors import BadFrame, DriverError, LinkLost, Misuse, NoAnswer, Refused
from drivers.modbus_bus import ModbusBus

Peers = TcpPeer | RtuPeer
TIMEOUT_S = 0.08
OWN_ECHO_S = 0.01


@pytest.fixture(params=["tcp", "rtu"])
def opened(request: pytest.FixtureRequest) -> Callable[[Script], contextlib.AbstractAsyncContextManager[Peers]]:
    """Either kind of peer, at the far end of a fast line."""
    if request.param == "tcp":
        return lambda script: tcp_peer(script, timeout_s=TIMEOUT_S)
    return lambda script: rtu_peer(script, timeout_s=TIMEOUT_S, baud=115200)


Opened = Callable[[Script], contextlib.AbstractAsyncContextManager[Peers]]


async def hello(peer: Peers, bus: ModbusBus, delay_s: float = 0.0) -> None:
    """One honest exchange: a unit that was heard once has some credit."""
    script, peer.script = peer.script, honest({1: Tables()}, delay_s)
    await bus.read_input(1, 0, 1)
    peer.script = script
    peer.heard.clear()


def wrong(change: Callable[[bytearray], None]) -> Script:
    """An honest unit 1 whose answer PDU is changed on its way."""
    tables = Tables()

    def script(heard: Heard) -> Iterable[Say]:
        pdu = bytearray(tables.answer(heard.pdu))
        change(pdu)
        yield 0, heard.reply(bytes(pdu))

    return script


def late_then_honest(late_s: float) -> Script:
    """The first answer comes late, the others at once."""
    tables, first = Tables(coils={7: True}, inputs={0: 7}), [True]

    def script(heard: Heard) -> Iterable[Say]:
        yield (late_s if first else 0), heard.reply(tables.answer(heard.pdu))
        first.clear()

    return script


def drive_into_write() -> Script:
    """Silent to reads; when a write comes, a read's late answer arrives just before the write's own."""
    tables, late = Tables(coils={7: True}), list[bytes]()

    def script(heard: Heard) -> Iterable[Say]:
        answer = heard.reply(tables.answer(heard.pdu), transaction=0)
        if heard.function == 1:
            late.append(answer)
            return
        yield 0, late[0]
        yield OWN_ECHO_S, heard.reply(tables.answer(heard.pdu))

    return script


# ── the library's trap, and that ours is shut ───────────────────────────────────────────────────────────────────────


async def test_the_bare_library_confirms_a_write_with_a_read_s_answer(opened: Opened) -> None:
    """pymodbus 3.16.1, RTU or a gateway that numbers its answers 0: a late answer is handed to the next call."""
    async with opened(drive_into_write()) as peer:
        client: AsyncModbusTcpClient | AsyncModbusSerialClient
        if isinstance(peer, TcpPeer):
            client = AsyncModbusTcpClient("127.0.0.1", port=peer.bus.port, timeout=TIMEOUT_S, retries=0)
        else:
            client = AsyncModbusSerialClient(peer.path, baudrate=115200, timeout=TIMEOUT_S, retries=0)
        await client.connect()
        with pytest.raises(ModbusIOException):
            await client.read_coils(0, count=8, device_id=1)
        answer = await client.write_coil(3, True, device_id=1)
        assert isinstance(answer, ReadCoilsResponse)
        assert not answer.isError()
        client.close()
        await asyncio.sleep(0.02)


async def test_ours_waits_for_the_write_s_own_echo(opened: Opened) -> None:
    async with opened(drive_into_write()) as peer, bus_on(peer) as bus:
        await hello(peer, bus)
        with pytest.raises(NoAnswer):
            await bus.read_coils(1, 0, 8)
        confirmed_at = await bus.write_coil(1, 3, True)
        assert peer.heard[-1].pdu == bytes.fromhex("05 00 03 FF 00")
        assert confirmed_at - peer.heard[-1].at >= OWN_ECHO_S


async def test_a_late_answer_alone_never_confirms_a_write(opened: Opened) -> None:
    kept: list[bytes] = []

    def script(heard: Heard) -> Iterable[Say]:
        if heard.function == 1:
            kept.append(heard.reply(b"\x01\x01\xff"))
        else:
            yield 0, kept[0]

    async with opened(script) as peer, bus_on(peer) as bus:
        await hello(peer, bus)
        with pytest.raises(NoAnswer):
            await bus.read_coils(1, 0, 8)
        with pytest.raises(BadFrame):
            await bus.write_coil(1, 3, True)


async def test_after_a_time_out_the_line_is_silent_until_the_late_answer_is_over(opened: Opened) -> None:
    """The late answer falls into the silence, so that not even a call of the same shape can be handed it."""
    async with opened(late_then_honest(TIMEOUT_S + 0.005)) as peer, bus_on(peer) as bus:
        await hello(peer, bus, delay_s=0.03)  # it is known to be slow, so the silence is long
        assert (await bus.read_input(1, 0, 1)).values == (7,), "asked a second time"
        assert len(peer.heard) == 2
        assert peer.heard[1].at - peer.heard[0].at >= TIMEOUT_S + 0.005 + 0.01


# ── every other lie ─────────────────────────────────────────────────────────────────────────────────────────────────


def change_byte(index: int) -> Callable[[bytearray], None]:
    def change(pdu: bytearray) -> None:
        pdu[index] ^= 0x01

    return change


LIES = {
    "another function": change_byte(0),
    "another address": change_byte(2),
    "another value": change_byte(4),
    "a coil value that is neither": lambda pdu: pdu.__setitem__(3, 0x01) if pdu[0] == 5 else pdu.__setitem__(3, 9),
    "a byte too many": lambda pdu: pdu.append(0),
    "a byte too few": lambda pdu: pdu.pop(),
    "only the function": lambda pdu: pdu.__delitem__(slice(1, None)),
}


@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_a_write_with_a_wrong_echo_is_not_confirmed(opened: Opened, lie: str) -> None:
    async with opened(wrong(LIES[lie])) as peer, bus_on(peer) as bus:
        with pytest.raises((BadFrame, NoAnswer)):
            await bus.write_register(1, 8, 0x0101)
        with pytest.raises((BadFrame, NoAnswer)):
            await bus.write_coil(1, 8, True)
        assert [heard.function for heard in peer.heard] in ([6], [6, 5]), "a write goes out once"


@pytest.mark.parametrize("change", [change_byte(0), change_byte(1), bytearray.pop, lambda pdu: pdu.append(0)])
async def test_a_read_with_a_wrong_answer_is_no_reading(opened: Opened, change: Callable[[bytearray], None]) -> None:
    async with opened(wrong(change)) as peer, bus_on(peer) as bus:
        with pytest.raises((BadFrame, NoAnswer)):
            await bus.read_input(1, 0, 3)
        assert len(peer.heard) <= 2, "a read is repeated once at most"


async def test_another_unit_s_answer_is_not_ours(opened: Opened) -> None:
    async with (
        opened(lambda heard: [(0, heard.reply(Tables().answer(heard.pdu), unit=2))]) as peer,
        bus_on(peer) as bus,
    ):
        with pytest.raises(BadFrame):
            await bus.write_register(1, 8, 5)


async def test_answers_numbered_zero_are_not_believed() -> None:
    """A gateway that does not repeat the transaction number cannot tell a late answer from the right one."""
    script: Script = lambda heard: [(0, heard.reply(heard.pdu, transaction=0))]  # noqa: E731
    async with tcp_peer(script, timeout_s=TIMEOUT_S) as peer, bus_on(peer) as bus:
        with pytest.raises(BadFrame, match="numbered 0"):
            await bus.write_register(1, 8, 5)


async def test_a_wrong_check_sum_is_no_answer() -> None:
    def script(heard: Heard) -> Iterable[Say]:
        frame = heard.reply(heard.pdu)
        yield 0, frame[:-1] + bytes((frame[-1] ^ 0x10,))

    async with rtu_peer(script, timeout_s=TIMEOUT_S, baud=115200) as peer, bus_on(peer) as bus:
        with pytest.raises(BadFrame):
            await bus.write_register(1, 8, 5)


@pytest.mark.parametrize(
    "noise",
    [b"\xff" * 300, bytes(range(256)), b"\x01\x08\x00", b"\x01\x2b\x0e", b"\0", b"\x01\x81"],
    ids=lambda n: n[:3].hex(),
)
async def test_garbage_never_hangs_and_the_next_call_works(opened: Opened, noise: bytes) -> None:
    """Some of these make the bare library raise inside the transport and drop the connection."""
    tables, first = Tables(inputs={0: 9}), [True]

    def script(heard: Heard) -> Iterable[Say]:
        if first:
            first.clear()
            yield 0, noise
        else:
            yield 0, heard.reply(tables.answer(heard.pdu))

    async with opened(script) as peer, bus_on(peer) as bus:
        await hello(peer, bus)
        with contextlib.suppress(BadFrame, NoAnswer):
            async with within(TIMEOUT_S + 0.1):
                await bus.write_register(1, 0, 1)
        assert (await bus.read_input(1, 0, 1)).values == (9,)


async def test_stray_bytes_before_the_answer_do_no_harm() -> None:
    """RS-485 drivers that turn around late put a byte or two before the frame."""
    tables = Tables(inputs={0: 9})
    script: Script = lambda heard: [(0, b"\x00\xff" + heard.reply(tables.answer(heard.pdu)))]  # noqa: E731
    async with rtu_peer(script, timeout_s=TIMEOUT_S, baud=115200) as peer, bus_on(peer) as bus:
        assert (await bus.read_input(1, 0, 1)).values == (9,)


async def test_an_answer_one_byte_at_a_time(opened: Opened) -> None:
    tables = Tables(inputs={0: 9, 1: 8})

    def script(heard: Heard) -> Iterable[Say]:
        for byte in heard.reply(tables.answer(heard.pdu)):
            yield 0.001, bytes((byte,))

    async with opened(script) as peer, bus_on(peer) as bus:
        assert (await bus.read_input(1, 0, 2)).values == (9, 8)


async def test_half_an_answer_is_none(opened: Opened) -> None:
    def script(heard: Heard) -> Iterable[Say]:
        frame = heard.reply(heard.pdu)
        yield 0, frame[: len(frame) // 2 + 2]

    async with opened(script) as peer, bus_on(peer) as bus:
        with pytest.raises((BadFrame, NoAnswer)):
            await bus.write_register(1, 8, 5)


async def test_unasked_answers_before_a_call_are_forgotten(opened: Opened) -> None:
    tables = Tables(inputs={0: 9})
    async with opened(honest({1: tables})) as peer, bus_on(peer) as bus:
        await bus.read_input(1, 0, 1)
        stale = peer.heard[0].reply(b"\x04\x02\x00\x01")
        await peer.say(stale)
        await asyncio.sleep(0.02)
        assert (await bus.read_input(1, 0, 1)).values == (9,)


# ── what is refused, and by whom ────────────────────────────────────────────────────────────────────────────────────


async def test_busy_is_asked_again_once_when_reading_and_never_when_writing(opened: Opened) -> None:
    busy: Script = lambda heard: [(0, heard.reply(bytes((heard.function | 0x80, 6))))]  # noqa: E731
    async with opened(busy) as peer, bus_on(peer) as bus:
        with pytest.raises(Refused, match="busy") as caught:
            await bus.read_input(1, 0, 1)
        assert (caught.value.code, len(peer.heard)) == (6, 2)
        peer.heard.clear()
        with pytest.raises(Refused):
            await bus.write_register(1, 0, 1)
        assert len(peer.heard) == 1


async def test_a_write_s_time_out_is_not_asked_again(opened: Opened) -> None:
    """A timed-out coil write reached the device four times with the library's own settings."""
    async with opened(lambda heard: []) as peer, bus_on(peer) as bus:
        for call in (bus.write_coil(1, 0, True), bus.write_register(2, 0, 1)):
            with pytest.raises(NoAnswer):
                await call
        await asyncio.sleep(0.1)
        assert [heard.unit for heard in peer.heard] == [1, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda bus: bus.write_register(0, 8, 1),
        lambda bus: bus.write_coil(0, 8, True),
        lambda bus: bus.read_input(248, 0, 1),
        lambda bus: bus.read_input(1, 0, 126),
        lambda bus: bus.read_coils(1, 0, 0),
        lambda bus: bus.read_holding(1, 65535, 2),
        lambda bus: bus.write_register(1, 8, 65536),
        lambda bus: bus.write_register(1, -1, 1),
    ],
)
async def test_misuse_never_reaches_the_wire(opened: Opened, call: Callable[[ModbusBus], object]) -> None:
    async with opened(honest({1: Tables()})) as peer, bus_on(peer) as bus:
        with pytest.raises(Misuse):
            await call(bus)  # type: ignore[misc]
        await bus.read_input(1, 0, 1)
        assert len(peer.heard) == 1


async def test_everything_raised_is_a_driver_error_in_field_words(opened: Opened) -> None:
    async with opened(lambda heard: []) as peer, bus_on(peer) as bus:
        with pytest.raises(DriverError) as caught:
            await bus.read_input(3, 4, 2)
        assert f"bus {peer.bus.name}" in str(caught.value)
        assert "unit 3" in str(caught.value)
        await bus.close()
        with pytest.raises(LinkLost):
            await bus.read_input(3, 4, 2)
