"""Client of control's local socket (`docs/local-socket.md`), used by uplink, web and the command line.

`request` asks once and never again by itself: whoever repeats a command does it knowingly, with the same id.
`subscribe` never ends by itself: it reconnects for ever, so its reader needs no loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import select
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from agent.core.strange import NOT_JSON

Message: TypeAlias = dict[str, Any]

LINE_LIMIT = 4 * 1024 * 1024  # the picture of a large gate is some 30 kB; control drops a reader at 1 MB unread
IDLE_CONNECTIONS = 4
FIRST_RETRY_S = 0.05
LAST_RETRY_S = 0.3  # D: control starts in half a second, and an alarm may wait in it
SILENCE_S = 10.0  # control sends the state at least every 2 s to those who asked for it

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class ControlAway(Exception):
    """Control did not answer: no socket, refused, hung up, silent or garbled. `args[0]` says which, in field words.

    Whether it has carried out what was asked is unknown.
    """


class ControlLink:
    """The way to control. Safe to use from many tasks of one loop: a slow request holds up no other."""

    def __init__(self, socket_path: str | Path, *, timeout_s: float = 5.0) -> None:
        self.path = Path(socket_path)
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []
        self._closed = False

    async def request(self, message: Message, *, timeout_s: float | None = None) -> Message:
        """Send one request and return its answer, whatever it says (`"ok": false` is an answer).

        Raises ControlAway, after at most `timeout_s` (default: the link's own).
        """
        connection: _Connection | None = None
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                connection = self._take() or await _Connection.open(self.path)
                answer = await connection.ask(message)
        except TimeoutError:
            _close(connection)
            raise ControlAway(f"control did not answer within {limit_s:g} s on {self.path}") from None
        except (OSError, ControlAway) as error:
            _close(connection)
            raise _away(error, self.path) from None
        except asyncio.CancelledError:
            _close(connection)
            raise
        self._keep(connection)
        return answer

    async def subscribe(self, from_seq: int = 0, *, state: bool = False) -> AsyncGenerator[Message]:
        """Yield control's lines for ever, across its restarts; `subscribed` comes first after each (re)connect.

        One line of our own: `{"op": "lost", "why": …}`, once when control goes away. What was yielded before it
        may have changed since; wait for the next `subscribed`.
        """
        told = False
        attempt = 0
        while True:
            try:
                async with contextlib.aclosing(self._session(from_seq, state=state)) as lines:
                    async for line in lines:
                        if line["op"] == "subscribed":
                            told, attempt = False, 0
                        elif line["op"] == "head":
                            from_seq = max(from_seq, int(line.get("seq", 0)))
                        yield line
            except (OSError, ControlAway) as error:
                if not told:
                    told = True
                    yield {"op": "lost", "why": str(_away(error, self.path))}
            await asyncio.sleep(_pause_s(attempt))
            attempt += 1

    async def close(self) -> None:
        """Hang up. Subscriptions end when their generator is closed."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _session(self, from_seq: int, *, state: bool) -> AsyncGenerator[Message]:
        """The lines of one connection; raises ControlAway or OSError at its end."""
        async with asyncio.timeout(self._timeout_s):
            connection = await _Connection.open(self.path)
        with contextlib.closing(connection):
            connection.send({"op": "subscribe", "from_seq": from_seq, "state": state})
            silence_s: float | None = self._timeout_s
            while True:
                line = await _line_within(connection, silence_s)
                if line["op"] == "error" or line.get("ok") is False:
                    raise ControlAway(f"control refused the subscription: {line.get('why', '')}")
                silence_s = SILENCE_S if state else None
                yield line

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.idle:
                return connection
            connection.close()
        return None

    def _keep(self, connection: _Connection) -> None:
        if self._closed or len(self._idle) >= IDLE_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)


async def ask_once(socket_path: str | Path, message: Message, *, timeout_s: float = 5.0) -> Message:
    """One question over a link of its own, for a command that asks and ends. Raises ControlAway like `request`."""
    link = ControlLink(socket_path, timeout_s=timeout_s)
    try:
        return await link.request(message)
    finally:
        await link.close()


class _Connection:
    """One connection with at most one open question, so that an answer can only belong to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, path: Path) -> _Connection:
        return cls(*await asyncio.open_unix_connection(str(path), limit=LINE_LIMIT))

    @property
    def idle(self) -> bool:
        """Open, with nothing to read: an idle peer that has something to say has hung up, or is out of step."""
        if self._reader.at_eof() or self._writer.is_closing():
            return False
        readable, _, _ = select.select([self._writer.get_extra_info("socket")], [], [], 0)
        return not readable

    def send(self, message: Message) -> None:
        self._writer.write(_encode(message) + b"\n")

    async def ask(self, message: Message) -> Message:
        self.send(message)
        await self._writer.drain()
        return await self.line()

    async def line(self) -> Message:
        try:
            raw = await self._reader.readline()
        except ValueError:
            raise ControlAway(f"control sent a line longer than {LINE_LIMIT} bytes") from None
        if not raw.endswith(b"\n"):
            raise ControlAway("control hung up")
        try:
            message = _decode(raw)
        except NOT_JSON as error:
            raise ControlAway(f"control sent a line that is no JSON object: {error}") from None
        if not isinstance(message.get("op"), str):
            raise ControlAway("control sent a line without an op")
        return message

    def close(self) -> None:
        self._writer.close()


async def _line_within(connection: _Connection, silence_s: float | None) -> Message:
    try:
        async with asyncio.timeout(silence_s):
            return await connection.line()
    except TimeoutError:
        raise ControlAway(f"control has been silent for {silence_s:g} s") from None


def _away(error: Exception, path: Path) -> ControlAway:
    if isinstance(error, ControlAway):
        return error
    if isinstance(error, FileNotFoundError):
        return ControlAway(f"there is no {path}: control is not running")
    if isinstance(error, ConnectionRefusedError):
        return ControlAway(f"nobody serves {path}: control has stopped")
    if isinstance(error, PermissionError):
        return ControlAway(f"no permission to open {path}")
    return ControlAway(f"control is away: {error or type(error).__name__}")


def _close(connection: _Connection | None) -> None:
    if connection is not None:
        connection.close()


def _pause_s(attempt: int) -> float:
    """0.05 s at first, doubling to 0.3 s, less up to a quarter so that the roles do not come back in step."""
    pause_s: float = min(FIRST_RETRY_S * 2 ** min(attempt, 10), LAST_RETRY_S)
    return pause_s * random.uniform(0.75, 1.0)
