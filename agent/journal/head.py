"""Where a journal stands: found by verifying from its newest checkpoint on, not the whole chain."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from agent.core.records import leaf_hash, link_hash
from agent.core.strange import NOT_JSON
from agent.journal.errors import Damaged
from agent.journal.merkle import Frontier
from agent.journal.schema import Base, about

LATCHED = "box.latched"
_NO_POINTER_ROWS = 10_000  # D: looked through where no pointer was ever written, some 30 ms
_SCAN_ROWS = 500  # rows read at once when looking backwards for a latch picture


class Head:
    """The newest record of a journal and all that is needed to continue after it. `marked` is the checkpointed size."""

    __slots__ = ("epoch", "frontier", "link", "marked", "seq")

    def __init__(self, base: Base, marked: int) -> None:
        self.epoch = base.epoch
        self.seq = base.seq
        self.link = base.link
        self.frontier = base.frontier
        self.marked = marked

    @property
    def ref(self) -> tuple[int, int]:
        return (self.epoch, self.seq)

    def base(self) -> Base:
        """This place as the beginning of another file."""
        return Base(self.epoch, self.seq, self.link, self.frontier.copy())

    def begin_epoch(self, epoch: int) -> None:
        """A new epoch starts a new tree; the chain of the file goes on."""
        self.epoch, self.frontier, self.marked = epoch, Frontier(), 0


class _Facts(msgspec.Struct):
    """What of a body says where it belongs."""

    epoch: int
    kind: str
    seq: int


class _Latched(msgspec.Struct):
    data: dict[str, object]


_FACTS = msgspec.json.Decoder(_Facts)
_LATCHED = msgspec.json.Decoder(_Latched)


def kind_of(body: bytes) -> str:
    """The kind of a record's body, "" where it cannot be read."""
    try:
        return _FACTS.decode(body).kind
    except NOT_JSON:
        return ""


def load_head(connection: sqlite3.Connection, public: bytes | None) -> Head:
    """Verify from the newest checkpoint on and return the head. Raises Damaged, sqlite3.Error.

    With `public`, the newest checkpoint must be signed by that key.
    """
    head = _resume(connection, public)
    rows = connection.execute("SELECT seq, epoch, body, leaf, link FROM record WHERE seq > ? ORDER BY seq", (head.seq,))
    for seq, epoch, body, leaf, link in rows:
        _follow(head, seq, epoch, body, leaf, link)
    return head


def _resume(connection: sqlite3.Connection, public: bytes | None) -> Head:
    newest = connection.execute(
        "SELECT epoch, size, note FROM checkpoint ORDER BY epoch DESC, size DESC LIMIT 1"
    ).fetchone()
    resume = connection.execute("SELECT epoch, size, seq, link, frontier FROM resume").fetchone()
    if newest is None and resume is None:
        return Head(file_base(connection), 0)
    if newest is None or resume is None or newest[:2] != resume[:2]:
        raise Damaged("the newest checkpoint and the place to continue from do not belong together")
    epoch, size, seq, link, packed = resume
    frontier = _frontier(packed)
    _check_note(newest[2], epoch, frontier, public)
    row = connection.execute("SELECT epoch, link FROM record WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        raise Damaged(f"records are missing: the newest checkpoint covers record {seq}, which is not there")
    if row != (epoch, link) or frontier.size != size:
        raise Damaged(f"record {seq} is not the one that was signed")
    return Head(Base(epoch, seq, link, frontier), size)


def _frontier(packed: object) -> Frontier:
    try:
        return Frontier.from_bytes(bytes(packed))  # type: ignore[call-overload, no-any-return, unused-ignore]
    except (ValueError, TypeError) as error:
        raise Damaged("the place to continue from is not readable") from error


def _check_note(note: object, epoch: int, frontier: Frontier, public: bytes | None) -> None:
    from agent.journal.checkpoint import BadNote, parse, verified  # 7 MB that those who only read can do without

    try:
        data = str(note).encode()
        checkpoint = parse(data) if public is None else verified(data, public)
    except BadNote as error:
        raise Damaged(f"the newest checkpoint does not hold: {error}") from error
    if (checkpoint.epoch, checkpoint.size, checkpoint.root) != (epoch, frontier.size, frontier.root()):
        raise Damaged("the newest checkpoint is not of these records")


def file_base(connection: sqlite3.Connection) -> Base:
    """Where the file's first record begins. Raises Damaged, sqlite3.Error."""
    _, first_epoch = about(connection)
    row = connection.execute("SELECT epoch, seq, link, frontier FROM pruned ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        return Base.first(first_epoch)
    epoch, seq, link, packed = row
    if not (isinstance(epoch, int) and isinstance(seq, int) and isinstance(link, bytes)):
        raise Damaged("what is kept of the pruned records is not readable")
    return Base(epoch, seq, link, _frontier(packed))


def _follow(head: Head, seq: int, epoch: int, body: object, leaf: object, link: object) -> None:
    """Move the head over one row, or say what is wrong with it."""
    if seq != head.seq + 1:
        raise Damaged(f"records {head.seq + 1} to {seq - 1} are missing")
    if epoch < head.epoch:
        raise Damaged(f"record {seq} goes back to epoch {epoch}")
    if not isinstance(leaf, bytes) or not isinstance(body, bytes | None):
        raise Damaged(f"record {seq} is not what was written")
    if body is not None and leaf_hash(body) != leaf:
        raise Damaged(f"record {seq} was changed after it was written")
    if link_hash(head.link, leaf) != link:
        raise Damaged(f"record {seq} does not follow from the one before it")
    if epoch > head.epoch:
        head.begin_epoch(epoch)
    head.seq, head.link = seq, link_hash(head.link, leaf)
    head.frontier.append(leaf)


# ── the newest latch picture ───────────────────────────────────────────────────────────────────────────────────────


class Latched(msgspec.Struct, frozen=True):
    """The `data` of a `box.latched` record, and where it stands."""

    data: dict[str, object]
    epoch: int
    seq: int


def newest_latched(connection: sqlite3.Connection) -> Latched | None:
    """The newest latch picture: by its pointer if the row it points at holds, else by looking backwards.

    The pointer is written with the record, so without one there is none: then only a little is looked through, to
    keep the start fast. A pointer that points at something else is reason to look through everything.
    """
    pointer = connection.execute("SELECT seq FROM pointer WHERE name = 'latched'").fetchone()
    if pointer is not None:
        row = connection.execute("SELECT body, leaf FROM record WHERE seq = ?", pointer).fetchone()
        found = latched_in(*row) if row is not None else None
        if found is not None:
            return found
    return next(_backwards(connection, _NO_POINTER_ROWS if pointer is None else 1 << 62), None)


def latched_in(body: object, leaf: object) -> Latched | None:
    """The latch picture a row holds; None when it is another record or not what was hashed."""
    if not isinstance(body, bytes) or (leaf is not None and leaf_hash(body) != leaf):
        return None
    try:
        facts = _FACTS.decode(body)
        if facts.kind == LATCHED:
            return Latched(_LATCHED.decode(body).data, facts.epoch, facts.seq)
    except NOT_JSON:
        return None
    return None


def _backwards(connection: sqlite3.Connection, most: int) -> Iterator[Latched]:
    before, left = 1 << 62, most
    while left > 0 and (
        rows := connection.execute(
            "SELECT seq, body, leaf FROM record WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, _SCAN_ROWS)
        ).fetchall()
    ):
        left -= len(rows)
        for seq, body, leaf in rows:
            before = seq
            found = latched_in(body, leaf)
            if found is not None:
                yield found
