"""Opening the journal at start: fast, suspicious, never destructive.

It verifies from the newest checkpoint on. A file that cannot prove that it continues is kept aside under a dated name
and a new file with a higher epoch is begun; the latch picture is saved out of the old one. A sound file that is older
than the noted epoch goes on in a new epoch. A card that refuses
everything does not stop the box: the journal then lives in memory until the card returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.journal import epochs, schema
from agent.journal.errors import FILE_ERRORS, Damaged, Trouble, told
from agent.journal.files import hold
from agent.journal.head import Head, Latched, latched_in, load_head, newest_latched
from agent.journal.keys import BoxKey, load_or_create


class Problem(msgspec.Struct, frozen=True):
    """Something that must become a record and an alarm. `aside` is the file kept, "" = none."""

    code: str  # "damaged" "gone" "rolled_back" "unwritable" "latch_unproven" "latch_unknown" "key"
    text: str
    aside: str = ""

    def __str__(self) -> str:
        return self.text


class Opened(msgspec.Struct):
    """Where to continue. `latched` is the `data` of the newest latch picture, None on a new box."""

    path: Path
    key: BoxKey
    epoch: int
    next_seq: int
    latched: dict[str, object] | None
    latched_ref: tuple[int, int] | None
    problems: list[Problem]


class _Found(msgspec.Struct):
    head: Head
    latched: Latched | None


def open_journal(folder: Path, site: str, box: str) -> Opened:
    """Open, or begin, the journal of `<site>/<box>` in `folder`. Raises JournalBusy and nothing else."""
    problems: list[Problem] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problems.append(_unwritable(told(error)))
    hold(folder)
    key = load_or_create(folder)
    if key.problem:
        problems.append(Problem("key", key.problem))
    site_box = f"{site}/{box}"
    try:
        found = _inspect(folder, key, site_box)
    except Damaged as damage:
        return _begin_again(folder, key, site_box, damage, problems)
    except Trouble as trouble:
        return _in_memory(folder, key, trouble, problems)
    _refuse_going_back(folder, found.head, problems)
    return _opened(folder, key, found.head, found.latched, problems)


def _refuse_going_back(folder: Path, head: Head, problems: list[Problem]) -> None:
    """A sound file older than the noted epoch (a restored copy, a lost log) goes on, but in a new epoch."""
    note = epochs.read_note(folder)
    if note is None or note.epoch <= head.epoch:
        return
    epoch = epochs.next_epoch(folder, head.epoch)
    text = f"the journal is of epoch {head.epoch}, but epoch {note.epoch} was already begun: an old copy, or a lost end"
    problems.append(Problem("rolled_back", f"{text}; a new epoch {epoch} begins in it"))
    head.begin_epoch(epoch)


def _inspect(folder: Path, key: BoxKey, site_box: str) -> _Found:
    """Look at the journal without writing to it; make it on a new box."""
    path = folder / schema.FILE
    note = epochs.read_note(folder)
    if not path.exists():
        if note is not None or (folder / epochs.NOTE_FILE).exists():
            raise Damaged("the journal file is gone")
        _guarded(lambda: create_first(folder, site_box, 1))
    found = _look(path, key, site_box)
    if note is None or note.epoch < found.head.epoch:
        _guarded(lambda: epochs.write_note(folder, found.head.epoch))
    return found


def create_first(folder: Path, site_box: str, epoch: int) -> None:
    """Begin the first journal of a box. Raises sqlite3.Error, OSError.

    The note comes last: a box killed in between must not find a note without a journal, which would look like a loss.
    """
    schema.create(folder / schema.FILE, site_box, schema.Base.first(epoch))
    epochs.write_note(folder, epoch)


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except FILE_ERRORS as error:
        raise told(error) from error


def _look(path: Path, key: BoxKey, site_box: str) -> _Found:
    try:
        return _look_through(schema.connect_reader, path, key, site_box)
    except Trouble as trouble:
        return _look_frozen(path, key, site_box, trouble)


def _look_frozen(path: Path, key: BoxKey, site_box: str, trouble: Trouble) -> _Found:
    """On a card that takes nothing at all, not even SQLite's shared memory, reading may still work."""
    try:
        return _look_through(schema.connect_frozen, path, key, site_box)
    except Trouble:
        raise trouble from None


def _look_through(connect: Callable[[Path], sqlite3.Connection], path: Path, key: BoxKey, site_box: str) -> _Found:
    try:
        connection = connect(path)
        try:
            owner, _ = schema.about(connection)
            if owner != site_box:
                raise Damaged(f"this journal is of {owner}, not of {site_box}")
            return _Found(load_head(connection, key.public), newest_latched(connection))
        finally:
            connection.close()
    except FILE_ERRORS as error:
        if isinstance(error, sqlite3.OperationalError) and "no such table" in str(error):
            raise Damaged("this file is not a gate box's journal") from error
        raise told(error) from error


