"""Many boxes in one process, for the bench: the agent's own lanes on their own connections, journals in memory.

`python -m bench.fleet_boxes --port N --boxes B` connects them. Each line on standard input is a round:
{"add": R, "presses_s": S}, R new records for each box and an alarm at a random box every S seconds until all are
received; or {"live": N}, N records for each box, one every LIVE_S. Every round prints {"begun_ns"} once the records are
there, and {"done_ns", "alarms_ms"} when everything has a receipt.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from agent.core.records import Record, encode, utc_text
from agent.core.words import ClockTrust, Stage
from agent.uplink.alarms import AlarmLane
from agent.uplink.backoff import BackOff
from agent.uplink.batch import Ref, Row
from agent.uplink.mqtt import BrokerLost, Connection, Settings
from agent.uplink.records import RecordLane
from agent.uplink.source import Source
from agent.uplink.state import OFFLINE, StateLane
from agent.uplink.topics import Topics

SITE = "bench"
LATE_MS = 3_600_000
LIVE_S = 0.05
WARM_RECORDS = 10  # so many for each box first: they bring it to the receiver's notice


class Journal:
    """Rows in memory, as the journal's reader gives them."""

    def __init__(self, box: str) -> None:
        self._box = box
        self.rows: list[Row] = []

    def add(self, kind: str, at_ms: int) -> bytes:
        seq = len(self.rows) + 1
        data: dict[str, Any] = {"card": "uart-125k:0100A1B2C3", "door": "wicket", "group": "staff", "why": ""}
        trust = ClockTrust.TRUSTED
        owner = f"{SITE}/{self._box}"
        body = encode(
            Record("box", utc_text(at_ms), "b00t", None, trust, data, 1, kind, seq * 1000, seq, owner, "wicket-in")
        )
        self.rows.append((seq, 1, body))
        return body

    def read(self, from_seq: int, limit: int, max_bytes: int) -> Sequence[Row]:
        found: list[Row] = []
        size = 0
        for row in self.rows[from_seq - 1 : from_seq - 1 + limit]:
            size += len(row[2] or b"")
            if found and size > max_bytes:
                break
            found.append(row)
        return found

    def checkpoint(self) -> None:
        return None

    def close(self) -> None:
        return None


class Box:
    """One box's lanes; it stands in for control as well. `pressed` is when each alarm still waited for was raised."""

    def __init__(self, name: str, port: int, folder: Path, latencies_ms: list[float]) -> None:
        self.journal = Journal(name)
        self._topics = Topics(f"menwei/v1/{SITE}/{name}/")
        self._settings = Settings("127.0.0.1", port, f"menwei.{SITE}.{name}", self._topics.state, OFFLINE)
        self.alarms = AlarmLane(self._topics.alarm, self)
        source, missed = Source(self.journal), self.alarms.again
        self.records = RecordLane(self._topics.records, source, folder / name, self, missed)  # type: ignore[arg-type]
        self._state = StateLane(self._topics.state)
        self.pressed: dict[Ref, float] = {}
        self._latencies_ms = latencies_ms

    def add(self, records: int, age_ms: int = LATE_MS) -> None:
        """Records of an hour ago: an outage's backlog."""
        at_ms = time.time_ns() // 1_000_000 - age_ms
        for _ in range(records):
            self.journal.add("access.granted", at_ms)
        self.records.head_is((1, len(self.journal.rows)))

    def press(self) -> None:
        body = self.journal.add("panic.pressed", time.time_ns() // 1_000_000)
        self.pressed[1, len(self.journal.rows)] = time.monotonic()
        self.alarms.add(body)
        self.records.head_is((1, len(self.journal.rows)))

    @property
    def done(self) -> bool:
        return self.records.outbox.cursor[1] == len(self.journal.rows) and not self.pressed

    async def live(self) -> None:
        """One connection after another, paused as a box pauses."""
        back_off, loop = BackOff(), asyncio.get_running_loop()
        while True:
            began, served = loop.time(), False
            with suppress(BrokerLost):
                connection = await Connection.open(self._settings, self._take)
                await connection.subscribe(self._topics.down)
                served = True
                await self._serve(connection)
            back_off.lost(served, loop.time() - began)
            await asyncio.sleep(back_off.pause_s(self.alarms.waiting > 0))

    async def _serve(self, connection: Connection) -> None:
        lanes = (self.alarms.run, self.records.run, self._state.run)
        tasks = [asyncio.create_task(lane(connection)) for lane in lanes]
        await asyncio.shield(connection.lost)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._topics.receipt:
            self.records.receipt(payload)
        elif topic == self._topics.alarm_receipt:
            self.alarms.receipt(payload)

    # ── what the lanes tell control ────────────────────────────────────────────────────────────────────────────

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None:
        if stage is Stage.RECEIVED and ref in self.pressed:
            self._latencies_ms.append((time.monotonic() - self.pressed.pop(ref)) * 1000)

    def path(self, path: str, up: bool, why: str = "") -> None: ...

    def given_up(self, path: str, count: int) -> None: ...

    def ahead(self, ref: Ref) -> None: ...


async def _run(options: argparse.Namespace) -> None:
    latencies_ms: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        boxes = [Box(f"gate-{n}", options.port, Path(folder), latencies_ms) for n in range(options.boxes)]
        tasks = [asyncio.create_task(box.live()) for box in boxes]
        await _round(boxes, {"add": WARM_RECORDS})
        while line := await asyncio.to_thread(sys.stdin.readline):
            await _round(boxes, json.loads(line))
            print(json.dumps({"done_ns": time.monotonic_ns(), "alarms_ms": latencies_ms}), flush=True)
            latencies_ms.clear()
        for task in tasks:
            task.cancel()


async def _round(boxes: Sequence[Box], wanted: dict[str, Any]) -> None:
    """New records and alarms as asked, until everything has a receipt."""
    for box in boxes:
        box.add(wanted.get("add", 0))
    print(json.dumps({"begun_ns": time.monotonic_ns()}), flush=True)
    for _ in range(wanted.get("live", 0)):
        for box in boxes:
            box.add(1, 0)
        await asyncio.sleep(LIVE_S)
    presses_s = wanted.get("presses_s", 0.0)
    random, due = Random(7), time.monotonic()
    while not all(box.done for box in boxes):
        backlog = any(box.records.outbox.cursor[1] < len(box.journal.rows) for box in boxes)
        if presses_s and backlog and time.monotonic() >= due:
            due = time.monotonic() + presses_s
            random.choice(boxes).press()
        await asyncio.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet_boxes", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--boxes", type=int, required=True)
    asyncio.run(_run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
