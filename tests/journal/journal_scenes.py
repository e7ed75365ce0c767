"""What the journal's tests share: records, folders, a writer with its ears on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from agent.core.records import Record, Value, Weight, utc_text
from agent.core.words import ClockTrust
from agent.journal import retention, schema
from agent.journal.keys import BoxKey
from agent.journal.opening import Opened, open_journal
from agent.journal.retention import Trim
from agent.journal.store import Store
from agent.journal.writer import Durable, JournalWriter

SITE, BOX = "dongfang-primary", "gate-1"
SITE_BOX = f"{SITE}/{BOX}"
FIRST_MS = 1_788_200_000_000  # 2026-08-31
WEIGHTS = {
    "panic.pressed": Weight.ALARM,
    "motion.asked": Weight.ACTION,
    "door.granted": Weight.PASSAGE,
    "device.lost": Weight.FACT,
    "box.latched": Weight.FACT,
}


def record(seq: int, kind: str = "door.granted", epoch: int = 1, **data: Value) -> Record:
    return Record(
        actor="card:pupil-0001",
        at=utc_text(FIRST_MS + seq * 60_000),
        boot="b1",
        cause=(epoch, seq - 1) if seq > 1 else None,
        clock=ClockTrust.TRUSTED,
        data=data or {"door": "wicket", "why": "在校时间"},
        epoch=epoch,
        kind=kind,
        mono_ns=seq * 1_000_000,
        seq=seq,
        site_box=SITE_BOX,
        subject="door:wicket",
    )


def records(first: int, count: int, kind: str = "door.granted", epoch: int = 1) -> list[Record]:
    return [record(seq, kind, epoch) for seq in range(first, first + count)]


def opened(folder: Path) -> Opened:
    return open_journal(folder, SITE, BOX)


class Ears:
    """Hears everything a writer says."""

    def __init__(self) -> None:
        self.durable: list[Durable] = []
        self.health: list[tuple[bool, str]] = []
        self.epochs: list[tuple[int, str]] = []
        self._changed = threading.Condition()

    def on_durable(self, durable: Durable) -> None:
        self._hear(self.durable, durable)

    def on_health(self, failing: bool, why: str) -> None:
        self._hear(self.health, (failing, why))

    def on_epoch(self, epoch: int, why: str) -> None:
        self._hear(self.epochs, (epoch, why))

    def _hear(self, where: list[Any], what: object) -> None:
        with self._changed:
            where.append(what)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout_s), f"{self.durable[-1:]} {self.health} {self.epochs}"

    def wait_durable(self, seq: int) -> None:
        self.wait(lambda: bool(self.durable) and self.durable[-1].seq >= seq)


def writer_on(found: Opened, ears: Ears, **options: Any) -> JournalWriter:
    options.setdefault("weights", WEIGHTS)
    options.setdefault("ballast_mb", 0)
    return JournalWriter(
        found.path, found.key, SITE_BOX, ears.on_durable, ears.on_health, on_epoch=ears.on_epoch, **options
    )


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """For what no callback tells: the file system."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def write(folder: Path, groups: Sequence[Sequence[Record]]) -> Opened:
    """A journal with these groups in it, closed in good order."""
    found = opened(folder)
    ears = Ears()
    writer = writer_on(found, ears)
    writer.start()
    for group in groups:
        writer.append(group, emergency=False)
    assert writer.close()
    return found


def bare_store(path: Path, key: BoxKey | None = None, epoch: int = 1) -> Store:
    """A store without its thread, on a new file."""
    schema.create(path, SITE_BOX, schema.Base.first(epoch))
    return Store(path, key or BoxKey.generate(), SITE_BOX)


def prune_all(store: Store, before: str) -> int:
    """Prune in steps, as the writer would but without a record of it; how many rows went."""
    gone = 0
    while trim := retention.look_for_old(store, before):
        store.in_one_go(retention.statements_of(store, trim, ()))
        gone += trim.count
    return gone


def evict_all(store: Store, synced: tuple[int, int], kinds: Collection[str]) -> int:
    """Evict in steps, without a record of it; how many bodies went."""
    after, bodies = 0, 0
    while not (looked := retention.look_for_bodies(store, after, synced, kinds)).done:
        after = looked.seq
        if looked.trim is not None:
            store.in_one_go(retention.statements_of(store, looked.trim, kinds))
            bodies += looked.trim.count
    return bodies


def told_as(seq: int, trim: Trim) -> Record:
    """The record that tells a step."""
    return msgspec.structs.replace(record(seq, trim.kind), data=cast("dict[str, Value]", trim.data))


class Loop:
    """Stands in for the box's loop: numbers the records, and answers what may be given up with its record."""

    def __init__(self, found: Opened, ears: Ears, **options: Any) -> None:
        self.ears = ears
        self.trims: list[Trim] = []
        self._lock = threading.Lock()
        self._next = found.next_seq
        self.writer = writer_on(found, ears, on_trim=self._on_trim, **options)

    def append(self, make: Callable[[int], Sequence[Record]]) -> int:
        """Append what `make` builds from the next free number; the last number used."""
        with self._lock:
            group = make(self._next)
            self.writer.append(group, emergency=False)
            self._next = group[-1].seq + 1
            return group[-1].seq

    def _on_trim(self, trim: Trim) -> None:
        self.trims.append(trim)
        self.append(lambda seq: [told_as(seq, trim)])
