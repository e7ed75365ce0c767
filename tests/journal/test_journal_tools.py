"""Export, proofs, the command line, and the comparison with the far side's checkpoint."""

from __future__ import annotations

import base64
import csv
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from journal_scenes import SITE_BOX, record, records, write
from proof_check import consistency_holds, inclusion_holds

from agent.core.records import leaf_hash
from agent.journal import command, schema
from agent.journal.checkpoint import BadNote, parse
from agent.journal.compare import disagreement
from agent.journal.errors import Damaged
from agent.journal.export import Bound, export
from agent.journal.files import let_go
from agent.journal.keys import BoxKey
from agent.journal.opening import Opened
from agent.journal.prove import Proof, Unprovable, prove
from agent.journal.reader import JournalReader
from agent.journal.store import Store


@pytest.fixture
def found(tmp_path: Path) -> Opened:
    kept = write(tmp_path / "state", [records(1, 150), [record(151, "panic.pressed", who="=cmd()")], records(152, 30)])
    let_go(tmp_path / "state")
    return kept


def menwei(*words: str | Path) -> int:
    return command.run([str(word) for word in words])


def note_at(path: Path, size: int) -> bytes:
    with JournalReader(path) as reader:
        return next(note for epoch, at, note in reader.checkpoints() if (epoch, at) == (1, size))


# ── export ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_jsonl_is_the_bodies(found: Opened) -> None:
    with JournalReader(found.path) as reader:
        bodies = [(body or b"").decode() + "\n" for _, _, body in reader.read(1, 1000, 1 << 30)]
    assert list(export(found.path, "jsonl")) == bodies


def test_csv_is_readable_and_harmless(found: Opened) -> None:
    rows = list(csv.DictReader(export(found.path, "csv")))
    assert len(rows) == 181 and rows[150]["kind"] == "panic.pressed" and rows[150]["cause"] == "1-150"
    assert json.loads(rows[0]["data"]) == {"door": "wicket", "why": "在校时间"}


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    import msgspec

    odd = msgspec.structs.replace(record(1), subject=" =1+1", actor="＠x")
    kept = write(tmp_path, [[odd]])
    row = next(csv.DictReader(export(kept.path, "csv")))
    assert (row["subject"], row["actor"]) == ("' =1+1", "'＠x")


NO_RECORDS = (b"[" * 5000, b'{"data":' + b"[" * 5000, b'{"kind":"\xff"}', b"12", b'{"kind":1}', b"")


@pytest.mark.parametrize("body", NO_RECORDS)
def test_a_body_that_is_no_record_is_said_and_hides_no_other(found: Opened, body: bytes) -> None:
    with sqlite3.connect(found.path) as forger:
        forger.execute("UPDATE record SET body = ? WHERE seq = 170", (body,))
    forger.close()
    with JournalReader(found.path) as reader:
        assert [row.seq for row in reader.records(newest=181)] == list(range(181, 0, -1))
        assert [row.seq for row in reader.records({"panic.pressed"})] == [151]
    with pytest.raises(Damaged, match=r"verify|garbage"):
        list(export(found.path, "csv"))


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("10", "12", [10, 11, 12]),
        (None, "2", [1, 2]),
        ("180", None, [180, 181]),
        ("2026-08-31T20:44", "2026-08-31T20:45", [151, 152]),
        ("2026-08-31T21:14:20.000Z", None, [181]),
        ("2027", None, []),
        (None, "2026-08-30", []),
    ],
)
def test_bounds(found: Opened, start: str | None, end: str | None, expected: list[int]) -> None:
    lines = export(found.path, "jsonl", Bound.parse(start) if start else None, Bound.parse(end) if end else None)
    assert [json.loads(line)["seq"] for line in lines] == expected


@pytest.mark.parametrize("text", ["", "yesterday", "01.09.2026", "-5", "２０２６"])
def test_a_bound_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="neither a record's number nor a time"):
        Bound.parse(text)


# ── proofs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def unpacked(hashes: list[str]) -> list[bytes]:
    return [base64.b64decode(item) for item in hashes]


def holds(proof: Proof) -> bool:
    root = parse(proof.checkpoint.encode()).root
    leaf = base64.b64decode(proof.leaf)
    assert proof.body is None or leaf == leaf_hash(proof.body.encode())
    return inclusion_holds(leaf, proof.index, proof.size, unpacked(proof.inclusion), root)


@pytest.mark.parametrize("seq", [1, 2, 64, 100, 151, 181])
def test_every_record_has_a_proof(found: Opened, seq: int) -> None:
    proof = prove(found.path, seq)
    assert (proof.seq, proof.size) == (seq, 181) and holds(proof)
    steps = proof.consistency
    assert steps is not None
    new_root = parse(proof.checkpoint.encode()).root
    old_root = base64.b64decode(steps.old_root)
    assert consistency_holds(steps.old_size, steps.new_size, old_root, new_root, unpacked(steps.hashes))


def test_a_proof_continues_the_checkpoint_given(found: Opened) -> None:
    proof = prove(found.path, 7, since=note_at(found.path, 151))
    assert proof.consistency is not None and proof.consistency.old_size == 151


def test_what_cannot_be_proved_is_said(found: Opened) -> None:
    store = Store(found.path, found.key, SITE_BOX)
    store.commit(records(182, 5))
    store.close()
    with pytest.raises(Unprovable, match="not in this journal"):
        prove(found.path, 999)
    with pytest.raises(Unprovable, match="not under a checkpoint yet"):
        prove(found.path, 185)


