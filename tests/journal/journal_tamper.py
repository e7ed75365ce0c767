"""A forger of journals: from a clumsy UPDATE to a rewrite that leaves only the box's key to find it by."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from journal_scenes import FIRST_MS, SITE_BOX, WEIGHTS, evict_all, prune_all, record, records

from agent.core.records import Record, Weight, leaf_hash, link_hash, utc_text
from agent.journal import schema
from agent.journal.checkpoint import Checkpoint, sign
from agent.journal.keys import BoxKey
from agent.journal.merkle import Frontier
from agent.journal.store import Store

ROUTINE = frozenset(kind for kind, weight in WEIGHTS.items() if weight in (Weight.PASSAGE, Weight.FACT))
FORGERS_KEY = BoxKey.generate()


def hurried(path: Path) -> sqlite3.Connection:
    """A forger's journal need not survive a power cut."""
    connection = schema.connect_writer(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


class Original(msgspec.Struct):
    """A true journal: its closed file, the box's key, what was kept elsewhere (the last checkpoint of each epoch), and
    older copies of the file."""

    path: Path
    key: BoxKey
    anchor: bytes
    first: int  # lowest number still in the file
    last: int
    base: tuple[int, bytes]  # (seq, link) before the first record
    copies: list[tuple[Path, int]]  # (file, its last number)


def make_original(folder: Path, dice: random.Random) -> Original:
    """At most 200 records, some evicted, pruned, or in a second epoch; the newest checkpoint covers the last record."""
    folder.mkdir(parents=True)
    path, key = folder / "journal.db", BoxKey.generate()
    schema.create(path, SITE_BOX, schema.Base.first(1))
    total = dice.randint(20, 200)
    turn = dice.randint(2, total) if dice.random() < 0.3 else total + 1
    copies: list[tuple[Path, int]] = []
    seq = 1
    store = Store(path, key, SITE_BOX, hurried)
    while seq <= total:
        count = min(dice.randint(1, 40), total - seq + 1)
        store.commit([_some_record(number, 1 if number < turn else 2, dice) for number in range(seq, seq + count)])
        seq += count
        if dice.random() < 0.5 or seq > total:
            store.mark()
        store.sign()
        store.save_notes()
        if seq <= total and dice.random() < 0.4:
            copies.append((_copy_of(store, path, folder / f"copy-{seq}.db"), seq - 1))
    if dice.random() < 0.3:
        evict_all(store, (9, 0), ROUTINE)
    if dice.random() < 0.3:
        prune_all(store, utc_text(FIRST_MS + dice.randint(1, total - 10) * 60_000))
    notes = store.connection.execute("SELECT note, max(size) FROM checkpoint GROUP BY epoch").fetchall()
    first, last = store.connection.execute("SELECT min(seq), max(seq) FROM record").fetchone()
    base = store.connection.execute("SELECT seq, link FROM pruned ORDER BY seq DESC").fetchone() or (0, bytes(32))
    store.close()
    return Original(
        path,
        key,
        "".join(note for note, _ in notes).encode(),
        first,
        last,
        base,
        [item for item in copies if item[1] < last],
    )


def _some_record(seq: int, epoch: int, dice: random.Random) -> Record:
    return record(seq, dice.choice(list(WEIGHTS)), epoch, note="x" * dice.randint(0, 60))


def _copy_of(store: Store, path: Path, to: Path) -> Path:
    store.settle()
    shutil.copy(path, to)
    return to


# ── the forger's tools ─────────────────────────────────────────────────────────────────────────────────────────────

Row = list[Any]  # [seq, epoch, body, leaf, link]


class Bench:
    """A forged file under the knife: its rows in memory, written back at the end."""

    def __init__(self, original: Original, path: Path, dice: random.Random) -> None:
        shutil.copy(original.path, path)
        self.original, self.path, self.dice = original, path, dice
        self.open()

    def open(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = OFF").fetchall()
        self.db.execute("PRAGMA synchronous = OFF")
        self.rows: list[Row] = [
            list(row) for row in self.db.execute("SELECT seq, epoch, body, leaf, link FROM record ORDER BY seq")
        ]

    def replace_file(self, with_copy: Path) -> None:
        self.db.close()
        shutil.copy(with_copy, self.path)
        self.open()

    def somewhere(self, least: int = 0) -> int:
        """The index of a row."""
        return self.dice.randrange(least, len(self.rows))

    def renumber(self) -> None:
        """Give every row and body the number of its place."""
        for seq, row in enumerate(self.rows, self.original.base[0] + 1):
            if row[0] != seq:
                row[0] = seq
                if row[2] is not None:
                    row[2] = _changed(row[2], seq=seq)

    def rehash(self) -> None:
        """Make every leaf and link fit."""
        link = self.original.base[1]
        for row in self.rows:
            if row[2] is not None:
                row[3] = leaf_hash(row[2])
            link = row[4] = link_hash(link, row[3])

    def forge_checkpoints(self) -> None:
        """Drop the checkpoints, or write ones that fit, with another key or with the true signature lines kept."""
        way = self.dice.choice(("drop", "other key", "old signature"))
        notes = self.db.execute("SELECT epoch, size, note FROM checkpoint").fetchall()
        self.db.execute("DELETE FROM checkpoint")
        if way == "drop":
            return
        for epoch, size, note in notes:
            root = self._root(epoch, size)
            if root is None:
                continue
            text = sign(Checkpoint(SITE_BOX, epoch, size, root), FORGERS_KEY).decode()
            if way == "old signature":
                text = text.partition("\n\n")[0] + "\n\n" + note.partition("\n\n")[2]
            self.db.execute("INSERT INTO checkpoint VALUES(?, ?, ?)", (epoch, size, text))

    def _root(self, epoch: int, size: int) -> bytes | None:
        packed = self.db.execute("SELECT frontier FROM pruned WHERE epoch = ?", (epoch,)).fetchone()
        frontier = Frontier.from_bytes(packed[0]) if packed else Frontier()
        for row in self.rows:
            if row[1] == epoch and frontier.size < size:
                frontier.append(row[3])
        return frontier.root() if frontier.size == size else None

    def cover_up(self) -> None:
        """As much of the trail as this forger cares to hide."""
        effort = self.dice.randrange(4)
        if effort > 0:
            self.renumber()
        if effort > 1:
            self.rehash()
        if effort > 2:
            self.forge_checkpoints()

    def finish(self) -> None:
        self.db.execute("BEGIN")
        self.db.execute("DELETE FROM record")
        seen: set[int] = set()
        for row in self.rows:
            while row[0] in seen:
                row[0] += 1
            seen.add(row[0])
        self.db.executemany("INSERT INTO record VALUES(?, ?, ?, ?, ?)", self.rows)
        self.db.execute("COMMIT")
        self.db.close()


def _changed(body: bytes, **fields: object) -> bytes:
    return json.dumps(json.loads(body) | fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# ── the crimes: each returns the number of the first record that is not the true one ────────────────────────────────


def edit(bench: Bench) -> int:
    held = [row for row in bench.rows if row[2] is not None]
    if not held:
        return edit_hash(bench)
    row = bench.dice.choice(held)
    changes: tuple[dict[str, object], ...] = (
        {"kind": "door.closed"},
        {"at": "2026-01-01T00:00:00.000Z"},
        {"data": {}},
        {"actor": "nobody"},
        {"seq": 0},
    )
    change = bench.dice.choice(changes)
    row[2] = _changed(row[2], **change)
    if bench.dice.random() < 0.3:
        row[3] = leaf_hash(row[2])
    seq: int = row[0]
    bench.cover_up()
    return seq


def edit_hash(bench: Bench) -> int:
    row = bench.rows[bench.somewhere()]
    column = bench.dice.choice((3, 4))
    row[column] = bytes([row[column][0] ^ 1]) + row[column][1:] if bench.dice.random() < 0.7 else b""
    return int(row[0])


def edit_epoch(bench: Bench) -> int:
    row = bench.rows[bench.somewhere()]
    row[1] += bench.dice.choice((-1, 1, 5))
    evicted = row[2] is None  # then only the next row shows it: a body's own epoch is what a row's is held against
    return int(row[0]) + evicted


def delete(bench: Bench) -> int:
    at = bench.dice.randrange(len(bench.rows) - 1)
    count = bench.dice.randint(1, min(5, len(bench.rows) - 1 - at))
    seq: int = bench.rows[at][0]
    del bench.rows[at : at + count]
    bench.cover_up()
    return seq


def insert(bench: Bench) -> int:
    at = bench.somewhere()
    seq, epoch = bench.rows[at][:2]
    new = record(seq, "door.granted", epoch, note="this never happened")
    body = msgspec.json.encode(new, order="sorted")
    bench.rows.insert(at, [seq, epoch, body, leaf_hash(body), bytes(32)])
    bench.cover_up()
    return int(seq)


def swap(bench: Bench) -> int:
    first = bench.dice.randrange(len(bench.rows) - 1)
    second = bench.somewhere(first + 1)
    one, two = bench.rows[first], bench.rows[second]
    for column in bench.dice.choice(((2, 3, 4), (2, 3), (2,))):
        one[column], two[column] = two[column], one[column]
    if one[2] == two[2]:
        one[3], two[3] = two[3], one[3] if one[3] != two[3] else bytes(32)
        one[4] = bytes(32)
    seq: int = one[0]
    bench.cover_up()
    if one[2] is None and two[2] is None:
        one[3] = bytes(32)  # two evicted rows: exchanging their leaves is the crime
    return seq if one[2] is not None else int(two[0])  # a record put where an evicted one was shows at the other place


def truncate(bench: Bench) -> int:
    at = bench.somewhere(1)
    seq: int = bench.rows[at][0]
    del bench.rows[at:]
    sizes = {epoch: _size(bench, epoch) for epoch in (1, 2)}
    if bench.dice.random() < 0.7:
        for epoch, size in sizes.items():
            bench.db.execute("DELETE FROM checkpoint WHERE epoch = ? AND size > ?", (epoch, size))
    return seq


def _size(bench: Bench, epoch: int) -> int:
    packed = bench.db.execute("SELECT frontier FROM pruned WHERE epoch = ?", (epoch,)).fetchone()
    pruned = Frontier.from_bytes(packed[0]).size if packed else 0
    return pruned + sum(1 for row in bench.rows if row[1] == epoch)


def replay(bench: Bench) -> int:
    """An old copy put back: every byte of it is true and signed."""
    if not bench.original.copies:
        return truncate(bench)
    path, last = bench.dice.choice(bench.original.copies)
    bench.replace_file(path)
    return last + 1


def fork(bench: Bench) -> int:
    """An old copy put back and continued by the box itself, with the true key."""
    if not bench.original.copies:
        return truncate(bench)
    path, last = bench.dice.choice(bench.original.copies)
    bench.replace_file(path)
    bench.db.execute("PRAGMA journal_mode = WAL").fetchall()
    bench.db.close()
    store = Store(bench.path, bench.original.key, SITE_BOX, hurried)
    missing = bench.original.last - last
    count = bench.dice.choice((max(1, missing - 1), missing, missing + 1, 3))
    store.commit(records(last + 1, count, "device.lost", epoch=store.head.epoch))
    store.mark()
    store.sign()
    store.save_notes()
    store.close()
    bench.open()
    return last + 1


CRIMES: dict[str, Callable[[Bench], int]] = {
    crime.__name__: crime for crime in (edit, edit_hash, edit_epoch, delete, insert, swap, truncate, replay, fork)
}
