"""What the writer does when nothing waits: checkpoints, SQLite's log, the reserve, eviction, pruning.

Every step is small. It is put off while records wait, but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from agent.core.records import Record
from agent.journal import epochs, retention
from agent.journal.ballast import Ballast
from agent.journal.files import free_bytes
from agent.journal.retention import Trim
from agent.journal.schema import PAGE_BYTES
from agent.journal.store import Statement, Store

ROUND_S = 60.0  # a checkpoint is due after this with news; space is looked at as often
PATIENCE_S = 10.0  # D: a round put off by records for so long goes before them
LOG_PAGES = 1_000  # SQLite's own figure for when its log is worth moving into the file, 4 MB
QUIET_LOG_PAGES = 64  # D: after QUIET_S without a record a shorter log is moved too, when nobody waits
QUIET_S = 1.0
SHORT_BYTES = 64 << 20  # D: less free than this and old routine bodies go, so that the file stops growing
SPARE_PAGES = 1024  # D: 4 MB of empty pages inside the file are enough to go on with


class Housekeeping:
    """State of the chores. `synced` and `prune_before` are set from outside; `warning` is what to say, "" = nothing.

    `ask` is told a step of eviction or pruning that is due; it must see to its record. Until that record is written
    there is no other step, and with nobody to ask there is none at all: nothing is given up unsaid.
    """

    def __init__(
        self, folder: Path, ballast: Ballast, routine: Collection[str], ask: Callable[[Trim], None] | None
    ) -> None:
        self._folder = folder
        self._ballast = ballast
        self._routine = routine
        self._ask = ask
        self._asked: Trim | None = None
        self.synced = (0, 0)
        self.prune_before = ""
        self.warning = ""
        self._round_at = 0.0
        self._short = False
        self._evict_after = 0
        self._latched = b""
        self._more = True
        self._hurried = False
        self._quiet_at = float("inf")

    def wait_s(self, now: float) -> float:
        """Seconds until something is due."""
        return 0.0 if self._more else max(0.0, min(self._round_at, self._quiet_at) - now)

    def wake(self, now: float) -> None:
        """Something was written: look for chores again, and once more when it has been quiet for a while."""
        self._more = True
        self._quiet_at = now + QUIET_S

    def hurry(self) -> None:
        """The card is full: before anything else ask for what can be given up, and look at the space soon."""
        self._hurried = self._more = True
        self._round_at = 0.0

    def overdue(self, now: float) -> bool:
        return self._hurried or (now >= self._round_at + PATIENCE_S and self._round_at > 0.0)

    def ask_nothing(self) -> None:
        """From now on no step is begun: its record would come too late."""
        self._ask = None

    def tidy(self, store: Store, now: float) -> bool:
        """Do one chore. True when `warning` changed. Raises sqlite3.Error, OSError."""
        self._more = True
        before = self.warning
        if self._hurried:
            self._hurried, self._short = False, True
            self._give_up(store)
        elif now >= self._round_at:
            self._round(store, now)
        elif not self._one_chore(store, now):
            self._more = False
        return self.warning != before

    def _one_chore(self, store: Store, now: float) -> bool:
        if store.save_notes() or self._keep_latched(store):
            return True
        return self._move_log(store, now) or self._give_up(store)

    def _move_log(self, store: Store, now: float) -> bool:
        """Now when it is long, else when it is quiet."""
        quiet = now >= self._quiet_at
        if quiet:
            self._quiet_at = float("inf")
        if store.log_pages < (QUIET_LOG_PAGES if quiet else LOG_PAGES):
            return False
        before = store.log_pages
        store.move_log()
        return store.log_pages < before

    def _round(self, store: Store, now: float) -> None:
        """Once a minute: a checkpoint if there is news, and a look at the space."""
        self._round_at = now + ROUND_S
        store.mark()
        store.sign()
        store.save_notes()
        short = free_bytes(self._folder) < SHORT_BYTES
        self._short = short
        kept = self._ballast.lay_in()
        if short:
            self.warning = "the card is nearly full: bodies of old routine records are given up"
        elif not kept:
            self.warning = "the card has no room for the reserve kept for emergencies"
        else:
            self.warning = ""

    def _keep_latched(self, store: Store) -> bool:
        if store.latched_body == self._latched or not store.latched_body:
            return False
        self._latched = store.latched_body
        epochs.keep_latched(self._folder, self._latched)
        return True

    def _give_up(self, store: Store) -> bool:
        """One step of eviction or pruning, if the last one is done."""
        if self._ask is None or self._asked is not None:
            return False
        return self._evict(store) or self._prune(store)

    def _evict(self, store: Store) -> bool:
        """One step of eviction while space is short and the file has few empty pages left."""
        if not self._short:
            return False
        if store.connection.execute("PRAGMA freelist_count").fetchone()[0] >= SPARE_PAGES:
            return False
        looked = retention.look_for_bodies(store, self._evict_after, self.synced, self._routine)
        self._evict_after = looked.seq
        self._put(looked.trim)
        return not looked.done

    def _prune(self, store: Store) -> bool:
        if not self.prune_before:
            return False
        trim = retention.look_for_old(store, self.prune_before)
        self._put(trim)
        if trim is None:
            self.prune_before = ""
        return trim is not None

    def _put(self, trim: Trim | None) -> None:
        if trim is not None and self._ask is not None:
            self._asked = trim
            self._ask(trim)

    def beside(self, store: Store, records: Sequence[Record]) -> list[Statement]:
        """What must be done in the transaction of these records, because one of them tells it."""
        asked = self._asked
        return retention.statements_of(store, asked, self._routine) if asked and asked.told_in(records) else []

    def written(self, records: Sequence[Record]) -> bool:
        """These records are on disk. True when a step went with them."""
        done = self._asked is not None and self._asked.told_in(records)
        if done:
            self._asked = None
        return done

    def forget_step(self) -> None:
        """The file was replaced: the rows of the step that was asked for are in the one kept aside, and stay there."""
        self._asked = None

    def finish(self, store: Store) -> None:
        """Before closing: the last checkpoint and the latch picture's copy."""
        store.mark()
        store.sign()
        store.save_notes()
        self._keep_latched(store)


assert SPARE_PAGES * PAGE_BYTES < SHORT_BYTES, "eviction must end before the card is full of empty pages"
