"""A real Redis as a child process, for the tests, the bench and whoever tries the fleet's receiver at home.

Durable as a district's must be (`appendonly yes`, `appendfsync always`) unless told otherwise.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

from sim.server_process import ServerError, ServerProcess

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--no-appendfsync-on-rewrite", "no")


class RedisError(ServerError):
    """As its base says."""


class RedisProcess(ServerProcess):
    """A running Redis on loopback."""

    error = RedisError

    def __init__(self, folder: Path, port: int, settings: tuple[str, ...] = DURABLE, password: str = "") -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RedisError("redis-server is not installed (apt install redis-server)")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._ping = b"PING\r\n" if not password else f"AUTH {password}\r\nPING\r\n".encode()
        self._plain = "--tls-port" not in settings
        command = [program, "--dir", str(folder), "--save", "", "--bind", "127.0.0.1", *settings]
        command += ["--requirepass", password] if password else []
        command += ["--port", str(port)] if self._plain else []
        super().__init__(f"redis-server does not start on port {port}", command, folder / "redis.log")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as line:
            if not self._plain:
                return True
            line.sendall(self._ping)
            said = line.recv(256)
            return b"PONG" in said or b"OK" in said
        return False
