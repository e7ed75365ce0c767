"""Boxes → a real broker → the fleet's receiver in two processes → a real Redis, and each of them killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from redis_rig import Far, RealServer
from uplink_certs import Authority
from uplink_rig import SITE, Child, FakeControl, Running, SmallJournal, make_site, until

from agent.core.records import Record
from sim.broker import BrokerProcess, Tls, start_broker
from sim.fleet.__main__ import main, read_boxes
from sim.fleet.plan import part_of
from sim.ports import free_port
from sim.redis_server import DURABLE, RedisProcess

BOXES = ("gate-1", "gate-2", "gate-3", "gate-4")
EACH = 5000
VICTIMS = ("worker", "redis", "broker")


class Fleet:
    """`python -m sim.fleet` with two workers."""

    def __init__(self, broker: int, redis: int, *more: str) -> None:
        urls = ("--broker", f"127.0.0.1:{broker}", "--redis", f"redis://127.0.0.1:{redis}")
        self._child = Child("-m", "sim.fleet", *urls, "--workers", "2", *more, ready_line=True)
        assert sorted(self.workers) == sorted(self._child.ready["workers"])

    @property
    def workers(self) -> list[int]:
        """Their process ids now: a killed one is started again."""
        own = self._child.pid
        return [int(pid) for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split()]

    def stop(self) -> None:
        self._child.end()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RealServer]:
    made = RealServer(tmp_path / "redis")
    yield made
    made.stop()


@pytest.fixture
def far(redis_server: RealServer) -> Iterator[Far]:
    made = Far(redis_server.port)
    yield made
    made.close()


@pytest.fixture
async def fleet(broker: BrokerProcess, redis_server: RealServer) -> AsyncIterator[Fleet]:
    made = await asyncio.to_thread(Fleet, broker.port, redis_server.port)
    yield made
    await asyncio.to_thread(made.stop)


class Gate:
    """One box: its journal and control."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.key = f"menwei:{SITE}:{name}"
        self.name = name
        self.journal = SmallJournal(self.folder / "state", name)
        self.control = FakeControl(self.folder, self.journal)
        self.presses: list[Record] = []

    def press(self) -> None:
        (press,) = self.control.add(["panic.pressed"])
        self.control.alarm(press)
        self.presses.append(press)

    @property
    def done(self) -> bool:
        received = all("received" in self.control.stages(press.ref) for press in self.presses)
        return received and self.control.synced == self.journal.head


@pytest.fixture
async def gates(tmp_path: Path, broker: BrokerProcess, running: Running) -> AsyncIterator[list[Gate]]:
    made = [Gate(tmp_path, name) for name in BOXES]
    async with contextlib.AsyncExitStack() as stack:
        for gate in made:
            gate.journal.add(EACH)
            await gate.control.start()
            stack.push_async_callback(gate.control.stop)
            await stack.enter_async_context(running(make_site(gate.folder, broker.port, box=gate.name)))
        yield made
    for gate in made:
        gate.journal.close()


def assert_all_there(gates: list[Gate], far: Far, *, undisturbed: bool = False) -> None:
    """The same set, in order, byte for byte, nothing twice. In the stream of alarms one may be missing that came after
    a younger one, for ids there only grow; the records' stream has it."""
    for gate in gates:
        assert far.entries(gate.key) == sorted(gate.journal.bodies.items())
        alarms, presses = far.refs(f"{gate.key}:alarm"), [press.ref for press in gate.presses]
        assert alarms == sorted(set(alarms)) and set(alarms) <= set(presses) and alarms[-1:] == presses[-1:]
        assert not undisturbed or alarms == presses


async def test_every_box_is_kept_by_its_own_worker(gates: list[Gate], fleet: Fleet, far: Far, impatient: None) -> None:
    assert {part_of(SITE, name, 2) for name in BOXES} == {0, 1}, "both workers have boxes"
    for gate in gates:
        gate.press()
    await until(lambda: all(gate.done for gate in gates))
    assert_all_there(gates, far, undisturbed=True)


class Killer:
    """kill -9 for whoever is asked, and back again."""

    def __init__(self, random: Random, fleet: Fleet, server: RedisProcess, broker: BrokerProcess) -> None:
        self._steps: dict[str, tuple[Callable[[], None], ...]] = {
            "worker": (lambda: os.kill(random.choice(fleet.workers), signal.SIGKILL),),
            "redis": (server.kill, server.start),
            "broker": (broker.kill, broker.start),
        }

    async def kill(self, victim: str) -> None:
        for step in self._steps[victim]:
            await asyncio.to_thread(step)


@pytest.fixture
def killer(seed: int, fleet: Fleet, redis_server: RealServer, broker: BrokerProcess) -> Killer:
    return Killer(Random(seed), fleet, redis_server.process, broker)


