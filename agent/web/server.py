"""uvicorn, kept small and patient with nobody: bounded headers, connections and waiting times.

Whoever holds connections open without asking anything keeps nobody else out: where there is no room, one of his gives
way. A TLS handshake counts among the connections from its first byte on, and has its own time.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.web.feed import Feed
from agent.web.guard import App

HEADER_BYTES = 16 * 1024
REQUEST_S = 10.0  # D: a request whose head takes longer is cut off
MAX_CONNECTIONS = 96
ROOM = MAX_CONNECTIONS - 16  # D: beyond this somebody gives way; uvicorn counts those that are just leaving as well
KEEP_ALIVE_S = 15
HANDSHAKE_S = 5.0  # D: a tablet on a school's network needs some 0.1 s


class Crowd:
    """Everybody who is connected to one server, first come first."""

    def __init__(self) -> None:
        self._inside: dict[BoundedProtocol, str] = {}  # → the peer's address

    def enter(self, one: BoundedProtocol, peer: str) -> None:
        """Let somebody in; where there is no room, of the peers that have one to spare the one that holds most loses
        its oldest."""
        self._inside[one] = peer
        if len(self._inside) <= ROOM:
            return
        held = Counter(self._inside.values())
        spare = [other for other in self._inside if other is not one and other.waits]
        if spare:
            gone = max(spare, key=lambda other: held[self._inside[other]])
            self.leave(gone)
            gone.abort()

    def leave(self, one: BoundedProtocol) -> None:
        self._inside.pop(one, None)


class Config(uvicorn.Config):
    """What the connections of one server share. `tls` None: in the clear."""

    def __init__(self, app: App, **settings: Any) -> None:
        super().__init__(app, **settings)
        self.crowd = Crowd()
        self.tls: ssl.SSLContext | None = None


class BoundedProtocol(H11Protocol):
    """Hangs up on a peer that does not finish a handshake or a request in time; uvicorn itself would wait for ever."""

    config: Config
    _deadline: asyncio.TimerHandle | None = None
    _raw: asyncio.Transport | None = None
    _shaking: asyncio.Task[None] | None = None
    _early = b""  # what a peer said in the same breath as its handshake's last word

    @property
    def waits(self) -> bool:
        """Whether nothing is lost with it: it asks for nothing, or does not take its answer."""
        answering = self.cycle is not None and not self.cycle.response_complete
        return not answering or self.flow.write_paused

    def abort(self) -> None:
        if self._raw is not None:
            self._raw.abort()

    def connection_made(self, transport: Any) -> None:
        if self._raw is None:
            self._raw = transport
            self.config.crowd.enter(self, str((transport.get_extra_info("peername") or [""])[0]))
            if self.config.tls is not None:
                transport.pause_reading()
                self._shaking = self.loop.create_task(self._shake_hands(transport, self.config.tls))
                return
        super().connection_made(transport)
        self._watch()

    async def _shake_hands(self, raw: asyncio.Transport, tls: ssl.SSLContext) -> None:
        made: asyncio.Transport | None = None
        try:
            made = await self.loop.start_tls(raw, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_S)
        except OSError:
            pass  # too slow, no TLS at all, or a certificate that the peer does not trust
        finally:
            if made is None or made.is_closing():
                raw.abort()
                self.config.crowd.leave(self)
        if made is not None and not made.is_closing():
            self.connection_made(made)
            early, self._early = self._early, b""
            if early:
                self.data_received(early)

    def data_received(self, data: bytes) -> None:
        if self not in self.connections:
            self._early += data
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self.config.crowd.leave(self)
        self._rest()
        if self in self.connections:  # else it went in its handshake
            super().connection_lost(exc)

    def _watch(self) -> None:
        """The deadline runs while no request is being answered, and is not moved on by single bytes."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S + KEEP_ALIVE_S, self.transport.close)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Lets the open pages go before it stops, so that stopping takes no time."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order: uvicorn itself kills the process with the same signal as soon as it has stopped serving."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()
        await super().shutdown(sockets)


def make(app: App, feed: Feed) -> Server:
    return Server(config(app), feed)


def config(app: App) -> Config:
    """How every port of the web role is served."""
    return Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="error",  # a scanner on the school's network must not fill the log
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=HEADER_BYTES,
    )
