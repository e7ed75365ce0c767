"""Cards that refuse: a connection whose statements fail, and a small file system of its own."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.journal import schema
from agent.journal.opening import Opened
from agent.journal.reader import JournalReader
from agent.journal.verify import verify


class Faulty:
    """A connection whose next statements fail while `fault` says so."""

    def __init__(self, path: Path, fault: Callable[[str], sqlite3.Error | None]) -> None:
        self._real = schema.connect_writer(path)
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        error = self._fault(statement)
        if error is not None:
            raise error
        return self._real.execute(statement, parameters)


def sqlite_error(code: int, text: str) -> sqlite3.Error:
    error = (sqlite3.DatabaseError if code == sqlite3.SQLITE_CORRUPT else sqlite3.OperationalError)(text)
    error.sqlite_errorcode = code
    return error


class Switch:
    """Writes fail with this error while it is set."""

    def __init__(self) -> None:
        self.error: sqlite3.Error | None = None
        self.tries = 0

    def __call__(self, statement: str) -> sqlite3.Error | None:
        if self.error is not None and statement.startswith(("INSERT", "BEGIN", "COMMIT", "UPDATE", "PRAGMA wal_ch")):
            self.tries += 1
            return self.error
        return None

    def connect(self, path: Path) -> Any:
        return Faulty(path, self)


def bodies(path: Path) -> list[dict[str, Any]]:
    with JournalReader(path) as reader:
        return [json.loads(body or b"{}") for _, _, body in reader.read(1, 1 << 20, 1 << 30)]


def sound(found: Opened) -> None:
    report = verify(found.path, key=found.key.public)
    assert report.ok, report.what


@contextlib.contextmanager
def small_card(folder: Path, size_mb: int) -> Iterator[Path]:
    """A file system of so many megabytes, where this user may make one."""
    card = folder / "card"
    card.mkdir()
    how = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(card)]
    if subprocess.run(how, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield card
    finally:
        subprocess.run(["umount", "-l", card], check=True)