async def kill_in_traffic(random: Random, gates: list[Gate], killer: Killer, victims: list[str]) -> None:
    """Before each kill some gate gets on with its backlog; presses come before and after it."""
    for victim in victims:
        gate = random.choice(gates)
        start = gate.control.synced[1]
        gate.control.add(random.randrange(1, 300))
        await until(lambda gate=gate, start=start: gate.control.synced[1] > start)  # type: ignore[misc]
        for other in random.sample(gates, 2):
            other.press()
        await killer.kill(victim)
        random.choice(gates).press()
        await until(lambda: all("received" in g.control.stages(p.ref) for g in gates for p in g.presses))
    await until(lambda: all(gate.done for gate in gates))


@pytest.mark.parametrize("victim", VICTIMS)
async def test_nothing_is_lost_or_doubled_whoever_is_killed(
    victim: str, seed: int, gates: list[Gate], killer: Killer, far: Far, impatient: None
) -> None:
    await kill_in_traffic(Random(seed), gates, killer, [victim] * 3)
    assert_all_there(gates, far)


@pytest.mark.torture
async def test_nothing_is_lost_or_doubled_by_many_kills(
    seed: int, gates: list[Gate], killer: Killer, far: Far, impatient: None
) -> None:
    random = Random(seed)
    await kill_in_traffic(random, gates, killer, random.choices(VICTIMS, k=200))
    assert_all_there(gates, far)


async def test_a_redis_that_lost_everything_gets_it_again_from_every_box(
    gates: list[Gate], fleet: Fleet, far: Far, impatient: None
) -> None:
    await until(lambda: all(gate.done for gate in gates))
    far.client.flushall()
    for gate in gates:
        gate.control.add(5)
    await until(lambda: all(far.client.xlen(gate.key) == EACH + 5 for gate in gates))
    assert_all_there(gates, far)


async def test_a_listed_fleet_hears_its_boxes_and_a_new_one_soon(
    tmp_path: Path, gates: list[Gate], broker: BrokerProcess, redis_server: RealServer, far: Far, impatient: None
) -> None:
    listed = tmp_path / "boxes"
    listed.write_text("# the school's\n" + "".join(f"{SITE}/{gate.name}\n" for gate in gates[:-1]))
    fleet = await asyncio.to_thread(Fleet, broker.port, redis_server.port, "--boxes", str(listed))
    await until(lambda: all(gate.done for gate in gates[:-1]))
    assert not far.client.exists(gates[-1].key)
    with listed.open("a") as file:
        file.write(f"{SITE}/{gates[-1].name}\n")
    gates[-1].press()
    await until(lambda: all(gate.done for gate in gates))
    assert_all_there(gates, far)
    await asyncio.to_thread(fleet.stop)


async def test_the_receiver_speaks_tls_with_both(tmp_path: Path) -> None:
    """It says that it serves only once it has reached both."""
    ca = Authority(tmp_path / "ca")
    broker_pair, redis_pair, own = (ca.issue(name) for name in ("broker", "redis", "district"))
    tls = Tls(ca.cert, broker_pair.cert, broker_pair.key)
    broker = await asyncio.to_thread(start_broker, tmp_path / "broker", tls=tls, kind="mosquitto")
    port = free_port()
    files = ("--tls-cert-file", str(redis_pair.cert), "--tls-key-file", str(redis_pair.key))
    secure = ("--tls-port", str(port), "--port", "0", *files, "--tls-ca-cert-file", str(ca.cert))
    server = RedisProcess(tmp_path / "redis", port, (*DURABLE, *secure))
    await asyncio.to_thread(server.start)
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={ca.cert}&ssl_certfile={own.cert}&ssl_keyfile={own.key}"
    more = ("--redis", url, "--tls", str(ca.cert), str(own.cert), str(own.key))
    fleet = await asyncio.to_thread(Fleet, broker.port, port, *more)
    assert len(fleet.workers) == 2
    await asyncio.to_thread(fleet.stop)
    server.stop()
    broker.stop()


def test_a_list_of_boxes_is_read_line_by_line() -> None:
    assert read_boxes("# two\n\na/b\n c/d # the second\n") == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize("line", ["a", "a/", "/b", "a/b/c", "a/+", "a b/c"])
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_boxes(f"a/b\n{line}\n")


async def test_workers_end_with_their_supervisor(broker: BrokerProcess, redis_server: RealServer) -> None:
    fleet = await asyncio.to_thread(Fleet, broker.port, redis_server.port)
    workers = fleet.workers
    fleet._child.kill()
    await until(lambda: not any(map(_alive, workers)))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_redis_that_does_not_sync_ends_the_program(
    broker: BrokerProcess, redis_server: RealServer, far: Far, capfd: pytest.CaptureFixture[str]
) -> None:
    far.client.config_set("appendfsync", "everysec")
    arguments = ("--broker", f"127.0.0.1:{broker.port}", "--redis", f"redis://127.0.0.1:{redis_server.port}")
    assert main([*arguments, "--workers", "1"]) == 1
    assert "no receipt could be believed: appendfsync everysec" in capfd.readouterr().err
