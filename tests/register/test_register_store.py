"""The encrypted register: nothing legible at rest, gone when erased, bound to its handle."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from agent.register.store import FILE, KEY_FILE, BadRegister, Entry, Register, masked

NAME, PLATE = "王小明", "京A12345"
VISITOR = Entry(name=NAME, id_tail=masked("110101199003074512"), plate=PLATE)


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_an_entry_comes_back_and_nothing_of_it_is_legible_at_rest(tmp_path: Path) -> None:
    Register(tmp_path).put("v-0a1b2c3d4e5f", VISITOR, 5)
    assert Register(tmp_path).many(["v-0a1b2c3d4e5f", "v-none"]) == {"v-0a1b2c3d4e5f": VISITOR}
    data = raw(tmp_path)
    for text in (NAME, PLATE, "4512", "110101199003074512"):
        assert text.encode() not in data


def test_of_an_id_number_four_characters_are_kept() -> None:
    assert masked("110101199003074512") == "…4512"
    assert masked("11010119900307451x") == "…451X"
    assert masked("1234") == masked("") == ""  # all of a short one would be the number itself


def test_erased_means_that_the_bytes_are_gone(tmp_path: Path) -> None:
    register = Register(tmp_path)
    register.put("v-0a1b2c3d4e5f", VISITOR, 5)
    with sqlite3.connect(tmp_path / FILE) as base:
        (sealed,) = base.execute("SELECT sealed FROM entry").fetchone()
    base.close()
    assert sealed in raw(tmp_path)
    assert register.erase("v-0a1b2c3d4e5f") is True
    assert register.many(["v-0a1b2c3d4e5f"]) == {} and register.erase("v-0a1b2c3d4e5f") is False
    assert sealed not in raw(tmp_path) and sealed[12:40] not in raw(tmp_path)


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    register = Register(tmp_path)
    for number in range(5):
        register.put(f"v-{number}", VISITOR, number * 100)
    assert register.expire(250) == 3
    assert sorted(register.many(f"v-{n}" for n in range(5))) == ["v-3", "v-4"]


def test_an_entry_moved_to_another_handle_is_not_believed(tmp_path: Path) -> None:
    register = Register(tmp_path)
    register.put("v-1", VISITOR, 1)
    register.put("v-2", Entry(name="somebody else"), 1)
    with sqlite3.connect(tmp_path / FILE) as base:
        base.execute("UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE handle = 'v-1') WHERE handle = 'v-2'")
    base.close()
    assert register.many(["v-1", "v-2"]) == {"v-1": VISITOR}


def test_key_and_file_are_for_their_owner_alone(tmp_path: Path) -> None:
    Register(tmp_path).put("v-1", VISITOR, 1)
    for name in (FILE, KEY_FILE):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_wrong_key_is_told_and_a_lost_one_reads_nothing(tmp_path: Path) -> None:
    Register(tmp_path).put("v-1", VISITOR, 1)
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(BadRegister, match="no register key"):
        Register(tmp_path)
    (tmp_path / KEY_FILE).unlink()
    assert Register(tmp_path).many(["v-1"]) == {}


def test_the_newest_notes_come_first(tmp_path: Path) -> None:
    register = Register(tmp_path)
    for number in range(4):
        register.put(f"n-{number}", Entry(text=f"note {number}"), number)
    register.put("v-1", VISITOR, 9)
    assert [entry.text for _, _, entry in register.newest("n", 2)] == ["note 3", "note 2"]


def test_a_file_that_is_no_register_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    with pytest.raises(BadRegister, match="cannot be used"):
        Register(tmp_path).put("v-1", VISITOR, 1)
