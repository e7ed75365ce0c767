"""A reference PLC in miniature, written from the register map alone: status words, tokens, holds, heartbeat echo.

No physics: a bollard is where a test puts it. Register and bit numbers are typed here, not read from the profile, so
that a wrong profile fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from modbus_peers import Heard, Say, Tables

ILLEGAL_ADDRESS = 2
MODES = {"unknown": 0, "remote": 1, "local": 2, "hand": 3}
SENSOR_BIT = {"loop1": 8, "loop2": 9, "beam": 10, "pressure": 11}
FAULTY_SHIFT = 4


@dataclass
class Block:
    """One bollard."""

    up: bool = False
    down: bool = True
    moving: bool = False
    efo: bool = False
    fault: int = 0
    token: int = 0
    cycles: int = 0
    moves: list[tuple[int, int]] = field(default_factory=list)  # tokens acted on, with their codes

    def word(self) -> int:
        flags = self.up | self.down << 1 | self.moving << 2 | self.efo << 3
        return flags | self.fault << 4 | self.token << 8


class PlcPeer:
    """One unit. Call it as a peer's script."""

    def __init__(self, unit: int = 1, bollards: int = 2) -> None:
        self.unit = unit
        self.blocks = [Block() for _ in range(bollards)]
        self.mode = "remote"
        self.estop = self.fire_key = False
        self.occupied: set[str] = set()
        self.faulty: set[str] = set()
        self.tables = Tables()
        self.echoes = True  # its program runs
        self.alive = True

    @property
    def outputs(self) -> int:
        return self.tables.holding.get(1, 0)

    def hold(self, index: int) -> int:
        return self.tables.holding.get(24 + index, 0)

    def __call__(self, heard: Heard) -> Iterable[Say]:
        if heard.unit != self.unit or not self.alive:
            return
        self._publish()
        answer = self.tables.answer(heard.pdu)
        if heard.function == 6 and not self._takes(heard.address):
            answer = bytes((0x86, ILLEGAL_ADDRESS))
        elif heard.function == 6 and 8 <= heard.address < 16:
            self._request(heard.address - 8, heard.value)
        elif heard.function == 6 and heard.address == 0 and self.echoes:
            self.tables.inputs[1] = heard.value
        yield 0, heard.reply(answer)

    def _takes(self, address: int) -> bool:
        count = len(self.blocks)
        return address in (0, 1) or 8 <= address < 8 + count or 24 <= address < 24 + count

    def _request(self, index: int, word: int) -> None:
        token, code = word >> 8, word & 0xFF
        block = self.blocks[index]
        if token != block.token:
            block.token = token
            block.moves.append((token, code))

    def _publish(self) -> None:
        warning, red, green = (self.outputs >> bit & 1 for bit in (2, 0, 1))
        lane = MODES[self.mode] | self.estop << 2 | self.fire_key << 3 | warning << 4 | red << 5 | green << 6
        for name, bit in SENSOR_BIT.items():
            lane |= (name in self.occupied) << bit | (name in self.faulty) << bit + FAULTY_SHIFT
        self.tables.inputs[0] = lane
        for index, block in enumerate(self.blocks):
            self.tables.inputs[2 + index] = block.word()
            self.tables.inputs[16 + 2 * index] = block.cycles >> 16
            self.tables.inputs[17 + 2 * index] = block.cycles & 0xFFFF
