"""How far the far side has come, kept in the uplink's own small file: swapped whole and synced."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.files import replace_file
from agent.uplink.batch import Ref

FILE = "mqtt-cursor.json"
START: Ref = (0, 0)
SAVE_EVERY_S = 1.0  # D: a sync of the card for each receipt would wear it; what a crash forgets is only sent again

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct):
    epoch: int
    seq: int


def load_cursor(path: Path) -> Ref:
    """The last receipt kept; (0, 0) when there is none. A damaged file costs a resend, which the far side weeds out."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return START
    except (OSError, *NOT_JSON) as error:
        log.warning("cannot read %s (%s): sending the journal from its beginning", path, error)
        return START
    return (kept.epoch, kept.seq)


def save_cursor(path: Path, cursor: Ref) -> None:
    """Durable when it returns. Raises OSError; the receipt then only counts for as long as this process lives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(_Kept(*cursor)))


class CursorKeeper:
    """Writes down how far one far side is, at most every SAVE_EVERY_S, and then tells of it: control may evict only
    what we will never need to send again."""

    def __init__(self, path: Path, tell: Callable[[Ref], None]) -> None:
        self._path = path
        self._tell = tell
        self._saved = self._cursor = load_cursor(path)
        self._unsaved = asyncio.Event()

    @property
    def start(self) -> Ref:
        """Where the far side was when we last wrote it down before this life."""
        return self._saved

    def moved(self, cursor: Ref) -> None:
        self._cursor = cursor
        self._unsaved.set()

    async def run(self) -> None:
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            await self.save()
            await asyncio.sleep(SAVE_EVERY_S)

    async def save(self) -> None:
        """Make the cursor durable, then report it."""
        cursor = self._cursor
        if cursor == self._saved:
            return
        try:
            await asyncio.to_thread(save_cursor, self._path, cursor)
        except OSError as error:
            log.error("cannot keep the receipt in %s: %s", self._path, error)
            return
        self._saved = cursor
        self._tell(cursor)
