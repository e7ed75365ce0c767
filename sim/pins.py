"""The board's pins on a socket, in the pigpio daemon's own protocol, so that gpiozero's pigpio factory is the client.

A command is four little-endian words (command, p1, p2, length of what follows); the answer repeats the first three and
ends with the result, negative for an error. A connection that sends NOIB becomes a listener: NB tells which lines it
wants, and every change of one of them is a report of twelve bytes. Names and numbers are those of pigpio.h.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from sim.pinbank import INPUT, LINES, OUTPUT, PULL_UP
from sim.plc import PortTaken
from sim.realtime import RealTime
from sim.wire import Wire

COMMAND: Final = struct.Struct("<IIII")
REPORT: Final = struct.Struct("<HHII")  # sequence, flags, tick, level of all lines


class Cmd(IntEnum):
    """The commands that gpiozero's factory sends, and their neighbours."""

    MODES = 0
    MODEG = 1
    PUD = 2
    READ = 3
    WRITE = 4
    WDOG = 9
    BR1 = 10
    BC1 = 12
    BS1 = 14
    TICK = 16
    HWVER = 17
    NB = 19
    NP = 20
    NC = 21
    PIGPV = 26
    FG = 97
    NOIB = 99


BAD_GPIO, BAD_MODE, BAD_LEVEL, BAD_PUD, BAD_HANDLE, BAD_FILTER, UNKNOWN_COMMAND = -3, -4, -5, -6, -25, -125, -88
VERSION = 79
MOST_EXTRA = 4096
MAX_FILTER_US = 300_000

# Revision codes as Raspberry Pi's documentation lists them (X: gpiozero names these boards).
REVISIONS = {"pi-3": 0xA02082, "pi-4": 0xC03111, "pi-5": 0xC04170, "pi-zero-2w": 0x902120, "cm4": 0xA03140}


def revision(model: str) -> int:
    """The board's revision code; a model not listed here shows as a Pi 4, whose header is the same."""
    found = [code for prefix, code in REVISIONS.items() if model.startswith(prefix)]
    return found[0] if found else REVISIONS["pi-4"]


