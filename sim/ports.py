"""Free ports for servers that are started later, by somebody else, or twice: nobody is given one in between.

A port got by binding to 0 lies where Linux takes the ports it hands out (32768 and up), so that any program may be
given it between the asking and the server's start, or while the server is down. These lie below that range, and every
process has a block of them to itself.
"""

from __future__ import annotations

import functools
import itertools
import os
import socket
from collections.abc import Iterator

FIRST, BLOCKS, SIZE = 20_000, 120, 100


class NoPortError(Exception):
    """Every block, or every port of this process's block, is in use."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nothing uses now, for TCP and UDP, and that no other process gets from here. Raises NoPortError."""
    for port in itertools.islice(_ports_of(os.getpid()), SIZE):
        if _is_free(host, port):
            return port
    raise NoPortError(f"none of the {SIZE} ports of this process is free on {host}")


@functools.cache
def _ports_of(process: int) -> Iterator[int]:
    """This process's block, round and round. An abstract socket's name, which ends with the process, holds it."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    number = next((number for number in range(BLOCKS) if _takes(holder, number)), None)
    if number is None:
        holder.close()
        raise NoPortError(f"process {process}: all {BLOCKS} blocks of ports from {FIRST} are in use")
    holder.detach()  # stays open for as long as the process runs
    start = FIRST + number * SIZE
    return itertools.cycle(range(start, start + SIZE))


def _takes(holder: socket.socket, number: int) -> bool:
    try:
        holder.bind(f"\0menwei-ports-{number}")
    except OSError:
        return False
    return True


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stream.bind((host, port))
            datagram.bind((host, port))
        except OSError:
            return False
    return True
