"""A small pigpio daemon in a thread: enough of the socket protocol for gpiozero's pigpio factory, and its faults.

Commands and their numbers are those of pigpio.h. Every command is kept, so that a test sees what touched a pin.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

MODES, MODEG, PUD, READ, WRITE, BR1, TICK, HWVER, NB, NC, FG, NOIB = 0, 1, 2, 3, 4, 10, 16, 17, 19, 21, 97, 99
ZERO_2_W = 0x902120
PULL_UP = 2


class PigpioPeer:
    """Listens on a free loopback port from `start` on. Levels and modes may be read and set from any thread."""

    def __init__(self) -> None:
        self.modes = [0] * 32
        self.pulls = [0] * 32
        self.level = 0xFFFFFFFF  # nothing is wired: pulled up
        self.commands: list[tuple[int, int, int]] = []
        self.hung = False  # accepts, and answers nothing
        self.tick_offset = 0xFFFFFF00  # so that the tick soon wraps
        self._monitors: dict[int, int] = {}
        self._notified: dict[int, socket.socket] = {}
        self._sockets: list[socket.socket] = []
        self._lock = threading.RLock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def tick(self) -> int:
        return (time.monotonic_ns() // 1000 + self.tick_offset) & 0xFFFFFFFF

    def drive(self, gpio: int, high: bool, *, edge: bool = True) -> None:
        """What the world does to an input. Without `edge` the notification is lost, as happens on real boards."""
        with self._lock:
            bit = 1 << gpio
            self.level = self.level | bit if high else self.level & ~bit
            for handle, notified in self._notified.items():
                if edge and self._monitors.get(handle, 0) & bit:
                    with contextlib.suppress(OSError):
                        notified.sendall(struct.pack("<HHII", 0, 0, self.tick(), self.level))

    def high(self, gpio: int) -> bool:
        return bool(self.level >> gpio & 1)

    def writes(self) -> list[tuple[int, int, int]]:
        """Commands that drive or turn a pin around."""
        return [each for each in self.commands if each[0] in (MODES, WRITE)]

    def die(self) -> None:
        """As kill -9 does."""
        self.listen(False)
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
            self._sockets.clear()
            self._notified.clear()
            self._monitors.clear()

    def listen(self, on: bool) -> None:
        if on:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        else:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._sockets)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.append(accepted)
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := accepted.recv(4096):
                buffer += data
                while len(buffer) >= 16:
                    command, p1, p2, extra = struct.unpack("<IIII", buffer[:16])
                    buffer = buffer[16 + extra :]
                    self._do(accepted, command, p1, p2)
        with self._lock:
            if accepted in self._sockets:
                self._sockets.remove(accepted)
            accepted.close()

    def _do(self, accepted: socket.socket, command: int, p1: int, p2: int) -> None:
        with self._lock:
            self.commands.append((command, p1, p2))
            result = self._result(accepted, command, p1, p2)
            if not self.hung:
                accepted.sendall(struct.pack("<IIII", command, p1, p2, result))

    def _result(self, accepted: socket.socket, command: int, p1: int, p2: int) -> int:
        match command:
            case 0:
                self.modes[p1] = p2
            case 1:
                return self.modes[p1]
            case 2:
                self.pulls[p1] = p2
            case 3:
                return self.level >> p1 & 1
            case 4:
                self.level = self.level | 1 << p1 if p2 else self.level & ~(1 << p1)
                self.modes[p1] = 1
            case 10:
                return self.level
            case 16:
                return self.tick()
            case 17:
                return ZERO_2_W
            case 19:
                self._monitors[p1] = p2
            case 99:
                handle = len(self._notified)
                self._notified[handle] = accepted
                return handle
            case _:
                assert command in (NC, FG), f"command {command} is not expected"
        return 0
