"""Readers beside a busy writer, over a change of file, and on a card that is read-only."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from journal_scenes import Ears, opened, record, records, write, writer_on

from agent.core.records import encode
from agent.journal.errors import Damaged, Trouble
from agent.journal.files import let_go
from agent.journal.reader import JournalReader


def test_limits_of_one_read(tmp_path: Path) -> None:
    found = write(tmp_path, [records(1, 50)])
    size = len(encode(record(1)))
    with JournalReader(found.path) as reader:
        assert [row[0] for row in reader.read(10, limit=5)] == [10, 11, 12, 13, 14]
        assert len(reader.read(1, 50, max_bytes=size * 3 + 10)) == 3
        assert len(reader.read(1, 50, max_bytes=1)) == 1, "at least one, or a cursor would stand still"
        assert reader.read(51) == []


def test_newest_records_by_kind(tmp_path: Path) -> None:
    found = write(tmp_path, [records(1, 700), [record(701, "panic.pressed")], records(702, 600)])
    with JournalReader(found.path) as reader:
        assert [row.seq for row in reader.records(newest=3)] == [1301, 1300, 1299]
        assert [row.seq for row in reader.records({"panic.pressed"})] == [701]
        assert [row.seq for row in reader.records(newest=2, before_seq=701)] == [700, 699]
        row = reader.record(1, 701)
        assert row is not None and row.data is not None and row.data["kind"] == "panic.pressed"
        assert reader.record(2, 701) is None
        assert reader.size_bytes() > 100_000


def test_an_empty_journal_and_none_at_all(tmp_path: Path) -> None:
    found = opened(tmp_path)
    with JournalReader(found.path) as reader:
        assert (reader.head(), reader.first(), reader.read(1), reader.checkpoint()) == ((1, 0), 0, [], None)
    with JournalReader(tmp_path / "none.db") as reader, pytest.raises(Trouble):
        reader.head()
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    with JournalReader(tmp_path / "junk") as reader, pytest.raises(Damaged):
        reader.head()


def test_a_reader_follows_to_the_new_file(tmp_path: Path) -> None:
    write(tmp_path, [records(1, 20)])
    with JournalReader(tmp_path / "journal.db") as reader:
        assert reader.head() == (1, 20)
        (tmp_path / "journal.db").write_bytes(b"damage")
        let_go(tmp_path)
        found = opened(tmp_path)
        writer = writer_on(found, ears := Ears())
        writer.start()
        writer.append(records(1, 3, epoch=2), emergency=False)
        ears.wait_durable(3)
        assert reader.head() == (2, 3)
        assert writer.close()


def test_readers_beside_a_busy_writer_see_whole_prefixes(tmp_path: Path) -> None:
    """Whatever a reader sees is a gapless prefix that grows, and the writer is not disturbed."""
    found, ears = opened(tmp_path), Ears()
    writer = writer_on(found, ears)
    writer.start()
    stop = threading.Event()
    faults: list[object] = []

    def look() -> None:
        with JournalReader(found.path) as reader:
            next_seq = 1
            while not stop.is_set():
                rows = reader.read(next_seq, 200)
                if [row[0] for row in rows] != list(range(next_seq, next_seq + len(rows))):
                    faults.append(rows)
                if any(body != encode(record(seq)) for seq, _, body in rows):
                    faults.append("a body is not what was written")
                next_seq += len(rows)

    readers = [threading.Thread(target=look) for _ in range(3)]
    for thread in readers:
        thread.start()
    for first in range(1, 6_000, 30):
        writer.append(records(first, 30), emergency=False)
    ears.wait_durable(6_000)
    stop.set()
    for thread in readers:
        thread.join()
    assert not faults and not ears.health
    assert writer.close()


def test_a_reader_in_another_process_that_dies_does_no_harm(tmp_path: Path) -> None:
    found, ears = opened(tmp_path), Ears()
    writer = writer_on(found, ears)
    writer.start()
    writer.append(records(1, 500), emergency=False)
    ears.wait_durable(500)
    code = (
        "import sys, time; from pathlib import Path; from agent.journal.reader import JournalReader\n"
        "r = JournalReader(Path(sys.argv[1])); r.head(); r._connection.execute('BEGIN'); r.head()\n"
        "print('in', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, found.path], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"in\n"
    for first in range(501, 4_001, 100):
        writer.append(records(first, 100), emergency=False)
    ears.wait_durable(4_000)
    child.kill()
    child.wait()
    child.stdout.close()
    assert writer.close() and not ears.health
    assert opened(tmp_path).next_seq == 4_001


def test_a_read_only_card_is_still_read_at_start(tmp_path: Path) -> None:
    """Head and latch picture are found; writing fails later and is told then."""
    card = tmp_path / "card"
    found = write(card, [records(1, 4), [record(5, "box.latched", panic=True)]])
    let_go(card)
    if subprocess.run(["mount", "--bind", card, card], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", card], check=True, capture_output=True)
        again = opened(card)
        assert (again.epoch, again.next_seq, again.latched) == (1, 6, {"panic": True}), again.problems
        writer = writer_on(again, ears := Ears())
        writer.start()
        writer.append([record(6, "panic.pressed")], emergency=True)
        ears.wait(lambda: bool(ears.health) and ears.health[0][0])
        subprocess.run(["mount", "-o", "remount,rw,bind", card], check=True, capture_output=True)
        ears.wait_durable(6)
        assert writer.close() and not ears.epochs
    finally:
        subprocess.run(["umount", "-l", card], check=True)
    assert os.access(found.path, os.R_OK)


def test_a_read_only_card_after_a_kill(tmp_path: Path) -> None:
    """The log was not moved into the file, and nothing can be written to do so: it is read all the same."""
    card = tmp_path / "card"
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path; from journal_scenes import *\n"
        "w = writer_on(opened(Path(sys.argv[1])), e := Ears()); w.start(); w.append(records(1, 7), False)\n"
        "e.wait_durable(7); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, card, str(Path(__file__).parent)], check=False)
    (card / "journal.db-shm").unlink()
    assert (card / "journal.db-wal").stat().st_size > 0
    if subprocess.run(["mount", "--bind", card, card], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", card], check=True, capture_output=True)
        again = opened(card)
        assert (again.epoch, again.next_seq) == (1, 8), again.problems
    finally:
        subprocess.run(["umount", "-l", card], check=True)
