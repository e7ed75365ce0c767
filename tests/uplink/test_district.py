"""The district: durable before the receipt, no receipt beyond a gap, everything wrong is counted and shown."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from pathlib import Path
from random import Random

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uplink_rig import BOX, PREFIX, SITE, Child, DistrictChild, DistrictHere, make_record, until

from agent.core.records import encode
from sim.box_messages import Garbage, Ref
from sim.broker import BrokerProcess
from sim.district_store import Store
from sim.district_writer import QUEUE, Message, Writer

TOTAL = 40


def message(first: int, last: int, *, epoch: int = 1, prev: Ref | None = None, lane: str = "live") -> bytes:
    bodies = b",".join(encode(make_record(seq, epoch=epoch, at_ms=1_788_000_000_000)) for seq in range(first, last + 1))
    head = f'{{"lane":"{lane}",' + (f'"prev":[{prev[0]},{prev[1]}],' if prev is not None else "")
    return head.encode() + b'"records":[' + bodies + b"]}"


class Desk:
    """A store with one box, each message in a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store(path)

    def take(self, payload: bytes) -> Ref:
        with self.store.transaction():
            return self.store.take_records(self.store.box(SITE, BOX), payload)

    @property
    def position(self) -> Ref:
        return self.store.box(SITE, BOX).position

    def kept(self) -> list[Ref]:
        with sqlite3.connect(self.path) as db:
            found = db.execute("SELECT epoch, seq FROM record ORDER BY epoch, seq").fetchall()
        db.close()
        return found

    def holes(self) -> list[tuple[int, int, int]]:
        with sqlite3.connect(self.path) as db:
            found = db.execute("SELECT epoch, first, last FROM hole").fetchall()
        db.close()
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "district.db")


def test_a_gap_gets_no_receipt_and_is_closed_by_a_resend(desk: Desk) -> None:
    assert desk.take(message(1, 10, prev=(0, 0))) == (1, 10)
    assert desk.take(message(15, 20, prev=(1, 14))) == (1, 10)
    box = desk.store.box(SITE, BOX)
    assert box.gap is not None
    assert (box.gap.after, box.gap.seen, box.gaps) == ((1, 10), (1, 15), 1)
    assert desk.kept()[-1] == (1, 10)
    assert desk.take(message(11, 16, prev=(1, 10))) == (1, 16)
    assert (desk.store.box(SITE, BOX).gap, desk.position) == (None, (1, 16))


def test_without_prev_the_numbers_alone_decide(desk: Desk) -> None:
    assert desk.take(message(5, 6)) == (0, 0)
    assert desk.take(message(1, 6)) == (1, 6)
    assert desk.take(message(8, 9)) == (1, 6)
    assert desk.take(message(7, 7, epoch=2)) == (2, 7)
    assert desk.take(message(9, 9, epoch=2)) == (2, 7)
    assert desk.take(message(6, 6, epoch=3)) == (3, 6)
    assert desk.holes() == []


def test_a_jump_inside_a_message_is_a_gap(desk: Desk) -> None:
    bodies = [encode(make_record(seq)) for seq in (1, 2, 4)]
    assert desk.take(b'{"lane":"live","records":[' + b",".join(bodies) + b"]}") == (1, 2)


def test_what_the_box_no_longer_has_is_a_hole(desk: Desk) -> None:
    assert desk.take(message(101, 110, prev=(0, 0))) == (1, 110)
    assert desk.take(message(115, 120, prev=(1, 110))) == (1, 120)
    assert desk.holes() == [(1, 1, 100), (1, 111, 114)]


def test_duplicates_are_counted_and_a_different_body_is_a_conflict(desk: Desk) -> None:
    payload = message(1, 10)
    desk.take(payload)
    assert desk.take(payload) == (1, 10)
    forged = encode(make_record(3, "door.forced"))
    desk.take(b'{"lane":"live","records":[' + forged + b"]}")
    box = desk.store.box(SITE, BOX)
    assert (box.duplicates, box.conflicts, box.live) == (11, 1, 10)


