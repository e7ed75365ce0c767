"""One owner of one Modbus bus. (Signatures first; the body follows.)"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from hardware import site


class Lane(IntEnum):
    """Who goes first when the bus comes free. Emergencies wait for the one transaction in flight, never for polls."""

    EMERGENCY = 0
    MOTION = 1
    LEVEL = 2
    POLL = 3


@dataclass(frozen=True, slots=True)
class Words:
    values: tuple[int, ...]
    asked_at: float  # monotonic s, when the request went out
    done_at: float


@dataclass(frozen=True, slots=True)
class Bits:
    values: tuple[bool, ...]
    asked_at: float
    done_at: float


class ModbusBus:
    def __init__(
        self,
        bus: site.Bus,
        *,
        folder: str = ".",
        on_link: Callable[[bool, str], None] | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None: ...

    async def start(self) -> None:
        """Try once to connect (bounded), then keep the link up by itself until `close`. Never raises for a dead link."""

    async def close(self) -> None: ...

    async def read_coils(self, unit: int, address: int, count: int, *, lane: Lane = Lane.POLL) -> Bits:
        raise NotImplementedError

    async def read_discrete(self, unit: int, address: int, count: int, *, lane: Lane = Lane.POLL) -> Bits:
        raise NotImplementedError

    async def read_holding(self, unit: int, address: int, count: int, *, lane: Lane = Lane.POLL) -> Words:
        raise NotImplementedError

    async def read_input(self, unit: int, address: int, count: int, *, lane: Lane = Lane.POLL) -> Words:
        raise NotImplementedError

    async def write_coil(self, unit: int, address: int, on: bool, *, lane: Lane = Lane.LEVEL) -> float:
        """Returns when the echo came (monotonic s)."""
        raise NotImplementedError

    async def write_register(
        self, unit: int, address: int, value: int, *, lane: Lane = Lane.LEVEL, not_after: float | None = None
    ) -> float:
        """`not_after`: TokenExpired instead of sending once the clock has passed it."""
        raise NotImplementedError

    async def write_registers(
        self, unit: int, address: int, values: Sequence[int], *, lane: Lane = Lane.LEVEL
    ) -> float:
        raise NotImplementedError
