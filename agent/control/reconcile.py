"""Levels: what the core wants of every two-state output, held against what the hardware says it has.

An `OutputGroup` is all outputs of one device (the GPIO header, one relay board). It writes what differs, reads
everything back once a second, writes again what does not agree, and tells the core when an output will not obey. So a
lost, doubled or undone write heals itself, and after a device came back everything is written anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from agent.core.events import Event, OutputFault
from agent.core.outputs import LaneOutputs, Level, Outputs
from agent.core.words import Light

BLINK_S = 0.5  # D: a flashing lamp is lit and dark for so long, seen at a glance as no steady light
READ_BACK_S = 1.0  # D: how long an undone output may stay unnoticed
PROVE_S = 0.05  # D: a fresh write is read back this soon; a pre-warning counts from then
STRIKES = 3  # read-backs in a row that disagree before the core is told


class SwitchBank(Protocol):
    """A device's two-state outputs by channel. Both calls are bounded and raise `DriverError`."""

    async def write(self, channel: int, on: bool) -> None: ...

    async def read(self) -> Mapping[int, bool]: ...


class OutputGroup:
    """The outputs of one device. `channels` maps output names ("lock:wicket", "lamp:sent") to its channels."""

    def __init__(self, channels: Mapping[str, int], post: Callable[[Event], None]) -> None:
        self._channels = dict(channels)
        self._post = post
        self._wanted: dict[str, bool] = {}
        self._applied: dict[str, bool] = {}
        self._blinking: set[str] = set()
        self._dark = False  # the flashing ones are dark now
        self._flip_at = 0.0
        self._strikes: dict[str, int] = {}
        self._changed = asyncio.Event()
        self.read_back: dict[str, bool] = {}
        self.on_written: Callable[[float], None] = lambda at: None  # something was written; the loop's time

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._channels)

    def want(self, name: str, on: bool, *, blink: bool = False) -> None:
        """Set what this output shall be; `blink`: flashing while on. Cheap; wakes the group only if it is news."""
        if self._wanted.get(name) is on and (name in self._blinking) is blink:
            return
        self._wanted[name] = on
        if blink and not self._blinking:
            self._dark, self._flip_at = False, asyncio.get_running_loop().time() + BLINK_S  # lit at once
        self._blinking = self._blinking | {name} if blink else self._blinking - {name}
        self._changed.set()

    def _due(self, name: str) -> bool:
        """What it shall be at this moment."""
        return self._wanted[name] and not (self._dark and name in self._blinking)

    async def serve(self, bank: SwitchBank) -> None:
        """Keep the outputs as wanted until the device fails with `DriverError`. Everything is written anew first.

        What was read back ends with the device: of one that is lost nobody knows what its outputs do.
        """
        self._applied.clear()
        try:
            await self._serve(bank)
        finally:
            self.read_back.clear()

    async def _serve(self, bank: SwitchBank) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + READ_BACK_S
        while True:
            self._changed.clear()
            if self._blinking and loop.time() >= self._flip_at:
                self._dark, self._flip_at = not self._dark, loop.time() + BLINK_S
            if await self._write_differences(bank):
                due = min(due, loop.time() + PROVE_S)
            if loop.time() >= due:
                await self._check(bank)
                due = loop.time() + READ_BACK_S
            await self._sleep_until(min(due, self._flip_at) if self._blinking else due)

    async def _sleep_until(self, due: float) -> None:
        try:
            async with asyncio.timeout_at(due):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _write_differences(self, bank: SwitchBank) -> bool:
        """Write what is not as wanted; True if anything was."""
        wanted = ((name, self._due(name)) for name in tuple(self._wanted))
        different = [(name, on) for name, on in wanted if self._applied.get(name) is not on]
        for name, on in different:
            await bank.write(self._channels[name], on)
            self._applied[name] = on
            if name not in self._blinking:
                self.read_back.pop(name, None)
        if different:
            self.on_written(asyncio.get_running_loop().time())
        return bool(different)

    async def _check(self, bank: SwitchBank) -> None:
        """Read every output back; what disagrees is written again at once, and reported after three strikes."""
        states = await bank.read()
        for name, on in list(self._applied.items()):
            got = states.get(self._channels[name])
            if got is None or self._due(name) is not on:
                continue
            if name in self._blinking and not on:
                continue  # dark by turns: what it does when lit tells whether it obeys
            self.read_back[name] = got
            self._judge(name, agrees=got is on)
        await self._write_differences(bank)

    def _judge(self, name: str, *, agrees: bool) -> None:
        strikes = self._strikes.get(name, 0)
        if agrees:
            self._strikes[name] = 0
            if strikes >= STRIKES:
                self._post(OutputFault(name, ok=True))
            return
        self._strikes[name] = strikes + 1
        self._applied.pop(name, None)
        if strikes + 1 == STRIKES:
            self._post(OutputFault(name, ok=False, why="reads back otherwise than it was written"))


class Picture:
    """Lays the core's desired picture out over the output groups, holding back what is not yet durable.

    `invert` names the outputs whose energised state means the opposite of the core's "on" (a fail-secure lock is
    energised to open). An output without a terminal is left out.
    """

    def __init__(self, groups: tuple[OutputGroup, ...], invert: frozenset[str]) -> None:
        self._group_of = {name: group for group in groups for name in group.names}
        self._invert = invert

    def lay(self, outputs: Outputs, durable_seq: int, *, journal_failing: bool) -> None:
        """Want everything whose record is durable; the rest waits for the next call."""
        for door, level in outputs.locks.items():
            self._lay(f"lock:{door}", level, durable_seq, journal_failing)
        for lamp, level in outputs.lamps.items():
            self._lay(f"lamp:{lamp}", level, durable_seq, journal_failing)
        self._lay("siren", outputs.siren, durable_seq, journal_failing)
        for lane, wanted in outputs.lanes.items():
            for name, on in _lane_levels(lane, wanted):
                self._lay(name, Level(on, wanted.after), durable_seq, journal_failing)

    def _lay(self, name: str, level: Level, durable_seq: int, journal_failing: bool) -> None:
        group = self._group_of.get(name)
        if group is None:
            return
        if level.after <= durable_seq or journal_failing:
            group.want(name, level.on is not (name in self._invert), blink=level.blink)

    def actual(self, name: str) -> bool | None:
        """The core's sense of what the hardware last read back; None when not fitted or not yet read."""
        group = self._group_of.get(name)
        got = group.read_back.get(name) if group else None
        return None if got is None else got is not (name in self._invert)

    def warning(self, lane: str) -> bool | None:
        """The lane's own pre-warning outputs: True when all that are wired to the box are read back as on.

        One that is not read back, or whose device is lost, is not on. None when none is wired to the box.
        """
        parts = [name for name in (f"warning:{lane}:lamp", f"warning:{lane}:buzzer") if name in self._group_of]
        return all(self.actual(name) is True for name in parts) if parts else None


def _lane_levels(lane: str, wanted: LaneOutputs) -> tuple[tuple[str, bool], ...]:
    """A lane's light and warning as two-state outputs, for lanes whose lamps are wired to the box."""
    return (
        (f"light:{lane}:red", wanted.light is Light.RED),
        (f"light:{lane}:green", wanted.light is Light.GREEN),
        (f"warning:{lane}:lamp", wanted.warning),
        (f"warning:{lane}:buzzer", wanted.warning),
    )
