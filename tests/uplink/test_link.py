"""The client of control's socket: answers belong to their questions, and a subscription outlives control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from agent.link import ControlAway, ControlLink, Message

Handler = Callable[[dict[str, Any], asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A Unix socket server that does with each line whatever the test says."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self.path = path
        self.handler = handler
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, path=str(self.path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while line := await reader.readline():
                await self.handler(json.loads(line), writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)


async def echo(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(json.dumps({"op": "done", "ok": True, "asked": message}).encode() + b"\n")


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    made = Peer(tmp_path / "control.sock", echo)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[ControlLink]:
    made = ControlLink(tmp_path / "control.sock", timeout_s=2.0)
    yield made
    await made.close()


async def take(lines: AsyncIterator[Message], number: int) -> list[Message]:
    async with asyncio.timeout(10):
        return [await anext(lines) for _ in range(number)]


async def test_requests_share_connections_and_get_their_own_answers(peer: Peer, link: ControlLink) -> None:
    answers = await asyncio.gather(*(link.request({"op": "note", "id": n}) for n in range(50)))
    assert [answer["asked"]["id"] for answer in answers] == list(range(50))
    before = peer.connections
    for number in range(20):
        await link.request({"op": "note", "id": number})
    assert peer.connections == before, "one after the other, they use what is open"


async def test_a_late_answer_never_belongs_to_the_next_question(peer: Peer, link: ControlLink) -> None:
    release = asyncio.Event()

    async def slow_first(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if message["id"] == 1:
            await release.wait()
        await echo(message, writer)

    peer.handler = slow_first
    with pytest.raises(ControlAway, match=r"within 0\.1 s"):
        await link.request({"op": "note", "id": 1}, timeout_s=0.1)
    release.set()
    assert (await link.request({"op": "note", "id": 2}))["asked"]["id"] == 2


async def test_a_slow_question_holds_up_no_other(peer: Peer, link: ControlLink) -> None:
    release = asyncio.Event()

    async def slow_first(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        if message["id"] == 1:
            await release.wait()
        await echo(message, writer)

    peer.handler = slow_first
    slow = asyncio.create_task(link.request({"op": "note", "id": 1}))
    assert (await link.request({"op": "note", "id": 2}))["asked"]["id"] == 2
    release.set()
    assert (await slow)["asked"]["id"] == 1


async def test_no_control_is_said_in_words(tmp_path: Path) -> None:
    link = ControlLink(tmp_path / "nowhere.sock")
    with pytest.raises(ControlAway, match="control is not running"):
        await link.request({"op": "ping"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "hung up"),
        (b"garbage\n", "no JSON"),
        (b"[1]\n", "no JSON"),
        (b"{}\n", "without an op"),
        (b'{"op":', "hung up"),
    ],
)
async def test_a_peer_that_talks_nonsense_is_control_away(
    peer: Peer, link: ControlLink, answer: bytes, words: str
) -> None:
    async def nonsense(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if not answer.endswith(b"\n"):
            writer.close()

    peer.handler = nonsense
    with pytest.raises(ControlAway, match=words):
        await link.request({"op": "ping"})
    peer.handler = echo
    assert (await link.request({"op": "ping"}))["ok"] is True


async def test_an_answer_of_a_restarted_control_comes_on_a_new_connection(peer: Peer, link: ControlLink) -> None:
    await link.request({"op": "ping"})
    await peer.stop()
    await peer.start()
    assert (await link.request({"op": "ping"}))["ok"] is True


async def test_a_subscription_goes_on_where_it_was_after_a_restart(peer: Peer, link: ControlLink) -> None:
    asked: list[dict[str, Any]] = []

    async def subscribe(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        asked.append(message)
        head = 7 if len(asked) == 1 else 9
        writer.write(b'{"op":"subscribed","epoch":1,"head":%d}\n{"op":"head","epoch":1,"seq":%d}\n' % (head, head))

    peer.handler = subscribe
    async with aclosing(link.subscribe(3)) as lines:
        first = await take(lines, 2)
        await peer.stop()
        (lost,) = await take(lines, 1)
        await peer.start()
        second = await take(lines, 2)
    assert [line["op"] for line in (*first, lost, *second)] == ["subscribed", "head", "lost", "subscribed", "head"]
    assert [message["from_seq"] for message in asked] == [3, 7]
    assert "control" in lost["why"]


async def test_a_loss_is_told_once_however_long_it_lasts(tmp_path: Path) -> None:
    link = ControlLink(tmp_path / "control.sock")
    async with aclosing(link.subscribe()) as lines:
        (lost,) = await take(lines, 1)
        assert lost == {"op": "lost", "why": f"there is no {tmp_path / 'control.sock'}: control is not running"}
        waiting = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        peer = Peer(tmp_path / "control.sock", subscribed)
        await peer.start()
        assert (await asyncio.wait_for(waiting, 5))["op"] == "subscribed"
    await peer.stop()


async def subscribed(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"op":"subscribed","epoch":1,"head":0}\n')


async def test_a_control_that_falls_silent_is_lost(
    peer: Peer, link: ControlLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked for the state is owed a line every two seconds."""
    monkeypatch.setattr("agent.link.SILENCE_S", 0.2)
    peer.handler = subscribed
    async with aclosing(link.subscribe(state=True)) as lines:
        first, lost = await take(lines, 2)
    assert (first["op"], lost["op"]) == ("subscribed", "lost")
    assert "silent" in lost["why"]


async def test_a_refused_subscription_is_lost_with_the_reason(peer: Peer, link: ControlLink) -> None:
    async def refuse(message: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"op":"error","why":"this user may not"}\n')

    peer.handler = refuse
    async with aclosing(link.subscribe()) as lines:
        (lost,) = await take(lines, 1)
    assert "this user may not" in lost["why"]
