"""One open journal file: group commits, checkpoints, and moving SQLite's log into the file. Used by one thread only.

The hot path gives the interpreter lock away as rarely as it can: a group is one or a few multi-row statements, and a
small group without anything else is a single statement that commits by itself. With a busy event loop beside it, every
hand-over of that lock may cost milliseconds.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import msgspec

from agent.core.records import Record, encode
from agent.journal.checkpoint import Checkpoint, Signer, sign
from agent.journal.errors import Damaged, Trouble
from agent.journal.head import LATCHED, Head, load_head
from agent.journal.schema import about, connect_writer

CHECKPOINT_RECORDS = 100
PANIC = "panic.pressed"
BESIDE_PAGES = 64  # D: a generous guess of the pages that a step of pruning or eviction touches
_SINGLE_STATEMENT = 16  # groups up to this size are one statement of exactly that many rows
_CHUNKS = (64, 32, 16)
_sha256 = hashlib.sha256
Connect = Callable[[Path], sqlite3.Connection]
Statement = tuple[str, list[object]]


class Mark(msgspec.Struct, frozen=True):
    """A place in a tree that gets a checkpoint once it is durable."""

    epoch: int
    size: int
    root: bytes
    seq: int
    link: bytes
    frontier: bytes


class _Draft(msgspec.Struct):
    """A group worked out but not yet written."""

    head: Head
    values: list[object]
    marks: list[Mark]
    latched: tuple[int, int] | None = None
    latched_body: bytes = b""


class Store:
    """The open file. Raises Damaged, Trouble, sqlite3.Error; after an error nothing of the group is written.

    `latched_body` is the newest latch picture committed here, for the copy beside the journal.
    """

    def __init__(self, path: Path, key: Signer, site_box: str, connect: Connect = connect_writer) -> None:
        self._key = key
        self._site_box = site_box
        self._connection = connect(path)
        try:
            self._check_owner()
            self.head = load_head(self._connection, key.public)
        except BaseException:
            self.close()
            raise
        self._disowned = 0
        self.signed: tuple[int, int, float] | None = None  # newest checkpoint of this opening: epoch, size, monotonic s
        self._marks: list[Mark] = []
        self._notes: list[tuple[Mark, str]] = []
        self.latched_body = b""
        self.log_pages = 0  # pages in SQLite's log, a generous guess

    def _check_owner(self) -> None:
        site_box, _ = about(self._connection)
        if site_box != self._site_box:
            raise Damaged(f"this journal is of {site_box}, not of {self._site_box}")

    @property
    def connection(self) -> sqlite3.Connection:
        """For the house-keeping in `retention`, in the same thread."""
        return self._connection

    def close(self) -> None:
        self._connection.close()

    # ── records ────────────────────────────────────────────────────────────────────────────────────────────────

    def commit(self, records: Sequence[Record], beside: Sequence[Statement] = ()) -> None:
        """Write a group, with the checkpoints that are signed by now, in one transaction. Durable when it returns.

        `beside` is what the same transaction does to older rows, before the group.
        """
        draft = self._draft(records)
        self._write(draft.values, draft.latched, beside)
        self.head = draft.head
        self._marks += draft.marks
        self._notes.clear()
        self.log_pages += 2 + len(records) // 8 + (BESIDE_PAGES if beside else 0)
        if draft.latched is not None:
            self.latched_body = draft.latched_body

    def check_follows(self, record: Record) -> None:
        """Raises Damaged if this record cannot be the next of this file."""
        if record.seq != self.head.seq + 1 or record.epoch < self.head.epoch:
            raise Damaged(f"the journal ends at record {self.head.ref}, but {record.ref} comes next")

    def _draft(self, records: Sequence[Record]) -> _Draft:
        """Work a group out. Whole lists at a time: this and the disk are what a record costs."""
        head = Head(self.head.base(), self.head.marked)
        first, last = records[0], records[-1]
        self.check_follows(first)
        assert last.seq == first.seq + len(records) - 1, "append takes only numbers that follow"
        bodies = _bodies(records)
        leaves = [_sha256(b"\0" + body).digest() for body in bodies]  # leaf_hash of core.records, without its call
        links, link = [], head.link
        for leaf in leaves:
            link = _sha256(link + leaf).digest()
            links.append(link)
        kinds = [record.kind for record in records]
        epochs = [record.epoch for record in records]
        rows = zip(range(first.seq, last.seq + 1), epochs, bodies, leaves, links, strict=True)
        draft = _Draft(head, list(chain.from_iterable(rows)), [])
        self._grow(draft, epochs, kinds, leaves, links)
        if LATCHED in kinds:
            at = len(kinds) - 1 - kinds[::-1].index(LATCHED)
            draft.latched, draft.latched_body = records[at].ref, bodies[at]
        return draft

    def _grow(
        self, draft: _Draft, epochs: list[int], kinds: list[str], leaves: list[bytes], links: list[bytes]
    ) -> None:
        """Move the draft's head over the group, marking it at every panic, every 100 records and an epoch's end."""
        head, start = draft.head, 0
        while start < len(leaves):
            if epochs[start] != head.epoch:
                self._mark(head, draft.marks)
                head.begin_epoch(epochs[start])
            room = CHECKPOINT_RECORDS + head.marked - head.frontier.size  # after a kill even less than none
            end = min(len(leaves), start + max(1, room))
            if epochs[end - 1] != head.epoch:
                end = next(at for at in range(start, end) if epochs[at] != head.epoch)
            if PANIC in kinds[start:end]:
                end = kinds.index(PANIC, start, end) + 1
            head.frontier.extend(leaves[start:end])
            head.seq += end - start
            head.link = links[end - 1]
            if kinds[end - 1] == PANIC or head.frontier.size - head.marked >= CHECKPOINT_RECORDS:
                self._mark(head, draft.marks)
            start = end

    def _write(self, values: list[object], latched: tuple[int, int] | None, beside: Sequence[Statement]) -> None:
        statements = [*beside, *inserts(values)]
        if len(statements) == 1 and latched is None and not self._notes:
            self._connection.execute(*statements[0])
            return
        if latched is not None:
            statements.append(("INSERT OR REPLACE INTO pointer VALUES('latched', ?, ?)", list(latched)))
        self.in_one_go(statements + self._note_statements())

    def in_one_go(self, statements: list[Statement]) -> None:
        """One transaction. Raises sqlite3.Error, and then nothing of it is written."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for statement, parameters in statements:
                execute(statement, parameters)
            execute("COMMIT")
        except BaseException:
            self.roll_back()
            raise

    def holds(self, records: Sequence[Record]) -> bool:
        """Whether exactly these records are in the file. Raises sqlite3.Error."""
        for record in records:
            row = self._connection.execute("SELECT body FROM record WHERE seq = ?", (record.seq,)).fetchone()
            if row is None or row[0] != encode_always(record):
                return False
        return True

    def roll_back(self) -> None:
        """End a transaction that failed; SQLite may have ended it already."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    # ── checkpoints ────────────────────────────────────────────────────────────────────────────────────────────

    def disown(self, epoch: int) -> None:
        """Sign nothing more over this epoch and those before it, not even what is marked already."""
        self._disowned = max(self._disowned, epoch)
        self._marks = [mark for mark in self._marks if mark.epoch > self._disowned]
        self._notes = [(mark, note) for mark, note in self._notes if mark.epoch > self._disowned]

    def _mark(self, head: Head, marks: list[Mark]) -> None:
        frontier = head.frontier
        if head.epoch <= self._disowned:
            return
        if frontier.size > head.marked:
            head.marked = frontier.size
            marks.append(Mark(head.epoch, frontier.size, frontier.root(), head.seq, head.link, frontier.to_bytes()))

    def mark(self) -> None:
        """Ask for a checkpoint of what is durable now, if there is news since the last."""
        self._mark(self.head, self._marks)

    def sign(self) -> int:
        """Sign what was marked. Everything marked is durable: marks come here only after their commit."""
        for mark in self._marks:
            note = sign(
                Checkpoint(site_box=self._site_box, epoch=mark.epoch, size=mark.size, root=mark.root), self._key
            )
            self._notes.append((mark, note.decode()))
            self.signed = (mark.epoch, mark.size, time.monotonic())
        count = len(self._marks)
        self._marks.clear()
        return count

    def save_notes(self) -> bool:
        """Write the signed checkpoints by themselves. With records to come they ride along in `commit` instead."""
        if not self._notes:
            return False
        self.in_one_go(self._note_statements())
        self._notes.clear()
        self.log_pages += 4
        return True

    def _note_statements(self) -> list[Statement]:
        if not self._notes:
            return []
        inserts: list[Statement] = [
            ("INSERT OR IGNORE INTO checkpoint VALUES(?, ?, ?)", [mark.epoch, mark.size, note])
            for mark, note in self._notes
        ]
        last = self._notes[-1][0]
        resume = [last.epoch, last.size, last.seq, last.link, last.frontier]
        return [*inserts, ("INSERT OR REPLACE INTO resume VALUES(1, ?, ?, ?, ?, ?)", resume)]

    # ── SQLite's log ───────────────────────────────────────────────────────────────────────────────────────────

    def move_log(self) -> None:
        """Copy SQLite's log into the file and sync it; readers are not disturbed."""
        row = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        _, in_log, moved = row
        self.log_pages = max(0, in_log - moved)

    def settle(self) -> None:
        """After a write error: write everything once more to where it belongs, so that a page the system wrongly
        believes written is written; and prove that the disk takes writes again. Raises Trouble, sqlite3.Error."""
        _, in_log, moved = self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        if moved < in_log:
            raise Trouble("somebody reads the journal so long that it cannot be put in order")
        self._connection.execute("UPDATE about SET value = value WHERE name = 'format'")
        self.log_pages = 0


