"""Presses and what came of them, stamped outside the box: at the simulated wire, at a subscriber of the broker."""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent.demo.eyes import requests
from agent.demo.gate import Entry, Gate
from bench.rig import pin_entries, until

NO_PIN = 17
STOPPED_S = 0.6  # a raise is refused for half a second after a stop


@dataclass
class Samples:
    """Milliseconds by hop."""

    hops: dict[str, list[float]] = field(default_factory=dict)

    def add(self, hop: str, ns: float) -> None:
        self.hops.setdefault(hop, []).append(ns / 1e6)


class SocketWatch:
    """Listens at control's socket for the hops that only the box can see (when a record was on disk)."""

    def __init__(self, path: Path) -> None:
        self._peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._peer.connect(str(path))
        self._peer.sendall(b'{"op":"subscribe","from_seq":0}\n')
        self.durable_ns: dict[tuple[int, int], int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with self._peer.makefile() as lines:
            for line in lines:
                if '"latency"' not in line:
                    continue
                told = json.loads(line)
                if "durable_us" in told["hops"]:
                    epoch, seq = told["ref"]
                    self.durable_ns[epoch, seq] = told["edge_ns"] + told["hops"]["durable_us"] * 1000

    def wait_other(self, known: set[tuple[int, int]]) -> int:
        """When the record of a press not known before was on disk."""
        new = until("the record is durable", lambda: set(self.durable_ns) - known, 10)
        return self.durable_ns[new.pop()]

    def close(self) -> None:
        self._peer.close()


class BrokerWatch:
    """A subscriber of the alarm topic: when did each press arrive."""

    def __init__(self, port: int, topic: str) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.arrived_ns: list[int] = []
        self._seen: set[object] = set()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1) and None
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until("the subscriber is connected", self._client.is_connected)
        time.sleep(0.2)

    def _on_message(self, client: object, userdata: object, message: object) -> None:
        now = time.monotonic_ns()
        record = json.loads(getattr(message, "payload", b"{}"))
        if record.get("kind") == "panic.pressed" and record["seq"] not in self._seen:
            self._seen.add(record["seq"])
            self.arrived_ns.append(now)

    def wait(self, number: int) -> int:
        """When the press of that number (from 0) arrived."""
        until("the alarm arrives", lambda: len(self.arrived_ns) > number, 10)
        return self.arrived_ns[number]

    def close(self) -> None:
        self._client.loop_stop()
        self._client.disconnect()


def press(gate: Gate) -> int:
    """Press for 0.1 s; returns the wire's ns of the edge."""
    asked = gate.do("press", button="gatehouse", hold_s=0.1)
    time.sleep(0.11)
    return int(until("the edge", lambda: pin_entries(gate.wire(asked), NO_PIN, 0))[0]["ns"])


def first_ack(gate: Gate, edge_ns: int) -> tuple[int, int]:
    """(request ns, reply ns) of the first raise request after the edge."""
    found = until("a raise request", lambda: requests(gate, "main", edge_ns, "efo"), 3.0)[0]

    def reply() -> Entry | None:
        later = (e for e in gate.wire(int(found["ns"]) - 1) if e["kind"] == "frame" and e["dir"] == "reply")
        return next((e for e in later if _belongs(found, e)), None)

    return int(found["ns"]), int(until("its confirmation", reply, 3.0)["ns"])


def _belongs(request: Entry, reply: Entry) -> bool:
    """TCP: same transaction. RTU: the next reply. Both echo the request word."""
    return bool(reply["seq"] > request["seq"] and reply["hex"][-12:-4] == request["hex"][-12:-4])


class Guard:
    """What a guard does after each press. The bench's bollard is jammed: its PLC takes every request and confirms it,
    and the bollard stays down, so that it need not be lowered again before the next press. Nothing before the
    confirmation knows of that; after it the lane is faulty and closed, and the guard clears it."""

    def __init__(self, gate: Gate, path: Path) -> None:
        self._gate = gate
        self._peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._peer.connect(str(path))
        self._lines = self._peer.makefile("rw")
        self._commands = 0
        gate.do("fault", device="bollard:main-1", kind="jammed")

    def tidy_up(self) -> None:
        until("the jam is found", self._closed, 5.0)
        self._gate.do("key", key="panic-reset", position="on")
        time.sleep(0.1)
        self._gate.do("key", key="panic-reset", position="off")
        until("the lane is cleared", self._clear, 5.0)
        time.sleep(STOPPED_S)

    def close(self) -> None:
        self._peer.close()

    def _closed(self) -> bool:
        return bool(self._ask({"op": "state"})["state"]["lanes"][0]["closed"])

    def _clear(self) -> bool:
        self._commands += 1
        return bool(
            self._ask(
                {
                    "op": "command",
                    "id": f"bench-{self._commands}",
                    "rank": "console",
                    "actor": "bench",
                    "verb": "lane_clear_fault",
                    "args": {"lane": "main"},
                }
            )["ok"]
        )

    def _ask(self, message: dict[str, object]) -> Entry:
        self._lines.write(json.dumps(message) + "\n")
        self._lines.flush()
        answer: Entry = json.loads(self._lines.readline())
        return answer
