"""What a journal may let go of, and how the chain still verifies afterwards.

Eviction (storage short): the body of a routine record that the far side has becomes NULL; row, leaf and link stay.
Pruning (by age only): a prefix of rows goes; its last link and its tree's frontier stay in table `pruned`.
Both work in small steps, so that a record to be written never waits for them. A step is first told as a `Trim`, becomes
a record of the journal, and is carried out in the very transaction that writes that record: after a power cut there
are both or neither.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from agent.core.records import Record
from agent.core.strange import NOT_JSON
from agent.journal.head import LATCHED, file_base, kind_of
from agent.journal.merkle import Frontier
from agent.journal.schema import Base
from agent.journal.store import Statement, Store, inserts

EVICT_ROWS = 200  # D: about 80 kB through SQLite's log at a time
PRUNE_ROWS = 500
PRUNED, EVICTED = "journal.pruned", "journal.evicted"
Row = tuple[int, int, bytes | None, bytes, bytes]


class Trim(msgspec.Struct, frozen=True):
    """One step: rows `first` to `last`, of which `count` rows (pruning) or bodies (eviction) go."""

    kind: str  # PRUNED or EVICTED: the kind of the record that tells it
    first: int
    last: int
    count: int
    why: str

    @property
    def data(self) -> dict[str, object]:
        """What its record says."""
        return {"count": self.count, "from": self.first, "to": self.last, "why": self.why}

    def told_in(self, records: Sequence[Record]) -> bool:
        """Whether its record is among these."""
        return any(record.kind == self.kind and record.data == self.data for record in records)


class Looked(msgspec.Struct, frozen=True):
    """One look for bodies to evict: go on after `seq`; `done` when there was nothing more to look at."""

    seq: int
    trim: Trim | None
    done: bool


def statements_of(store: Store, trim: Trim, kinds: Collection[str]) -> list[Statement]:
    """What carries a step out, worked out from the rows as they are now. Raises sqlite3.Error, Damaged."""
    return _pruning(store, trim) if trim.kind == PRUNED else _eviction(store, trim, kinds)


# ── eviction ───────────────────────────────────────────────────────────────────────────────────────────────────────


def look_for_bodies(store: Store, after_seq: int, synced: tuple[int, int], kinds: Collection[str]) -> Looked:
    """Find synced records of these kinds with a body, among the next rows after `after_seq`. Raises sqlite3.Error."""
    epoch, seq = synced
    rows: list[Row] = store.connection.execute(
        "SELECT seq, epoch, body, leaf, link FROM record "
        "WHERE seq > ? AND (epoch < ? OR (epoch = ? AND seq <= ?)) ORDER BY seq LIMIT ?",
        (after_seq, epoch, epoch, seq, EVICT_ROWS),
    ).fetchall()
    if not rows:
        return Looked(after_seq, None, True)
    going = [row[0] for row in rows if _without_body(row, kinds)[2] is not row[2]]
    trim = Trim(EVICTED, going[0], going[-1], len(going), "space") if going else None
    return Looked(rows[-1][0], trim, False)


def _eviction(store: Store, trim: Trim, kinds: Collection[str]) -> list[Statement]:
    """The rows are taken out and put back: an UPDATE in place would leave holes in full pages and free no page."""
    rows: list[Row] = store.connection.execute(
        "SELECT seq, epoch, body, leaf, link FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq",
        (trim.first, trim.last),
    ).fetchall()
    values: list[object] = [value for row in rows for value in _without_body(row, kinds)]
    return [("DELETE FROM record WHERE seq BETWEEN ? AND ?", [trim.first, trim.last]), *inserts(values)]


def _without_body(row: Row, kinds: Collection[str]) -> Row:
    body = row[2]
    if body is None:
        return row
    kind = kind_of(body)
    return (row[0], row[1], None, row[3], row[4]) if kind in kinds and kind != LATCHED else row


# ── pruning ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Dated(msgspec.Struct):
    at: str


_NEVER = "9999"  # later than every date: what cannot be dated is never old
_DATED = msgspec.json.Decoder(_Dated)


def look_for_old(store: Store, before: str) -> Trim | None:
    """The next rows at the front that are older than `before` (UTC text as in `at`); None: there are none.

    The newest latch picture and everything from the newest checkpoint on stay. Raises sqlite3.Error.
    """
    rows = _old_rows(store, before)
    return Trim(PRUNED, rows[0][0], rows[-1][0], len(rows), "age") if rows else None


def _pruning(store: Store, trim: Trim) -> list[Statement]:
    rows: list[Row] = store.connection.execute(
        "SELECT seq, epoch, NULL, leaf, link FROM record WHERE seq <= ? ORDER BY seq", (trim.last,)
    ).fetchall()
    statements: list[Statement] = [("DELETE FROM record WHERE seq <= ?", [trim.last])]
    for base in _bases(file_base(store.connection), rows):
        row = [base.epoch, base.seq, base.link, base.frontier.to_bytes()]
        statements.append(("INSERT OR REPLACE INTO pruned VALUES(?, ?, ?, ?)", row))
        statements.append(("DELETE FROM checkpoint WHERE epoch = ? AND size < ?", [base.epoch, base.frontier.size]))
    return statements


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
    except NOT_JSON:
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
