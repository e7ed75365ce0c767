"""The addresses of the site file, bound: all of them or none, and an error an installer can act on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

BACKLOG = 64
# D: a tablet that left the network without a word is hung up on. By itself the kernel tries for a quarter of an hour,
# and its open page would take the room of one that is there.
VANISHED_S = 20.0


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @property
    def url_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.url_host}:{self.port}"


def parse(text: str) -> Address:
    """ "127.0.0.1:8080" or "[::1]:8080". ValueError names what is wrong."""
    host, colon, port = text.rpartition(":")
    bare = host.strip("[]")
    if not colon or not bare or (":" in bare and not host.startswith("[")):
        raise ValueError(f"{text!r} is no address to listen on: write host:port, like 127.0.0.1:8080")
    if not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r}: {port!r} is no port number")
    return Address(bare, int(port))


def bind(addresses: Iterable[Address]) -> list[socket.socket]:
    """Listening sockets, one for each address. OSError with one line in field words; then none stays open."""
    made: list[socket.socket] = []
    try:
        for address in addresses:
            made.append(_bind(address))
    except OSError:
        for bound in made:
            bound.close()
        raise
    return made


def _bind(address: Address) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(VANISHED_S * 1000)
        )  # accepted ones inherit it
        bound.bind((address.host, address.port))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, _words(error, address)) from None
    bound.setblocking(False)
    return bound


def _words(error: OSError, address: Address) -> str:
    start = f"the status page cannot listen on {address}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{start}: another program uses this port; stop it or choose another port in [web] listen"
        case errno.EACCES:
            return f"{start}: no permission for this port; choose one above 1023 in [web] listen"
        case errno.EADDRNOTAVAIL:
            return f"{start}: this machine has no such address; correct [web] listen"
        case _:
            return f"{start}: {error.strerror or error}"
