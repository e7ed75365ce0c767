"""What the control role's tests stand on: the demo's site, wires held by hand, and stand-ins that only remember."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from agent.control import compose, role
from agent.core.events import Event, Now
from agent.core.records import Record
from agent.core.words import ClockTrust
from agent.picture.devices import DeviceFigures
from hardware import loader
from hardware.site import PanicButton, Sensors, Site
from hardware.terminals import gpio_inputs

DEMO = Path(loader.__file__).parent / "sites" / "demo.toml"
WALL_MS = 1_790_000_000_000


def demo_site(folder: Path | None = None) -> Site:
    site, mistakes = loader.load(DEMO)
    assert site is not None, mistakes
    return site if folder is None else replace(site, folder=str(folder))


def wired_site() -> Site:
    """The demo's gate with the main lane's loop and beam wired to the box."""
    site = demo_site()
    main, *others = site.lane
    sensors = Sensors(loop1="gpio:14", loop2="plc", beam="gpio:15")
    return replace(site, lane=(replace(main, sensors=sensors), *others))


def single_button_site() -> Site:
    site = demo_site()
    return replace(site, panic_button=(PanicButton(id="lone", no="gpio:17", supervised=False),))


def pins_at_rest(site: Site) -> dict[int, bool]:
    """Every input pin's level when nothing happens: pulled up, so an open contact is high."""
    return {gpio: use.rest == "open" for gpio, use in gpio_inputs(site).items()}


class Wires:
    """An intake over a site, and every pin as somebody holds it. `told` is what came of it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.told: list[Event] = []
        self.read: list[str] = []
        self.intake = compose.intake_of(site, self.told.append)
        self.intake.on_read = self.read.append
        self.high = pins_at_rest(site)
        self.at = 10.0

    def poll(self, times: int = 1, every_s: float = 0.02) -> list[Event]:
        """Read all pins; returns what that told."""
        before = len(self.told)
        for _ in range(times):
            self.at += every_s
            self.intake.levels(dict(self.high), self.at)
        return self.told[before:]

    def settle(self) -> None:
        self.poll(8)
        self.told.clear()

    def lose(self) -> list[Event]:
        before = len(self.told)
        self.intake.lost(self.at + 0.001)
        return self.told[before:]


class LoopClock:
    """`Now` by the running loop's own clock, which may be a virtual one."""

    def now(self) -> Now:
        at = asyncio.get_running_loop().time()
        return Now(at, WALL_MS + round(at * 1000), ClockTrust.TRUSTED)


class Paper:
    """A journal that takes everything and makes nothing durable by itself."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.emergencies: list[bool] = []

    def append(self, records: Sequence[Record], emergency: bool) -> None:
        self.records += records
        self.emergencies.append(emergency)

    def kinds(self) -> list[str]:
        return [record.kind for record in self.records]

    def last(self, kind: str) -> Record:
        return next(record for record in reversed(self.records) if record.kind == kind)


class MemoryBank:
    """A board of outputs in memory."""

    def __init__(self) -> None:
        self.on: dict[int, bool] = {}

    async def write(self, channel: int, on: bool) -> None:
        self.on[channel] = on

    async def read(self) -> Mapping[int, bool]:
        return dict(self.on)


async def until(what: str, test: Callable[[], object], tries: int = 10_000) -> None:
    """Let the loop turn until it is true. Real time passes only in steps of 2 ms."""
    for _ in range(tries):
        if test():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"it never came to that: {what}")


async def turns(count: int = 5) -> None:
    """A few turns of the loop, no time passing."""
    for _ in range(count):
        await asyncio.sleep(0)


class NoDevices:
    """Stands in for all hardware of a whole control role."""

    def __init__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        pass

    def figures(self) -> dict[str, DeviceFigures]:
        return {}

    def alive(self) -> bool:
        return True

    async def close(self) -> None:
        pass


@asynccontextmanager
async def boot(site: Site) -> AsyncIterator[role.Control]:
    control = role.Control(site)
    await control.start()
    try:
        yield control
    finally:
        await control.close()
