"""A journal of a million records: its size, how long a start takes on it, also where it is found damaged, and how long
a whole verification.

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
        damaged_s = max(_damaged(opened.path, spoil) for spoil in (_spoil_the_end, _spoil_the_header))
    return {
        "records": records,
        "bytes_per_record": round(size / records),
        "megabytes": round(size / 1e6),
        "open_ms": round(open_s * 1e3, 1),
        "damaged_s": round(damaged_s, 2),
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


def _damaged(path: Path, spoil: Callable[[Path], None]) -> float:
    """Seconds from a start that finds the file damaged to a new epoch in a new file; the old one is put back."""
    kept = path.with_name("kept")
    path.rename(kept)
    path.hardlink_to(kept)
    before = set(path.parent.iterdir())
    with kept.open("rb") as file:
        head = file.read(4096)
    spoil(path)
    took = _timed(lambda: open_journal(path.parent, "bench", "box-1"))
    let_go(path.parent)
    aside = set(path.parent.iterdir()) - before
    assert aside, "it was not found damaged"
    for name in (*aside, path):
        name.unlink(missing_ok=True)
    with kept.open("r+b") as file:
        file.write(head)
    kept.rename(path)
    return took


def _spoil_the_end(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE record SET link = zeroblob(32) WHERE seq = (SELECT max(seq) FROM record)")
    connection.close()


def _spoil_the_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(512))


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
