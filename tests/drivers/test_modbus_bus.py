"""The bus as a whole: who goes first, what a dead unit costs, how links come back, what a cancelled call leaves."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise

import pytest
import virtual_time
from bus_helpers import bus_on, wait_for_answer
from modbus_peers import Heard, RtuPeer, Say, Script, Tables, honest, rtu_peer, tcp_peer
from patience import within

from drivers.errors import DriverError, NoAnswer, Refused, TokenExpired
from drivers.modbus_bus import Lane, ModbusBus

TIMEOUT_S = 0.08


@contextlib.asynccontextmanager
async def paced_line(script: Script, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[RtuPeer, ModbusBus]]:
    """A 9600-baud line in virtual time: every frame takes what it takes, and nothing else takes anything."""
    async with rtu_peer(script, timeout_s=0.2, paced=True, memory=True) as peer:
        monkeypatch.setattr("serial.serial_for_url", peer.serial)
        async with bus_on(peer, asyncio.get_running_loop().time) as bus:
            yield peer, bus


async def ended(task: asyncio.Task[object]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# ── who goes first ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_most_urgent_goes_first_and_polls_in_their_order() -> None:
    async with tcp_peer(honest({1: Tables()}, delay_s=0.01)) as peer, bus_on(peer) as bus:
        calls = [bus.read_input(1, 100, 1)]  # in flight: nobody overtakes that
        calls += [bus.read_input(1, 101 + n, 1) for n in range(2)]
        writes = [
            bus.write_register(1, 200, 1, lane=Lane.LEVEL),
            bus.write_register(1, 201, 1, lane=Lane.MOTION),
            bus.write_register(1, 202, 1, lane=Lane.EMERGENCY),
            bus.write_register(1, 203, 1, lane=Lane.EMERGENCY),
        ]
        await asyncio.gather(*calls, *writes)
        assert [heard.address for heard in peer.heard] == [100, 202, 203, 201, 200, 101, 102]


async def test_an_idle_bus_is_taken_without_a_turn_of_the_loop() -> None:
    """The request is on the wire before anything else of this process runs."""
    async with tcp_peer(honest({1: Tables()})) as peer, bus_on(peer) as bus:
        turns: list[int] = []
        call = bus.write_register(1, 8, 1, lane=Lane.EMERGENCY)
        asyncio.get_running_loop().call_soon(turns.append, 1)
        sent_before = bus.counts(1).sent
        call.send(None)  # run up to the first real wait
        assert (bus.counts(1).sent, turns) == (sent_before + 1, [])
        call.close()


def test_a_9600_baud_line_with_polls_delays_an_emergency_by_one_poll_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """29 ms for the poll under way and 24 ms for the write itself, silences included."""

    async def main() -> None:
        rng, loop = random.Random(20), asyncio.get_running_loop()
        tables = {1: Tables(), 2: Tables()}
        async with paced_line(honest(tables), monkeypatch) as (_, bus):

            async def poll(unit: int) -> None:
                while True:
                    await bus.read_input(unit, 0, 4)

            polls = [asyncio.create_task(poll(unit)) for unit in tables]
            await asyncio.sleep(0.1)
            took: list[float] = []
            for n in range(200):
                await asyncio.sleep(rng.uniform(0.0, 0.06))
                asked_at = loop.time()
                took.append(await bus.write_register(1, 8, n + 1, lane=Lane.EMERGENCY) - asked_at)
            for task in polls:
                await ended(task)
            took.sort()
            print(f"seed 20: p50 {took[100] * 1000:.1f} ms, worst {took[-1] * 1000:.1f} ms")
            assert took[198] <= 0.060

    virtual_time.run(main())


async def test_frames_on_a_serial_line_keep_their_distance() -> None:
    """3.5 characters between an answer's end and the next request, or the devices take them for one frame."""
    spoke: list[float] = []

    def script(heard: Heard) -> Iterable[Say]:
        yield 0, heard.reply(Tables().answer(heard.pdu))
        spoke.append(time.monotonic())

    async with rtu_peer(script) as peer, bus_on(peer) as bus:
        await asyncio.gather(*(bus.read_input(1, 0, 1) for _ in range(5)))
        gaps = [heard.at - end for end, heard in zip(spoke, peer.heard[1:], strict=False)]
        assert min(gaps) >= 3.5 * 10 / 9600 * 0.95, gaps


# ── motion tokens ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_too_old_for_its_turn_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with paced_line(honest({1: Tables()}), monkeypatch) as (peer, bus):
            poll = asyncio.create_task(bus.read_input(1, 0, 1))
            await asyncio.sleep(0)
            fresh, stale = loop.time() + 5, loop.time() + 0.01
            results = await asyncio.gather(
                bus.write_register(1, 8, 0x0101, lane=Lane.MOTION, not_after=stale),
                bus.write_register(1, 9, 0x0201, lane=Lane.MOTION, not_after=fresh),
                return_exceptions=True,
            )
            await poll
            assert isinstance(results[0], TokenExpired)
            assert isinstance(results[1], float)
            assert [heard.address for heard in peer.heard] == [0, 9]

    virtual_time.run(main())


