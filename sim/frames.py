"""Modbus on the wire, written down from the specification for the simulator alone.

The agent's side uses a library; this side must not, or both could agree on a mistake. Here is only the frame: the check
sum of a serial line, the header of TCP, and how long the characters take.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

MBAP = struct.Struct(">HHHB")  # transaction, protocol (0), length of what follows including the unit, unit
MAX_PDU = 253  # Modbus application protocol 1.1b3, section 4.1
FAST_SILENCE_S = 0.00175  # serial line guide 1.02, section 2.5.1.1: fixed above 19 200 baud


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        entries.append(value)
    return tuple(entries)


_CRC = _table()


def crc16(data: bytes) -> int:
    """The serial line's check: polynomial 0xA001 reflected, start 0xFFFF; sent low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


class BadFrame(Exception):
    """What came cannot be a frame; the text says why."""


class TcpFrame(NamedTuple):
    transaction: int
    unit: int
    pdu: bytes

    def to_bytes(self) -> bytes:
        return MBAP.pack(self.transaction, 0, len(self.pdu) + 1, self.unit) + self.pdu


def take_tcp(buffer: bytearray) -> TcpFrame | None:
    """Take the first whole frame off the buffer, or None if it is not there yet. Raises BadFrame: hang up then."""
    if len(buffer) < MBAP.size:
        return None
    transaction, protocol, length, unit = MBAP.unpack_from(buffer)
    if protocol != 0 or not 2 <= length <= MAX_PDU + 1:
        raise BadFrame(f"no Modbus header: protocol {protocol}, length {length}")
    end = MBAP.size - 1 + length
    if len(buffer) < end:
        return None
    pdu = bytes(buffer[MBAP.size : end])
    del buffer[:end]
    return TcpFrame(transaction, unit, pdu)


class RtuFrame(NamedTuple):
    unit: int
    pdu: bytes

    def to_bytes(self) -> bytes:
        body = bytes((self.unit,)) + self.pdu
        return body + struct.pack("<H", crc16(body))


def parse_rtu(data: bytes) -> RtuFrame:
    """What came between two silences, as a frame. Raises BadFrame."""
    if not 4 <= len(data) <= MAX_PDU + 3:
        raise BadFrame(f"{len(data)} bytes are no frame")
    if crc16(data[:-2]) != int.from_bytes(data[-2:], "little"):
        raise BadFrame("check sum wrong")
    return RtuFrame(data[0], bytes(data[1:-2]))


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a serial line takes: seconds for one character, and the silence that ends a frame."""

    char_s: float
    silence_s: float

    @classmethod
    def of(cls, baud: int, parity: str = "N", stop_bits: int = 1) -> Pace:
        bits = 1 + 8 + (parity != "N") + stop_bits
        return cls(bits / baud, FAST_SILENCE_S if baud > 19_200 else 3.5 * bits / baud)

    def frame_s(self, length: int) -> float:
        """Time on the wire of so many characters sent without a gap."""
        return length * self.char_s


class LineTimes:
    """When things happen on one half-duplex line, from what the pty says: it hands over at once what a line would not.

    `arrive` is told of each piece the master wrote and returns when its last character has come in; `reply` when the
    last character of an answer has gone out, if it starts right after the silence that ended the request.
    """

    __slots__ = ("_free_s", "_pace")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._free_s = 0.0

    def arrive(self, at_s: float, length: int) -> float:
        self._free_s = max(at_s, self._free_s) + self._pace.frame_s(length)
        return self._free_s

    def frame_end(self) -> float:
        """When the silence after the last character has lasted long enough to end the frame."""
        return self._free_s + self._pace.silence_s

    def reply(self, start_s: float, length: int) -> float:
        end_s = start_s + self._pace.frame_s(length)
        self._free_s = max(self._free_s, end_s)
        return end_s
