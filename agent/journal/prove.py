"""A proof for one record: that it is under a signed checkpoint, and that this checkpoint continues an older one."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import msgspec

from agent.journal import schema
from agent.journal.checkpoint import BadNote, Checkpoint, parse
from agent.journal.errors import FILE_ERRORS, Damaged, told
from agent.journal.merkle import Frontier, Tree


class Unprovable(Exception):
    """`args[0]` says in field words why there is no proof."""


class Consistency(msgspec.Struct, frozen=True):
    """That the tree of `new_size` leaves continues that of `old_size` leaves (RFC 6962 2.1.2), hashes in base64."""

    old_size: int
    new_size: int
    old_root: str
    hashes: list[str]


class Proof(msgspec.Struct, frozen=True):
    """All that someone needs who has only the box's public key. `body` is None where it was evicted."""

    epoch: int
    seq: int
    index: int
    size: int
    leaf: str
    body: str | None
    inclusion: list[str]
    checkpoint: str
    consistency: Consistency | None


def prove(path: Path, seq: int, since: bytes | None = None) -> Proof:
    """The proof for record `seq` in the file at `path`, under its newest checkpoint of that epoch.

    `since` is an older checkpoint kept elsewhere; without it the file's first of that epoch is continued from.
    Raises Unprovable, Trouble, Damaged.
    """
    try:
        connection = schema.connect_evidence(path)
        try:
            return _prove(connection, seq, since)
        finally:
            connection.close()
    except FILE_ERRORS as error:
        raise told(error) from error


def _prove(connection: sqlite3.Connection, seq: int, since: bytes | None) -> Proof:
    schema.about(connection)
    row = connection.execute("SELECT epoch, body, leaf FROM record WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        raise Unprovable(f"record {seq} is not in this journal")
    epoch, body, leaf = row
    tree, first_index, first_seq = _tree(connection, epoch)
    index = first_index + seq - first_seq
    notes = _notes(connection, epoch)
    covering = [(note, text) for note, text in notes if index < note.size <= tree.size]
    if not covering:
        raise Unprovable(f"record {seq} is not under a checkpoint yet: one comes within a minute")
    newest, text = covering[-1]
    if tree.root(newest.size) != newest.root:
        raise Unprovable("the records do not agree with the checkpoint: run menwei journal verify")
    return Proof(
        epoch=epoch,
        seq=seq,
        index=index,
        size=newest.size,
        leaf=_text(leaf),
        body=body.decode() if body is not None else None,
        inclusion=[_text(item) for item in tree.inclusion(index, newest.size)],
        checkpoint=text,
        consistency=_consistency(tree, _older(notes, since), newest),
    )


def _tree(connection: sqlite3.Connection, epoch: int) -> tuple[Tree, int, int]:
    """The tree of an epoch, and the index and number of its first record that is still here."""
    row = connection.execute("SELECT frontier FROM pruned WHERE epoch = ?", (epoch,)).fetchone()
    try:
        prefix = Frontier.from_bytes(row[0]) if row is not None else Frontier()
    except (ValueError, TypeError) as error:
        raise Damaged("what is kept of the pruned records is not readable") from error
    rows = connection.execute("SELECT seq, leaf FROM record WHERE epoch = ? ORDER BY seq", (epoch,)).fetchall()
    return Tree([leaf for _, leaf in rows], prefix), prefix.size, rows[0][0]


def _notes(connection: sqlite3.Connection, epoch: int) -> list[tuple[Checkpoint, str]]:
    rows = connection.execute("SELECT note FROM checkpoint WHERE epoch = ? ORDER BY size", (epoch,)).fetchall()
    try:
        return [(parse(text.encode()), text) for (text,) in rows]
    except BadNote as error:
        raise Damaged(f"a checkpoint in the file does not hold: {error}") from error


def _older(notes: list[tuple[Checkpoint, str]], since: bytes | None) -> Checkpoint:
    if since is None:
        return notes[0][0]
    try:
        return parse(since)
    except BadNote as error:
        raise Unprovable(str(error)) from error


def _consistency(tree: Tree, old: Checkpoint, new: Checkpoint) -> Consistency | None:
    if old.origin != new.origin:
        raise Unprovable(f"the older checkpoint is of {old.origin}, the record of {new.origin}")
    try:
        hashes = tree.consistency(old.size, new.size)
    except LookupError:
        return None  # it reaches back into pruned records, or the older one is newer than ours
    return Consistency(old.size, new.size, _text(old.root), [_text(item) for item in hashes])


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
