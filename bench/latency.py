"""Press → Modbus write acked, press → durable, press → broker, in each condition, beside its floor."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.demo.processes import python
from bench.presses import BrokerWatch, Guard, Samples, SocketWatch, first_ack, press
from bench.rig import Rig, until
from bench.stats import ratio, summary

BACKGROUND = 6_000
SLOW_US = "15000"


@dataclass(frozen=True)
class Condition:
    name: str
    site: str = "bench"
    background: int = 0
    slow_disk: bool = False
    dead_unit: str = ""

    @property
    def serial(self) -> bool:
        return self.site == "bench-rtu"


CONDITIONS = (
    Condition("idle"),
    Condition("6000 records/s beside", background=BACKGROUND),
    Condition("15 ms sync", slow_disk=True),
    Condition("9600 baud with polls", site="bench-rtu"),
    Condition("9600 baud with one dead unit", site="bench-rtu", dead_unit="board:loops"),
)


def measure(condition: Condition, n: int, slow_library: str) -> dict[str, Any]:
    """One condition: ours and the floors, each hop with n samples."""
    environment = {"LD_PRELOAD": slow_library, "SLOW_SYNC_US": SLOW_US} if condition.slow_disk else {}
    ours = _ours(condition, n, environment)
    floors = {hop: _floor(condition, what, n, environment) for hop, what in _floors(condition)}
    told: dict[str, Any] = {}
    for hop, values in ours.hops.items():
        told[hop] = {"ours": summary(values)}
        if hop in floors:
            told[hop]["floor"] = summary(floors[hop])
            told[hop]["ratio_p50"] = ratio(told[hop]["ours"]["p50"], told[hop]["floor"]["p50"])
            told[hop]["ratio_p99"] = ratio(told[hop]["ours"]["p99"], told[hop]["floor"]["p99"])
    return told


def _floors(condition: Condition) -> tuple[tuple[str, str], ...]:
    if condition.serial:
        return (("modbus", "modbus"),)
    return (("modbus", "modbus"), ("durable", "disk"), ("broker", "broker"))


def _ours(condition: Condition, n: int, environment: dict[str, str]) -> Samples:
    with Rig(condition.site, environment) as rig:
        gate = rig.start_simulator()
        rig.start_broker()
        rig.start_district()
        if condition.dead_unit:
            gate.do("fault", device=condition.dead_unit, kind="dead")
        rig.start_role("control")
        until("control serves its socket", rig.socket.exists)
        rig.start_role("uplink")
        mqtt = rig.site.uplink.mqtt
        assert mqtt is not None
        watch = SocketWatch(rig.socket)
        broker = BrokerWatch(mqtt.port, f"menwei/v1/{rig.site.site.id}/{rig.site.site.box}/alarm")
        if condition.background:
            rig.child("load", python("-m", "bench.load", str(rig.socket), str(condition.background)))
        time.sleep(4.0)
        try:
            return _presses(rig, n, watch, broker)
        finally:
            watch.close()
            broker.close()


def _presses(rig: Rig, n: int, watch: SocketWatch, broker: BrokerWatch) -> Samples:
    samples = Samples()
    gate = rig.gate
    assert gate is not None
    guard = Guard(gate, rig.socket)
    for _ in range(n):
        arrived, durable = len(broker.arrived_ns), set(watch.durable_ns)
        edge_ns = press(gate)
        requested_ns, acked_ns = first_ack(gate, edge_ns)
        samples.add("request", requested_ns - edge_ns)
        samples.add("modbus", acked_ns - edge_ns)
        samples.add("durable", watch.wait_other(durable) - edge_ns)
        samples.add("broker", broker.wait(arrived) - edge_ns)
        guard.tidy_up()
    guard.close()
    return samples


def _floor(condition: Condition, what: str, n: int, environment: dict[str, str]) -> list[float]:
    """The bare floor under the same condition. Nothing polls there, so a bus with polls has no floor of its own."""
    with Rig(condition.site, environment) as rig:
        gate = rig.start_simulator()
        mqtt = rig.site.uplink.mqtt
        assert mqtt is not None
        broker = None
        if what == "broker":
            rig.start_broker()
            broker = BrokerWatch(mqtt.port, f"menwei/v1/{rig.site.site.id}/{rig.site.site.box}/alarm")
        command = python(
            "-m", "bench.floor", what, "--site", str(rig.site_file), "--background", str(condition.background)
        )
        child = rig.child("floor", command, environment)
        child.wait_ready()
        time.sleep(1.0)
        press(gate)  # gpiozero fires nothing for the first change it sees
        time.sleep(0.5)
        before = len(_told(child.log_file))
        values = []
        for number in range(before, before + n):
            edge_ns = press(gate)
            done_ns = until("the floor is done", functools.partial(_done, child.log_file, number), 10)
            if what == "modbus":
                done_ns = first_ack(gate, edge_ns)[1]
            elif broker is not None:
                done_ns = broker.wait(number)
            values.append((done_ns - edge_ns) / 1e6)
            time.sleep(0.03)
        if broker is not None:
            broker.close()
        return values


def _done(log: Path, number: int) -> int:
    lines = _told(log)
    return int(json.loads(lines[number])["done_ns"]) if len(lines) > number else 0


def _told(log: Path) -> list[str]:
    return [line for line in log.read_text("utf-8").splitlines() if '"done_ns"' in line]
