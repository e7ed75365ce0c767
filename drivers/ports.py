"""What the agent needs of hardware: narrow protocols and the readings they give.

One rule for all: a call returns a fresh measurement or raises a `drivers.errors.DriverError` within its own bound;
no call ever returns a remembered value, retries a motion, or waits without a limit. All are asyncio; threads inside
drivers stay inside. String values are the same words as in `agent.core.words`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

LineText: TypeAlias = Literal["normal", "pressed", "cut", "shorted", "disagree", "unread"]
SensorText: TypeAlias = Literal["clear", "occupied", "faulty", "unread"]
ModeText: TypeAlias = Literal["remote", "local", "hand", "estop", "unknown"]
MotionText: TypeAlias = Literal["raise", "lower", "efo"]
HoldText: TypeAlias = Literal["none", "stop", "lower"]
LightText: TypeAlias = Literal["red", "green", "off"]


@dataclass(frozen=True, slots=True)
class BollardState:
    """One bollard as its PLC reports it. None: the profile cannot tell."""

    up: bool
    down: bool
    moving: bool | None = None
    fault: int = 0
    efo: bool | None = None
    token: int | None = None
    cycles: int | None = None


@dataclass(frozen=True, slots=True)
class LaneState:
    """One lane read in one go. `read_at` is monotonic seconds, taken when the oldest part was asked for."""

    read_at: float
    mode: ModeText
    bollards: Mapping[str, BollardState]
    sensors: Mapping[str, SensorText]
    warning_on: bool | None
    heartbeat_ok: bool
    estop: bool = False
    fire_key: bool = False
    extra: Mapping[str, int] = field(default_factory=dict)  # board temperature and the like


@dataclass(frozen=True, slots=True)
class CardFrame:
    """A good frame of a reader: `card` is "<format>:<hex digits>"."""

    card: str
    read_at: float


@dataclass(frozen=True, slots=True)
class BadCard:
    why: str
    read_at: float


class LanePort(Protocol):
    """A lane's PLC: the bollards, their lights and warning, the sensors wired to it."""

    async def read(self) -> LaneState: ...

    async def request(self, bollard: str, motion: MotionText, token: int, issued_at: float, max_age_s: float) -> float:
        """Send one motion token, once, ahead of every poll. Returns when the PLC confirmed it (monotonic s).

        Raises Misuse (unknown bollard), TokenExpired (not sent), Refused (the PLC said no), or another DriverError:
        then whether the PLC got it is unknown and only read-back may tell. Never retried here.
        """
        ...

    async def hold(self, bollard: str, hold: HoldText) -> None:
        """Write the stop or reversal level; repeated by the caller until read back."""
        ...

    async def show(self, light: LightText, warning: bool) -> None: ...

    async def beat(self) -> None:
        """Advance the heartbeat register; due every 0.5 s."""
        ...


class RelayPort(Protocol):
    """A board of two-state outputs, channels from 0."""

    async def write(self, channel: int, on: bool) -> None: ...

    async def read(self) -> tuple[bool, ...]: ...


class LoopPort(Protocol):
    """An analogue board reading end-of-line loops, channels from 0."""

    async def read(self) -> tuple[LineText, ...]: ...


EdgeListener: TypeAlias = Callable[[int, bool, float], None]
"""(gpio number, level, monotonic s); called from a foreign thread, must only hand over."""


class GpioPort(Protocol):
    """The board's pins. Inputs are pulled up; level True = electrically high = contact open."""

    async def read_inputs(self) -> Mapping[int, bool]:
        """All input pins, freshly read."""
        ...

    async def write(self, gpio: int, high: bool) -> None: ...

    async def read_outputs(self) -> Mapping[int, bool]:
        """All output pins as the hardware has them now, not as they were last commanded."""
        ...

    def listen(self, listener: EdgeListener) -> None: ...

    async def close(self) -> None: ...


class ReaderPort(Protocol):
    """A card reader. `next_frame` waits for the next frame without a limit, and raises LinkLost when unplugged."""

    async def next_frame(self) -> CardFrame | BadCard: ...

    async def close(self) -> None: ...
