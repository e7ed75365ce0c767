"""TLS with client certificates, against mosquitto as `docs/mosquitto` configures it: who may, and who may not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from uplink_certs import Authority
from uplink_rig import BOX, PREFIX, SITE, DistrictChild, FakeControl, Running, make_site, until

from agent.uplink.mqtt import BrokerLost, Connection, Settings, tls_context
from sim.broker import BrokerProcess, Tls, mosquitto_path, start_broker
from sim.ports import free_port

DOCS = Path(__file__).parents[2] / "docs" / "mosquitto"
OTHER = "gate-2"


def documented_broker(folder: Path, ca: Authority, in_flight: int = 20) -> BrokerProcess:
    """mosquitto with `docs/mosquitto/`: its paths and port replaced, the ACL's one block also for a second box."""
    folder.mkdir()
    port = free_port()
    pair = ca.issue("broker")
    text = (DOCS / "menwei.conf").read_text().replace("listener 8883", f"listener {port} 127.0.0.1")
    for name, path in (("ca.crt", ca.cert), ("broker.crt", pair.cert), ("broker.key", pair.key)):
        text = text.replace(f"/etc/mosquitto/menwei/{name}", str(path))
    acl = (DOCS / "acl").read_text().replace("dongfang-primary", SITE)
    box = re.search(rf"^user {SITE}\.gate-1\n.*?\n\n", acl, re.M | re.S)
    assert box is not None
    (folder / "acl").write_text(acl + "\n" + box[0].replace("gate-1", OTHER))
    text = text.replace("/etc/mosquitto/menwei/acl", str(folder / "acl")).replace("/var/lib/mosquitto/", f"{folder}/")
    assert "max_inflight_messages 20" in text
    text = text.replace("max_inflight_messages 20", f"max_inflight_messages {in_flight}")
    if os.geteuid() == 0:
        text += "\nuser root\n"
    (folder / "mosquitto.conf").write_text(text)
    program = mosquitto_path()
    assert program is not None
    process = BrokerProcess("mosquitto", [program, "-c", str(folder / "mosquitto.conf")], folder, "127.0.0.1", port)
    process.start()
    return process


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def guarded(tmp_path: Path, ca: Authority) -> Iterator[BrokerProcess]:
    process = documented_broker(tmp_path / "guarded", ca)
    yield process
    process.stop()


@pytest.fixture
async def receiver(tmp_path: Path, ca: Authority, guarded: BrokerProcess) -> AsyncIterator[DistrictChild]:
    pair = ca.issue("district")
    child = await asyncio.to_thread(
        DistrictChild, tmp_path, guarded.port, "--tls", str(ca.cert), str(pair.cert), str(pair.key)
    )
    yield child
    await child.close()


def shown(ca: Authority, name: str, signer: Authority | None = None, days: int = 1) -> dict[str, Any]:
    """The keys of a site's uplink that shows this certificate."""
    pair = (signer or ca).issue(name, days)
    return {"tls": True, "ca_file": str(ca.cert), "cert_file": str(pair.cert), "key_file": str(pair.key)}


async def test_a_box_with_its_certificate(
    tmp_path: Path,
    ca: Authority,
    guarded: BrokerProcess,
    receiver: DistrictChild,
    control: FakeControl,
    running: Running,
) -> None:
    control.journal.add(3000)
    async with running(make_site(tmp_path, guarded.port, **shown(ca, f"{SITE}.{BOX}"))):
        (press,) = control.add(["panic.pressed"])
        await until(lambda: control.subscribed)
        control.alarm(press)
        await until(lambda: control.synced == (1, 3001) and "received" in control.stages(press.ref))


async def test_another_boxs_certificate_speaks_and_hears_for_its_own_box_only(
    tmp_path: Path,
    ca: Authority,
    guarded: BrokerProcess,
    receiver: DistrictChild,
    control: FakeControl,
    running: Running,
) -> None:
    """Stolen from the next gate and put into this one: it can neither send as this box nor read what is for it."""
    control.journal.add(100)
    async with running(make_site(tmp_path, guarded.port, **shown(ca, f"{SITE}.{OTHER}"))):
        (press,) = control.add(["panic.pressed"])
        (why, *_) = await until(lambda: [m["why"] for m in control.asked if m["op"] == "path" and not m["up"]])
        assert "the broker refuses" in why
        assert control.synced == (0, 0) and control.stages(press.ref) == []
    assert await receiver.box() == {} and await receiver.alarms() == []


