"""The board's pins through gpiozero, with the factory the site file names and no other.

Everything that may block runs in one thread of the bank's own, and every call has a deadline. Inputs are watched by
edges and meant to be polled by level besides: both gpiozero back ends lose edges now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from drivers.errors import DriverError, LinkLost, Misuse
from drivers.gpio_pins import LgpioPins, PigpioPins, Pins
from drivers.offload import Worker
from drivers.ports import EdgeListener
from hardware import profiles, site

T = TypeVar("T")

OPEN_S = 1.8  # D: some hundred commands; measured 30 ms
CALL_S = 0.3  # domain rule 1: an older reading is worthless
CLOSE_S = 0.8  # D
DEFAULT_ADDRESS = "127.0.0.1:8888"

_log = logging.getLogger(__name__)


class GpioBank:
    """`ports.GpioPort`. Once it has raised LinkLost it stays lost: close it and open a new one."""

    def __init__(self, name: str, inputs: Iterable[int], outputs: Mapping[int, bool]) -> None:
        """Use `open`; this alone has no pins yet."""
        self._name = name
        self._input_pins = tuple(sorted(inputs))
        self._output_pins = dict(outputs)
        both = set(self._input_pins) & set(self._output_pins)
        if both:
            raise Misuse(f"pins {sorted(both)} cannot be input and output at once")
        self._listeners: list[EdgeListener] = []
        self._worker = Worker("gpio")
        self._pins: Pins | None = None
        self._lost = ""

    @classmethod
    async def open(cls, board: site.Board, inputs: Iterable[int], outputs: Mapping[int, bool]) -> GpioBank:
        """Claim the pins. `outputs`: pin → level to start from; with pigpio a pin found driven is kept as found.

        Raises LinkLost with what to do, and Misuse for an address that is not this machine's own.
        """
        make = _pins_of(board)
        bank = cls(board.gpio, inputs, outputs)
        given_up = threading.Event()
        try:
            bank._pins = await bank._worker.call(partial(bank._make, make, given_up), OPEN_S)
        except DriverError:
            raise
        except TimeoutError:
            raise LinkLost(f"{board.gpio}: the pins did not open within {OPEN_S:g} s") from None
        except Exception as error:
            raise LinkLost(f"{board.gpio}: the pins do not open ({_what(error)})") from None
        finally:
            if bank._pins is None:
                given_up.set()
                bank._worker.stop()
        return bank

    def _make(self, make: MakePins, given_up: threading.Event) -> Pins:
        pins = make(self._input_pins, self._output_pins, self._edge)
        if given_up.is_set():  # nobody waits any more
            pins.sever()
            pins.close()
        return pins

    async def read_inputs(self) -> Mapping[int, bool]:
        """Every input as it is now; True is high, an open contact. Raises LinkLost within CALL_S."""
        return await self._call(lambda pins: pins.levels(self._input_pins, CALL_S))

    async def read_outputs(self) -> Mapping[int, bool]:
        """Every output as its pin has it now, whatever was commanded."""
        return await self._call(lambda pins: pins.levels(self._output_pins, CALL_S))

    async def write(self, gpio: int, high: bool) -> None:
        if gpio not in self._output_pins:
            raise Misuse(f"pin {gpio} was not opened as an output")
        await self._call(lambda pins: self._worker.call(lambda: pins.write(gpio, high), CALL_S))

    def listen(self, listener: EdgeListener) -> None:
        """Have edges told to `listener`, in a foreign thread, stamped with the pin's own instant."""
        self._listeners.append(listener)

    async def close(self) -> None:
        """Let go of everything, leaving each output as it is driven. Harmless when repeated."""
        self._lose("closed")
        pins, self._pins = self._pins, None
        if pins is None:
            return
        with contextlib.suppress(Exception):
            await self._worker.call(pins.close, CLOSE_S)
        self._worker.stop()

    async def _call(self, job: Callable[[Pins], Awaitable[T]]) -> T:
        pins = self._pins
        if self._lost or pins is None:
            raise LinkLost(f"{self._name}: {self._lost or 'closed'}")
        try:
            return await job(pins)
        except asyncio.CancelledError:
            raise
        except TimeoutError:
            self._lose(f"no answer within {CALL_S:g} s")
        except Exception as error:
            self._lose(f"the link to the pins broke ({_what(error)})")
        raise LinkLost(f"{self._name}: {self._lost}")

    def _lose(self, why: str) -> None:
        """Cut the link at once: a call that hangs in the thread must come back, and no reader thread spin."""
        if self._lost:
            return
        self._lost = why
        self._listeners.clear()
        if self._pins is not None:
            self._pins.sever()

    def _edge(self, gpio: int, high: bool, at: float) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(gpio, high, at)
            except Exception:  # it would end the library's thread, and every edge with it
                _log.exception("edge of pin %d", gpio)


MakePins = Callable[[tuple[int, ...], dict[int, bool], Callable[[int, bool, float], None]], Pins]


def _pins_of(board: site.Board) -> MakePins:
    if board.gpio == "lgpio":
        label = profiles.board(board.model).chip_label
        return lambda inputs, outputs, edge: LgpioPins(label, inputs, outputs, edge)
    host, port = _loopback(board.gpio_address or DEFAULT_ADDRESS)
    return lambda inputs, outputs, edge: PigpioPins(host, port, inputs, outputs, edge)


def _loopback(address: str) -> tuple[str, int]:
    """Host and port. The protocol has no password: whoever reaches another machine's daemon drives its pins."""
    host, _, port = address.rpartition(":")
    try:
        local = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
        number = int(port)
    except ValueError:
        raise Misuse(f"board.gpio_address {address!r} is not host:port") from None
    if not local:
        raise Misuse(f"board.gpio_address {address!r} is not this machine's own (127.0.0.1)")
    return host.strip("[]"), number


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
