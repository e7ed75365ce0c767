"""One receiver over TCP: a message out, its answer in, within deadlines. A link that is dead without knowing it is
found by the answer that does not come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeAlias

from agent.uplink.dc09.frames import Answer, answer
from agent.uplink.reach import why_not

CONNECT_S = 5.0
ANSWER_S = 5.0  # the standard lets a transmitter wait so long before it tries again
BARE_S = 0.3  # so long for the rest of an answer that came without its end
MAX_ANSWER = 1024  # bytes

Address: TypeAlias = tuple[str, int]


class LinkLost(Exception):
    """The receiver cannot be reached or does not answer; the text says it in field words."""


class Link:
    """Keeps the connection between messages; a receiver that closes it after each is no fault."""

    def __init__(self, address: Address, key: bytes = b"") -> None:
        self.address = address
        self._key = key
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def name(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    async def exchange(self, frame: bytes, seq: int, sent: Callable[[], None] = lambda: None) -> Answer:
        """Send one frame and return its answer; `sent` is called once it is on its way.

        An old connection that fails is opened anew once. Raises LinkLost."""
        old = self._streams is not None
        try:
            return await self._once(frame, seq, sent)
        except LinkLost:
            if not old:
                raise
        return await self._once(frame, seq, sent)

    async def _once(self, frame: bytes, seq: int, sent: Callable[[], None]) -> Answer:
        try:
            reader, writer = self._streams = self._streams or await self._open()
            async with asyncio.timeout(ANSWER_S):
                writer.write(frame)
                await writer.drain()
                sent()
                return await self._answer(reader, seq)
        except TimeoutError:
            await self.close()
            raise LinkLost(f"{self.name} does not answer") from None
        except (OSError, EOFError) as error:
            await self.close()
            raise LinkLost(self._why(error)) from None
        except BaseException:  # told to stop in the middle: a late answer must not meet the next question
            self._drop()
            raise

    def _why(self, error: OSError | EOFError) -> str:
        if isinstance(error, EOFError):
            return f"{self.name} closed the connection without an answer"
        return why_not(error, *self.address)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(*self.address)
        except TimeoutError:
            raise LinkLost(f"{self.name} cannot be reached") from None

    async def _answer(self, reader: asyncio.StreamReader, seq: int) -> Answer:
        """The first answer to this message; what is garbage or answers another one is passed over."""
        rest = b""
        while True:
            line, rest = await self._line(reader, rest)
            said = answer(line, self._key)
            if said is not None and _is_for(said, seq):
                return said

    async def _line(self, reader: asyncio.StreamReader, rest: bytes) -> tuple[bytes, bytes]:
        """(up to the next CR, what came after it). Some receivers answer a bare word without an end."""
        while b"\r" not in rest:
            bare = b'"NAK"' in rest or b'"DUH"' in rest
            try:
                async with asyncio.timeout(BARE_S if bare else None):
                    chunk = await reader.read(MAX_ANSWER)
            except TimeoutError:
                return rest, b""
            if not chunk and bare:
                return rest, b""
            if not chunk:
                raise EOFError
            rest = (rest + chunk)[-MAX_ANSWER:]
        line, _, rest = rest.partition(b"\r")
        return line, rest

    async def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await streams[1].wait_closed()

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


def _is_for(said: Answer, seq: int) -> bool:
    """A yes names the message it is for; a no may come without a number."""
    return said.seq == seq if said.word == "ACK" else said.word == "NAK" or said.seq in (seq, 0, None)
