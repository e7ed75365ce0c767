"""Verifying a whole journal file: every body, leaf, link, tree and checkpoint. It names the first bad record.

What a plain copy cannot show without a checkpoint kept elsewhere stands in `docs/journal-format.md`.
"""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.core.records import leaf_hash, link_hash
from agent.core.strange import NOT_JSON
from agent.journal import schema
from agent.journal.checkpoint import BadNote, Checkpoint, parse, verified
from agent.journal.errors import FILE_ERRORS, Damaged, Trouble, told
from agent.journal.given_up import GivenUp
from agent.journal.head import file_base

ROWS = 1_000


class Tree(msgspec.Struct):
    """One epoch as the file holds it: its records' numbers, and its tree."""

    epoch: int
    first_seq: int
    last_seq: int
    size: int
    root: str


class Report(msgspec.Struct, kw_only=True):
    """`ok` is False as soon as anything does not hold; `what` says it in field words, `first_bad_seq` names the record.

    `anchored`: a checkpoint from elsewhere was compared. `signed`: signatures were checked.
    """

    ok: bool = True
    what: str = ""
    first_bad_seq: int | None = None
    site_box: str = ""
    records: int = 0
    evicted: int = 0
    pruned: int = 0  # the last number that was pruned, 0 = none
    untold: int = 0  # bodies missing that no record of eviction accounts for
    pruned_untold: bool = False  # no record says that the rows before the first one were pruned
    checkpoints: int = 0
    anchored: bool = False
    signed: bool = False
    epochs: list[Tree] = []
    head: tuple[int, int] | None = None
    link: str = ""
    size: int = 0
    root: str = ""


class _Bad(Exception):
    """Something does not hold."""

    def __init__(self, seq: int | None, what: str) -> None:
        super().__init__(what)
        self.seq = seq
        self.what = what


class _Facts(msgspec.Struct):
    epoch: int
    seq: int
    site_box: str


_FACTS = msgspec.json.Decoder(_Facts)
Row = tuple[int, object, object, object, object]


def verify(path: Path, checkpoint: bytes | None = None, key: bytes | None = None) -> Report:
    """Verify the file at `path`. `checkpoint` is a signed note kept elsewhere, or several one after the other: a
    checkpoint vouches for its own epoch only. `key` is the box's 32-byte public key.

    Never raises for anything that a file, checkpoint or key may hold.
    """
    report = Report(signed=key is not None)
    try:
        connection = schema.connect_evidence(path)
    except (*FILE_ERRORS, Trouble) as error:
        return _failed(report, None, f"the file cannot be opened: {error}")
    try:
        _Walk(connection, report, checkpoint, key).run()
    except _Bad as bad:
        return _failed(report, bad.seq, bad.what)
    except Damaged as damage:
        return _failed(report, None, str(damage))
    except FILE_ERRORS as error:
        return _failed(report, None, str(told(error)))
    finally:
        connection.close()
    return report


def _failed(report: Report, seq: int | None, what: str) -> Report:
    report.ok, report.first_bad_seq, report.what = False, seq, what
    return report


