"""What the district has made durable: records without a gap, alarms, checkpoints, and what looked wrong.

One writer owns a `Store`. It takes messages inside `transaction()` and may say "received" only after that block has
ended: the database runs at `synchronous=FULL`, so what it committed survives a power cut.

A box's *position* is the last (epoch, seq) up to which nothing is missing. A message that would leave a gap behind
it is not kept: the box sends again from the last receipt. Only the box itself can close a gap for good, by naming in
`prev` the record that stands before the message in its journal; what is missing then is written down as a hole.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sim.box_messages import NOWHERE, Garbage, Ref, Row, parse_record, parse_records, reach

STAGES = ("received", "acknowledged", "coming", "arrived")
MAX_BOXES = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS box(
  id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
  live INTEGER NOT NULL DEFAULT 0, late INTEGER NOT NULL DEFAULT 0, duplicates INTEGER NOT NULL DEFAULT 0,
  conflicts INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0, garbage INTEGER NOT NULL DEFAULT 0,
  UNIQUE(site, name));
CREATE TABLE IF NOT EXISTS record(
  box INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, lane TEXT NOT NULL,
  received_ms INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(box, epoch, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarm(
  box INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, lane TEXT NOT NULL, stage TEXT NOT NULL,
  by TEXT NOT NULL, received_ms INTEGER NOT NULL, stage_ms INTEGER NOT NULL, copies INTEGER NOT NULL DEFAULT 1,
  body BLOB NOT NULL, PRIMARY KEY(box, epoch, seq));
CREATE TABLE IF NOT EXISTS hole(
  box INTEGER NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoint(
  box INTEGER NOT NULL, received_ms INTEGER NOT NULL, note BLOB NOT NULL, PRIMARY KEY(box, note));
"""


@dataclass(slots=True)
class Gap:
    """Records are missing between `after` and `seen`; the box has been asked to send again."""

    after: Ref
    seen: Ref
    since_ms: int


