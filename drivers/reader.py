"""A serial card reader: STX, ten hex digits, two hex check digits, ETX, in the profile's baud rate, 8N1.

`FrameParser` is pure and takes bytes as they come; `UartReader` owns the port. The check digits are the exclusive or
of the five bytes that the ten digits spell.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.errors import LinkLost
from drivers.offload import Worker
from drivers.ports import BadCard, CardFrame
from drivers.serial_words import serial_trouble
from hardware import profiles, site

if TYPE_CHECKING:
    import serial

STX, ETX = 0x02, 0x03
BODY = 12  # ten digits of the number, two of the check
HEX = frozenset(b"0123456789ABCDEFabcdef")
BROKEN_OFF_S = 0.5  # D: a frame takes 15 ms at 9600 baud; what has not ended by then never will
OPEN_S = 1.5  # D
MOST_WAITING = 16  # D: frames nobody has fetched; a pile of old swipes opens no door


class FrameParser:
    """Bytes in, frames out. Holds at most one frame's bytes, whatever comes.

    Noise between frames is passed over. A frame that has begun and cannot be right is one `BadCard`, and the next STX
    starts afresh.
    """

    def __init__(self, card_format: str) -> None:
        self._format = card_format
        self._body: bytearray | None = None  # None: no STX seen yet
        self._since = float("-inf")

    def feed(self, data: bytes, at: float) -> list[CardFrame | BadCard]:
        """The frames that end within `data`. `at` is when the bytes came (monotonic s)."""
        found: list[CardFrame | BadCard] = []
        if self._body is not None and at - self._since > BROKEN_OFF_S:
            self._drop("broke off", at, found)
        for byte in data:
            self._take(byte, at, found)
        return found

    def _take(self, byte: int, at: float, found: list[CardFrame | BadCard]) -> None:
        if byte == STX:
            self._drop("broke off", at, found)
            self._body, self._since = bytearray(), at
        elif self._body is None:
            return
        elif byte == ETX:
            self._end(self._body, at, found)
        elif byte not in HEX:
            self._drop("holds a character that is no hex digit", at, found)
        elif len(self._body) == BODY:
            self._drop("is too long", at, found)
        else:
            self._body.append(byte)

    def _drop(self, why: str, at: float, found: list[CardFrame | BadCard]) -> None:
        """Give up the frame under way. An STX with nothing after it was noise and is not worth a word."""
        if self._body:
            found.append(BadCard(f"the frame {why}", at))
        self._body = None

    def _end(self, body: bytearray, at: float, found: list[CardFrame | BadCard]) -> None:
        if len(body) != BODY:
            self._drop("is too short", at, found)
            return
        self._body = None
        number = bytes.fromhex(body[:10].decode("ascii"))
        check = 0
        for each in number:
            check ^= each
        if check != int(body[10:], 16):
            found.append(BadCard("the frame has a wrong check digit", at))
            return
        found.append(CardFrame(f"{self._format}:{number.hex().upper()}", at))


class UartReader:
    """`ports.ReaderPort` on a serial port, held exclusively. Once it raised LinkLost it stays lost."""

    def __init__(self, port: serial.Serial, name: str, parser: FrameParser, clock: Callable[[], float]) -> None:
        self._port = port
        self._name = name
        self._parser = parser
        self._clock = clock
        self._fd: int = port.fileno()
        self._frames: deque[CardFrame | BadCard] = deque(maxlen=MOST_WAITING)
        self._news = asyncio.Event()
        self._lost = ""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    @classmethod
    async def open(
        cls,
        reader: site.Reader,
        *,
        folder: str = ".",
        profile: profiles.ReaderProfile | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> UartReader:
        """Open the port, bounded. Raises LinkLost with the path and what to do."""
        facts = profile or profiles.reader(reader.profile)
        path = str(Path(folder, reader.device))
        worker, given_up = Worker(f"opens {path}"), threading.Event()
        try:
            port = await worker.call(partial(_open_port, path, facts.baud, given_up), OPEN_S)
        except TimeoutError:
            raise LinkLost(f"reader {reader.id}: {path} does not open: unplug the adapter and plug it in") from None
        except Exception as error:  # pyserial lets termios errors through, which are no OSError
            why = serial_trouble(path, error, f"{facts.baud} baud, 8N1")
            raise LinkLost(f"reader {reader.id}: {why}") from None
        finally:
            given_up.set()
            worker.stop()
        return cls(port, f"reader {reader.id} at {path}", FrameParser(facts.format), clock)

    async def next_frame(self) -> CardFrame | BadCard:
        """The next frame, waiting without a limit. Frames that came before a loss are still given."""
        while not self._frames:
            if self._lost:
                raise LinkLost(self._lost)
            self._news.clear()
            await self._news.wait()
        return self._frames.popleft()

    async def close(self) -> None:
        """Let go of the port. Whoever waits for a frame gets LinkLost."""
        self._lose("closed")

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 256)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"unplugged ({os.strerror(error.errno or errno.EIO)})")
            return
        if not data:  # ready to read, but nothing there: the adapter is gone, and would be "ready" for ever
            self._lose("unplugged")
            return
        self._frames.extend(self._parser.feed(data, self._clock()))
        if self._frames:
            self._news.set()

    def _lose(self, why: str) -> None:
        if self._lost:
            return
        self._lost = f"{self._name}: {why}"
        self._loop.remove_reader(self._fd)
        with contextlib.suppress(OSError):  # the port may be gone already
            self._port.close()
        self._news.set()


def _open_port(path: str, baud: int, given_up: threading.Event) -> serial.Serial:
    import serial  # 20 ms that only boxes with readers pay

    port = serial.Serial(path, baudrate=baud, timeout=0, exclusive=True)
    if given_up.is_set():  # nobody waits any more, and an open port would keep the next attempt out
        port.close()
    return port
