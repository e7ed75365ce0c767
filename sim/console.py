"""The simulator's face on loopback HTTP: the verbs, the true state, the wire, and a page to play with.

It moves simulated bollards only, but whoever plays must be on this machine: foreign host names and foreign web pages
are refused, so that no page on the internet can press a button here through somebody's browser.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from sim.picture import catalogue, facts, truth
from sim.simulator import Simulator
from sim.verbs import NotNow, WrongInput
from sim.wire import Entry
from sim.world import Change

STATIC = Path(__file__).parent / "static"
OWN_NAMES = ("127.0.0.1", "localhost", "[::1]", "::1")
MOST_BODY = 65_536
MOST_STREAMS = 16
FRAME_S = 0.05  # D: a changed picture goes to the page at most this often
STRIP = 40  # wire entries of one message to the page
PIECE = 64  # entries put into words in one turn of the loop
HISTORY = 1_000  # entries looked through for them
SLOW_S = 0.25  # D: the wire's strip needs no more

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


def _json(data: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(data), status, media_type="application/json")


def _wrong(message: str, field: str = "", valid: tuple[str, ...] = (), status: int = 400) -> Response:
    return _json({"ok": False, "error": message, "field": field, "valid": list(valid)}, status)


class OwnMachineOnly:
    """Refuses requests that name another host, or come from a page of another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        if _name(host) not in OWN_NAMES:
            refusal = _wrong(f"this simulator answers on this machine only, not as {host!r}", "Host", OWN_NAMES, 403)
            await refusal(scope, receive, send)
        elif origin and origin.partition("://")[2] != host:
            await _wrong("a page of another origin may not play here", "Origin", (), 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _name(host: str) -> str:
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


class Console:
    """The endpoints over one simulator. `closing` is set to let the open streams end."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self.closing = asyncio.Event()
        self._news: set[asyncio.Event] = set()
        sim.world.listen(self._changed)

    def app(self) -> Starlette:
        routes: list[Any] = [Route(f"/{verb}", self._verb(verb), methods=["POST"]) for verb in self._sim.hands.verbs]
        routes += [
            Route("/", self._page),
            Route("/world", self._world),
            Route("/wire", self._wire),
            Route("/site", self._site),
            Route("/faults", self._faults),
            Route("/stream", self._stream),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        handlers = {HTTPException: self._http_error}
        app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
        app.add_middleware(OwnMachineOnly)
        return app

    def _verb(self, verb: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            body = await _body(request)
            if body is None:
                return _wrong(f"the body is larger than {MOST_BODY} bytes", status=413)
            try:
                return _json(self._sim.do(verb, json.loads(body or b"{}")))
            except ValueError as error:
                return _wrong(f"the body is not JSON: {error}")
            except WrongInput as error:
                return _wrong(str(error), error.field, error.valid)
            except NotNow as error:
                return _wrong(str(error), status=409)

        return endpoint

    async def _page(self, request: Request) -> Response:
        return FileResponse(STATIC / "gate.html", media_type="text/html; charset=utf-8")

    async def _world(self, request: Request) -> Response:
        return _json(self._picture())

    async def _site(self, request: Request) -> Response:
        return _json(facts(self._sim.site))

    async def _faults(self, request: Request) -> Response:
        return _json(catalogue(self._sim.world))

    async def _wire(self, request: Request) -> Response:
        numbers = {}
        for field, default in (("since", -1), ("after", -1), ("limit", 1_000_000)):
            text = request.query_params.get(field, str(default))
            if not text.removeprefix("-").isdecimal():
                return _wrong(f"{field} is {text!r}", field, ("a whole number",))
            numbers[field] = int(text)
        entries = self._sim.wire.entries(numbers["since"], numbers["after"], max(0, numbers["limit"]))
        return StreamingResponse(self._told(entries), media_type="application/json")

    async def _told(self, entries: list[Entry]) -> AsyncIterator[bytes]:
        """The entries as one JSON list, made in pieces: a long list must not hold up the buses."""
        yield b"["
        for first in range(0, len(entries), PIECE):
            told = [msgspec.json.encode(self._sim.wire.told(entry)) for entry in entries[first : first + PIECE]]
            yield (b"," if first else b"") + b",".join(told)
            await asyncio.sleep(0)
        yield b"]"

    async def _http_error(self, request: Request, error: HTTPException) -> Response:
        verbs = tuple(f"POST /{verb}" for verb in self._sim.hands.verbs)
        known = (*verbs, "GET /world", "GET /wire?since=ns", "GET /site", "GET /faults", "GET /")
        what = "cannot be done there" if error.status_code == 405 else "is not here"
        return _wrong(f"{request.method} {request.url.path} {what}", "path", known, error.status_code)

    def _picture(self) -> dict[str, Any]:
        sim = self._sim
        sim.real.touch()
        sim.real.settle()
        picture = truth(sim.world) | {"ns": time.monotonic_ns(), "readers": self._readers(), "frames": self._last()}
        picture["pins_address"] = sim.pins.address
        return picture

    def _readers(self) -> dict[str, Any]:
        faults = self._sim.world.faults
        return {
            id: {"port": line.address, "plugged": "unplugged" not in faults.on(f"reader:{id}")}
            for id, line in self._sim.readers.items()
        }

    def _last(self) -> dict[str, dict[str, Any]]:
        frames: dict[str, dict[str, Any]] = {bus: {} for bus in self._sim.buses}
        for (bus, way), entry in self._sim.wire.last.items():
            frames[bus][way] = self._sim.wire.told(entry)
        return frames

    # ── the stream to the page ─────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, change: Change) -> None:
        for news in self._news:
            news.set()

    async def _stream(self, request: Request) -> Response:
        if len(self._news) >= MOST_STREAMS:
            return _wrong(f"{MOST_STREAMS} pages are open already", status=503)
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def _events(self) -> AsyncIterator[bytes]:
        """The picture after each change, the wire's strip a few times a second."""
        news, seen = asyncio.Event(), max(0, self._sim.wire.head - HISTORY)
        self._news.add(news)
        news.set()
        try:
            while not self.closing.is_set():
                changed = news.is_set()
                news.clear()
                if changed:
                    yield _event("world", self._picture())
                strip, seen = self._strip(seen)
                if strip:
                    yield _event("wire", strip)
                await asyncio.sleep(FRAME_S)
                await _either(news, self.closing, SLOW_S - FRAME_S)
        finally:
            self._news.discard(news)

    def _strip(self, seen: int) -> tuple[list[dict[str, object]], int]:
        """What happened on the wire since, without the polls that always go on."""
        wire = self._sim.wire
        told = [entry for entry in wire.since(after=seen, limit=HISTORY) if not _routine(entry)]
        return told[-STRIP:], wire.head


def _routine(entry: dict[str, object]) -> bool:
    text = str(entry["text"])
    return entry["kind"] == "frame" and (
        " read" in text or " tells" in text or "heartbeat" in text or text.endswith("confirms")
    )


def _event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


async def _either(first: asyncio.Event, second: asyncio.Event, at_most_s: float) -> None:
    """Wait for one of two events, or for the time to pass."""
    waits = {asyncio.ensure_future(first.wait()), asyncio.ensure_future(second.wait())}
    try:
        await asyncio.wait(waits, timeout=at_most_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _body(request: Request) -> bytes | None:
    """The request's body, or None when it is larger than anything sensible."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            return None
    return body
