"""A damaged, lost or foreign journal: kept aside, said, and never continued as if nothing had been."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from journal_faults import Switch, sqlite_error
from journal_scenes import SITE_BOX, Ears, opened, record, records, write, writer_on

from agent.core.records import encode
from agent.journal import epochs, schema
from agent.journal.opening import Opened, open_journal
from agent.journal.reader import JournalReader
from agent.journal.store import Store
from agent.journal.verify import verify


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
