"""Durable records a second, chain and checkpoints included, against raw SQLite at FULL with the same group sizes."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from agent.core.records import Record, encode
from agent.core.words import ClockTrust
from agent.journal.opening import open_journal
from agent.journal.writer import Durable, JournalWriter
from bench.stats import ratio

GROUPS = (1, 10, 100)
SECONDS = 3.0
ROUNDS = 3


def measure() -> dict[str, Any]:
    """The best of three rounds of each, alternating, so that a busy moment of the machine hits neither alone."""
    told: dict[str, Any] = {}
    for group in GROUPS:
        ours, floor = [], []
        for _ in range(ROUNDS):
            floor.append(_raw(group))
            ours.append(_journal(group))
        told[f"group {group}"] = {
            "ours": round(max(ours)),
            "floor": round(max(floor)),
            "ratio": ratio(max(ours), max(floor)),
        }
    return told


def bench_record(seq: int) -> Record:
    """A routine passage, about as long as a real one."""
    data: dict[str, Any] = {"card": "uart-125k:0100A1B2C3", "door": "wicket", "group": "staff", "why": ""}
    return Record(
        "box", "2026-09-01T07:30:00.125Z", "b00t", None, ClockTrust.TRUSTED, data, 1, "access.granted", seq * 1000, seq,
        "bench/box-1", "wicket-in",
    )  # fmt: skip


def _raw(group: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE record(seq INTEGER PRIMARY KEY, epoch INTEGER, body BLOB, leaf BLOB, link BLOB)"
        )
        body, digest = encode(bench_record(1)), bytes(32)
        seq, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            connection.execute("BEGIN")
            rows = [(seq + at, 1, body, digest, digest) for at in range(1, group + 1)]
            connection.executemany("INSERT INTO record VALUES(?,?,?,?,?)", rows)
            connection.execute("COMMIT")
            seq += group
        rate = seq / (time.perf_counter() - started)
        connection.close()
        return rate


def _journal(group: int) -> float:
    """Hand over a group, wait until it is durable, hand over the next."""
    with tempfile.TemporaryDirectory() as folder:
        opened = open_journal(Path(folder), "bench", "box-1")
        durable = threading.Event()
        waited_for = 0

        def on_durable(told: Durable) -> None:
            if told.seq >= waited_for:
                durable.set()

        writer = JournalWriter(
            opened.path, opened.key, "bench/box-1", on_durable, lambda failing, why: None, ballast_mb=0
        )
        writer.start()
        seq, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS:
            records = [bench_record(seq + at) for at in range(1, group + 1)]
            waited_for = seq + group
            durable.clear()
            writer.append(records, False)
            durable.wait(5)
            seq += group
        rate = seq / (time.perf_counter() - started)
        writer.close()
        return rate
