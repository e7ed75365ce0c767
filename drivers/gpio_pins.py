"""The two ways to the pins, behind one small interface. Made in `drivers.gpio`'s own thread, which may block.

gpiozero opens and watches the inputs. Outputs are claimed beneath it, because gpiozero makes every pin an input first:
a lock that is driven would drop out for a moment each time the agent starts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from drivers.errors import LinkLost

if TYPE_CHECKING:
    from gpiozero.pins.pi import PiFactory

Edge = Callable[[int, bool, float], None]

LATE_EDGE_S = 1.0  # D: a stamp further off than this is another clock's
CALIBRATE_S = 10.0  # D: the daemon's tick drifts below 0.5 ms in that time
PROMPT_S = 0.005  # D: an answer that took longer says too little about when it was given
TICK_RANGE = 1 << 32  # pigpio's tick: microseconds in 32 bits (pigpio.h)
BR1, TICK, MODE_OUTPUT = 10, 16, 1  # pigpio.h
MOST_CHIPS = 32


class Pins(Protocol):
    """The way to the pins. Calls raise whatever the library beneath raises."""

    async def levels(self, gpios: Iterable[int], within_s: float) -> dict[int, bool]:
        """On the event loop. Bounded; TimeoutError when the bound is passed."""
        ...

    def write(self, gpio: int, high: bool) -> None:
        """Blocks briefly; for the bank's thread."""
        ...

    def sever(self) -> None:
        """Cut the link so that a call blocked in the thread returns. For the event loop's thread."""
        ...

    def close(self) -> None:
        """Release threads, sockets and handles. Drives no pin. Blocks briefly; for the bank's thread."""
        ...


class WatchedInputs:
    """Pulled-up inputs of a gpiozero factory, whose edges go to `edge` from the factory's own thread."""

    def __init__(self, factory: PiFactory, edge: Edge) -> None:
        self._factory = factory
        self._edge = edge
        self._handlers: dict[int, Callable[[Any, Any], None]] = {}  # gpiozero keeps only weak references
        self.pins: dict[int, Any] = {}

    def add(self, gpio: int, moment: Callable[[Any], float]) -> None:
        """Watch a pin; `moment` turns the factory's ticks into monotonic seconds."""

        def handler(ticks: Any, state: Any) -> None:
            self._edge(gpio, bool(state), moment(ticks))

        pin = self._factory.pin(f"GPIO{gpio}")
        pin.function = "input"
        pin.pull = "up"
        self._handlers[gpio] = handler
        self.pins[gpio] = pin
        pin.when_changed = handler


def near_now(stamp: float, now: float) -> float:
    """The stamp, unless it cannot be of this clock: then now."""
    return stamp if -0.001 <= now - stamp <= LATE_EDGE_S else now


class PigpioPins:
    """Through a pigpio daemon on this machine (or the simulator's). One bank read serves all pins."""

    def __init__(self, host: str, port: int, inputs: Iterable[int], outputs: dict[int, bool], edge: Edge) -> None:
        from drivers.pigpio_link import Asker, Connection, Factory

        self._tick_at: tuple[int, float] | None = None
        with contextlib.ExitStack() as undo:
            self._connection = Connection(host, port)
            self._factory = Factory(self._connection)
            undo.callback(self._factory.close)
            self._asker = Asker(host, port)
            undo.callback(self._asker.end)
            self._calibrate(time.monotonic(), self._connection.get_current_tick())
            for gpio, high in outputs.items():
                self._claim(gpio, high)
            self._inputs = WatchedInputs(self._factory, edge)
            for gpio in inputs:
                self._inputs.add(gpio, self._moment)
            undo.pop_all()

    def _claim(self, gpio: int, high: bool) -> None:
        """Make it an output without a glitch; a pin found driven stays as found."""
        if self._connection.get_mode(gpio) != MODE_OUTPUT:
            self._connection.write(gpio, int(high))  # the daemon sets the level first, then the direction

    def _calibrate(self, asked_at: float, tick: int) -> None:
        """Learn what the daemon's tick, asked for at `asked_at` and just come, is in our monotonic clock."""
        now = time.monotonic()
        if now - asked_at < PROMPT_S or self._tick_at is None:
            self._tick_at = (tick, (asked_at + now) / 2)

    def _moment(self, tick: int) -> float:
        assert self._tick_at is not None
        known, at = self._tick_at
        # Signed difference: an edge may lie before the calibration, and the tick wraps every 72 minutes.
        ahead = (tick - known + TICK_RANGE // 2) % TICK_RANGE - TICK_RANGE // 2
        return near_now(at + ahead / 1_000_000, time.monotonic())

    async def levels(self, gpios: Iterable[int], within_s: float) -> dict[int, bool]:
        asked_at = time.monotonic()
        if self._tick_at is None or asked_at - self._tick_at[1] > CALIBRATE_S:
            self._calibrate(asked_at, await self._asker.ask(TICK, within_s))
        bank = await self._asker.ask(BR1, within_s)
        return {gpio: bool(bank >> gpio & 1) for gpio in gpios}

    def write(self, gpio: int, high: bool) -> None:
        self._connection.write(gpio, int(high))

    def sever(self) -> None:
        self._asker.end()
        self._connection.sever()

    def close(self) -> None:
        self._factory.close()


class LgpioPins:
    """Through the kernel's GPIO character device, on the chip that carries the board profile's label."""

    def __init__(self, label: str, inputs: Iterable[int], outputs: dict[int, bool], edge: Edge) -> None:
        try:
            import lgpio
        except ImportError:
            raise LinkLost("the lgpio library is not installed; on a Pi: apt install python3-lgpio") from None
        from gpiozero.pins.lgpio import LGPIOFactory

        self._lgpio = lgpio
        with contextlib.ExitStack() as undo:
            self._factory = LGPIOFactory(chip=_chip_by_label(lgpio, label))
            undo.callback(self._factory.close)
            self._handle: int = self._factory._handle
            for gpio, high in outputs.items():
                # Claiming sets direction and level in one go. What another process drove the kernel does not tell.
                lgpio.gpio_claim_output(self._handle, gpio, int(high))
            self._inputs = WatchedInputs(self._factory, edge)
            for gpio in inputs:
                self._inputs.add(gpio, lambda stamp: near_now(stamp, time.monotonic()))
            undo.pop_all()

    async def levels(self, gpios: Iterable[int], within_s: float) -> dict[int, bool]:
        # Each is one ioctl that answers from a register: nothing that could be waited for.
        return {gpio: bool(self._lgpio.gpio_read(self._handle, gpio)) for gpio in gpios}

    def write(self, gpio: int, high: bool) -> None:
        self._lgpio.gpio_write(self._handle, gpio, int(high))

    def sever(self) -> None:
        return  # kernel calls return by themselves

    def close(self) -> None:
        self._factory.close()


def _chip_by_label(lgpio: Any, label: str) -> int:
    """The number of the chip with that label: on a Pi 5 the header's chip has changed its number between kernels."""
    seen: list[str] = []
    for chip in range(MOST_CHIPS):
        try:
            handle = lgpio.gpiochip_open(chip)
        except lgpio.error:
            continue
        try:
            found = lgpio.gpio_get_chip_info(handle)[3]
        finally:
            lgpio.gpiochip_close(handle)
        found = found.decode() if isinstance(found, bytes) else str(found)
        if found == label:
            return chip
        seen.append(found)
    if not seen:
        raise LinkLost("no GPIO chip can be opened: is this a Pi, and this user in the group gpio?")
    raise LinkLost(f"no GPIO chip is labelled {label}; there are {', '.join(seen)}: is board.model right?")
