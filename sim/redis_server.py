"""A real Redis as a child process, for the tests, the bench and whoever tries the fleet's receiver at home.

Durable as a district's must be (`appendonly yes`, `appendfsync always`) unless told otherwise.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

START_S = 10.0
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no")


class RedisError(Exception):
    """The server cannot start; the message says why in words."""


class RedisProcess:
    """A running server on loopback. `kill` is the power cut; `start` brings it back on the same port with its files."""

    def __init__(self, folder: Path, port: int, settings: tuple[str, ...] = DURABLE, password: str = "") -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RedisError("redis-server is not installed (apt install redis-server)")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._log = folder / "redis.log"
        self._ping = b"PING\r\n" if not password else f"AUTH {password}\r\nPING\r\n".encode()
        self._command = [program, "--dir", str(folder), "--save", "", "--bind", "127.0.0.1", *settings]
        self._command += ["--requirepass", password] if password else []
        self._command += [] if "--tls-port" in settings else ["--port", str(port)]
        self._plain = "--tls-port" not in settings
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        """Start and wait until it has read its files and answers. Raises RedisError with the end of its log."""
        if self.pid is not None:
            return
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > until:
                self.kill()
                words = " / ".join(self._log.read_text(errors="replace").strip().splitlines()[-3:])
                raise RedisError(f"redis-server does not start on port {self.port}: {words}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.send_signal(how)
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as line:
            if not self._plain:
                return True
            line.sendall(self._ping)
            said = line.recv(256)
            return b"PONG" in said or b"OK" in said
        return False
