"""One peer of the local socket as lines go out to it. One that does not read is dropped: it never slows the gate."""

from __future__ import annotations

import asyncio

import msgspec

from agent.control.peers import Parts

MAX_UNREAD = 1024 * 1024
_encode = msgspec.json.Encoder().encode


class Subscriber:
    """One peer: who it is, and the way out to it."""

    def __init__(self, writer: asyncio.StreamWriter, uid: int, parts: Parts) -> None:
        self._writer = writer
        self.uid = uid
        self.parts = parts
        self.told = False  # that it asked what is not its part
        self.wants_state = False

    def send(self, line: bytes) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNREAD:
            transport.abort()
            return
        self._writer.write(line)

    @property
    def gone(self) -> bool:
        """Hung up, or dropped: nobody reads an answer."""
        return self._writer.transport.is_closing()

    async def drain(self) -> None:
        await self._writer.drain()


def line_of(message: object) -> bytes:
    """One message as it goes over the socket."""
    return _encode(message) + b"\n"
