"""The box's wall clock, as far as a simulator can step it: an offset in a file that the demo's time source reads.

The file is `clock-offset` in the site's `run_dir`: one line, whole milliseconds to add to the host's clock. It is
replaced as a whole, so a reader never sees half of a number.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class ClockFile:
    """Starts at 0: a new simulator is a box whose clock is right. Where the folder cannot be written, `step` fails."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock-offset"
        self._offset_ms = 0
        with contextlib.suppress(OSError):
            self._write(0)

    def step(self, by_s: float) -> int:
        """Step the clock; returns the whole offset in milliseconds. Raises OSError, and then nothing was stepped."""
        offset_ms = self._offset_ms + round(by_s * 1000)
        self._write(offset_ms)
        self._offset_ms = offset_ms
        return offset_ms

    def _write(self, offset_ms: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_name(f".clock-offset.{os.getpid()}")
        fresh.write_text(f"{offset_ms}\n", "ascii")
        fresh.replace(self._path)
