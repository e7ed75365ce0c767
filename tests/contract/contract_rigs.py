"""What stands behind a port while its contract is tried: a fake, our driver on a scripted peer, our driver on the
simulator's real wires, or (pins only) a real board with two pins joined.

A rig gives the port and the world's hand on it. A further implementation is one more class here and one more name in
the list of its port; the suites do not change.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import time
import tty
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from contract_fakes import FakeGpio, FakeLane, FakeLoops, FakeReader, FakeRelays
from modbus_peers import Tables, TcpPeer, honest, tcp_peer
from pigpio_peer import PigpioPeer
from plc_peer import PlcPeer

from drivers.bollard import LanePlc
from drivers.gpio import GpioBank
from drivers.modbus_bus import ModbusBus
from drivers.panic import LoopBoard
from drivers.ports import BadCard, CardFrame, GpioPort, LanePort, LoopPort, ModeText, ReaderPort, RelayPort
from drivers.reader import UartReader
from drivers.relay import RelayBoard
from hardware import site

MILLIVOLTS = {"normal": 5000, "pressed": 3333, "cut": 10000, "shorted": 0}


class Mortal(Protocol):
    async def dead(self, on: bool) -> None:
        """The device stops answering, or answers again."""
        ...


class LaneRig(Mortal, Protocol):
    @property
    def port(self) -> LanePort: ...

    @property
    def bollard(self) -> str: ...

    async def occupy(self, on: bool) -> None:
        """A vehicle on loop1, or none."""
        ...

    async def mode(self, mode: ModeText) -> None: ...


class RelayRig(Mortal, Protocol):
    @property
    def port(self) -> RelayPort: ...


class LoopRig(Mortal, Protocol):
    @property
    def port(self) -> LoopPort: ...

    async def line(self, state: str) -> None:
        """What the loop on channel 0 does: normal, pressed, cut or shorted."""
        ...


class GpioRig(Mortal, Protocol):
    @property
    def port(self) -> GpioPort: ...

    @property
    def pins(self) -> tuple[int, int]:
        """An input that the world drives, and an output."""
        ...

    async def close_contact(self, closed: bool) -> None: ...


class ReaderRig(Protocol):
    @property
    def port(self) -> ReaderPort: ...

    async def swipe(self, digits: str) -> None: ...

    async def garble(self, digits: str) -> None: ...

    async def unplug(self) -> None: ...


# ── fakes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class FakeLaneRig:
    def __init__(self) -> None:
        self.port = FakeLane()
        self.bollard = "main-1"

    async def occupy(self, on: bool) -> None:
        self.port.sensors["loop1"] = "occupied" if on else "clear"

    async def mode(self, mode: ModeText) -> None:
        self.port.mode = mode

    async def dead(self, on: bool) -> None:
        self.port.dead = on


class FakeRelayRig:
    def __init__(self) -> None:
        self.port = FakeRelays()

    async def dead(self, on: bool) -> None:
        self.port.dead = on


class FakeLoopRig:
    def __init__(self) -> None:
        self.port = FakeLoops()

    async def line(self, state: str) -> None:
        self.port.lines[0] = state  # type: ignore[call-overload]

    async def dead(self, on: bool) -> None:
        self.port.dead = on


class FakeGpioRig:
    pins = (17, 16)

    def __init__(self) -> None:
        self.port = FakeGpio((17,), {16: False})

    async def close_contact(self, closed: bool) -> None:
        self.port.drive(17, not closed)

    async def dead(self, on: bool) -> None:
        self.port.dead = on


class FakeReaderRig:
    def __init__(self) -> None:
        self.port = FakeReader()

    async def swipe(self, digits: str) -> None:
        self.port.frames.put_nowait(CardFrame(f"uart-125k:{digits}", time.monotonic()))

    async def garble(self, digits: str) -> None:
        self.port.frames.put_nowait(BadCard("garbled", time.monotonic()))

    async def unplug(self) -> None:
        self.port.unplug()


# ── our drivers on scripted peers ───────────────────────────────────────────────────────────────────────────────────

LANE = site.Lane(
    id="main",
    bus="plc",
    unit=1,
    profile="reference-plc",
    bollard=(site.Bollard(id="main-1", index=0),),
    sensors=site.Sensors(loop1="plc", loop2="plc"),
)


class PeerLaneRig:
    def __init__(self, bus: ModbusBus, plc: PlcPeer) -> None:
        self.port = LanePlc(LANE, bus)
        self.bollard = "main-1"
        self._plc = plc

    async def occupy(self, on: bool) -> None:
        self._plc.occupied = {"loop1"} if on else set()

    async def mode(self, mode: ModeText) -> None:
        self._plc.estop = mode == "estop"
        if mode != "estop":
            self._plc.mode = mode

    async def dead(self, on: bool) -> None:
        self._plc.alive = not on


class PeerRelayRig:
    def __init__(self, bus: ModbusBus, peer: TcpPeer) -> None:
        self.port = RelayBoard(site.RelayBoard(name="relays", bus="plc", unit=1, profile="waveshare-8ch"), bus)
        self._peer = peer
        self._script = peer.script

    async def dead(self, on: bool) -> None:
        self._peer.script = (lambda heard: []) if on else self._script


class PeerLoopRig:
    def __init__(self, bus: ModbusBus, peer: TcpPeer, tables: Tables) -> None:
        self.port = LoopBoard(site.AnalogBoard(name="loops", bus="plc", unit=1, profile="eol-4"), bus)
        self._peer = peer
        self._script = peer.script
        self._tables = tables
        tables.inputs |= dict.fromkeys(range(4), MILLIVOLTS["normal"])

    async def line(self, state: str) -> None:
        self._tables.inputs[0] = MILLIVOLTS[state]

    async def dead(self, on: bool) -> None:
        self._peer.script = (lambda heard: []) if on else self._script


class PeerGpioRig:
    pins = (17, 16)

    def __init__(self, port: GpioBank, daemon: PigpioPeer) -> None:
        self.port = port
        self._daemon = daemon

    async def close_contact(self, closed: bool) -> None:
        self._daemon.drive(17, not closed)

    async def dead(self, on: bool) -> None:
        if on:
            self._daemon.die()


class PeerReaderRig:
    def __init__(self, port: UartReader, ends: list[int]) -> None:
        self.port = port
        self._ends = ends

    async def swipe(self, digits: str) -> None:
        os.write(self._ends[0], self._frame(digits, 0))

    async def garble(self, digits: str) -> None:
        os.write(self._ends[0], self._frame(digits, 1))

    @staticmethod
    def _frame(digits: str, wrong: int) -> bytes:
        check = wrong
        for byte in bytes.fromhex(digits):
            check ^= byte
        return b"\x02" + f"{digits}{check:02X}".encode() + b"\x03"

    async def unplug(self) -> None:
        while self._ends:
            os.close(self._ends.pop())


# ── our drivers on the simulator ────────────────────────────────────────────────────────────────────────────────────


class Simulator:
    """A running simulator process of the demo's site, by its verbs. `site` names its real ports and ptys."""

    def __init__(self, http: str, gate: site.Site) -> None:
        self._http = http
        self.site = gate

    async def do(self, verb: str, **fields: Any) -> None:
        """Raises AssertionError with the simulator's own words when it refuses."""
        await asyncio.to_thread(self._post, verb, fields)

    def _post(self, verb: str, fields: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self._http}/{verb}", json.dumps(fields).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            told = json.load(answer)
        assert told["ok"], told

    async def fault(self, device: str, kind: str, on: bool) -> None:
        if on:
            await self.do("fault", device=device, kind=kind)
        else:
            await self.do("heal", device=device, kind=kind)

    def bus(self, name: str) -> ModbusBus:
        [found] = [bus for bus in self.site.bus if bus.name == name]
        return ModbusBus(found, folder=self.site.folder)


