"""Frames put into words, for `GET /wire` and the page: "lane:main write request main-1 = 0x0103"."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from sim.frames import BadFrame, parse_rtu, take_tcp
from sim.modbus import READS, WRITE_COIL, WRITE_COILS, WRITE_REGISTER, WRITE_REGISTERS, Unit
from sim.wire import Way

FUNCTIONS = {1: "read coils", 2: "read inputs", 3: "read holding", 4: "read", 5: "write", 6: "write", 15: "write",
             16: "write"}  # fmt: skip
EXCEPTIONS = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure", 5: "acknowledge",
              6: "busy", 10: "no gateway path", 11: "no answer behind the gateway"}  # fmt: skip


def frames(buses: Mapping[str, tuple[bool, Mapping[int, Unit]]]) -> Callable[[str, Way, bytes], str]:
    """A describer for these buses: name → (is serial, units)."""

    def describe(bus: str, way: Way, data: bytes) -> str:
        serial, units = buses[bus]
        try:
            unit_id, pdu = _open(serial, data)
        except BadFrame as why:
            return f"not a frame: {why}"
        unit = units.get(unit_id)
        who = unit.device if unit else f"unit {unit_id}"
        try:
            return f"{who} {_request(unit or Unit(), pdu) if way == 'request' else _reply(pdu)}"
        except (struct.error, IndexError):
            return f"{who} function {pdu[0]}, garbled"

    return describe


def _open(serial: bool, data: bytes) -> tuple[int, bytes]:
    if serial:
        frame = parse_rtu(data)
        return frame.unit, frame.pdu
    found = take_tcp(bytearray(data))
    if found is None:
        raise BadFrame("too short")
    return found.unit, found.pdu


def _request(unit: Unit, pdu: bytes) -> str:
    function = pdu[0]
    what = FUNCTIONS.get(function)
    if what is None:
        return f"function {function}"
    address, value = struct.unpack_from(">HH", pdu, 1)
    name = unit.name(function, address) or f"{address}"
    if function in READS:
        return f"{what} {name} ({address}+{value})"
    if function in (WRITE_COIL, WRITE_REGISTER):
        return f"{what} {name} = {value:#06x}"
    assert function in (WRITE_COILS, WRITE_REGISTERS), f"{function} is not a write"
    return f"{what} {name} = {pdu[6:].hex(' ', 2 if function == WRITE_REGISTERS else 1)}"


def _reply(pdu: bytes) -> str:
    function = pdu[0]
    if function & 0x80:
        return f"says no: {EXCEPTIONS.get(pdu[1], 'exception')} ({pdu[1]})"
    if function in READS:
        return f"tells {pdu[2:].hex(' ', 2 if function > 2 else 1)}"
    return "confirms"
