"""The streams on a real server only: what "durable" means, kills, passwords and TLS, and two far sides at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from chaos_link import link_to
from redis.exceptions import ResponseError
from redis_rig import ALARMS, KEY, Far, RealServer, redis_site
from uplink_certs import Authority
from uplink_rig import BOX, SITE, DistrictHere, FakeControl, Running, UplinkChild, make_record, until

from agent.journal.reader import JournalReader
from agent.link import ControlLink, Message
from agent.uplink.redis.link import RedisLost
from agent.uplink.redis.records import RecordStream
from agent.uplink.reporter import Reporter
from agent.uplink.source import Source
from sim.broker import BrokerProcess
from sim.ports import free_port
from sim.redis_server import RedisProcess

TOTAL = 10_000


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RealServer]]:
    made: list[RealServer] = []

    def one(**more: object) -> RealServer:
        made.append(RealServer(tmp_path / "redis", **more))
        return made[-1]

    yield one
    for server in made:
        server.stop()


@pytest.fixture(autouse=True)
def impatient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.uplink.redis.records.PROBE_S", 0.3)
    monkeypatch.setattr("agent.uplink.redis.alarms.PROBE_S", 0.3)
    monkeypatch.setattr("agent.uplink.redis.alarms.AGAIN_S", 0.2)
    monkeypatch.setattr("agent.uplink.backoff.LAST_S", 0.5)


def paths(control: FakeControl) -> list[tuple[bool, str]]:
    return [(m["up"], m["why"]) for m in control.asked if m["op"] == "path" and m["path"] == "redis"]


def is_up(control: FakeControl) -> bool:
    """Whether the path is up as far as control was told; before the first word it is not."""
    told = paths(control)
    return bool(told) and told[-1][0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
async def test_an_answer_that_does_not_mean_on_disk_is_no_receipt(
    name: str, value: str, tmp_path: Path, start: Callable[..., RealServer], control: FakeControl, running: Running
) -> None:
    server = start()
    far = Far(server.port)
    far.client.config_set("maxmemory", "1gb")
    right = far.client.config_get(name)[name]
    far.client.config_set(name, value)
    control.journal.add(10)
    async with running(redis_site(tmp_path, server.port, durable=True)):
        await until(lambda: paths(control) and paths(control)[-1][1].startswith("not durable"))
        await until(lambda: control.subscribed)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: control.stages(press.ref) == ["sent"])
        assert far.refs(ALARMS) == [press.ref], "it goes out all the same: somebody may read it"
        assert control.synced == (0, 0)
        far.client.config_set(name, right)
        await until(lambda: control.synced == control.journal.head)
        await until(lambda: control.stages(press.ref) == ["sent", "received"])
        await until(lambda: paths(control)[-1] == (True, ""))
    far.close()


async def test_a_server_that_tells_nothing_needs_the_sites_word(
    tmp_path: Path, start: Callable[..., RealServer], control: FakeControl, running: Running
) -> None:
    server = start(settings=("--appendonly", "yes", "--appendfsync", "always", "--rename-command", "CONFIG", ""))
    control.journal.add(10)
    async with running(redis_site(tmp_path, server.port)):
        await until(lambda: paths(control) and "durable = true" in paths(control)[-1][1])
    async with running(redis_site(tmp_path, server.port, durable=True)):
        await until(lambda: control.synced == control.journal.head)


@pytest.mark.parametrize("round_", range(3))
async def test_nothing_is_lost_or_doubled_when_redis_is_killed(
    round_: int, seed: int, tmp_path: Path, start: Callable[..., RealServer], control: FakeControl, running: Running
) -> None:
    random = Random(seed)
    server = start()
    control.journal.add(TOTAL)
    presses = []
    async with running(redis_site(tmp_path, server.port)) as uplink:
        assert uplink._redis is not None
        stream = uplink._redis.records
        for _ in range(3):
            target = min(TOTAL, stream.cursor[1] + random.randrange(1, 4000))
            await until(lambda target=target: stream.cursor[1] >= target)  # type: ignore[misc]
            await asyncio.to_thread(server.process.kill)
            (press,) = control.add(["panic.pressed"])
            control.alarm(press)
            presses.append(press)
            await asyncio.to_thread(server.process.start)
            await until(lambda press=press: "received" in control.stages(press.ref))  # type: ignore[misc]
        await until(lambda: control.synced == control.journal.head)
    far = Far(server.port)
    assert far.entries() == sorted(control.journal.bodies.items())
    assert far.refs(ALARMS) == [press.ref for press in presses]
    far.close()


async def test_nothing_is_lost_or_doubled_when_the_uplink_is_killed(
    seed: int, tmp_path: Path, start: Callable[..., RealServer], control: FakeControl
) -> None:
    random = Random(seed)
    server = start()
    far = Far(server.port)
    control.journal.add(TOTAL)
    child = await asyncio.to_thread(UplinkChild, redis_site(tmp_path, server.port))
    for _ in range(3):
        target = min(TOTAL, far.client.xlen(KEY) + random.randrange(1, 3000))
        await until(lambda target=target: far.client.xlen(KEY) >= target)  # type: ignore[misc]
        await asyncio.to_thread(child.kill)
        await asyncio.to_thread(child.start)
    control.add(10)
    await until(lambda: control.synced == control.journal.head)
    await asyncio.to_thread(child.kill)
    assert far.entries() == sorted(control.journal.bodies.items())
    far.close()


async def test_a_server_restored_empty_gets_everything_again(
    tmp_path: Path, start: Callable[..., RealServer], control: FakeControl, running: Running
) -> None:
    server = start()
    control.journal.add(2000)
    async with running(redis_site(tmp_path, server.port)) as uplink:
        await until(lambda: control.synced == control.journal.head)
        await asyncio.to_thread(server.process.kill)
        (tmp_path / "redis").rename(tmp_path / "lost")
        (tmp_path / "redis").mkdir()
        await asyncio.to_thread(server.process.start)
        assert uplink._redis is not None
        stream = uplink._redis.records
        await until(lambda: stream.forgotten == 1 and stream.cursor == control.journal.head)
    far = Far(server.port)
    assert far.entries() == sorted(control.journal.bodies.items())
    far.close()


async def test_nothing_is_lost_or_doubled_over_a_bad_link(
    seed: int,
    tmp_path: Path,
    start: Callable[..., RealServer],
    control: FakeControl,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut, hanging, slow, or a byte at a time, in the middle of the stream: a lost answer is looked up, not guessed."""
    monkeypatch.setattr("agent.uplink.redis.link.ANSWER_S", 1.0)
    random, server = Random(seed), start()
    control.journal.add(TOTAL)
    async with link_to(server.port) as link, running(redis_site(tmp_path, link.port)) as uplink:
        assert uplink._redis is not None
        stream = uplink._redis.records
        for fault in random.choices(("cut", "hang", "hang and cut", "slow", "drip"), k=8):
            target = min(control.journal.next - 1, stream.cursor[1] + random.randrange(1, 1500))
            await until(lambda target=target: stream.cursor[1] >= target)  # type: ignore[misc]
            control.add(random.randrange(1, 500))
            link.drip, link.rate = fault == "drip", 200_000.0 if fault == "slow" else 0.0
            if "hang" in fault:
                await until(lambda: is_up(control))  # a path that is down already is not told again
                link.open.clear()
                await until(lambda: not is_up(control))
            if "cut" in fault:
                link.cut()
            link.open.set()
        link.drip, link.rate = False, 0.0
        await until(lambda: control.synced == control.journal.head)
    far = Far(server.port)
    assert far.entries() == sorted(control.journal.bodies.items())
    far.close()


