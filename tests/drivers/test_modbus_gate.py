"""The gate alone: order, silence, cancellation, and that it is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import pytest
import virtual_time
from patience import soon

from drivers.errors import NoAnswer
from drivers.modbus_gate import Gate, Lane


def gate() -> Gate:
    return Gate(time.monotonic)


async def test_lanes_then_order_of_coming() -> None:
    shared, served = gate(), list[str]()

    async def caller(name: str, lane: Lane) -> None:
        await shared.take(lane, 1)
        served.append(name)
        shared.release()

    assert shared.try_take()
    calls = [
        asyncio.create_task(caller(name, lane))
        for name, lane in (
            ("poll a", Lane.POLL),
            ("level", Lane.LEVEL),
            ("poll b", Lane.POLL),
            ("motion", Lane.MOTION),
            ("stop a", Lane.EMERGENCY),
            ("stop b", Lane.EMERGENCY),
        )
    ]
    await asyncio.sleep(0)
    shared.release()
    await asyncio.gather(*calls)
    assert served == ["stop a", "stop b", "motion", "level", "poll a", "poll b"]


def test_a_silence_is_broken_by_nobody_and_the_most_urgent_comes_after_it() -> None:
    async def main() -> None:
        clock = asyncio.get_running_loop().time
        shared, served = Gate(clock), list[tuple[Lane, float]]()

        async def caller(lane: Lane) -> None:
            await shared.take(lane, 1)
            served.append((lane, clock()))
            shared.release()

        assert shared.try_take()
        shared.release(opens_at := clock() + 0.03)
        assert not shared.try_take()
        calls = [asyncio.create_task(caller(Lane.POLL))]
        await asyncio.sleep(0.01)
        calls.append(asyncio.create_task(caller(Lane.EMERGENCY)))
        await asyncio.gather(*calls)
        assert [lane for lane, _ in served] == [Lane.EMERGENCY, Lane.POLL]
        assert [at for _, at in served] == pytest.approx([opens_at, opens_at])
        assert shared.try_take()

    virtual_time.run(main())


async def test_a_turn_that_does_not_come_says_so() -> None:
    shared = gate()
    assert shared.try_take()
    with pytest.raises(NoAnswer, match="not free"):
        await shared.take(Lane.EMERGENCY, 0.01)
    assert shared.waiting == 0
    shared.release()
    assert shared.try_take()


async def test_a_turn_granted_to_a_cancelled_caller_goes_to_the_next() -> None:
    shared = gate()
    assert shared.try_take()
    first = asyncio.create_task(shared.take(Lane.POLL, 1))
    second = asyncio.create_task(shared.take(Lane.POLL, 1))
    await asyncio.sleep(0)
    shared.release()  # grants it to the first …
    first.cancel()  # … which is cancelled before it runs
    await soon(second, 0.5)
    assert first.cancelled()


async def test_releasing_what_nobody_holds_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        gate().release()


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_is_cancelled_one_holds_it_and_in_the_end_it_is_free(seed: int) -> None:
    rng, shared, holders = random.Random(seed), gate(), [0]
    print(f"seed {seed}")

    async def caller() -> None:
        await asyncio.sleep(rng.uniform(0, 0.05))
        if not shared.try_take():
            await shared.take(rng.choice(list(Lane)), rng.choice((0.005, 1)))
        holders[0] += 1
        try:
            assert holders[0] == 1
            await asyncio.sleep(rng.choice((0, 0, 0.001)))
        finally:
            holders[0] -= 1
            shared.release(time.monotonic() + rng.choice((-1, 0.002)))

    calls = [asyncio.create_task(caller()) for _ in range(60)]
    for call in calls:
        await asyncio.sleep(rng.uniform(0, 0.002))
        if rng.random() < 0.4:
            call.cancel()
    for call in calls:
        with contextlib.suppress(asyncio.CancelledError, NoAnswer):
            await soon(call, 2)
    await asyncio.sleep(0.003)
    assert shared.try_take()
    assert shared.waiting == 0