_ROW = "(?,?,?,?,?)"
_STATEMENTS = {
    rows: "INSERT INTO record VALUES " + ",".join([_ROW] * rows)
    for rows in {*range(1, _SINGLE_STATEMENT + 1), *_CHUNKS}
}


def inserts(values: list[object]) -> list[Statement]:
    """The statements that insert all rows, five values each, in as few calls as possible."""
    left = len(values) // 5
    if left <= _SINGLE_STATEMENT:
        return [(_STATEMENTS[left], values)] if left else []
    statements, at = [], 0
    while left:
        rows = next((size for size in _CHUNKS if size <= left), left)
        statements.append((_STATEMENTS[rows], values[at * 5 : (at + rows) * 5]))
        at, left = at + rows, left - rows
    return statements


def _bodies(records: Sequence[Record]) -> list[bytes]:
    try:
        return [encode(record) for record in records]
    except (TypeError, ValueError, OverflowError, RecursionError):
        return [encode_always(record) for record in records]


def encode_always(record: Record) -> bytes:
    """The canonical body; where `data` breaks the format, one that says so: a bad record must not stop the journal."""
    try:
        return encode(record)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        data = {"unencodable": type(error).__name__}
        return encode(
            msgspec.structs.replace(
                record, actor=_plain(record.actor), subject=_plain(record.subject), data=data, kind=_plain(record.kind)
            )
        )


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
