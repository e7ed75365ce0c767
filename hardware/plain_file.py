"""Reading a file that a person named. A pipe would be waited for without end, and a device read without end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class NotPlain(OSError):
    """A pipe, a device or a socket; `strerror` says so."""


def read(path: Path, most: int) -> bytes:
    """The first `most` + 1 bytes of an ordinary file, so that one byte too many shows that there is more.

    Raises OSError, with `strerror` and `filename` for people.
    """
    _judge(path.stat().st_mode, path)  # before it is opened: opening a device may already do something
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        _judge(os.fstat(descriptor).st_mode, path)
        return file.read(most + 1)


def check(path: Path) -> None:
    """The same for a file that others open, a journal. Raises OSError."""
    _judge(path.stat().st_mode, path)


def _judge(mode: int, path: Path) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder, not a file", str(path))
    if not stat.S_ISREG(mode):
        raise NotPlain(errno.EINVAL, "this is a pipe, a device or a socket, and no file", str(path))
