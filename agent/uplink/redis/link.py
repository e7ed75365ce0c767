"""One connection to the district's Redis: commands go out together, their answers come back together.

Nothing is repeated behind our back: redis-py's own retries are off, and a connection that failed is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, TypeAlias

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from agent.uplink.batch import Ref
from agent.uplink.reach import why_not

CONNECT_S = 5.0  # D
ANSWER_S = 5.0  # D: a server that does not answer for so long is gone

Command: TypeAlias = tuple[str | bytes, ...]


class RedisLost(Exception):
    """The connection is gone, never came about, or the server does not do what we need; the text says it in words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how to connect. Files are PEM; `ca_file` is used with `tls` only."""

    host: str
    port: int
    username: str = ""
    password: str = ""
    tls: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    vouched: bool = False  # the site vouches for a server that does not tell its settings


class Link:
    """A live connection. Every RedisLost ends it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Any = _connection(settings)

    @classmethod
    async def open(cls, settings: Settings) -> Link:
        """Connect and log in. Raises RedisLost."""
        link = cls(settings)
        try:
            async with asyncio.timeout(2 * CONNECT_S):
                await link._connection.connect()
        except (AuthenticationError, NoPermissionError) as error:
            await link.close()
            raise RedisLost(f"Redis at {link.where} refuses this box's log-in: {error}") from None
        except (RedisError, OSError, TimeoutError) as error:
            await link.close()
            raise RedisLost(why_not(_root(error), settings.host, settings.port)) from None
        except BaseException:
            await link.close()
            raise
        return link

    @property
    def where(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    async def ask(self, *commands: Command) -> list[Any]:
        """The answers in order; a refused command is answered by its ResponseError. Raises RedisLost."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._connection.send_packed_command(self._connection.pack_commands(commands))
                return [await self._answer() for _ in commands]
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            raise RedisLost(f"the connection to Redis broke: {why_not(_root(error), *self._place)}") from None
        except asyncio.CancelledError:
            await self.close()  # answers may still be on their way: nobody may take them for his own
            raise

    async def _answer(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error

    async def trouble(self) -> str:
        """Why an answer of this server does not mean "on disk"; "" = it does.

        An `appendfsync always` server answers after its fsync; a rewrite must not suspend that, and nothing may be
        thrown out to make room (redis.conf of 7.0, "APPEND ONLY MODE" and "MEMORY MANAGEMENT", V).
        """
        names = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy")
        told = await self.ask(*(("CONFIG", "GET", name) for name in names))
        if any(isinstance(answer, ResponseError) for answer in told):
            if self._settings.vouched:
                return ""
            return (
                f"not durable: Redis at {self.where} does not tell its settings; durable = true in the site file "
                "vouches for appendonly yes and appendfsync always"
            )
        found = {name: answer[1].decode() if answer else "" for name, answer in zip(names, told, strict=True)}
        if (found["appendonly"], found["appendfsync"], found["no-appendfsync-on-rewrite"]) != ("yes", "always", "no"):
            return (
                f"not durable: Redis at {self.where} has appendonly {found['appendonly']}, appendfsync "
                f"{found['appendfsync']}, no-appendfsync-on-rewrite {found['no-appendfsync-on-rewrite']}; "
                "needed are yes, always, no"
            )
        if found["maxmemory"] != "0" and found["maxmemory-policy"].startswith("allkeys"):
            return f"not durable: Redis at {self.where} throws out whole keys when it is full (maxmemory-policy)"
        return ""

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)

    @property
    def _place(self) -> tuple[str, int]:
        return self._settings.host, self._settings.port


def _connection(settings: Settings) -> Connection:
    more: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "username": settings.username or None,
        "password": settings.password or None,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": CONNECT_S,
        # Our own deadline: its asyncio.wait_for loses a cancellation on 3.11, and the role would never end.
        "socket_timeout": None,
    }
    if not settings.tls:
        return Connection(**more)
    more |= {"ssl_ca_certs": settings.ca_file, "ssl_check_hostname": True, "ssl_cert_reqs": "required"}
    if settings.cert_file:
        more |= {"ssl_certfile": settings.cert_file, "ssl_keyfile": settings.key_file}
    return SSLConnection(**more)


def _root(error: BaseException) -> BaseException:
    """What redis-py wrapped: the socket's or TLS's own error, where there is one."""
    inner = error.__cause__ or error.__context__
    if isinstance(error, RedisError) and inner is not None:
        return _root(inner)
    return TimeoutError() if isinstance(error, TimeoutError) else error


# ── ids ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def id_of(ref: Ref) -> str:
    """`<epoch>-<seq>`."""
    return f"{ref[0]}-{ref[1]}"


def ref_of(text: bytes) -> Ref:
    epoch, _, seq = text.partition(b"-")
    return int(epoch), int(seq)


def body_of(entry: Any) -> bytes | None:
    """The field `body` of one entry as XRANGE and XINFO give it: [id, [name, value, …]]."""
    fields = entry[1]
    pairs = dict(zip(fields[::2], fields[1::2], strict=True))
    body = pairs.get(b"body")
    return body if isinstance(body, bytes) else None