class SimLaneRig:
    bollard = "main-1"

    def __init__(self, sim: Simulator, bus: ModbusBus) -> None:
        self.port = LanePlc(sim.site.lane[0], bus)
        self._sim = sim

    async def occupy(self, on: bool) -> None:
        await self._sim.do("vehicle", lane="main", at="on_loop" if on else "away")

    async def mode(self, mode: ModeText) -> None:
        await self._sim.do("mode", lane="main", mode=mode)

    async def dead(self, on: bool) -> None:
        await self._sim.fault("lane:main", "dead", on)


class SimRelayRig:
    def __init__(self, sim: Simulator, bus: ModbusBus) -> None:
        self.port = RelayBoard(sim.site.relay_board[0], bus)
        self._sim = sim

    async def dead(self, on: bool) -> None:
        await self._sim.fault("board:relays", "dead", on)


class SimLoopRig:
    def __init__(self, sim: Simulator, bus: ModbusBus) -> None:
        self.port = LoopBoard(sim.site.analog_board[0], bus)
        self._sim = sim

    async def line(self, state: str) -> None:
        if state == "pressed":
            await self._sim.do("press", button="office", hold=True)
        else:
            await self._sim.do("line", button="office", state=state)

    async def dead(self, on: bool) -> None:
        await self._sim.fault("board:loops", "dead", on)


class SimGpioRig:
    pins = (24, 16)  # the panic-reset key and the wicket's lock of the demo's site

    def __init__(self, sim: Simulator, port: GpioBank) -> None:
        self.port = port
        self._sim = sim

    async def close_contact(self, closed: bool) -> None:
        await self._sim.do("key", key="panic-reset", position="on" if closed else "off")

    async def dead(self, on: bool) -> None:
        await self._sim.fault("gpio", "dead", on)


