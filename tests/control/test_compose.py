"""The devices under their keepers: what a loss tells, and that an orderly end tells nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from control_scenes import demo_site, pins_at_rest, until, wired_site
from msgspec.structs import replace

from agent.control import compose
from agent.control.compose import Devices, inverted_outputs, output_groups
from agent.control.reconcile import OutputGroup
from agent.core.events import Event, PanicLine
from agent.core.words import Line, Sensor
from drivers.errors import LinkLost
from drivers.ports import EdgeListener, LineText
from hardware.site import Lane, Site


class Bank:
    """The header, in memory. `open` gives the one the test holds."""

    the: Bank

    def __init__(self, site: Site) -> None:
        self.high = pins_at_rest(site)
        self.dead = False
        self.reads = 0
        self.listener: EdgeListener = lambda gpio, high, at: None

    @classmethod
    async def open(cls, *_: object) -> Bank:
        if cls.the.dead:
            raise LinkLost("the pin daemon is gone")
        return cls.the

    async def read_inputs(self) -> Mapping[int, bool]:
        if self.dead:
            raise LinkLost("the pin daemon is gone")
        self.reads += 1
        return dict(self.high)

    async def write(self, gpio: int, high: bool) -> None:
        return

    async def read_outputs(self) -> Mapping[int, bool]:
        return {}

    def listen(self, listener: EdgeListener) -> None:
        self.listener = listener

    async def close(self) -> None:
        return


class Loops:
    """An analogue board that reads normal until it is dead."""

    dead = False

    def __init__(self, *_: object) -> None: ...

    async def read(self) -> tuple[LineText, ...]:
        if Loops.dead:
            raise LinkLost("the analogue board is silent")
        return ("normal",) * 4


class Bus:
    """A bus that connects at once, or fails in a way nobody foresaw."""

    broken = False

    def __init__(self, *_: object, **__: object) -> None: ...

    async def start(self) -> None:
        if Bus.broken:
            raise RuntimeError("nobody foresaw this")

    async def close(self) -> None:
        return


class Bench:
    """Devices of a site in which only pins and loops are fitted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        demo = demo_site()
        self.site = replace(demo, lane=(), reader=(), relay_board=(), bus=demo.bus[1:])
        Bank.the, Loops.dead, Bus.broken = Bank(self.site), False, False
        for name, stand_in in (("GpioBank", Bank), ("LoopBoard", Loops), ("ModbusBus", Bus)):
            monkeypatch.setattr(compose, name, stand_in)
        monkeypatch.setattr(compose, "LOOP_POLL_S", 0.005)
        self.told: list[Event] = []
        self.reports: list[tuple[str, bool]] = []
        self.intake = compose.intake_of(self.site, self.told.append)
        groups = {"gpio": OutputGroup({}, self.told.append)}
        self.devices = Devices(self.site, self.intake, groups, {}, self._report)

    def _report(self, device: str, up: bool, why: str) -> None:
        self.reports.append((device, up))

    def lines(self) -> dict[str, Line]:
        return {event.button: event.line for event in self.told if isinstance(event, PanicLine)}

    async def up(self) -> None:
        self.devices.start()
        await until("every line is read", lambda: len(self.lines()) == 3)


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_an_orderly_end_raises_no_alarm(bench: Bench) -> None:
    await bench.up()
    bench.told.clear()
    await bench.devices.close()
    assert bench.told == []


async def test_a_loss_makes_the_lines_unread_and_a_return_reads_them_again(bench: Bench) -> None:
    await bench.up()
    Bank.the.dead = True
    await until("the loss is told", lambda: ("gpio", False) in bench.reports)
    assert bench.lines() == {"gatehouse": Line.UNREAD, "wicket": Line.UNREAD, "office": Line.NORMAL}
    Bank.the.dead = False
    await until("the return is told", lambda: bench.reports[-1] == ("gpio", True))
    await until("the lines are read", lambda: bench.lines()["gatehouse"] is Line.NORMAL)
    await bench.devices.close()


async def test_a_lost_board_makes_its_loops_unread(bench: Bench) -> None:
    await bench.up()
    Loops.dead = True
    await until("the loop is unread", lambda: bench.lines()["office"] is Line.UNREAD)
    assert bench.lines()["gatehouse"] is Line.NORMAL
    await bench.devices.close()


async def test_an_edge_reaches_the_loop_from_the_drivers_thread(bench: Bench) -> None:
    await bench.up()
    at = asyncio.get_running_loop().time() + 1.0  # newer than every poll of this test
    await asyncio.to_thread(Bank.the.listener, 27, True, at)
    await asyncio.to_thread(Bank.the.listener, 17, False, at)
    await until("the press is told", lambda: bench.lines()["gatehouse"] is Line.PRESSED)
    await bench.devices.close()


async def test_a_keeper_that_ended_is_not_alive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends(self: Any) -> None:
        return

    await bench.up()
    assert bench.devices.alive()
    await bench.devices.close()
    monkeypatch.setattr("drivers.keeper.Keeper.run", ends)
    second = Devices(bench.site, bench.intake, {}, {}, bench._report)
    second.start()
    await until("it is seen", lambda: not second.alive())
    await second.close()


async def test_a_bus_that_could_not_even_be_started_is_not_alive(bench: Bench) -> None:
    Bus.broken = True
    bench.devices.start()
    await until("it is seen", lambda: not bench.devices.alive())
    await bench.devices.close()


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_output_of_the_demo_has_its_name_and_place() -> None:
    assert output_groups(demo_site()) == {
        "gpio": {"lock:wicket": 16, "lamp:sent": 9, "lamp:received": 10, "lamp:coming": 11},
        "relays": {"lock:gatehouse": 0, "lock:turnstile": 3, "lamp:fault": 1, "siren": 2},
    }


def test_lights_and_warning_wired_to_the_box_are_outputs_of_their_lane() -> None:
    site = wired_site()
    lane: Lane = replace(
        site.lane[0], light_red="relays:3", light_green="relays:4", buzzer="relays:5", warning_lamp="gpio:2"
    )
    groups = output_groups(replace(site, lane=(lane,)))
    assert groups["relays"].keys() >= {"light:main:red", "light:main:green", "warning:main:buzzer"}
    assert groups["gpio"]["warning:main:lamp"] == 2


def test_a_fail_secure_lock_is_energised_to_open() -> None:
    assert inverted_outputs(demo_site()) == {"lock:gatehouse"}


def test_a_sensor_wired_to_the_box_is_occupied_at_once_and_clear_only_when_it_stays_so() -> None:
    site = wired_site()
    intake = compose.intake_of(site, lambda event: None)
    seen: list[Sensor] = []

    def look() -> None:
        sensors = intake.local_sensors("main")
        assert sensors is not None
        seen.append(sensors[0]["loop1"])

    for at in (0.0, 0.02, 0.04, 0.06):
        intake.levels(pins_at_rest(site), at)
    look()
    intake.edge(14, True, 0.061)
    look()
    intake.edge(14, False, 0.062)
    look()
    assert seen == [Sensor.CLEAR, Sensor.OCCUPIED, Sensor.OCCUPIED]
