"""Many boxes through the broker and the fleet's receiver into Redis, against raw XADD on the same server.

Everything shares this machine: boxes, broker, workers and Redis. So the rate is the machine's; what a worker costs is
told as processor time for each record.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.core.records import encode
from bench.journal_rate import bench_record
from bench.stats import ratio, summary
from bench.whole import cpu_s
from sim.broker import BrokerProcess, start_broker
from sim.ports import free_port
from sim.redis_server import RedisProcess

BOXES = 100
RECORDS = 1000  # for each box
STORM_RECORDS = 1500
PRESSES_S = 0.05
LIVE = 100  # records for each box, one every 50 ms
FLOOR_S = 3.0
GROUP = 200  # records in one round trip of the floor; about what a box's message holds


def measure() -> dict[str, Any]:
    told: dict[str, Any] = {"boxes": BOXES, "records": BOXES * RECORDS, "floor": round(_floor())}
    for workers in (1, 2):
        with Stage(workers) as stage:
            told[f"workers {workers}"] = stage.rate(told["floor"])
            if workers == 2:
                told["live"] = stage.live()
                told["storm"] = stage.storm()
    return told


def _floor() -> float:
    """Records a second that one client gets into one stream after another, durable, with nothing of ours between.

    Each group is one transaction: without, the server syncs for every 16 kB that it reads.
    """
    import redis

    with tempfile.TemporaryDirectory() as folder:
        server = RedisProcess(Path(folder), free_port())
        server.start()
        client = redis.Redis(port=server.port)
        body, seq, started = encode(bench_record(1)), 0, time.perf_counter()
        while time.perf_counter() - started < FLOOR_S:
            pipe = client.pipeline(transaction=True)
            for at in range(seq + 1, seq + GROUP + 1):
                pipe.xadd(f"box-{seq // GROUP % BOXES}", {"body": body}, id=f"1-{at}")
            pipe.execute()
            seq += GROUP
        rate = seq / (time.perf_counter() - started)
        client.close()
        server.stop()
        return rate


class Stage:
    """Redis, broker, receiver; boxes as asked."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._redis = RedisProcess(folder / "redis", free_port())
        self._redis.start()
        self._stack.callback(self._redis.stop)
        self._broker: BrokerProcess = start_broker(folder / "broker")
        self._stack.callback(self._broker.stop)
        urls = ("--broker", f"127.0.0.1:{self._broker.port}", "--redis", f"redis://127.0.0.1:{self._redis.port}")
        self._fleet = self._child("sim.fleet", *urls, "--workers", str(self._workers))
        self._pids: list[int] = _line(self._fleet)["workers"]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rate(self, floor: float) -> dict[str, Any]:
        """Every box gets its records at once: from then to the last receipt."""
        self._boxes = self._child("bench.fleet_boxes", "--port", str(self._broker.port), "--boxes", str(BOXES))
        _line(self._boxes)
        self._begin({"add": RECORDS})
        started, before = _line(self._boxes)["begun_ns"], self._cpu()
        took_s = (_line(self._boxes)["done_ns"] - started) / 1e9
        total = BOXES * RECORDS
        rate = round(total / took_s)
        return {
            "records_per_s": rate,
            "ratio": ratio(rate, floor),
            "cpu_us_per_record": self._cost(before, total),
        }

    def live(self) -> dict[str, Any]:
        """One record a message, as they come at a gate: what each costs then."""
        self._begin({"live": LIVE})
        started, before = _line(self._boxes)["begun_ns"], self._cpu()
        took_s = (_line(self._boxes)["done_ns"] - started) / 1e9
        return {"records_per_s": round(BOXES * LIVE / took_s), "cpu_us_per_record": self._cost(before, BOXES * LIVE)}

    def storm(self) -> dict[str, Any]:
        """The broker goes, every box gathers a backlog, the broker comes back."""
        self._broker.kill()
        self._begin({"add": STORM_RECORDS, "presses_s": PRESSES_S})
        _line(self._boxes)
        self._broker.start()
        started = time.monotonic_ns()
        told = _line(self._boxes)
        return {
            "records": BOXES * STORM_RECORDS,
            "drained_s": round((told["done_ns"] - started) / 1e9, 2),
            "alarm_ms": summary(told["alarms_ms"]),
        }

    def _begin(self, wanted: dict[str, float]) -> None:
        assert self._boxes.stdin is not None
        self._boxes.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._boxes.stdin.flush()

    def _cost(self, before: dict[str, float], records: int) -> dict[str, float]:
        """Microseconds of a core for each record."""
        return {name: round((cpu - before[name]) / records * 1e6, 1) for name, cpu in self._cpu().items()}

    def _cpu(self) -> dict[str, float]:
        pids = {"redis": self._redis.pid, "broker": self._broker.pid}
        found = {name: cpu_s(pid) for name, pid in pids.items() if pid is not None}
        return found | {"workers": sum(map(cpu_s, self._pids))}

    def _child(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._stack.callback(_end, child)
        return child


def _line(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert child.stdout is not None
    told: dict[str, Any] = json.loads(child.stdout.readline())
    return told


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
