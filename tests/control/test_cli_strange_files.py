"""Whatever file a verb is given, a pipe that nobody writes into or a device without end: it is refused with a word and
never waited for. Each of these hung before."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_scenes import DEMO

from agent import cli
from hardware import plain_file

SCHOOL = DEMO.parent / "demo-school"
VERBS = (
    "check {}", "wiring {}", "status --config {}", "muster --config {}", "run --config {}",
    "policy show {}", "policy diff {} {}", "policy diff SCHOOL {}", "policy make SCHOOL --key {}",
    "policy make SCHOOL --names-key {} --key KEY", "policy make SCHOOL --site {} --key KEY",
    "policy apply {} --config SITE",
    "preview --date 2026-09-21 --policy {}", "preview --date 2026-09-21 --config {}",
    "explain --card 1 --reader guard --policy {} --config SITE", "explain --card 1 --reader guard --config {}",
    "journal verify {}", "journal export --file {}", "journal prove 1 --file {}", "journal verify SITE --key {}",
    "journal verify SITE --checkpoint {}", "drill verify {} --key SITE", "drill verify SITE --key {}",
    "report verify {} --config SITE", "report verify SITE --key {} --config SITE",
    "report verify SITE --journal {} --config SITE", "report verify SITE --template {} --config SITE",
    "report --month 2026-09 --out OUT --template {} --config SITE", "report --month 2026-09 --out OUT --config {}",
)  # fmt: skip


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[dict[str, Path]]:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(tmp_path / "socket"))
        yield {
            "pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "socket": tmp_path / "socket", "folder": tmp_path
        }  # fmt: skip


def menwei(words: str, folder: Path, file: Path) -> int:
    (folder / "gatebox.toml").write_bytes(DEMO.read_bytes())
    (folder / "office.key").write_text("no key", "utf-8")
    named = {"SCHOOL": SCHOOL, "SITE": folder / "gatebox.toml", "KEY": folder / "office.key", "OUT": folder / "out"}
    try:
        return cli.main([str(named.get(word, word)).replace("{}", str(file)) for word in words.split()])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize("words", VERBS)
@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_no_verb_waits_for_what_is_no_file(
    words: str, kind: str, strange: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert menwei(words, tmp_path, strange[kind]) in (1, 2)
    told = capsys.readouterr()
    assert "Traceback" not in told.err and (told.err or told.out)


@pytest.mark.parametrize("words", ["check {}", "policy show {}", "policy diff {} {}", "policy apply {} --config SITE"])
@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_the_word_says_what_it_is(
    words: str, kind: str, strange: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    menwei(words, tmp_path, strange[kind])
    told = capsys.readouterr()
    assert "a pipe, a device or a socket" in told.out + told.err


def test_a_table_of_the_office_may_be_a_pipe_too(strange: dict[str, Path], tmp_path: Path) -> None:
    """A spreadsheet's folder on a stick: what is odd in it is named like any other mistake."""
    from agent.policy.command import load

    folder = tmp_path / "office"
    folder.mkdir()
    for file in SCHOOL.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name in ("people.csv", "plans.toml", "names.csv"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    found = {one.source: one.what for one in load(folder)[1]}
    assert "a pipe" in found["people.csv"] and "a pipe" in found["plans.toml"]


def test_a_folder_is_a_folder_and_a_file_is_read_so_far(strange: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="folder"):
        plain_file.read(tmp_path, 10)
    (tmp_path / "file").write_bytes(b"0123456789")
    assert plain_file.read(tmp_path / "file", 10) == b"0123456789"
    assert plain_file.read(tmp_path / "file", 4) == b"01234"
    with pytest.raises(FileNotFoundError):
        plain_file.read(tmp_path / "none", 4)
