"""What stands in front of every page: who may ask, how, and what a browser may do with the answer.

The page moves nothing, so the danger is in being read or framed from elsewhere (a rebound name, a foreign page) and
in being held up. Everything that is not a plain GET or HEAD of a plain path to one of our own names is refused here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from agent.web.listen import Address

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PLAIN_PATH = re.compile(rb"/[A-Za-z0-9/_.-]{0,120}")
# Words that are looked for come percent-encoded: letters beyond ASCII (their bytes are 0x80 and above), no markup.
PLAIN_QUERY = re.compile(rb"(?=.{0,400}$)(?:[A-Za-z0-9=&_.+-]|%[89A-Fa-f][0-9A-Fa-f]|%20|%2F|%3A)*")
MAX_HEADERS = 60
MAX_HEADER_BYTES = 16 * 1024
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


class Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def own_names(addresses: Iterable[Address]) -> frozenset[str]:
    """The names this box answers to: where it listens, this machine's own name, and localhost.

    A port forward changes the port, never the name, so ports are not compared.
    """
    machine = socket.gethostname().lower()
    names = {"localhost", "127.0.0.1", "[::1]", machine, f"{machine}.local"}
    return frozenset(names | {address.url_host.lower() for address in addresses})


class Guard:
    """ASGI middleware."""

    methods: tuple[str, ...] = ("GET", "HEAD")
    headers = HEADERS

    def __init__(self, app: App, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no web sockets here: the server closes what nobody answers
        try:
            self._check(scope)
        except Refused as refusal:
            await self._refuse(refusal, send)
            return
        await self._app(scope, receive, self._with_headers(send))

    def _check(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if scope["method"] not in self.methods:
            raise Refused(405, f"only {' and '.join(self.methods)} are taken here")
        if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            raise Refused(431, "too many headers")
        _check_target(scope)
        self._check_host([value for name, value in headers if name == b"host"], scope)
        self._check_body(scope, headers)
        for name, value in headers:
            if name == b"origin" and not self._ours(urlsplit(value.decode("latin-1")).netloc, scope):
                raise Refused(403, "asked from a foreign page")

    def _check_body(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            if name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0"):
                raise Refused(413, "no body is taken here")

    def _check_host(self, hosts: list[bytes], scope: Scope) -> None:
        if len(hosts) != 1:
            raise Refused(400, "exactly one Host header is wanted")
        if not self._ours(hosts[0].decode("latin-1"), scope):
            raise Refused(421, "this box is not called that")

    def _ours(self, text: str, scope: Scope) -> bool:
        match = HOST.fullmatch(text)
        if match is None:
            return False
        name = match["name"].lower()
        server = scope.get("server")
        here = str(server[0]).lower() if server else ""
        return name in self._names or (bool(here) and name in (here, f"[{here}]"))

    async def _refuse(self, refusal: Refused, send: Send) -> None:
        text = f"{refusal}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *self.headers,
        ]
        if refusal.status == 405:
            headers.append((b"allow", ", ".join(self.methods).encode()))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = list(message.get("headers", ()))
                names = {name for name, _ in told}  # an answer may be stricter than all are
                message = {**message, "headers": [*told, *(one for one in self.headers if one[0] not in names)]}
            await send(message)

        return sending


def _check_target(scope: Scope) -> None:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    if not PLAIN_PATH.fullmatch(path) or b".." in path or b"//" in path:
        raise Refused(400, "no such form of address here")
    if not PLAIN_QUERY.fullmatch(scope.get("query_string", b"")):
        raise Refused(400, "no such query here")
