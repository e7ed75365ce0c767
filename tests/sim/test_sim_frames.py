"""Frames typed from the Modbus specifications, byte for byte; no codec of ours or anyone's made them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sim.frames import BadFrame, RtuFrame, TcpFrame, crc16, parse_rtu, take_tcp
from sim.modbus import Unit, answer


class BookDevice(Unit):
    """The device of the application protocol's examples (1.1b3, sections 6.1 to 6.12)."""

    def __init__(self) -> None:
        self.coils: dict[int, int] = {}
        self.words: dict[int, int] = {}

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        text = {1: "1011001111010110101", 2: "0011010111011011101011"}[function]
        assert (function, address) in ((1, 0x13), (2, 0xC4))
        return [digit == "1" for digit in text[:count]]

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        return {(3, 0x6B): [0x022B, 0, 0x64], (4, 8): [10]}[function, address][:count]

    def write_coil(self, address: int, value: int) -> None:
        self.coils[address] = value

    def write_words(self, address: int, values: Sequence[int]) -> None:
        self.words |= dict(enumerate(values, address))


EXAMPLES = [
    ("01 00 13 00 13", "01 03 CD 6B 05"),
    ("02 00 C4 00 16", "02 03 AC DB 35"),
    ("03 00 6B 00 03", "03 06 02 2B 00 00 00 64"),
    ("04 00 08 00 01", "04 02 00 0A"),
    ("05 00 AC FF 00", "05 00 AC FF 00"),
    ("06 00 01 00 03", "06 00 01 00 03"),
    ("0F 00 13 00 0A 02 CD 01", "0F 00 13 00 0A"),
    ("10 00 01 00 02 04 00 0A 01 02", "10 00 01 00 02"),
]


@pytest.mark.parametrize(("request_hex", "reply_hex"), EXAMPLES)
def test_the_books_examples(request_hex: str, reply_hex: str) -> None:
    assert answer(BookDevice(), bytes.fromhex(request_hex)) == bytes.fromhex(reply_hex)


def test_what_the_books_writes_do() -> None:
    device = BookDevice()
    for request_hex, _ in EXAMPLES:
        answer(device, bytes.fromhex(request_hex))
    assert device.words == {1: 0x000A, 2: 0x0102}
    on = [address for address, value in device.coils.items() if value == 0xFF00]
    assert on == [0xAC, 0x13, 0x15, 0x16, 0x19, 0x1A, 0x1B]


@pytest.mark.parametrize(
    ("request_hex", "reply_hex"),
    [
        ("2B 0E 01 00", "AB 01"),  # a function it does not have
        ("01 04 A1 00 00", "81 03"),  # no coils at all
        ("01 00 00 07 D1", "81 03"),  # 2001 coils
        ("03 00 00 00 7E", "83 03"),  # 126 registers
        ("04 FF FF 00 02", "84 02"),  # beyond the last address
        ("03 00 6B 00", "83 03"),  # a byte short
        ("10 00 01 00 02 04 00 0A 01", "90 03"),  # byte count and data disagree
        ("10 00 01 00 02 03 00 0A 01 02", "90 03"),
        ("0F 00 13 00 0A 01 CD 01", "8F 03"),
    ],
)
def test_what_a_device_refuses(request_hex: str, reply_hex: str) -> None:
    assert answer(BookDevice(), bytes.fromhex(request_hex)) == bytes.fromhex(reply_hex)


def test_a_device_without_addresses_refuses_them() -> None:
    for function in (1, 2, 3, 4, 5, 6):
        assert answer(Unit(), bytes((function, 0, 0, 0, 1))) == bytes((function | 0x80, 2))


def test_the_check_sum_of_the_serial_line_guide() -> None:
    # Serial line guide 1.02, appendix B: 02 07 gives 41 12 on the line.
    assert RtuFrame(2, b"\x07").to_bytes() == bytes.fromhex("02 07 41 12")
    assert crc16(bytes.fromhex("01 03 00 00 00 0A")).to_bytes(2, "little") == bytes.fromhex("C5 CD")
    assert parse_rtu(bytes.fromhex("11 03 00 6B 00 03 76 87")) == RtuFrame(0x11, bytes.fromhex("03 00 6B 00 03"))


@pytest.mark.parametrize("data", ["02 07 41 13", "02 41 12", "", "00 " * 300])
def test_what_is_no_serial_frame(data: str) -> None:
    with pytest.raises(BadFrame):
        parse_rtu(bytes.fromhex(data))


def test_a_tcp_frame_comes_in_pieces() -> None:
    whole = bytes.fromhex("15 01 00 00 00 06 FF 03 00 04 00 01")  # the TCP guide 1.0b's example, section 4.4.2.2
    buffer = bytearray()
    for byte in whole[:-1]:
        buffer.append(byte)
        assert take_tcp(buffer) is None
    buffer += whole[-1:] + whole[:3]
    assert take_tcp(buffer) == TcpFrame(0x1501, 0xFF, bytes.fromhex("03 00 04 00 01"))
    assert bytes(buffer) == whole[:3]
    assert TcpFrame(0x1501, 0xFF, bytes.fromhex("03 00 04 00 01")).to_bytes() == whole


@pytest.mark.parametrize("header", ["00 01 00 01 00 06 01", "00 01 00 00 00 01 01", "00 01 00 00 01 00 01"])
def test_what_is_no_tcp_frame(header: str) -> None:
    with pytest.raises(BadFrame):
        take_tcp(bytearray(bytes.fromhex(header)))
