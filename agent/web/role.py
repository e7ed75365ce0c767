"""`menwei web`: the status page. It moves nothing; when it dies, nothing else at the gate notices."""

from __future__ import annotations

import asyncio
import logging
import socket

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
    pages.renderer.warm()
    following = asyncio.create_task(feed.run(), name="feed")
    following.add_done_callback(lambda task: _ended(task, server))
    for bound in sockets:
        log.info("status page on http://%s", Address(*bound.getsockname()[:2]))
    try:
        await _serve(server, sockets)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await link.close()
        ledger.close()
    if not following.cancelled() and (error := following.exception()) is not None:
        raise error


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
    """The feed never ends by itself. If it does, so does the role: started anew, not standing on an old picture."""
    if not task.cancelled():
        server.should_exit = True
