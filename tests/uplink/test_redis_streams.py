"""The journal and the alarms as Redis streams: one suite for fakeredis and for the real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis_rig import ALARMS, KEY, FakeServer, Far, RealServer, redis_site
from uplink_rig import FakeControl, Running, make_record, now_ms, until

from agent.core.records import encode
from agent.uplink.redis.records import RecordStream
from agent.uplink.role import Uplink
from hardware.site import Site


@pytest.fixture
def site(tmp_path: Path, server: FakeServer | RealServer) -> Site:
    return redis_site(tmp_path, server.port, durable=True)


@pytest.fixture(autouse=True)
def impatient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.uplink.redis.records.PROBE_S", 0.3)
    monkeypatch.setattr("agent.uplink.redis.alarms.PROBE_S", 0.3)
    monkeypatch.setattr("agent.uplink.redis.alarms.AGAIN_S", 0.2)
    monkeypatch.setattr("agent.uplink.backoff.LAST_S", 0.5)


async def all_synced(control: FakeControl) -> None:
    await until(lambda: control.synced == control.journal.head, what="all is on the far side")


def last_path(control: FakeControl) -> tuple[bool, str]:
    told = [(m["up"], m["why"]) for m in control.asked if m["op"] == "path" and m["path"] == "redis"]
    return told[-1] if told else (False, "")


async def test_every_record_stands_in_the_stream_as_the_journal_has_it(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(3000)
    async with running(site):
        await all_synced(control)
        control.add(5)
        await all_synced(control)
        await until(lambda: last_path(control) == (True, ""))
    assert far.entries() == sorted(control.journal.bodies.items())


async def test_an_alarm_goes_to_its_own_stream_and_in_its_order_to_the_records(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(10)
    async with running(site):
        await all_synced(control)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        await all_synced(control)
    assert control.stages(press.ref) == ["sent", "received"]
    assert far.entries(ALARMS) == [(press.ref, encode(press))]
    assert far.refs() == sorted(control.journal.bodies)


async def test_an_old_alarm_that_nobody_has_goes_to_the_alarms_too_and_only_once(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    """Told while this role was not there, hours ago."""
    (press,) = control.journal.add(["panic.pressed"], at_ms=now_ms() - 2 * 3_600_000)
    for _ in range(2):
        async with running(site):
            await until(lambda: far.client.exists(ALARMS))
            control.add(1)
            await all_synced(control)
        assert far.refs(ALARMS) == [press.ref]
    assert control.stages(press.ref).count("received") == 1


async def test_an_alarm_overtakes_a_backlog(site: Site, control: FakeControl, far: Far, running: Running) -> None:
    control.journal.add(20_000, at_ms=now_ms() - 3_600_000)
    async with running(site):
        await until(lambda: far.client.xlen(KEY) > 0)
        await until(lambda: control.subscribed)
        press = make_record(20_001, "panic.pressed")
        control.alarm(press)
        await until(lambda: far.client.exists(ALARMS))
        assert far.client.xlen(KEY) < 20_000


async def test_a_lost_cursor_costs_a_comparison_and_nothing_twice(
    tmp_path: Path, site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(1000)
    async with running(site):
        await all_synced(control)
    (tmp_path / "state/uplink/redis-cursor.json").unlink()
    control.asked.clear()
    async with running(site) as uplink:
        control.add(10)
        await all_synced(control)
        assert stream_of(uplink).duplicates == 1000
    assert far.refs() == sorted(control.journal.bodies)


async def test_another_body_under_our_id_is_told_and_never_overwritten(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(5)
    for ref, body in sorted(control.journal.bodies.items()):
        far.put(ref, body if ref != (1, 3) else b'{"forged":true}')
    before = far.entries()
    async with running(site):
        await until(lambda: "another record at 1-3" in last_path(control)[1])
    assert far.entries() == before
    assert control.synced <= (1, 2)


async def test_a_forged_end_is_seen_although_the_cursor_stands_there(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(5)
    async with running(site):
        await all_synced(control)
    far.client.delete(KEY)
    far.put((1, 5), b'{"forged":true}')
    async with running(site):
        await until(lambda: "another record at 1-5" in last_path(control)[1])


async def test_a_record_missing_below_the_streams_end_is_a_gap_and_no_receipt(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(5)
    for ref, body in sorted(control.journal.bodies.items()):
        if ref != (1, 3):
            far.put(ref, body)
    async with running(site):
        await until(lambda: "gap: 1-3" in last_path(control)[1])
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref), what="alarms go on beside a gap")
    assert control.synced <= (1, 2)
    assert (1, 6) not in far.refs(), "nothing is put behind a gap"


async def test_a_server_that_forgot_everything_gets_it_again(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(500)
    async with running(site) as uplink:
        await all_synced(control)
        far.client.delete(KEY)
        control.add(20)
        await all_synced(control)
        await until(lambda: far.client.exists(KEY) and far.refs() == sorted(control.journal.bodies))
        assert stream_of(uplink).forgotten == 1


async def test_a_server_that_forgot_is_seen_without_news(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(50)
    async with running(site):
        await all_synced(control)
        far.client.delete(KEY)
        await until(lambda: far.client.exists(KEY) and far.refs() == sorted(control.journal.bodies))


async def test_a_server_with_records_nobody_here_wrote_is_told_to_control(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    control.journal.add(5)
    for ref, body in sorted(control.journal.bodies.items()):
        far.put(ref, body)
    far.put((1, 6), b"{}")
    async with running(site):
        await until(lambda: [m for m in control.asked if m["op"] == "ahead" and m["seq"] == 6])
        await until(lambda: "never written" in last_path(control)[1])
        control.journal.epoch = 2
        control.add(3)
        await all_synced(control)
    assert far.refs()[-4:] == [(1, 6), (2, 6), (2, 7), (2, 8)]


async def test_emptied_records_are_left_out(site: Site, control: FakeControl, far: Far, running: Running) -> None:
    control.journal.add(100)
    control.journal.evict([*range(1, 21), *range(50, 61), 99, 100])
    async with running(site):
        await until(lambda: control.synced == (1, 98))
        control.add(2)
        await all_synced(control)
    gone = {*range(1, 21), *range(50, 61), 99, 100}
    assert far.refs() == [ref for ref in sorted(control.journal.bodies) if ref[1] not in gone]


async def test_an_alarm_behind_a_younger_one_counts_once_the_records_have_it(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    (older,) = control.journal.add(["box.tamper"])
    far.put((1, 2), b"{}", ALARMS)
    async with running(site):
        await until(lambda: control.subscribed)
        control.alarm(older)
        await until(lambda: "received" in control.stages(older.ref))
    assert far.refs(ALARMS) == [(1, 2)]
    assert far.refs() == [older.ref]


async def test_another_alarm_under_our_id_is_no_receipt(
    site: Site, control: FakeControl, far: Far, running: Running
) -> None:
    far.put((1, 7), b"{}", ALARMS)
    async with running(site):
        await until(lambda: control.subscribed)
        control.alarm(make_record(7, "panic.pressed"))
        await until(lambda: "another alarm at 1-7" in last_path(control)[1])
    assert control.stages((1, 7)) == []


def stream_of(uplink: Uplink) -> RecordStream:
    assert uplink._redis is not None
    return uplink._redis.records
