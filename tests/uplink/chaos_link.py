"""A TCP link of the tests: passes bytes on, or does what links do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any


class Link:
    """Stands between a client and a port, for all of the client's connections.

    `open` cleared: half-open, nothing goes either way and nobody is told. `rate`: bytes a second, 0 = as fast as it
    can. `drip`: one byte at a time, each a packet of its own.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.rate = 0.0
        self.drip = False
        self.open = asyncio.Event()
        self.open.set()
        self.served = 0  # connections so far
        self.dropped = 0  # of them those that the client gave up
        self.carried = 0  # bytes so far that the client sent
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        this = asyncio.current_task()
        assert this is not None
        self._keep(this)
        try:
            await self.open.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for source, sink, up in ((reader, far_writer, True), (far_reader, writer, False)):
            self._keep(asyncio.create_task(self._pump(source, sink, up)))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, up: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1024 if self.rate else 65536):
                await self.open.wait()
                await self._pass_on(data, sink)
                self.carried += len(data) if up else 0
            self.dropped += up
        sink.close()
        self._writers.discard(sink)

    async def _pass_on(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        if self.rate:
            await asyncio.sleep(len(data) / self.rate)
        for at in range(0, len(data), step := 1 if self.drip else len(data)):
            sink.write(data[at : at + step])
            await sink.drain()
            if step == 1:
                await asyncio.sleep(0)

    @property
    def up(self) -> bool:
        """Whether there is a connection, both halves of it."""
        return bool(self._writers)

    def cut(self) -> None:
        """Every connection is reset, both ends at once."""
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def end(self) -> None:
        """Nothing of it stays, not even a connection that it had not passed on yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.cut()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def link_to(port: int) -> AsyncIterator[Link]:
    made = Link(port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.end()
