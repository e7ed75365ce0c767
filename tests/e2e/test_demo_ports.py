"""The demo moves aside when somebody has its ports, whichever way they are used."""

from __future__ import annotations

import socket

import pytest

from agent.demo.processes import free_port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_not_taken(kind: socket.SocketKind) -> None:
    with socket.socket(type=kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        taken = other.getsockname()[1]
        found = free_port(taken)
        assert found != taken
    assert free_port(found) == found
