"""The epoch's number beside the journal, so that it never goes back even when the journal cannot be read.

Also the latch picture's copy, for the same reason: a panic stays latched when the card eats the journal.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.files import replace_file, sync_folder
from agent.journal.schema import FILE, side_files

NOTE_FILE = "journal.epoch"
LATCHED_FILE = "journal.latched"


class EpochNote(msgspec.Struct, frozen=True):
    """The newest epoch ever begun here."""

    epoch: int


def read_note(folder: Path) -> EpochNote | None:
    """The note, or None where there is none that can be read."""
    try:
        note = msgspec.json.decode((folder / NOTE_FILE).read_bytes(), type=EpochNote)
    except (OSError, *NOT_JSON):
        return None
    return note if note.epoch > 0 else None


def write_note(folder: Path, epoch: int) -> None:
    """Durable before it returns; to be called before the first record of that epoch. Raises OSError."""
    replace_file(folder / NOTE_FILE, msgspec.json.encode(EpochNote(epoch)))


def next_epoch(folder: Path, *known: int) -> int:
    """A number above every epoch that anything here can tell of.

    Where nothing can be read though something is there, it is the wall clock's minutes since 1970: far above any
    epoch that was ever counted up to, and still growing.
    """
    note = read_note(folder)
    numbers = [*known, *_of_names(folder), *([note.epoch] if note is not None else [])]
    if not numbers and ((folder / NOTE_FILE).exists() or (folder / FILE).exists()):
        return int(time.time()) // 60
    return max(numbers, default=0) + 1


def _of_names(folder: Path) -> list[int]:
    """The epochs begun after those in the names of files kept aside."""
    numbers = []
    for path in folder.glob("journal-epoch*-*.db"):
        digits = path.name.removeprefix("journal-epoch").partition("-")[0]
        if digits.isascii() and digits.isdigit():
            numbers.append(int(digits) + 1)
    return numbers


def set_aside(folder: Path, epoch: int) -> Path:
    """Give the journal and SQLite's files beside it a dated name; nothing is deleted. Raises OSError.

    SQLite's log moves first: a new journal must never meet an old journal's log.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = _unused(folder, f"journal-epoch{epoch}-{stamp}")
    for old, new in zip(side_files(folder / FILE), side_files(aside), strict=True):
        if old.exists():
            old.rename(new)
    sync_folder(folder)
    if (folder / FILE).exists():
        (folder / FILE).rename(aside)
        sync_folder(folder)
    return aside


def _unused(folder: Path, stem: str) -> Path:
    candidate, number = folder / f"{stem}.db", 1
    while any(path.exists() for path in (candidate, *side_files(candidate))):
        number += 1
        candidate = folder / f"{stem}-{number}.db"
    return candidate


def keep_latched(folder: Path, body: bytes) -> None:
    """Keep the newest `box.latched` record's body beside the journal. Raises OSError."""
    replace_file(folder / LATCHED_FILE, body)


def kept_latched(folder: Path) -> bytes | None:
    """The body last kept, not proven by any chain."""
    try:
        return (folder / LATCHED_FILE).read_bytes()
    except OSError:
        return None
