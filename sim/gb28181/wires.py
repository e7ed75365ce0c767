"""The platform's two wires: one UDP port for all, or a TCP connection for each device."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast

from sim.gb28181.platform import Platform


class Udp(asyncio.DatagramProtocol):
    """The platform's UDP port."""

    def __init__(self, heard: Callable[[bytes, Any], None]) -> None:
        self._heard = heard
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._heard(data, addr)

    def send(self, data: bytes, peer: Any) -> None:
        if self._socket is not None and peer is not None and not self._socket.is_closing():
            self._socket.sendto(data, peer)


def send_tcp(data: bytes, peer: Any) -> None:
    """`peer` is a stream writer."""
    if peer is not None and not peer.is_closing():
        peer.write(data)


async def serve_tcp(platform: Platform, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One device's connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length:\s*(\d+)", head, re.IGNORECASE)
            platform.heard(head + await reader.readexactly(int(length[1]) if length else 0), writer)
    except (OSError, EOFError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()
