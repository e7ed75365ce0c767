"""The role as a process: where it listens, what it weighs, and how it tells that it cannot."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import web_journal
import web_scenes as scenes
from patience import within
from scripted_control import ScriptedControl
from web_rig import listening, served

from agent.web import assets, role
from agent.web.feed import Feed
from agent.web.listen import Address, bind, parse
from agent.web.stream import State
from hardware import places
from hardware.site import Site
from sim.ports import free_port

FIRST_LOAD_BYTES = 150_000
RSS_KB = 45_000
CRYPTOGRAPHY_KB = 7_000  # what the journal's reader brings along for as long as it imports the signing library
RUN = """
import asyncio, sys, msgspec
from pathlib import Path
from agent.web import role
from hardware.site import Site
asyncio.run(role.run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Site)))
"""


# ── listening ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("[::1]:80", Address("::1", 80)),
        ("gate.local:8080", Address("gate.local", 8080)),
    ],
)
def test_addresses_are_read(text: str, address: Address) -> None:
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["8080", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "::1:80", ":80", ""])
def test_a_wrong_address_is_told_with_itself(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse(text)


async def test_a_port_in_use_is_one_line_in_field_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        text = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {text}: another program uses this port") as told:
            await role.run(scenes.demo_site(tmp_path, (text,)))
    assert "\n" not in str(told.value)


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(OSError, match="this machine has no such address"):
        bind([Address("203.0.113.7", 8080)])


def test_no_permission_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(OSError, match="no permission for this port; choose one above 1023"):
        bind([Address("127.0.0.1", 80)])


def test_when_one_of_several_is_taken_none_stays_open() -> None:
    first = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="another program"):
            bind([Address("127.0.0.1", first), Address("127.0.0.1", taken.getsockname()[1])])
    bind([Address("127.0.0.1", first)])[0].close()


async def test_it_serves_on_every_address_and_no_other(tmp_path: Path) -> None:
    ports = (free_port(), free_port())
    site = scenes.demo_site(tmp_path, tuple(f"127.0.0.1:{port}" for port in ports))
    running = asyncio.create_task(role.run(site))
    async with httpx.AsyncClient() as client:
        for port in ports:
            await listening(port)
            assert (await client.get(f"http://127.0.0.1:{port}/api/v1/state")).status_code == 200
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.2", ports[0])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# ── following control ──────────────────────────────────────────────────────────────────────────────────────────────


Event = tuple[str, bytes]


@asynccontextmanager
async def listening_to(url: str) -> AsyncIterator[asyncio.Queue[Event]]:
    """The events of a stream, as they come."""
    got: asyncio.Queue[Event] = asyncio.Queue()
    reading = asyncio.create_task(_listen(url, got))
    try:
        yield got
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _listen(url: str, got: asyncio.Queue[Event]) -> None:
    async with httpx.AsyncClient(timeout=None) as client, client.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                got.put_nowait((name, line[6:].encode()))


async def next_state(got: asyncio.Queue[Event], *, up: bool, latched: bool | None = None) -> State:
    async with within(6):
        while True:
            name, data = await got.get()
            if name == "state":
                shown = msgspec.json.decode(data, type=State)
                if shown.control.up == up and latched in (None, shown.panic.latched):
                    return shown


async def test_the_stream_follows_control_through_death_and_return(tmp_path: Path) -> None:
    async with (
        served(tmp_path) as (url, control, site),
        httpx.AsyncClient() as client,
        listening_to(f"{url}/api/v1/stream") as got,
    ):
        assert (await next_state(got, up=True)).panic.latched is False
        await control.show(scenes.panic(site))
        assert (await next_state(got, up=True, latched=True)).panic.alarms
        await control.stop()
        lost = await next_state(got, up=False)
        assert lost.lanes[0].lost and lost.last is not None and lost.last.panic.latched
        assert (await client.get(f"{url}/healthz")).status_code == 503
        control.path.unlink()
        await control.start()
        assert (await next_state(got, up=True)).panic.latched
        assert (await client.get(f"{url}/healthz")).status_code == 200


async def test_a_hung_control_is_told_within_three_seconds(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, _), listening_to(f"{url}/api/v1/stream") as got:
        await next_state(got, up=True)
        control.mute = True
        async with within(3.0):
            assert (await next_state(got, up=False)).control.why == "silent"


async def test_a_feed_that_fails_ends_the_role_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better no page than one that stands still: the role ends with the error and is started anew."""

    def fail(feed: Feed, line: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Feed, "take", fail)
    site = scenes.demo_site(tmp_path, (f"127.0.0.1:{free_port()}",))
    async with ScriptedControl(places.control_socket(site), scenes.normal(site)), asyncio.timeout(60):
        with pytest.raises(ZeroDivisionError):
            await role.run(site)


# ── weight ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_first_load_is_light(tmp_path: Path) -> None:
    async with served(tmp_path) as (url, control, site), httpx.AsyncClient() as client:
        await control.show(scenes.plc_dead(site))
        page = await client.get(url)
        links = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert len(links) == 3
        files = [*links, "/static/morph.js", "/static/times.js"]
        size = len(page.content)
        for path in files:
            size += len((await client.get(url + path)).content)
        assert size <= FIRST_LOAD_BYTES
        again = await client.get(
            url + links[0], headers={"if-none-match": (await client.get(url + links[0])).headers["etag"]}
        )
        assert again.status_code == 304


def test_every_static_file_is_loaded_by_a_page() -> None:
    console = {"console.css", "console.js"}
    assert set(assets.load()) == {"icon.svg", "page.css", "page.js", "times.js", "morph.js"} | console


@asynccontextmanager
async def process(site: Site, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    file = folder / "site.json"
    file.write_bytes(msgspec.json.encode(site))
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, str(file), stderr=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        yield made
    finally:
        if made.returncode is None:
            made.kill()
        await made.communicate()


async def test_the_process_is_light_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    site = scenes.demo_site(tmp_path, (f"127.0.0.1:{port}",))
    web_journal.write(site)
    async with (
        ScriptedControl(places.control_socket(site), scenes.normal(site)) as control,
        process(site, tmp_path) as web,
    ):
        await listening(port)
        url = f"http://127.0.0.1:{port}"
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
            for language in ("en", "zh_CN") * 3:
                stream = listening_to(f"{url}/api/v1/stream?page=status&lang={language}")
                await (await stack.enter_async_context(stream)).get()
            for scene in (scenes.panic, scenes.plc_dead, scenes.normal):
                await control.show(scene(site))
                for path in ("/", "/schedule", "/devices", "/events", "/metrics", "/?lang=en"):
                    assert (await client.get(path)).status_code == 200
            rss_kb = int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{web.pid}/status").read_text())[0])
            print(json.dumps({"web_rss_kb": rss_kb}))
            carried = "cryptography" in Path(f"/proc/{web.pid}/maps").read_text()
            assert rss_kb <= RSS_KB + carried * CRYPTOGRAPHY_KB
            web.send_signal(signal.SIGTERM)
            async with within(5):
                assert await web.wait() == 0


def test_a_tablet_that_left_the_network_is_hung_up_on_soon() -> None:
    """The kernel alone would hold its open page for a quarter of an hour: some lost signals, and all room is taken."""
    (bound,) = bind([Address("127.0.0.1", 0)])
    with bound, socket.create_connection(bound.getsockname()) as _:
        bound.setblocking(True)
        accepted, _peer = bound.accept()
        with accepted:
            limit_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert 0 < limit_ms <= 30_000
