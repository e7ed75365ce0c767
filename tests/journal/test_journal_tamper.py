"""Every forged journal is found against a checkpoint kept elsewhere: by our verifier, and by the stranger's."""

from __future__ import annotations

import functools
import importlib.util
import random
import sqlite3
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from journal_scenes import bare_store, records, write
from journal_tamper import CRIMES, Bench, Original, make_original

from agent.journal.keys import BoxKey, signed_by
from agent.journal.reader import JournalReader
from agent.journal.verify import verify

SCRIPT = Path(__file__).parents[2] / "docs" / "verify" / "verify_journal.py"


@pytest.fixture(scope="module")
def stranger() -> ModuleType:
    """The verifier in docs/verify."""
    spec = importlib.util.spec_from_file_location("verify_journal", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_true(original: Original, path: Path, stranger: Any) -> None:
    """The true file passes both; a forger must not be found by a verifier that finds fault with everything."""
    report = verify(path, original.anchor, original.key.public)
    assert report.ok and report.anchored and report.signed, report.what
    _, text, _ = stranger.check(path, original.anchor, original.key.public)
    assert text == ""


def forge_and_find(folder: Path, seed: int, count: int, stranger: Any, each: int = 25) -> Counter[str]:
    """`each`: so many forgeries of one true journal."""
    found: Counter[str] = Counter()
    forged = folder / "forged.db"
    dice = random.Random(seed)
    original = None
    for number in range(count):
        if original is None or number % each == 0:
            original = make_original(folder / str(number), dice)
            is_true(original, original.path, stranger)
        name = dice.choice(list(CRIMES))
        bench = Bench(original, forged, dice)
        first = CRIMES[name](bench)
        bench.finish()
        report = verify(forged, original.anchor, original.key.public)
        _, text, seq = stranger.check(forged, original.anchor, original.key.public)
        story = f"{name} number {number} at record {first}: {report.what!r} {report.first_bad_seq}, {text!r} {seq}"
        assert not report.ok, f"not found by ours: {story}"
        assert text, f"not found by the stranger: {story}"
        # Where two signed histories part cannot always be told, nor what was renumbered before a missing end; and a
        # fork may be longer than the truth.
        end = max(original.last, bench.rows[-1][0]) + 1
        last = end if name == "fork" or "missing at the end" in report.what else first
        assert report.first_bad_seq is None or report.first_bad_seq <= last, f"named too late: {story}"
        assert seq is None or seq <= last, f"the stranger names too late: {story}"
        found[name] += 1
        forged.unlink()
    return found


def test_a_thousand_forgeries(tmp_path: Path, seed: int, stranger: ModuleType) -> None:
    found = forge_and_find(tmp_path, seed, 1_000, stranger)
    assert set(found) == set(CRIMES), found


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_a_hundred_thousand_forgeries(
    tmp_path: Path, seed: int, stranger: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The true notes come again with every copy: ours looks at each signature once too, as the stranger does."""
    monkeypatch.setattr("agent.journal.checkpoint.signed_by", functools.lru_cache(4096)(signed_by))
    found = forge_and_find(tmp_path, seed, 100_000, stranger, each=200)
    assert set(found) == set(CRIMES), found


SIMPLE = {
    "edit": ("UPDATE record SET body = replace(CAST(body AS TEXT), 'wicket', 'garage') WHERE seq = 57", 57, "changed"),
    "delete": ("DELETE FROM record WHERE seq = 57", 57, "record 57 is missing: deleted"),
    "delete many": ("DELETE FROM record WHERE seq BETWEEN 57 AND 60", 57, "records 57 to 60 are missing: deleted"),
    "truncate": ("DELETE FROM record WHERE seq > 90", 91, "missing at the end"),
    "hash": ("UPDATE record SET leaf = zeroblob(32) WHERE seq = 57", 57, "changed"),
    "link": ("UPDATE record SET link = zeroblob(32) WHERE seq = 57", 57, "does not follow"),
    "null leaf": ("UPDATE record SET leaf = x'' WHERE seq = 57", 57, "changed"),
    "checkpoint": ("UPDATE checkpoint SET note = replace(note, '100', '99') WHERE size = 100", 1, "checkpoint of 100"),
    "nested": (f"UPDATE record SET body = CAST('{'[' * 5000}' AS BLOB) WHERE seq = 57", 57, "was changed"),
    "no text": ("UPDATE record SET body = x'7b2273697465223a22ff227d' WHERE seq = 57", 57, "was changed"),
    "checkpoint size": ("UPDATE checkpoint SET size = 119 WHERE size = 120", 101, "of another place"),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_the_first_bad_record_is_named(tmp_path: Path, name: str) -> None:
    statement, seq, words = SIMPLE[name]
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 120))
    store.mark()
    store.sign()
    store.save_notes()
    store.connection.execute(statement)
    store.close()
    report = verify(tmp_path / "journal.db", key=store._key.public)
    assert not report.ok and report.first_bad_seq == seq and words in report.what, report.what


def test_swapped_records_are_called_swapped(tmp_path: Path) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 20))
    store.connection.execute(
        "UPDATE record SET (body, leaf) = (SELECT body, leaf FROM record AS other WHERE other.seq = 25 - record.seq) "
        "WHERE seq IN (12, 13)"
    )
    store.close()
    report = verify(tmp_path / "journal.db")
    assert report.first_bad_seq == 12 and "carries the number 13: swapped" in report.what


def test_a_checkpoint_that_does_not_belong(tmp_path: Path) -> None:
    found = write(tmp_path / "a", [records(1, 120)])
    with JournalReader(found.path) as reader:
        newest = reader.checkpoint()
    assert newest is not None
    note = newest[2]
    assert verify(found.path, note, found.key.public).anchored
    assert "not signed with this key" in verify(found.path, note, BoxKey.generate().public).what
    assert "does not hold" in verify(found.path, b"nonsense").what
    other = note.replace(b"gate-1", b"gate-2")
    assert "of dongfang-primary/gate-2" in verify(found.path, other).what
    later = note.replace(b"gate-1/1\n", b"gate-1/4\n", 1)
    assert "old copy" in verify(found.path, later).what


def test_what_is_not_a_journal_is_told_and_not_raised(tmp_path: Path, stranger: ModuleType) -> None:
    junk = tmp_path / "junk"
    for content in (b"", b"hello", b"SQLite format 3\0" + bytes(5000)):
        junk.write_bytes(content)
        assert not verify(junk).ok
        assert stranger.check(junk)[1]
    assert not verify(tmp_path / "missing").ok


ENDLESS = (
    "CREATE VIEW record(seq, epoch, body, leaf, link) AS "
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
    "SELECT n, 1, x'7b7d', zeroblob(32), zeroblob(32) FROM r"
)
TWO_FACED = (
    "CREATE VIEW record AS SELECT seq, epoch, CASE WHEN strftime('%Y') < '2030' THEN body ELSE x'7b7d' END AS body, "
    "leaf, link FROM truth"
)


@pytest.mark.parametrize(
    "statements",
    [
        f"DROP TABLE record; {ENDLESS}",
        f"ALTER TABLE record RENAME TO truth; {TWO_FACED}",
        "ALTER TABLE record ADD COLUMN more INTEGER AS (seq + 1)",
        "CREATE TRIGGER late AFTER INSERT ON record BEGIN DELETE FROM record WHERE seq = 1; END",
        "CREATE INDEX other ON record(seq, body)",
    ],
)
def test_a_file_whose_tables_are_not_tables_is_told_at_once(
    tmp_path: Path, statements: str, stranger: ModuleType
) -> None:
    """A view could tell the verifier the truth and show everybody else something else, or keep him for ever."""
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 20))
    store.close()
    assert verify(tmp_path / "journal.db").ok and stranger.check(tmp_path / "journal.db")[1] == ""
    with sqlite3.connect(tmp_path / "journal.db") as forger:
        forger.executescript(statements)
    forger.close()
    assert "no gate box makes" in verify(tmp_path / "journal.db").what
    assert "no table of a journal" in stranger.check(tmp_path / "journal.db")[1]


def test_a_body_nested_without_end_is_told_by_the_stranger_too(tmp_path: Path, stranger: ModuleType) -> None:
    store = bare_store(tmp_path / "journal.db")
    store.commit(records(1, 20))
    store.connection.execute(f"UPDATE record SET body = CAST('{'[' * 5000}' AS BLOB) WHERE seq = 7")
    store.close()
    assert stranger.check(tmp_path / "journal.db")[1]


def test_random_bytes_in_the_file_never_raise(tmp_path: Path, seed: int, stranger: ModuleType) -> None:
    dice = random.Random(seed)
    original = make_original(tmp_path / "original", dice)
    data = original.path.read_bytes()
    broken = tmp_path / "broken.db"
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(dice.choice((1, 5, 200))):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        broken.write_bytes(changed)
        ours = verify(broken, original.anchor, original.key.public)
        theirs = stranger.check(broken, original.anchor, original.key.public)[1]
        assert isinstance(ours.what, str) and isinstance(theirs, str)


def test_the_stranger_is_short_and_imports_nothing_of_ours() -> None:
    source = SCRIPT.read_text()
    assert len(source.splitlines()) <= 300
    for name in ("agent", "drivers", "hardware", "sim", "cryptography", "msgspec"):
        assert f"import {name}" not in source and f"from {name}" not in source


def test_the_strangers_signatures_are_ed25519(stranger: ModuleType) -> None:
    key = BoxKey.generate()
    for text in (b"", b"x", b"menwei" * 50):
        signature = key.sign(text)
        assert stranger.signature_holds(key.public, signature, text)
        assert not stranger.signature_holds(key.public, signature, text + b" ")
        assert not stranger.signature_holds(BoxKey.generate().public, signature, text)
        assert not stranger.signature_holds(key.public, signature[:32] + bytes(32), text)
