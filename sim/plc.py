"""The buses' device ends on real wires: Modbus TCP on a loopback port, Modbus RTU on a pty paced at its baud rate."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from pathlib import Path

from hardware.site import Bus
from sim.desk import Answer, Desk
from sim.frames import BadFrame, LineTimes, Pace, TcpFrame, parse_rtu, take_tcp
from sim.ptyport import PtyPort
from sim.realtime import RealTime, ns_of
from sim.wire import Wire

MOST_CONNECTIONS = 32


class PortTaken(Exception):
    """An address cannot be served; the text says which, and why, in one line."""

    def __init__(self, who: str, address: str, error: OSError) -> None:
        super().__init__(f"{who}: cannot listen on {address}: {os.strerror(error.errno or 0)}")


def loopback(host: str) -> bool:
    """Whether an address is this machine's own and no one else's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class TcpBus:
    """One Modbus TCP bus. The fault "unplugged" closes its port; healing opens it again."""

    def __init__(self, bus: Bus, desk: Desk, wire: Wire, real: RealTime) -> None:
        self.name = bus.name
        self.desk, self.wire, self.real = desk, wire, real
        self.connections: set[TcpConnection] = set()
        self._host = bus.host if loopback(bus.host) else "127.0.0.1"
        self._port = bus.port if loopback(bus.host) else 0
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    async def open(self) -> None:
        """Listen. Raises PortTaken."""
        try:
            self._server = await self.real.loop.create_server(lambda: TcpConnection(self), self._host, self._port)
        except OSError as error:
            raise PortTaken(f"bus {self.name}", self.address, error) from error
        self._port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.connections):
            connection.transport.abort()


class TcpConnection(asyncio.Protocol):
    """One master's connection: whole frames are answered at once, in the same turn of the loop."""

    transport: asyncio.Transport

    def __init__(self, bus: TcpBus) -> None:
        self._bus = bus
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a TCP server hands out transports"
        self.transport = transport
        self._bus.connections.add(self)
        if len(self._bus.connections) > MOST_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._bus.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        ns = time.monotonic_ns()
        self._buffer += data
        try:
            while (frame := take_tcp(self._buffer)) is not None:
                self._handle(frame, ns)
        except BadFrame:
            self._bus.wire.frame(ns, self._bus.name, "request", bytes(self._buffer))
            self.transport.abort()

    def _handle(self, frame: TcpFrame, ns: int) -> None:
        bus = self._bus
        bus.wire.frame(ns, bus.name, "request", frame.to_bytes())
        bus.real.touch()
        answer = bus.desk.tcp(frame)
        bus.real.settle()
        if answer is None:
            return
        if answer.delay_s or answer.gap_s:
            self._send_late(answer)
        else:
            self._send(answer.data)
            bus.wire.frame(time.monotonic_ns(), bus.name, "reply", answer.data)

    def _send_late(self, answer: Answer) -> None:
        loop, bus = self._bus.real.loop, self._bus
        pieces = [bytes((byte,)) for byte in answer.data] if answer.gap_s else [answer.data]
        for n, piece in enumerate(pieces):
            loop.call_later(answer.delay_s + n * answer.gap_s, self._send, piece)
        last_s = answer.delay_s + (len(pieces) - 1) * answer.gap_s
        loop.call_later(last_s, lambda: bus.wire.frame(time.monotonic_ns(), bus.name, "reply", answer.data))

    def _send(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


class RtuBus:
    """One serial bus on a pty. Bytes take the time that they would take on the line, in both directions."""

    def __init__(self, bus: Bus, link: Path | None, desk: Desk, wire: Wire, real: RealTime) -> None:
        self.name = bus.name
        self._desk, self._wire, self._real = desk, wire, real
        self._port = PtyPort(link)
        self._pace = Pace.of(bus.baud, bus.parity, bus.stop_bits)
        self._times = LineTimes(self._pace)
        self._buffer = bytearray()
        self._silence: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        return self._port.path

    async def open(self) -> None:
        self._port.open()
        self._real.loop.add_reader(self._port.master, self._read)

    def close(self) -> None:
        if self._port.master >= 0:
            self._real.loop.remove_reader(self._port.master)
            self._port.close()
        if self._silence is not None:
            self._silence.cancel()
        self._buffer.clear()

    def _read(self) -> None:
        data = self._port.read()
        if not data:
            return
        self._buffer += data
        end_s = self._times.arrive(time.monotonic(), len(data))
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._real.loop.call_at(self._times.frame_end(), self._frame, end_s)

    def _frame(self, end_s: float) -> None:
        """The silence after a frame is over."""
        self._silence = None
        data = bytes(self._buffer)
        self._buffer.clear()
        self._wire.frame(ns_of(end_s), self.name, "request", data)
        try:
            frame = parse_rtu(data)
        except BadFrame:
            return
        self._real.touch()
        answer = self._desk.rtu(frame)
        self._real.settle()
        if answer is not None:
            self._reply(answer, end_s + self._pace.silence_s)

    def _reply(self, answer: Answer, start_s: float) -> None:
        loop, start_s = self._real.loop, start_s + answer.delay_s
        if answer.gap_s:
            gap_s = max(answer.gap_s, self._pace.char_s)
            for n, byte in enumerate(answer.data):
                loop.call_at(start_s + (n + 1) * gap_s, self._port.write, bytes((byte,)))
            end_s = start_s + len(answer.data) * gap_s
        else:
            end_s = self._times.reply(start_s, len(answer.data))
            loop.call_at(end_s, self._port.write, answer.data)
        loop.call_at(end_s, self._wire.frame, ns_of(end_s), self.name, "reply", answer.data)
