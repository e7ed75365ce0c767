"""`menwei web`: the status page, which moves nothing, and the guard console, which asks control.

When this role dies, nothing else at the gate notices.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

from agent.journal.reader import JournalReader
from agent.journal.schema import FILE
from agent.link import ControlLink
from agent.web import kinds
from agent.web.app import Pages, make_app
from agent.web.feed import Feed
from agent.web.guard import own_names
from agent.web.ledger import Ledger
from agent.web.listen import Address, bind, parse
from agent.web.server import Server, make
from hardware import places
from hardware.site import Site

if TYPE_CHECKING:
    from agent.web.console.serve import ConsoleRole

log = logging.getLogger("menwei.web")


async def run(site: Site) -> None:
    """Serve until SIGTERM or SIGINT. OSError with one line in field words when it cannot listen."""
    addresses = _addresses(site)
    sockets = bind(addresses)
    link = ControlLink(places.control_socket(site))
    feed = Feed(link, site)
    ledger = Ledger(lambda: JournalReader(places.storage_dir(site) / FILE), kinds.NEWS)
    pages = Pages(site, feed, ledger)
    server = make(make_app(pages, own_names(addresses)), feed)
    console = _console(site, feed, link)
    pages.renderer.warm()
    following = asyncio.create_task(feed.run(), name="feed")
    following.add_done_callback(lambda task: _ended(task, server))
    consoling = asyncio.create_task(console.run(), name="console") if console is not None else None
    if consoling is not None:
        consoling.add_done_callback(lambda task: _ended(task, server))
    for bound in sockets:
        log.info("status page on http://%s", Address(*bound.getsockname()[:2]))
    try:
        await _serve(server, sockets)
    finally:
        tasks = [task for task in (following, consoling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await link.close()
        ledger.close()
        pages.reports.close()
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _console(site: Site, feed: Feed, link: ControlLink) -> ConsoleRole | None:
    """The guard console, where the site has one. Its modules are not loaded else."""
    if not site.web.guard_listen:
        return None
    from agent.web.console.serve import ConsoleRole

    return ConsoleRole(site, feed, link)


async def _serve(server: Server, sockets: list[socket.socket]) -> None:
    try:
        await server.serve(sockets)
    except asyncio.CancelledError:
        await server.shutdown(sockets)  # uvicorn itself leaves everything open when it is cancelled
        raise


def _addresses(site: Site) -> list[Address]:
    try:
        return [parse(text) for text in site.web.listen]
    except ValueError as error:
        raise OSError(f"[web] listen: {error}") from None


def _ended(task: asyncio.Task[None], server: Server) -> None:
    """Feed and console never end by themselves. If one does, so does the role: started anew, not on an old picture."""
    if not task.cancelled():
        server.should_exit = True