# ── a dead unit ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dies_at", [0.0, 2.0], ids=["dead from the start", "dies later"])
def test_a_dead_unit_delays_nobody(monkeypatch: pytest.MonkeyPatch, dies_at: float) -> None:
    """9600 baud, default time-out: unit 1's reading is never older than 300 ms, an emergency takes 120 ms (p99)."""

    async def main() -> None:
        rng, loop = random.Random(21), asyncio.get_running_loop()
        both = honest({1: Tables(), 2: Tables()})

        def script(heard: Heard) -> Iterable[Say]:
            return both(heard) if heard.unit == 1 or loop.time() < dies_at else ()

        async with paced_line(script, monkeypatch) as (peer, bus):
            readings: list[float] = []

            async def poll(unit: int) -> None:
                while True:
                    with contextlib.suppress(NoAnswer):
                        words = await bus.read_input(unit, 0, 4)
                        if unit == 1:
                            readings.append(words.asked_at)
                    await asyncio.sleep(0.1)

            tasks = [asyncio.create_task(poll(1)), asyncio.create_task(poll(2))]
            await asyncio.sleep(0.5)
            took = []
            for n in range(200):
                await asyncio.sleep(rng.uniform(0.03, 0.1))
                asked_at = loop.time()
                took.append(await bus.write_register(1, 8, n, lane=Lane.EMERGENCY) - asked_at)
            for task in tasks:
                await ended(task)
            oldest = max(later - earlier for earlier, later in pairwise(readings))
            probes = [heard.at for heard in peer.heard if heard.unit == 2 and heard.at > dies_at + 1]
            took.sort()
            print(f"seed 21: p50 {took[100] * 1000:.0f}, p99 {took[198] * 1000:.0f} ms; oldest {oldest * 1000:.0f} ms")
            assert oldest < 0.3
            assert took[198] < 0.120
            assert probes
            assert all(2.0 <= later - earlier <= 5.0 for earlier, later in pairwise(probes))

    virtual_time.run(main())


async def test_a_live_unit_that_dies_is_missed_within_a_second_and_found_again_within_five() -> None:
    answering = [True]
    tables = Tables(inputs={0: 3})

    def script(heard: Heard) -> Iterable[Say]:
        if answering[0]:
            yield 0, heard.reply(tables.answer(heard.pdu))

    async with rtu_peer(script, timeout_s=TIMEOUT_S, baud=38400) as peer, bus_on(peer) as bus:
        await bus.read_input(1, 0, 1)
        answering[0] = False
        async with within(1.0):
            for _ in range(2):  # the first is asked again once
                with pytest.raises(NoAnswer, match="no answer within"):
                    await bus.read_input(1, 0, 1)
            with pytest.raises(NoAnswer, match="silent for"):
                await bus.read_input(1, 0, 1)
        answering[0] = True
        async with within(5):
            while True:
                with contextlib.suppress(NoAnswer):
                    assert (await bus.read_input(1, 0, 1)).values == (3,)
                    break
                await asyncio.sleep(0.02)
        assert (await bus.read_input(1, 0, 1)).values == (3,), "once back it is asked as before"


async def test_one_lost_answer_is_asked_for_again_and_a_unit_that_loses_many_is_not_given_up() -> None:
    drop: list[bool] = []

    def script(heard: Heard) -> Iterable[Say]:
        if not drop.pop() if drop else True:
            yield 0, heard.reply(Tables().answer(heard.pdu))

    async with rtu_peer(script, timeout_s=TIMEOUT_S, baud=38400) as peer, bus_on(peer) as bus:
        await bus.read_input(1, 0, 1)
        drop += [True]
        await bus.read_input(1, 0, 1)
        assert len(peer.heard) == 3
        for _ in range(3):
            drop += [True, True]
            with pytest.raises(NoAnswer):
                await bus.read_input(1, 0, 1)
            await bus.read_input(1, 0, 1)


async def test_a_gateway_that_answers_for_a_silent_unit() -> None:
    """Exception 11 is no life of the unit: it is probed rarely like any silent one."""
    gateway: Script = lambda heard: [(0, heard.reply(bytes((heard.function | 0x80, 11))))]  # noqa: E731
    async with tcp_peer(gateway) as peer, bus_on(peer) as bus:
        with pytest.raises(Refused, match="gateway"):
            await bus.read_input(5, 0, 1)
        with pytest.raises(NoAnswer, match="silent for"):
            await bus.read_input(5, 0, 1)
        assert len(peer.heard) == 1


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_a_slow_unit_that_is_switched_on_later_is_found(kind: str) -> None:
    """It speaks only after its probe is over; that it speaks at all is noticed, and earns it patience."""
    on = [False]
    slow = honest({1: Tables(inputs={0: 4})}, delay_s=0.07)
    script: Script = lambda heard: slow(heard) if on[0] else []  # noqa: E731
    opened = tcp_peer(script, timeout_s=0.2) if kind == "tcp" else rtu_peer(script, timeout_s=0.2, baud=38400)
    async with opened as peer, bus_on(peer) as bus:
        with pytest.raises(NoAnswer):
            await bus.read_input(1, 0, 1)
        on[0] = True
        await wait_for_answer(bus, 4)
        await bus.read_input(1, 0, 1)


