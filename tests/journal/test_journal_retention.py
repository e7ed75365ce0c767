"""Eviction and pruning: room comes back, alarms stay, and the chain still verifies."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from journal_faults import small_card
from journal_scenes import (
    FIRST_MS,
    SITE_BOX,
    WEIGHTS,
    Ears,
    Loop,
    bare_store,
    eventually,
    evict_all,
    opened,
    prune_all,
    record,
    records,
    told_as,
    write,
    writer_on,
)

from agent.core.records import Record, Weight, utc_text
from agent.journal import housekeeping, retention, schema
from agent.journal.reader import JournalReader
from agent.journal.retention import Trim
from agent.journal.store import Store
from agent.journal.verify import verify
from agent.journal.writer import _Order

ROUTINE = frozenset(kind for kind, weight in WEIGHTS.items() if weight in (Weight.PASSAGE, Weight.FACT))


def mixed(first: int, count: int, epoch: int = 1) -> list[Record]:
    kinds = ("door.granted", "door.granted", "device.lost", "panic.pressed", "motion.asked", "box.latched")
    return [record(seq, kinds[seq % 6], epoch, note="x" * 200) for seq in range(first, first + count)]


def fill(folder: Path, count: int, turn: int | None = None) -> Store:
    folder.mkdir(exist_ok=True)
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
    assert evict_all(store, (1, 2_000), ROUTINE) == 1_001, "half of the synced ones are routine, latch pictures apart"
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
    assert evict_all(store, (0, 0), ROUTINE) == 0
    assert evict_all(store, (1, 10_000), ROUTINE) == 150, "epoch 1 only"
    assert evict_all(store, (2, 600), ROUTINE) == 150
    assert verify(tmp_path / "journal.db", key=store._key.public).evicted == 300
    store.close()


def test_pruning_keeps_verification_going(tmp_path: Path) -> None:
    store = fill(tmp_path, 1_000)
    newest = store.connection.execute("SELECT note FROM checkpoint ORDER BY size DESC").fetchone()[0].encode()
    evict_all(store, (1, 450), ROUTINE)
    assert prune_all(store, utc_text(FIRST_MS + 400 * 60_000)) == 399
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
    prune_all(store, utc_text(FIRST_MS + 500 * 60_000))
    rows = store.connection.execute("SELECT epoch, seq FROM pruned ORDER BY epoch").fetchall()
    assert rows == [(1, 400), (2, 499)]
    store.close()
    report = verify(tmp_path / "journal.db", notes[0].encode(), store._key.public)
    assert report.ok and report.anchored, report.what


def test_a_broken_pruned_frontier_is_found(tmp_path: Path) -> None:
    store = fill(tmp_path, 500)
    prune_all(store, utc_text(FIRST_MS + 200 * 60_000))
    store.connection.execute("UPDATE pruned SET frontier = CAST(substr(frontier, 1, 8) || zeroblob(160) AS BLOB)")
    store.close()
    assert not verify(tmp_path / "journal.db", key=store._key.public).ok


def test_the_newest_latch_picture_and_the_newest_checkpoint_stay(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit([*records(1, 49), record(50, "box.latched", panic=True), *records(51, 150)])
    store.mark()
    store.sign()
    store.save_notes()
    prune_all(store, "9000")
    assert store.connection.execute("SELECT min(seq) FROM record").fetchone() == (50,)
    store.close()
    store = bare_store(tmp_path / "other.db")
    store.commit(records(1, 150))
    store.sign()
    store.save_notes()
    prune_all(store, "9000")
    assert store.connection.execute("SELECT min(seq) FROM record").fetchone() == (100,)
    store.close()


def test_without_a_checkpoint_nothing_is_pruned(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 50))
    assert prune_all(store, "9000") == 0
    store.close()


def test_the_writer_evicts_when_the_card_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [1 << 40]
    monkeypatch.setattr(housekeeping, "free_bytes", lambda folder: free[0])
    found = opened(tmp_path)
    loop = Loop(found, Ears())
    writer = loop.writer
    writer.start()
    for _ in range(4):
        loop.append(lambda seq: mixed(seq, 300))
    loop.ears.wait_durable(1_200)
    writer.synced(1, 900)
    free[0] = 1 << 20
    writer._house.hurry()
    loop.append(lambda seq: mixed(seq, 1))
    loop.ears.wait(lambda: any("nearly full" in why for failing, why in loop.ears.health if not failing))
    with JournalReader(found.path) as reader:
        eventually(lambda: sum(body is None for _, _, body in reader.read(1, 5_000, 1 << 30)) == 450)
    free[0] = 1 << 40
    writer._house.hurry()
    loop.append(lambda seq: mixed(seq, 1))
    loop.ears.wait(lambda: loop.ears.health[-1] == (False, ""))
    assert writer.close()
    assert verify(found.path, key=found.key.public).ok
    told = told_of(found.path, retention.EVICTED)
    assert sum(data["count"] for data in told) == 450 and len(told) == 5, "one for each step of 200 rows"
    assert {data["why"] for data in told} == {"space"}
    assert all(data["to"] < later["from"] for data, later in pairwise(told))
    assert (told[0]["from"], told[-1]["to"]) == (1, 900)


def told_of(path: Path, kind: str) -> list[dict[str, Any]]:
    """What the records of this kind say, oldest first."""
    with JournalReader(path) as reader:
        bodies = [json.loads(body) for _, _, body in reader.read(1, 1 << 20, 1 << 30) if body is not None]
    return [body["data"] for body in bodies if body["kind"] == kind]


def test_on_a_card_without_one_free_block_the_journal_goes_on_inside_its_own_pages(tmp_path: Path) -> None:
    """Somebody else filled the card. What the far side has makes room, the file does not grow, and no alarm goes."""
    with small_card(tmp_path, 48) as card:
        _fill_and_go_on(card)


def _fill_and_go_on(card: Path) -> None:
    found = opened(card)
    loop = Loop(found, Ears(), ballast_mb=2)
    loop.writer.start()
    _go_on(loop, groups=40, each=500)
    with (card / "film").open("wb", buffering=0) as film, pytest.raises(OSError, match="No space"):
        while True:
            film.write(bytes(4096))
    size = found.path.stat().st_size
    _go_on(loop, groups=400, each=50)
    assert not any(failing for failing, _ in loop.ears.health), loop.ears.health
    assert found.path.stat().st_size <= size + (8 << 20), "what its log held may still come in, and no more"
    assert loop.writer.close()
    report = verify(found.path, key=found.key.public)
    assert report.ok and report.evicted > 10_000 and report.untold == 0, report.what
    with JournalReader(found.path) as reader:
        kinds = [json.loads(body)["kind"] for _, _, body in reader.read(1, 1 << 20, 1 << 30) if body is not None]
    assert kinds.count("panic.pressed") == 44, "every one of them"


def _go_on(loop: Loop, groups: int, each: int) -> None:
    """Groups of passages, every tenth with a press at its end, everything received at once, chores done in between."""
    house = loop.writer._house
    for number in range(groups):
        end = "door.granted" if number % 10 else "panic.pressed"
        last = loop.append(partial(_passages, each, end))
        loop.ears.wait_durable(last)
        loop.writer.synced(1, last)
        eventually(lambda: house._asked is None and not house._more)


def test_who_is_told_to_stop_asks_for_nothing_more(tmp_path: Path) -> None:
    """Nobody would write down what was given up: the record of it comes behind the order to stop."""
    write(tmp_path, [mixed(1, 600)])
    writer = Loop(opened(tmp_path), Ears()).writer
    writer.synced(1, 600)
    writer._house.hurry()
    writer._inbox.put(_Order(stop=True))
    writer._run()
    assert writer.backlog == 0


def _passages(each: int, end: str, seq: int) -> list[Record]:
    return [*records(seq, each - 1), record(seq + each - 1, end)]


def test_the_writer_prunes_on_order_and_each_step_is_a_record(tmp_path: Path) -> None:
    found = opened(tmp_path)
    loop = Loop(found, Ears())
    loop.writer.start()
    loop.append(lambda seq: mixed(seq, 1_000))
    loop.ears.wait_durable(1_000)
    loop.writer.prune(utc_text(FIRST_MS + 700 * 60_000))
    with JournalReader(found.path) as reader:
        eventually(lambda: reader.first() == 700)
    assert loop.writer.close()
    assert told_of(found.path, retention.PRUNED) == [
        {"count": 500, "from": 1, "to": 500, "why": "age"},
        {"count": 199, "from": 501, "to": 699, "why": "age"},
    ]
    assert verify(found.path, key=found.key.public).pruned == 699
    assert (opened(tmp_path).next_seq, opened(tmp_path).problems) == (1_003, [])


def test_what_the_box_gave_up_is_told_and_what_was_taken_by_hand_is_not(tmp_path: Path) -> None:
    store = fill(tmp_path, 900)
    for kind in (retention.PRUNED, retention.EVICTED):
        trim = due(store, kind)
        store.commit([told_as(store.head.seq + 1, trim)], retention.statements_of(store, trim, ROUTINE))
    path = tmp_path / "journal.db"
    report = verify(path)
    assert report.ok and report.pruned > 0 and report.evicted > 0
    assert (report.untold, report.pruned_untold) == (0, False)
    bodies = "SELECT seq FROM record WHERE body IS NOT NULL AND seq {} ORDER BY seq LIMIT 1"
    inside = store.connection.execute(bodies.format("< 400")).fetchone()
    outside = store.connection.execute(bodies.format("> 800")).fetchone()
    for number, (seq,) in enumerate((inside, outside), 1):
        store.connection.execute("UPDATE record SET body = NULL WHERE seq = ?", (seq,))
        assert verify(path).untold == number, "one within the rows of a step, and one beyond"
    prune_all(store, utc_text(FIRST_MS + 300 * 60_000))
    assert verify(path).pruned_untold
    store.close()


def test_nothing_is_given_up_where_nobody_writes_it_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "free_bytes", lambda folder: 1 << 20)
    found, ears = opened(tmp_path), Ears()
    writer = writer_on(found, ears)
    writer.start()
    writer.append(mixed(1, 1_000), emergency=False)
    writer.synced(1, 1_000)
    writer.prune("9000")
    ears.wait_durable(1_000)
    assert writer.close()
    report = verify(found.path, key=found.key.public)
    assert (report.pruned, report.evicted, report.records) == (0, 0, 1_000)


def test_a_note_that_merely_looks_like_one_prunes_nothing(tmp_path: Path) -> None:
    """Only the step that the journal itself found due is carried out, whatever a record may say."""
    found = opened(tmp_path)
    loop = Loop(found, Ears())
    loop.writer.start()
    loop.append(lambda seq: mixed(seq, 1_000))
    forged = Trim(retention.PRUNED, 1, 900, 900, "age")
    loop.append(lambda seq: [told_as(seq, forged)])
    loop.ears.wait_durable(1_001)
    assert loop.writer.close()
    assert verify(found.path, key=found.key.public).pruned == 0


@pytest.mark.parametrize("kind", [retention.PRUNED, retention.EVICTED])
@pytest.mark.parametrize("times", [1, 3])
def test_a_step_and_its_record_are_on_disk_together_or_not_at_all(tmp_path: Path, kind: str, times: int) -> None:
    """The card refuses within the transaction, at each statement of it in turn; then the step is carried out once."""
    for at in range(20):
        folder = tmp_path / str(at)
        store = fill(folder, 300)
        trim = due(store, kind)
        told = [told_as(301, trim)]
        refuse = Refusals(at, times)
        with refuse.on(store), contextlib.suppress(sqlite3.OperationalError):
            store.commit(told, retention.statements_of(store, trim, ROUTINE))
        done = store.head.seq == 301
        rows, bodies = counted(store)
        assert (rows, bodies) == (after(kind, trim) if done else (300, 300)), f"refused at statement {at}"
        if not done:
            store.commit(told, retention.statements_of(store, trim, ROUTINE))
            assert counted(store) == after(kind, trim)
        assert verify(folder / "journal.db", key=store._key.public).ok
        store.close()
        if not refuse.refused:
            return
    raise AssertionError("every statement of the transaction was tried")


class Refusals:
    """A store whose connection refuses `times` statements from the `at`-th on."""

    def __init__(self, at: int, times: int) -> None:
        self._at, self._times = at, times
        self._seen = self.refused = 0
        self._real: Any = None

    @contextlib.contextmanager
    def on(self, store: Store) -> Iterator[None]:
        self._real, store._connection = store._connection, cast("sqlite3.Connection", self)
        yield
        store._connection = self._real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        if not statement.startswith(("SELECT", "ROLLBACK")):
            self._seen += 1
            if self._seen > self._at and self.refused < self._times:
                self.refused += 1
                raise sqlite3.OperationalError("as injected")
        return self._real.execute(statement, parameters)


def due(store: Store, kind: str) -> Trim:
    if kind == retention.PRUNED:
        trim = retention.look_for_old(store, utc_text(FIRST_MS + 200 * 60_000))
    else:
        trim = retention.look_for_bodies(store, 0, (1, 300), ROUTINE).trim
    assert trim is not None
    return trim


def counted(store: Store) -> tuple[int, int]:
    """Rows, and bodies, of the first 300 records."""
    row: tuple[int, int] = store.connection.execute(
        "SELECT count(*), count(body) FROM record WHERE seq <= 300"
    ).fetchone()
    return row


def after(kind: str, trim: Trim) -> tuple[int, int]:
    return (300 - trim.count, 300 - trim.count) if kind == retention.PRUNED else (300, 300 - trim.count)


def test_a_step_that_hiccups_in_the_writer_is_done_once_and_told_once(tmp_path: Path) -> None:
    """The first tries of the transaction fail after everything was written but not committed."""
    found = opened(tmp_path)
    left = [3]

    def fault(statement: str) -> None:
        if statement == "COMMIT" and left[0] and loop.trims:
            left[0] -= 1
            raise sqlite3.OperationalError("as injected")

    loop = Loop(found, Ears(), connect=lambda path: Hiccups(schema.connect_writer(path), fault))
    loop.writer.start()
    loop.append(lambda seq: mixed(seq, 1_000))
    loop.ears.wait_durable(1_000)
    loop.writer.prune(utc_text(FIRST_MS + 300 * 60_000))
    loop.ears.wait_durable(1_001)
    assert loop.writer.close() and left == [0] and not loop.ears.epochs
    assert told_of(found.path, retention.PRUNED) == [{"count": 299, "from": 1, "to": 299, "why": "age"}]
    report = verify(found.path, key=found.key.public)
    assert report.ok and (report.pruned, report.records) == (299, 702), report.what


class Hiccups:
    """A connection that asks before each statement."""

    def __init__(self, real: sqlite3.Connection, fault: Callable[[str], None]) -> None:
        self._real, self._fault = real, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        self._fault(statement)
        return self._real.execute(statement, parameters)


def test_evicted_records_are_shown_as_evicted(tmp_path: Path) -> None:
    from agent.journal.export import export

    store = fill(tmp_path, 12)
    evict_all(store, (1, 12), ROUTINE)
    store.close()
    lines = [json.loads(line) for line in export(tmp_path / "journal.db", "jsonl")]
    assert [line["seq"] for line in lines] == list(range(1, 13))
    assert lines[0] == {"epoch": 1, "evicted": True, "seq": 1} and lines[2]["kind"] == "panic.pressed"
