"""The running box gives up what is older than its site keeps, and its journal tells."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from control_scenes import NoDevices, boot, demo_site, until

from agent.control import compose, role, spine
from agent.core.records import Record, utc_text
from agent.core.words import ClockTrust
from agent.journal import schema
from agent.journal.files import let_go
from agent.journal.opening import open_journal
from agent.journal.store import Store
from agent.journal.verify import verify
from hardware import places
from hardware.site import Site

OLD_MS = 1_700_000_000_000  # November 2023
MINUTE_MS = 60_000


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", NoDevices)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    monkeypatch.setattr(spine, "MEASURE_S", 0.05)
    return demo_site(tmp_path)


def write_old_records(site: Site, count: int) -> None:
    folder = places.storage_dir(site)
    found = open_journal(folder, site.site.id, site.site.box)
    site_box = f"{site.site.id}/{site.site.box}"
    store = Store(found.path, found.key, site_box)
    store.commit([_old(seq, site_box) for seq in range(1, count + 1)])
    store.mark()
    store.sign()
    store.save_notes()
    store.close()
    let_go(folder)


def _old(seq: int, site_box: str) -> Record:
    at = utc_text(OLD_MS + seq * MINUTE_MS)
    return Record("box", at, "b0", None, ClockTrust.TRUSTED, {}, 1, "door.opened", seq, seq, site_box, "door:wicket")


def told(path: Path) -> list[dict[str, Any]]:
    """What the journal's own records of pruning say."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM record ORDER BY seq")]
    connection.close()
    return [body["data"] for body in bodies if body["kind"] == "journal.pruned"]


async def test_old_records_go_a_step_at_a_time_and_each_step_is_a_record(site: Site) -> None:
    write_old_records(site, 1_200)
    path = places.storage_dir(site) / schema.FILE
    async with boot(site) as control:
        await until("old records are gone", lambda: sum(data["count"] for data in told(path)) >= 1_199, 5_000)
        public = control._spine.opened.key.public
    steps = told(path)
    assert [(data["from"], data["why"]) for data in steps] == [(1, "age"), (501, "age"), (1_001, "age")]
    report = verify(path, key=public)
    assert report.ok and report.pruned == steps[-1]["to"] and report.signed, report.what
