"""Fixtures of the uplink's tests: a real broker, a scripted control, a district process, the role in this loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis_rig import FakeServer, Far, RealServer
from uplink_ear import Ear
from uplink_rig import DistrictChild, DistrictHere, FakeControl, Running, SmallJournal, make_site, running_uplink

from hardware.site import Site
from sim.broker import BrokerProcess, start_broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    process = start_broker(tmp_path / "broker", kind="mosquitto")
    yield process
    process.stop()


@pytest.fixture
def ear(broker: BrokerProcess) -> Iterator[Ear]:
    listener = Ear(broker.port)
    yield listener
    listener.close()


@pytest.fixture(params=["fakeredis", "redis-server"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeServer | RealServer]:
    made = FakeServer() if request.param == "fakeredis" else RealServer(tmp_path / "redis")
    yield made
    made.stop()


@pytest.fixture
def far(server: FakeServer | RealServer) -> Iterator[Far]:
    made = Far(server.port)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path, broker: BrokerProcess) -> Site:
    return make_site(tmp_path, broker.port)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SmallJournal]:
    small = SmallJournal(tmp_path / "state")
    yield small
    small.close()


@pytest.fixture
async def control(tmp_path: Path, journal: SmallJournal) -> AsyncIterator[FakeControl]:
    fake = FakeControl(tmp_path, journal)
    await fake.start()
    yield fake
    await fake.stop()


@pytest.fixture
async def district(tmp_path: Path, broker: BrokerProcess) -> AsyncIterator[DistrictHere]:
    here = await asyncio.to_thread(DistrictHere, tmp_path, broker.port)
    yield here
    await here.close()


@pytest.fixture
async def district_process(tmp_path: Path, broker: BrokerProcess) -> AsyncIterator[DistrictChild]:
    child = await asyncio.to_thread(DistrictChild, tmp_path, broker.port)
    yield child
    await child.close()


@pytest.fixture(autouse=True)
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control hears of receipts sooner: nearly every test waits for that."""
    monkeypatch.setattr("agent.uplink.cursor.SAVE_EVERY_S", 0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same behaviour with shorter waits, where a test would otherwise only wait."""
    monkeypatch.setattr("agent.uplink.outbox.STALL_S", 1.0)
    monkeypatch.setattr("agent.uplink.records.TURN_S", 0.2)
    monkeypatch.setattr("agent.uplink.alarms.RESEND_S", 0.5)
    monkeypatch.setattr("agent.uplink.alarms.TURN_S", 0.1)


@pytest.fixture
def running() -> Running:
    return running_uplink
