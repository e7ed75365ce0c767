"""Frames typed from the Modbus specification, byte for byte, against what our bus really puts on and off the wire.

The requests, answers and their values are the examples of MODBUS Application Protocol V1.1b3, sections 6.1-6.6, 6.12
and 7; transaction numbers and the two check bytes are worked out by hand (CRC-16, serial line guide, appendix B).
Neither side's codec is asked: two library releases decoded these very examples wrongly on both ends, and agreed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from modbus_peers import crc, rtu_peer, tcp_peer

from drivers.errors import Refused
from drivers.modbus_bus import Bits, ModbusBus, Words


@dataclass(frozen=True)
class Example:
    name: str
    ask: Callable[[ModbusBus], Awaitable[Any]]
    request: str
    answer: str
    values: tuple[Any, ...] | None


def bits(text: str) -> tuple[bool, ...]:
    return tuple(each == "1" for each in text.replace(" ", ""))


EXAMPLES = (
    Example(
        "read coils 20-38",
        lambda bus: bus.read_coils(1, 19, 19),
        "01 00 13 00 13",
        "01 03 CD 6B 05",
        # CD = 27-20, 6B = 35-28, 05 = 38-36; the lowest coil is the lowest bit.
        bits("10110011 11010110 101"),
    ),
    Example(
        "read holding registers 108-110",
        lambda bus: bus.read_holding(1, 107, 3),
        "03 00 6B 00 03",
        "03 06 02 2B 00 00 00 64",
        (555, 0, 100),
    ),
    Example("read input register 9", lambda bus: bus.read_input(1, 8, 1), "04 00 08 00 01", "04 02 00 0A", (10,)),
    Example("write coil 173 on", lambda bus: bus.write_coil(1, 172, True), "05 00 AC FF 00", "05 00 AC FF 00", None),
    Example("write coil 173 off", lambda bus: bus.write_coil(1, 172, False), "05 00 AC 00 00", "05 00 AC 00 00", None),
    Example("write register 2", lambda bus: bus.write_register(1, 1, 3), "06 00 01 00 03", "06 00 01 00 03", None),
)
NAMES = [example.name for example in EXAMPLES]


def check(example: Example, result: Any) -> None:
    match result:
        case Words(values=values) | Bits(values=values):
            assert values == example.values
        case float():
            assert example.values is None
        case _:
            raise AssertionError(result)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
async def test_tcp(example: Example) -> None:
    request, answer = bytes.fromhex(example.request), bytes.fromhex(example.answer)
    head = "00 01 00 00 00"
    async with tcp_peer(lambda heard: [(0, bytes.fromhex(head) + bytes((len(answer) + 1, 1)) + answer)]) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        check(example, await example.ask(bus))
        assert peer.heard[0].frame == bytes.fromhex(head) + bytes((len(request) + 1, 1)) + request
        await bus.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
async def test_rtu(example: Example) -> None:
    request, answer = bytes.fromhex("01" + example.request), bytes.fromhex("01" + example.answer)
    async with rtu_peer(lambda heard: [(0, answer + crc(answer))]) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        check(example, await example.ask(bus))
        assert peer.heard[0].frame == request + crc(request)
        await bus.close()


async def test_rtu_check_bytes_known_from_the_literature() -> None:
    """Reading ten holding registers from 0 of unit 1 ends in C5 CD, a frame printed in many a manual."""
    async with rtu_peer(lambda heard: [(0, heard.reply(b"\x03\x14" + bytes(20)))]) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        await bus.read_holding(1, 0, 10)
        assert peer.heard[0].frame == bytes.fromhex("01 03 00 00 00 0A C5 CD")
        await bus.close()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 8, 10, 11])
async def test_exception_replies(code: int) -> None:
    """Section 7: the function code with its top bit set, then the exception code; 0x81 0x02 for coil 1186 of 1185."""
    async with tcp_peer(lambda heard: [(0, heard.reply(bytes((0x81, code))))]) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        with pytest.raises(Refused) as caught:
            await bus.read_coils(10, 0x04A1, 1)
        assert caught.value.code == code
        assert peer.heard[0].pdu == bytes.fromhex("01 04 A1 00 01")
        assert len(peer.heard) == 1, "an exception is an answer: it is not asked again"
        await bus.close()
