"""The one place that knows the drivers: builds every device of a site and hands each to its keeper.

A keeper opens its device, lets it be used, and reports lost and back; a device that fails takes nothing else with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from agent.control.intake import Intake
from agent.control.lanes import LaneWorker
from agent.control.reconcile import OutputGroup
from agent.control.tally import Tally, UnitCounts
from agent.core.events import Event
from agent.picture.devices import DeviceFigures
from drivers.bollard import LanePlc
from drivers.debounce import Contact
from drivers.gpio import GpioBank
from drivers.keeper import Keeper
from drivers.modbus_bus import ModbusBus
from drivers.panic import LoopBoard, PanicLines
from drivers.ports import BadCard
from drivers.reader import UartReader
from drivers.relay import RelayBoard
from hardware.site import Site
from hardware.terminals import Channel, Gpio, Use, gpio_inputs, gpio_outputs, uses

LEVEL_POLL_S = 0.02  # domain rules, section 3: a press of 50 ms must not be missed, even if every edge is lost
LOOP_POLL_S = 0.1  # D: an end-of-line loop is read 10 times a second; the standard's shortest press is 0.4 s
STARTING = "starting a bus"  # the name of such a task

Report = Callable[[str, bool, str], None]


def output_name(use: Use) -> str:
    """The name under which the core and the screens know an output: "lock:wicket", "lamp:sent", "siren" …"""
    match use.role:
        case "lock":
            return f"lock:{use.owner}"
        case "lamp":
            return f"lamp:{use.part}"
        case "light":
            return f"light:{use.owner}:{use.part.removeprefix('light_')}"
        case "buzzer":
            return f"warning:{use.owner}:buzzer"
        case "warning_lamp":
            return f"warning:{use.owner}:lamp"
        case _:
            return "siren"


def output_groups(site: Site) -> dict[str, dict[str, int]]:
    """Device ("gpio" or a relay board's name) → its outputs by name → pin or channel."""
    groups: dict[str, dict[str, int]] = {}
    for use in uses(site):
        if use.direction == "in":
            continue
        match use.terminal:
            case Gpio(number):
                groups.setdefault("gpio", {})[output_name(use)] = number
            case Channel(board, number):
                groups.setdefault(board, {})[output_name(use)] = number
            case _:
                continue
    return groups


def inverted_outputs(site: Site) -> frozenset[str]:
    """Outputs whose energised state is the core's "off": a fail-secure lock is energised to open."""
    return frozenset(f"lock:{door.id}" for door in site.door if door.lock_kind == "fail_secure")


def intake_of(site: Site, emit: Callable[[Event], None]) -> Intake:
    """The inputs with their filters. A vehicle sensor is occupied at once and clear only when it stays so."""
    return Intake(site, PanicLines(site.panic_button), Contact, lambda: Contact(rise_s=0.0), emit)


class Devices:
    """All devices of a site, each under its keeper. `report` is told (device, up, why) of each.

    A device that fails makes its inputs unread; an orderly end says nothing, for it is no alarm.
    """

    def __init__(
        self,
        site: Site,
        intake: Intake,
        groups: Mapping[str, OutputGroup],
        lanes: Mapping[str, LaneWorker],
        report: Report,
    ) -> None:
        self._site = site
        self._intake = intake
        self._groups = groups
        self._lanes = lanes
        self._tell = report
        self.tally = Tally(site)
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self.buses = {
            bus.name: ModbusBus(bus, folder=site.folder, on_link=functools.partial(self._report, f"bus:{bus.name}"))
            for bus in site.bus
        }

    def start(self) -> None:
        """Start every keeper. Nothing is written until the outputs are told what to be."""
        self._keep("gpio", self._open_gpio, self._use_gpio, GpioBank.close)
        for reader in self._site.reader:
            open_reader = functools.partial(UartReader.open, reader, folder=self._site.folder)
            use_reader = functools.partial(self._use_reader, reader.id)
            self._keep(f"reader:{reader.id}", open_reader, use_reader, UartReader.close)
        for name, bus in self.buses.items():
            self._spawn(self._start_bus(name, bus), STARTING)

    async def _start_bus(self, name: str, bus: ModbusBus) -> None:
        """Connect once, then keep what hangs on it, connected or not."""
        await bus.start()
        for lane in self._site.lane:
            if lane.bus == name:
                open_lane = functools.partial(_answering, LanePlc, lane, bus)
                self._keep(f"lane:{lane.id}", open_lane, self._lanes[lane.id].serve)
        for relays in self._site.relay_board:
            if relays.bus == name:
                open_relays = functools.partial(_answering, RelayBoard, relays, bus)
                self._keep(relays.name, open_relays, functools.partial(self._use_relays, relays.name))
        for loops in self._site.analog_board:
            if loops.bus == name:
                open_loops = functools.partial(_answering, LoopBoard, loops, bus)
                self._keep(loops.name, open_loops, functools.partial(self._use_loops, loops.name))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for bus in self.buses.values():
            await bus.close()

    def alive(self) -> bool:
        """Whether every keeper still keeps, and every bus was started: the watchdog is fed only then."""
        return not any(map(_has_ended, self._tasks))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(self._loop.create_task(work, name=name))

    def _keep(
        self,
        device: str,
        open_device: Callable[[], Awaitable[Any]],
        use: Callable[[Any], Awaitable[None]],
        close: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        keeper: Keeper[Any] = Keeper(device, open_device, use, self._report, close_device=close)
        self._spawn(keeper.run(), f"keeper:{device}")

    def _report(self, device: str, up: bool, why: str) -> None:
        if not up:
            self.tally.lost(device)
        self._tell(device, up, why)

    def figures(self) -> Mapping[str, DeviceFigures]:
        """What each device's link went through since the start."""
        return self.tally.figures({device: self._unit(*place) for device, place in self.tally.units.items()})

    def _unit(self, bus: str, unit: int) -> UnitCounts:
        counts = self.buses[bus].counts(unit)
        return UnitCounts(counts.timeouts + counts.bad_frames + counts.refused, self.buses[bus].answered_at(unit))

    # ── pins ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _open_gpio(self) -> GpioBank:
        # A pin nobody drove starts as its pull resistor holds it: nothing is commanded before the first full scan.
        outputs = dict.fromkeys(gpio_outputs(self._site), False)
        return await GpioBank.open(self._site.board, gpio_inputs(self._site), outputs)

    async def _use_gpio(self, bank: GpioBank) -> None:
        """Poll the levels and keep the outputs until either fails."""
        bank.listen(self._on_edge)
        work: list[Coroutine[Any, Any, None]] = [self._poll_levels(bank)]
        if "gpio" in self._groups:
            work.append(self._groups["gpio"].serve(_GpioSwitches(bank)))
        try:
            await _first_failure(work)
        except Exception:
            self._intake.lost(time.monotonic())
            raise

    def _on_edge(self, gpio: int, high: bool, at: float) -> None:
        """Called in the driver's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closing
            self._loop.call_soon_threadsafe(self._intake.edge, gpio, high, at)

    async def _poll_levels(self, bank: GpioBank) -> None:
        while True:
            at = time.monotonic()
            self._intake.levels(await bank.read_inputs(), at)
            await asyncio.sleep(LEVEL_POLL_S)

    # ── what hangs on a bus ────────────────────────────────────────────────────────────────────────────────────

    async def _use_relays(self, name: str, relays: RelayBoard) -> None:
        group = self._groups.get(name) or OutputGroup({}, lambda event: None)
        await group.serve(_RelaySwitches(relays))

    async def _use_loops(self, name: str, loops: LoopBoard) -> None:
        try:
            while True:
                at = time.monotonic()
                self._intake.loops(name, await loops.read(), at)
                await asyncio.sleep(max(0.0, at + LOOP_POLL_S - time.monotonic()))
        except Exception:
            self._intake.loops_lost(name, time.monotonic())
            raise

    async def _use_reader(self, reader_id: str, reader: UartReader) -> None:
        while True:
            frame = await reader.next_frame()
            if isinstance(frame, BadCard):
                self.tally.garbled(f"reader:{reader_id}")
            else:
                self.tally.heard(f"reader:{reader_id}", time.monotonic())
            self._intake.card(reader_id, frame)


class _GpioSwitches:
    """The header's outputs as switches: energised is high."""

    def __init__(self, bank: GpioBank) -> None:
        self._bank = bank

    async def write(self, channel: int, on: bool) -> None:
        await self._bank.write(channel, on)

    async def read(self) -> Mapping[int, bool]:
        return await self._bank.read_outputs()


class _RelaySwitches:
    """A relay board's channels as switches."""

    def __init__(self, relays: RelayBoard) -> None:
        self._relays = relays

    async def write(self, channel: int, on: bool) -> None:
        await self._relays.write(channel, on)

    async def read(self) -> Mapping[int, bool]:
        return dict(enumerate(await self._relays.read()))


class _Readable(Protocol):
    async def read(self) -> object: ...


_Facts = TypeVar("_Facts")
_Device = TypeVar("_Device", bound=_Readable)


async def _answering(make: Callable[[_Facts, ModbusBus], _Device], facts: _Facts, bus: ModbusBus) -> _Device:
    """A device on a bus is there once it has answered a first read."""
    device = make(facts, bus)
    await device.read()
    return device


def _has_ended(task: asyncio.Task[None]) -> bool:
    """A keeper never ends; starting a bus does, but not with an error."""
    if not task.done():
        return False
    return task.get_name() != STARTING or task.cancelled() or task.exception() is not None


async def _first_failure(work: list[Coroutine[Any, Any, None]]) -> None:
    """Run all until one fails; raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = task.exception()
            if error is not None:
                raise error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
