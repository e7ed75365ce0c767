"""A lane's PLC, bit by bit against a peer written from the register map, and the CAME board that is only watched."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from modbus_peers import Tables, TcpPeer, honest, tcp_peer
from plc_peer import PlcPeer

from drivers.bollard import ECHO_S, Heartbeat, LanePlc
from drivers.errors import Misuse, NoAnswer, Refused, TokenExpired
from drivers.modbus_bus import ModbusBus
from drivers.ports import BollardState, HoldText, LightText
from hardware import site

PLC = site.Sensors(loop1="plc", loop2="plc", beam="plc", pressure="plc")
LANE = site.Lane(
    id="main",
    bus="plc",
    unit=1,
    profile="reference-plc",
    bollard=(site.Bollard(id="main-1", index=0), site.Bollard(id="main-2", index=1)),
    sensors=PLC,
)


@contextlib.asynccontextmanager
async def lane_on(plc: PlcPeer, lane: site.Lane = LANE) -> AsyncIterator[tuple[LanePlc, TcpPeer, ModbusBus]]:
    async with tcp_peer(plc, timeout_s=0.1) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        try:
            yield LanePlc(lane, bus), peer, bus
        finally:
            await bus.close()


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_lane_is_one_read_but_for_the_cycle_counts() -> None:
    plc = PlcPeer()
    plc.blocks[1].cycles = 0x0001_86A0
    async with lane_on(plc) as (lane, peer, _):
        first = await lane.read()
        assert [heard.address for heard in peer.heard] == [16, 0], "counts once a minute, then the lane in one go"
        assert [first.bollards[name].cycles for name in ("main-1", "main-2")] == [0, 100_000]
        before = time.monotonic()
        state = await lane.read()
        assert len(peer.heard) == 3
        assert before <= state.read_at <= peer.heard[-1].at, "dated when it was asked for"


async def test_every_bit_of_a_bollard() -> None:
    plc = PlcPeer()
    plc.blocks[0].up, plc.blocks[0].down = True, False
    plc.blocks[1].down, plc.blocks[1].moving, plc.blocks[1].efo = False, True, True
    plc.blocks[1].fault, plc.blocks[1].token = 9, 200
    async with lane_on(plc) as (lane, _, _):
        bollards = (await lane.read()).bollards
        assert bollards["main-1"] == BollardState(True, False, False, 0, False, 0, 0)
        assert bollards["main-2"] == BollardState(False, False, True, 9, True, 200, 0)


@pytest.mark.parametrize("mode", ["unknown", "remote", "local", "hand"])
async def test_modes(mode: str) -> None:
    plc = PlcPeer()
    plc.mode = mode
    async with lane_on(plc) as (lane, _, _):
        assert (await lane.read()).mode == mode
        plc.estop, plc.fire_key = True, True
        state = await lane.read()
        assert (state.mode, state.estop, state.fire_key) == ("estop", True, True)


@pytest.mark.parametrize("name", ["loop1", "loop2", "beam", "pressure"])
async def test_each_sensor_alone(name: str) -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, _, _):
        assert set((await lane.read()).sensors.values()) == {"clear"}
        plc.occupied = {name}
        assert [n for n, what in (await lane.read()).sensors.items() if what == "occupied"] == [name]
        plc.faulty = {name}
        sensors = (await lane.read()).sensors
        assert sensors[name] == "faulty", "a faulty sensor is neither clear nor merely occupied"
        assert [what for n, what in sensors.items() if n != name] == ["clear"] * 3


async def test_only_sensors_that_end_on_the_plc_are_told() -> None:
    lane = msgspec.structs.replace(LANE, sensors=site.Sensors(loop1="plc", beam="gpio:5"))
    async with lane_on(PlcPeer(), lane) as (port, _, _):
        assert set((await port.read()).sensors) == {"loop1"}


async def test_a_plc_without_cycle_counts_keeps_its_lane() -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, peer, _):
        peer.script = lambda heard: [(0, heard.reply(b"\x84\x02"))] if heard.address == 16 else plc(heard)
        assert (await lane.read()).bollards["main-1"].cycles is None


async def test_silence_is_no_reading() -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, _, _):
        await lane.read()
        plc.alive = False
        with pytest.raises(NoAnswer):
            await lane.read()


# ── motion ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("motion", "code"), [("raise", 1), ("lower", 2), ("efo", 3)])
async def test_a_token_goes_out_once_and_shows_in_the_next_reading(motion: str, code: int) -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, peer, _):
        now = time.monotonic()
        acked_at = await lane.request("main-2", motion, 77, now, 2.0)  # type: ignore[arg-type]
        assert now < acked_at <= time.monotonic()
        assert [heard.pdu.hex() for heard in peer.heard] == [f"0600094d0{code}"]
        assert plc.blocks[1].moves == [(77, code)]
        assert plc.blocks[0].moves == []
        assert (await lane.read()).bollards["main-2"].token == 77


async def test_an_old_token_is_not_sent() -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, peer, _):
        with pytest.raises(TokenExpired):
            await lane.request("main-1", "raise", 5, time.monotonic() - 2.1, 2.0)
        assert peer.heard == []


async def test_a_token_without_an_answer_is_not_sent_again() -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, peer, _):
        await lane.read()
        peer.heard.clear()
        plc.alive = False
        with pytest.raises(NoAnswer):
            await lane.request("main-1", "efo", 5, time.monotonic(), 2.0)
        plc.alive = True
        await asyncio.sleep(0.3)
        assert len(peer.heard) == 1
        assert plc.blocks[0].moves == []


async def test_a_plc_that_refuses_the_address() -> None:
    plc = PlcPeer(bollards=1)
    async with lane_on(plc) as (lane, _, _):
        with pytest.raises(Refused, match="no such address") as caught:
            await lane.request("main-2", "raise", 5, time.monotonic(), 2.0)
        assert caught.value.code == 2


@pytest.mark.parametrize(("bollard", "token"), [("main-9", 5), ("main-1", 0), ("main-1", 256)])
async def test_misuse_of_a_token(bollard: str, token: int) -> None:
    async with lane_on(PlcPeer()) as (lane, peer, _):
        with pytest.raises(Misuse):
            await lane.request(bollard, "raise", token, time.monotonic(), 2.0)
        assert peer.heard == []


async def test_an_efo_overtakes_a_routine_token_and_polls() -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, peer, bus):
        await lane.read()
        peer.heard.clear()
        peer.script = lambda heard: [(0.01, answer) for _, answer in plc(heard)]
        now = time.monotonic()
        await asyncio.gather(
            bus.read_input(1, 0, 1),
            lane.read(),
            lane.show("red", True),
            lane.request("main-1", "lower", 1, now, 2.0),
            lane.request("main-2", "efo", 2, now, 2.0),
            lane.hold("main-1", "stop"),
        )
        assert [(heard.function, heard.address) for heard in peer.heard] == [
            (4, 0), (6, 9), (6, 24), (6, 8), (6, 1), (4, 0),
        ]  # fmt: skip


# ── levels ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("hold", "value"), [("stop", 1), ("lower", 2), ("none", 0)])
async def test_holds(hold: HoldText, value: int) -> None:
    plc = PlcPeer()
    plc.tables.holding[25] = 9
    async with lane_on(plc) as (lane, peer, _):
        await lane.hold("main-2", hold)
        assert plc.hold(1) == value
        assert peer.heard[0].pdu == bytes((6, 0, 25, 0, value))


@pytest.mark.parametrize(
    ("light", "warning", "value"), [("off", False, 0), ("red", False, 1), ("green", False, 2), ("red", True, 5)]
)
async def test_lights_and_warning_are_one_register(light: LightText, warning: bool, value: int) -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, _, _):
        await lane.show(light, warning)
        assert plc.outputs == value
        state = await lane.read()
        assert state.warning_on is warning
        assert state.extra == {"red_on": value & 1, "green_on": value >> 1 & 1}


# ── heartbeat ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_heartbeat_is_fresh_only_when_our_own_count_comes_back() -> None:
    plc = PlcPeer()
    async with lane_on(plc) as (lane, peer, _):
        assert not (await lane.read()).heartbeat_ok, "nothing was beaten yet"
        await lane.beat()
        assert (await lane.read()).heartbeat_ok
        first = plc.tables.holding[0]
        await lane.beat()
        assert plc.tables.holding[0] == first % 0xFFFF + 1
        plc.tables.inputs[1] = first + 1000  # its own free-running counter is not an echo
        assert not (await lane.read()).heartbeat_ok
        assert peer.heard[-1].function == 4


async def test_a_plc_whose_program_stopped_goes_stale_in_two_seconds() -> None:
    """It still answers: the communication card is alive, the program behind it is not."""
    plc, now = PlcPeer(), [100.0]
    async with tcp_peer(plc) as peer:
        bus = ModbusBus(peer.bus, clock=lambda: now[0])
        await bus.start()
        lane = LanePlc(LANE, bus, clock=lambda: now[0])
        await lane.beat()
        plc.echoes = False
        fresh = []
        for _ in range(7):
            fresh.append((await lane.read()).heartbeat_ok)
            now[0] += 0.5
            await lane.beat()
        assert fresh == [True] * 5 + [False] * 2  # 0, 0.5, 1, 1.5 and 2.0 s old, then too old
        plc.echoes = True
        await lane.beat()
        assert (await lane.read()).heartbeat_ok
        await bus.close()


def test_the_heartbeat_never_writes_zero_and_wraps() -> None:
    heart = Heartbeat(0xFFFE)
    assert [heart.next() for _ in range(3)] == [0xFFFF, 1, 2]
    heart.wrote(2, 10.0)
    assert heart.ok(2, 10.0 + ECHO_S)
    assert not heart.ok(2, 10.0 + ECHO_S + 0.001)
    assert not heart.ok(0, 10.0)


# ── lanes that are only watched ─────────────────────────────────────────────────────────────────────────────────────

CAME = site.Lane(
    id="service",
    bus="plc",
    unit=7,
    profile="came-zlb30b",
    bollard=(site.Bollard(id="service-1", index=0),),
    monitor_only=True,
)


@contextlib.asynccontextmanager
async def came(lane: site.Lane = CAME) -> AsyncIterator[tuple[LanePlc, TcpPeer, Tables]]:
    tables = Tables()
    async with tcp_peer(honest({7: tables})) as peer:
        bus = ModbusBus(peer.bus)
        await bus.start()
        try:
            yield LanePlc(lane, bus), peer, tables
        finally:
            await bus.close()


@pytest.mark.parametrize(
    ("state", "up", "down", "moving", "fault"),
    [
        (17, True, False, False, 0),
        (16, False, True, False, 0),
        (32, False, False, True, 0),
        (33, False, False, True, 0),
        (34, False, False, True, 0),
        (0, False, False, False, 256),
        (3, False, False, False, 259),
        (18, False, False, False, 274),
        (19, False, False, False, 275),
        (99, False, False, False, 355),
    ],
)
async def test_states_of_the_came_board(state: int, up: bool, down: bool, moving: bool, fault: int) -> None:
    """40101 is address 100. "Open" is a lowered bollard. Whatever is not a known state is a fault."""
    async with came() as (lane, peer, tables):
        tables.holding |= {100: state, 104: 1, 105: 2, 109: 41}
        reading = await lane.read()
        assert reading.bollards["service-1"] == BollardState(up, down, moving, fault, None, None, 65538)
        assert (reading.mode, reading.warning_on, reading.heartbeat_ok) == ("unknown", None, True)
        assert reading.extra == {"state": state, "board_c": 41}
        assert peer.heard[0].pdu == bytes.fromhex("03 00 64 00 0A")


async def test_the_came_board_s_own_error_is_the_fault() -> None:
    async with came() as (lane, _, tables):
        tables.holding |= {100: 17, 103: 5}
        assert (await lane.read()).bollards["service-1"].fault == 5


async def test_a_watched_lane_is_stopped_and_never_moved() -> None:
    async with came() as (lane, peer, _):
        for motion in ("raise", "lower", "efo"):
            with pytest.raises(Misuse, match="watched only"):
                await lane.request("service-1", motion, 1, time.monotonic(), 2.0)
        with pytest.raises(Misuse, match="never lowered"):
            await lane.hold("service-1", "lower")
        with pytest.raises(Misuse, match="no warning lamp"):
            await lane.show("red", True)
        await lane.show("red", False)
        await lane.beat()
        await lane.hold("service-1", "none")
        assert peer.heard == []
        await lane.hold("service-1", "stop")
        assert [heard.pdu for heard in peer.heard] == [bytes.fromhex("05 00 00 FF 00")]


async def test_a_watched_reference_lane_is_never_moved_either() -> None:
    lane = msgspec.structs.replace(LANE, monitor_only=True)
    async with lane_on(PlcPeer(), lane) as (port, peer, _):
        with pytest.raises(Misuse, match="watched only"):
            await port.request("main-1", "lower", 1, time.monotonic(), 2.0)
        with pytest.raises(Misuse, match="never lowered"):
            await port.hold("main-1", "lower")
        assert peer.heard == []


async def test_a_came_lane_with_its_own_sensors_may_be_moved_but_not_stepped() -> None:
    """Coils 5 (step) and 6 (sequential), addresses 4 and 5, do something else each time: never written."""
    async with came(msgspec.structs.replace(CAME, monitor_only=False)) as (lane, peer, _):
        await lane.request("service-1", "lower", 1, time.monotonic(), 2.0)
        await lane.request("service-1", "raise", 2, time.monotonic(), 2.0)
        await lane.hold("service-1", "lower")
        with pytest.raises(Misuse, match="knows no 'efo'"):
            await lane.request("service-1", "efo", 3, time.monotonic(), 2.0)
        with pytest.raises(TokenExpired):
            await lane.request("service-1", "lower", 4, time.monotonic() - 3, 2.0)
        assert [heard.address for heard in peer.heard] == [1, 3, 1]
        assert not {4, 5} & {heard.address for heard in peer.heard}
