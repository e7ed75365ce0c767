"""A server of others as a child process: started until it answers, killed like a power cut, started again."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

START_S = 10.0


class ServerError(Exception):
    """The server cannot start; the message says why in words."""


class ServerProcess:
    """A running server. `kill` is the power cut, `stop` the orderly end, `start` brings it back with its files."""

    error: type[ServerError] = ServerError
    end_s = 10.0  # so long for an orderly end

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self._name = name
        self._command = command
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        """Start and wait until it answers. Raises `error` with the end of its log."""
        if self.pid is not None:
            return
        self._before_start()
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > until:
                self.kill()
                raise self.error(f"{self._name}: {self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _before_start(self) -> None:
        """Raise `error` when a start would make no sense."""

    def _answers(self) -> bool:
        raise NotImplementedError

    def _end(self, how: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(how)
        try:
            child.wait(timeout=self.end_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin is not None:
            child.stdin.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"
