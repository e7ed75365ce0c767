"""The bytes' way to the platform: UDP, or TCP where it wants that. Nobody but the platform's address is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeAlias, cast

from agent.uplink.gb28181.sip import MAX_MESSAGE, BadMessage, body_length
from agent.uplink.reach import os_word, why_not

CONNECT_S = 5.0

Heard: TypeAlias = Callable[[bytes], None]
Address: TypeAlias = tuple[str, int]


class LinkLost(Exception):
    """The platform cannot be reached, does not answer or does not take us; the text says it in field words."""


class Refused(LinkLost):
    """The platform answers and does not take us: settings on one of the two sides are wrong."""


class Wire(Protocol):
    """One socket to one peer. `local` is our own address on it; `lost` ends with the reason when the socket is gone."""

    transport: Literal["UDP", "TCP"]
    local: Address
    lost: asyncio.Future[str]

    def send(self, data: bytes) -> None: ...

    def close(self) -> None: ...


OpenWire: TypeAlias = Callable[[Heard], Awaitable[Wire]]


async def open_wire(transport: str, host: str, port: int, heard: Heard) -> Wire:
    """Raises LinkLost."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return await (_open_tcp if transport == "tcp" else _open_udp)(host, port, heard)
    except TimeoutError:
        raise LinkLost(f"{host}:{port} cannot be reached") from None
    except OSError as error:
        raise LinkLost(why_not(error, host, port)) from None


# ── UDP ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _open_udp(host: str, port: int, heard: Heard) -> Wire:
    loop = asyncio.get_running_loop()
    wire = _Udp(f"{host}:{port}", heard)
    await loop.create_datagram_endpoint(lambda: wire, remote_addr=(host, port))
    return wire


class _Udp(asyncio.DatagramProtocol):
    """A connected socket: the kernel lets in nothing but the peer's datagrams, and tells when nobody listens there."""

    transport: Literal["UDP", "TCP"] = "UDP"

    def __init__(self, name: str, heard: Heard) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.local: Address = ("", 0)
        self._name = name
        self._heard = heard
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._heard(data)

    def error_received(self, exc: Exception) -> None:
        nobody = isinstance(exc, ConnectionRefusedError)
        _lose(self.lost, f"nobody listens at {self._name}" if nobody else f"{self._name}: {_words(exc)}")

    def connection_lost(self, exc: Exception | None) -> None:
        _lose(self.lost, f"{self._name}: {_words(exc)}")

    def send(self, data: bytes) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._socket.sendto(data)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.abort()


# ── TCP ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _open_tcp(host: str, port: int, heard: Heard) -> Wire:
    reader, writer = await asyncio.open_connection(host, port, limit=MAX_MESSAGE)
    return _Tcp(f"{host}:{port}", reader, writer, heard)


class _Tcp:
    """A stream: messages are told apart by their `Content-Length` (RFC 3261, 18.3)."""

    transport: Literal["UDP", "TCP"] = "TCP"

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.local: Address = writer.get_extra_info("sockname")[:2]
        self._name = name
        self._reader = reader
        self._writer = writer
        self._heard = heard
        self._task = asyncio.create_task(self._read(), name=f"SIP from {name}")

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readuntil(b"\r\n\r\n")
                if head.strip(b"\r\n"):  # else a keepalive of bare line ends (RFC 5626)
                    self._heard(head + await self._reader.readexactly(body_length(head)))
        except asyncio.IncompleteReadError:
            _lose(self.lost, f"{self._name} closed the connection")
        except (BadMessage, asyncio.LimitOverrunError) as error:  # where the next message begins is unknown
            _lose(self.lost, f"{self._name} sends what is no SIP: {error}")
        except OSError as error:
            _lose(self.lost, f"{self._name}: {_words(error)}")

    def send(self, data: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_MESSAGE * 4:
            _lose(self.lost, f"{self._name} takes nothing in")
        elif not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        self._task.cancel()
        self._writer.transport.abort()


def _lose(lost: asyncio.Future[str], why: str) -> None:
    if not lost.done():
        lost.set_result(why)


def _words(error: Exception | None) -> str:
    return "the socket was closed" if error is None else os_word(error)