def test_a_resend_is_answered_as_far_as_it_goes(desk: Desk) -> None:
    """A restarted box would not believe a receipt beyond what it has sent."""
    desk.take(message(1, 30))
    assert desk.take(message(1, 10, prev=(0, 0))) == (1, 10)
    assert desk.take(message(11, 35, prev=(1, 10))) == (1, 35)


def test_nothing_of_a_failed_transaction_stays(desk: Desk) -> None:
    desk.take(message(1, 10))
    with pytest.raises(RuntimeError), desk.store.transaction():
        desk.store.take_records(desk.store.box(SITE, BOX), message(11, 20))
        desk.store.box("other", "box")
        raise RuntimeError
    assert desk.position == (1, 10)
    assert desk.kept()[-1] == (1, 10)
    assert ("other", "box") not in desk.store.boxes


def test_positions_and_counters_survive_a_restart(desk: Desk) -> None:
    desk.take(message(1, 10))
    desk.take(message(1, 10))
    desk.store.close()
    again = Desk(desk.path)
    assert again.position == (1, 10)
    assert again.store.box(SITE, BOX).duplicates == 10


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"records":{},"lane":"live"}',
        b'{"records":[1],"lane":"live"}',
        b'{"records":[{"epoch":0,"seq":1,"kind":"a.b","site_box":"test-school/gate-1"}],"lane":"live"}',
        b'{"records":[{"epoch":1,"seq":9e99,"kind":"a.b","site_box":"test-school/gate-1"}],"lane":"live"}',
        b'{"records":[{"epoch":1,"seq":1,"kind":"a.b","site_box":"someone/else"}],"lane":"live"}',
        b'{"records":[],"lane":"express"}',
        b'{"records":[],"lane":"live","prev":[1]}',
    ],
)
def test_garbage_is_named_and_changes_nothing(desk: Desk, payload: bytes) -> None:
    with pytest.raises(Garbage), desk.store.transaction():
        desk.store.take_records(desk.store.box(SITE, BOX), payload)
    assert desk.kept() == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_receipt_never_says_more_than_is_there(seed: int) -> None:
    """Messages lost, doubled and out of order, and a box that goes back to its last receipt: in the end the sets are
    equal, and at every moment everything up to the receipt is kept."""
    random = Random(seed)
    desk = Desk(Path(":memory:"))
    have: set[int] = set()
    receipt, next_seq, on_the_way = 0, 1, list[bytes]()
    for turn in range(600):
        faults = turn < 300
        if receipt == TOTAL:
            break
        if next_seq <= TOTAL and len(on_the_way) < 5:
            last = min(TOTAL, next_seq + random.randrange(5))
            on_the_way.append(message(next_seq, last, prev=(1 if next_seq > 1 else 0, next_seq - 1)))
            next_seq = last + 1
        else:
            next_seq = receipt + 1
            on_the_way.clear()
        if faults and random.random() < 0.3 and on_the_way:
            on_the_way.pop(random.randrange(len(on_the_way)))
        if faults and random.random() < 0.3:
            random.shuffle(on_the_way)
        if on_the_way and random.random() < 0.7:
            payload = on_the_way[0] if faults and random.random() < 0.2 else on_the_way.pop(0)
            _, seq = desk.take(payload)
            rows = desk.store._db.execute("SELECT seq FROM record").fetchall()
            have = {row[0] for row in rows}
            assert set(range(1, seq + 1)) <= have, f"seed {seed}"
            receipt = max(receipt, seq)
    assert have == set(range(1, TOTAL + 1)), f"seed {seed}: {receipt}"
    desk.store.close()


def test_a_full_queue_drops_instead_of_growing(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "d.db", lambda topic, payload: None)
    for _ in range(QUEUE + 5):
        writer.put(Message(PREFIX + "records", b""))
    assert writer.dropped == 5


# ── as a process ───────────────────────────────────────────────────────────────────────────────────────────────────


