"""The journal on a card that refuses, fills up or goes: nothing lost, everything said."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from journal_faults import Faulty, Switch, bodies, small_card, sound, sqlite_error
from journal_scenes import WEIGHTS, Ears, bare_store, eventually, opened, record, records, write, writer_on

from agent.core.records import Weight
from agent.journal.errors import Damaged, told
from agent.journal.pending import DROPPED, KEEP_RECORDS, Group, Pending


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_IOERR, "does not take"),
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_READONLY, "read-only"),
        (sqlite3.SQLITE_BUSY, "held by another"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
    ],
)
def test_a_failing_disk_is_told_and_everything_is_journalled_when_it_returns(
    tmp_path: Path, code: int, words: str
) -> None:
    found, ears, switch = opened(tmp_path), Ears(), Switch()
    writer = writer_on(found, ears, connect=switch.connect)
    writer.start()
    writer.append(records(1, 5), emergency=False)
    ears.wait_durable(5)
    switch.error = sqlite_error(code, "as injected")
    writer.append([record(6, "panic.pressed")], emergency=True)
    writer.append(records(7, 20), emergency=False)
    ears.wait(lambda: bool(ears.health))
    assert ears.health[0][0] is True and words in ears.health[0][1]
    assert ears.durable[-1].seq == 5, "nothing is called durable that is not"
    eventually(lambda: switch.tries >= 2)
    switch.error = None
    ears.wait_durable(26)
    ears.wait(lambda: ears.health[-1][0] is False)
    assert writer.close()
    assert [body["seq"] for body in bodies(found.path)] == list(range(1, 27))
    assert [epoch for epoch, _ in ears.epochs] == []
    sound(found)


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO record", "INSERT OR REPLACE INTO pointer", "COMMIT"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_error_at_any_statement_loses_and_doubles_nothing(tmp_path: Path, statement: str, times: int) -> None:
    found, ears = opened(tmp_path), Ears()
    left = [times]

    def fault(text: str) -> sqlite3.Error | None:
        if text.startswith(statement) and left[0]:
            left[0] -= 1
            return sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")
        return None

    writer = writer_on(found, ears, connect=lambda path: Faulty(path, fault))
    writer.start()
    writer.append([*records(1, 40), record(41, "box.latched", panic=True)], emergency=False)
    writer.append(records(42, 10), emergency=False)
    ears.wait_durable(51)
    assert writer.close() and left == [0]
    assert [body["seq"] for body in bodies(found.path)] == list(range(1, 52))
    sound(found)


def test_a_commit_that_worked_but_reported_failure_is_not_written_twice(tmp_path: Path) -> None:
    found, ears = opened(tmp_path), Ears()
    failed = threading.Event()

    class Liar(Faulty):
        def execute(self, statement: str, parameters: Any = ()) -> Any:
            result = super().execute(statement, parameters)
            if statement.startswith("INSERT INTO record") and not failed.is_set():
                failed.set()
                raise sqlite_error(sqlite3.SQLITE_IOERR, "the sync failed after the frames were written")
            return result

    writer = writer_on(found, ears, connect=lambda path: Liar(path, lambda _: None))
    writer.start()
    writer.append(records(1, 3), emergency=False)
    ears.wait_durable(3)
    writer.append(records(4, 2), emergency=False)
    ears.wait_durable(5)
    assert writer.close() and not ears.epochs
    assert [body["seq"] for body in bodies(found.path)] == [1, 2, 3, 4, 5]


def test_the_reserve_is_given_up_for_an_emergency_on_a_full_card(tmp_path: Path) -> None:
    found, ears = opened(tmp_path), Ears()
    reserve = tmp_path / "journal.reserve"

    def fault(statement: str) -> sqlite3.Error | None:
        full = reserve.exists() and statement.startswith(("INSERT INTO record", "BEGIN"))
        return sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full") if full else None

    writer = writer_on(found, ears, ballast_mb=1, connect=lambda path: Faulty(path, fault))
    writer.start()
    eventually(lambda: reserve.exists() and reserve.stat().st_size == 1 << 20)
    writer.append([record(1, "panic.pressed")], emergency=True)
    ears.wait_durable(1)
    assert ears.health[0] == (False, "the card is full: the reserve kept for emergencies is in use")
    assert not any(failing for failing, _ in ears.health), "the press was never undurable"
    assert writer.close()


def test_a_really_full_card(tmp_path: Path) -> None:
    """On a small file system of its own, where this user may make one."""
    with small_card(tmp_path, 24) as card:
        _fill_and_press(card)


def test_a_start_on_a_card_mounted_read_only(tmp_path: Path) -> None:
    """What the kernel makes of a card with errors: it can be read and not written; a repair brings it back."""
    with small_card(tmp_path, 24) as card:
        write(card, [records(1, 100)])
        subprocess.run(["mount", "-o", "remount,ro", card], check=True)
        _start_and_press(card)


def _start_and_press(card: Path) -> None:
    found, ears = opened(card), Ears()
    assert (found.epoch, found.next_seq, found.problems) == (1, 101, []), "it could be read, so it goes on"
    writer = writer_on(found, ears)
    writer.start()
    writer.append([record(101, "panic.pressed")], emergency=True)
    ears.wait(lambda: bool(ears.health) and ears.health[0][0])
    assert ears.durable == [], "nothing is called durable that is not"
    subprocess.run(["mount", "-o", "remount,rw", card], check=True)
    ears.wait_durable(101)
    ears.wait(lambda: ears.health[-1][0] is False)
    assert writer.close() and not ears.epochs
    assert bodies(found.path)[-1]["kind"] == "panic.pressed"
    sound(found)


def _fill_and_press(card: Path) -> None:
    found, ears = opened(card), Ears()
    writer = writer_on(found, ears, ballast_mb=2)
    writer.start()
    writer.append(records(1, 100), emergency=False)
    ears.wait_durable(100)
    eventually(lambda: (card / "journal.reserve").exists())
    with (card / "pictures").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(4096))
    writer.append(records(101, 200), emergency=False)
    writer.append([record(301, "panic.pressed")], emergency=True)
    ears.wait_durable(301)
    ears.wait(lambda: any("reserve" in why for _, why in ears.health))
    assert not (card / "journal.reserve").exists()
    writer.append(records(302, 9_000), emergency=False)
    ears.wait(lambda: any(failing for failing, _ in ears.health))
    writer.append([record(9_302, "panic.pressed")], emergency=True)
    (card / "pictures").unlink()
    ears.wait_durable(9_302)
    ears.wait(lambda: ears.health[-1][0] is False)
    assert writer.close()
    sound(found)
    assert bodies(found.path)[-1]["kind"] == "panic.pressed"


def test_a_file_size_limit_is_a_full_card_too(tmp_path: Path) -> None:
    """Real write errors from the system, in a process of its own."""
    code = """
