"""The journal as control has it: opened at start, written beside the loop, its word on durability brought back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent import picture as pic
from agent.control import space
from agent.control.space import Space
from agent.core.calendar import DAY_MS
from agent.core.events import NewEpoch, Note
from agent.core.kinds import WEIGHT
from agent.core.records import Record, utc_text
from agent.core.words import ClockTrust
from agent.journal.opening import Opened, open_journal
from agent.journal.retention import Trim
from agent.journal.writer import Durable, JournalWriter
from hardware import places
from hardware.site import Site

if TYPE_CHECKING:
    from agent.control.runtime import Runtime
    from agent.control.server import Server

MEASURE_S = 60.0
WATCH_S = 0.5
HUNG_S = 2.0  # D: a card that kept a record waiting for so long is failing; alarms have left from memory long before
CLOSE_S = 3.0  # D: a slow card gets this long to take the last records; who stops us waits 5 s before killing
REFUSED_CLOSE_S = 1.0  # D: one that refuses or hangs will not take them: a restart must not wait for it


class Spine:
    """One journal. `start` must be called from the loop's thread; until then records wait in the writer's queue."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = places.storage_dir(site)
        self.opened: Opened = open_journal(self._folder, site.site.id, site.site.box)
        self._loop = asyncio.get_running_loop()
        self._runtime: Runtime | None = None
        self._server: Server | None = None
        self._synced: tuple[int, int] = (0, 0)
        self.synced_at: float | None = None
        self._space = Space()
        self._refusal: tuple[bool, str] = (False, "")  # the writer's own word on the card
        self._hung = False
        self._warned = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._writer = JournalWriter(
            self.opened.path,
            self.opened.key,
            f"{site.site.id}/{site.site.box}",
            self._on_durable,
            self._on_health,
            on_epoch=self._on_epoch,
            on_trim=self._on_trim,
            weights=WEIGHT,
            ballast_mb=site.storage.ballast_mb,
        )

    # ── life ───────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, runtime: Runtime, server: Server) -> None:
        self._runtime, self._server = runtime, server
        self._writer.start()
        self._tasks.append(self._loop.create_task(self._measure(), name="measure"))
        self._tasks.append(self._loop.create_task(self._watch(), name="watch"))

    async def close(self) -> None:
        """Write down what waits, for a bounded time, and let go of the file."""
        for task in self._tasks:
            task.cancel()
        limit_s = REFUSED_CLOSE_S if self._refusal[0] or self._writer.waiting_s() > HUNG_S else CLOSE_S
        await asyncio.to_thread(self._writer.close, limit_s)

    def alive(self) -> bool:
        """Whether the writer's thread lives. A refusing disk is no reason to restart: memory holds the alarms."""
        return self._writer.alive()

    # ── the loop's side ────────────────────────────────────────────────────────────────────────────────────────

    def append(self, records: Sequence[Record], emergency: bool) -> None:
        self._writer.append(records, emergency)

    def synced(self, epoch: int, seq: int) -> None:
        """The far side has everything up to here."""
        if (epoch, seq) > self._synced:
            self._synced = (epoch, seq)
            self.synced_at = time.monotonic()
            self._writer.synced(epoch, seq)

    def disown(self, epoch: int) -> None:
        """Nothing is signed over this epoch any more."""
        self._writer.disown(epoch)

    # ── the writer's side, in its thread ───────────────────────────────────────────────────────────────────────

    def _on_durable(self, durable: Durable) -> None:
        self._loop.call_soon_threadsafe(self._tell_durable, durable)

    def _on_health(self, failing: bool, why: str) -> None:
        self._loop.call_soon_threadsafe(self._tell_health, failing, why)

    def _on_epoch(self, epoch: int, why: str) -> None:
        self._loop.call_soon_threadsafe(self._tell_epoch, epoch, why)

    def _on_trim(self, trim: Trim) -> None:
        self._loop.call_soon_threadsafe(self._tell_trim, trim)

    def _tell_durable(self, durable: Durable) -> None:
        assert self._runtime is not None and self._server is not None
        self._runtime.durable(durable.epoch, durable.seq, durable.at_ns / 1e9)
        self._server.durable(durable.epoch, durable.seq)

    def _tell_health(self, failing: bool, why: str) -> None:
        self._refusal = (failing, why)
        self._judge()

    def _judge(self) -> None:
        """What the writer says of the card, or that it can say nothing because the card holds it."""
        assert self._runtime is not None and self._server is not None
        failing, why = self._refusal
        self._hung = self._writer.waiting_s() > HUNG_S
        if self._hung and not failing:
            failing, why = True, "the card neither takes nor refuses what is written to it"
        self._runtime.journal_health(failing, why)
        if failing:
            self._server.failing()
        elif why and why != self._warned:
            self._runtime.handle(Note("journal.problem", "journal", "box", {"code": "warning", "what": why}))
        self._warned = why

    async def _watch(self) -> None:
        """A write that hangs is told by nobody but the clock."""
        while True:
            await asyncio.sleep(WATCH_S)
            if (self._writer.waiting_s() > HUNG_S) is not self._hung:
                self._judge()

    def _tell_epoch(self, epoch: int, why: str) -> None:
        assert self._runtime is not None
        self._runtime.handle(NewEpoch(epoch, self._runtime.state.next_seq, why))

    def _tell_trim(self, trim: Trim) -> None:
        """Old rows or bodies go with the record that says so."""
        assert self._runtime is not None
        self._runtime.handle(Note(trim.kind, "journal", "box", trim.data))

    # ── figures ────────────────────────────────────────────────────────────────────────────────────────────────

    def backlog(self) -> int | None:
        """Records on disk that the far side has not confirmed; None before its first word or across an epoch."""
        head = self._writer.head
        if head is None or self._synced[0] != head[0]:
            return None
        return max(0, head[1] - self._synced[1])

    def figures(self) -> pic.JournalPart:
        assert self._runtime is not None
        state = self._runtime.state
        card, signed = self._space.newest, self._writer.signed
        known = signed is not None and signed[0] == state.epoch
        return pic.JournalPart(
            health=state.health.journal,
            why=state.health.journal_why,
            head=state.next_seq - 1,
            durable=self._runtime.durable_seq,
            synced=self._synced[1] if self._synced[0] == state.epoch else None,
            size_bytes=card.size if card else None,
            free_bytes=card.free if card else None,
            used_percent=card.used_percent if card else None,
            headroom_days=self._space.headroom_days(),
            signed_size=signed[1] if signed and known else None,
            signed=round(signed[2] * 1000) if signed and known else None,
        )

    async def _measure(self) -> None:
        """Look at the disk now and then; prune what is older than the site keeps, by a trusted clock only."""
        while True:
            measure = await asyncio.to_thread(space.look, self.opened.path)
            assert self._runtime is not None
            mark = self._space.add(measure)
            if mark is not None:
                data: dict[str, object] = {"passed_percent": mark, "used_percent": measure.used_percent}
                self._runtime.handle(Note("journal.space", "journal", "box", data))
            if self._runtime.state.clock.trust is ClockTrust.TRUSTED:
                oldest_day = round(time.time() * 1000) // DAY_MS - self._site.storage.journal_days
                self._writer.prune(utc_text(oldest_day * DAY_MS))  # a whole day at a time: few records tell of it
            await asyncio.sleep(MEASURE_S)
