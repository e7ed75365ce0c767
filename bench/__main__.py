"""`make bench`: measures the box against bare floors in the same run; `bench/out/latest.json` and a table.

`python -m bench --n 200 --only idle,journal` runs a part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import fleet, journal_rate, journal_size, latency, pages, people, whole
from bench.stats import table

OUT = Path(__file__).parent / "out"
DRAIN_RECORDS = 250_000
STARTS = 20
Row = tuple[str, str, str, str, str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--n", type=int, default=200, help="presses for each condition")
    parser.add_argument("--only", default="", help="comma-separated names of parts: journal, drain, start …")
    arguments = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    parts = _parts(arguments.n)
    wanted = [name for name in arguments.only.split(",") if name] or list(parts)
    if unknown := [name for name in wanted if name not in parts]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(parts)}")
    results: dict[str, Any] = {"machine": _machine()}
    for name in wanted:
        print(f"measuring: {name}", flush=True)
        results[name] = parts[name]()
        (OUT / "latest.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(_table(results))
    return 0


def _parts(n: int) -> dict[str, Callable[[], Any]]:
    slow = _slow_library()
    parts: dict[str, Callable[[], Any]] = {
        "journal": journal_rate.measure,
        "million": journal_size.measure,
        "people": people.measure,
        "fleet": fleet.measure,
        "drain": lambda: whole.drain(DRAIN_RECORDS),
        "start": lambda: whole.start_to_first_press(STARTS),
        "roles": whole.idle,
        "pages": pages.measure,
    }
    for condition in latency.CONDITIONS:
        if condition.slow_disk and not slow:
            print("no C compiler: the slow disk is not measured")
            continue
        parts[condition.name] = lambda condition=condition: latency.measure(condition, n, slow)  # type: ignore[misc]
    return parts


def _slow_library() -> str:
    """Build the slow disk; "" without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return ""
    library = OUT / "slow_sync.so"
    source = Path(__file__).with_name("slow_sync.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
    return str(library)


def _machine() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────

TARGETS = {
    ("modbus", False): "p99 ≤ 2 × floor",
    ("durable", False): "p99 ≤ 2 × floor",
    ("broker", False): "p99 ≤ 3 × floor",
}


def _table(results: dict[str, Any]) -> str:
    rows: list[Row] = []
    for condition in latency.CONDITIONS:
        rows += _latency_rows(condition, results.get(condition.name, {}))
    for name, told in results.get("journal", {}).items():
        target = "≥ 0.45" if name == "group 100" else "≥ 0.7"
        rows.append((f"durable records/s, {name}", str(told["ours"]), str(told["floor"]), str(told["ratio"]), target))
    if "million" in results:
        rows += _million_rows(results["million"])
    if "fleet" in results:
        rows += _fleet_rows(results["fleet"])
    if "people" in results:
        rows += _people_rows(results["people"])
    if "drain" in results:
        told = results["drain"]
        rows.append(
            (f"drain to receipts, {told['records']} records", f"{told['records_per_s']}/s", "", "", "≥ 30000/s")
        )
        live = told["live_press"]
        rows.append((f"press → district while draining (n={live['n']})", _ms(live), "", "", "≤ 2000 ms"))
    for name, told in results.get("start", {}).items():
        rows.append((f"start, button held → {name} (n={told['n']})", _ms(told), "", "", "≤ 500 ms"))
    for role, told in results.get("roles", {}).items():
        target = {"control": "≤ 45 MB", "all": "≤ 130 MB, ≤ 2 %"}.get(role, "")
        rows.append((f"idle, {role}", f"{told['pss_mb']} MB, {told['cpu_percent']} %", "", "", target))
    if "pages" in results:
        rows += _pages_rows(results["pages"])
    return table(rows)


def _pages_rows(told: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    if paint := told["paint"]:
        name = f"status page, first paint (n={paint['ours']['n']})"
        rows.append((name, _ms(paint["ours"]), _ms(paint["floor"]), str(paint["ratio"]), "≤ 1000 ms"))
    targets = {"1": "≤ 1 %, ≤ 45 MB", "20": "≤ 5 %, ≤ 45 MB"}
    for count, cost in told["open"].items():
        text = f"{cost['cpu_percent']} % of a core, {cost['pss_mb']} MB"
        rows.append((f"web role, {count} pages open, nothing happens", text, "", "", targets.get(count, "")))
    return rows


def _million_rows(told: dict[str, Any]) -> list[Row]:
    name = f"journal of {told['records']} records"
    size = f"{told['megabytes']} MB, {told['bytes_per_record']} bytes each"
    return [
        (f"{name}, size", size, "", "", ""),
        (f"{name}, start", f"{told['open_ms']} ms", "", "", "≤ 100 ms"),
        (f"{name}, start on it damaged → new epoch", f"{told['damaged_s']} s", "", "", "≤ 30 s"),
        (f"{name}, verify all", f"{told['verify_s']} s", f"{told['verify_floor_s']} s", str(told["verify_ratio"]), ""),
    ]


def _fleet_rows(told: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for workers in (1, 2):
        rate, name = told[f"workers {workers}"], f"fleet of {told['boxes']} boxes, workers: {workers}"
        rows.append((f"{name}, records/s", str(rate["records_per_s"]), str(told["floor"]), str(rate["ratio"]), ""))
        rows.append((f"{name}, processor µs a record", _costs(rate), "", "", ""))
    storm, live = told["storm"], told["live"]
    name = f"fleet, one record a message at {live['records_per_s']}/s, processor µs a record"
    rows.append((name, _costs(live), "", "", ""))
    name = f"broker back, {told['boxes']} boxes with {storm['records']} records"
    rows.append((f"{name}, all received", f"{storm['drained_s']} s", "", "", ""))
    rows.append((f"{name}, alarm → receipt (n={storm['alarm_ms']['n']})", _ms(storm["alarm_ms"]), "", "", ""))
    return rows


def _costs(told: dict[str, Any]) -> str:
    return ", ".join(f"{who} {us}" for who, us in told["cpu_us_per_record"].items())


def _people_rows(told: dict[str, Any]) -> list[Row]:
    name, load, decide = f"{told['cards']} cards", told["load"], told["decide"]
    memory = f"{load['held_mb']} MB, at most {load['peak_mb']} MB"
    return [
        (f"{name}, load", f"{load['load_s']} s", f"{load['floor_s']} s", str(load["ratio"]), "≤ 2 s"),
        (f"{name}, memory beyond the program's", memory, f"{load['plain_mb']} MB", "", ""),
        (f"{name}, loop held while loading", f"{load['loop_held_ms']} ms", "", "", "≤ 25 ms"),
        (f"{name}, decision (n={decide['ours']['n']})", _ms(decide["ours"]), _ms(decide["floor"]), "", "p99 ≤ 1 ms"),
    ]


def _latency_rows(condition: latency.Condition, told: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for hop, values in told.items():
        floor = _ms(values["floor"]) if "floor" in values else ""
        ratios = f"{values['ratio_p50']} / {values['ratio_p99']}" if "floor" in values else ""
        target = TARGETS.get((hop, condition.serial), "")
        if condition.serial and hop == "modbus":
            target = "p99 ≤ 120 ms" if condition.dead_unit else "p99 ≤ 60 ms"
        rows.append(
            (f"press → {hop}, {condition.name} (n={values['ours']['n']})", _ms(values["ours"]), floor, ratios, target)
        )
    return rows


def _ms(told: dict[str, Any]) -> str:
    return f"{told['p50']} / {told['p99']} ms"


if __name__ == "__main__":
    raise SystemExit(main())
