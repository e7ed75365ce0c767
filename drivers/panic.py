"""Panic lines: end-of-line loops on an analogue board, NO + NC pairs on pins. (Signatures first.)"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drivers.modbus_bus import ModbusBus
from drivers.ports import LineText
from hardware import profiles, site


class LoopBoard:
    """`ports.LoopPort` over a Modbus analogue input board."""

    def __init__(
        self, board: site.AnalogBoard, bus: ModbusBus, profile: profiles.AnalogProfile | None = None
    ) -> None: ...

    async def read(self) -> tuple[LineText, ...]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class LineChange:
    button: str
    line: LineText
    at: float


class PanicLines:
    """All panic buttons of the site as pure logic; each call returns the lines that changed. Time is passed in."""

    def __init__(self, buttons: Sequence[site.PanicButton]) -> None: ...

    def edge(self, gpio: int, high: bool, at: float) -> list[LineChange]:
        raise NotImplementedError

    def levels(self, levels: Mapping[int, bool], at: float) -> list[LineChange]:
        """One fresh `GpioPort.read_inputs`, `at` = when it was asked for."""
        raise NotImplementedError

    def loops(self, board: str, lines: Sequence[LineText], at: float) -> list[LineChange]:
        raise NotImplementedError

    def lost(self, source: str, at: float) -> list[LineChange]:
        """`source`: "gpio" or an analogue board's name; its lines become unread."""
        raise NotImplementedError