def say(port: int, messages: list[tuple[str, bytes]]) -> None:
    """Publish and wait until the broker has each."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


async def test_garbage_on_every_topic_is_counted_and_never_stops_it(
    broker: BrokerProcess, district: DistrictHere
) -> None:
    random = Random(7)
    garbage = [
        b"",
        b"{",
        b"[1,2",
        b"\x00" * 100,
        b'{"online":"',
        b'{"records":7}',
        random.randbytes(3000),
        b"null",
        b"3",
    ]
    topics = [PREFIX + name for name in ("records", "alarm", "state")]
    messages = [(topic, payload) for topic in topics for payload in garbage]
    await asyncio.to_thread(say, broker.port, messages)
    await until(lambda: counted(district, len(messages)))
    await asyncio.to_thread(say, broker.port, [(PREFIX + "records", message(1, 5))])
    await until(lambda: stands_at(district, (1, 5)))
    assert (await district.box())["garbage"] == len(messages)


async def counted(district: DistrictHere, number: int) -> bool:
    return bool((await district.get("/boxes"))["garbage"] == number)


async def stands_at(district: DistrictHere, ref: Ref) -> bool:
    return await district.position() == ref


async def test_boxes_are_kept_apart(broker: BrokerProcess, district: DistrictHere) -> None:
    other = encode(make_record(1)).replace(f"{SITE}/{BOX}".encode(), b"other/gate-9")
    payload = b'{"lane":"live","records":[' + other + b"]}"
    await asyncio.to_thread(
        say, broker.port, [("menwei/v1/other/gate-9/records", payload), (PREFIX + "records", message(1, 3))]
    )
    await until(lambda: stands_at(district, (1, 3)))
    found = {(box["site"], box["box"]): box["position"]["seq"] for box in (await district.get("/boxes"))["boxes"]}
    assert found == {("other", "gate-9"): 1, (SITE, BOX): 3}


async def test_it_comes_back_after_its_broker(broker: BrokerProcess, district: DistrictHere) -> None:
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)

    async def connected() -> bool:
        return bool((await district.get("/boxes"))["connected"])

    await until(connected)
    await asyncio.to_thread(say, broker.port, [(PREFIX + "records", message(1, 3))])
    await until(lambda: stands_at(district, (1, 3)))


async def test_an_alarm_may_be_answered_by_itself(tmp_path: Path, broker: BrokerProcess) -> None:
    district = await asyncio.to_thread(DistrictChild, tmp_path, broker.port, "--auto-coming", "0.2")
    await asyncio.to_thread(say, broker.port, [(PREFIX + "alarm", encode(make_record(4, "panic.pressed")))] * 2)

    async def coming() -> bool:
        return [(a["stage"], a["by"], a["copies"]) for a in await district.alarms()] == [("coming", "auto", 2)]

    await until(coming)
    await district.close()


async def test_the_page_and_its_mistakes(district: DistrictHere) -> None:
    page = await district.http.get(district.url + "/")
    assert page.status_code == 200
    assert "区平台接收端" in page.text
    assert "District receiver" in page.text
    for path in ("/records?box=x", "/records", "/records?box=a/b&since=x", "/records?box=a/b&limit=0"):
        answer = await district.http.get(district.url + path)
        assert (answer.status_code, "error" in answer.json()) == (400, True)
    good = {"box": f"{SITE}/{BOX}", "epoch": 1, "seq": 1, "stage": "coming"}
    for wrong in (good | {"stage": "home"}, good | {"seq": "x"}, good | {"box": "x"}, {}):
        answer = await district.http.post(district.url + "/stage", content=json.dumps(wrong))
        assert answer.status_code == 400
    assert await district.post("/stage", good) == {"changed": False}


def test_a_broker_that_is_not_there_yet_is_no_reason_to_give_up(tmp_path: Path) -> None:
    child = Child(
        "-m", "sim.district", "--broker", "127.0.0.1:9", "--db", str(tmp_path / "d.db"), "--http", "0", ready_line=True
    )
    assert child.ready["connected"] is False
    child.end(signal.SIGINT)