class SimReaderRig:
    def __init__(self, sim: Simulator, port: UartReader) -> None:
        self.port = port
        self._sim = sim

    async def swipe(self, digits: str) -> None:
        await self._sim.do("swipe", reader="guard", card=digits)

    async def garble(self, digits: str) -> None:
        await self._sim.fault("reader:guard", "bad_check", True)
        await self.swipe(digits)
        await self._sim.fault("reader:guard", "bad_check", False)

    async def unplug(self) -> None:
        await self._sim.fault("reader:guard", "unplugged", True)


# ── a real board ────────────────────────────────────────────────────────────────────────────────────────────────────


class JoinedPinsRig:
    """A Raspberry Pi with two pins joined: MENWEI_RIG="pi-4b:23:24" drives line 23 and listens on 24."""

    def __init__(self, port: GpioBank, drive: int, listen: int) -> None:
        self.port = port
        self.pins = (listen, drive)

    async def close_contact(self, closed: bool) -> None:
        await self.port.write(self.pins[1], not closed)

    async def dead(self, on: bool) -> None:
        if on:
            await self.port.close()


# ── opening them ────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def lane_rig(name: str, sim: Simulator | None) -> AsyncIterator[LaneRig]:
    if name == "fake":
        yield FakeLaneRig()
    elif name == "peer":
        plc = PlcPeer()
        async with tcp_peer(plc, timeout_s=0.2) as peer, _started(ModbusBus(peer.bus)) as bus:
            yield PeerLaneRig(bus, plc)
    else:
        assert sim is not None
        async with _started(sim.bus("plc")) as bus:
            yield SimLaneRig(sim, bus)


@contextlib.asynccontextmanager
async def relay_rig(name: str, sim: Simulator | None) -> AsyncIterator[RelayRig]:
    if name == "fake":
        yield FakeRelayRig()
    elif name == "peer":
        async with tcp_peer(honest({1: Tables()}), timeout_s=0.2) as peer, _started(ModbusBus(peer.bus)) as bus:
            yield PeerRelayRig(bus, peer)
    else:
        assert sim is not None
        async with _started(sim.bus("cabinet")) as bus:
            yield SimRelayRig(sim, bus)


@contextlib.asynccontextmanager
async def loop_rig(name: str, sim: Simulator | None) -> AsyncIterator[LoopRig]:
    if name == "fake":
        yield FakeLoopRig()
    elif name == "peer":
        tables = Tables()
        async with tcp_peer(honest({1: tables}), timeout_s=0.2) as peer, _started(ModbusBus(peer.bus)) as bus:
            yield PeerLoopRig(bus, peer, tables)
    else:
        assert sim is not None
        async with _started(sim.bus("cabinet")) as bus:
            yield SimLoopRig(sim, bus)


@contextlib.asynccontextmanager
async def gpio_rig(name: str, sim: Simulator | None) -> AsyncIterator[GpioRig]:
    daemon: PigpioPeer | None = None
    if name == "fake":
        yield FakeGpioRig()
        return
    if name == "peer":
        daemon = PigpioPeer()
        board = site.Board(model="pi-zero-2w", gpio="pigpio", gpio_address=daemon.address)
        bank = await GpioBank.open(board, (17,), {16: False})
        rig: GpioRig = PeerGpioRig(bank, daemon)
    elif name == "sim":
        assert sim is not None
        bank = await GpioBank.open(sim.site.board, (24,), {16: False})
        rig = SimGpioRig(sim, bank)
    else:
        model, drive, listen = os.environ["MENWEI_RIG"].split(":")
        bank = await GpioBank.open(site.Board(model=model), (int(listen),), {int(drive): True})
        rig = JoinedPinsRig(bank, int(drive), int(listen))
    try:
        yield rig
    finally:
        await bank.close()
        if daemon is not None:
            daemon.die()


@contextlib.asynccontextmanager
async def reader_rig(name: str, sim: Simulator | None, folder: Path) -> AsyncIterator[ReaderRig]:
    if name == "fake":
        yield FakeReaderRig()
        return
    rig: PeerReaderRig | SimReaderRig
    if name == "peer":
        ends = list(pty.openpty())
        for end in ends:
            tty.setraw(end)
        config = site.Reader(id="guard", profile="uart-125k", device=os.ttyname(ends[1]), direction="presence")
        rig = PeerReaderRig(await UartReader.open(config, folder=str(folder)), ends)
    else:
        assert sim is not None
        [config] = [reader for reader in sim.site.reader if reader.id == "guard"]
        rig = SimReaderRig(sim, await UartReader.open(config, folder=sim.site.folder))
    try:
        yield rig
    finally:
        await rig.port.close()
        if isinstance(rig, PeerReaderRig):
            await rig.unplug()


@contextlib.asynccontextmanager
async def _started(bus: ModbusBus) -> AsyncIterator[ModbusBus]:
    await bus.start()
    try:
        for _ in range(500):  # a busy machine lets the first try run out
            if bus.up:
                break
            await asyncio.sleep(0.02)
        yield bus
    finally:
        await bus.close()
