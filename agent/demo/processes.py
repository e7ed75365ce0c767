"""The demo's processes: simulator, broker, district and the box itself, each a real process on loopback."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

START_S = 60.0  # far more than it takes: whoever dies is told at once
OTHER_PORTS = range(20_000, 32_000)
HERE = Path(__file__).resolve().parents[2]
STOP_S = 6.0
URGENT = -10  # as control's unit has it (systemd/units/menwei-control.service)
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Patience:
    """To be told to end while a process is being started waits until it is known, so that it can be stopped too.

    What was told is remembered: the interpreter drops an exception that a signal handler raises inside a finaliser or
    a weak reference's callback, so whoever waits asks again with `check`.
    """

    def __init__(self) -> None:
        self._starting = False
        self.told = False

    def interrupt(self, number: int, frame: object) -> None:
        """A signal handler: Ctrl-C, at once or as soon as it may be."""
        self.told = True
        if not self._starting:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises KeyboardInterrupt once somebody told the demo to end."""
        if self.told:
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self._starting = True

    def __exit__(self, *_: object) -> None:
        self._starting = False
        self.check()


PATIENCE = Patience()


class DemoError(Exception):
    """Something of the demo did not come up; the message says what and where its log is."""


@dataclass
class Child:
    """One process whose output goes to `<folder>/logs/<name>.log`, and to the terminal too when told."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    urgent: bool = False  # goes before whatever else this machine does, where this user may ask for that
    process: subprocess.Popen[str] | None = None
    first_line: str = ""
    _ready: threading.Event = field(default_factory=threading.Event)

    @property
    def log_file(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    def start(self) -> None:
        """Start it. stdout's first line is kept as its word that it is ready."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        log = self.log_file.open("a", encoding="utf-8")
        self._ready.clear()
        self.first_line = ""
        with PATIENCE:
            self.process = subprocess.Popen(
                self.command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(HERE)} | self.environment,
                preexec_fn=_urgently if self.urgent else _end_with_parent,
            )
            threading.Thread(target=self._copy, args=(self.process, log), daemon=True).start()

    def _copy(self, process: subprocess.Popen[str], log: IO[str]) -> None:
        assert process.stdout is not None
        with log, process.stdout:
            for line in process.stdout:
                if not self._ready.is_set():
                    self.first_line = line.strip()
                    self._ready.set()
                log.write(line)
                log.flush()
        self._ready.set()

    def wait_ready(self) -> dict[str, Any]:
        """Its first line as JSON. Raises DemoError when it ends or stays silent instead."""
        self._ready.wait(START_S)
        try:
            ready = json.loads(self.first_line)
        except json.JSONDecodeError:
            raise DemoError(f"the {self.name} did not start; its last words:\n{self.last_words()}") from None
        if not isinstance(ready, dict):
            raise DemoError(f"the {self.name} said {self.first_line!r} instead of where it listens")
        return ready

    def last_words(self, lines: int = 8) -> str:
        try:
            return "\n".join("    " + line for line in self.log_file.read_text("utf-8").splitlines()[-lines:])
        except OSError:
            return "    (nothing)"

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9, children and all: what a power cut does to it."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end; after a few seconds make it."""
        if self.process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return
        if number is signal.SIGKILL:
            self.process.wait()


def _end_with_parent() -> None:
    """In the child: ask the kernel to end it when the demo is gone, however the demo went."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _urgently() -> None:
    """In the child, beside that: a gate has its computer to itself, and its hardware waits for nobody. On a busy
    machine a reading would be older than the box may believe (0.3 s), and it would rightly raise nothing."""
    _end_with_parent()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, URGENT)
        with Path("/proc/self/autogroup").open("wb", buffering=0) as group:
            group.write(b"%d" % URGENT)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def free_port(wish: int) -> int:
    """`wish` when it is free on loopback for TCP and UDP, else any such port. Raises DemoError.

    The others lie below what the kernel hands out by itself (32768 and up): a stranger would be given such a port
    before the demo's process is there to take it.
    """
    for port in (wish, *random.sample(OTHER_PORTS, 20)):
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                stream.bind(("127.0.0.1", port))
                datagram.bind(stream.getsockname())
            except OSError:
                continue
            return int(stream.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")
