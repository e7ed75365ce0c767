"""kill -9 at any instant: nothing acknowledged is lost, nothing is doubled, the chain goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from journal_nursery import the_record
from journal_scenes import opened

from agent.core.records import encode
from agent.journal.files import let_go
from agent.journal.reader import JournalReader
from agent.journal.verify import verify

Nursery = tuple[IO[str], IO[str]]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("journal_nursery.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin is not None and process.stdout is not None
    yield process.stdin, process.stdout
    process.stdin.close()
    process.stdout.close()
    assert process.wait(60) == 0


def kill_one(nursery: Nursery, folder: Path, dice: random.Random) -> int:
    """Let a writer live for a random while, or until it has written something however slow it is; the highest number
    it acknowledged."""
    orders, words = nursery
    orders.write(f"{folder} {dice.randrange(1 << 30)}\n")
    pid = int(words.readline().removeprefix("pid "))
    lines = [words.readline() for _ in range(dice.choice((0, 0, 0, 1, 3)))]
    time.sleep(dice.choice((0.0, 0.01, 0.03, 0.06)) * dice.random() * 2)
    os.kill(pid, signal.SIGKILL)
    lines += iter(words.readline, "dead\n")
    acknowledged = 0
    for line in lines:
        what, _, rest = line.partition(" ")
        assert what == "ack", line
        acknowledged = int(rest.split()[1])
    return acknowledged


def check(folder: Path, acknowledged: int) -> int:
    """Everything acknowledged is there, as it was written; the next start would continue after the last record."""
    report = verify(folder / "journal.db")
    assert report.ok, report.what
    with JournalReader(folder / "journal.db") as reader:
        epoch, head = reader.head()
        assert epoch == 1 and head >= acknowledged, f"{acknowledged} was acknowledged, {head} is there"
        for seq, _, body in reader.read(max(1, head - 600), 700):
            assert body == encode(the_record(1, seq))
    return head


def kill_many(nursery: Nursery, folder: Path, seed: int, kills: int) -> None:
    dice = random.Random(seed)
    acknowledged = best = wrote = 0
    for kill in range(kills):
        acknowledged = max(acknowledged, kill_one(nursery, folder, dice))
        if acknowledged == 0 and not (folder / "journal.db").exists():
            continue
        head = check(folder, acknowledged)
        assert head >= best, f"kill {kill}: the journal went back from {best} to {head}"
        best = acknowledged = head
        wrote += head
        if head > 20_000:  # verifying the whole chain after every kill is the test's time
            folder, best, acknowledged = folder.with_name(f"{folder.name}-{kill}"), 0, 0
    found = opened(folder)
    assert (found.problems, found.next_seq) == ([], best + 1)
    let_go(folder)
    assert wrote > 0, "the writers never got to write: the test is worth nothing"


def test_fifty_kills(tmp_path: Path, seed: int, nursery: Nursery) -> None:
    kill_many(nursery, tmp_path / "state", seed, 50)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_thousand_kills(tmp_path: Path, seed: int, nursery: Nursery) -> None:
    kill_many(nursery, tmp_path / "state", seed, 1_000)
