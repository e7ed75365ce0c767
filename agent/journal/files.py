"""Small files that must survive a power cut, and the journal folder's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


def replace_file(path: Path, data: bytes, mode: int = 0o640, owner: tuple[int, int] | None = None) -> None:
    """Swap in `data` whole or not at all: new file, synced, renamed, folder synced. Raises OSError.

    The folder may be somebody else's: a link that he put in our way is removed and never followed. `owner` is the
    (user, group) to give the file to, None: ours.
    """
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        if owner is not None:
            os.fchown(descriptor, *owner)
        _write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    sync_folder(path.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write there."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def total_bytes(folder: Path) -> int:
    """Bytes of the whole card, less what only root may use."""
    room = os.statvfs(folder)
    return (room.f_blocks - room.f_bfree + room.f_bavail) * room.f_frsize


class JournalBusy(Exception):
    """Another process holds this journal: there is one writer, ever."""


_held: dict[Path, int] = {}


def hold(folder: Path) -> None:
    """Take the folder for this process until it ends or lets go. Raises JournalBusy; holding it already is fine.

    A folder that cannot be written is not held: nobody else can write a journal there either.
    """
    folder = folder.resolve()
    if folder in _held:
        return
    try:
        descriptor = os.open(folder / "journal.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise JournalBusy(f"another menwei control already writes the journal in {folder}") from error
    _held[folder] = descriptor


def let_go(folder: Path) -> None:
    """Give the folder back; a folder not held is fine."""
    descriptor = _held.pop(folder.resolve(), None)
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)
