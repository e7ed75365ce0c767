"""What a report was made from: the newest signed checkpoint of each epoch that its records lie in."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from agent.journal.checkpoint import BadNote, parse, verified
from agent.journal.keys import PUBLIC_FILE, BadKey, load_public
from agent.journal.reader import JournalReader
from agent.reports.model import Signed
from agent.reports.records import EpochSeen


def public_key(folder: Path) -> bytes | None:
    """The box's public key as it lies beside its journal; None where it cannot be had."""
    try:
        return load_public((folder / PUBLIC_FILE).read_bytes())
    except (OSError, BadKey):
        return None


def signed_end(reader: JournalReader) -> int:
    """The last record under the newest checkpoint of the newest epoch; the newest record where there is no such
    checkpoint. A report ends there, so that all of it is signed."""
    epoch, seq = reader.head()
    checkpoint = reader.checkpoint()
    if checkpoint is None or checkpoint[0] != epoch:
        return seq
    first_seq, first_index = _begin(reader, epoch)
    return min(seq, first_seq + checkpoint[1] - first_index - 1)


def _begin(reader: JournalReader, epoch: int) -> tuple[int, int]:
    """The first record of an epoch that is in the file, and its index in the epoch's tree."""
    base = reader.base()
    if epoch == base.epoch:
        return base.seq + 1, base.frontier.size
    return reader.first_of(epoch), 0


def signed(reader: JournalReader, seen: EpochSeen, key: bytes | None, kept: Mapping[int, bytes] | None) -> Signed:
    """`kept` are the notes, by epoch, that a report was made from before; None: the newest ones. Raises Trouble,
    Damaged, BadNote."""
    note = reader.newest_note(seen.epoch) if kept is None else kept.get(seen.epoch)
    if note is None:
        return Signed(epoch=seen.epoch, first_seq=seen.first_seq, last_seq=seen.last_seq)
    checkpoint = parse(note)
    covered_seq = seen.first_seq + checkpoint.size - seen.first_index - 1
    return Signed(
        epoch=seen.epoch,
        first_seq=seen.first_seq,
        last_seq=seen.last_seq,
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=base64.b64encode(checkpoint.root).decode(),
        covered_seq=covered_seq,
        signature=signature(note, key),
        note=note.decode(),
    )


def signature(note: bytes, key: bytes | None) -> str:
    """ "good", "bad" or "unchecked"."""
    if key is None:
        return "unchecked"
    try:
        verified(note, key)
    except BadNote:
        return "bad"
    return "good"
