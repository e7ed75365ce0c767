"""Requests meant ill, over a real socket: each is refused in a word and the page goes on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
import web_scenes as scenes
from patience import within
from web_rig import listening

from agent.link import ControlLink
from agent.web import server
from agent.web.app import Pages, make_app
from agent.web.console import certificate
from agent.web.feed import Feed
from agent.web.guard import own_names
from agent.web.ledger import Ledger
from agent.web.listen import Address, bind
from sim.ports import free_port


class Served:
    def __init__(self, port: int, pages: Pages) -> None:
        self.port = port
        self.pages = pages

    async def raw(self, request: bytes, wait_s: float = 5.0, up_to: bytes = b"") -> bytes:
        """What comes back until the server hangs up, falls silent, or has said so much."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await _all(reader, wait_s, up_to)
        finally:
            writer.close()

    async def status(self, request: str) -> int:
        return status_of(await self.raw(request.encode("latin-1"), up_to=b"\r\n"))

    async def lives(self) -> bool:
        answer = await self.raw(get("/api/v1/state").encode())
        return status_of(answer) == 200


async def _all(reader: asyncio.StreamReader, wait_s: float, up_to: bytes = b"") -> bytes:
    got = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with within(wait_s):
            while (not up_to or up_to not in got) and (chunk := await reader.read(65536)):
                got += chunk
    return got


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Served]:
    site = scenes.demo_site(tmp_path)
    feed = Feed(ControlLink(tmp_path / "none.sock"), site)
    ledger = Ledger(lambda: (_ for _ in ()).throw(OSError("no journal in this test")))
    pages = Pages(site, feed, ledger)
    address = Address("127.0.0.1", free_port())
    made = server.make(make_app(pages, own_names([address])), feed)
    running = asyncio.create_task(made.serve(bind([address])))
    await listening(address.port)
    yield Served(address.port, pages)
    made.should_exit = True
    await running
    ledger.close()


def get(path: str = "/", host: str = "127.0.0.1", more: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1:80:80",
        "[::1",
        "0.0.0.0",
        "127.0.0.1 evil.example",
        "",
    ],
)
async def test_a_foreign_name_is_refused(web: Served, host: str) -> None:
    """A rebound DNS name sends its own name as Host: that is all that tells it."""
    assert await web.status(get(host=host)) in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "127.0.0.1:18080", "[::1]:8080"])
async def test_the_boxs_own_names_are_answered_whatever_the_port(web: Served, host: str) -> None:
    assert await web.status(get(host=host)) == 200


async def test_host_must_be_there_once(web: Served) -> None:
    assert await web.status("GET / HTTP/1.1\r\nConnection: close\r\n\r\n") == 400
    assert await web.status(get(more="Host: 127.0.0.1\r\n")) == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
async def test_only_reading_is_answered(web: Served, method: str) -> None:
    answer = await web.raw(f"{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), 0.5)
    assert status_of(answer) == 405
    assert b"allow: GET, HEAD" in answer


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.example/",
        "//evil.example/",
        "/../etc/passwd",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static/....//app.py",
        "/static\\..\\app.py",
        "/%00",
        "/events?group=<script>",
        "/events?cause=%3Cscript%3E",
        "/" + "a" * 300,
        "/?" + "a" * 401,
        "/events?q=%00",
        "/events?q=%2e%2e",
        "/events?q=%E5%AD%A6%0D%0AX:1",
        "*",
        "/api/v1/state;x=1",
    ],
)
async def test_path_tricks_are_refused(web: Served, path: str) -> None:
    assert await web.status(get(path)) in (400, 404)


@pytest.mark.parametrize("path", ["/static/app.py", "/static/page", "/static/", "/guard", "/nothing", "/static"])
async def test_what_is_not_there_is_not_there(web: Served, path: str) -> None:
    assert await web.status(get(path)) == 404


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 10\r\n",
        "Content-Length: 99999999999\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    ],
)
async def test_a_body_is_not_taken(web: Served, headers: str) -> None:
    assert await web.status(get(more=headers)) in (400, 413)


async def test_a_foreign_page_gets_nothing(web: Served) -> None:
    assert await web.status(get("/api/v1/state", more="Origin: https://evil.example\r\n")) == 403
    assert await web.status(get("/api/v1/state", more="Origin: null\r\n")) == 403
    assert await web.status(get("/api/v1/state", more=f"Origin: http://127.0.0.1:{web.port}\r\n")) == 200


async def test_no_answer_invites_another_origin_or_a_frame(web: Served) -> None:
    for path in ("/", "/api/v1/state", "/nothing", "/static/page.js"):
        answer = (await web.raw(get(path).encode(), 0.5)).split(b"\r\n\r\n")[0].lower()
        assert b"access-control" not in answer
        assert b"content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';" in answer
        assert b"unsafe" not in answer
        assert b"x-content-type-options: nosniff" in answer and b"x-frame-options: deny" in answer
        assert b"server:" not in answer