async def test_counts_tell_what_happened() -> None:
    refuse: Script = lambda heard: [(0, heard.reply(bytes((heard.function | 0x80, 2))))]  # noqa: E731
    async with tcp_peer(honest({1: Tables()}), timeout_s=TIMEOUT_S) as peer, bus_on(peer) as bus:
        await bus.read_input(1, 0, 1)
        peer.script = refuse
        with pytest.raises(Refused, match="address"):
            await bus.read_input(1, 0, 1)
        peer.script = lambda heard: []
        with pytest.raises(NoAnswer):
            await bus.read_input(1, 0, 1)
        counts = bus.counts(1)
        assert (counts.sent, counts.answered, counts.refused, counts.timeouts) == (4, 2, 1, 2)


# ── cancelled callers ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_a_cancelled_call_leaves_its_answer_to_nobody(kind: str) -> None:
    """The answer under way is waited for, so that the next call of the same shape gets its own."""
    tables = Tables(inputs={0: 1})

    def script(heard: Heard) -> Iterable[Say]:
        answer = tables.answer(heard.pdu)
        tables.inputs[0] += 1
        yield 0.03, heard.reply(answer)

    opened = tcp_peer(script) if kind == "tcp" else rtu_peer(script, baud=115200)
    async with opened as peer, bus_on(peer) as bus:
        for expected in (2, 4, 6):
            call = asyncio.create_task(bus.read_input(1, 0, 1))
            await asyncio.sleep(0.01)
            call.cancel()
            for _ in range(3):
                await asyncio.sleep(0)
            assert call.cancelled(), "the caller leaves in a few turns of the loop"
            assert (await bus.read_input(1, 0, 1)).values == (expected,)


async def test_cancelled_waiters_leave_the_queue() -> None:
    async with tcp_peer(honest({1: Tables()}, delay_s=0.02)) as peer, bus_on(peer) as bus:
        calls = [asyncio.create_task(bus.read_input(1, n, 1)) for n in range(6)]
        await asyncio.sleep(0.01)
        for call in calls[1:5]:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert [heard.address for heard in peer.heard] == [0, 5]


async def test_a_cancellation_in_the_turn_of_the_answer_is_not_swallowed() -> None:
    """Python 3.11's wait_for() returns the answer and forgets the cancellation; a shutdown would hang on it."""
    async with tcp_peer(honest({1: Tables()})) as peer, bus_on(peer) as bus:
        await bus.read_input(1, 0, 1)
        peer.script = lambda heard: []
        call = asyncio.create_task(bus.read_input(1, 0, 1))
        await asyncio.sleep(0.02)
        link = bus._link
        assert link is not None
        client = link._client
        assert client is not None
        client.ctx.data_received(peer.heard[-1].reply(b"\x04\x02\x00\x07"))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        peer.script = honest({1: Tables()})
        await bus.read_input(1, 0, 1)


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_calls_cancels_and_faults_leaves_a_working_bus(seed: int) -> None:
    """Every answer carries the address that was asked for: nobody is ever handed somebody else's."""
    rng = random.Random(seed)
    print(f"seed {seed}")

    def script(heard: Heard) -> Iterable[Say]:
        fate = rng.random()
        told = b"\x04\x02" + heard.address.to_bytes(2, "big")
        answer = heard.reply(told if heard.function == 4 else heard.pdu)
        if fate < 0.1:
            return
        if fate < 0.2:
            yield 0.06, answer
        elif fate < 0.3:
            yield 0, rng.randbytes(rng.randrange(1, 20))
        yield rng.choice((0, 0, 0.002)), answer

    async with tcp_peer(script, timeout_s=0.05) as peer:
        bus = ModbusBus(peer.bus, rng=rng)
        await bus.start()

        async def one(address: int) -> None:
            await asyncio.sleep(rng.uniform(0, 1.5))
            with contextlib.suppress(DriverError, TimeoutError):
                async with asyncio.timeout(rng.choice((0.01, 0.03, 9))):
                    if rng.random() < 0.5:
                        await bus.write_register(1, address, 1, lane=rng.choice(list(Lane)))
                    else:
                        assert (await bus.read_input(1, address, 1)).values == (address,)

        await asyncio.gather(*(one(address) for address in range(150)))
        peer.script = honest({1: Tables(inputs={9: 99})})
        async with within(5):
            while True:
                with contextlib.suppress(DriverError):
                    assert (await bus.read_input(1, 9, 1)).values == (99,)
                    break
                await asyncio.sleep(0.05)
        await bus.close()
