"""The local socket begins and ends: dead files, live peers, folders that cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from socket_scenes import Peer, Served, serving, subscribed


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as made:
        yield made


async def test_a_socket_file_of_a_dead_control_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path) as first:
        path = first.path
    path.touch()
    async with serving(tmp_path) as second:
        peer = await Peer.of(second.path)
        assert (await peer.ask({"op": "ping"}))["op"] == "pong"
        peer.close()


async def test_a_live_control_is_left_alone(served: Served, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"another control already serves .*control\.sock: stop it first"):
        await Served(tmp_path).server.start(served.path)
    peer = await Peer.of(served.path)
    assert (await peer.ask({"op": "ping"}))["op"] == "pong"
    peer.close()


async def test_a_folder_that_cannot_be_made_is_named_with_what_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"control\.sock cannot be served: .*; see run_dir in \[storage\]"):
        await Served(tmp_path).server.start(tmp_path / "run" / "control.sock")


async def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 60) / ("y" * 60) / "control.sock"
    with pytest.raises(OSError, match=r"control\.sock cannot be served: .*long"):
        await Served(tmp_path).server.start(path)


async def test_peers_are_let_go_at_the_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        peer = await subscribed(made)
    with pytest.raises((EOFError, ConnectionError)):
        await peer.wait(lambda line: line["op"] == "never")
    peer.close()
