"""A stand-in for the lgpio library: two chips, lines with flags and levels. Only what gpiozero and our driver call."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


class FakeChips(ModuleType):
    """Install as `sys.modules["lgpio"]` before gpiozero's lgpio factory is imported."""

    BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2
    SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 1 << 7, 1 << 5, 1 << 6
    OUTPUT = 1 << 1

    class error(Exception):  # noqa: N801 - the library's own name
        pass

    def __init__(self, labels: dict[int, str]) -> None:
        super().__init__("lgpio")
        self.labels = labels
        self.open_handles: dict[int, int] = {}  # handle → chip
        self.flags: dict[int, int] = {}
        self.level: dict[int, int] = {}
        self.claims: list[tuple[str, int, int]] = []
        self.callbacks: dict[int, Callable[..., None]] = {}

    def gpiochip_open(self, chip: int) -> int:
        if chip not in self.labels:
            raise self.error("can not open gpiochip")
        handle = 100 + len(self.open_handles) + chip
        self.open_handles[handle] = chip
        return handle

    def gpiochip_close(self, handle: int) -> None:
        del self.open_handles[handle]

    def gpio_get_chip_info(self, handle: int) -> tuple[int, int, str, str]:
        chip = self.open_handles[handle]
        return 0, 54, f"gpiochip{chip}", self.labels[chip]

    def gpio_claim_input(self, handle: int, gpio: int, flags: int = 0) -> None:
        self.claims.append(("in", gpio, flags))
        self.flags[gpio] = flags
        self.level.setdefault(gpio, int(flags == self.SET_PULL_UP))

    def gpio_claim_output(self, handle: int, gpio: int, level: int = 0) -> None:
        self.claims.append(("out", gpio, level))
        self.flags[gpio] = self.OUTPUT
        self.level[gpio] = level

    def gpio_free(self, handle: int, gpio: int) -> None:
        self.flags.pop(gpio, None)
        self.level.pop(gpio, None)

    def gpio_claim_alert(self, handle: int, gpio: int, edges: int, flags: int) -> None:
        self.flags[gpio] = flags

    def gpio_get_mode(self, handle: int, gpio: int) -> int:
        return self.flags.get(gpio, 0)

    def gpio_read(self, handle: int, gpio: int) -> int:
        if handle not in self.open_handles:
            raise self.error("unknown handle")
        return self.level[gpio]

    def gpio_write(self, handle: int, gpio: int, level: int) -> None:
        self.level[gpio] = level

    def callback(self, handle: int, gpio: int, edges: int, call: Callable[..., None]) -> Any:
        self.callbacks[gpio] = call
        outer = self

        class Callback:
            def cancel(self) -> None:
                outer.callbacks.pop(gpio, None)

        return Callback()

    def edge(self, gpio: int, level: int, stamp_ns: int) -> None:
        self.level[gpio] = level
        self.callbacks[gpio](0, gpio, level, stamp_ns)
