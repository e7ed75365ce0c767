"""What a journal may let go of, and how the chain still verifies afterwards.

Eviction (storage short): the body of a routine record that the far side has becomes NULL; row, leaf and link stay.
Pruning (by age only): a prefix of rows goes; its last link and its tree's frontier stay in table `pruned`.
Both work in small steps, one transaction each, so that a record to be written never waits for them.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from agent.journal.head import LATCHED, file_base, kind_of
from agent.journal.merkle import Frontier
from agent.journal.schema import Base
from agent.journal.store import Store

EVICT_ROWS = 200  # D: about 80 kB through SQLite's log at a time
PRUNE_ROWS = 500
Row = tuple[int, int, bytes | None, bytes, bytes]


class Evicted(msgspec.Struct, frozen=True):
    """One step of eviction: go on after `seq`; `done` when there was nothing more to look at."""

    seq: int
    bodies: int
    done: bool


def evict(store: Store, after_seq: int, synced: tuple[int, int], kinds: Collection[str]) -> Evicted:
    """Empty the bodies of synced records of these kinds, among the next rows after `after_seq`. Raises sqlite3.Error.

    The rows are taken out and put back: an UPDATE in place would leave holes in full pages and free no page at all.
    """
    epoch, seq = synced
    rows: list[Row] = store.connection.execute(
        "SELECT seq, epoch, body, leaf, link FROM record "
        "WHERE seq > ? AND (epoch < ? OR (epoch = ? AND seq <= ?)) ORDER BY seq LIMIT ?",
        (after_seq, epoch, epoch, seq, EVICT_ROWS),
    ).fetchall()
    if not rows:
        return Evicted(after_seq, 0, True)
    thinner = [_without_body(row, kinds) for row in rows]
    bodies = sum(new[2] is not old[2] for new, old in zip(thinner, rows, strict=True))
    if bodies:
        store.replace_rows(rows[0][0], rows[-1][0], thinner)
    return Evicted(rows[-1][0], bodies, False)


def _without_body(row: Row, kinds: Collection[str]) -> Row:
    body = row[2]
    if body is None:
        return row
    kind = kind_of(body)
    return (row[0], row[1], None, row[3], row[4]) if kind in kinds and kind != LATCHED else row


class _Dated(msgspec.Struct):
    at: str


_NEVER = "9999"  # later than every date: what cannot be dated is never old
_DATED = msgspec.json.Decoder(_Dated)


def prune(store: Store, before: str) -> int:
    """Drop the next rows older than `before` (UTC text as in `at`) from the front; returns how many, 0 = finished.

    The newest latch picture and everything from the newest checkpoint on stay. Raises sqlite3.Error.
    """
    rows = _old_rows(store, before)
    if not rows:
        return 0
    bases = _bases(file_base(store.connection), rows)
    statements: list[tuple[str, list[object]]] = [("DELETE FROM record WHERE seq <= ?", [rows[-1][0]])]
    for base in bases:
        row = [base.epoch, base.seq, base.link, base.frontier.to_bytes()]
        statements.append(("INSERT OR REPLACE INTO pruned VALUES(?, ?, ?, ?)", row))
        statements.append(("DELETE FROM checkpoint WHERE epoch = ? AND size < ?", [base.epoch, base.frontier.size]))
    store.in_one_go(statements)
    store.log_pages += len(rows) // 8
    return len(rows)


def _old_rows(store: Store, before: str) -> list[Row]:
    """The longest prefix, at most PRUNE_ROWS, whose every dated record is older; undated ones go by the next date."""
    connection = store.connection
    resume = connection.execute("SELECT seq FROM resume").fetchone()
    latched = connection.execute("SELECT seq FROM pointer WHERE name = 'latched'").fetchone()
    limit = min(resume[0] if resume else 0, latched[0] if latched else 1 << 62)
    rows: list[Row] = connection.execute(
        "SELECT seq, epoch, body, leaf, link FROM record WHERE seq < ? ORDER BY seq LIMIT ?", (limit, PRUNE_ROWS)
    ).fetchall()
    old, undated = 0, 0
    for row in rows:
        if row[2] is None:
            undated += 1
        elif _date(row[2]) < before:
            old, undated = old + undated + 1, 0
        else:
            return rows[:old]
    if undated and _next_date(store, rows[-1][0], limit) < before:
        old += undated
    return rows[:old]


def _next_date(store: Store, seq: int, limit: int) -> str:
    row = store.connection.execute(
        "SELECT body FROM record WHERE seq > ? AND seq < ? AND body IS NOT NULL ORDER BY seq LIMIT 1", (seq, limit)
    ).fetchone()
    return _date(row[0]) if row is not None else _NEVER


def _date(body: bytes) -> str:
    try:
        return _DATED.decode(body).at
    except msgspec.DecodeError:
        return _NEVER


def _bases(base: Base, rows: list[Row]) -> list[Base]:
    """The base after these rows, and that of every epoch which ends among them."""
    bases = [Base(base.epoch, base.seq, base.link, base.frontier.copy())]
    for seq, epoch, _, leaf, link in rows:
        if epoch != bases[-1].epoch:
            bases.append(Base(epoch, seq, link, Frontier()))
        last = bases[-1]
        last.seq, last.link = seq, link
        last.frontier.append(leaf)
    return [item for item in bases if item.frontier.size]
