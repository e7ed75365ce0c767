"""Peers of the local socket: a served box, and a client that speaks lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

from box_scenes import Box

from agent.control.server import Server

Message = dict[str, Any]


class Peer:
    """One connection. All are closed when the box they speak with ends."""

    opened: ClassVar[list[Peer]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.opened.append(self)

    @classmethod
    async def of(cls, path: Path) -> Peer:
        return cls(*await asyncio.open_unix_connection(str(path), limit=8 << 20))

    async def say(self, message: Message | bytes) -> None:
        self._writer.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def line(self, limit_s: float = 20.0) -> Message:
        async with asyncio.timeout(limit_s):
            raw = await self._reader.readline()
        if not raw:
            raise EOFError("hung up")
        message: Message = json.loads(raw)
        return message

    async def ask(self, message: Message | bytes) -> Message:
        await self.say(message)
        return await self.line()

    async def wait(self, wanted: Callable[[Message], bool]) -> Message:
        """The next line that passes."""
        while True:
            line = await self.line()
            if wanted(line):
                return line

    async def silent(self, for_s: float = 0.05) -> bool:
        try:
            await self.line(for_s)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._writer.close()


class Served:
    """A box with its socket. `synced` is what the far side's progress was told as."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "run" / "control.sock"
        self.box = Box()
        self.synced: list[tuple[int, int]] = []
        self.server = Server(self.box.runtime, self.picture, lambda *ref: self.synced.append(ref), {})

    def picture(self) -> Message:
        return {"head": self.box.state.next_seq - 1, "panic": {"latched": self.box.state.panic.latched}}

    def durable(self) -> None:
        """Everything recorded so far is on disk now."""
        seq = self.box.state.next_seq - 1
        self.box.durable(seq)
        self.server.durable(self.box.state.epoch, seq)


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    """A box in real time that has read its inputs, served."""
    served = Served(folder)
    served.box.autodurable = False
    await served.server.start(served.path)
    served.box.start()
    try:
        yield served
    finally:
        while Peer.opened:
            Peer.opened.pop().close()
        await served.server.close()
        await asyncio.sleep(0.001)


async def subscribed(served: Served, **more: Any) -> Peer:
    peer = await Peer.of(served.path)
    answer = await peer.ask({"op": "subscribe", "from_seq": 0, **more})
    assert answer["op"] == "subscribed"
    assert (await peer.line())["op"] == "head"
    return peer
