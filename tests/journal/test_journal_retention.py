"""Eviction and pruning: room comes back, alarms stay, and the chain still verifies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from journal_scenes import FIRST_MS, SITE_BOX, WEIGHTS, Ears, bare_store, eventually, opened, record, records, writer_on

from agent.core.records import Record, Weight, utc_text
from agent.journal import housekeeping, retention
from agent.journal.reader import JournalReader
from agent.journal.store import Store
from agent.journal.verify import verify

ROUTINE = frozenset(kind for kind, weight in WEIGHTS.items() if weight in (Weight.PASSAGE, Weight.FACT))


def mixed(first: int, count: int, epoch: int = 1) -> list[Record]:
    kinds = ("door.granted", "door.granted", "device.lost", "panic.pressed", "motion.asked", "box.latched")
    return [record(seq, kinds[seq % 6], epoch, note="x" * 200) for seq in range(first, first + count)]


def evict_all(store: Store, synced: tuple[int, int]) -> int:
    after, bodies = 0, 0
    while not (step := retention.evict(store, after, synced, ROUTINE)).done:
        after, bodies = step.seq, bodies + step.bodies
    return bodies


def fill(folder: Path, count: int, turn: int | None = None) -> Store:
    store = bare_store(folder / "journal.db")
    for first in range(1, count + 1, 300):
        group = mixed(first, min(300, count + 1 - first))
        if turn is not None:
            group = [r if r.seq < turn else record(r.seq, r.kind, 2, note="x" * 200) for r in group]
        store.commit(group)
        store.sign()
    store.mark()
    store.sign()
    store.save_notes()
    return store


def test_only_synced_routine_bodies_go_and_pages_come_free(tmp_path: Path) -> None:
    store = fill(tmp_path, 3_000)
    before = store.connection.execute("PRAGMA freelist_count").fetchone()[0]
    assert evict_all(store, (1, 2_000)) == 1_001, "half of the synced ones are routine, latch pictures apart"
    after = store.connection.execute("PRAGMA freelist_count").fetchone()[0]
    assert after - before > 40, "an UPDATE in place would have freed none"
    store.close()
    with JournalReader(tmp_path / "journal.db") as reader:
        for seq, _, body in reader.read(1, 10_000, 1 << 30):
            kind = ("door.granted", "door.granted", "device.lost", "panic.pressed", "motion.asked", "box.latched")[
                seq % 6
            ]
            gone = seq <= 2_000 and kind in ("door.granted", "device.lost")
            assert (body is None) == gone
    report = verify(tmp_path / "journal.db", key=store._key.public)
    assert report.ok and report.evicted == 1_001 and report.records == 3_000


def test_nothing_is_evicted_that_the_far_side_does_not_have(tmp_path: Path) -> None:
    store = fill(tmp_path, 600, turn=301)
    assert evict_all(store, (0, 0)) == 0
    assert evict_all(store, (1, 10_000)) == 150, "epoch 1 only"
    assert evict_all(store, (2, 600)) == 150
    assert verify(tmp_path / "journal.db", key=store._key.public).evicted == 300
    store.close()


def test_pruning_keeps_verification_going(tmp_path: Path) -> None:
    store = fill(tmp_path, 1_000)
    newest = store.connection.execute("SELECT note FROM checkpoint ORDER BY size DESC").fetchone()[0].encode()
    evict_all(store, (1, 450))
    pruned = 0
    while gone := retention.prune(store, utc_text(FIRST_MS + 400 * 60_000)):
        pruned += gone
    assert pruned == 399
    report = verify(tmp_path / "journal.db", newest, store._key.public)
    assert report.ok and report.anchored and (report.pruned, report.records) == (399, 601), report.what
    store.commit(mixed(1_001, 150))
    store.mark()
    store.sign()
    store.save_notes()
    store.close()
    again = Store(tmp_path / "journal.db", store._key, SITE_BOX)
    assert again.head.ref == (1, 1_150)
    assert again.head.frontier.size == 1_150, "the tree goes on over the pruned records"
    again.close()
    assert verify(tmp_path / "journal.db", newest, store._key.public).ok


def test_pruning_over_an_epochs_end(tmp_path: Path) -> None:
    store = fill(tmp_path, 900, turn=401)
    notes = [row[0] for row in store.connection.execute("SELECT note FROM checkpoint WHERE epoch = 2 AND size = 500")]
    while retention.prune(store, utc_text(FIRST_MS + 500 * 60_000)):
        continue
    rows = store.connection.execute("SELECT epoch, seq FROM pruned ORDER BY epoch").fetchall()
    assert rows == [(1, 400), (2, 499)]
    store.close()
    report = verify(tmp_path / "journal.db", notes[0].encode(), store._key.public)
    assert report.ok and report.anchored, report.what


def test_a_broken_pruned_frontier_is_found(tmp_path: Path) -> None:
    store = fill(tmp_path, 500)
    while retention.prune(store, utc_text(FIRST_MS + 200 * 60_000)):
        continue
    store.connection.execute("UPDATE pruned SET frontier = CAST(substr(frontier, 1, 8) || zeroblob(160) AS BLOB)")
    store.close()
    assert not verify(tmp_path / "journal.db", key=store._key.public).ok


def test_the_newest_latch_picture_and_the_newest_checkpoint_stay(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit([*records(1, 49), record(50, "box.latched", panic=True), *records(51, 150)])
    store.mark()
    store.sign()
    store.save_notes()
    while retention.prune(store, "9000"):
        continue
    assert store.connection.execute("SELECT min(seq) FROM record").fetchone() == (50,)
    store.close()
    store = bare_store(tmp_path / "other.db")
    store.commit(records(1, 150))
    store.sign()
    store.save_notes()
    while retention.prune(store, "9000"):
        continue
    assert store.connection.execute("SELECT min(seq) FROM record").fetchone() == (100,)
    store.close()


def test_without_a_checkpoint_nothing_is_pruned(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 50))
    assert retention.prune(store, "9000") == 0
    store.close()


def test_the_writer_evicts_when_the_card_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1 << 40]
    monkeypatch.setattr(housekeeping, "free_bytes", lambda folder: free[0])
    found, ears = opened(tmp_path), Ears()
    writer = writer_on(found, ears)
    writer.start()
    for first in range(1, 1_200, 300):
        writer.append(mixed(first, 300), emergency=False)
    ears.wait_durable(1_200)
    writer.synced(1, 900)
    free[0] = 1 << 20
    writer._house.hurry()
    writer.append(mixed(1_201, 1), emergency=False)
    ears.wait(lambda: any("nearly full" in why for failing, why in ears.health if not failing))
    with JournalReader(found.path) as reader:
        eventually(lambda: sum(body is None for _, _, body in reader.read(1, 5_000, 1 << 30)) == 450)
    free[0] = 1 << 40
    writer._house.hurry()
    writer.append(mixed(1_202, 1), emergency=False)
    ears.wait(lambda: ears.health[-1] == (False, ""))
    assert writer.close()
    assert verify(found.path, key=found.key.public).ok


def test_the_writer_prunes_on_order(tmp_path: Path) -> None:
    found, ears = opened(tmp_path), Ears()
    writer = writer_on(found, ears)
    writer.start()
    writer.append(mixed(1, 1_000), emergency=False)
    ears.wait_durable(1_000)
    writer.prune(utc_text(FIRST_MS + 700 * 60_000))
    with JournalReader(found.path) as reader:
        eventually(lambda: reader.first() == 700)
        assert reader.head() == (1, 1_000)
    assert writer.close()
    assert verify(found.path, key=found.key.public).pruned == 699
    assert (opened(tmp_path).next_seq, opened(tmp_path).problems) == (1_001, [])


def test_evicted_records_are_shown_as_evicted(tmp_path: Path) -> None:
    from agent.journal.export import export

    store = fill(tmp_path, 12)
    evict_all(store, (1, 12))
    store.close()
    lines = [json.loads(line) for line in export(tmp_path / "journal.db", "jsonl")]
    assert [line["seq"] for line in lines] == list(range(1, 13))
    assert lines[0] == {"epoch": 1, "evicted": True, "seq": 1} and lines[2]["kind"] == "panic.pressed"
