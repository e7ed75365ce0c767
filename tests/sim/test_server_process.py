"""A kill of somebody's server is a power cut and no farewell; an orderly end is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sim.server_process import ServerError, ServerProcess

PROGRAM = """
import pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
def farewell(*_):
    (folder / "farewell").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, farewell)
(folder / "ready").touch()
while True:
    signal.pause()
"""


class Polite(ServerProcess):
    """Says goodbye when it is asked to end."""

    def __init__(self, folder: Path, program: str = PROGRAM) -> None:
        self._folder = folder
        super().__init__("polite does not start", [sys.executable, "-c", program, str(folder)], folder / "log")

    def _answers(self) -> bool:
        return (self._folder / "ready").exists()


def test_a_kill_leaves_no_time_for_anything(tmp_path: Path) -> None:
    server = Polite(tmp_path)
    server.start()
    server.kill()
    assert server.pid is None and not (tmp_path / "farewell").exists()


def test_an_orderly_end_does_and_a_start_brings_it_back(tmp_path: Path) -> None:
    server = Polite(tmp_path)
    server.start()
    server.stop()
    assert (tmp_path / "farewell").exists()
    server.start()
    assert server.pid is not None
    server.kill()


def test_what_does_not_start_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"polite does not start: .*no room here"):
        Polite(tmp_path, "raise SystemExit('no room here')").start()
