"""Nothing that a stranger wrote moves a person's terminal or begins a line of the log."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent import plain
from agent.policy.bundle import MAGIC

TRICKS = "\x1b[2J\x1b]0;all well\x07 a\nb\r\x9b31m \u202eneewnem\u2066 \x00\x7f"


def test_a_line_is_one_line_of_letters() -> None:
    told = plain.line(TRICKS + "门卫 é →")
    assert told.isprintable() and told.endswith("门卫 é →") and "\n" not in told


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@A1", " =1", "\t1", "\r1", "\n1", "＝1", "＋1", "－1", "＠A1", "\u3000=1"]
)
def test_a_cell_that_a_table_would_carry_out_is_text(text: str) -> None:
    assert plain.cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "门卫室", "1-1", "a=b", " x", "'=1"])
def test_any_other_cell_stays_as_it_is(text: str) -> None:
    assert plain.cell(text) == text


def test_a_message_with_a_line_end_is_one_line_and_a_traceback_stays_readable() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(plain.Formatter("%(name)s: %(message)s"))
    log = logging.Logger("menwei.test")
    log.addHandler(handler)
    log.warning("the platform says: %s", "no\nmenwei.control: all well\x1b[2K")
    log.error("a bug", exc_info=ValueError("x\x1b"))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("menwei.test: the platform says: no") and lines[1] == "menwei.test: a bug"
    assert "\x1b" not in lines[0]


def test_a_foreign_bundle_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    """The whole command, its output on a real terminal; a file's name is the stranger's text too."""
    bundle = tmp_path / "menwei-\x1b[31m.bundle"
    bundle.write_bytes(MAGIC + b"\n")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "agent", "policy", "show", str(bundle)]
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    told = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(ours, 4096):
            told += more
    child.wait()
    os.close(ours)
    assert b"bundle" in told and b"\x1b" not in told