@dataclass(slots=True)
class Box:
    """One gate box as the district knows it. Counters are since the first contact ever."""

    id: int
    site: str
    name: str
    position: Ref = NOWHERE
    live: int = 0
    late: int = 0
    duplicates: int = 0
    conflicts: int = 0
    gaps: int = 0
    garbage: int = 0
    gap: Gap | None = None
    online: bool | None = None
    session: str = ""
    last_heard_ms: int = 0
    last_receipt_ms: int = 0
    state: dict[str, object] = field(default_factory=dict)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Store:
    """The district's database. Opened by the one thread that writes."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        if self._db.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise RuntimeError("the database does not run at synchronous=FULL: no receipt could be believed")
        self._db.executescript(_SCHEMA)
        self.boxes: dict[tuple[str, str], Box] = {}
        self._touched: set[tuple[str, str]] = set()
        self._load()

    def _load(self) -> None:
        columns = "id, site, name, epoch, seq, live, late, duplicates, conflicts, gaps, garbage"
        for number, site, name, epoch, seq, *counts in self._db.execute(f"SELECT {columns} FROM box"):
            box = self.boxes.setdefault((site, name), Box(number, site, name))
            box.position = (epoch, seq)
            box.live, box.late, box.duplicates, box.conflicts, box.gaps, box.garbage = counts

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Durable when it ends without an error; else nothing of it happened, positions included."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._save_boxes()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            known = {row[0] for row in self._db.execute("SELECT id FROM box")}
            self.boxes = {key: box for key, box in self.boxes.items() if box.id in known}
            self._load()
            raise
        finally:
            self._touched.clear()

    def _save_boxes(self) -> None:
        self._db.executemany(
            "UPDATE box SET epoch=?, seq=?, live=?, late=?, duplicates=?, conflicts=?, gaps=?, garbage=?"
            " WHERE site=? AND name=?",
            [
                (*b.position, b.live, b.late, b.duplicates, b.conflicts, b.gaps, b.garbage, b.site, b.name)
                for b in (self.boxes[key] for key in self._touched)
            ],
        )

    def box(self, site: str, name: str) -> Box:
        """The box, new ones included, to be saved with this transaction. Raises Garbage when there are too many."""
        self._touched.add((site, name))
        found = self.boxes.get((site, name))
        if found is not None:
            return found
        if len(self.boxes) >= MAX_BOXES:
            self._touched.discard((site, name))
            raise Garbage(f"more than {MAX_BOXES} boxes")
        cursor = self._db.execute("INSERT INTO box(site, name, epoch, seq) VALUES(?, ?, 0, 0)", (site, name))
        box = self.boxes[site, name] = Box(cursor.lastrowid or 0, site, name)
        return box

    # ── records ────────────────────────────────────────────────────────────────────────────────────────────────

    def take_records(self, box: Box, payload: bytes) -> Ref:
        """Keep what continues the box's records; count duplicates; leave out what lies beyond a gap.

        Returns what a receipt may say after the commit: the end of this message, or the position if that is less. A
        box that sends again from far back has not sent our position yet in its present life, and would not believe it.
        """
        message, rows = parse_records(f"{box.site}/{box.name}", payload)
        good = reach(box.position, message.prev, rows)
        if good < len(rows):
            self._note_gap(box, rows[good].ref)
        kept = rows[:good]
        if not kept:
            return box.position
        if kept[-1].ref > box.position:
            self._note_holes(box, kept)
            box.position = kept[-1].ref
            if box.gap is not None and box.position >= box.gap.seen:
                box.gap = None
        self._insert(box, kept, message.lane)
        return min(box.position, kept[-1].ref)

    def _insert(self, box: Box, rows: list[Row], lane: str) -> None:
        now = now_ms()
        added = self._db.executemany(
            "INSERT OR IGNORE INTO record VALUES(?, ?, ?, ?, ?, ?, ?)",
            [(box.id, row.ref[0], row.ref[1], row.kind, lane, now, row.body) for row in rows],
        ).rowcount
        if lane == "late":
            box.late += added
        else:
            box.live += added
        if added < len(rows):
            box.duplicates += len(rows) - added
            box.conflicts += self._conflicts(box, rows)

    def _conflicts(self, box: Box, rows: list[Row]) -> int:
        """How many of the rows are kept under the same (epoch, seq) with another body: a restored or forged copy."""
        return sum(
            self._db.execute(
                "SELECT body IS NOT ? FROM record WHERE box=? AND epoch=? AND seq=?", (row.body, box.id, *row.ref)
            ).fetchone()[0]
            for row in rows
        )

    def _note_gap(self, box: Box, seen: Ref) -> None:
        if box.gap is None:
            box.gaps += 1
            box.gap = Gap(box.position, seen, now_ms())

    def _note_holes(self, box: Box, rows: list[Row]) -> None:
        """The box says that nothing stands between our position and its first record; write down what never came."""
        first = next(row.ref for row in rows if row.ref > box.position)
        if first[0] == box.position[0] or box.position == NOWHERE:
            missing = (first[0], box.position[1] + 1, first[1] - 1)
        else:
            missing = (box.position[0], box.position[1] + 1, first[1] - 1)
        if missing[1] <= missing[2]:
            self._db.execute("INSERT INTO hole VALUES(?, ?, ?, ?, ?)", (box.id, *missing, now_ms()))

    # ── alarms and checkpoints ─────────────────────────────────────────────────────────────────────────────────

    def take_alarm(self, box: Box, payload: bytes, lane: str) -> tuple[Ref, str, str, bool]:
        """Keep an alarm. Returns (ref, stage, by, is new): a copy of a known one keeps its stage."""
        row = parse_record(f"{box.site}/{box.name}", payload)
        known = self._db.execute(
            "SELECT stage, by FROM alarm WHERE box=? AND epoch=? AND seq=?", (box.id, *row.ref)
        ).fetchone()
        if known is not None:
            self._db.execute("UPDATE alarm SET copies=copies+1 WHERE box=? AND epoch=? AND seq=?", (box.id, *row.ref))
            return row.ref, known[0], known[1], False
        now = now_ms()
        self._db.execute(
            "INSERT INTO alarm(box, epoch, seq, lane, stage, by, received_ms, stage_ms, body)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (box.id, *row.ref, lane, "received", "district", now, now, row.body),
        )
        return row.ref, "received", "district", True

    def set_stage(self, box: Box, ref: Ref, stage: str, by: str) -> bool:
        """Move an alarm on. False when it is unknown or has already come as far; stages never go back."""
        known = self._db.execute("SELECT stage FROM alarm WHERE box=? AND epoch=? AND seq=?", (box.id, *ref)).fetchone()
        if known is None or STAGES.index(stage) <= STAGES.index(known[0]):
            return False
        self._db.execute(
            "UPDATE alarm SET stage=?, by=?, stage_ms=? WHERE box=? AND epoch=? AND seq=?",
            (stage, by, now_ms(), box.id, *ref),
        )
        return True

    def open_stages(self, box: Box, limit: int = 32) -> list[tuple[Ref, str, str]]:
        """(ref, stage, by) of the newest alarms, oldest first: told again to a box that comes back."""
        rows = self._db.execute(
            "SELECT epoch, seq, stage, by FROM alarm WHERE box=? ORDER BY epoch DESC, seq DESC LIMIT ?", (box.id, limit)
        ).fetchall()
        return [((epoch, seq), stage, by) for epoch, seq, stage, by in reversed(rows)]

    def take_checkpoint(self, box: Box, note: bytes) -> None:
        if len(note) > 64 * 1024:
            raise Garbage("a checkpoint of more than 64 kB")
        self._db.execute("INSERT OR IGNORE INTO checkpoint VALUES(?, ?, ?)", (box.id, now_ms(), note))

    def close(self) -> None:
        self._db.close()
