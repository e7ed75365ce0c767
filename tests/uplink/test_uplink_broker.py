"""Brokers that die, freeze, refuse and come back; the last will; TLS; and the other broker."""

from __future__ import annotations

import asyncio
import re
import signal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos_link import link_to
from uplink_certs import Authority
from uplink_rig import (
    BOX,
    SITE,
    Child,
    DistrictChild,
    DistrictHere,
    FakeControl,
    Running,
    UplinkChild,
    make_site,
    now_ms,
    until,
)

from agent.uplink.mqtt import BrokerLost, Connection, Settings
from agent.uplink.role import Uplink
from hardware.site import Site
from sim.broker import BrokerProcess, Tls, start_broker
from sim.ports import free_port

SEEDS = (1, 2, 3, 4, 5)


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed(
    seed: int,
    site: Site,
    broker: BrokerProcess,
    control: FakeControl,
    district: DistrictHere,
    running: Running,
    impatient: None,
) -> None:
    """kill -9 in the middle of the stream, twice, with an alarm pressed while it is away."""
    random = Random(seed)
    print(f"seed {seed}")
    total = 12_000
    control.journal.add(total - 1000, at_ms=now_ms() - 3_600_000)
    async with running(site) as uplink:
        for _ in range(2):
            here = uplink._records.outbox.cursor[1]
            target = min(total - 1, here + random.randrange(1, 5000))
            control.add(random.randrange(1, 300))
            await until(partial(has_come_to, uplink, min(target, control.journal.next - 1)))
            await asyncio.to_thread(broker.kill)
            (press,) = control.add(["panic.pressed"])
            control.alarm(press)
            await asyncio.to_thread(broker.start)
            await until(partial(is_received, control, press.ref))
        await until(lambda: control.synced == control.journal.head)
    kept = await district.records()
    assert [(r["epoch"], r["seq"]) for r in kept] == sorted(control.journal.bodies), "the same set, in order, once"
    box = await district.box()
    assert (box["conflicts"], box["garbage"], box["gap"], box["holes"]) == (0, 0, None, [])
    assert len(await district.alarms()) == 2


@pytest.mark.parametrize("seed", SEEDS[:2])
async def test_nothing_is_lost_or_doubled_when_district_and_uplink_are_killed(
    seed: int, site: Site, control: FakeControl, district_process: DistrictChild, impatient: None
) -> None:
    district = district_process
    random = Random(seed)
    print(f"seed {seed}")
    control.journal.add(10_000)
    child = await asyncio.to_thread(UplinkChild, site)
    for _ in range(2):
        control.add(random.randrange(1, 2000))
        before = await district.position()
        await until(partial(moved_past, district, before))
        victims: list[UplinkChild | DistrictChild] = [child, district]
        for victim in random.sample(victims, 2):
            await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(child.start)
        await asyncio.to_thread(district.restart)
    await until(lambda: control.synced == control.journal.head)
    kept = await district.records()
    assert [(r["epoch"], r["seq"]) for r in kept] == sorted(control.journal.bodies)
    assert (await district.box())["conflicts"] == 0
    await asyncio.to_thread(child.kill)


def has_come_to(uplink: Uplink, seq: int) -> bool:
    return uplink._records.outbox.cursor[1] >= seq


def is_received(control: FakeControl, ref: tuple[int, int]) -> bool:
    return "received" in control.stages(ref)


async def moved_past(district: DistrictChild, before: tuple[int, int]) -> bool:
    return await district.position() > before


async def test_the_embedded_broker_does_as_well(
    tmp_path: Path, control: FakeControl, running: Running, impatient: None
) -> None:
    broker = await asyncio.to_thread(start_broker, tmp_path / "broker", kind="iotcore")
    district = await asyncio.to_thread(DistrictChild, tmp_path, broker.port)
    control.journal.add(5000)
    async with running(make_site(tmp_path, broker.port)):
        await until(lambda: control.synced == (1, 5000))
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        await asyncio.to_thread(broker.kill)
        control.add(100)
        await asyncio.to_thread(broker.start)
        await until(lambda: control.synced == (1, 5101))
    assert len(await district.records()) == 5101
    await district.close()
    broker.stop()


async def test_the_last_will_speaks_for_a_box_that_died(
    site: Site, control: FakeControl, district: DistrictHere
) -> None:
    child = await asyncio.to_thread(UplinkChild, site)

    async def online() -> bool | None:
        box = await district.box()
        return box["online"] if box else None

    await until(online)
    await asyncio.to_thread(child.kill)

    async def offline() -> bool:
        return await online() is False

    await until(offline)


# ── connections ────────────────────────────────────────────────────────────────────────────────────────────────────


def settings(port: int, **more: Any) -> Settings:
    base: dict[str, object] = {
        "host": "127.0.0.1",
        "port": port,
        "client_id": "menwei.a.b",
        "will_topic": "w",
        "will": b"",
    }
    return Settings(**(base | more))  # type: ignore[arg-type]


def ignore(topic: str, payload: bytes, retained: bool) -> None:
    """Take a message and do nothing."""


