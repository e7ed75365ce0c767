"""The whole box with a Redis beside the broker: a press is received there too, and the far side ends with the journal's
own bytes although the server was killed meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from house import SITE_BOX, House

from sim.ports import free_port
from sim.redis_server import RedisProcess

pytestmark = pytest.mark.e2e

KEY = f"menwei:{SITE_BOX.replace('/', ':')}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    made = RedisProcess(tmp_path / "redis", free_port())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def redis_house(tmp_path: Path, server: RedisProcess) -> Iterator[House]:
    table = f'[uplink.redis]\nhost = "127.0.0.1"\nport = {server.port}\ntls = false\n\n[web]'
    made = House(tmp_path / "house", ("[web]", table))
    made.start()
    yield made
    made.stop()


def test_a_press_is_received_by_redis_and_the_journal_ends_there_whole(
    redis_house: House, server: RedisProcess
) -> None:
    house = redis_house
    house.press()
    house.until("Redis has received the alarm", lambda: stage(house) == "received")
    house.gate.do("release", button="gatehouse")
    server.kill()
    house.until("the loss of Redis is shown", lambda: not path(house)["up"])
    house.reset()
    house.press()
    server.start()
    house.until("Redis has received the second alarm", lambda: stage(house) == "received")
    presses = [f"{record['epoch']}-{record['seq']}" for record in house.records("panic.pressed")]
    house.until("the records are there too", lambda: presses[-1] in dict(entries(server, KEY)))
    house.uplink.stop()
    have = entries(server, KEY)
    assert have == bodies(house, len(have))
    assert [name for name, body in entries(server, f"{KEY}:alarm") if b'"panic.pressed"' in body] == presses
    assert len(presses) == 2


def path(house: House) -> dict[str, Any]:
    found: dict[str, Any] = next(path for path in house.state()["paths"] if path["id"] == "redis")
    return found


def stage(house: House) -> str:
    """How far the newest alarm has come at Redis."""
    alarms = house.state()["panic"]["alarms"]
    return str(alarms[-1]["stages"].get("redis", "")) if alarms else ""


def entries(server: RedisProcess, key: str) -> list[tuple[str, bytes]]:
    client: Any = redis.Redis(port=server.port)
    found = [(name.decode(), fields[b"body"]) for name, fields in client.xrange(key)]
    client.close()
    return found


def bodies(house: House, number: int) -> list[tuple[str, bytes]]:
    """The first records of the journal, as they are on disk."""
    connection = sqlite3.connect(f"file:{house.journal}?mode=ro", uri=True)
    rows = connection.execute("SELECT epoch, seq, body FROM record ORDER BY seq LIMIT ?", (number,)).fetchall()
    connection.close()
    return [(f"{epoch}-{seq}", body) for epoch, seq, body in rows]
