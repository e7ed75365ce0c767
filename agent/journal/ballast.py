"""A reserve on the card: a file that is given up when the card is full, so that emergencies still find room.

In SQLite's log mode even a DELETE needs room first, so room must be kept back beforehand.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from agent.journal.files import free_bytes

FILE = "journal.reserve"
_MARGIN_BYTES = 16 << 20  # D: the reserve is laid in only where it leaves this much for the records themselves


class Ballast:
    """The reserve in `folder`. `size` 0 means none is kept."""

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / FILE
        self.size = size

    def lay_in(self) -> bool:
        """Make the reserve if it is missing and there is room for it; True when it is there. Raises OSError."""
        if self.size == 0:
            return True
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size == self.size:
                return True
        if free_bytes(self._path.parent) < self.size + _MARGIN_BYTES:
            return False
        self._allocate()
        return True

    def _allocate(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self.size)
            os.fsync(descriptor)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Give the reserve up; True when there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
