"""`LanePort`: what every lane keeps, whoever stands behind it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from contract_rigs import LaneRig, Simulator, lane_rig
from patience import within

from drivers.errors import DriverError, Misuse, NoAnswer, TokenExpired
from drivers.ports import LaneState


@pytest.fixture(params=["fake", "peer", "sim"])
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(implementation: str, sim: Simulator | None) -> AsyncIterator[LaneRig]:
    async with lane_rig(implementation, sim) as made:
        yield made


async def reading(rig: LaneRig, wanted: object, of: object = None, within_s: float = 3.0) -> LaneState:
    """The first reading of which `wanted(state)` holds: a real PLC takes a scan to notice."""
    async with within(within_s):
        while True:
            with contextlib.suppress(NoAnswer):  # a busy machine may cost a poll
                state = await rig.port.read()
                if wanted(state):  # type: ignore[operator]
                    return state
            await asyncio.sleep(0.02)


async def test_a_reading_is_fresh_and_whole(rig: LaneRig) -> None:
    before = time.monotonic()
    state = await rig.port.read()
    assert before <= state.read_at <= time.monotonic()
    assert rig.bollard in state.bollards
    bollard = state.bollards[rig.bollard]
    assert (bollard.up, bollard.down) == (False, True), "the rig starts with its bollards down"
    assert state.sensors["loop1"] == "clear"


async def test_a_vehicle_shows_and_goes(rig: LaneRig) -> None:
    await rig.occupy(True)
    await reading(rig, lambda state: state.sensors["loop1"] == "occupied")
    await rig.occupy(False)
    await reading(rig, lambda state: state.sensors["loop1"] == "clear")


@pytest.mark.parametrize("mode", ["local", "hand", "estop", "remote"])
async def test_the_mode_is_the_selector_s(rig: LaneRig, mode: str) -> None:
    await rig.mode(mode)  # type: ignore[arg-type]
    await reading(rig, lambda state: state.mode == mode)
    await rig.mode("remote")
    await reading(rig, lambda state: state.mode == "remote")


async def test_a_token_is_confirmed_and_shows_in_a_reading(rig: LaneRig) -> None:
    await rig.port.beat()
    now = time.monotonic()
    token = int(now * 10) % 255 + 1
    acked_at = await rig.port.request(rig.bollard, "lower", token, now, 2.0)
    assert now <= acked_at <= time.monotonic()
    await reading(rig, lambda state: state.bollards[rig.bollard].token == token)


async def test_an_old_token_never_shows(rig: LaneRig) -> None:
    before = (await rig.port.read()).bollards[rig.bollard].token
    token = (before or 0) % 255 + 1
    with pytest.raises(TokenExpired):
        await rig.port.request(rig.bollard, "lower", token, time.monotonic() - 2.5, 2.0)
    await asyncio.sleep(0.1)
    assert (await rig.port.read()).bollards[rig.bollard].token == before


@pytest.mark.parametrize(("bollard", "token"), [("no-such", 5), (None, 0), (None, 256)])
async def test_misuse(rig: LaneRig, bollard: str | None, token: int) -> None:
    with pytest.raises(Misuse):
        await rig.port.request(bollard or rig.bollard, "raise", token, time.monotonic(), 2.0)
    with pytest.raises(Misuse):
        await rig.port.hold("no-such", "stop")
    await rig.port.read()


@pytest.mark.parametrize("hold", ["stop", "lower", "none"])
async def test_holds_are_taken_as_often_as_they_come(rig: LaneRig, hold: str) -> None:
    for _ in range(3):
        await rig.port.hold(rig.bollard, hold)  # type: ignore[arg-type]
    await rig.port.hold(rig.bollard, "none")


async def test_the_warning_is_read_back(rig: LaneRig) -> None:
    for on in (True, False):
        await rig.port.show("red", on)
        await reading(rig, lambda state, on=on: state.warning_on is on)


async def test_the_heartbeat_is_ok_once_beaten_and_not_for_ever(rig: LaneRig) -> None:
    await rig.port.beat()
    await reading(rig, lambda state: state.heartbeat_ok)
    await asyncio.sleep(2.1)
    assert not (await rig.port.read()).heartbeat_ok


async def test_a_dead_plc_is_told_within_its_bound_and_found_again(rig: LaneRig) -> None:
    await rig.port.read()
    await rig.dead(True)
    for call in (rig.port.read, rig.port.beat, lambda: rig.port.hold(rig.bollard, "stop")):
        with pytest.raises(DriverError) as caught:
            async with within(1.0):
                await call()
        assert not isinstance(caught.value, Misuse)
    await rig.dead(False)
    async with within(5):
        while True:
            with contextlib.suppress(DriverError):
                await rig.port.read()
                return
            await asyncio.sleep(0.05)
