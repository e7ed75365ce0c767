"""Card readers on ptys: the common 125 kHz module's frame, at the pace of its UART."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

from hardware import profiles
from hardware.site import Reader
from sim.frames import Pace
from sim.ptyport import PtyPort
from sim.realtime import RealTime, ns_of
from sim.wire import Wire
from sim.world import World

STX, ETX = 0x02, 0x03
DIGITS = 10


def card_frame(digits: str) -> bytes:
    """STX, ten hex digits, two hex digits with the exclusive or of the five bytes they mean, ETX."""
    assert len(digits) == DIGITS, "a card of this reader has ten hex digits"
    check = reduce(lambda left, right: left ^ right, bytes.fromhex(digits))
    return bytes((STX,)) + f"{digits.upper()}{check:02X}".encode("ascii") + bytes((ETX,))


class ReaderLine:
    """One reader's line. The fault "unplugged" takes the port away; healing gives a new one at the same link."""

    def __init__(self, site: Reader, link: Path | None, world: World, wire: Wire, real: RealTime) -> None:
        self.name = site.id
        self._world, self._wire, self._real = world, wire, real
        self._faults = world.faults.on(f"reader:{site.id}")
        self._port = PtyPort(link)
        self._pace = Pace.of(profiles.reader(site.profile).baud)
        self._free_s = 0.0

    @property
    def address(self) -> str:
        return self._port.path

    async def open(self) -> None:
        self._port.open()

    def close(self) -> None:
        if self._port.master >= 0:
            self._port.close()

    def swipe(self, digits: str) -> None:
        """A card is held to the reader now; the frame is whole 14 characters later."""
        if self._port.master < 0 or "dead" in self._faults:
            return
        for _ in range(2 if "repeats" in self._faults else 1):
            self._send(self._spoilt(card_frame(digits)), digits)

    def _send(self, data: bytes, digits: str) -> None:
        loop, one_byte = self._real.loop, self._faults.get("one_byte")
        gap_s = max(self._pace.char_s, one_byte.number("gap_s")) if one_byte is not None else self._pace.char_s
        start_s = max(loop.time(), self._free_s)
        self._free_s = end_s = start_s + len(data) * gap_s
        if one_byte is not None:
            for n in range(len(data)):
                loop.call_at(start_s + (n + 1) * gap_s, self._port.write, data[n : n + 1])
        else:
            loop.call_at(end_s, self._port.write, data)
        loop.call_at(end_s, self._wire.card, ns_of(end_s), self.name, data, f"card {digits}")

    def _spoilt(self, data: bytes) -> bytes:
        if "garbage" in self._faults:
            return self._world.rng.randbytes(len(data))
        if "bad_check" in self._faults:
            at = self._world.rng.randrange(1, 1 + DIGITS)
            other = b"0" if data[at : at + 1] != b"0" else b"1"
            return data[:at] + other + data[at + 1 :]
        return data
