"""Everything between box and district fails, again and again, in an order drawn from a seed: in the end the district
has what the box has, in order, once.

Real parts: the uplink as a process, mosquitto, the district as a process with its own database, TCP between them.
Safety first, with faults; then liveness: the faults stop, and everything must arrive within a minute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from chaos_link import Link, link_to
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uplink_rig import PREFIX, DistrictChild, FakeControl, UplinkChild, make_site, now_ms, until

from sim.broker import BrokerProcess

RECEIPT = PREFIX + "receipt"
ALARMS_SHOWN = 200  # as many does the district's page list
RECOVERY_S = 60.0  # liveness: the design's own bound
PROGRESS_S = 30.0  # between two faults something must arrive


class Meddler:
    """Somebody at the broker who repeats the district's receipts, and invents some."""

    def __init__(self, port: int) -> None:
        self.heard: list[dict[str, int]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(RECEIPT, 1)
        self._client.on_message = self._hear
        self._client.suppress_exceptions = True
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _hear(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        word = json.loads(message.payload)
        if word not in self.heard:
            self.heard.append(word)

    def say(self, epoch: int, seq: int) -> None:
        self._client.publish(RECEIPT, json.dumps({"epoch": epoch, "seq": seq}), qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Chaos:
    """The whole way, and what goes wrong on it. Each fault begins in the middle of the stream and ends by itself."""

    def __init__(
        self, dice: Random, each: int, control: FakeControl, broker: BrokerProcess, link: Link, district: DistrictChild,
        uplink: UplinkChild, meddler: Meddler,
    ) -> None:  # fmt: skip
        self.dice, self.each, self.control, self.broker, self.link = dice, each, control, broker, link
        self.district, self.uplink, self.meddler = district, uplink, meddler
        self.told: list[str] = []
        self.open: list[tuple[int, int]] = []  # presses not received yet: what control tells an uplink that starts anew
        self.faults: list[Callable[[], Awaitable[None]]] = [
            *(self.broker_dies, self.broker_forgets, self.link_is_cut, self.link_hangs, self.link_hangs_and_is_cut),
            *(self.bytes_come_one_by_one, self.uplink_dies, self.district_dies, self.both_ends_die),
            *(self.receipts_come_again, self.receipts_come_from_nowhere, self.control_restarts, self.an_epoch_begins),
        ]

    async def one(self, fault: Callable[[], Awaitable[None]]) -> None:
        self.told.append(fault.__name__)
        self.control.add(self.each, at_ms=now_ms() - 3_600_000)
        self.more()
        await fault()

    def more(self) -> None:
        """The gate goes on meanwhile, and sometimes somebody presses the button."""
        self.control.add(self.dice.randrange(1, 200))
        if self.dice.random() < 0.3:
            (press,) = self.control.add(["panic.pressed"])
            self.open.append(press.ref)
            self.open = [ref for ref in self.open if "received" not in self.control.stages(ref)]
            self.control.open_alarms = [{"ref": list(ref), "button": "gatehouse", "stages": {}} for ref in self.open]
            self.control.alarm(press)

    async def progress(self) -> None:
        """Until the district has something it did not have."""
        before = await self.district.position()
        self.more()

        async def moved() -> bool:
            return await self.district.position() > before

        await until(moved, PROGRESS_S, f"progress after {self.told}")

    async def broker_dies(self) -> None:
        await asyncio.to_thread(self.broker.kill)
        self.more()
        await asyncio.to_thread(self.broker.start)

    async def broker_forgets(self) -> None:
        """kill -9, and what it kept of sessions, retained messages and queues is gone too."""
        await asyncio.to_thread(self.broker.kill)
        for kept in self.broker.folder.glob("mosquitto.db*"):
            kept.unlink()
        await asyncio.to_thread(self.broker.start)

    async def link_is_cut(self) -> None:
        for _ in range(self.dice.randrange(1, 4)):
            await until(lambda: self.link.up, PROGRESS_S, "there is a link to cut")
            self.link.cut()
            await self.come_back()

    async def come_back(self) -> None:
        """Until the box gives its link up and tries anew."""
        served = self.link.served
        await until(lambda: self.link.served > served, PROGRESS_S, f"a new connection after {self.told}")

    async def link_hangs(self) -> None:
        """Half-open for a while, then everything that was on its way arrives, late."""
        self.link.open.clear()
        self.more()
        await asyncio.sleep(self.dice.uniform(0.05, 0.5))
        self.link.open.set()

    async def link_hangs_and_is_cut(self) -> None:
        """Half-open until the box itself gives the link up, then what was on its way is lost."""
        self.link.open.clear()
        self.more()
        await self.come_back()
        self.link.cut()
        self.link.open.set()

    async def bytes_come_one_by_one(self) -> None:
        self.link.drip = True
        try:
            await self.progress()
        finally:
            self.link.drip = False

    async def uplink_dies(self) -> None:
        await asyncio.to_thread(self.uplink.kill)
        self.more()
        await asyncio.to_thread(self.uplink.start)

    async def district_dies(self) -> None:
        await asyncio.to_thread(self.district.kill)
        self.more()
        await asyncio.to_thread(self.district.restart)

    async def both_ends_die(self) -> None:
        await asyncio.to_thread(self.uplink.kill)
        await self.district_dies()
        await asyncio.to_thread(self.uplink.start)

    async def control_restarts(self) -> None:
        await self.control.stop()
        self.control.journal.add(self.dice.randrange(1, 50))
        await self.control.start()

    async def an_epoch_begins(self) -> None:
        """As after a damaged file: numbers go on, in a tree of its own."""
        self.control.journal.epoch += 1
        self.more()

    async def receipts_come_again(self) -> None:
        """Late, doubled, out of order: any of those that were once said."""
        for word in self.dice.sample(self.meddler.heard, min(20, len(self.meddler.heard))):
            for _ in range(self.dice.randrange(1, 3)):
                self.meddler.say(word["epoch"], word["seq"])

    async def receipts_come_from_nowhere(self) -> None:
        """Beyond what was sent and written, of other epochs, of nothing."""
        epoch, head = self.control.journal.head
        for _ in range(10):
            self.meddler.say(self.dice.choice((0, epoch, epoch + 1, 99)), self.dice.choice((0, head + 100_000, 10**15)))
        self.meddler.say(epoch, head + self.dice.randrange(1_000, 50_000))


async def survive(
    seed: int, records: int, rounds: int, folder: Path, control: FakeControl, broker: BrokerProcess, bug: str = ""
) -> list[str]:
    """Some `records` in all, a share of them waiting whenever a fault begins; every kind of fault comes
    once before any comes again. Returns what was done."""
    dice = Random(seed)
    district = await asyncio.to_thread(DistrictChild, folder, broker.port)
    meddler = Meddler(broker.port)
    async with link_to(broker.port) as link:
        uplink = await asyncio.to_thread(UplinkChild, make_site(folder, link.port), 2.0, bug)
        chaos = Chaos(dice, records // rounds, control, broker, link, district, uplink, meddler)
        try:
            order = dice.sample(chaos.faults, len(chaos.faults))
            for number in range(rounds):
                await chaos.progress()
                await chaos.one(order[number] if number < len(order) else dice.choice(chaos.faults))
            meddler.close()
            chaos.more()
            await until(lambda: control.synced == control.journal.head, RECOVERY_S, f"all of it after {chaos.told}")
            await until(lambda: all_received(control, chaos.open), RECOVERY_S, f"every alarm after {chaos.told}")
            await judge(control, district)
        finally:
            await asyncio.to_thread(uplink.kill)
            await district.close()
    return chaos.told


def all_received(control: FakeControl, refs: list[tuple[int, int]]) -> bool:
    return all("received" in control.stages(ref) for ref in refs)


async def judge(control: FakeControl, district: DistrictChild) -> None:
    """The same set, in order, once, byte for byte; nothing contradicted, nothing missing, every press heard."""
    bodies = control.journal.bodies
    expected = iter(sorted(bodies))
    async for page in pages(district):
        for kept in page:
            ref = (kept["epoch"], kept["seq"])
            assert ref == next(expected, None)
            assert json.dumps(kept["record"], sort_keys=True, separators=(",", ":")).encode() == bodies[ref]
    assert next(expected, None) is None, "the district has all of it"
    box = await district.box()
    assert (box["conflicts"], box["garbage"], box["gap"], box["holes"]) == (0, 0, None, [])
    pressed = [ref for ref, body in bodies.items() if b'"kind":"panic.pressed"' in body]
    heard = {(alarm["epoch"], alarm["seq"]) for alarm in await district.alarms()}
    assert heard <= set(pressed) and len(heard) == min(ALARMS_SHOWN, len(pressed))
    assert all("received" in control.stages(ref) for ref in pressed)


async def pages(district: DistrictChild) -> AsyncIterator[list[dict[str, Any]]]:
    """The district's records, a page at a time."""
    since = 0
    while page := (await district.get("/records", box="test-school/gate-1", since=since, limit=10_000))["records"]:
        yield page
        since = page[-1]["seq"]


@pytest.mark.timeout(300)
async def test_ten_thousand_records_survive_every_fault(
    tmp_path: Path, control: FakeControl, broker: BrokerProcess, seed: int
) -> None:
    told = await survive(seed, 10_000, 13, tmp_path, control, broker)
    assert len(set(told)) == 13, "every kind of fault came"


# The broker's acknowledgement taken for the district's word.
TRUSTS_THE_BROKER = """
from agent.uplink.records import RecordLane
taken = RecordLane._taken
def trusting(lane, batch, done):
    taken(lane, batch, done)
    if not done.cancelled() and done.exception() is None:
        lane.receipt(b'{"epoch":%d,"seq":%d}' % batch.last_ref)
RecordLane._taken = trusting
"""


async def test_the_harness_bites(
    tmp_path: Path, control: FakeControl, broker: BrokerProcess, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("test_sync_chaos.PROGRESS_S", 5.0)
    monkeypatch.setattr("test_sync_chaos.RECOVERY_S", 5.0)
    with pytest.raises(AssertionError):
        await survive(seed, 10_000, 12, tmp_path, control, broker, TRUSTS_THE_BROKER)


@pytest.mark.torture
@pytest.mark.timeout(7200)
async def test_a_million_records_survive_three_hundred_faults(
    tmp_path: Path, control: FakeControl, broker: BrokerProcess, seed: int
) -> None:
    await survive(seed, 1_000_000, 300, tmp_path, control, broker)
