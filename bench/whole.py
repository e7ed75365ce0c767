"""The box as a whole: how fast it starts, what it costs when nothing happens, how fast a backlog drains."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from agent.demo.gate import Entry, Gate, fetch
from agent.journal.opening import open_journal
from agent.journal.writer import Durable, JournalWriter
from bench.journal_rate import bench_record
from bench.rig import Rig, pin_entries, until
from bench.stats import summary

ROLES = ("control", "uplink", "web")
SENT_PIN = 9
IDLE_S = 30.0
TICK = os.sysconf("SC_CLK_TCK")


def start_to_first_press(n: int) -> dict[str, Any]:
    """A button held down while the box is off: from starting the control process to the lamp, and to the alarm's
    hand-over to the uplink (both from the same start)."""
    lamp, handed = [], []
    for _ in range(n):
        with Rig() as rig:
            gate = rig.start_simulator()
            rig.start_broker()
            rig.start_district()
            rig.start_role("uplink")
            time.sleep(2.0)
            gate.do("press", button="gatehouse", hold=True)
            started = time.monotonic_ns()
            rig.start_role("control")
            lamp.append((_lit(gate, started)["ns"] - started) / 1e6)
            alarm = until("the alarm", gate.alarms)[0]
            handed.append((alarm["received_ns"] - started) / 1e6)
    return {"lamp on": summary(lamp), "alarm at the district": summary(handed)}


def _lit(gate: Gate, since_ns: int) -> Entry:
    found: list[Entry] = until("the lamp", lambda: pin_entries(gate.wire(since_ns), SENT_PIN, 1))
    return found[0]


def idle() -> dict[str, Any]:
    """PSS and CPU of each role after everything has settled, nobody watching the page."""
    with Rig() as rig:
        rig.start_simulator()
        rig.start_broker()
        rig.start_district()
        children = {role: rig.start_role(role) for role in ROLES}
        until("the page answers", lambda: fetch(f"http://{rig.site.web.listen[0]}/api/v1/state"))
        time.sleep(15.0)
        pids = {role: child.process.pid for role, child in children.items() if child.process is not None}
        before = {role: cpu_s(pid) for role, pid in pids.items()}
        time.sleep(IDLE_S)
        told: dict[str, Any] = {
            role: {
                "pss_mb": round(pss_kb(pid) / 1024, 1),
                "cpu_percent": round(100 * (cpu_s(pid) - before[role]) / IDLE_S, 2),
            }
            for role, pid in pids.items()
        }
    told["all"] = {
        key: round(sum(told[role][key] for role in ROLES), 2) for key in ("pss_mb", "cpu_percent")
    }  # fmt: skip
    return told


def cpu_s(pid: int) -> float:
    """Seconds of a core that a process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss_kb(pid: int) -> int:
    """Its memory, shared pages counted by share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError("no PSS")


PRESSED_AT = (0.2, 0.5)  # shares of the backlog confirmed when somebody presses


def drain(records: int) -> dict[str, Any]:
    """A box that was offline: how fast its backlog is confirmed by receipts once broker and district are there, and
    how long presses made meanwhile take from the edge to the district's disk."""
    with Rig() as rig:
        _fill(rig, records)
        gate = rig.start_simulator()
        rig.start_role("control")
        until("control serves its socket", rig.socket.exists)
        rig.start_role("uplink")
        time.sleep(2.0)
        rig.start_broker()
        url = rig.start_district()
        began, first = 0.0, 0
        pressed: list[int] = []
        while True:
            seen = _position(url)
            if seen and not began:
                began, first = time.monotonic(), seen
            if len(pressed) < len(PRESSED_AT) and seen >= PRESSED_AT[len(pressed)] * records:
                pressed.append(gate.do("press", button=rig.site.panic_button[0].id))
            if seen >= records:
                break
            time.sleep(0.02)
        took = time.monotonic() - began
        live = [(alarm["received_ns"] - ns) / 1e6 for alarm, ns in zip(gate.alarms(), pressed, strict=True)]
    told = {"records": records, "seconds": round(took, 2), "records_per_s": round((records - first) / took)}
    return told | {"live_press": summary(live)}


def _position(url: str) -> int:
    boxes = fetch(f"{url}/boxes")["boxes"]
    return int(boxes[0]["position"]["seq"]) if boxes else 0


def _fill(rig: Rig, records: int) -> None:
    """A journal as a box would have written it."""
    folder = rig.folder / rig.site.storage.dir
    opened = open_journal(folder, rig.site.site.id, rig.site.site.box)
    done = threading.Event()

    def on_durable(told: Durable) -> None:
        if told.seq >= records:
            done.set()

    site_box = f"{rig.site.site.id}/{rig.site.site.box}"
    writer = JournalWriter(opened.path, opened.key, site_box, on_durable, lambda failing, why: None, ballast_mb=0)
    writer.start()
    for first in range(1, records + 1, 1000):
        writer.append([bench_record(seq) for seq in range(first, min(first + 1000, records + 1))], False)
    done.wait(120)
    writer.close()
