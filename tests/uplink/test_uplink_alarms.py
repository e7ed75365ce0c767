"""An alarm is heard: ahead of any backlog, through every restart, and "received" only on the far side's word."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uplink_rig import (
    BOX,
    PREFIX,
    SITE,
    DistrictChild,
    DistrictHere,
    FakeControl,
    Running,
    UplinkChild,
    make_record,
    make_site,
    now_ms,
    until,
)

from agent.core.records import encode
from agent.core.words import Stage
from agent.uplink.alarms import AlarmLane
from agent.uplink.commands import MOST_WAITING
from agent.uplink.mqtt import EXPIRY_S, NOBODY_LISTENS
from agent.uplink.outbox import WINDOW
from agent.uplink.role import Uplink
from hardware.site import Site
from sim.broker import BrokerProcess, free_port, start_broker


class Ear:
    """A bare MQTT client: hears what a box says, and says whatever a test wants a far side to say."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[float, str, bytes]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._also: Callable[[mqtt.MQTTMessage], object] = lambda message: None
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(PREFIX + "#", qos=1)

    def _hear(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append((time.monotonic(), message.topic, bytes(message.payload)))
        self._also(message)

    def on_each(self, also: Callable[[mqtt.MQTTMessage], object]) -> None:
        self._also = also

    def say(self, topic: str, payload: bytes | dict[str, object], *, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._client.publish(PREFIX + topic, data, qos=1, retain=retain)

    def of(self, topic: str) -> list[bytes]:
        return [payload for _, where, payload in self.heard if where == PREFIX + topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def ear(broker: BrokerProcess) -> pytest.FixtureRequest:  # type: ignore[misc]
    listener = Ear(broker.port)
    yield listener
    listener.close()


async def connected(control: FakeControl) -> None:
    await until(lambda: control.paths() and control.paths()[-1], what="the path is up")


async def test_an_alarm_goes_through_its_stages(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    control.journal.add(10)
    async with running(site):
        await connected(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        (alarm,) = await district.alarms()
        assert (alarm["epoch"], alarm["seq"], alarm["stage"], alarm["lane"]) == (*press.ref, "received", "live")
        assert alarm["record"]["kind"] == "panic.pressed"
        await district.post(
            "/stage", {"box": f"{SITE}/{BOX}", "epoch": 1, "seq": press.seq, "stage": "coming", "by": "officer 12"}
        )
        await until(lambda: "coming" in control.stages(press.ref))
        by = next(m["by"] for m in control.asked if m["op"] == "stage" and m["stage"] == "coming")
        assert by == "officer 12"
        stages = control.stages(press.ref)
        assert stages in (["sent", "received", "coming"], ["received", "coming"])
        await until(lambda: control.synced == press.ref, what="it also goes in its order in the records")


async def test_an_alarm_overtakes_a_backlog(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    control.journal.add(20_000, at_ms=now_ms() - 3_600_000)
    async with running(site) as uplink:
        await until(lambda: uplink._records.outbox.cursor > (1, 500), what="the drain is under way")
        (press,) = control.journal.add(["panic.pressed"])
        began = time.monotonic()
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        took, behind = time.monotonic() - began, uplink._records.outbox.cursor
        assert behind < (1, 20_000), f"the backlog was gone before the alarm was received ({took:.3f} s)"
        control.head()
        await until(lambda: control.synced == press.ref)
    print(f"alarm received after {took * 1000:.0f} ms with {20_000 - behind[1]} records still to go")


@pytest.mark.timeout(240)
async def test_no_more_than_two_windows_of_records_go_before_an_alarm(
    site: Site, control: FakeControl, ear: Ear, district: DistrictHere, running: Running
) -> None:
    """What bounds the wait of a live press behind 250 000 records is a number of messages, whatever the link's speed:
    one window that was on its way, and one that may have been sent while control's word was."""
    for _ in range(25):
        control.journal.add(10_000, at_ms=now_ms() - 3_600_000)
    before: list[int] = []
    async with running(site) as uplink:
        for _ in range(5):
            await until(partial(has_come_to, uplink, uplink._records.outbox.cursor[1] + 5_000))
            (press,) = control.journal.add(["panic.pressed"])
            done = uplink._records.outbox.cursor
            control.alarm(press)
            await until(partial(is_received, control, press.ref))
            before.append(messages_between(ear, done[1], press.seq))
            assert uplink._records.outbox.cursor < (1, 250_000), "it was still draining"
    print(f"messages before each of five alarms: {before}")
    assert max(before) <= 2 * WINDOW


def has_come_to(uplink: Uplink, seq: int) -> bool:
    return uplink._records.outbox.cursor[1] >= seq


def is_received(control: FakeControl, ref: tuple[int, int]) -> bool:
    return "received" in control.stages(ref)


def messages_between(ear: Ear, received: int, press: int) -> int:
    """Messages of records the broker passed on before the alarm that hold anything not received when it was told."""
    count = 0
    for _, topic, payload in list(ear.heard):
        if topic == PREFIX + "alarm" and json.loads(payload)["seq"] == press:
            return count
        if topic == PREFIX + "records":
            count += json.loads(payload)["records"][-1]["seq"] > received
    raise AssertionError("the alarm was never passed on")


async def test_what_is_not_retained_expires_at_the_broker(
    site: Site, broker: BrokerProcess, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """A broker that kept a live alarm for an hour would pass it on as live."""
    expiries: dict[str, int | None] = {}
    listener = Ear(broker.port)
    listener.on_each(lambda m: expiries.setdefault(m.topic, getattr(m.properties, "MessageExpiryInterval", None)))
    async with running(site):
        (press,) = control.add(["panic.pressed"])
        await until(lambda: control.subscribed)
        control.alarm(press)
        await until(lambda: {PREFIX + "alarm", PREFIX + "records", PREFIX + "state"} <= expiries.keys())
    listener.close()
    assert expiries[PREFIX + "alarm"] == expiries[PREFIX + "records"] == EXPIRY_S
    assert expiries[PREFIX + "state"] is None


async def test_an_alarm_pressed_with_the_broker_away_goes_out_on_connect(
    tmp_path: Path, control: FakeControl, running: Running, impatient: None
) -> None:
    port = free_port()
    async with running(make_site(tmp_path, port)):
        await until(lambda: control.paths() == [False])
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        broker = await asyncio.to_thread(start_broker, tmp_path / "broker", port, kind="mosquitto")
        district = await asyncio.to_thread(DistrictChild, tmp_path, port)
        await until(lambda: "received" in control.stages(press.ref))
        await district.close()
    broker.stop()


async def test_an_alarm_is_sent_again_until_it_is_received(
    site: Site, control: FakeControl, ear: Ear, running: Running, impatient: None
) -> None:
    async with running(site):
        await connected(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: len(ear.of("alarm")) >= 3, what="copies")
        assert len(set(ear.of("alarm"))) == 1
        assert ear.of("alarm")[0] == control.journal.bodies[press.ref]
        assert control.stages(press.ref) == ["sent"], "the broker has it: sent, not confirmed"
        ear.say("alarm/receipt", {"epoch": 1, "seq": press.seq, "by": "x", "stage": "received"})
        await until(lambda: control.stages(press.ref) == ["sent", "received"])
        copies = len(ear.of("alarm"))
        control.add(["door.forced"])
        control.alarm(make_record(2, "door.forced"))
        await until(lambda: len(set(ear.of("alarm"))) == 2)
        assert ear.of("alarm").count(control.journal.bodies[press.ref]) == copies, "and then no more"


async def test_words_about_alarms_that_cannot_be_right_change_nothing(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    async with running(site) as uplink:
        await connected(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: control.stages(press.ref) == ["sent"])
        good = {"epoch": 1, "seq": press.seq, "by": "x", "stage": "coming"}
        ear.say("alarm/receipt", good)
        await until(lambda: control.stages(press.ref) == ["sent", "coming"])
        before = uplink._alarms.ignored
        wrong: list[bytes | dict[str, object]] = [
            good,
            good | {"stage": "received"},
            good | {"stage": "sent"},
            good | {"stage": "home"},
            good | {"seq": 99},
            good | {"epoch": 2},
            {"seq": press.seq},
            b"\xff\xfe",
            b"[]",
            b"",
        ]
        for word in wrong:
            ear.say("alarm/receipt", word)
        await until(lambda: uplink._alarms.ignored == before + len(wrong))
        ear.say("alarm/receipt", good | {"stage": "arrived"})
        await until(lambda: control.stages(press.ref) == ["sent", "coming", "arrived"])


async def test_receipts_that_cannot_be_right_change_nothing(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    """Late, double, out of order, beyond what was sent, of another epoch, and plain garbage; then a good one."""
    control.journal.add(100)
    async with running(site) as uplink:
        await until(lambda: ear.of("records"))
        outbox = uplink._records.outbox
        ear.say("receipt", {"epoch": 1, "seq": 60})
        await until(lambda: outbox.cursor == (1, 60))
        before = outbox.ignored
        for epoch, seq in ((1, 60), (1, 10), (1, 101), (2, 70), (0, 70), (1, -1)):
            ear.say("receipt", {"epoch": epoch, "seq": seq})
        for garbage in (b"", b"null", b'{"epoch":1}', b'{"epoch":"1","seq":80}', b"\xff"):
            ear.say("receipt", garbage)
        await until(lambda: (outbox.ignored, uplink._records.nonsense) == (before + 6, 5))
        assert outbox.cursor == (1, 60)
        ear.say("receipt", {"epoch": 1, "seq": 100})
        await until(lambda: control.synced == (1, 100))


async def test_an_alarm_from_memory_is_sent_as_well(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """The disk fails: control tells it with durable false, and no journal holds it."""
    async with running(site):
        await connected(control)
        press = make_record(7, "panic.pressed")
        control.alarm(press, durable=False)
        await until(lambda: "received" in control.stages(press.ref))
    assert (await district.alarms())[0]["seq"] == 7
    assert control.synced == (0, 0)


async def test_a_restarted_uplink_finds_the_open_alarms_again(
    site: Site, control: FakeControl, district_process: DistrictChild, impatient: None
) -> None:
    """Killed before anything was received: one alarm is open in control's state, another only stands in the journal."""
    district = district_process
    control.journal.add(50)
    district.kill()
    child = await asyncio.to_thread(UplinkChild, site)
    await until(lambda: control.subscribed)
    press, forced = control.add(["panic.pressed", "door.forced"])
    control.open_alarms = [{"ref": list(press.ref), "button": "gatehouse", "stages": {}}]
    control.alarm(press)
    await asyncio.to_thread(child.kill)
    await asyncio.to_thread(district.restart)
    child.start()
    await until(lambda: "received" in control.stages(press.ref) and "received" in control.stages(forced.ref))
    assert {(a["epoch"], a["seq"]) for a in await district.alarms()} == {press.ref, forced.ref}
    await asyncio.to_thread(child.kill)


async def test_an_alarm_nobody_told_us_of_is_one_though_the_records_were_faster(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """Control restarted: its alarm was written before we listened, and stands in records that are received before we
    have looked for it. Received as a record is not yet raised as an alarm."""
    control.journal.add(20)
    (forced,) = control.journal.add(["door.forced"])
    control.journal.add(20)
    control.quick.clear()
    async with running(site) as uplink:
        await until(partial(has_come_to, uplink, control.journal.next - 1))
        assert control.stages(forced.ref) == [], "nobody has looked for it yet"
        control.quick.set()
        await until(partial(is_received, control, forced.ref))
    assert {(a["epoch"], a["seq"]) for a in await district.alarms()} == {forced.ref}


async def test_a_stage_missed_while_the_uplink_was_down_comes_on_reconnect(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    async with running(site):
        await connected(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
    control.open_alarms = [{"ref": list(press.ref), "button": "gatehouse", "stages": {"mqtt": "received"}}]
    await until(lambda: not control.subscribed)
    clicked = await district.post(
        "/stage", {"box": f"{SITE}/{BOX}", "epoch": press.epoch, "seq": press.seq, "stage": "arrived"}
    )
    assert clicked == {"changed": True}
    async with running(site):
        await until(lambda: "arrived" in control.stages(press.ref))


async def test_commands_are_carried_to_control_as_they_came(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    ear.say("command", b'{"old": true}', retain=True)
    await until(lambda: ear.of("command"))
    async with running(site):
        await connected(control)
        ear.say("command", b"\xff" * 9000)
        ear.say("command", b'{"id": "c-1"}')
        orders = await until(lambda: [m for m in control.asked if m["op"] == "order"][2:] and control.asked)
    told = [(m["order"][:9], len(m["order"]), m["retained"]) for m in orders if m["op"] == "order"]
    assert told == [('{"old": t', 13, True), ("\ufffd" * 9, 8192, False), ('{"id": "c', 13, False)]


async def test_a_command_waits_for_control_and_a_flood_is_dropped(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    async with running(site) as uplink:
        await connected(control)
        await control.stop()
        for number in range(MOST_WAITING + 8):
            ear.say("command", {"id": f"c-{number}"})
        await until(lambda: uplink._commands.dropped == 8)
        await control.start()
        await until(lambda: len([m for m in control.asked if m["op"] == "order"]) == MOST_WAITING)
        await until(lambda: len([m for m in control.asked if m["op"] == "note"]) == 8)
    assert {m["data"]["why"] for m in control.asked if m["op"] == "note"} == {"flood"}


async def test_a_policy_is_carried_to_control_in_pieces_once(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    bundle = bytes(range(256)) * 300
    async with running(site):
        await connected(control)
        ear.say("policy", bundle)
        ear.say("policy", bundle)
        await until(lambda: any(m["op"] == "policy" and m["last"] for m in control.asked))
        ear.say("policy", b"another")
        await until(lambda: sum(m["op"] == "policy" and m["last"] for m in control.asked) == 2)
    pieces = [m for m in control.asked if m["op"] == "policy"]
    first = [m for m in pieces if m["id"] == pieces[0]["id"]]
    assert b"".join(base64.b64decode(m["piece"]) for m in first) == bundle
    assert [m["number"] for m in first] == list(range(len(first))) and len(first) > 1
    assert {m["subject"] for m in pieces} == {"mqtt"}


async def test_what_the_far_side_kept_of_the_journal_is_brought_to_control(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    kept = b"menwei/a/b/1\n5\nAAAA\n\nsigned\n"
    ear.say("checkpoint", kept, retain=True)
    async with running(site):
        await connected(control)
        notes = await until(lambda: [m["note"] for m in control.asked if m["op"] == "anchor"])
    assert notes == [kept.decode()]


async def test_a_receipt_for_what_was_never_written_is_told_to_control(
    site: Site, control: FakeControl, ear: Ear, running: Running
) -> None:
    async with running(site):
        await connected(control)
        control.add(["door.opened"])
        ear.say("receipt", {"epoch": 1, "seq": 77})
        told = await until(lambda: [(m["epoch"], m["seq"]) for m in control.asked if m["op"] == "ahead"])
    assert told == [(1, 77)]


async def test_stages_wait_for_a_control_that_is_away(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    async with running(site):
        await connected(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        control.mute = True
        await asyncio.wait_for(until(district.alarms), 10)
        await control.stop()
        control.mute = False
        control.asked.clear()
        await control.start()
        await until(lambda: "received" in control.stages(press.ref))


async def test_an_alarm_that_nobody_heard_goes_out_again_soon(
    tmp_path: Path,
    broker: BrokerProcess,
    site: Site,
    control: FakeControl,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a restart of the broker a box may be back before the far side is."""
    monkeypatch.setattr("agent.uplink.alarms.RESEND_S", 600.0)
    async with running(site):
        await until(lambda: control.subscribed)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: any("alarms" in m.get("why", "") for m in control.asked), what="nobody listens")
        district = await asyncio.to_thread(DistrictHere, tmp_path, broker.port)
        await until(lambda: control.stages(press.ref) == ["sent", "received"])
    await district.close()


class DeafBroker:
    """A connection to a broker that passes alarms on to nobody until `heard`."""

    def __init__(self) -> None:
        self.heard = False
        self.sent: list[int] = []

    def publish(self, topic: str, payload: bytes, *, lane: str = "") -> asyncio.Future[int]:
        self.sent.append(json.loads(payload)["seq"])
        taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        taken.set_result(0 if self.heard else NOBODY_LISTENS)
        return taken


class Silent:
    """Nobody needs to be told."""

    def stage(self, path: str, ref: tuple[int, int], stage: Stage, by: str = "") -> None: ...

    def path(self, path: str, up: bool, why: str = "") -> None: ...


@pytest.fixture
async def lane(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[AlarmLane, DeafBroker]]:
    """A lane that would not send again by itself while the test runs."""
    monkeypatch.setattr("agent.uplink.alarms.UNHEARD_S", 600.0)
    monkeypatch.setattr("agent.uplink.alarms.RESEND_S", 600.0)
    made, broker = AlarmLane("alarm", Silent()), DeafBroker()
    task = asyncio.create_task(made.run(broker))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    yield made, broker
    task.cancel()


async def press(lane: AlarmLane, seq: int) -> None:
    lane.add(encode(make_record(seq, "panic.pressed")))
    await asyncio.sleep(0)


async def test_what_nobody_heard_goes_out_again_before_a_younger_alarm(lane: tuple[AlarmLane, DeafBroker]) -> None:
    """A far side that keeps a stream has no place for an older alarm behind a younger one."""
    alarms, broker = lane
    await press(alarms, 1)
    broker.heard = True
    for seq in (2, 3):
        await press(alarms, seq)
    assert broker.sent == [1, 1, 2, 3]


async def test_a_far_side_that_missed_something_gets_the_alarms_it_has_not_confirmed(
    lane: tuple[AlarmLane, DeafBroker],
) -> None:
    alarms, broker = lane
    broker.heard = True
    for seq in (1, 2):
        await press(alarms, seq)
    alarms.receipt(b'{"epoch":1,"seq":1,"by":"x","stage":"received"}')
    alarms.again()
    assert broker.sent == [1, 2], "it has not had time to confirm"
    await until(lambda: broker.sent == [1, 2, 2], what="it has had by now")