class PinDaemon:
    """The daemon. Faults of the device "gpio": dead, unplugged by another name; restart; hung; deaf."""

    def __init__(self, host: str, port: int, model: str, wire: Wire, real: RealTime) -> None:
        self.bank = real.world.wiring.pins
        self.real = real
        self.faults = real.world.faults.on("gpio")
        self.filters = [0] * LINES
        self.connections: set[PinConnection] = set()
        self._host, self._port = host, port
        self._revision = revision(model)
        self._wire = wire
        self._server: asyncio.Server | None = None
        self._handles = 0
        self.bank.listen(self._changed)

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    async def open(self) -> None:
        """Listen. Raises PortTaken."""
        try:
            self._server = await self.real.loop.create_server(lambda: PinConnection(self), self._host, self._port)
        except OSError as error:
            raise PortTaken("pins", self.address, error) from error
        self._port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """The daemon goes away: connections break."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.connections):
            connection.transport.abort()

    def forget(self) -> None:
        """A daemon that starts anew knows no modes, pulls or filters: outputs fall back to inputs."""
        self.filters = [0] * LINES
        self.bank.reset()

    def _changed(self, gpio: int, level: bool, output: bool) -> None:
        ns = time.monotonic_ns()
        self._wire.pin(ns, gpio, level, output)
        if "deaf" in self.faults or "hung" in self.faults:
            return
        if self.filters[gpio]:
            self.real.loop.call_later(self.filters[gpio] / 1e6, self._filtered, gpio, level)
        else:
            self._report(gpio, ns)

    def _filtered(self, gpio: int, level: bool) -> None:
        """The glitch filter: a level that did not last is never reported."""
        if self.bank.level(gpio) == level:
            self._report(gpio, time.monotonic_ns())

    def _report(self, gpio: int, ns: int) -> None:
        for connection in self.connections:
            if connection.wanted >> gpio & 1:
                connection.report(ns // 1000 & 0xFFFFFFFF, self.bank.bank)

    # ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, connection: PinConnection, command: int, p1: int, p2: int) -> int:
        """The result of one command, negative for an error."""
        match command:
            case Cmd.MODES | Cmd.MODEG | Cmd.PUD | Cmd.READ | Cmd.WRITE | Cmd.WDOG | Cmd.FG:
                return self._line_command(command, p1, p2) if p1 < LINES else BAD_GPIO
            case Cmd.BR1:
                return self.bank.bank
            case Cmd.BC1 | Cmd.BS1:
                return self._write_many(p1, command == Cmd.BS1)
            case Cmd.TICK:
                return time.monotonic_ns() // 1000 & 0xFFFFFFFF
            case Cmd.HWVER:
                return self._revision
            case Cmd.PIGPV:
                return VERSION
            case Cmd.NOIB:
                self._handles += 1
                connection.handle = self._handles
                return connection.handle
            case Cmd.NB | Cmd.NP | Cmd.NC:
                return self._subscribe(p1, p2 if command == Cmd.NB else 0)
            case _:
                return UNKNOWN_COMMAND

    def _line_command(self, command: int, gpio: int, value: int) -> int:
        bank = self.bank
        if command == Cmd.READ:
            return int(bank.level(gpio))
        if command == Cmd.MODEG:
            return bank.mode[gpio]
        limits: dict[int, tuple[int, int]] = {
            Cmd.MODES: (7, BAD_MODE),
            Cmd.PUD: (PULL_UP, BAD_PUD),
            Cmd.WRITE: (1, BAD_LEVEL),
            Cmd.FG: (MAX_FILTER_US, BAD_FILTER),
        }
        most, error = limits.get(command, (0xFFFFFFFF, 0))
        if value > most:
            return error
        if command == Cmd.FG:
            self.filters[gpio] = value
        elif command != Cmd.WDOG:  # a watchdog would only repeat levels; nothing here asks for one
            changes: dict[int, Callable[[], None]] = {
                Cmd.MODES: lambda: bank.set_mode(gpio, OUTPUT if value == OUTPUT else INPUT),
                Cmd.PUD: lambda: bank.set_pull(gpio, value),
                Cmd.WRITE: lambda: bank.write(gpio, bool(value)),
            }
            self.real.touch()
            changes[command]()
            self.real.settle()
        return 0

    def _write_many(self, bits: int, high: bool) -> int:
        for gpio in range(LINES):
            if bits >> gpio & 1:
                self._line_command(Cmd.WRITE, gpio, int(high))
        return 0

    def _subscribe(self, handle: int, bits: int) -> int:
        for connection in self.connections:
            if connection.handle == handle:
                connection.wanted = bits
                return 0
        return BAD_HANDLE


class PinConnection(asyncio.Protocol):
    """One client's socket: commands, or reports once it sent NOIB."""

    transport: asyncio.Transport

    def __init__(self, daemon: PinDaemon) -> None:
        self.handle = 0
        self.wanted = 0
        self._daemon = daemon
        self._buffer = bytearray()
        self._sequence = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a TCP server hands out transports"
        self.transport = transport
        self._daemon.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._daemon.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= COMMAND.size:
            command, p1, p2, extra = COMMAND.unpack_from(self._buffer)
            if extra > MOST_EXTRA:
                self.transport.abort()
                return
            if len(self._buffer) < COMMAND.size + extra:
                return
            del self._buffer[: COMMAND.size + extra]
            if "hung" not in self._daemon.faults:
                result = self._daemon.run(self, command, p1, p2)
                self.transport.write(COMMAND.pack(command, p1, p2, result & 0xFFFFFFFF))

    def report(self, tick: int, bank: int) -> None:
        """Tell the listener all levels; it finds out by itself which changed."""
        if not self.transport.is_closing():
            self.transport.write(REPORT.pack(self._sequence, 0, tick, bank))
            self._sequence = self._sequence + 1 & 0xFFFF
