"""The journal's only writer: one thread, one connection, group commit.

`append` hands over and returns. The thread writes whatever is waiting, at once, as one group; an emergency is never
kept waiting for records behind it. After the commit it reports, then signs checkpoints. When the disk refuses, the
records stay in memory in order, it says so, and tries again until the disk takes them.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from agent.core.records import GENESIS_LINK, Record, Weight
from agent.journal import epochs, opening, schema
from agent.journal.ballast import Ballast
from agent.journal.checkpoint import Signer
from agent.journal.errors import FILE_ERRORS, JOURNAL_ERRORS, Damaged, Trouble, told
from agent.journal.files import hold, let_go
from agent.journal.head import Head
from agent.journal.housekeeping import Housekeeping
from agent.journal.merkle import Frontier
from agent.journal.pending import Group, Pending
from agent.journal.retention import Trim
from agent.journal.store import Connect, Store

RETRY_FIRST_S, RETRY_MOST_S = (
    0.1,
    2.0,
)  # D: the first tries catch a hiccup, the bound keeps a returned disk from waiting
LOG_PAGES_MOST = 4_096  # D: 16 MB of SQLite's log at most before it is moved even under load
MEBIBYTE = 1 << 20

log = logging.getLogger(__name__)


class Durable(msgspec.Struct, frozen=True):
    """Every record up to (epoch, seq) is on disk since `at_ns` (monotonic)."""

    epoch: int
    seq: int
    at_ns: int


class _Order(msgspec.Struct, frozen=True):
    """Something else than records for the thread: `prune_before` as UTC text, an epoch to disown, or the end."""

    prune_before: str = ""
    disown: int = 0
    stop: bool = False


class JournalWriter:
    """Writes the journal at `path`.

    All callbacks run in the writer's thread and must only hand over. `on_durable` comes after each commit.
    `on_health(failing, why)` comes on changes; not failing with a reason is a warning (the reserve is in use, routine
    records were dropped). `on_epoch(epoch, why)`: the file was damaged while running; it was replaced, and records
    must carry this epoch from now on, their numbers going on. `weights` tell which kinds may be dropped or evicted.
    `on_trim(trim)`: this much may be given up; append a record of kind `trim.kind` with `trim.data`, and it goes in the
    transaction that writes that record. Without this callback nothing is ever evicted or pruned.
    """

    def __init__(
        self,
        path: Path,
        key: Signer,
        site_box: str,
        on_durable: Callable[[Durable], None],
        on_health: Callable[[bool, str], None],
        *,
        on_epoch: Callable[[int, str], None] | None = None,
        on_trim: Callable[[Trim], None] | None = None,
        weights: Mapping[str, Weight] | None = None,
        ballast_mb: int = 32,
        connect: Connect = schema.connect_writer,
    ) -> None:
        self._path, self._key, self._site_box = path, key, site_box
        self._on_durable, self._on_health, self._on_epoch = on_durable, on_health, on_epoch
        self._connect = connect
        routine = frozenset(kind for kind, weight in (weights or {}).items() if weight in (Weight.PASSAGE, Weight.FACT))
        self._inbox: SimpleQueue[Group | _Order] = SimpleQueue()
        self._pending = Pending(routine.__contains__)
        self._ballast = Ballast(path.parent, ballast_mb * MEBIBYTE)
        ask = None if on_trim is None else partial(self._tell, on_trim)
        self._house = Housekeeping(path.parent, self._ballast, routine, ask)
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._store: Store | None = None
        self._head: Head | None = None  # as last known durable; outlives the store
        self._noted_epoch = 0
        self._disowned = 0  # nothing is signed over up to this epoch any more; outlives the store
        self._failing = False
        self._unsure = False  # a write failed: what the file holds must be made certain before going on
        self._warning = ""
        self._retry_s = RETRY_FIRST_S
        self._retry_at = 0.0
        self._stop_at: float | None = None
        self.signed: tuple[int, int, float] | None = None  # newest checkpoint: epoch, size, monotonic seconds
        self._next: tuple[int, int] | None = None
        self._appended = self._durable = 0
        self._oldest_at: float | None = None

    # ── for the loop's thread ──────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Take the folder and begin. Raises JournalBusy."""
        hold(self._path.parent)
        self._thread.start()

    def append(self, records: Sequence[Record], emergency: bool) -> None:
        """Hand over the records of one step. Never blocks. Raises ValueError where their numbers do not follow."""
        if not records:
            return
        first, last = records[0], records[-1]
        known = self._next if self._next is not None else (first.epoch, first.seq)
        if first.seq != known[1] or first.epoch < known[0] or last.seq != first.seq + len(records) - 1:
            raise ValueError(f"records {first.ref} to {last.ref} do not follow: expected number {known[1]}")
        self._next = (last.epoch, last.seq + 1)
        self._appended += len(records)
        now = time.monotonic()
        if self._oldest_at is None:
            self._oldest_at = now
        self._inbox.put(Group(records, emergency, now))

    @property
    def backlog(self) -> int:
        """Records appended and not yet on disk."""
        return self._appended - self._durable

    def waiting_s(self) -> float:
        """How long the oldest record that is not on disk has waited: a hung card shows here and nowhere else."""
        oldest = self._oldest_at
        return 0.0 if oldest is None else max(0.0, time.monotonic() - oldest)

    @property
    def head(self) -> tuple[int, int] | None:
        """(epoch, seq) of the newest durable record; None before the file is open."""
        head = self._head
        return None if head is None else head.ref

    def alive(self) -> bool:
        """Whether the thread lives. It survives every error it knows of; a dead one is worth a restart."""
        return self._thread.is_alive()

    def synced(self, epoch: int, seq: int) -> None:
        """The far side has everything up to here: those bodies may go when storage is short."""
        self._house.synced = max(self._house.synced, (epoch, seq))

    def prune(self, before: str) -> None:
        """Drop records older than this UTC text (as `records.utc_text` gives it). Only with a trusted clock."""
        self._inbox.put(_Order(prune_before=before))

    def disown(self, epoch: int) -> None:
        """Sign nothing more over this epoch and those before: what the far side has of it is not what is here.

        To be called before the first record of the next epoch is appended.
        """
        self._inbox.put(_Order(disown=epoch))

    def close(self, timeout_s: float = 10.0) -> bool:
        """Write what is left, sign, and end. True when everything appended is on disk."""
        self._inbox.put(_Order(stop=True))
        self._stop_at = time.monotonic() + timeout_s
        if self._thread.ident is not None:
            self._thread.join(timeout_s + 1.0)
        let_go(self._path.parent)
        return self.backlog == 0

    # ── the thread ─────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        stopping = False
        while not (stopping and self._may_stop()):
            stopping |= self._gather()
            try:
                self._turn()
            except JOURNAL_ERRORS as error:
                self._fail(error)
            except Exception as error:
                log.exception("the journal's writer stumbled")
                self._fail(Trouble(f"the journal's writer stumbled: {error}"))
        self._end()

    def _may_stop(self) -> bool:
        return not self._pending or (self._stop_at is not None and time.monotonic() >= self._stop_at)

    def _gather(self) -> bool:
        """Take in what was handed over, waiting for it if there is nothing to do. True when told to stop."""
        stop = False
        timeout = self._timeout()
        try:
            item = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            while True:
                if isinstance(item, Group):
                    self._pending.add(item)
                elif item.stop:
                    stop = True
                    self._house.ask_nothing()
                elif item.disown:
                    self._disown(item.disown)
                else:
                    self._house.prune_before = item.prune_before
                item = self._inbox.get_nowait()
        except Empty:
            self._oldest_at = self._pending.oldest_at
            return stop

    def _disown(self, epoch: int) -> None:
        self._disowned = max(self._disowned, epoch)
        if self._store is not None:
            self._store.disown(self._disowned)

    def _timeout(self) -> float:
        """Seconds until there is something to do without anything new."""
        now = time.monotonic()
        if self._store is None or self._failing:
            return max(0.0, self._retry_at - now)
        return 0.0 if self._pending else self._house.wait_s(now)

    def _turn(self) -> None:
        now = time.monotonic()
        if (self._store is None or self._failing) and now < self._retry_at:
            self._thin()
            return
        store = self._store if self._store is not None else self._open()
        if self._pending and not self._house.overdue(now):
            self._commit(store)
        elif self._house.tidy(store, now):
            self._warn()
        self.signed = store.signed or self.signed
        if store.log_pages > LOG_PAGES_MOST and not self._pending.urgent_first:
            store.move_log()

    def _commit(self, store: Store) -> None:
        records = self._pending.batch()
        store.check_follows(records[0])
        self._note_epoch(records[-1].epoch)
        store.commit(records, self._house.beside(store, records))
        at_ns = time.monotonic_ns()
        self._head = store.head
        trimmed = self._settled(records)
        self._tell(self._on_durable, Durable(store.head.epoch, store.head.seq, at_ns))
        store.sign()
        self._house.wake(at_ns / 1e9)
        self._recovered()
        if trimmed:
            store.move_log()  # only then are its pages free for the next records

    def _settled(self, records: Sequence[Record]) -> bool:
        """These are on disk. True when a step of eviction or pruning went with them."""
        self._pending.written(len(records))
        self._durable += len(records)
        self._oldest_at = self._pending.oldest_at
        return self._house.written(records)

    def _note_epoch(self, epoch: int) -> None:
        """An epoch is noted beside the journal before its first record, so that it can never go back."""
        if epoch > self._noted_epoch:
            note = epochs.read_note(self._path.parent)
            if note is None or note.epoch < epoch:
                epochs.write_note(self._path.parent, epoch)
            self._noted_epoch = epoch

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> Store:
        folder = self._path.parent
        if not self._path.exists():
            if self._head is not None or epochs.read_note(folder) is not None:
                raise self._gone(folder)
            first = self._pending.first
            opening.create_first(folder, self._site_box, first.epoch if first is not None else 1)
        store = Store(self._path, self._key, self._site_box, self._connect)
        store.disown(self._disowned)
        try:
            if self._unsure:
                store.settle()
            self._take_up(store)
        except BaseException:
            store.close()
            raise
        self._store, self._unsure = store, False
        if not self._pending:
            self._recovered()
        return store

    def _gone(self, folder: Path) -> Damaged | Trouble:
        """A journal that vanished with its whole folder is a card that is not mounted; alone, it is damage."""
        if epochs.read_note(folder) is None:
            return Trouble("the journal's folder is empty: is the card mounted?")
        return Damaged("the journal file is gone")

    def _take_up(self, store: Store) -> None:
        """Make sure that this file is the one we were writing, or that what waits follows its head."""
        known = self._head
        if known is not None and (store.head.ref, store.head.link) != (known.ref, known.link):
            self._adopt_written(store, known)
        first = self._pending.first
        if first is not None:
            store.check_follows(first)
        self._head = store.head

    def _adopt_written(self, store: Store, known: Head) -> None:
        """A commit that reported failure may be in the file all the same: then those records are not written twice."""
        waiting = self._pending.batch()[: max(0, store.head.seq - known.seq)]
        if not waiting or waiting[-1].ref != store.head.ref or not store.holds(waiting):
            raise Damaged(f"the journal ends at record {store.head.seq}, not at {known.seq} as it did")
        self._settled(waiting)
        self._tell(self._on_durable, Durable(store.head.epoch, store.head.seq, time.monotonic_ns()))

    # ── failure ────────────────────────────────────────────────────────────────────────────────────────────────

    def _fail(self, error: Exception) -> None:
        problem: Exception | None = told(error) if isinstance(error, FILE_ERRORS) else error
        self._unsure = True
        self._drop_store()
        if isinstance(problem, Damaged):
            problem = self._replace(problem)
        full = isinstance(problem, Trouble) and problem.full
        if full:
            self._house.hurry()
        if full and self._ballast.release():
            self._warning = "the card is full: the reserve kept for emergencies is in use"
            self._warn()
        elif problem is not None:
            self._back_off(str(problem))

    def _drop_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except sqlite3.Error as error:
                log.warning("closing the journal file: %s", error)

    def _back_off(self, why: str) -> None:
        first = not self._failing
        self._failing = True
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(self._retry_s * 2, RETRY_MOST_S)
        if first:
            self._tell(self._on_health, True, why)
        self._thin()

    def _thin(self) -> None:
        if dropped := self._pending.thin():
            log.error("memory is short while the card refuses: %d routine records dropped", dropped)
            self._warning = "routine records were dropped while the card refused"

    def _recovered(self) -> None:
        self._retry_s = RETRY_FIRST_S
        if self._failing:
            self._failing = False
            self._tell(self._on_health, False, self._warning)
            self._warning = ""

    def _warn(self) -> None:
        """Say what is not right though records are being written."""
        why = self._warning or self._house.warning
        self._warning = ""
        if not self._failing:
            self._tell(self._on_health, False, why)

    def _replace(self, damage: Damaged) -> Trouble | None:
        """Keep a damaged file aside and continue the chain in a new one. Returns what went wrong, None = done."""
        folder = self._path.parent
        head, first = self._head, self._pending.first
        if head is None or (first is not None and first.seq != head.seq + 1):
            head = self._before(first)
        epoch = epochs.next_epoch(folder, *opening.epochs_in(self._path), head.epoch if head.seq else 0)
        if first is not None and first.seq == 1 and first.epoch >= epoch:
            epoch = first.epoch  # these records were begun without a file, in an epoch above all known ones
        base = head.base() if head.seq else schema.Base.first(first.epoch if first else epoch)
        try:
            aside = opening.begin_file(folder, self._site_box, epoch, base)
        except Trouble as trouble:
            return trouble
        self._head = None
        self._noted_epoch = epoch
        self._house.forget_step()
        why = f"{damage}; epoch {epoch} begins" + (f", the old file is kept as {aside.name}" if aside else "")
        log.error("%s", why)
        if self._on_epoch is not None and (first is None or first.epoch < epoch):
            self._tell(self._on_epoch, epoch, why)
        return None

    @staticmethod
    def _before(first: Record | None) -> Head:
        """The place before a record whose forerunners nobody here has seen."""
        epoch, seq = (first.epoch, first.seq - 1) if first is not None else (1, 0)
        return Head(schema.Base(epoch, seq, GENESIS_LINK, Frontier()), 0)

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self) -> None:
        if self._store is None:
            return
        try:
            self._house.finish(self._store)
        except FILE_ERRORS as error:
            log.warning("the journal's last checkpoint could not be written: %s", told(error))
        self._drop_store()

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        """A listener that fails (a loop already closed) must not stop the journal."""
        try:
            callback(*arguments)
        except Exception:
            log.exception("a listener of the journal failed")
