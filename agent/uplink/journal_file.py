"""The journal file as the uplink needs it: rows in order, and the newest checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.journal.schema import FILE, connect_reader
from agent.uplink.batch import Row


class JournalFile:
    """A read-only view of the journal in `folder`. Raises what the journal's schema and SQLite raise."""

    def __init__(self, folder: Path) -> None:
        self._connection = connect_reader(folder / FILE)

    def read(self, from_seq: int, limit: int, max_bytes: int) -> Sequence[Row]:
        rows: list[Row] = []
        found = self._connection.execute(
            "SELECT seq, epoch, body FROM record WHERE seq >= ? ORDER BY seq LIMIT ?", (from_seq, limit)
        )
        for seq, epoch, body in found:
            max_bytes -= len(body or b"")
            if rows and max_bytes < 0:
                break
            rows.append((seq, epoch, body))
        return rows

    def last_checkpoint(self) -> bytes | None:
        row = self._connection.execute("SELECT note FROM checkpoint ORDER BY epoch DESC, size DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0]).encode()

    def close(self) -> None:
        self._connection.close()
