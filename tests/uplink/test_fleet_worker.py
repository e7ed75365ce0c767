"""One worker of the fleet's receiver over a Redis: fakeredis and the real one give the same answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis_rig import ALARMS, KEY, FakeServer, Far, RealServer
from uplink_rig import BOX, SITE, make_record, until

from agent.core.records import encode
from sim.box_messages import Ref
from sim.fleet.plan import part_of
from sim.fleet.streams import NotDurable, Streams
from sim.fleet.worker import Worker

AT_MS = 1_788_000_000_000


def body(seq: int, kind: str = "access.granted", epoch: int = 1) -> bytes:
    return encode(make_record(seq, kind, epoch=epoch, at_ms=AT_MS))


def stable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uplink_rig.time.monotonic_ns", lambda: 7)


class Desk:
    """A worker in a thread, its answers kept."""

    def __init__(self, port: int) -> None:
        self.said: list[tuple[str, Any]] = []
        self.heard: list[tuple[str, str]] = []
        self.streams = Streams(f"redis://127.0.0.1:{port}", vouched=True)
        self.worker = Worker(0, 1, self.streams, self._answer, self.heard.extend)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()

    def _answer(self, topic: str, payload: bytes) -> None:
        self.said.append((topic.removeprefix(f"menwei/v1/{SITE}/{BOX}/"), json.loads(payload)))

    def take(self, what: str, payload: bytes) -> None:
        self.worker.take(f"menwei/v1/{SITE}/{BOX}/{what}", payload)

    def records(self, first: int, last: int, prev: Ref | None = None, epoch: int = 1) -> None:
        bodies = b",".join(body(seq, epoch=epoch) for seq in range(first, last + 1))
        before = json.dumps(prev or (epoch if first > 1 else 0, first - 1)).encode()
        self.take("records", b'{"lane":"live","prev":%s,"records":[%s]}' % (before, bodies))

    async def receipt(self) -> dict[str, Any]:
        """The next receipt."""
        found: dict[str, Any] = (await until(lambda: self.said)).pop(0)[1]
        return found

    def close(self) -> None:
        self.worker.stop()
        self.thread.join(10)
        self.streams.close()


@pytest.fixture
def desk(server: FakeServer | RealServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    stable(monkeypatch)
    made = Desk(server.port)
    yield made
    made.close()


async def test_records_stand_in_the_stream_before_the_receipt(desk: Desk, far: Far) -> None:
    desk.records(1, 50)
    assert await desk.receipt() == {"epoch": 1, "seq": 50}
    assert far.entries() == [((1, seq), body(seq)) for seq in range(1, 51)]
    assert desk.heard == [(SITE, BOX)]


async def test_what_comes_again_is_compared_and_received_again(desk: Desk, far: Far) -> None:
    desk.records(1, 50)
    await desk.receipt()
    desk.records(30, 60)
    assert await desk.receipt() == {"epoch": 1, "seq": 60}
    assert far.refs() == [(1, seq) for seq in range(1, 61)]


async def test_a_gap_is_not_written_and_asked_for(desk: Desk, far: Far) -> None:
    desk.records(1, 10)
    await desk.receipt()
    desk.records(21, 30)
    assert await desk.receipt() == {"epoch": 1, "seq": 10, "resend": True}
    assert far.refs()[-1] == (1, 10)


async def test_a_stream_that_is_not_there_is_asked_for_from_the_beginning(desk: Desk, far: Far) -> None:
    desk.records(21, 30)
    assert await desk.receipt() == {"epoch": 0, "seq": 0, "resend": True}
    assert not far.client.exists(KEY)


async def test_a_fork_is_never_received_and_never_written_over(
    desk: Desk, far: Far, capsys: pytest.CaptureFixture[str]
) -> None:
    far.put((1, 1), b'{"forged":true}')
    desk.records(1, 5)
    desk.records(6, 7)
    await until(lambda: "1-1 is another record" in capsys.readouterr().err)
    desk.take("alarm", body(9, "panic.pressed"))
    assert (await until(lambda: desk.said))[0][0] == "alarm/receipt", "no receipt for records"
    assert far.entries()[0] == ((1, 1), b'{"forged":true}')


async def test_a_hole_in_the_stream_is_never_received(desk: Desk, far: Far, capsys: pytest.CaptureFixture[str]) -> None:
    far.put((1, 1), body(1))
    far.put((1, 3), body(3))
    desk.records(1, 3)
    await until(lambda: "1-2 is missing" in capsys.readouterr().err)
    assert desk.said == []


async def test_a_stream_deleted_behind_our_back_takes_no_gap(desk: Desk, far: Far) -> None:
    desk.records(1, 10)
    await desk.receipt()
    far.client.delete(KEY)
    desk.records(11, 20)
    assert await desk.receipt() == {"epoch": 0, "seq": 0, "resend": True}
    desk.records(1, 20)
    assert await desk.receipt() == {"epoch": 1, "seq": 20}
    assert far.refs() == [(1, seq) for seq in range(1, 21)]


async def test_alarms_get_their_own_receipt_once_stored(desk: Desk, far: Far) -> None:
    for _ in range(2):
        desk.take("alarm", body(7, "panic.pressed"))
        topic, word = (await until(lambda: desk.said)).pop()
        assert (topic, word) == ("alarm/receipt", {"epoch": 1, "seq": 7, "by": "fleet", "stage": "received"})
    assert far.entries(ALARMS) == [((1, 7), body(7, "panic.pressed"))]


async def test_an_alarm_behind_a_younger_one_waits_for_the_records(
    desk: Desk, far: Far, capsys: pytest.CaptureFixture[str]
) -> None:
    far.put((1, 9), b"{}", ALARMS)
    desk.take("alarm", body(7))
    await until(lambda: "alarm 1-7 is not taken" in capsys.readouterr().err)
    assert desk.said == []
    desk.records(1, 8)
    assert await desk.receipt() == {"epoch": 1, "seq": 8}
    desk.take("alarm", body(7))
    assert (await until(lambda: desk.said))[0][1]["stage"] == "received"


@pytest.mark.parametrize(("synced", "resend"), [(10, False), (12, True), (None, False)])
async def test_a_box_that_comes_is_told_where_we_stand(synced: int | None, resend: bool, desk: Desk) -> None:
    desk.records(1, 10)
    await desk.receipt()
    state = json.dumps({"online": True, "session": "aa", "epoch": 1, "synced": synced}).encode()
    desk.take("state", state)
    word = await desk.receipt()
    assert (word["epoch"], word["seq"], word.get("resend", False)) == (1, 10, resend)
    desk.take("state", state)
    desk.records(11, 11)
    assert await desk.receipt() == {"epoch": 1, "seq": 11}, "the same session is told once"


async def test_a_box_we_did_not_hear_for_a_while_is_asked_for_what_it_sent(desk: Desk) -> None:
    desk.records(1, 10)
    await desk.receipt()
    for topics in ([f"menwei/v1/{SITE}/{BOX}/records"], ["menwei/v1/+/+/alarm", "menwei/v1/+/+/state"]):
        desk.worker.heard(topics)
        assert await desk.receipt() == {"epoch": 1, "seq": 10, "resend": True}
        assert desk.said == []


async def test_one_box_that_redis_refuses_stops_no_other(
    desk: Desk, far: Far, capsys: pytest.CaptureFixture[str]
) -> None:
    far.client.set(f"menwei:{SITE}:other", "not a stream")
    other = b'{"lane":"live","prev":[0,0],"records":[%s]}' % body(1).replace(b"gate-1", b"other")
    desk.worker.take(f"menwei/v1/{SITE}/other/records", other)
    desk.records(1, 5)
    assert await desk.receipt() == {"epoch": 1, "seq": 5}
    await until(lambda: "Redis refuses its records" in capsys.readouterr().err)


async def test_what_is_no_message_is_counted(desk: Desk) -> None:
    desk.take("records", b"\xff")
    desk.take("alarm", b"{}")
    desk.take("state", b"[]")
    desk.worker.take("menwei/v1/x", b"")
    desk.records(1, 1)
    await desk.receipt()
    assert desk.worker.garbage == 4


def test_another_workers_box_is_not_taken() -> None:
    mine = part_of(SITE, BOX, 2)
    worker = Worker(1 - mine, 2, Streams("redis://127.0.0.1:1"), lambda topic, payload: None, lambda boxes: None)
    worker.take(f"menwei/v1/{SITE}/{BOX}/records", b"{}")
    assert not worker._records


@pytest.mark.parametrize(("name", "value"), [("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")])
def test_a_server_that_does_not_sync_is_refused(name: str, value: str, tmp_path: Path) -> None:
    server = RealServer(tmp_path / "redis")
    streams = Streams(f"redis://127.0.0.1:{server.port}", vouched=True)
    streams.open()
    Far(server.port).client.config_set(name, value)
    with pytest.raises(NotDurable, match=name):
        streams.open()
    streams.close()
    server.stop()


def test_a_server_that_tells_nothing_needs_a_word() -> None:
    server = FakeServer()
    streams = Streams(f"redis://127.0.0.1:{server.port}")
    with pytest.raises(NotDurable, match="vouch"):
        streams.open()
    streams.close()
    server.stop()
