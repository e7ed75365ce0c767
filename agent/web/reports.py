"""The monthly report on the status page: which months there are, a preview, tables to take away.

Reports are made in a process of their own, one at a time, and kept while the journal they were made from is the same.
Each look at one is a record first; where that cannot be written, nothing is shown.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.reader import JournalReader
from agent.journal.schema import FILE
from agent.reports.job import Done, Job
from agent.reports.month import months
from agent.reports.records import UNTRUSTED, decode, utc_ms
from hardware.places import storage_dir
from hardware.site import Site

TABLE = re.compile(r"[a-z-]{1,30}")
MOST_MONTHS = 24  # D: two years; a journal is kept for half of one
MOST_KEPT = 4  # D: months and languages kept, about a megabyte each
MOST_WAITING = 4  # D: so many may wait for one to be made
MAKING_S = 300.0  # D: a month of 300 000 records takes a slow box about a minute
VIEWS_A_MINUTE = 30  # D: each is a record that is never given up
LOOK_ROWS, STRIDE = 20_000, 100  # D: so far a record whose clock was trusted is looked for, so many at once
TYPES = {
    "html": "text/html",
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# A report may be laid out by the school's own form, so it gets less than a page of ours: it can style itself, no more.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
POLICY += "frame-ancestors 'none'; sandbox"
Note = Callable[[str, str, dict[str, Any]], Awaitable[str]]


class NoReport(Exception):
    """`args[0]` says why, in field words; `status` is the answer's."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Standing(msgspec.Struct, frozen=True):
    """What the journal was like: reports of a month that is over depend on `file` only."""

    file: tuple[int, int, int]  # device, inode, newest epoch
    size: int  # of the newest checkpoint's tree
    first_ms: int
    last_ms: int


class Reports:
    """`note` writes one record through control and returns "" or why it could not."""

    def __init__(self, site: Site, note: Note) -> None:
        self._site = site
        self._note = note
        self._zone = ZoneInfo(site.site.timezone)
        self._journal = storage_dir(site) / FILE
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._made: OrderedDict[object, Path] = OrderedDict()
        self._views: deque[float] = deque(maxlen=VIEWS_A_MINUTE)
        self._folder: Path | None = None

    def close(self) -> None:
        """Take every file away."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            self._made.clear()

    async def months(self) -> tuple[str, ...]:
        """Those the journal has records of, newest first. Raises NoReport."""
        return self._months(await self._standing())

    def _months(self, standing: Standing) -> tuple[str, ...]:
        if not standing.last_ms:
            return ()
        return tuple(months(standing.first_ms, standing.last_ms, self._zone))[:MOST_MONTHS]

    async def file(self, month: str, form: str, language: str, table: str) -> tuple[str, bytes]:
        """The file's name and what is in it, made if need be, its view written down. Raises NoReport."""
        standing = await self._standing()
        if month not in self._months(standing):
            raise NoReport(404, f"the journal holds nothing of {month}")
        if form == "csv" and not TABLE.fullmatch(table):
            raise NoReport(404, "no such table")
        self._bound()
        folder = await self._folder_of(month, language, standing)
        found = _in(folder, form, language, table)
        data = found.read_bytes()  # before anything is waited for: it may be forgotten meanwhile
        await self._write_down(month, form, language, table)
        return found.name, data

    def _bound(self) -> None:
        """Who looks without end would fill the journal."""
        now = time.monotonic()
        if len(self._views) == VIEWS_A_MINUTE and now - self._views[0] < 60:
            raise NoReport(503, "too many looks at reports within a minute")
        self._views.append(now)

    async def _write_down(self, month: str, form: str, language: str, table: str) -> None:
        data = {"form": form, "language": language, "month": month} | ({"table": table} if form == "csv" else {})
        why = await self._note("view.report", f"report:{month}", data)
        if why:
            raise NoReport(503, f"this look cannot be written down, so nothing is shown: {why}")

    # ── making ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _folder_of(self, month: str, language: str, standing: Standing) -> Path:
        if self._waiting >= MOST_WAITING:
            raise NoReport(503, "other reports are being made: try again in a minute")
        self._waiting += 1
        try:
            async with self._turn:
                key = (month, language, standing.file, None if self._is_over(month, standing) else standing.size)
                if key not in self._made:
                    self._made[key] = await self._make(month, language)
                    self._forget()
                self._made.move_to_end(key)
                return self._made[key]
        finally:
            self._waiting -= 1

    def _is_over(self, month: str, standing: Standing) -> bool:
        return next(months(standing.last_ms, standing.last_ms, self._zone)) > month

    def _forget(self) -> None:
        while len(self._made) > MOST_KEPT:
            _, folder = self._made.popitem(last=False)
            shutil.rmtree(folder, ignore_errors=True)

    async def _make(self, month: str, language: str) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="menwei-reports-"))
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        job = Job(
            site=self._site, month=month, language=language, made_ms=time.time_ns() // 1_000_000, folder=str(folder)
        )
        try:
            done = await _worked(job)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if done.why:
            shutil.rmtree(folder, ignore_errors=True)
            raise NoReport(503, done.why)
        return folder

    # ── the journal ────────────────────────────────────────────────────────────────────────────────────────────

    async def _standing(self) -> Standing:
        try:
            return await asyncio.to_thread(_look, self._journal)
        except JOURNAL_ERRORS as error:
            raise NoReport(503, f"the journal cannot be read: {error}") from error


def _look(journal: Path) -> Standing:
    """Raises Damaged, Trouble, sqlite3.Error, OSError."""
    status = journal.stat()
    with JournalReader(journal) as reader:
        epoch, seq = reader.head()
        checkpoint = reader.checkpoint()
        first_ms = _first_sure_ms(reader)
        last_ms = _last_sure_ms(reader)
    size = checkpoint[1] if checkpoint is not None and checkpoint[0] == epoch else seq
    return Standing((status.st_dev, status.st_ino, epoch), size, first_ms or last_ms, last_ms)


def _first_sure_ms(reader: JournalReader) -> int:
    for _, _, body in reader.read(reader.first(), LOOK_ROWS):
        if body is not None and (told := decode(body)).clock != UNTRUSTED:
            return told.at_ms
    return 0


def _last_sure_ms(reader: JournalReader) -> int:
    before: int | None = None
    for _ in range(LOOK_ROWS // STRIDE):
        rows = reader.records(newest=STRIDE, before_seq=before)
        for row in rows:
            if row.data is not None and row.data["clock"] != UNTRUSTED:
                return utc_ms(str(row.data["at"]))
        if not rows:
            break
        before = rows[-1].seq
    return 0


def _in(folder: Path, form: str, language: str, table: str) -> Path:
    """The one file of that form; of CSV the table's."""
    ending = f"-{language}-{table}.csv" if form == "csv" else f"-{language}.{form}"
    found = next((path for path in folder.iterdir() if path.name.endswith(ending)), None)
    if found is None:
        raise NoReport(404, "no such table")
    return found


async def _worked(job: Job) -> Done:
    """The job done in a process of its own, which ends with whoever waits for it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent.reports.worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(MAKING_S):
            out, _ = await process.communicate(msgspec.json.encode(job))
        return msgspec.json.decode(out, type=Done)
    except TimeoutError:
        return Done(why=f"the report was not made within {MAKING_S:.0f} s")
    except NOT_JSON:
        return Done(why="the report could not be made: its process ended early")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
