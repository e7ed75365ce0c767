"""What the page tests share: the app over a fed picture without sockets, and the real role with a real port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import web_journal
import web_scenes as scenes
from scripted_control import ScriptedControl

from agent.journal.reader import JournalReader
from agent.link import ControlAway
from agent.picture import Picture
from agent.web import role
from agent.web.app import Pages, make_app
from agent.web.feed import Feed
from agent.web.guard import App, own_names
from agent.web.ledger import Ledger
from agent.web.listen import Address
from hardware import places
from hardware.site import Site
from sim.ports import free_port


class NoLink:
    """A control that answers a ping as told and has no lines of its own."""

    def __init__(self) -> None:
        self.pong = True
        self.asked = 0

    async def request(self, message: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.pong:
            raise ControlAway("nobody serves control.sock: control has stopped")
        return {"op": "pong", "turn_ms": 1}

    async def subscribe(self, from_seq: int = 0, *, state: bool = False) -> Any:
        await asyncio.Event().wait()
        yield {}


class Rig:
    """The app, fed by hand."""

    def __init__(self, folder: Path) -> None:
        self.site = scenes.demo_site(folder)
        web_journal.write(self.site)
        self.link = NoLink()
        self.feed = Feed(self.link, self.site)
        self.ledger = Ledger(lambda: JournalReader(places.storage_dir(self.site) / "journal.db"))
        self.pages = Pages(self.site, self.feed, self.ledger)
        self.app: App = make_app(self.pages, own_names([Address("127.0.0.1", 8080)]))

    def show(self, picture: Picture) -> None:
        self.feed.take({"op": "state", "state": msgspec.to_builtins(picture)})

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


@contextlib.asynccontextmanager
async def served(folder: Path, picture: Picture | None = None) -> AsyncIterator[tuple[str, ScriptedControl, Site]]:
    """The real role on a free port, following a scripted control: (base URL, control, site)."""
    port = free_port()
    site = scenes.demo_site(folder, (f"127.0.0.1:{port}",))
    web_journal.write(site)
    async with ScriptedControl(places.control_socket(site), picture or scenes.normal(site)) as control:
        running = asyncio.create_task(role.run(site))
        try:
            await listening(port)
            yield f"http://127.0.0.1:{port}", control, site
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.01)
