"""The HTTP face: status codes, who may talk to it, the picture, the wire, the stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sim_gates import live_text, site_from

from sim.console import Console
from sim.simulator import Simulator


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Simulator]:
    """Not opened: HTTP needs no other wires."""
    yield Simulator(site_from(live_text(), tmp_path), seed=7)


@pytest.fixture
async def console(sim: Simulator) -> Console:
    return Console(sim)


@pytest.fixture
async def http(console: Console) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(console.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1234") as client:
        yield client


async def test_a_press_and_its_own_instant(http: httpx.AsyncClient, sim: Simulator) -> None:
    answer = await http.post("/press", json={"button": "gatehouse"})
    assert answer.status_code == 200
    told = answer.json()
    assert told["ok"] is True
    assert isinstance(told["ns"], int)
    world = (await http.get("/world")).json()
    assert world["buttons"]["gatehouse"] == {"pressed": True, "line": "pressed"}
    assert world["ns"] >= told["ns"]
    (entry,) = (await http.get("/wire")).json()
    assert entry == {"seq": 1, "ns": told["ns"], "kind": "verb", "dir": "in", "verb": "press",
                     "text": "button=gatehouse"}  # fmt: skip


async def test_the_world_tells_everything_the_contract_names(http: httpx.AsyncClient) -> None:
    world = (await http.get("/world")).json()
    lane = world["lanes"]["main"]
    assert lane["bollards"]["main-1"]["position"] == 0.0
    assert set(lane["lights"]) == {"red", "green", "warning_lamp", "buzzer"}
    assert set(world["lamps"]) == {"sent", "received", "coming", "fault"}
    assert world["relays"] == {"relays": [False] * 8}
    assert world["frames"] == {"plc": {}, "cabinet": {}}
    assert world["doors"]["gatehouse"] == {"open": False, "locked": True, "energised": False}
    assert (await http.get("/site")).json()["site"]["name"] == "东方小学 南门"
    assert "lane:main" in (await http.get("/faults")).json()["devices"]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/press", b'{"button":"roof"}', 400, "there is no button 'roof'"),
        ("/press", b"{", 400, "not JSON"),
        ("/press", b"\xff\xfe", 400, "not JSON"),
        ("/press", b"[]", 400, "JSON object"),
        ("/press", b"", 400, "button is missing"),
        ("/press", b'"' + b"x" * 70_000 + b'"', 413, "larger"),
        ("/explode", b"{}", 404, "POST /explode is not here"),
        ("/world", b"{}", 405, "cannot be done there"),
    ],
)
async def test_wrong_requests(http: httpx.AsyncClient, path: str, body: bytes, status: int, words: str) -> None:
    answer = await http.post(path, content=body)
    assert answer.status_code == status
    told = answer.json()
    assert told["ok"] is False
    assert words in told["error"]
    assert isinstance(told["valid"], list)


async def test_not_now_is_409(http: httpx.AsyncClient, sim: Simulator) -> None:
    sim.world.fault("reader:guard", "unplugged")
    answer = await http.post("/swipe", json={"reader": "guard", "card": "guard-1"})
    assert answer.status_code == 409
    assert "unplugged" in answer.json()["error"]


@pytest.mark.parametrize("host", ["gate.example", "192.168.1.7:80", "", "127.0.0.1.evil.example"])
async def test_foreign_hosts_are_refused(http: httpx.AsyncClient, sim: Simulator, host: str) -> None:
    answer = await http.post("/press", json={"button": "gatehouse"}, headers={"Host": host})
    assert answer.status_code == 403
    assert not sim.world.buttons["gatehouse"].finger


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1:9", "[::1]:9"])
async def test_this_machine_by_any_of_its_names(http: httpx.AsyncClient, host: str) -> None:
    assert (await http.get("/world", headers={"Host": host})).status_code == 200


async def test_a_foreign_page_may_not_play(http: httpx.AsyncClient, sim: Simulator) -> None:
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://127.0.0.1:1234", 200)):
        answer = await http.post("/press", json={"button": "gatehouse"}, headers={"Origin": origin})
        assert answer.status_code == status
    assert sim.world.buttons["gatehouse"].finger


async def test_the_wire_since_an_instant(http: httpx.AsyncClient) -> None:
    places = ("approach", "on_loop", "away")
    instants = [(await http.post("/vehicle", json={"lane": "main", "at": at})).json()["ns"] for at in places]
    later = (await http.get("/wire", params={"since": instants[0]})).json()
    assert [entry["ns"] for entry in later] == instants[1:]
    after = (await http.get("/wire", params={"after": 2})).json()
    assert [entry["seq"] for entry in after] == [3]
    newest = (await http.get("/wire", params={"limit": 1})).json()
    assert [entry["ns"] for entry in newest] == instants[2:]
    for wrong in ("soon", "1.5", ""):
        answer = await http.get("/wire", params={"since": wrong})
        assert answer.status_code == 400
        assert answer.json()["field"] == "since"


async def test_the_page_and_its_parts_are_served(http: httpx.AsyncClient) -> None:
    page = await http.get("/")
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    for part in ("gate.css", "main.js"):
        assert f"static/{part}" in page.text
        assert (await http.get(f"/static/{part}")).status_code == 200
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text


async def test_the_stream_tells_changes_and_ends_when_the_simulator_does(sim: Simulator, console: Console) -> None:
    events = console._events()
    first = await anext(events)
    assert first.startswith(b"event: world\n")
    sim.do("fire", {"on": True})
    kinds: dict[str, Any] = {}
    async with asyncio.timeout(5):
        while len(kinds) < 2:
            name, data = (await anext(events)).decode().split("\n", 2)[:2]
            kinds[name.removeprefix("event: ")] = json.loads(data.removeprefix("data: "))
    assert kinds["world"]["fire"] is True
    assert "fire" in [entry.get("verb") for entry in kinds["wire"]]
    console.closing.set()
    async with asyncio.timeout(5):
        assert [event async for event in events] == []
