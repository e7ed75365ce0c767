"""The board's 28 lines as electricity: a contact to ground, a pull resistor, or an output that drives.

A closed contact pulls its line low; an open one leaves it to the pull resistor. Without a pull-up an open input
floats and reads low here, so that a driver that forgot its pull-up sees a contact that never opens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

LINES = 28
INPUT, OUTPUT = 0, 1
PULL_OFF, PULL_DOWN, PULL_UP = 0, 1, 2
FIXED_PULL_UP = (2, 3)  # 1.8 kΩ on the board
POWER_ON_UP = range(9)  # BCM2835 ARM Peripherals, table 6-31: GPIO 0-8 start pulled up, the others down

PinListener: TypeAlias = Callable[[int, bool, bool], None]
"""(gpio, level, is an output): called at every change of level."""

DriveListener: TypeAlias = Callable[[int, bool], None]
"""(gpio, energised): called when what hangs on an output is energised or let go."""


class PinBank:
    """Levels of all lines. `bank` has bit N set when GPIO N is high."""

    __slots__ = ("_driven", "_drives", "_listeners", "bank", "closed", "forced", "latch", "mode", "pull")

    def __init__(self) -> None:
        self.mode = [INPUT] * LINES
        self.pull = [PULL_UP if gpio in POWER_ON_UP else PULL_DOWN for gpio in range(LINES)]
        self.latch = [False] * LINES
        self.closed = [False] * LINES
        self.forced: dict[int, bool] = {}
        self.bank = 0
        self._driven = 0
        self._listeners: list[PinListener] = []
        self._drives: list[DriveListener] = []
        for gpio in range(LINES):
            self._settle(gpio)

    def listen(self, listener: PinListener) -> None:
        self._listeners.append(listener)

    def listen_drive(self, listener: DriveListener) -> None:
        self._drives.append(listener)

    def level(self, gpio: int) -> bool:
        """True = electrically high."""
        return bool(self.bank >> gpio & 1)

    def contact(self, gpio: int, closed: bool) -> None:
        """The contact wired from this line to ground closes or opens."""
        self.closed[gpio] = closed
        self._settle(gpio)

    def force(self, gpio: int, level: bool | None) -> None:
        """A wire fault holds an input at a level, whatever its contact does; None lifts it."""
        if level is None:
            self.forced.pop(gpio, None)
        else:
            self.forced[gpio] = level
        self._settle(gpio)

    def set_mode(self, gpio: int, mode: int) -> None:
        self.mode[gpio] = mode
        self._settle(gpio)

    def set_pull(self, gpio: int, pull: int) -> None:
        self.pull[gpio] = PULL_UP if gpio in FIXED_PULL_UP else pull
        self._settle(gpio)

    def write(self, gpio: int, high: bool) -> None:
        """Drive a line; as on the real daemon, writing makes the line an output."""
        self.latch[gpio] = high
        self.mode[gpio] = OUTPUT
        self._settle(gpio)

    def reset(self) -> None:
        """All lines fall back to what they are at power-on, as when the daemon dies with its board."""
        for gpio in range(LINES):
            self.mode[gpio], self.latch[gpio] = INPUT, False
            self.set_pull(gpio, PULL_UP if gpio in POWER_ON_UP else PULL_DOWN)

    def driven_high(self, gpio: int) -> bool:
        """Whether this line, as an output, energises what hangs on it."""
        return self.mode[gpio] == OUTPUT and self.latch[gpio]

    def _settle(self, gpio: int) -> None:
        level = self._electric(gpio)
        if level != self.level(gpio):
            self.bank ^= 1 << gpio
            is_output = self.mode[gpio] == OUTPUT
            for listener in self._listeners:
                listener(gpio, level, is_output)
        if self.driven_high(gpio) != bool(self._driven >> gpio & 1):
            self._driven ^= 1 << gpio
            for drive in self._drives:
                drive(gpio, self.driven_high(gpio))

    def _electric(self, gpio: int) -> bool:
        if self.mode[gpio] == OUTPUT:
            return self.latch[gpio]
        if gpio in self.forced:
            return self.forced[gpio]
        return not self.closed[gpio] and self.pull[gpio] == PULL_UP