async def test_nobody_at_the_port_is_said_in_field_words() -> None:
    port = free_port()
    with pytest.raises(BrokerLost, match=f"nobody listens at 127.0.0.1:{port}"):
        await Connection.open(settings(port), ignore)


async def test_an_unknown_name_is_said_in_field_words() -> None:
    with pytest.raises(BrokerLost, match=r"name broker\.invalid cannot"):
        await Connection.open(settings(1883, host="broker.invalid"), ignore)


async def test_somebody_who_is_no_broker_does_not_hold_us_up() -> None:
    """A server that accepts and stays silent, and one that talks nonsense."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
        writer.close()

    for handler in (silent, nonsense):
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BrokerLost):
            await Connection.open(settings(port, connect_s=0.3), ignore)
        server.close()


async def test_an_error_while_taking_a_message_ends_the_connection_loudly(broker: BrokerProcess) -> None:
    """Not silently, as a dead network thread would: `lost` tells, and a new connection can be made."""

    def fail(topic: str, payload: bytes, retained: bool) -> None:
        raise RuntimeError("a bug in a lane")

    connection = await Connection.open(settings(broker.port), fail)
    await connection.subscribe(["t"])
    connection.publish("t", b"x")
    why = await asyncio.wait_for(connection.lost, 60)
    assert "a bug in a lane" in why
    with pytest.raises(BrokerLost):
        connection.publish("t", b"x")


async def test_a_link_that_dies_without_a_word_is_noticed(broker: BrokerProcess) -> None:
    async with link_to(broker.port) as link:
        busy = await Connection.open(settings(link.port, ack_s=0.5), ignore)
        idle = await Connection.open(settings(link.port, keepalive_s=1, client_id="menwei.a.c"), ignore)
        link.open.clear()
        sent = busy.publish("t", b"x")
        assert "not acknowledged" in await asyncio.wait_for(busy.lost, 60)
        with pytest.raises(BrokerLost):
            await sent
        await asyncio.wait_for(idle.lost, 60)


async def test_an_alarm_finds_room_on_a_slow_link(
    tmp_path: Path, broker: BrokerProcess, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """A link of 32 kB/s with a backlog of 6 MB on it: the window has learned to leave room. Three seconds' worth of
    bytes go before its receipt at the most, whatever the machine's own pace."""
    control.journal.add(20_000)
    async with link_to(broker.port) as link:
        link.rate = 32_000.0
        async with running(make_site(tmp_path, link.port)) as uplink:
            await until(lambda: uplink._records.outbox.budget <= 16_384, what="the budget shrinks")
            (press,) = control.journal.add(["panic.pressed"])
            before = link.carried
            control.alarm(press)
            await until(lambda: "received" in control.stages(press.ref))
            carried = link.carried - before
            assert uplink._records.outbox.cursor < (1, 20_000)
            assert carried < 3.0 * link.rate, f"{carried} bytes"
            link.rate = 0.0
            print(f"alarm received after {carried} bytes")


async def test_a_broker_with_a_small_receive_maximum_is_respected(broker: BrokerProcess) -> None:
    connection = await Connection.open(settings(broker.port), ignore)
    connection.receive_maximum = 2
    futures = [connection.publish("t", b"x") for _ in range(50)]
    assert len(connection._acks) <= 2
    await asyncio.wait_for(asyncio.gather(*futures), 60)
    await connection.close()


# ── TLS; what the documented broker does is in test_uplink_tls.py ────────────────────────────────────────────────


async def test_wrong_certificates_are_said_in_field_words(
    tmp_path: Path, control: FakeControl, running: Running
) -> None:
    ca, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "Other CA")
    pair, box, stranger = ca.issue("broker"), ca.issue(f"{SITE}.{BOX}"), other.issue(f"{SITE}.{BOX}")
    broker = await asyncio.to_thread(
        start_broker, tmp_path / "broker", tls=Tls(ca.cert, pair.cert, pair.key), kind="mosquitto"
    )
    good = {"ca_file": str(ca.cert), "cert_file": str(box.cert), "key_file": str(box.key)}
    theirs = {"cert_file": str(stranger.cert), "key_file": str(stranger.key)}
    wrong: dict[str, dict[str, Any]] = {
        "is not trusted": {"ca_file": str(other.cert)},
        r"cannot read .*missing\.crt": {"cert_file": "missing.crt"},
        "are not a certificate and its key": {"key_file": str(stranger.key)},
        "does it know this box's certificate": theirs,
        "does it want TLS": {"tls": False},
    }
    for words, change in wrong.items():
        control.asked.clear()
        async with running(make_site(tmp_path, broker.port, **({"tls": True} | good | change))):
            (why, *_) = await until(lambda: [m["why"] for m in control.asked if m["op"] == "path"])
        print(why)
        assert re.search(words, why)
    broker.stop()


def test_the_broker_command_prints_where_it_listens(tmp_path: Path) -> None:
    port = free_port()
    child = Child("-m", "sim.broker", "--port", str(port), "--dir", str(tmp_path / "b"), ready_line=True)
    assert child.ready["port"] == port
    child.end(signal.SIGTERM)
