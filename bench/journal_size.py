"""A journal of a million records: its size, how long a start takes on it, and how long a whole verification.

The floor of verifying is reading every row and hashing its body and its link, without judging anything.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.journal.files import let_go
from agent.journal.opening import Opened, open_journal
from agent.journal.store import Store
from agent.journal.verify import verify
from bench.journal_rate import bench_record
from bench.stats import ratio

RECORDS = 1_000_000
GROUP = 500
LOG_PAGES = 2_000


def measure(records: int = RECORDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        opened = open_journal(Path(folder), "bench", "box-1")
        _fill(opened, records)
        let_go(Path(folder))
        size = opened.path.stat().st_size
        open_s = _timed(lambda: open_journal(Path(folder), "bench", "box-1"))
        let_go(Path(folder))
        floor_s = _timed(lambda: _read_and_hash(opened.path))
        verify_s = _timed(lambda: _verified(opened.path))
    return {
        "records": records,
        "bytes_per_record": round(size / records),
        "megabytes": round(size / 1e6),
        "open_ms": round(open_s * 1e3, 1),
        "verify_s": round(verify_s, 2),
        "verify_floor_s": round(floor_s, 2),
        "verify_ratio": ratio(verify_s, floor_s),
    }


def _fill(opened: Opened, records: int) -> None:
    store = Store(opened.path, opened.key, "bench/box-1")
    for first in range(1, records + 1, GROUP):
        store.commit([bench_record(seq) for seq in range(first, first + GROUP)])
        store.sign()
        if store.log_pages > LOG_PAGES:
            store.move_log()
    store.save_notes()
    store.close()


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _verified(path: Path) -> None:
    report = verify(path)
    assert report.ok, report.what


def _read_and_hash(path: Path) -> bytes:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    link = bytes(32)
    for body, leaf in connection.execute("SELECT body, leaf FROM record ORDER BY seq"):
        hashlib.sha256(b"\0" + body).digest()
        link = hashlib.sha256(link + leaf).digest()
    connection.close()
    return link