async def test_a_link_too_slow_for_a_group_gets_smaller_ones(
    tmp_path: Path,
    start: Callable[..., RealServer],
    control: FakeControl,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten kilobytes a second, an answer within one: the first group of 64 would never be answered."""
    monkeypatch.setattr("agent.uplink.redis.link.ANSWER_S", 1.0)
    server = start()
    control.journal.add(100)
    async with link_to(server.port) as link:
        link.rate = 10_000.0
        async with running(redis_site(tmp_path, link.port)):
            await until(lambda: control.synced == control.journal.head)


async def test_a_server_that_hangs_is_given_up_and_found_again(
    tmp_path: Path,
    start: Callable[..., RealServer],
    control: FakeControl,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.uplink.redis.link.ANSWER_S", 0.5)
    server = start()
    control.journal.add(100)
    async with running(redis_site(tmp_path, server.port)):
        await until(lambda: control.synced == control.journal.head and is_up(control))
        assert server.process.pid is not None
        os.kill(server.process.pid, signal.SIGSTOP)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: not is_up(control))
        assert "received" not in control.stages(press.ref)
        os.kill(server.process.pid, signal.SIGCONT)
        await until(lambda: "received" in control.stages(press.ref))
        await until(lambda: control.synced == control.journal.head)
    far = Far(server.port)
    assert far.entries() == sorted(control.journal.bodies.items())
    far.close()


async def test_a_password_and_tls_are_used_and_their_mistakes_are_said(
    tmp_path: Path, control: FakeControl, running: Running
) -> None:
    ca, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "Other CA")
    pair, box = ca.issue("redis"), ca.issue(f"{SITE}.{BOX}")
    (tmp_path / "password").write_text("s3cret\n")
    port = free_port()
    tls = ("--tls-port", str(port), "--port", "0", "--tls-cert-file", str(pair.cert), "--tls-key-file", str(pair.key))
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    process = RedisProcess(tmp_path / "redis", port, (*durable, *tls, "--tls-ca-cert-file", str(ca.cert)), "s3cret")
    await asyncio.to_thread(process.start)
    good: dict[str, Any] = {"tls": True, "ca_file": str(ca.cert), "cert_file": str(box.cert), "key_file": str(box.key)}
    good |= {"password_file": str(tmp_path / "password")}
    (tmp_path / "wrong").write_text("guess\n")
    wrong: dict[str, dict[str, Any]] = {
        "not trusted": {"ca_file": str(other.cert)},
        "log-in": {"password_file": str(tmp_path / "wrong")},
        "cannot read": {"password_file": "missing"},
    }
    control.journal.add(10)
    for words, change in wrong.items():
        control.asked.clear()
        async with running(redis_site(tmp_path, port, **(good | change))):
            await until(lambda: paths(control))
        assert words in paths(control)[0][1]
    async with running(redis_site(tmp_path, port, **good)):
        await until(lambda: control.synced == control.journal.head)
    process.stop()


async def test_only_what_both_far_sides_have_counts_as_synced(
    tmp_path: Path,
    start: Callable[..., RealServer],
    broker: BrokerProcess,
    district: DistrictHere,
    control: FakeControl,
    running: Running,
) -> None:
    server = start()
    control.journal.add(100)
    async with running(redis_site(tmp_path, server.port, broker.port)):
        await until(lambda: control.synced == control.journal.head)
        assert (await district.position(), Far(server.port).refs()[-1]) == ((1, 100), (1, 100))
        await asyncio.to_thread(server.process.kill)
        control.add(50)
        press = make_record(control.journal.next, "panic.pressed")
        control.journal.next += 1
        control.alarm(press)
        await until(lambda: any(m["path"] == "mqtt" for m in control.asked if m["op"] == "stage"))
        await until(lambda: _position(district, (1, 150)))
        assert control.synced == (1, 100), "Redis has no more"
        await asyncio.to_thread(server.process.start)
        await until(lambda: control.synced == (1, 150))


async def _position(district: DistrictHere, wanted: tuple[int, int]) -> bool:
    return await district.position() == wanted


def test_a_far_side_that_has_not_spoken_holds_back_what_is_synced() -> None:
    reporter = Reporter(None, ("mqtt", "redis"))  # type: ignore[arg-type]
    told = []
    for target, ref in (("mqtt", (1, 50)), ("redis", (1, 20)), ("redis", (1, 60))):
        reporter.synced(target, ref)
        told.append(reporter._synced)
    assert told == [None, (1, 20), (1, 50)]


async def test_what_was_given_up_is_told_once_and_again_to_a_new_control() -> None:
    asked: list[Message] = []

    class Answers(ControlLink):
        async def request(self, message: Message, *, timeout_s: float | None = None) -> Message:
            asked.append(message)
            return {"op": "done", "ok": True}

    reporter = Reporter(Answers(Path("/nowhere")), ())
    for count in (1, 2, 3):
        reporter.given_up("dc09", count)
    await reporter._tell_all()
    await reporter._tell_all()
    reporter.control_is_new()
    await reporter._tell_all()
    assert asked == [{"op": "given_up", "path": "dc09", "number": 3}] * 2


class InterruptedLink:
    """A server where somebody changes the stream between our look and our group, and which is gone after that."""

    where = "far:6379"

    def __init__(self) -> None:
        self.groups = 0

    async def trouble(self) -> str:
        return ""

    async def ask(self, *commands: tuple[str | bytes, ...]) -> list[Any]:
        if commands[0] == ("MULTI",):
            self.groups += 1
            return ["OK", *["QUEUED"] * (len(commands) - 4), None, "OK", ResponseError("no such key")]
        if self.groups:
            raise RedisLost("gone")
        return ["OK", ResponseError("no such key")]


async def test_a_group_that_was_not_put_in_is_no_receipt(tmp_path: Path, control: FakeControl) -> None:
    control.journal.add(3)
    source = Source(JournalReader(tmp_path / "state" / "journal.db"))
    stream = RecordStream(KEY, source, tmp_path / "cursor.json", lambda cursor: None, lambda ref: None)
    stream.head_is((1, 3))
    with pytest.raises(RedisLost, match="gone"):
        await stream.run(InterruptedLink(), lambda: None)  # type: ignore[arg-type]
    assert stream.cursor == (0, 0)
    await source.close()
