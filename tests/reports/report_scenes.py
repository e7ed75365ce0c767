"""Journals for the reports' tests: a story told in local time, written by the real writer, read back as a report."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.core.kinds import WEIGHT
from agent.core.records import Record, utc_text
from agent.core.words import ClockTrust
from agent.journal.opening import open_journal
from agent.journal.reader import JournalReader
from agent.journal.writer import Durable, JournalWriter
from agent.reports import files, heads
from agent.reports.make import make
from agent.reports.model import Report
from agent.reports.month import parse
from hardware import loader, places
from hardware.site import Site

DEMO = Path(loader.__file__).parent / "sites" / "demo.toml"
ZONE = ZoneInfo("Asia/Shanghai")
MINUTE_MS = 60_000
GUARD = "guard-0001"


def site_in(folder: Path) -> Site:
    """The demo's site with its state in this folder; its site file is there too."""
    file = folder / "gatebox.toml"
    file.write_text(DEMO.read_text("utf-8"), "utf-8")
    site, mistakes = loader.load(file)
    assert site is not None, mistakes
    return site


def ms(text: str) -> int:
    """Local time of the site, "09-01 08:00" in 2026 or with its year, in UTC ms."""
    full = text if text[4] == "-" else f"2026-{text}"
    return round(datetime.fromisoformat(full).replace(tzinfo=ZONE).timestamp() * 1000)


class Story:
    """Records in the making. Every one has the time last told; `boot` begins with `start`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.records: list[Record] = []
        self.epoch = 1
        self.boot = "boot-0"
        self.now_ms = 0
        self.wall_off_ms = 0
        self.clock = ClockTrust.TRUSTED

    def at(self, text: str) -> Story:
        self.now_ms = ms(text)
        return self

    def later(self, **spans: float) -> Story:
        self.now_ms += round(timedelta(**spans).total_seconds() * 1000)
        return self

    def add(
        self, kind: str, subject: str = "box", /, cause: tuple[int, int] | None = None, actor: str = "box", **data: Any
    ) -> tuple[int, int]:
        seq = self.records[-1].seq + 1 if self.records else 1
        record = Record(
            actor=actor,
            at=utc_text(self.now_ms + self.wall_off_ms),
            boot=self.boot,
            cause=cause,
            clock=self.clock,
            data=data,
            epoch=self.epoch,
            kind=kind,
            mono_ns=self.now_ms * 1_000_000,
            seq=seq,
            site_box=f"{self.site.site.id}/{self.site.site.box}",
            subject=subject,
        )
        self.records.append(record)
        return record.ref

    def start(self, boot: str = "boot-1", *, lanes: bool = True) -> Story:
        """The box starts, and reads its lanes at once."""
        self.boot = boot
        self.add("box.started", "box", boot=boot, reason="power")
        for lane in self.site.lane if lanes else ():
            self.add("lane.back", f"lane:{lane.id}")
            self.add("lane.mode", f"lane:{lane.id}", mode="remote", was="unknown")
        return self

    def command(self, verb: str, actor: str = "desk", **args: str) -> tuple[int, int]:
        return self.add("command.done", "command", actor=actor, args=args, id="x", rank="console", verb=verb)

    def latched(self, *, on: dict[str, Any] | None = None, hazards: Any = None, visits: Any = None) -> None:
        duty = {"on": on or {}, "hazards": hazards or {}, "patrol_day": 0, "patrols": 0, "tested_ms": 0}
        self.add("box.latched", "box", duty=duty, visits=visits or [], panic={}, lanes={})

    def write(self) -> Story:
        """Put what is not written yet into the site's journal, and close it in good order."""
        write(self.site, self.records)
        self.records = self.records[-1:]  # the next number follows it
        return self


def write(site: Site, records: Sequence[Record]) -> None:
    folder = places.storage_dir(site)
    found = open_journal(folder, site.site.id, site.site.box)
    fresh = [record for record in records if record.seq >= found.next_seq]
    ears = _Ears()
    owner = f"{site.site.id}/{site.site.box}"
    writer = JournalWriter(
        found.path, found.key, owner, ears.durable, lambda failing, why: None, weights=WEIGHT, ballast_mb=0
    )
    writer.start()
    for start in range(0, len(fresh), 500):
        writer.append(fresh[start : start + 500], emergency=False)
        ears.wait(fresh[start : start + 500][-1].seq)
    assert writer.close()


class _Ears:
    """Waits for the writer, so that no more than a group is ever under way."""

    def __init__(self) -> None:
        self._seq = 0
        self._changed = threading.Condition()

    def durable(self, told: Durable) -> None:
        with self._changed:
            self._seq = told.seq
            self._changed.notify_all()

    def wait(self, seq: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._seq >= seq, 30)


def journal(site: Site) -> Path:
    return places.storage_dir(site) / "journal.db"


def report(site: Site, month: str = "2026-09", made: str = "2026-12-01 08:00", key: bool = True) -> Report:
    made_ms = ms(made)
    public = heads.public_key(places.storage_dir(site)) if key else None
    with JournalReader(journal(site)) as reader:
        return make(reader, site, parse(month, ZONE, made_ms), made_ms, public)


__all__ = [
    "GUARD",
    "MINUTE_MS",
    "ZONE",
    "Story",
    "files",
    "journal",
    "ms",
    "report",
    "site_in",
    "write",
]