class _Walk:
    """One pass over the file, oldest record first; it stops at the first thing that does not hold."""

    def __init__(self, connection: sqlite3.Connection, report: Report, anchor: bytes | None, key: bytes | None) -> None:
        self._connection = connection
        self._report = report
        self._key = key
        self._site_box, _ = schema.about(connection)
        report.site_box = self._site_box
        base = file_base(connection)
        self._epoch, self._seq, self._link, self._frontier = base.epoch, base.seq, base.link, base.frontier
        self._start = self._base_seq = base.seq
        self._given_up = GivenUp()
        self._leaves: list[bytes] = []  # behind the frontier: grown a whole stretch at a time
        self._trusted_seq = base.seq  # the last record that a signed checkpoint covers
        self._due: deque[tuple[int, Checkpoint | _Bad]] = deque()
        self._anchored = anchor is not None
        self._anchors = self._read_anchors(anchor, base) if anchor is not None else []
        report.pruned = base.seq

    def run(self) -> None:
        self._begin_epoch(self._epoch)
        for row in self._rows():
            self._step(*row)
        self._end_epoch()
        self._check_anchors_met()
        report = self._report
        report.untold = self._given_up.untold()
        report.pruned_untold = self._given_up.pruned != self._base_seq
        report.anchored = self._anchored
        report.head = (self._epoch, self._seq)
        report.link = self._link.hex()
        report.size, report.root = self._frontier.size, self._frontier.root().hex()

    def _rows(self) -> Iterator[Row]:
        cursor = self._connection.execute("SELECT seq, epoch, body, leaf, link FROM record ORDER BY seq")
        while rows := cursor.fetchmany(ROWS):
            yield from rows

    # ── one record ─────────────────────────────────────────────────────────────────────────────────────────────

    def _step(self, seq: int, epoch: object, body: object, leaf: object, link: object) -> None:
        self._check_number(seq)
        if not isinstance(epoch, int) or epoch < self._epoch:
            raise _Bad(seq, f"record {seq} stands in epoch {epoch}, after epoch {self._epoch}: moved or changed")
        if epoch > self._epoch:
            self._end_epoch()
            self._begin_epoch(epoch)
        if not isinstance(leaf, bytes) or not isinstance(link, bytes) or not isinstance(body, bytes | None):
            raise _Bad(seq, f"record {seq} was changed: its hashes are not there")
        if body is None:
            self._report.evicted += 1
        else:
            self._check_body(seq, body, leaf)
        self._given_up.row(seq, body)
        if link_hash(self._link, leaf) != link:
            raise _Bad(seq, f"record {seq} does not follow from the one before it: changed, inserted or moved")
        self._seq, self._link = seq, link
        self._report.records += 1
        self._leaves.append(leaf)
        if self._due and self._frontier.size + len(self._leaves) == self._due[0][0]:
            self._check_roots()

    def _check_number(self, seq: int) -> None:
        if seq > self._seq + 1:
            gone = f"record {seq - 1} is" if seq == self._seq + 2 else f"records {self._seq + 1} to {seq - 1} are"
            raise _Bad(self._seq + 1, f"{gone} missing: deleted")
        if seq <= self._seq:
            raise _Bad(seq, f"record {seq} stands where {self._seq + 1} should: inserted")

    def _check_body(self, seq: int, body: bytes, leaf: bytes) -> None:
        try:
            facts = _FACTS.decode(body)
        except NOT_JSON:
            raise _Bad(seq, f"record {seq} was changed: it is not a record any more") from None
        if facts.seq != seq:
            raise _Bad(seq, f"record {seq} carries the number {facts.seq}: swapped, moved or inserted")
        if leaf_hash(body) != leaf:
            raise _Bad(seq, f"record {seq} was changed after it was written")
        if facts.epoch != self._epoch or facts.site_box != self._site_box:
            raise _Bad(seq, f"record {seq} is of {facts.site_box}, epoch {facts.epoch}: it does not belong here")

    # ── trees and checkpoints ──────────────────────────────────────────────────────────────────────────────────

    def _begin_epoch(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._frontier = type(self._frontier)()
            self._start = self._seq
        self._epoch = epoch
        anchors = [(anchor.size, anchor) for anchor in self._anchors if anchor.epoch == epoch]
        self._due = deque(sorted([*anchors, *self._notes_of(epoch)], key=lambda item: item[0]))
        while self._due and self._due[0][0] < self._frontier.size:
            self._due.popleft()  # of pruned records: nothing is left to compare with
        self._check_roots()

    def _end_epoch(self) -> None:
        """The tree of an epoch is complete: no checkpoint may know of more records."""
        self._grow()
        if self._due:
            text = f"records from {self._seq + 1} on are missing at the end: cut off, or this is an old copy"
            doubt = f" (and nothing after record {self._trusted_seq} is vouched for)"
            raise _Bad(self._seq + 1, text + (doubt if self._trusted_seq < self._seq else ""))
        size, root = self._frontier.size, self._frontier.root().hex()
        if size:
            self._report.epochs.append(Tree(self._epoch, self._start + 1, self._seq, size, root))

    def _grow(self) -> None:
        self._frontier.extend(self._leaves)
        self._leaves.clear()

    def _check_roots(self) -> None:
        """Compare with every checkpoint of exactly this size."""
        self._grow()
        while self._due and self._due[0][0] == self._frontier.size:
            expected = self._due.popleft()[1]
            if isinstance(expected, _Bad):
                raise _Bad(self._trusted_seq + 1, expected.what)
            if expected.root != self._frontier.root():
                raise self._not_signed(any(anchor is expected for anchor in self._anchors))
            if self._key is not None:
                self._trusted_seq = self._seq
            self._report.checkpoints += 1
            self._anchors = [anchor for anchor in self._anchors if anchor is not expected]

    def _not_signed(self, by_anchor: bool) -> _Bad:
        """A tree that is not the signed one. If the file's own checkpoints hold and the one from elsewhere does not,
        the box itself signed both: where the two histories part cannot be told from one checkpoint."""
        if by_anchor and self._trusted_seq > self._start:
            text = "are another history, signed by the box itself: an old copy was put back and continued"
            return _Bad(self._start + 1, f"records {self._start + 1} to {self._seq} {text}")
        text = f"records {self._trusted_seq + 1} to {self._seq} are not the ones that were signed: rewritten"
        return _Bad(self._trusted_seq + 1, text)

    def _notes_of(self, epoch: int) -> Iterator[tuple[int, Checkpoint | _Bad]]:
        rows = self._connection.execute("SELECT size, note FROM checkpoint WHERE epoch = ?", (epoch,)).fetchall()
        for size, note in rows:
            if not isinstance(size, int):
                raise _Bad(None, f"a checkpoint of epoch {epoch} has no size")
            yield size, self._read_note(epoch, size, note)

    def _read_note(self, epoch: int, size: int, note: object) -> Checkpoint | _Bad:
        data = note if isinstance(note, bytes) else str(note).encode("utf-8", "replace")
        try:
            found = verified(data, self._key) if self._key is not None else parse(data)
        except BadNote as error:
            return _Bad(None, f"the file's checkpoint of {size} records does not hold: {error}")
        if (found.site_box, found.epoch, found.size) != (self._site_box, epoch, size):
            return _Bad(None, f"the file's checkpoint of {size} records is of another place")
        return found

    def _read_anchors(self, given: bytes, base: schema.Base) -> list[Checkpoint]:
        """The checkpoints given: one, or one after the other. Those of pruned records are passed over."""
        parts = re.split(rb"(?m)^(?=menwei/)", given)
        anchors = [self._read_anchor(part) for part in parts[1:] or [given]]
        kept = [anchor for anchor in anchors if (anchor.epoch, anchor.size) >= (base.epoch, base.frontier.size)]
        if not kept:
            raise _Bad(None, "the checkpoint is older than the first record kept here: it cannot be compared")
        return kept

    def _read_anchor(self, note: bytes) -> Checkpoint:
        try:
            found = verified(note, self._key) if self._key is not None else parse(note)
        except BadNote as error:
            raise _Bad(None, f"the checkpoint given does not hold: {error}") from error
        if found.site_box != self._site_box:
            raise _Bad(None, f"the checkpoint given is of {found.site_box}, the file of {self._site_box}")
        return found

    def _check_anchors_met(self) -> None:
        for anchor in self._anchors:
            if anchor.epoch > self._epoch:
                text = f"the file ends in epoch {self._epoch}, a checkpoint is of epoch {anchor.epoch}"
                raise _Bad(self._seq + 1, f"{text}: this is an old copy")
            raise _Bad(None, f"the file holds nothing of epoch {anchor.epoch}, which a checkpoint signs")
