"""A Modbus device answering one request: function codes, counts and exceptions, as the specification has them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
GATEWAY_NO_ANSWER = 0x0B
READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
READS = frozenset((READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT))
MAX_BITS, MAX_WORDS = 2000, 125  # application protocol 1.1b3, sections 6.1 and 6.3
MAX_WRITE_BITS, MAX_WRITE_WORDS = 1968, 123  # sections 6.11 and 6.12
COIL_ON, COIL_OFF = 0xFF00, 0x0000


class Refusal(Exception):
    """The device answers with this exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Unit:
    """A device at one unit address. What it does not have is refused with "illegal address"."""

    device = ""  # its name among the devices that can have faults

    @property
    def silent(self) -> bool:
        """It answers nothing now, and does nothing."""
        return False

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        """Coils (function 1) or discrete inputs (function 2)."""
        raise Refusal(ILLEGAL_ADDRESS)

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """Holding (function 3) or input registers (function 4)."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write_coil(self, address: int, value: int) -> None:
        """`value` is as sent, 0 to 0xFFFF: boards use other values than the two of the specification."""
        raise Refusal(ILLEGAL_ADDRESS)

    def write_words(self, address: int, values: Sequence[int]) -> None:
        raise Refusal(ILLEGAL_ADDRESS)

    def name(self, function: int, address: int) -> str:
        """What an address means, in a few words, for whoever reads the wire; "" if it has no name."""
        return ""


def answer(unit: Unit, request: bytes) -> bytes:
    """The answer of a device to a request, both without unit address and check sum."""
    try:
        return _answer(unit, request)
    except Refusal as refusal:
        return refuse(request, refusal.code)


def refuse(request: bytes, code: int) -> bytes:
    """The exception answer to a request."""
    return bytes((request[0] | 0x80, code))


def confirm(request: bytes) -> bytes:
    """What a device that did as told answers to a write."""
    return request[:5]


def is_write(request: bytes) -> bool:
    return request[0] not in READS


def _answer(unit: Unit, request: bytes) -> bytes:
    function = request[0]
    match function:
        case 1 | 2:
            address, count = _span(request, MAX_BITS)
            return _packed(function, pack_bits(unit.read_bits(function, address, count)))
        case 3 | 4:
            address, count = _span(request, MAX_WORDS)
            words = unit.read_words(function, address, count)
            assert len(words) == count, "a device answers what it was asked"
            return _packed(function, struct.pack(f">{count}H", *words))
        case 5 | 6:
            address, value = _pair(request)
            if function == WRITE_COIL:
                unit.write_coil(address, value)
            else:
                unit.write_words(address, (value,))
        case 15:
            address, count = _span(request, MAX_WRITE_BITS)
            bits = unpack_bits(_body(request, (count + 7) // 8), count)
            for offset, on in enumerate(bits):
                unit.write_coil(address + offset, COIL_ON if on else COIL_OFF)
        case 16:
            address, count = _span(request, MAX_WRITE_WORDS)
            unit.write_words(address, struct.unpack(f">{count}H", _body(request, 2 * count)))
        case _:
            raise Refusal(ILLEGAL_FUNCTION)
    return confirm(request)


def _pair(request: bytes) -> tuple[int, int]:
    if len(request) != 5:
        raise Refusal(ILLEGAL_VALUE)
    address, value = struct.unpack_from(">HH", request, 1)
    return int(address), int(value)


def _span(request: bytes, most: int) -> tuple[int, int]:
    if len(request) < 5 or (request[0] in READS and len(request) != 5):
        raise Refusal(ILLEGAL_VALUE)
    address, count = struct.unpack_from(">HH", request, 1)
    if not 1 <= count <= most:
        raise Refusal(ILLEGAL_VALUE)
    if address + count > 0x10000:
        raise Refusal(ILLEGAL_ADDRESS)
    return int(address), int(count)


def _body(request: bytes, length: int) -> bytes:
    """The data of a multiple write, whose own count of bytes must agree with the count of things."""
    if len(request) != 6 + length or request[5] != length:
        raise Refusal(ILLEGAL_VALUE)
    return request[6:]


def _packed(function: int, data: bytes) -> bytes:
    return bytes((function, len(data))) + data


def pack_bits(bits: Sequence[bool]) -> bytes:
    """The first bit is the lowest of the first byte; the last byte is filled with zeros."""
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= bool(bit) << index % 8
    return bytes(packed)


def unpack_bits(data: bytes, count: int) -> list[bool]:
    return [bool(data[index // 8] >> index % 8 & 1) for index in range(count)]
