"""An alarm is heard: ahead of any backlog, through every restart, and "received" only on the far side's word."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import virtual_time
from uplink_ear import Ear
from uplink_rig import (
    BOX,
    PREFIX,
    SITE,
    DistrictChild,
    DistrictHere,
    FakeControl,
    Running,
    UplinkChild,
    connected,
    make_record,
    make_site,
    now_ms,
    until,
)

from agent.core.records import encode
from agent.core.words import Stage
from agent.uplink.alarms import OWED_S, TURN_S, AlarmLane
from agent.uplink.mqtt import EXPIRY_S, NOBODY_LISTENS
from agent.uplink.outbox import WINDOW
from agent.uplink.role import Uplink
from hardware.site import Site
from sim.broker import BrokerProcess, start_broker
from sim.ports import free_port


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
        await until(lambda: control.stages(press.ref), what="the broker's own word is told")
        assert control.stages(press.ref) == ["sent"], "the broker has it: sent, not confirmed"
        ear.say("alarm/receipt", {"epoch": 1, "seq": press.seq, "by": "x", "stage": "received"})
        await until(lambda: control.stages(press.ref) == ["sent", "received"])
        (forced,) = control.add(["door.forced"])
        control.alarm(forced)
        await until(lambda: ear.of("alarm").count(control.journal.bodies[forced.ref]) >= 3)
        after = ear.of("alarm")[ear.of("alarm").index(control.journal.bodies[forced.ref]) :]
        assert control.journal.bodies[press.ref] not in after, "and then no more"


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


async def test_stages_wait_for_a_control_that_is_away(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    async with running(site):
        await connected(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        control.mute = True
        await until(district.alarms)
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

    def given_up(self, path: str, count: int) -> None: ...


Scene = Callable[[AlarmLane, DeafBroker], Awaitable[None]]


def played(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """In virtual time, with a lane that would not send again by itself while the scene runs."""
    monkeypatch.setattr("agent.uplink.alarms.UNHEARD_S", 600.0)
    monkeypatch.setattr("agent.uplink.alarms.RESEND_S", 600.0)

    async def main() -> None:
        lane, broker = AlarmLane("alarm", Silent()), DeafBroker()
        task = asyncio.create_task(lane.run(broker))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await scene(lane, broker)
        task.cancel()

    virtual_time.run(main())


async def press(lane: AlarmLane, seq: int) -> None:
    lane.add(encode(make_record(seq, "panic.pressed")))
    await asyncio.sleep(0)


def test_what_nobody_heard_goes_out_again_before_a_younger_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A far side that keeps a stream has no place for an older alarm behind a younger one."""

    async def scene(lane: AlarmLane, broker: DeafBroker) -> None:
        await press(lane, 1)
        broker.heard = True
        for seq in (2, 3):
            await press(lane, seq)
        assert broker.sent == [1, 1, 2, 3]

    played(scene, monkeypatch)


def test_a_far_side_that_missed_something_gets_the_alarms_it_has_not_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(lane: AlarmLane, broker: DeafBroker) -> None:
        broker.heard = True
        for seq in (1, 2):
            await press(lane, seq)
        lane.receipt(b'{"epoch":1,"seq":1,"by":"x","stage":"received"}')
        lane.again()
        assert broker.sent == [1, 2], "it has not had time to confirm"
        await asyncio.sleep(OWED_S + TURN_S)
        assert broker.sent == [1, 2, 2], "it has had by now"

    played(scene, monkeypatch)