async def test_pages_have_no_inline_script_or_style(web: Served) -> None:
    for path in ("/", "/schedule", "/devices", "/events"):
        page = (await web.raw(get(path).encode())).split(b"\r\n\r\n", 1)[1]
        assert b" style=" not in page and b"<style" not in page and b"javascript:" not in page
        assert b"<script>" not in page and b" on" not in page.replace(b" on_", b"").split(b"<body")[0]
        assert page.count(b"<script") == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(3000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
        bytes(range(256)) * 20,
    ],
)
async def test_garbage_is_answered_or_cut_and_the_page_lives(web: Served, garbage: bytes) -> None:
    answer = await web.raw(garbage, 0.5)
    assert status_of(answer) in (0, 400, 431)
    assert b"Traceback" not in answer
    assert await web.lives()


async def test_an_upgrade_is_not_taken(web: Served) -> None:
    more = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    request = get(more=more).replace("Connection: close", "Connection: Upgrade")
    assert await web.status(request) != 101
    assert await web.lives()


async def test_head_tells_the_same_without_a_body(web: Served) -> None:
    for path in ("/", "/api/v1/state", "/api/v1/stream", "/metrics"):
        answer = await web.raw(get(path).replace("GET", "HEAD", 1).encode(), 1.0)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert status_of(head) == 200 and body == b"", path


async def test_a_dawdler_is_hung_up_on(web: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte at a time does not move the deadline."""
    monkeypatch.setattr(server, "REQUEST_S", 0.3)
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    async with within(3.0):
        with contextlib.suppress(ConnectionError):
            for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\n" * 20:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
                if reader.at_eof():
                    break
    assert await reader.read() == b""
    writer.close()


async def test_idle_connections_keep_nobody_out(web: Served) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", web.port) for _ in range(server.MAX_CONNECTIONS + 20)]
    assert await web.lives()
    assert any(reader.at_eof() or reader.exception() for reader, _ in opened), "somebody gave way"
    for _, writer in opened:
        writer.close()


def test_the_peer_that_holds_most_gives_way_and_nobody_who_is_being_answered() -> None:
    class One:
        def __init__(self, waits: bool = True) -> None:
            self.waits, self.gone = waits, False

        def abort(self) -> None:
            self.gone = True

    crowd = server.Crowd()
    tablet, greedy = One(), [One(waits=number > 2) for number in range(server.ROOM - 1)]
    for one, peer in [(tablet, "tablet"), *((one, "greedy") for one in greedy), (One(), "office")]:
        crowd.enter(cast(server.BoundedProtocol, one), peer)
    assert [one.gone for one in greedy[:5]] == [False, False, False, True, False] and not tablet.gone


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """A server over TLS that answers everything with 8 MB, and a context that knows it."""

    async def big(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, False):
            await send({"type": "http.response.body", "body": bytes(4 << 20), "more_body": more})

    certificate.ensure(tmp_path, ("127.0.0.1",), datetime.now(UTC))
    settings = server.config(big)
    settings.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.tls.load_cert_chain(tmp_path / certificate.LEAF, tmp_path / certificate.LEAF_KEY)
    made = uvicorn.Server(settings)
    port = free_port()
    running = asyncio.create_task(made.serve(bind([Address("127.0.0.1", port)])))
    await listening(port)
    yield port, ssl.create_default_context(cafile=tmp_path / certificate.AUTHORITY)
    made.should_exit = True
    await running


async def first_line(port: int, context: ssl.SSLContext) -> bytes:
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(get().encode())
        line = await reader.readline()
        writer.transport.abort()
    return line


async def test_handshakes_that_never_end_keep_nobody_out(sealed: tuple[int, ssl.SSLContext]) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", sealed[0]) for _ in range(server.MAX_CONNECTIONS + 20)]
    assert b"200" in await first_line(*sealed)
    for _, writer in opened:
        writer.close()


async def test_a_handshake_that_never_ends_is_hung_up_on(
    sealed: tuple[int, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", sealed[0])
    writer.write(b"\x16\x03\x01")
    assert await _all(reader, 5.0) == b"" and reader.at_eof()
    writer.close()


async def test_who_asks_much_and_reads_nothing_keeps_nobody_out(
    sealed: tuple[int, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "ROOM", 5)
    opened = []
    for _ in range(8):
        reader, writer = await asyncio.open_connection("127.0.0.1", sealed[0], ssl=sealed[1], limit=1024)
        writer.write(get().encode())
        assert b"200" in await reader.readline()
        opened.append(writer)
    assert b"200" in await first_line(*sealed)
    for writer in opened:
        writer.transport.abort()


async def test_a_listener_that_leaves_is_forgotten_and_the_crowd_is_bounded(
    web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.stream.MAX_LISTENERS", 3)
    monkeypatch.setattr("agent.web.stream.BEAT_S", 0.1)
    opened = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(get("/api/v1/stream").encode())
        assert b"200" in await reader.readline()
        opened.append(writer)
    await _until(lambda: web.pages.streams.listeners == 3)
    assert await web.status(get("/api/v1/stream")) == 503
    assert await web.lives()
    for writer in opened:
        writer.close()
    await _until(lambda: web.pages.streams.listeners == 0)


async def _until(ready: Callable[[], bool]) -> None:
    for _ in range(500):
        if ready():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within five seconds")
