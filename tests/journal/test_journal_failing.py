"""The journal on a card that refuses, fills up, lies or is damaged: nothing lost, everything said."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journal_scenes import SITE_BOX, WEIGHTS, Ears, bare_store, eventually, opened, record, records, write, writer_on

from agent.core.records import Weight, encode
from agent.journal import epochs, schema
from agent.journal.errors import Damaged, told
from agent.journal.opening import Opened
from agent.journal.pending import DROPPED, KEEP_RECORDS, Group, Pending
from agent.journal.reader import JournalReader
from agent.journal.store import Store
from agent.journal.verify import verify


class Faulty:
    """A connection whose next statements fail while `fault` says so."""

    def __init__(self, path: Path, fault: Callable[[str], sqlite3.Error | None]) -> None:
        self._real = schema.connect_writer(path)
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        error = self._fault(statement)
        if error is not None:
            raise error
        return self._real.execute(statement, parameters)


def sqlite_error(code: int, text: str) -> sqlite3.Error:
    error = (sqlite3.DatabaseError if code == sqlite3.SQLITE_CORRUPT else sqlite3.OperationalError)(text)
    error.sqlite_errorcode = code
    return error


class Switch:
    """Writes fail with this error while it is set."""

    def __init__(self) -> None:
        self.error: sqlite3.Error | None = None
        self.tries = 0

    def __call__(self, statement: str) -> sqlite3.Error | None:
        if self.error is not None and statement.startswith(("INSERT", "BEGIN", "COMMIT", "UPDATE", "PRAGMA wal_ch")):
            self.tries += 1
            return self.error
        return None

    def connect(self, path: Path) -> Any:
        return Faulty(path, self)


def bodies(path: Path) -> list[dict[str, Any]]:
    with JournalReader(path) as reader:
        return [json.loads(body or b"{}") for _, _, body in reader.read(1, 1 << 20, 1 << 30)]


def sound(found: Opened) -> None:
    report = verify(found.path, key=found.key.public)
    assert report.ok, report.what


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
    card = tmp_path / "card"
    card.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", card], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        _fill_and_press(card)
    finally:
        subprocess.run(["umount", "-l", card], check=True)


def test_a_start_on_a_card_mounted_read_only(tmp_path: Path) -> None:
    """What the kernel makes of a card with errors: it can be read and not written; a repair brings it back."""
    card = tmp_path / "card"
    card.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", card], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        write(card, [records(1, 100)])
        subprocess.run(["mount", "-o", "remount,ro", card], check=True)
        _start_and_press(card)
    finally:
        subprocess.run(["umount", "-l", card], check=True)


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


# ── damage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rewrite(path: Path, statement: str, *parameters: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement, parameters)
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def scribble(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def replace(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def other_database(path: Path) -> None:
    path.unlink()
    rewrite(path, "CREATE TABLE x(y)")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "not SQLite": lambda path: replace(path, b"garbage" * 1000),
    "empty": lambda path: replace(path, b""),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "header": lambda path: scribble(path, 0, bytes(100)),
    "schema page": lambda path: scribble(path, 100, b"\xff" * 200),
    "another database": lambda path: other_database(path),
    "body changed": lambda path: rewrite(path, "UPDATE record SET body = CAST('x' AS BLOB) WHERE seq = 247"),
    "link changed": lambda path: rewrite(path, "UPDATE record SET link = zeroblob(32) WHERE seq = 246"),
    "tail gone": lambda path: rewrite(path, "DELETE FROM record WHERE seq > 150"),
    "hole": lambda path: rewrite(path, "DELETE FROM record WHERE seq = 245"),
    "signed record changed": lambda path: rewrite(path, "UPDATE record SET link = zeroblob(32) WHERE seq = 240"),
    "checkpoint changed": lambda path: rewrite(path, "UPDATE checkpoint SET note = replace(note, '240', '239')"),
    "checkpoint gone": lambda path: rewrite(path, "DELETE FROM checkpoint WHERE size = 240"),
    "resume gone": lambda path: rewrite(path, "DELETE FROM resume"),
    "resume broken": lambda path: rewrite(path, "UPDATE resume SET frontier = 'x'"),
    "gone": lambda path: path.unlink(),
}


def journal_of_250(folder: Path) -> Opened:
    """Checkpoints at 100, 200 and 240; ten records after the last one."""
    found = opened(folder)
    store = Store(found.path, found.key, SITE_BOX)
    latched = record(3, "box.latched", panic=True)
    for group in ([*records(1, 2), latched, *records(4, 97)], records(101, 100), records(201, 40)):
        store.commit(group)
        store.mark()
        store.sign()
        store.save_notes()
    store.commit(records(241, 10))
    store.close()
    return found


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_kept_aside_and_a_new_epoch_begins(tmp_path: Path, name: str) -> None:
    found = journal_of_250(tmp_path)
    epochs.keep_latched(tmp_path, encode(record(3, "box.latched", panic=True)))
    DAMAGES[name](found.path)
    before = found.path.read_bytes() if found.path.exists() else None
    again = opened(tmp_path)
    assert (again.epoch, again.next_seq) == (2, 1), again.problems
    problem = again.problems[0]
    assert problem.code == ("gone" if name == "gone" else "damaged") and "epoch 2" in str(problem)
    if before is not None:
        kept = tmp_path / problem.aside
        assert kept.name.startswith("journal-epoch1-") and kept.stat().st_size >= min(1, len(before))
    assert again.latched == {"panic": True}, "the latch picture is saved"
    assert again.problems[1].code == "latch_unproven"
    ears = Ears()
    writer = writer_on(again, ears)
    writer.start()
    writer.append(records(1, 3, epoch=2), emergency=False)
    assert writer.close()
    third = opened(tmp_path)
    assert (third.epoch, third.next_seq, third.problems) == (2, 4, [])


def test_without_any_latch_picture_the_doubt_is_said(tmp_path: Path) -> None:
    write(tmp_path, [records(1, 5)])
    (tmp_path / "journal.db").write_bytes(b"x" * 5000)
    assert [problem.code for problem in opened(tmp_path).problems] == ["damaged", "latch_unknown"]


def test_the_epoch_never_goes_back_whatever_is_lost(tmp_path: Path) -> None:
    write(tmp_path, [records(1, 5), records(6, 5, epoch=7)])
    for expected in (8, 9, 10):
        (tmp_path / "journal.db").write_bytes(b"rubbish")
        if expected == 9:
            (tmp_path / "journal.epoch").unlink()
        assert opened(tmp_path).epoch == expected


def test_with_nothing_readable_the_epoch_jumps_far_ahead(tmp_path: Path) -> None:
    write(tmp_path, [records(1, 5)])
    (tmp_path / "journal.db").write_bytes(b"rubbish")
    (tmp_path / "journal.epoch").write_bytes(b"\0")
    assert opened(tmp_path).epoch > 1_000_000


def test_an_old_copy_put_back_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    write(tmp_path, [records(1, 5)])
    shutil.copy(tmp_path / "journal.db", tmp_path / "old")
    write(tmp_path, [records(6, 5, epoch=2)])
    shutil.copy(tmp_path / "old", tmp_path / "journal.db")
    again = opened(tmp_path)
    assert (again.epoch, again.next_seq) == (3, 6)
    assert [problem.code for problem in again.problems] == ["rolled_back"]


def test_a_journal_of_another_box_is_not_continued(tmp_path: Path) -> None:
    from agent.journal.opening import open_journal

    write(tmp_path, [records(1, 5)])
    again = open_journal(tmp_path, "other-school", "gate-1")
    assert again.epoch == 2 and "is of dongfang-primary/gate-1" in str(again.problems[0])


def test_a_lost_key_is_a_new_epoch(tmp_path: Path) -> None:
    write(tmp_path, [records(1, 150)])
    (tmp_path / "journal.key").write_bytes(b"broken")
    again = opened(tmp_path)
    assert again.epoch == 2 and {problem.code for problem in again.problems} >= {"key", "damaged"}


def test_damage_while_running_keeps_the_chain_and_begins_an_epoch(tmp_path: Path) -> None:
    found, ears, switch = opened(tmp_path), Ears(), Switch()
    writer = writer_on(found, ears, connect=switch.connect)
    writer.start()
    writer.append(records(1, 150), emergency=False)
    ears.wait_durable(150)
    switch.error = sqlite_error(sqlite3.SQLITE_CORRUPT, "database disk image is malformed")
    writer._connect = schema.connect_writer  # the new file is on sound ground
    writer.append([record(151, "panic.pressed")], emergency=True)
    ears.wait_durable(151)
    assert [epoch for epoch, _ in ears.epochs] == [2] and "kept as journal-epoch1-" in ears.epochs[0][1]
    writer.append(records(152, 20), emergency=False)
    writer.append(records(172, 20, epoch=2), emergency=False)
    assert writer.close()
    report = verify(found.path, key=found.key.public)
    assert report.ok and report.pruned == 150 and [t.epoch for t in report.epochs] == [1, 2]
    assert len(list(tmp_path.glob("journal-epoch1-*.db"))) == 1
    again = opened(tmp_path)
    assert (again.epoch, again.next_seq, again.problems) == (2, 192, [])
    with JournalReader(found.path) as reader:
        assert reader.read(1)[0][:2] == (151, 1)


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
