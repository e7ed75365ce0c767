"""A journal file with a day at the gate, for the pages that show records. Pupils' handles are in it on purpose."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from agent.core.records import GENESIS_LINK, Record, Value, encode, leaf_hash, link_hash, utc_text
from agent.core.words import ClockTrust
from agent.journal import schema
from hardware import places
from hardware.site import Site

HANDLE = "pupil-0001"
LAST_SEQ = 1840
Told = tuple[str, str, dict[str, Value], int | None, float]  # kind, subject, data, cause, seconds ago

STORY: tuple[Told, ...] = (
    ("box.started", "box", {"reason": "power"}, None, 39_900),
    ("box.scanned", "box", {}, 1, 39_899),
    ("access.presence", "reader:guard", {"holder": "guard-1", "group": "guard", "direction": "presence"}, None, 30_000),
    (
        "access.granted",
        "door:wicket",
        {"holder": HANDLE, "group": "pupil", "direction": "in", "reader": "wicket-in"},
        None,
        28_000,
    ),
    ("door.opened", "door:wicket", {"lawful": True, "found": False}, 4, 27_998),
    ("door.closed", "door:wicket", {"forced": False, "held": False, "open_ms": 3100}, 4, 27_995),
    ("access.denied", "reader:wicket-out", {"holder": HANDLE, "group": "pupil", "why": "wrong_door"}, None, 9_000),
    ("lane.asked", "lane:main", {"motion": "raise"}, None, 1_206),
    ("lane.token", "lane:main", {"motion": "raise", "bollard": "main-1", "token": 6}, 8, 1_203),
    ("lane.position", "lane:main", {"bollard": "main-1", "position": "up", "moved_ms": 4120}, 9, 1_200),
    ("path.up", "path:mqtt", {}, None, 900),
    ("panic.pressed", "button:gatehouse", {"button": "gatehouse", "drill": False}, None, 48),
    ("lockdown.started", "gate", {}, 12, 48),
    ("lane.efo", "lane:service", {}, 12, 48),
    ("lane.token", "lane:service", {"motion": "efo", "bollard": "service-1", "token": 7}, 14, 48),
    ("alarm.stage", "panic", {"stage": "sent", "path": "mqtt"}, 12, 47.9),
    ("alarm.stage", "panic", {"stage": "received", "path": "mqtt", "by": "district"}, 12, 47.5),
    ("note", HANDLE, {"kind": "x", "holder": HANDLE}, None, 5),
)
FIRST_SEQ = LAST_SEQ - len(STORY) + 1


def write(site: Site, story: tuple[Told, ...] = STORY, last_seq: int = LAST_SEQ, now_s: float | None = None) -> Path:
    """Make the site's journal file, of a day that ends at `now_s` or now; a cause counts from 1 within the story."""
    folder = places.storage_dir(site)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / schema.FILE
    if path.exists():
        return path
    schema.create(path, f"{site.site.id}/{site.site.box}", schema.Base.first(1))
    first = last_seq - len(story) + 1
    now_s = time.time() if now_s is None else now_s
    link = GENESIS_LINK
    rows: list[tuple[int, int, bytes, bytes, bytes]] = []
    for at, told in enumerate(story):
        body = encode(_record(site, told, first + at, first, now_s))
        leaf = leaf_hash(body)
        link = link_hash(link, leaf)
        rows.append((first + at, 1, body, leaf, link))
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO record VALUES(?, ?, ?, ?, ?)", rows)
    connection.close()
    return path


def _record(site: Site, told: Told, seq: int, first: int, now_s: float) -> Record:
    kind, subject, data, cause, ago_s = told
    return Record(
        actor="box",
        at=utc_text(round((now_s - ago_s) * 1000)),
        boot="b1c2d3",
        cause=None if cause is None else (1, first + cause - 1),
        clock=ClockTrust.TRUSTED,
        data=data,
        epoch=1,
        kind=kind,
        mono_ns=0,
        seq=seq,
        site_box=f"{site.site.id}/{site.site.box}",
        subject=subject,
    )
