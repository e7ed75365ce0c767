"""Copied beside a box as `sitecustomize`: while a file `hang` lies there, what the box commits does not come back.

A real card that dies in the middle of a sync holds the thread inside the kernel; nothing short of that can be had
without one, so the thread is held on its way into SQLite's COMMIT.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

HANG = Path(__file__).parent / "hang"
_connect = sqlite3.connect


class _Held(sqlite3.Connection):
    def execute(self, statement: str, *more: Any) -> sqlite3.Cursor:
        while statement.strip().upper().startswith("COMMIT") and HANG.exists():
            time.sleep(0.01)
        return super().execute(statement, *more)


def _held(*where: Any, **how: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _connect(*where, **({"factory": _Held} | how))
    return connection


sqlite3.connect = _held  # type: ignore[assignment]
