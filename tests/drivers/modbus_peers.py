"""Scripted Modbus devices on a real socket or pty, with a codec of their own written from the specification.

A peer hears whole requests and is told by its script what to say and when: late, in pieces, garbled, as someone else.
Every request is kept with its arrival time, so that a test judges the wire and not the driver.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import socket
import tty
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from hardware import site

PATIENT_S = 1.0  # longer than a busy machine keeps an honest peer waiting for its turn

Say: TypeAlias = tuple[float, bytes]
"""Pause in seconds, then these bytes (a whole frame or any part of one)."""

Script: TypeAlias = Callable[["Heard"], Iterable[Say]]


def crc(data: bytes) -> bytes:
    """CRC-16 as in appendix B of the serial line guide, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            carry, value = value & 1, value >> 1
            if carry:
                value ^= 0xA001
    return bytes((value & 0xFF, value >> 8))


@dataclass(frozen=True)
class Heard:
    """One request: the frame as it came, taken apart, and the frame an answer PDU would travel in."""

    frame: bytes
    unit: int
    pdu: bytes
    at: float
    transaction: int | None  # None on a serial line

    @property
    def function(self) -> int:
        return self.pdu[0]

    @property
    def address(self) -> int:
        return int.from_bytes(self.pdu[1:3], "big")

    @property
    def value(self) -> int:
        return int.from_bytes(self.pdu[3:5], "big")

    def reply(self, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        unit = self.unit if unit is None else unit
        if self.transaction is None:
            return bytes((unit,)) + pdu + crc(bytes((unit,)) + pdu)
        number = self.transaction if transaction is None else transaction
        head = number.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big")
        return head + bytes((unit,)) + pdu


@dataclass
class Tables:
    """The registers of one honest unit. Reading what was never set gives 0."""

    inputs: dict[int, int] = field(default_factory=dict)
    holding: dict[int, int] = field(default_factory=dict)
    coils: dict[int, bool] = field(default_factory=dict)
    discrete: dict[int, bool] = field(default_factory=dict)

    def answer(self, pdu: bytes) -> bytes:
        function, address, value = pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        match function:
            case 1 | 2:
                bits = self.coils if function == 1 else self.discrete
                packed = bytearray((value + 7) // 8)
                for index in range(value):
                    packed[index // 8] |= bits.get(address + index, False) << (index % 8)
                return bytes((function, len(packed))) + packed
            case 3 | 4:
                words = self.holding if function == 3 else self.inputs
                data = b"".join(words.get(address + index, 0).to_bytes(2, "big") for index in range(value))
                return bytes((function, len(data))) + data
            case 5:
                self.coils[address] = value == 0xFF00
                return pdu
            case 6:
                self.holding[address] = value
                return pdu
            case 16:
                for index in range(value):
                    self.holding[address + index] = int.from_bytes(pdu[6 + 2 * index : 8 + 2 * index], "big")
                return pdu[:5]
            case _:
                return bytes((function | 0x80, 1))


def honest(units: dict[int, Tables], delay_s: float = 0.0) -> Script:
    """A script that answers for these units and is silent for all others."""

    def script(heard: Heard) -> Iterable[Say]:
        if heard.unit in units:
            yield delay_s, heard.reply(units[heard.unit].answer(heard.pdu))

    return script


class Peer(Protocol):
    script: Script
    heard: list[Heard]
    bus: site.Bus


class TcpPeer:
    """A Modbus TCP server on a free loopback port."""

    def __init__(self, script: Script, timeout_s: float) -> None:
        self.script = script
        self.heard: list[Heard] = []
        self.connections = 0
        self.timeout_s = timeout_s
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def bus(self) -> site.Bus:
        return site.Bus(name="plc", kind="tcp", host="127.0.0.1", port=self._port, timeout_s=self.timeout_s)

    async def open(self) -> None:
        """Listen, on the same port when opened again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """As if the PLC lost its power: no listener, every connection gone."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def say(self, data: bytes) -> None:
        """Unasked bytes on every connection."""
        for writer in self._writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(head[4:6], "big"))
                number = int.from_bytes(head[:2], "big")
                self._hear(Heard(head + body, body[0], body[1:], asyncio.get_running_loop().time(), number), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _hear(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        self.heard.append(heard)
        task = asyncio.create_task(self._play(heard, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        for pause_s, data in self.script(heard):
            if pause_s:
                await asyncio.sleep(pause_s)
            writer.write(data)


class MemorySerial:
    """What pymodbus needs of a pyserial port, on one end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.timeout = self.write_timeout = 0

    def fileno(self) -> int:
        return self._end.fileno()

    def read(self, size: int) -> bytes:
        return self._end.recv(size)

    def write(self, data: bytes) -> int:
        return self._end.send(data)

    def close(self) -> None:
        self._end.close()


class RtuPeer:
    """A serial line's far end on a pty. With `paced`, frames take the time they take at that baud rate.

    In `memory` the line is a socket pair, for virtual time; pyserial is told to open it instead of any port.
    """

    def __init__(
        self, script: Script, timeout_s: float, *, baud: int = 9600, paced: bool = False, memory: bool = False
    ) -> None:
        self.script = script
        self.heard: list[Heard] = []
        self.timeout_s = timeout_s
        self.baud = baud
        self.paced = paced
        self.path = ""
        self._memory = memory
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._master = self._slave = -1
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def bus(self) -> site.Bus:
        return site.Bus(name="line", kind="rtu", device=self.path, baud=self.baud, timeout_s=self.timeout_s)

    def frame_s(self, size: int) -> float:
        return size * 10 / self.baud if self.paced else 0.0

    async def open(self) -> None:
        if self._memory:
            self._ends = socket.socketpair()
            for end in self._ends:
                end.setblocking(False)
            self._master = self._ends[0].fileno()
        else:
            self._open_pty()
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def serial(self, *args: object, **settings: object) -> MemorySerial:
        """Stands in for `serial.serial_for_url`."""
        assert self._ends is not None
        return MemorySerial(self._ends[1])

    def _open_pty(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)

    async def shut(self) -> None:
        """Pull the adapter out."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        for task in list(self._tasks):
            task.cancel()
        if self._ends is not None:
            for end in self._ends:
                end.close()
        else:
            os.close(self._master)
            os.close(self._slave)
        self._master = self._slave = -1
        await asyncio.sleep(0)

    async def say(self, data: bytes) -> None:
        os.write(self._master, data)

    def _read(self) -> None:
        self._buffer += os.read(self._master, 1024)
        while len(self._buffer) >= 8:
            size = 9 + self._buffer[6] if self._buffer[1] == 16 else 8
            if len(self._buffer) < size:
                return
            frame, self._buffer = self._buffer[:size], self._buffer[size:]
            assert crc(frame[:-2]) == frame[-2:], f"the driver sent a wrong check sum: {frame.hex(' ')}"
            task = asyncio.create_task(
                self._play(Heard(frame, frame[0], frame[1:-2], asyncio.get_running_loop().time(), None))
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _play(self, heard: Heard) -> None:
        self.heard.append(heard)
        # A pty delivers at once what a line would deliver byte by byte: the request's own time is waited here.
        await asyncio.sleep(self.frame_s(len(heard.frame)))
        for pause_s, data in self.script(heard):
            await asyncio.sleep(pause_s + self.frame_s(len(data)))
            with contextlib.suppress(OSError):
                os.write(self._master, data)


@contextlib.asynccontextmanager
async def tcp_peer(script: Script, *, timeout_s: float = PATIENT_S) -> AsyncIterator[TcpPeer]:
    peer = TcpPeer(script, timeout_s)
    await peer.open()
    try:
        yield peer
    finally:
        await peer.shut()


@contextlib.asynccontextmanager
async def rtu_peer(
    script: Script, *, timeout_s: float = PATIENT_S, baud: int = 9600, paced: bool = False, memory: bool = False
) -> AsyncIterator[RtuPeer]:
    peer = RtuPeer(script, timeout_s, baud=baud, paced=paced, memory=memory)
    await peer.open()
    try:
        yield peer
    finally:
        await peer.shut()
