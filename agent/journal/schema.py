"""The journal file: its tables, and how it is opened. `docs/journal-format.md` is the same contract in words."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from agent.core.records import GENESIS_LINK
from agent.journal.errors import Damaged, Trouble
from agent.journal.files import sync_folder
from agent.journal.merkle import Frontier

FILE = "journal.db"
APPLICATION_ID = 0x4D_57_4A_4C  # "MWJL" in the SQLite header, so that `file` and we know what it is
FORMAT = 1
PAGE_BYTES = 4096
BUSY_S = 1.0  # D: another program holding the file (a copy being made) must not be taken for a broken disk at once
WAL_LIMIT_BYTES = 8 << 20  # D: the log is cut back to this after a checkpoint, so that it never eats the reserve
READER_CACHE_KB = 512

# `about` has the file's format, site and first epoch. `resume` is the one point from which a start verifies: the
# tree and the chain as of the newest checkpoint. `pointer` finds the newest latch picture.
_TABLES = """
CREATE TABLE about(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE record(seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, body BLOB, leaf BLOB NOT NULL, link BLOB NOT NULL);
CREATE TABLE checkpoint(epoch INTEGER NOT NULL, size INTEGER NOT NULL, note TEXT NOT NULL, PRIMARY KEY(epoch, size))
    WITHOUT ROWID;
CREATE TABLE pruned(epoch INTEGER PRIMARY KEY, seq INTEGER NOT NULL, link BLOB NOT NULL, frontier BLOB NOT NULL);
CREATE TABLE pointer(name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE resume(id INTEGER PRIMARY KEY CHECK(id = 1), epoch INTEGER NOT NULL, size INTEGER NOT NULL,
    seq INTEGER NOT NULL, link BLOB NOT NULL, frontier BLOB NOT NULL);
"""

# name, value to set, value it must read back as
_WRITER_PRAGMAS: tuple[tuple[str, str, object], ...] = (
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),  # NORMAL loses acknowledged records at a power cut
    ("wal_autocheckpoint", "0", 0),  # the writer moves the log into the file when it has nothing better to do
    ("journal_size_limit", str(WAL_LIMIT_BYTES), WAL_LIMIT_BYTES),
    ("cell_size_check", "1", 1),
    ("cache_size", "-2000", -2000),
    ("temp_store", "MEMORY", 2),
)
_READER_PRAGMAS: tuple[tuple[str, str, object], ...] = (
    ("query_only", "1", 1),
    ("wal_autocheckpoint", "0", 0),  # only the writing connection may ever checkpoint
    ("cell_size_check", "1", 1),
    ("cache_size", f"-{READER_CACHE_KB}", -READER_CACHE_KB),
)


def _uri(path: Path, options: str) -> str:
    return f"file:{quote(str(path.absolute()))}?{options}"


def _connect(path: Path, options: str, pragmas: tuple[tuple[str, str, object], ...]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _uri(path, options), uri=True, isolation_level=None, timeout=BUSY_S, check_same_thread=False
    )
    try:
        set_pragmas(connection, pragmas)
    except BaseException:
        connection.close()
        raise
    return connection


def set_pragmas(connection: sqlite3.Connection, pragmas: tuple[tuple[str, str, object], ...]) -> None:
    """Set each and read it back. Raises Trouble where one does not hold: durability rests on them."""
    for name, value, expected in pragmas:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        row = connection.execute(f"PRAGMA {name}").fetchone()
        if row is None or row[0] != expected:
            raise Trouble(f"the journal file cannot be opened safely: {name} reads {row and row[0]}, not {expected}")


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one writing connection, to a file that exists. Raises sqlite3.Error, Trouble."""
    return _connect(path, "mode=rw", _WRITER_PRAGMAS)


def connect_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection that can never checkpoint. Raises sqlite3.Error, Trouble."""
    return _connect(path, "mode=ro", _READER_PRAGMAS)


def connect_frozen(path: Path) -> sqlite3.Connection:
    """A read-only connection to a file nobody writes and that cannot be locked (a read-only card, a kept copy).

    Without locks, and in exclusive mode, SQLite needs no shared-memory file beside the journal.
    """
    if not side_files(path)[0].exists():
        return connect_evidence(path)
    return _connect(path, "mode=ro&vfs=unix-none", (("locking_mode", "EXCLUSIVE", "exclusive"), ("query_only", "1", 1)))


def connect_evidence(path: Path) -> sqlite3.Connection:
    """A connection for someone who only checks: a closed file is read without leaving a trace beside it."""
    if side_files(path)[0].exists():
        return connect_reader(path)
    return _connect(path, "mode=ro&immutable=1", (("query_only", "1", 1), ("cell_size_check", "1", 1)))


def create(path: Path, site_box: str, base: Base) -> None:
    """Make an empty journal whose first record follows `base`, whole or not at all. Raises sqlite3.Error, OSError.

    A base past record 0 begins it in the middle of a chain whose earlier records are in another file.
    """
    fresh = path.with_name(path.name + ".new")
    for leftover in (fresh, *side_files(fresh)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
    connection = sqlite3.connect(fresh, isolation_level=None)
    try:
        _fill(connection, site_box, base)
    finally:
        connection.close()
    fresh.rename(path)
    sync_folder(path.parent)


def _fill(connection: sqlite3.Connection, site_box: str, base: Base) -> None:
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    for statement in _TABLES.split(";")[:-1]:
        connection.execute(statement)
    about = [("box", site_box), ("epoch", base.epoch), ("format", FORMAT)]
    connection.executemany("INSERT INTO about VALUES(?, ?)", about)
    if base.seq:
        row = (base.epoch, base.seq, base.link, base.frontier.to_bytes())
        connection.execute("INSERT INTO pruned VALUES(?, ?, ?, ?)", row)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")


class Base:
    """Where a file's records begin: after record `seq`, whose link and tree are these."""

    __slots__ = ("epoch", "frontier", "link", "seq")

    def __init__(self, epoch: int, seq: int, link: bytes, frontier: Frontier) -> None:
        self.epoch = epoch
        self.seq = seq
        self.link = link
        self.frontier = frontier

    @classmethod
    def first(cls, epoch: int) -> Base:
        """Before the first record of a first file."""
        return cls(epoch, 0, GENESIS_LINK, Frontier())


def side_files(path: Path) -> tuple[Path, Path]:
    """SQLite's log and shared memory beside a journal file."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def about(connection: sqlite3.Connection) -> tuple[str, int]:
    """(site_box, first epoch) of a journal. Raises Damaged when it is none of ours, sqlite3.Error."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Damaged("this file is not a gate box's journal")
    _check_tables(connection)
    rows: dict[str, object] = dict(connection.execute("SELECT name, value FROM about").fetchall())
    site_box, epoch = rows.get("box"), rows.get("epoch")
    if not isinstance(site_box, str) or not isinstance(epoch, int) or rows.get("format") != FORMAT:
        raise Damaged("this journal has a format that this version does not know")
    return site_box, epoch


def _check_tables(connection: sqlite3.Connection) -> None:
    """Ours alone, as we make them. In the place of a table somebody could put a view, which tells one reader this and
    the next one that, or never ends."""
    ours = {" ".join(statement.split()) for statement in _TABLES.split(";")[:-1]}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind != "table" or " ".join(str(sql).split()) not in ours:
            raise Damaged(
                f"this file has a {kind} {str(name)[:40]!r} that no gate box makes: it was made by somebody else"
            )
