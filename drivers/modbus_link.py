"""One connection to a Modbus bus: a pymodbus client with a gatekeeper in front of its parser.

A link is opened once, used by one caller at a time, and thrown away when it breaks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.pdu import ModbusPDU

from drivers.errors import BadFrame, DriverError, LinkLost, NoAnswer
from drivers.modbus_wire import MBAP_HEAD, Ask, find_rtu, find_tcp, line_timing
from drivers.serial_words import serial_trouble
from hardware import site

CONNECT_S = 0.5  # D: with the pause of at most 2 s between attempts a link is back well within 5 s
LIBRARY_GRACE_S = 0.5  # the library's own time-out stands behind ours and should never be reached

# It logs long traces for every frame it dislikes; the bus counts them and tells in its errors.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)


class _Silence(Exception):
    """Our deadline passed; set on the library's future, never leaves this module."""


class Link:
    """An open way to a bus.

    `on_lost(link, why)` is called once, when it breaks without `close`; `on_stray(unit)` when a frame that claims to be
    of that unit comes while nobody waits.
    """

    def __init__(
        self,
        bus: site.Bus,
        folder: str,
        on_lost: Callable[[Link, str], None],
        on_stray: Callable[[int], None],
        clock: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._on_stray = on_stray
        self.tcp = bus.kind == "tcp"
        self.timing = line_timing(bus)
        self.where = f"{bus.host}:{bus.port}" if self.tcp else str(Path(folder, bus.device))
        self.last_heard = float("-inf")  # any byte, monotonic s
        self.broken = False  # the stream lost its framing: only a new connection helps
        self._on_lost = on_lost
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._closed = False
        self._connected = asyncio.Event()
        self._ask: Ask | None = None
        self._transaction = 0
        self._note = ""
        self._orphan: asyncio.Event | None = None

    async def open(self) -> None:
        """Connect, bounded by CONNECT_S. Raises LinkLost with the reason in field words."""
        client = self._client = self._make_client()
        try:
            # The library's own connect() logs the reason and returns False; its factory raises it.
            async with asyncio.timeout(CONNECT_S):
                await client.ctx.call_create()
                await self._connected.wait()
        except Exception as error:  # pyserial lets termios errors through, which are no OSError
            self.close()
            raise LinkLost(self._no_way(error)) from None
        except BaseException:
            self.close()
            raise
        if not self.usable:
            raise LinkLost(f"{self.where} closed the connection at once: has it a limit of connections?")

    def _make_client(self) -> AsyncModbusTcpClient | AsyncModbusSerialClient:
        bus = self._bus
        if self.tcp:
            return AsyncModbusTcpClient(
                bus.host,
                port=bus.port,
                retries=0,
                reconnect_delay=0,
                timeout=CONNECT_S,
                trace_packet=self._packet,
                trace_connect=self._connection,
            )
        return AsyncModbusSerialClient(
            self.where,
            baudrate=bus.baud,
            parity=bus.parity,
            stopbits=bus.stop_bits,
            retries=0,
            reconnect_delay=0,
            timeout=CONNECT_S,
            trace_packet=self._packet,
            trace_connect=self._connection,
        )

    def _no_way(self, error: Exception) -> str:
        bus = self._bus
        if self.tcp:
            return f"cannot connect to {self.where} ({_reason(error)}): is the PLC on, the cable in, the address right?"
        return serial_trouble(self.where, error, f"{bus.baud} baud, 8{bus.parity}{bus.stop_bits}")

    def close(self) -> None:
        """Let go of socket or port; a call in flight gets LinkLost. Harmless when repeated."""
        self._fail(LinkLost(f"{self.where} was closed"))
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def usable(self) -> bool:
        return self._client is not None and not self._closed

    async def exchange(self, pdu: ModbusPDU, ask: Ask, bound_s: float) -> ModbusPDU:
        """Send once and wait for the exact answer. Raises LinkLost, NoAnswer or BadFrame; never sends twice."""
        client = self._client
        if client is None or not client.ctx.transport:
            raise LinkLost(f"{self.where} is not connected")
        context = client.ctx
        context.comm_params.timeout_connect = bound_s + LIBRARY_GRACE_S
        self._ask, self._note, self._orphan = ask, "", None
        deadline = asyncio.get_running_loop().call_later(bound_s, self._expire)
        try:
            answer: ModbusPDU = await context.execute(False, pdu)
            assert answer.function_code & 0x7F == ask.function, "the gatekeeper let another answer through"
        except _Silence:
            raise self._missing() from None
        except DriverError:
            raise
        except Exception as error:
            raise BadFrame(f"{type(error).__name__} in the Modbus library: {error}") from None
        except asyncio.CancelledError:
            # What was sent is still on its way to the device; `settled` waits for its answer.
            self._orphan = asyncio.Event()
            raise
        finally:
            deadline.cancel()
            if self._orphan is None:
                self._ask = None
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # Before Python 3.12 wait_for() keeps a cancellation to itself when the answer came in the same turn.
            raise asyncio.CancelledError
        return answer

    async def settled(self, within_s: float) -> bool:
        """After a cancelled exchange: True once its answer has come, False when it stayed away."""
        if self._orphan is None:
            return True
        try:
            await asyncio.wait_for(self._orphan.wait(), within_s)
        except TimeoutError:
            return False
        finally:
            self._ask = self._orphan = None
        return True

    def _missing(self) -> DriverError:
        return BadFrame(self._note) if self._note else NoAnswer("no answer")

    def _expire(self) -> None:
        self._fail(_Silence())

    def _fail(self, error: Exception) -> None:
        if self._client is None:
            return
        waiting = self._client.ctx.response_future
        if self._ask is not None and self._orphan is None and not waiting.done():
            waiting.set_exception(error)

    # What the library calls: every packet it sends or has received so far, and each change of the connection.

    def _packet(self, sending: bool, data: bytes) -> bytes:
        if sending:
            self._transaction = int.from_bytes(data[:2], "big") if self.tcp else 0
            return data
        self.last_heard = self._clock()
        ask = self._ask
        if ask is None:
            unit_at = MBAP_HEAD - 1 if self.tcp else 0
            if len(data) > unit_at:
                self._on_stray(data[unit_at])
            return b""
        found = find_tcp(data, ask, self._transaction) if self.tcp else find_rtu(data, ask)
        self._note = found.note
        if found.broken:
            self.broken = True
            self._fail(BadFrame(found.note))
        if found.frame and self._orphan is not None:
            self._orphan.set()
            return b""
        return found.frame

    def _connection(self, up: bool) -> None:
        self._connected.set()
        if up or self._closed:
            return
        why = f"{self.where} closed the connection" if self.tcp else f"serial port {self.where} was unplugged"
        self._fail(LinkLost(why))
        self.close()
        self._on_lost(self, why)


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "no answer"
        case socket.gaierror():
            return "unknown name"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return str(error)
