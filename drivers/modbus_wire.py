"""What the exact answer to a Modbus request looks like on the wire, and how long frames take.

pymodbus encodes and decodes; this module decides which bytes it gets to see. pymodbus 3.16.1 hands a late answer, or
one with transaction number 0, to whichever call is waiting, and turns any echoed coil value into a bool. So every
received byte passes `find_tcp` or `find_rtu` first: only the one frame that can answer the request in flight goes on.

Sources: MODBUS Application Protocol V1.1b3 (function codes, echo of writes), MODBUS Messaging on TCP/IP V1.0b (MBAP
header), MODBUS over Serial Line V1.02 (CRC-16).
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.errors import Misuse
from hardware import bus_time, site

READ_COILS, READ_HOLDING, READ_INPUT = 1, 3, 4
WRITE_COIL, WRITE_REGISTER = 5, 6
COIL_ON, COIL_OFF = 0xFF00, 0x0000
EXCEPTION = 0x80
MOST_BITS, MOST_WORDS = 2000, 125  # what one request may carry
MBAP_HEAD = 7  # transaction 2, protocol 2, length 2, unit 1
ASKED = 5  # the PDU of every request sent here: function, address, and a count or value
ENVELOPE = 3  # unit and check sum around a PDU on a serial line


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as far as its answer is concerned.

    `head` is how the answer's PDU must begin: function and byte count for a read, the whole echo for a write.
    `size` is the answer's PDU length in bytes.
    """

    unit: int
    function: int
    head: bytes
    size: int
    what: str

    @property
    def is_write(self) -> bool:
        return self.function in (WRITE_COIL, WRITE_REGISTER)


def ask_coils(unit: int, address: int, count: int) -> Ask:
    _check(unit, address, count, MOST_BITS)
    return _ask_read(unit, READ_COILS, address, count, (count + 7) // 8)


def ask_words(unit: int, function: int, address: int, count: int) -> Ask:
    _check(unit, address, count, MOST_WORDS)
    return _ask_read(unit, function, address, count, count * 2)


def _ask_read(unit: int, function: int, address: int, count: int, payload: int) -> Ask:
    what = f"reading {count} from {address} (function {function})"
    return Ask(unit, function, bytes((function, payload)), 2 + payload, what)


def ask_write(unit: int, function: int, address: int, value: int) -> Ask:
    _check(unit, address, 1, 1)
    if not 0 <= value <= 0xFFFF:
        raise Misuse(f"{value} for unit {unit} does not fit into a register of 0 to 65535")
    echo = bytes((function,)) + address.to_bytes(2, "big") + value.to_bytes(2, "big")
    return Ask(unit, function, echo, ASKED, f"writing {value} to {address} (function {function})")


def _check(unit: int, address: int, count: int, most: int) -> None:
    """Unit 0 is a broadcast, which nobody answers and domain rule 5 forbids."""
    if not 1 <= unit <= 247:
        raise Misuse(f"unit {unit} is no device's own address; 1 to 247 it may be")
    if not 1 <= count <= most:
        raise Misuse(f"{count} at once of unit {unit}; 1 to {most} it may be")
    if not 0 <= address <= 0x10000 - count:
        raise Misuse(f"{count} from address {address} of unit {unit} leaves the range 0 to 65535")


@dataclass(frozen=True, slots=True)
class Found:
    """`frame` is the exact answer, or empty. `note`: what else was there. `broken`: the stream lost its framing."""

    frame: bytes = b""
    note: str = ""
    broken: bool = False


NOTHING = Found()


def find_tcp(buffer: bytes, ask: Ask, transaction: int) -> Found:
    """The answer to `ask` among the frames of `buffer`. Other frames are passed over and noted."""
    note, start = "", 0
    while len(buffer) - start >= MBAP_HEAD:
        number = int.from_bytes(buffer[start : start + 2], "big")
        protocol = int.from_bytes(buffer[start + 2 : start + 4], "big")
        length = int.from_bytes(buffer[start + 4 : start + 6], "big")
        if protocol != 0 or not 2 <= length <= 254:
            return Found(note=f"bytes that are not Modbus TCP: {buffer[start : start + 12].hex(' ')}", broken=True)
        end = start + 6 + length
        if len(buffer) < end:
            break
        unit, pdu = buffer[start + 6], buffer[start + MBAP_HEAD : end]
        if number == transaction and unit == ask.unit and _answers(pdu, ask):
            return Found(buffer[start:end], note)
        note = f"an answer numbered {number} of unit {unit} ({pdu[:8].hex(' ')}) to question {transaction}"
        start = end
    return Found(note=note)


def find_rtu(buffer: bytes, ask: Ask) -> Found:
    """The answer to `ask` anywhere in `buffer`: RS-485 lines add stray bytes when a driver turns around."""
    for start in range(len(buffer)):
        if buffer[start] != ask.unit:
            continue
        for size in (ask.size, 2):
            end = start + 1 + size + 2
            frame = buffer[start:end]
            if len(buffer) >= end and _answers(frame[1:-2], ask) and crc16(frame[:-2]) == frame[-2:]:
                return Found(frame)
    return Found(note=f"bytes that are no answer: {buffer[:16].hex(' ')}") if buffer else NOTHING


def _answers(pdu: bytes, ask: Ask) -> bool:
    if len(pdu) == 2 and pdu[0] == ask.function | EXCEPTION:
        return True
    return len(pdu) == ask.size and pdu.startswith(ask.head)


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc16(data: bytes) -> bytes:
    """The two check bytes of a serial-line frame, low byte first as on the wire."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class LineTiming:
    """How long frames take on a link. A TCP link has zeros: there the wire itself costs nothing worth counting."""

    char_s: float
    gap_s: float  # silence between frames

    def frame_s(self, ask: Ask) -> float:
        """Request and answer on the wire with the silences around them, without the device's own thinking time."""
        if not self.char_s:
            return 0.0
        return (ASKED + ask.size + 2 * ENVELOPE) * self.char_s + 2 * self.gap_s


TCP_TIMING = LineTiming(0.0, 0.0)


def line_timing(bus: site.Bus) -> LineTiming:
    return TCP_TIMING if bus.kind == "tcp" else LineTiming(bus_time.char_s(bus), bus_time.silence_s(bus))
