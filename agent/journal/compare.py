"""Our journal against a checkpoint that the far side kept: has it lost its end, been put back, or forked?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from agent.journal import schema
from agent.journal.checkpoint import BadNote, Checkpoint, parse, verified
from agent.journal.errors import FILE_ERRORS, Damaged, told
from agent.journal.merkle import Frontier

ROWS = 1_000


def disagreement(path: Path, note: bytes, public: bytes) -> str:
    """Why our journal does not continue the tree that `note` signs, in field words; "" when it does.

    A note that is not ours to judge (another box's, not signed with our key) is no disagreement of the journal's:
    BadNote is raised. Raises Trouble, Damaged where the file cannot be read. Fast where the file still has its own
    checkpoint of that size, else it reads the leaves up to there.
    """
    theirs = verified(note, public)
    try:
        connection = schema.connect_reader(path)
        try:
            return _disagreement(connection, theirs)
        finally:
            connection.close()
    except FILE_ERRORS as error:
        raise told(error) from error


def _disagreement(connection: sqlite3.Connection, theirs: Checkpoint) -> str:
    site_box, _ = schema.about(connection)
    if theirs.site_box != site_box:
        raise BadNote(f"this checkpoint is of {theirs.site_box}, the journal of {site_box}")
    base = _base(connection, theirs.epoch)
    if base.size > theirs.size:
        return ""  # of records pruned since: nothing is left to compare
    count = connection.execute("SELECT count(*) FROM record WHERE epoch = ?", (theirs.epoch,)).fetchone()[0]
    if base.size + count < theirs.size:
        lost = theirs.size - base.size - count
        text = f"the far side has {lost} records of epoch {theirs.epoch} that are not here"
        return f"{text}: the end was lost, or this is an old copy"
    if _root(connection, theirs, base) != theirs.root:
        text = f"the far side has other records of epoch {theirs.epoch} than are here"
        return f"{text}: an old copy was put back and continued"
    return ""


def _base(connection: sqlite3.Connection, epoch: int) -> Frontier:
    row = connection.execute("SELECT frontier FROM pruned WHERE epoch = ?", (epoch,)).fetchone()
    try:
        return Frontier.from_bytes(row[0]) if row is not None else Frontier()
    except (ValueError, TypeError) as error:
        raise Damaged("what is kept of the pruned records is not readable") from error


def _root(connection: sqlite3.Connection, theirs: Checkpoint, frontier: Frontier) -> bytes:
    row = connection.execute(
        "SELECT note FROM checkpoint WHERE epoch = ? AND size = ?", (theirs.epoch, theirs.size)
    ).fetchone()
    if row is not None:
        return parse(str(row[0]).encode()).root
    cursor = connection.execute(
        "SELECT leaf FROM record WHERE epoch = ? ORDER BY seq LIMIT ?", (theirs.epoch, theirs.size - frontier.size)
    )
    while rows := cursor.fetchmany(ROWS):
        frontier.extend([leaf for (leaf,) in rows])
    return frontier.root()
