"""What the uplink's tests stand on: a scripted control, a small journal writer, and children that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from agent.core.records import Record, encode, leaf_hash, link_hash, utc_text
from agent.core.words import ClockTrust
from agent.uplink.role import Uplink
from hardware.site import Board, Mqtt, Site, SiteIds, Storage, Uplinks
from sim.district import District
from sim.district_http import make_app

SITE, BOX = "test-school", "gate-1"
PREFIX = f"menwei/v1/{SITE}/{BOX}/"
ROOT = Path(__file__).parents[2]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def make_site(folder: Path, port: int, **mqtt: Any) -> Site:
    return Site(
        site=SiteIds(id=SITE, box=mqtt.pop("box", BOX)),
        board=Board(model="pi-4"),
        storage=Storage(dir="state", run_dir="run"),
        uplink=Uplinks(mqtt=msgspec.convert({"host": "127.0.0.1", "port": port, "tls": False} | mqtt, Mqtt)),
        folder=str(folder),
    )


def make_record(
    seq: int,
    kind: str = "access.granted",
    *,
    epoch: int = 1,
    at_ms: int | None = None,
    data: dict[str, Any] | None = None,
    box: str = BOX,
) -> Record:
    return Record(
        actor="box",
        at=utc_text(now_ms() if at_ms is None else at_ms),
        boot="0123456789ab",
        cause=None,
        clock=ClockTrust.TRUSTED,
        data=data if data is not None else {"holder": "h-17", "reader": "wicket-in", "why": "group staff"},
        epoch=epoch,
        kind=kind,
        mono_ns=time.monotonic_ns(),
        seq=seq,
        site_box=f"{SITE}/{box}",
        subject="door:wicket",
    )


class SmallJournal:
    """The journal's file in its documented format, written without the agent's writer."""

    def __init__(self, folder: Path, box: str = BOX) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._box = box
        self._db = sqlite3.connect(folder / "journal.db", isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
            "CREATE TABLE record(seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, body BLOB, leaf BLOB, link BLOB);"
            "CREATE TABLE checkpoint(epoch INTEGER, size INTEGER, note TEXT, PRIMARY KEY(epoch, size)) WITHOUT ROWID;"
        )
        self._link = bytes(32)
        self.epoch = 1
        self.next = 1
        self.bodies: dict[tuple[int, int], bytes] = {}

    @property
    def head(self) -> tuple[int, int]:
        return (self.epoch, self.next - 1)

    def add(self, kinds: Iterable[str] | int = 1, *, at_ms: int | None = None, **more: Any) -> list[Record]:
        """Append records: so many, or one of each kind."""
        kinds = ["access.granted"] * kinds if isinstance(kinds, int) else list(kinds)
        records = [
            make_record(self.next + index, kind, epoch=self.epoch, at_ms=at_ms, box=self._box, **more)
            for index, kind in enumerate(kinds)
        ]
        self._db.execute("BEGIN")
        for record in records:
            body = encode(record)
            leaf = leaf_hash(body)
            self._link = link_hash(self._link, leaf)
            self._db.execute(
                "INSERT INTO record VALUES(?, ?, ?, ?, ?)", (record.seq, record.epoch, body, leaf, self._link)
            )
            self.bodies[record.ref] = body
        self._db.execute("COMMIT")
        self.next += len(records)
        return records

    def cut_back(self, seq: int) -> None:
        """Lose the tail, as a lying card does, and go on in a new epoch."""
        self._db.execute("DELETE FROM record WHERE seq > ?", (seq,))
        self.epoch += 1
        self.next = seq + 1

    def evict(self, seqs: Iterable[int]) -> None:
        self._db.executemany("UPDATE record SET body=NULL WHERE seq=?", [(seq,) for seq in seqs])

    def checkpoint(self, note: str) -> None:
        self._db.execute("INSERT INTO checkpoint VALUES(?, ?, ?)", (self.epoch, self.next - 1, note))

    def close(self) -> None:
        self._db.close()


class FakeControl:
    """Control's side of `docs/local-socket.md`, scripted by the test."""

    def __init__(self, folder: Path, journal: SmallJournal) -> None:
        self.path = folder / "run" / "control.sock"
        self.journal = journal
        self.asked: list[dict[str, Any]] = []
        self.open_alarms: list[dict[str, Any]] = []
        self.order_keys: list[bytes] = []
        self.measured: dict[str, Any] = {"scanned": True, "lanes": [], "doors": []}
        self.mute = False
        self.quick = asyncio.Event()  # cleared: it takes its time to tell its state
        self.quick.set()
        self._server: asyncio.Server | None = None
        self._subscribers: list[asyncio.StreamWriter] = []
        self._peers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path=str(self.path))
        self._beat = asyncio.create_task(self._tell_state())

    async def _tell_state(self) -> None:
        while True:
            await asyncio.sleep(2)
            self.tell({"op": "state", "state": self.state()})

    async def stop(self) -> None:
        assert self._server is not None
        self._beat.cancel()
        self._server.close()
        for writer in list(self._peers):
            writer.transport.abort()
        self._subscribers.clear()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    def tell(self, message: dict[str, Any] | bytes) -> None:
        """One line to every subscriber."""
        line = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        for writer in self._subscribers:
            writer.write(line)

    def head(self) -> None:
        self.tell({"op": "head", "epoch": self.journal.epoch, "seq": self.journal.next - 1})

    def alarm(self, record: Record, *, durable: bool = True) -> None:
        self.tell({"op": "alarm", "record": msgspec.to_builtins(record), "durable": durable})

    def add(self, kinds: Iterable[str] | int = 1, **more: Any) -> list[Record]:
        """Append to the journal and tell of it."""
        records = self.journal.add(kinds, **more)
        self.head()
        return records

    def state(self) -> dict[str, Any]:
        head = self.journal.next - 1
        return {
            "epoch": self.journal.epoch,
            "head": head,
            "panic": {"alarms": self.open_alarms},
            "journal": {"durable": head, "headroom_days": 400},
        } | self.measured

    def stages(self, ref: tuple[int, int]) -> list[str]:
        return [m["stage"] for m in self.asked if m["op"] == "stage" and (m["epoch"], m["seq"]) == ref]

    def paths(self) -> list[bool]:
        return [m["up"] for m in self.asked if m["op"] == "path"]

    @property
    def synced(self) -> tuple[int, int]:
        found = [(m["epoch"], m["seq"]) for m in self.asked if m["op"] == "synced"]
        return found[-1] if found else (0, 0)

    @property
    def subscribed(self) -> bool:
        return bool(self._subscribers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers.add(writer)
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if message["op"] == "state":
                    await self.quick.wait()
                if not self.mute:
                    writer.write(json.dumps(self._answer(message, writer)).encode() + b"\n")
                if message["op"] == "subscribe":
                    self.head()
                    self.tell({"op": "state", "state": self.state()})
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._peers.discard(writer)
            if writer in self._subscribers:
                self._subscribers.remove(writer)
            writer.close()

    def _answer(self, message: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        match message["op"]:
            case "subscribe":
                self._subscribers.append(writer)
                return {"op": "subscribed", "epoch": self.journal.epoch, "head": self.journal.next - 1}
            case "state":
                return {"op": "state", "state": self.state()}
            case "order_keys":
                return {"op": "order_keys", "keys": [key.hex() for key in self.order_keys]}
            case "ping":
                return {"op": "pong", "turns": 1}
            case _:
                self.asked.append(message)
                return {"op": "done", "ok": True}


Running = Callable[[Site], AbstractAsyncContextManager[Uplink]]


@contextlib.asynccontextmanager
async def running_uplink(site: Site) -> AsyncIterator[Uplink]:
    """The role in this loop, left in order at the end."""
    uplink = Uplink(site, site.uplink.mqtt)
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await uplink.close()


class Child:
    """A process that a test starts, reads one JSON line from where it prints one, and ends as it likes."""

    def __init__(self, *arguments: str, ready_line: bool) -> None:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE if ready_line else None, env=env, cwd=ROOT
        )
        self.ready: dict[str, Any] = {}
        if ready_line:
            assert self._process.stdout is not None
            self.ready = json.loads(self._process.stdout.readline())

    @property
    def pid(self) -> int:
        return self._process.pid

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(60)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        self.end(signal.SIGKILL)


class DistrictView:
    """A district asked over its HTTP."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self.http = http
        self.url = url

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(self.url + path, params=query)
        answer.raise_for_status()
        return answer.json()

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        return (await self.http.post(self.url + path, json=body)).json()

    async def box(self) -> dict[str, Any]:
        boxes = (await self.get("/boxes"))["boxes"]
        found: dict[str, Any] = next((b for b in boxes if (b["site"], b["box"]) == (SITE, BOX)), {})
        return found

    async def position(self) -> tuple[int, int]:
        box = await self.box()
        return (box["position"]["epoch"], box["position"]["seq"]) if box else (0, 0)

    async def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            since = found[-1]["seq"] if found else 0
            page = (await self.get("/records", box=f"{SITE}/{BOX}", since=since, limit=10_000))["records"]
            if not page:
                return found
            found += page

    async def alarms(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("/alarms"))["alarms"]
        return found


class DistrictHere(DistrictView):
    """The district in this process, its page asked without a server: quick to start, cannot be killed."""

    def __init__(self, folder: Path, port: int) -> None:
        db = folder / "district.db"
        self._district = District(("127.0.0.1", port), db)
        self._district.start()
        self._district.wire.wait(60)
        app = make_app(self._district.writer, db, lambda: self._district.wire.connected)
        super().__init__(httpx.AsyncClient(transport=httpx.ASGITransport(app)), "http://district")

    async def close(self) -> None:
        await self.http.aclose()
        await asyncio.to_thread(self._district.stop)


class DistrictChild(DistrictView):
    """`python -m sim.district` as a process."""

    def __init__(self, folder: Path, port: int, *arguments: str) -> None:
        self._arguments = ("-m", "sim.district", "--broker", f"127.0.0.1:{port}", "--db", str(folder / "district.db"))
        self._more = arguments
        super().__init__(httpx.AsyncClient(), "")
        self.restart()

    def restart(self) -> None:
        self._child = Child(*self._arguments, "--http", "0", *self._more, ready_line=True)
        self.url = self._child.ready["url"]

    def kill(self) -> None:
        self._child.kill()

    async def close(self) -> None:
        await self.http.aclose()
        await asyncio.to_thread(self._child.end)


class UplinkChild:
    """The role `uplink` as a process of its own, with the shorter waits of the fixture `impatient`.

    `ack_s`: a broker that does not acknowledge for so long is gone. `bug`: code run first, to prove that a test bites.
    """

    def __init__(self, site: Site, ack_s: float = 5.0, bug: str = "") -> None:
        self._text = msgspec.json.encode(site).decode()
        self._ack_s = ack_s
        self._bug = bug
        self.start()

    def start(self) -> None:
        code = (
            "import asyncio, functools, sys, logging; logging.basicConfig(level=logging.ERROR)\n"
            "import msgspec; from hardware.site import Site; from agent.uplink import role\n"
            "from agent.uplink import alarms, cursor, outbox, records\n"
            "outbox.STALL_S, records.TURN_S, cursor.SAVE_EVERY_S, alarms.RESEND_S = 1.0, 0.2, 0.05, 0.5\n"
            "role.Settings = functools.partial(role.Settings, ack_s=float(sys.argv[2]), keepalive_s=2)\n"
            f"{self._bug}\n"
            "asyncio.run(role.run(msgspec.json.decode(sys.argv[1], type=Site)))"
        )
        self._child = Child("-c", code, self._text, str(self._ack_s), ready_line=False)

    @property
    def pid(self) -> int:
        return self._child.pid

    def kill(self) -> None:
        self._child.kill()


async def until(check: Callable[[], Any | Awaitable[Any]], limit_s: float = 60.0, what: str = "") -> Any:
    """Wait until `check` gives something true; fail loudly if it does not within the limit."""
    end = time.monotonic() + limit_s
    while True:
        value = check()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < end, f"not within {limit_s} s: {what or check}"
        await asyncio.sleep(0.02)


async def connected(control: FakeControl) -> None:
    await until(lambda: control.paths() and control.paths()[-1], what="the path is up")
