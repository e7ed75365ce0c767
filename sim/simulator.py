"""The whole simulator of one site, put together: the world in real time with all its wires on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from hardware.places import device_path, run_dir
from hardware.site import Site
from sim.clockfile import ClockFile
from sim.describe import frames
from sim.desk import Desk
from sim.faults import class_of
from sim.pins import PinDaemon
from sim.plc import RtuBus, TcpBus, loopback
from sim.readers import ReaderLine
from sim.realtime import RealTime
from sim.units import units_on
from sim.verbs import Hands, Told
from sim.wire import Wire
from sim.world import Change, World


class Wired(Protocol):
    """Something on a port of this machine: it can be unplugged and plugged in again at the same address."""

    @property
    def address(self) -> str: ...

    async def open(self) -> None: ...

    def close(self) -> None: ...


class Simulator:
    """Make it inside a running loop; `open` before use. `buses`, `readers` and `pins` tell where everything is."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.world = World(site, seed, time.monotonic())
        self.real = RealTime(self.world, asyncio.get_running_loop())
        units = {bus.name: units_on(site, bus, self.world) for bus in site.bus}
        self.wire = Wire(frames({bus.name: (bus.kind == "rtu", units[bus.name]) for bus in site.bus}))
        self.buses: dict[str, Wired] = {}
        for bus in site.bus:
            desk = Desk(bus.name, units[bus.name], self.world, gateway=bus.kind == "tcp")
            self.buses[bus.name] = (
                TcpBus(bus, desk, self.wire, self.real)
                if bus.kind == "tcp"
                else RtuBus(bus, device_path(site, bus.device), desk, self.wire, self.real)
            )
        self.readers = {
            reader.id: ReaderLine(reader, device_path(site, reader.device), self.world, self.wire, self.real)
            for reader in site.reader
        }
        host, port = _pins_address(site)
        self.pins = PinDaemon(host, port, site.board.model, self.wire, self.real)
        self.hands = Hands(self.world, self.readers, ClockFile(run_dir(site)))
        self.plugging: set[asyncio.Task[None]] = set()
        self._plugged: dict[str, bool] = {}

    async def open(self) -> None:
        """Serve everything. Raises PortTaken."""
        for device, wired in self._wired().items():
            await wired.open()
            self._plugged[device] = True
        self.world.listen(self._changed)

    def close(self) -> None:
        for wired in self._wired().values():
            wired.close()

    def do(self, verb: str, body: object) -> Told:
        """Run a verb now; see `Hands.do`. The answer carries the instant, `ns`."""
        self.real.touch()
        ns = time.monotonic_ns()
        told = self.hands.do(verb, body)
        self.real.settle()
        self.wire.verb(ns, verb, ", ".join(f"{k}={v}" for k, v in body.items()) if isinstance(body, dict) else "")
        return told | {"ns": ns}

    def _wired(self) -> Mapping[str, Wired]:
        return {
            **{f"bus:{name}": bus for name, bus in self.buses.items()},
            **{f"reader:{name}": reader for name, reader in self.readers.items()},
            "gpio": self.pins,
        }

    def _changed(self, change: Change) -> None:
        """A port's plug was pulled or put back."""
        if change.kind != "fault" or class_of(change.name) not in ("bus", "reader", "gpio"):
            return
        faults = self.world.faults.on(change.name)
        gone = {"dead", "restart"} if change.name == "gpio" else {"unplugged"}
        self._plug(change.name, not gone & set(faults))
        restart = faults.get("restart") if change.name == "gpio" else None
        if restart is not None and change.value == "restart":
            self.real.loop.call_later(restart.number("down_s"), self._restarted)

    def _restarted(self) -> None:
        self.real.touch()
        self.world.heal("gpio", "restart")
        self.real.settle()

    def _plug(self, device: str, plugged: bool) -> None:
        if self._plugged[device] == plugged:
            return
        self._plugged[device] = plugged
        wired = self._wired()[device]
        if plugged:
            task = self.real.loop.create_task(wired.open())
            self.plugging.add(task)
            task.add_done_callback(self.plugging.discard)
        else:
            wired.close()
            if wired is self.pins:
                self.pins.forget()


def _pins_address(site: Site) -> tuple[str, int]:
    """Where the site file wants the pin daemon; a site on real pins gets a free port."""
    host, _, port = site.board.gpio_address.rpartition(":")
    if not host or not loopback(host):
        return "127.0.0.1", 0
    return host, int(port)
