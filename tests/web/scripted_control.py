"""A control that says what a test tells it to: `docs/local-socket.md` over a real socket, and nothing behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import msgspec

from agent.picture import Picture


class ScriptedControl:
    """Serves `picture` as the state; every 2 s by itself, at once when `show` is called."""

    def __init__(self, path: Path, picture: Picture) -> None:
        self.path = path
        self.picture = picture
        self.mute = False  # True: connected, but not a word more, as a hung process
        self.head = (picture.epoch, picture.head)
        self.subscribers: set[asyncio.StreamWriter] = set()
        self.notes: list[dict[str, Any]] = []
        self._server: asyncio.Server | None = None
        self._beat: asyncio.Task[None] | None = None
        self._born = time.monotonic()

    async def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        self._beat = asyncio.create_task(self._beats())

    async def stop(self) -> None:
        """Die as a process does: the socket file stays, nobody answers."""
        if self._beat is not None:
            self._beat.cancel()
        if self._server is not None:
            self._server.close()
        for writer in list(self.subscribers):
            writer.transport.abort()

    async def __aenter__(self) -> ScriptedControl:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def show(self, picture: Picture) -> None:
        self.picture = picture
        await self.tell({"op": "state", "state": self._state()})

    async def tell(self, line: dict[str, Any]) -> None:
        if self.mute:
            return
        for writer in list(self.subscribers):
            with contextlib.suppress(ConnectionError):
                _write(writer, line)
                await writer.drain()

    def _state(self) -> dict[str, Any]:
        """The picture with its clocks going on from where the scene set them."""
        age_ms = round((time.monotonic() - self._born) * 1000)
        times = {"mono_ms": self.picture.mono_ms + age_ms, "wall_ms": round(time.time() * 1000)}
        return dict(msgspec.to_builtins(self.picture)) | times

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(2.0)
            await self.tell({"op": "state", "state": self._state()})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                if not self.mute:
                    self._answer(json.loads(line), writer)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.subscribers.discard(writer)
            writer.close()

    def _answer(self, ask: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        match ask["op"]:
            case "ping":
                _write(writer, {"op": "pong", "turn_ms": 1})
            case "state":
                _write(writer, {"op": "state", "state": self._state()})
            case "subscribe":
                _write(writer, {"op": "subscribed", "epoch": self.head[0], "head": self.head[1]})
                if ask.get("state"):
                    _write(writer, {"op": "state", "state": self._state()})
                self.subscribers.add(writer)
            case "note" if ask["kind"] == "view.report":
                self.notes.append(ask)
                _write(writer, {"op": "done", "ok": True, "records": [[1, 1]]})
            case other:
                _write(writer, {"op": "done", "ok": False, "why": f"a status page asked {other!r}"})


def _write(writer: asyncio.StreamWriter, line: dict[str, Any]) -> None:
    writer.write(json.dumps(line).encode() + b"\n")