# ── the command line ───────────────────────────────────────────────────────────────────────────────────────────────


def test_verify_says_ok_and_what_it_did_not_check(found: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert menwei("verify", found.path) == 0
    said = capsys.readouterr().out
    assert said.endswith("OK\n") and "--key" in said and "--checkpoint" in said


def test_verify_with_key_and_checkpoint(found: Opened, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_bytes(note_at(found.path, 181))
    public = found.path.with_name("journal.pub")
    assert menwei("verify", found.path, "--key", public, "--checkpoint", kept, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] and report["anchored"] and report["signed"] and report["head"] == [1, 181]


def test_verify_names_the_first_bad_record(found: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    connection = schema.connect_writer(found.path)
    connection.execute("UPDATE record SET body = CAST(replace(body, 'wicket', 'garage') AS BLOB) WHERE seq = 42")
    connection.close()
    assert menwei("verify", found.path) == 1
    assert "NOT OK: record 42 was changed" in (said := capsys.readouterr().out) and "first bad record: 42" in said


def test_export_and_prove(found: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert menwei("export", "--format", "jsonl", "--from", "151", "--to", "151", "--file", found.path) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "panic.pressed"
    assert menwei("prove", "151", "--file", found.path) == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 151


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify", "/nowhere"], 2, "/nowhere: there is no such file"),
        (["verify", "/"], 2, "/: this is a folder, not a file"),
        (["verify", "FILE", "--key", "FILE"], 2, "holds no public key"),
        (["verify", "FILE", "--checkpoint", "/nowhere"], 2, "there is no such file"),
        (["export", "--file", "/nowhere"], 2, "there is no journal here"),
        (["export", "--file", "FILE", "--from", "soon"], 2, "neither a record's number"),
        (["export", "--file", "JUNK"], 1, "damaged"),
        (["prove", "999", "--file", "FILE"], 1, "not in this journal"),
        (["prove", "1", "--file", "/nowhere"], 2, "there is no journal here"),
    ],
)
def test_mistakes_get_field_words(
    found: Opened, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    (tmp_path / "junk").write_bytes(b"junk" * 999)
    names = {"FILE": str(found.path), "JUNK": str(tmp_path / "junk")}
    assert menwei(*[names.get(word, word) for word in words]) == code
    assert said in capsys.readouterr().err


# ── the far side ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_far_sides_checkpoint_agrees(found: Opened) -> None:
    for size in (100, 151, 181):
        assert disagreement(found.path, note_at(found.path, size), found.key.public) == ""


def test_a_lost_end_and_a_fork_are_seen(found: Opened, tmp_path: Path) -> None:
    shutil.copy(found.path, tmp_path / "old.db")
    store = Store(found.path, found.key, SITE_BOX)
    store.commit(records(182, 20))
    store.mark()
    store.sign()
    store.save_notes()
    theirs = store.connection.execute("SELECT note FROM checkpoint WHERE size = 201").fetchone()[0].encode()
    store.close()
    assert "20 records of epoch 1 that are not here" in disagreement(tmp_path / "old.db", theirs, found.key.public)
    for marked in (True, False):
        fork = Path(shutil.copy(tmp_path / "old.db", tmp_path / f"fork-{marked}.db"))
        store = Store(fork, found.key, SITE_BOX)
        store.commit(records(182, 20, "device.lost"))
        if marked:
            store.mark()
        store.commit(records(202, 5))
        store.sign()
        store.save_notes()
        store.close()
        assert "put back and continued" in disagreement(fork, theirs, found.key.public)


def test_a_note_that_is_not_ours_is_not_believed(found: Opened) -> None:
    note = note_at(found.path, 181)
    for wrong in (b"nonsense", note.replace(b"gate-1", b"gate-2")):
        with pytest.raises(BadNote):
            disagreement(found.path, wrong, found.key.public)
    with pytest.raises(BadNote):
        disagreement(found.path, note, BoxKey.generate().public)


# ── start ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_start_does_not_read_what_a_checkpoint_covers(found: Opened) -> None:
    """An old wrong record stops no box from starting; verification finds it."""
    from journal_scenes import opened

    connection = schema.connect_writer(found.path)
    connection.execute("UPDATE record SET body = NULL, leaf = zeroblob(32) WHERE seq = 42")
    connection.close()
    again = opened(found.path.parent)
    assert (again.next_seq, again.problems) == (182, [])
    let_go(found.path.parent)
    assert menwei("verify", found.path) == 1


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_a_million_records_open_in_a_tenth_of_a_second(tmp_path: Path) -> None:
    import time

    from journal_scenes import opened

    kept = opened(tmp_path)
    store = Store(kept.path, kept.key, SITE_BOX)
    for first in range(1, 1_000_001, 500):
        store.commit(records(first, 500))
        store.sign()
        if store.log_pages > 2_000:
            store.move_log()
    store.close()
    started = time.perf_counter()
    again = opened(tmp_path)
    took_s = time.perf_counter() - started
    print(f"{kept.path.stat().st_size / 1e6:.0f} MB, open and verified in {took_s * 1e3:.1f} ms")
    assert again.next_seq == 1_000_001 and took_s < 0.1
