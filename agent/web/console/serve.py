"""The console's own port: HTTPS under the box's certificate, with the same small and impatient server as the page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Iterator

import uvicorn

from agent.muster import name_table
from agent.register.store import BadRegister
from agent.web.console import certificate
from agent.web.console.accounts import Accounts
from agent.web.console.app import Console, make_console
from agent.web.console.desk import Desk
from agent.web.feed import Feed, Link
from agent.web.guard import own_names
from agent.web.listen import Address, bind, parse
from agent.web.server import config
from hardware import places
from hardware.site import Site

log = logging.getLogger("menwei.console")

RENEW_S = 86_400.0  # the certificate and the register's age are looked at once a day


class ConsoleServer(uvicorn.Server):
    """Leaves the signals to the status page's server, which ends this one."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ConsoleRole:
    """The console from start to end, beside the status page in the web role."""

    def __init__(self, site: Site, feed: Feed, link: Link) -> None:
        """Raises OSError with one line in field words when it cannot listen."""
        self._folder = places.web_dir(site)
        self._feed = feed
        try:
            self._addresses = [parse(text) for text in site.web.guard_listen]
        except ValueError as error:
            raise OSError(f"[web] guard_listen: {error}") from None
        self._sockets = bind(self._addresses)
        self._desk = Desk(self._folder, lambda: name_table(site))
        self.accounts = Accounts(self._folder)
        self.console = Console(site, feed, link, self._desk, self.accounts)
        names = own_names(self._addresses) | {name.lower() for name in site.web.guard_names}
        self._names = tuple(dict.fromkeys((*_certified(self._addresses, site), "localhost")))
        self._app = make_console(self.console, frozenset(names))

    async def run(self) -> None:
        """Serve until the feed closes or this is cancelled. OSError when the certificate cannot be made."""
        await self._certify()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._folder / certificate.LEAF, self._folder / certificate.LEAF_KEY)
        settings = config(self._app)
        settings.load()
        settings.tls = context
        server = ConsoleServer(settings)
        for bound in self._sockets:
            log.info("guard console on https://%s", Address(*bound.getsockname()[:2]))
        if not self.accounts.all():
            log.warning("the guard console has no account yet: make a code for the first with `menwei account code`")
        keeping = asyncio.create_task(self._keep(context), name="console-keeper")
        closing = asyncio.create_task(self._close_with_feed(server), name="console-closer")
        try:
            await server.serve(self._sockets)
        except asyncio.CancelledError:
            await server.shutdown(self._sockets)
            raise
        finally:
            keeping.cancel()
            closing.cancel()

    async def _close_with_feed(self, server: uvicorn.Server) -> None:
        version = self._feed.version
        while not self._feed.closed:
            await self._feed.wait(version, 3600)
            version = self._feed.version
        server.should_exit = True

    async def _certify(self) -> None:
        """In a process of its own: X.509 costs the resident role 16 MB."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = (sys.executable, "-m", "agent.web.console.certificate", str(self._folder), *self._names)
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        _, told = await process.communicate()
        if process.returncode != 0 and not (self._folder / certificate.LEAF).exists():
            raise OSError(f"the guard console's certificate cannot be made: {told.decode(errors='replace').strip()}")

    async def _keep(self, context: ssl.SSLContext) -> None:
        """Once a day: renew the certificate, in force for new connections; erase what is too old to be kept."""
        while True:
            try:
                gone = await asyncio.to_thread(self._desk.expire)
                if gone:
                    await self.console.note("register.erased", "box", {"count": gone, "why": "age"})
            except BadRegister as error:
                log.error("%s", error)
            await asyncio.sleep(RENEW_S)
            await self._certify()
            with contextlib.suppress(OSError, ssl.SSLError):
                context.load_cert_chain(self._folder / certificate.LEAF, self._folder / certificate.LEAF_KEY)


def _certified(addresses: list[Address], site: Site) -> list[str]:
    """What a browser may call this box: the site file's names first, then this machine's name and its addresses."""
    machine = socket.gethostname().lower()
    return [
        *(name.lower() for name in site.web.guard_names),
        *(one.host for one in addresses),
        machine,
        f"{machine}.local",
    ]