async def test_another_boxs_certificate_is_refused_at_every_topic_of_this_box(
    ca: Authority, guarded: BrokerProcess
) -> None:
    """Topic by topic, past our own uplink's manners: what it publishes is refused, and what it subscribes is silent."""
    heard: dict[str, list[str]] = {"own": [], "thief": [], "far": []}
    own = await joined(guarded.port, shown(ca, f"{SITE}.{BOX}"), "own", heard)
    thief = await joined(guarded.port, shown(ca, f"{SITE}.{OTHER}"), "thief", heard)
    far = await joined(guarded.port, shown(ca, "district"), "far", heard)
    for name in ("alarm", "records", "state", "checkpoint", *DOWN):
        assert await thief.publish(PREFIX + name, b"x") >= 0x80, name
    for name in DOWN:
        assert await own.publish(PREFIX + name, b"x") >= 0x80, f"a box must not say {name} itself"
    with contextlib.suppress(BrokerLost):  # mosquitto may refuse the subscription, or grant it and deliver nothing
        await thief.subscribe([PREFIX + "#", *(PREFIX + name for name in DOWN)])
    await own.subscribe([PREFIX + name for name in DOWN])
    for name in DOWN:
        assert await far.publish(PREFIX + name, b"x") < 0x80
    await until(lambda: len(heard["own"]) == len(DOWN))
    assert heard["thief"] == []
    for connection in (own, thief, far):
        await connection.close()


DOWN = ("receipt", "alarm/receipt", "command", "policy")


async def joined(port: int, keys: dict[str, Any], name: str, heard: dict[str, list[str]]) -> Connection:
    return await Connection.open(settings(port, keys, name), lambda topic, *_: heard[name].append(topic))


def settings(port: int, keys: dict[str, Any], name: str) -> Settings:
    tls = tls_context(keys["ca_file"], keys["cert_file"], keys["key_file"])
    will = f"menwei/v1/{SITE}/{OTHER if name == 'thief' else BOX}/state"
    return Settings(host="127.0.0.1", port=port, client_id=name, will_topic=will, will=b"{}", tls=tls)


@pytest.mark.parametrize(
    ("signer", "days", "words"),
    [("ca", -1, "expired|does it know this box's certificate"), ("stranger", 1, "does it know this box's certificate")],
)
async def test_an_expired_or_unknown_certificate_is_refused_and_said(
    tmp_path: Path,
    ca: Authority,
    guarded: BrokerProcess,
    receiver: DistrictChild,
    control: FakeControl,
    running: Running,
    signer: str,
    days: int,
    words: str,
) -> None:
    by = Authority(tmp_path / "stranger", "Another CA") if signer == "stranger" else ca
    control.journal.add(100)
    async with running(make_site(tmp_path, guarded.port, **shown(ca, f"{SITE}.{BOX}", by, days))):
        (why, *_) = await until(lambda: [m["why"] for m in control.asked if m["op"] == "path"])
    print(why)
    assert re.search(words, why)
    assert await receiver.box() == {} and control.synced == (0, 0)


async def test_a_broker_whose_own_certificate_ran_out_is_not_spoken_to(
    tmp_path: Path, ca: Authority, control: FakeControl, running: Running
) -> None:
    pair = ca.issue("old-broker", -1)
    broker = await asyncio.to_thread(
        start_broker, tmp_path / "old", tls=Tls(ca.cert, pair.cert, pair.key), kind="mosquitto"
    )
    async with running(make_site(tmp_path, broker.port, **shown(ca, f"{SITE}.{BOX}"))):
        (why, *_) = await until(lambda: [m["why"] for m in control.asked if m["op"] == "path"])
    assert "expired" in why
    broker.stop()


async def test_the_brokers_receive_maximum_is_kept_to(
    tmp_path: Path, ca: Authority, control: FakeControl, running: Running
) -> None:
    """The broker itself says how many unacknowledged messages it takes, and hangs up on who sends more."""
    broker = await asyncio.to_thread(documented_broker, tmp_path / "small", ca, 3)
    pair = ca.issue("district")
    district = await asyncio.to_thread(
        DistrictChild, tmp_path, broker.port, "--tls", str(ca.cert), str(pair.cert), str(pair.key)
    )
    own = await Connection.open(
        settings(broker.port, shown(ca, f"{SITE}.{BOX}"), "own"), lambda topic, payload, retained: None
    )
    assert own.receive_maximum == 3
    await own.close()
    control.journal.add(20_000)
    async with running(make_site(tmp_path, broker.port, **shown(ca, f"{SITE}.{BOX}"))):
        await until(lambda: control.synced == (1, 20_000))
        assert control.paths() in ([], [True]), "it was never hung up on"
    await district.close()
    broker.stop()
