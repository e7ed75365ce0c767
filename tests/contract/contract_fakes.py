"""In-memory devices that keep the ports' contracts. What a test of the agent may use instead of a wire.

Each passes the same suite as the drivers do. Public attributes are the world's side: a test sets and reads them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drivers.errors import LinkLost, Misuse, NoAnswer, TokenExpired
from drivers.ports import (
    BadCard,
    BollardState,
    CardFrame,
    EdgeListener,
    HoldText,
    LaneState,
    LightText,
    LineText,
    ModeText,
    MotionText,
    SensorText,
)

ECHO_S = 2.0


class Mortal:
    """Something that may stop answering."""

    dead = False

    def _live(self) -> None:
        if self.dead:
            raise NoAnswer("the fake is dead")


@dataclass
class FakeLane(Mortal):
    """A lane whose bollards take tokens and move only when a test says so."""

    bollards: dict[str, BollardState] = field(
        default_factory=lambda: {"main-1": BollardState(up=False, down=True, moving=False, efo=False, token=0)}
    )
    sensors: dict[str, SensorText] = field(default_factory=lambda: {"loop1": "clear", "loop2": "clear"})
    mode: ModeText = "remote"
    light: LightText = "off"
    warning: bool = False
    holds: dict[str, HoldText] = field(default_factory=dict)
    sent: list[tuple[str, MotionText, int]] = field(default_factory=list)
    beaten_at: float = float("-inf")

    async def read(self) -> LaneState:
        self._live()
        now = time.monotonic()
        return LaneState(
            read_at=now,
            mode=self.mode,
            bollards=dict(self.bollards),
            sensors=dict(self.sensors),
            warning_on=self.warning,
            heartbeat_ok=now - self.beaten_at <= ECHO_S,
        )

    async def request(self, bollard: str, motion: MotionText, token: int, issued_at: float, max_age_s: float) -> float:
        self._known(bollard)
        if not 1 <= token <= 255:
            raise Misuse(f"token {token}")
        if time.monotonic() - issued_at > max_age_s:
            raise TokenExpired("too old")
        self._live()
        self.sent.append((bollard, motion, token))
        self.bollards[bollard] = replace(self.bollards[bollard], token=token)
        return time.monotonic()

    async def hold(self, bollard: str, hold: HoldText) -> None:
        self._known(bollard)
        self._live()
        self.holds[bollard] = hold

    async def show(self, light: LightText, warning: bool) -> None:
        self._live()
        self.light, self.warning = light, warning

    async def beat(self) -> None:
        self._live()
        self.beaten_at = time.monotonic()

    def _known(self, bollard: str) -> None:
        if bollard not in self.bollards:
            raise Misuse(f"no bollard {bollard}")


@dataclass
class FakeRelays(Mortal):
    coils: list[bool] = field(default_factory=lambda: [False] * 8)

    async def write(self, channel: int, on: bool) -> None:
        if not 0 <= channel < len(self.coils):
            raise Misuse(f"no channel {channel}")
        self._live()
        self.coils[channel] = on

    async def read(self) -> tuple[bool, ...]:
        self._live()
        return tuple(self.coils)


@dataclass
class FakeLoops(Mortal):
    lines: list[LineText] = field(default_factory=lambda: ["normal"] * 4)

    async def read(self) -> tuple[LineText, ...]:
        self._live()
        return tuple(self.lines)


class FakeGpio:
    """Pins in memory. `drive` is the world's hand on an input."""

    def __init__(self, inputs: tuple[int, ...], outputs: Mapping[int, bool]) -> None:
        self.inputs = dict.fromkeys(inputs, True)
        self.outputs = dict(outputs)
        self.dead = False
        self._listeners: list[EdgeListener] = []
        self._lost = False

    def drive(self, gpio: int, high: bool) -> None:
        if self.inputs[gpio] is not high:
            self.inputs[gpio] = high
            for listener in self._listeners:
                listener(gpio, high, time.monotonic())

    def _live(self) -> None:
        self._lost |= self.dead
        if self._lost:
            raise LinkLost("the fake is lost")

    async def read_inputs(self) -> Mapping[int, bool]:
        self._live()
        return dict(self.inputs)

    async def write(self, gpio: int, high: bool) -> None:
        if gpio not in self.outputs:
            raise Misuse(f"pin {gpio} is no output")
        self._live()
        self.outputs[gpio] = high

    async def read_outputs(self) -> Mapping[int, bool]:
        self._live()
        return dict(self.outputs)

    def listen(self, listener: EdgeListener) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        self._lost = True
        self._listeners.clear()


class FakeReader:
    """A reader fed by a test: `frames` takes what it shall read, `unplug` ends it."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[CardFrame | BadCard | None] = asyncio.Queue()
        self._lost = False

    def unplug(self) -> None:
        self.frames.put_nowait(None)

    async def next_frame(self) -> CardFrame | BadCard:
        if self._lost:
            raise LinkLost("the fake is unplugged")
        frame = await self.frames.get()
        if frame is None:
            self._lost = True
            raise LinkLost("the fake is unplugged")
        return frame

    async def close(self) -> None:
        self.unplug()
