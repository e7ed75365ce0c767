"""The writer as control sees it: durable in order, honest about a failing disk, never blocking."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_scenes import SITE_BOX, Ears, bare_store, eventually, opened, record, records, write, writer_on

from agent.core.records import Record, encode, leaf_hash, link_hash
from agent.journal import schema
from agent.journal.checkpoint import verified
from agent.journal.errors import Trouble
from agent.journal.files import JournalBusy
from agent.journal.reader import JournalReader
from agent.journal.store import Store, encode_always


def test_what_is_appended_is_what_is_read(tmp_path: Path) -> None:
    given_records = [record(1), record(2, "panic.pressed", button="gatehouse"), *records(3, 5)]
    found = write(tmp_path, [given_records[:1], given_records[1:2], given_records[2:]])
    with JournalReader(found.path) as reader:
        rows = reader.read(1)
        assert [(seq, epoch) for seq, epoch, _ in rows] == [(r.seq, r.epoch) for r in given_records]
        assert [body for _, _, body in rows] == [encode(r) for r in given_records]
        assert reader.head() == (1, 7) and reader.first() == 1
    link = bytes(32)
    for body, leaf, stored in sqlite3.connect(found.path).execute("SELECT body, leaf, link FROM record ORDER BY seq"):
        link = link_hash(link, leaf)
        assert leaf == leaf_hash(body) and stored == link


def test_bodies_are_canonical_json(tmp_path: Path) -> None:
    found = write(tmp_path, [[record(1, "door.granted", z=1, a=[True, None, {"b": -2, "a": "门\u2028\x01"}])]])
    with JournalReader(found.path) as reader:
        body = reader.read(1)[0][2]
    assert body is not None
    again = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert body == again
    keys = ["actor", "at", "boot", "cause", "clock", "data", "epoch", "kind", "mono_ns", "seq", "site_box", "subject"]
    assert list(json.loads(body)) == keys


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), _values, max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_data_has_one_encoding_everyone_agrees_on(data: dict[str, object]) -> None:
    body = encode(record(1, **{}) if not data else _with(data))
    parsed = json.loads(body)
    assert json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == body


def _with(data: dict[str, object]) -> Record:
    return msgspec.structs.replace(record(1), data=data)


@pytest.mark.parametrize("bad", [1.5, [1, 2.0], {"x": {"y": 0.1}}, object(), "\ud800"])
def test_a_record_that_breaks_the_format_is_journalled_as_such(bad: object) -> None:
    broken = _with({"value": bad})
    body = json.loads(encode_always(broken))
    assert body["seq"] == 1 and body["kind"] == broken.kind and "unencodable" in body["data"]


def test_a_bad_record_does_not_stop_its_neighbours(tmp_path: Path) -> None:
    group = records(1, 3)
    group[1] = msgspec.structs.replace(group[1], data={"x": 0.5})
    found = write(tmp_path, [group])
    with JournalReader(found.path) as reader:
        kinds = [json.loads(body or b"")["data"] for _, _, body in reader.read(1)]
    assert kinds[1] == {"unencodable": "TypeError"} and kinds[0] == kinds[2] != kinds[1]


def test_pragmas_are_read_back(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    for name, expected in (("journal_mode", "wal"), ("synchronous", 2), ("wal_autocheckpoint", 0)):
        assert store.connection.execute(f"PRAGMA {name}").fetchone()[0] == expected
    store.close()
    connection = sqlite3.connect(":memory:")
    with pytest.raises(Exception, match="journal_mode"):
        schema.set_pragmas(connection, (("journal_mode", "WAL", "wal"),))
    connection.close()


def test_readers_cannot_write_or_checkpoint(tmp_path: Path) -> None:
    found = write(tmp_path, [records(1, 3)])
    connection = schema.connect_reader(found.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM record")
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 0
    connection.close()


def test_appending_never_blocks_while_the_disk_hangs(tmp_path: Path) -> None:
    gate = threading.Event()

    class Hung:
        def __init__(self, path: Path) -> None:
            self._real = schema.connect_writer(path)

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

        def execute(self, statement: str, parameters: object = ()) -> object:
            if statement.startswith(("INSERT INTO record", "BEGIN")):
                gate.wait(30)
            return self._real.execute(statement, parameters)  # type: ignore[arg-type]

    ears = Ears()
    writer = writer_on(opened(tmp_path), ears, connect=Hung)
    writer.start()
    for first in range(1, 2_101, 100):
        writer.append(records(first, 100), emergency=False)
    assert writer.backlog == 2_100
    eventually(lambda: writer.waiting_s() > 0.05)
    assert not ears.durable
    gate.set()
    ears.wait_durable(2_100)
    eventually(lambda: not writer.backlog and writer.waiting_s() == 0.0)
    assert writer.close()


def test_numbers_that_do_not_follow_are_the_callers_mistake(tmp_path: Path) -> None:
    writer = writer_on(opened(tmp_path), Ears())
    writer.append(records(1, 2), emergency=False)
    for wrong in (records(4, 1), records(2, 1), [record(3), record(5)]):
        with pytest.raises(ValueError, match="do not follow"):
            writer.append(wrong, emergency=False)


def test_durable_is_told_in_order_and_only_after_the_commit(tmp_path: Path) -> None:
    found = opened(tmp_path)
    ears = Ears()
    seen: list[tuple[int, int]] = []

    def check(durable: object) -> None:
        with JournalReader(found.path) as reader:
            seen.append(reader.head())
        ears.on_durable(durable)  # type: ignore[arg-type]

    writer = writer_on(found, ears)
    writer._on_durable = check
    writer.start()
    for seq in range(1, 60):
        writer.append([record(seq)], emergency=seq % 7 == 0)
    assert writer.close()
    told = [(d.epoch, d.seq) for d in ears.durable]
    assert told == sorted(told) and told[-1] == (1, 59) == writer.head
    assert all(have >= said for have, said in zip(seen, told, strict=True))


def test_an_emergency_does_not_wait_for_what_is_behind_it(tmp_path: Path) -> None:
    ears = Ears()
    writer = writer_on(opened(tmp_path), ears)
    writer.append(records(1, 40), emergency=False)
    writer.append([record(41, "panic.pressed")], emergency=True)
    writer.append(records(42, 400), emergency=False)
    writer.start()
    ears.wait_durable(441)
    assert ears.durable[0].seq == 41, "the first group ends with the emergency"
    assert writer.close()


def test_checkpoints_at_every_hundred_and_every_panic(tmp_path: Path) -> None:
    found = write(tmp_path, [records(1, 250), [record(251, "panic.pressed")], records(252, 10)])
    with JournalReader(found.path) as reader:
        notes = reader.checkpoints()
    sizes = [size for _, size, _ in notes]
    assert sizes == [100, 200, 251, 261], "and the last one at closing"
    for epoch, size, note in notes:
        checkpoint = verified(note, found.key.public)
        assert (checkpoint.site_box, checkpoint.epoch, checkpoint.size) == (SITE_BOX, epoch, size)


def test_a_panic_is_durable_before_its_checkpoint_is_signed(tmp_path: Path) -> None:
    found = opened(tmp_path)
    ears = Ears()
    durable_at_signing: list[int] = []

    class SlowKey:
        public = found.key.public

        def sign(self, text: bytes) -> bytes:
            durable_at_signing.append(ears.durable[-1].seq if ears.durable else 0)
            return found.key.sign(text)

    writer = writer_on(found, ears)
    writer._key = SlowKey()
    writer.start()
    writer.append([record(1, "panic.pressed")], emergency=True)
    ears.wait_durable(1)
    assert writer.close()
    assert durable_at_signing[0] == 1


def test_one_writer_ever(tmp_path: Path) -> None:
    found = opened(tmp_path)
    code = "import sys, pathlib, agent.journal.opening as o; o.open_journal(pathlib.Path(sys.argv[1]), 'a', 'b')"
    other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert JournalBusy.__name__ in other.stderr and "another menwei control" in other.stderr
    writer = writer_on(found, Ears())
    writer.start()
    assert writer.close()


def test_a_new_epoch_in_the_same_file_starts_a_new_tree(tmp_path: Path) -> None:
    found = write(tmp_path, [records(1, 30), records(31, 20, epoch=2)])
    with JournalReader(found.path) as reader:
        notes = reader.checkpoints()
        assert reader.head() == (2, 50)
    assert [(epoch, size) for epoch, size, _ in notes] == [(1, 30), (2, 20)]
    again = opened(tmp_path)
    assert (again.epoch, again.next_seq, again.problems) == (2, 51, [])


def test_the_latch_picture_is_found_at_start(tmp_path: Path) -> None:
    latched = record(3, "box.latched", panic=True, lanes=["main"])
    found = write(tmp_path, [records(1, 2), [latched], records(4, 5)])
    again = opened(tmp_path)
    assert (again.latched, again.latched_ref) == ({"panic": True, "lanes": ["main"]}, (1, 3))
    connection = sqlite3.connect(found.path)
    connection.execute("UPDATE pointer SET seq = 4")
    connection.commit()
    connection.close()
    assert opened(tmp_path).latched_ref == (1, 3), "a wrong pointer is seen through"


def test_a_store_without_news_signs_nothing_twice(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 5))
    store.mark()
    assert store.sign() == 1 and store.save_notes()
    store.mark()
    assert store.sign() == 0 and not store.save_notes()
    store.close()


def test_nothing_is_settled_while_an_old_snapshot_is_read(tmp_path: Path) -> None:
    """After a write error the log must be moved whole; a reader that will not end is told, not waited for."""
    store = bare_store(tmp_path / "journal.db")
    store.connection.execute("PRAGMA busy_timeout = 10")
    store.commit(records(1, 5))
    reader = schema.connect_reader(tmp_path / "journal.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM record").fetchall()
    store.commit(records(6, 5))
    with pytest.raises(Trouble, match="somebody reads"):
        store.settle()
    reader.close()
    store.settle()
    store.close()


def test_groups_of_every_size(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    seq = 1
    for size in (1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 300):
        store.commit(records(seq, size))
        seq += size
    count, last = store.connection.execute("SELECT count(*), max(seq) FROM record").fetchone()
    assert count == last == seq - 1
    head = store.head
    store.close()
    fresh = Store(tmp_path / "journal.db", store._key, SITE_BOX)
    assert (fresh.head.ref, fresh.head.link, fresh.head.frontier.root()) == (head.ref, head.link, head.frontier.root())
    fresh.close()


def test_a_lost_pointer_does_not_lose_a_recent_latch_picture(tmp_path: Path) -> None:
    found = write(tmp_path, [records(1, 2), [record(3, "box.latched", panic=True)], records(4, 1_200)])
    connection = sqlite3.connect(found.path)
    connection.execute("DELETE FROM pointer")
    connection.commit()
    connection.close()
    assert opened(tmp_path).latched_ref == (1, 3)
