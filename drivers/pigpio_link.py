"""gpiozero's pigpio factory on a connection that ends when it is over.

The library's own connection waits for a hung daemon without a limit, prints its failures on stdout, and on the daemon's
death its notification thread either dies with a traceback or spins on the closed socket. Same classes, other manners.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from typing import Any

import pigpio
from gpiozero.pins.pi import PiFactory
from gpiozero.pins.pigpio import PiGPIOFactory, PiGPIOPin

from drivers.errors import LinkLost

ANSWER_S = 0.25  # D: one command to a daemon on this machine; measured well below 1 ms
BR1, NOIB = 10, 99  # pigpio.h
COMMAND = struct.Struct("<IIII")  # command, two parameters, size of what follows; an answer ends with the result


class Connection(pigpio.pi):  # type: ignore[misc]
    """A daemon's client. Raises LinkLost when there is no daemon, and `TimeoutError` from any call that hangs."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._notify: _Edges | None = None
        self.connected = True
        self.sl = pigpio._socklock()
        where = f"{host}:{port}"
        try:
            self.sl.s = _connect(host, port)
            self._notify = _Edges(self.sl, host, port)
        except TimeoutError:
            self.drop()
            raise LinkLost(f"the pigpio daemon at {where} does not answer: restart it") from None
        except OSError as error:
            self.drop()
            raise LinkLost(f"no pigpio daemon at {where} ({error.strerror or error}): is pigpiod running?") from None
        except Exception:
            self.drop()
            raise LinkLost(f"what listens at {where} is no pigpio daemon") from None

    def sever(self) -> None:
        """Cut both sockets: whoever waits on one comes back with an error. For any thread."""
        if self._notify is not None:
            self._notify.go = False
            _shut(self._notify.sl.s)
        _shut(self.sl.s)

    def drop(self) -> None:
        """Cut and forget, touching no pin."""
        self.sever()
        notify, self._notify = self._notify, None
        if notify is not None:
            notify.join(ANSWER_S)
        control, self.sl.s = self.sl.s, None
        if control is not None:
            control.close()


class _Edges(pigpio._callback_thread):  # type: ignore[misc]
    """The notification thread. Ends quietly with its connection."""

    def __init__(self, control: Any, host: str, port: int) -> None:
        threading.Thread.__init__(self, name="pigpio edges", daemon=True)
        self.control = control
        self.go = True
        self.monitor = self.event_bits = 0
        self.callbacks: list[Any] = []
        self.events: list[Any] = []
        self.sl = pigpio._socklock()
        raw = self.sl.s = _connect(host, port)
        try:
            self.lastLevel = pigpio._pigpio_command(self.sl, BR1, 0, 0)
            self.handle = pigpio._u2i(pigpio._pigpio_command(self.sl, NOIB, 0, 0))
        except BaseException:
            raw.close()
            raise
        raw.settimeout(None)  # edges may be hours apart
        self.sl.s = _Ending(raw)
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            super().run()
        self.sl.s.close()


class _Ending:
    """A socket whose end is an error: the library takes the empty read at the end for "nothing yet", for ever."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self.shutdown = raw.shutdown
        self.close = raw.close

    def recv(self, size: int) -> bytes:
        data = self._raw.recv(size)
        if not data:
            raise ConnectionResetError("the daemon closed the connection")
        return data


class Factory(PiGPIOFactory):  # type: ignore[misc]
    """gpiozero's factory on such a connection."""

    def __init__(self, connection: Connection) -> None:
        PiFactory.__init__(self)
        self.pin_class = PiGPIOPin
        self._connection: Connection | None = connection
        self._spis: list[Any] = []

    def close(self) -> None:
        """Drop the link first: a factory that closes with a live one makes every pin an input, locks included."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()
        super().close()


class Asker:
    """Commands without parameters on a connection of the event loop's own.

    The level poll runs 50 times a second; through a thread each costs four times as much processor time.
    """

    def __init__(self, host: str, port: int) -> None:
        self._link = _connect(host, port)
        self._link.setblocking(False)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._buffer = b""
        self._ended = False

    async def ask(self, command: int, within_s: float) -> int:
        """The daemon's result. Raises TimeoutError or OSError; after either the connection is of no more use."""
        if self._ended:
            raise ConnectionResetError("the daemon closed the connection")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._link.fileno(), self._readable)
        answer: asyncio.Future[int] = loop.create_future()
        self._waiting.append(answer)
        deadline = loop.call_later(within_s, _late, answer)
        try:
            self._link.send(COMMAND.pack(command, 0, 0, 0))
            return await answer
        finally:
            deadline.cancel()

    def _readable(self) -> None:
        try:
            data = self._link.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end()
            return
        self._buffer += data
        while len(self._buffer) >= COMMAND.size:
            result: int = COMMAND.unpack_from(self._buffer)[3]
            self._buffer = self._buffer[COMMAND.size :]
            # One answer for each question, in order; who asked may have gone.
            if self._waiting and not (answer := self._waiting.popleft()).done():
                answer.set_result(result)

    def end(self) -> None:
        """Close. Whoever waits gets ConnectionResetError. Harmless when repeated."""
        if self._ended:
            return
        self._ended = True
        if self._loop is not None:
            self._loop.remove_reader(self._link.fileno())
        self._link.close()
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(ConnectionResetError("the daemon closed the connection"))


def _late(answer: asyncio.Future[int]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _connect(host: str, port: int) -> socket.socket:
    link = socket.create_connection((host, port), ANSWER_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _shut(link: socket.socket | _Ending | None) -> None:
    if link is not None:
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