# ── a file that cannot prove that it continues ─────────────────────────────────────────────────────────────────────


def _begin_again(folder: Path, key: BoxKey, site_box: str, damage: Damaged, problems: list[Problem]) -> Opened:
    epoch = epochs.next_epoch(folder, *epochs_in(folder / schema.FILE))
    latched = salvage_latched(folder, folder / schema.FILE)
    try:
        aside = begin_file(folder, site_box, epoch, schema.Base.first(epoch))
    except Trouble as trouble:
        problems.append(Problem("damaged", str(damage)))
        return _in_memory(folder, key, trouble, problems, epoch)
    text = f"{damage}; a new epoch {epoch} begins" + (f", the old file is kept as {aside.name}" if aside else "")
    problems.append(Problem("damaged" if aside else "gone", text, aside.name if aside else ""))
    problems.append(_latch_problem(latched))
    head = Head(schema.Base.first(epoch), 0)
    return _opened(folder, key, head, latched, problems)


def begin_file(folder: Path, site_box: str, epoch: int, base: schema.Base) -> Path | None:
    """Keep the present journal aside, if any, and begin a new one after `base`. Raises Trouble. Returns the file kept.

    `epoch`, the newest ever begun, is noted first: from then on the old file cannot be taken for the present one.
    """
    try:
        epochs.write_note(folder, epoch)
        aside = None
        if any(path.exists() for path in (folder / schema.FILE, *schema.side_files(folder / schema.FILE))):
            aside = epochs.set_aside(folder, max(epochs_in(folder / schema.FILE), default=epoch - 1))
        schema.create(folder / schema.FILE, site_box, base)
    except FILE_ERRORS as error:
        problem = told(error)
        raise problem if isinstance(problem, Trouble) else Trouble(str(problem)) from error
    return aside


def epochs_in(path: Path) -> list[int]:
    """The highest epoch that a doubtful file tells of, if it tells anything."""
    try:
        connection = schema.connect_reader(path)
        try:
            row = connection.execute("SELECT max(epoch) FROM (SELECT epoch FROM record ORDER BY seq DESC LIMIT 1)")
            value = row.fetchone()[0]
            return [value] if isinstance(value, int) else []
        finally:
            connection.close()
    except (*FILE_ERRORS, Damaged, Trouble):
        return []


def salvage_latched(folder: Path, path: Path) -> Latched | None:
    """The newest latch picture that a doubtful journal or the copy beside it still tells."""
    body = epochs.kept_latched(folder)
    candidates = [latched_in(body, None), _latched_of(path)]
    return max((item for item in candidates if item is not None), key=lambda item: (item.epoch, item.seq), default=None)


def _latched_of(path: Path) -> Latched | None:
    try:
        connection = schema.connect_reader(path)
        try:
            return newest_latched(connection)
        finally:
            connection.close()
    except (*FILE_ERRORS, Damaged, Trouble):
        return None


def _latch_problem(latched: Latched | None) -> Problem:
    if latched is None:
        return Problem("latch_unknown", "whether an alarm was latched before is not known: look at the gate")
    text = f"the latched state is taken from record {latched.seq} of epoch {latched.epoch} of the old file, unproven"
    return Problem("latch_unproven", text)


# ── a card that refuses ────────────────────────────────────────────────────────────────────────────────────────────


def _unwritable(trouble: Damaged | Trouble) -> Problem:
    return Problem("unwritable", f"{trouble}: the journal is kept in memory until the card returns")


def _in_memory(
    folder: Path, key: BoxKey, trouble: Trouble, problems: list[Problem], epoch: int | None = None
) -> Opened:
    """Go on without a file: in an epoch of its own, since where the old one stood is not known."""
    problems.append(_unwritable(trouble))
    latched = salvage_latched(folder, folder / schema.FILE)
    if epoch is None:
        epoch = epochs.next_epoch(folder, *epochs_in(folder / schema.FILE))
    head = Head(schema.Base.first(epoch), 0)
    return _opened(folder, key, head, latched, problems)


def _opened(folder: Path, key: BoxKey, head: Head, latched: Latched | None, problems: list[Problem]) -> Opened:
    return Opened(
        path=folder / schema.FILE,
        key=key,
        epoch=head.epoch,
        next_seq=head.seq + 1,
        latched=latched.data if latched is not None else None,
        latched_ref=(latched.epoch, latched.seq) if latched is not None else None,
        problems=problems,
    )
