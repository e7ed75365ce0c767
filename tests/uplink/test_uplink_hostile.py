"""A broker, or a stranger at it, that sends what no far side sends: alarms still go up and are received."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import paho.mqtt.publish as publish
import pytest
from redis_rig import redis_site
from uplink_rig import PREFIX, DistrictHere, FakeControl, Running, until

from agent.pace import AT_ONCE
from agent.policy.bundle import MOST_BYTES
from agent.uplink.mqtt import MOST_PACKET, BrokerLost, Connection, Settings
from agent.uplink.reporter import MOST_WHY
from hardware.site import Site
from sim.broker import BrokerProcess

DEEP = b"[" * 50_000 + b"]" * 50_000
HUGE = b"9" * 4000


def leave(broker: BrokerProcess, topic: str, payload: bytes) -> None:
    """Put a retained message there: each new connection of the box finds it again."""
    publish.single(PREFIX + topic, payload, qos=1, retain=True, hostname="127.0.0.1", port=broker.port)


RUBBISH: dict[str, bytes] = {
    "deep": b'{"epoch":1,"seq":1,"stage":"received","x":' + DEEP + b"}",
    "huge numbers": b'{"epoch":' + HUGE + b',"seq":' + HUGE + b',"stage":"received"}',
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("what", RUBBISH)
async def test_rubbish_that_lies_at_the_broker_costs_no_alarm(
    what: str, site: Site, broker: BrokerProcess, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    for topic in ("alarm/receipt", "receipt", "command", "policy", "checkpoint"):
        leave(broker, topic, RUBBISH[what])
    async with running(site):
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        await until(lambda: control.synced == control.journal.head)


async def test_a_flood_of_commands_is_counted_and_not_written_down(
    site: Site, broker: BrokerProcess, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    flood: publish.MessagesList = [(f"{PREFIX}command", b"nonsense %d" % number, 0, False) for number in range(2000)]
    async with running(site) as uplink:
        await until(lambda: control.subscribed and any(control.paths()))
        await asyncio.to_thread(publish.multiple, flood, hostname="127.0.0.1", port=broker.port)
        await until(lambda: uplink._commands.dropped > 1000)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref))
        notes = [asked for asked in control.asked if asked["op"] == "note"]
    assert 1 <= len(notes) <= AT_ONCE + 3, "one every three seconds, after the first few"


async def test_what_is_longer_than_any_bundle_is_never_fetched(
    site: Site, broker: BrokerProcess, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """A retained one would come again with every connection, and fill a small board's memory each time."""
    assert MOST_PACKET > MOST_BYTES + 1000
    leave(broker, "receipt", bytes(MOST_PACKET))
    leave(broker, "alarm/receipt", bytes(1000))
    async with running(site) as uplink:
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: "received" in control.stages(press.ref) and uplink._alarms.ignored)
        assert uplink._records.nonsense == 0


async def test_a_broker_that_announces_more_than_it_may_send_is_hung_up_on_before_it_is_read() -> None:
    """It may be told a limit and not keep to it: 256 MB are half of a small board's memory."""
    hung_up = asyncio.Event()

    async def boundless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x03\x00\x00\x00")  # CONNACK
        writer.write(b"\x30" + _remaining(MOST_PACKET + 1) + b"some of it")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(boundless, "127.0.0.1", 0)
    settings = Settings("127.0.0.1", server.sockets[0].getsockname()[1], "box", PREFIX + "state", b"{}")
    try:
        connection = await Connection.open(settings, lambda *message: None)
        why = await connection.lost
    except BrokerLost as lost:  # both came in one packet
        why = str(lost)
    assert "33 MB" in why and "more than it may send" in why
    await hung_up.wait()
    server.close()


def _remaining(length: int) -> bytes:
    """MQTT 5.0, 1.5.5: seven bits a byte, the lowest first."""
    made = b""
    while length > 127:
        made += bytes([length & 127 | 128])
        length >>= 7
    return made + bytes([length])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"+OK\r\n", "no Redis"),
        (b"*1\r\n*1\r\n:7\r\n", "no Redis"),
        (b"*2\r\n$1\r\na\r\n$1\r\n\xff\r\n", "no Redis"),
        (b"-ERR " + b"x" * 100_000 + b"\r\n", "no Redis"),
        (b"-ERR \x1b[2J" + b"x" * 40_000 + b"\r\n", "cannot be looked at"),
    ],
)
async def test_a_redis_that_answers_nonsense_is_told_in_words(
    answer: bytes, says: str, tmp_path: Path, control: FakeControl, running: Running
) -> None:
    """It looked like a path that is well, or like none, for as long as it went on."""

    async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.startswith(b"*"):
                    writer.write(answer)
        writer.close()

    server = await asyncio.start_server(lying, "127.0.0.1", 0)
    control.journal.add(3)
    async with running(redis_site(tmp_path, server.sockets[0].getsockname()[1], durable=True)):
        await until(lambda: any(told["op"] == "path" and says in told["why"] for told in control.asked))
        assert all(
            len(told["why"]) <= MOST_WHY and told["why"].isprintable() for told in control.asked if "why" in told
        )
        assert not any(told["up"] for told in control.asked if told["op"] == "path")
        assert control.synced == (0, 0)
    server.close()