import resource, signal, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journal_scenes import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
found, ears = opened(Path(sys.argv[1])), Ears()
writer = writer_on(found, ears)
writer.start()
writer.append(records(1, 100), emergency=False)
ears.wait_durable(100)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
writer.append(records(101, 5_000), emergency=False)
writer.append([record(5_101, "panic.pressed")], emergency=True)
ears.wait(lambda: bool(ears.health) and ears.health[0][0])
assert ears.durable[-1].seq < 5_101
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ears.wait_durable(5_101)
assert writer.close() and not ears.epochs, ears.epochs
"""
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, tmp_path, here], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = opened(tmp_path)
    assert found.next_seq == 5_102 and not found.problems
    sound(found)


# ── memory while the disk fails ────────────────────────────────────────────────────────────────────────────────────


def test_memory_is_bounded_and_emergencies_stay() -> None:
    pending = Pending(lambda kind: WEIGHTS[kind] in (Weight.PASSAGE, Weight.FACT))
    seq = 1
    while seq < 3 * KEEP_RECORDS:
        kind = "panic.pressed" if seq % 1000 == 1 else "motion.asked" if seq % 1000 == 2 else "door.granted"
        count = 1 if kind != "door.granted" else 998
        pending.add(Group(records(seq, count, kind), kind == "panic.pressed", 0.0))
        pending.thin()
        assert pending._held <= KEEP_RECORDS + 100
        seq += count
    written = []
    while pending:
        batch = pending.batch()
        pending.written(len(batch))
        written += batch
    assert [item.seq for item in written] == list(range(1, seq)), "every number is there, in order"
    for item in written:
        expected = {1: "panic.pressed", 2: "motion.asked"}.get(item.seq % 1000, "door.granted")
        assert item.kind == expected or (item.kind == DROPPED and expected == "door.granted")
    dropped = sum(item.kind == DROPPED for item in written)
    assert 0 < dropped < len(written) and pending.records == 0 and pending._held == 0


def test_what_was_dropped_is_said_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.journal.pending.KEEP_RECORDS", 50)
    found, ears, switch = opened(tmp_path), Ears(), Switch()
    switch.error = sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")
    writer = writer_on(found, ears, connect=switch.connect)
    writer.start()
    for first in range(1, 200, 10):
        writer.append(records(first, 10), emergency=False)
    writer.append([record(201, "panic.pressed")], emergency=True)
    ears.wait(lambda: bool(ears.health))
    eventually(lambda: writer._pending._held <= 50)
    switch.error = None
    ears.wait_durable(201)
    ears.wait(lambda: ears.health[-1] == (False, "routine records were dropped while the card refused"))
    assert writer.close()
    kinds = [body["kind"] for body in bodies(found.path)]
    assert kinds[-1] == "panic.pressed" and DROPPED in kinds and "door.granted" in kinds and len(kinds) == 201
    sound(found)


# ── cards that go and come ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_that_refuses_at_start_and_returns(tmp_path: Path) -> None:
    """The records of the time without a card are in an epoch of their own."""
    write(tmp_path, [records(1, 5)])
    state = tmp_path / "state"
    state.mkdir()
    found = opened(tmp_path)
    ears, switch = Ears(), Switch()
    switch.error = sqlite_error(sqlite3.SQLITE_CANTOPEN, "unable to open database file")
    found.epoch, found.next_seq = 2, 1  # what open_journal gives when it cannot read anything
    writer = writer_on(found, ears, connect=switch.connect)
    writer.start()
    writer.append([record(1, "panic.pressed", epoch=2)], emergency=True)
    writer.append(records(2, 3, epoch=2), emergency=False)
    ears.wait(lambda: bool(ears.health) and ears.health[0][0])
    switch.error = None
    ears.wait_durable(4)
    assert writer.close()
    again = opened(tmp_path)
    assert (again.epoch, again.next_seq, again.problems) == (2, 5, [])
    assert len(list(tmp_path.glob("journal-epoch*-*.db"))) == 1, "the old file is kept"


def test_a_folder_that_cannot_be_written_still_opens(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    found = opened(blocked / "state")
    assert found.epoch >= 1 and found.next_seq == 1
    assert "unwritable" in {problem.code for problem in found.problems}


def test_a_vanished_card_is_not_papered_over(tmp_path: Path) -> None:
    """When the whole folder is empty, nothing is begun in it: the card is not mounted."""
    folder = tmp_path / "card"
    found, ears = opened(folder), Ears()
    fail = Switch()
    writer = writer_on(found, ears, connect=fail.connect)
    writer.start()
    writer.append(records(1, 5), emergency=False)
    ears.wait_durable(5)
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    folder.mkdir()
    fail.error = sqlite_error(sqlite3.SQLITE_IOERR, "disk I/O error")
    writer.append(records(6, 5), emergency=False)
    ears.wait(lambda: bool(ears.health) and ears.health[0][0])
    fail.error = None
    assert not list(folder.iterdir())
    folder.rmdir()
    moved.rename(folder)
    ears.wait_durable(10)
    assert writer.close()
    sound(found)


def test_errors_are_told_in_field_words() -> None:
    assert isinstance(told(sqlite_error(sqlite3.SQLITE_NOTADB, "file is not a database")), Damaged)
    assert "refuses" in str(told(OSError(5, "Input/output error")))
    full = told(OSError(28, "No space left on device"))
    assert not isinstance(full, Damaged) and full.full


def test_a_store_refuses_records_that_do_not_follow(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 5))
    for wrong in (records(7, 2), records(5, 1)):
        with pytest.raises(Damaged):
            store.commit(wrong)
    assert store.head.ref == (1, 5)
    store.close()
