"""A process that brings up journal writers to be killed: one for each order `<folder> <seed>` on stdin.

A writer says `ack <epoch> <seq>` on stdout for everything durable, and writes until it is killed; then `dead` is said.
Forked and not started anew, because a thousand starts of Python would be most of the test.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from journal_scenes import SITE_BOX, WEIGHTS, opened, record

from agent.core.records import Record
from agent.journal.writer import Durable, JournalWriter


def the_record(epoch: int, seq: int) -> Record:
    """The same record for the same number, in every process."""
    kind = "panic.pressed" if seq % 97 == 0 else "box.latched" if seq % 31 == 0 else "door.granted"
    return record(seq, kind, epoch, note="x" * (seq * 7919 % 300))


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def on_durable(durable: Durable) -> None:
    say(f"ack {durable.epoch} {durable.seq}")


def on_health(failing: bool, why: str) -> None:
    say(f"health {failing} {why}")


def write_for_ever(folder: Path, dice: random.Random) -> None:
    found = opened(folder)
    for problem in found.problems:
        say(f"problem {problem}")
    writer = JournalWriter(found.path, found.key, SITE_BOX, on_durable, on_health, weights=WEIGHTS, ballast_mb=0)
    writer.start()
    seq = found.next_seq
    while True:
        count = dice.choice((1, 1, 2, 7, 30, 250))
        writer.append([the_record(found.epoch, seq + at) for at in range(count)], emergency=dice.random() < 0.1)
        seq += count
        time.sleep(dice.choice((0, 0, 0.001, 0.004)))


def main() -> None:
    for line in sys.stdin:
        folder, seed = line.split()
        child = os.fork()
        if child == 0:
            say(f"pid {os.getpid()}")
            write_for_ever(Path(folder), random.Random(int(seed)))
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    main()
