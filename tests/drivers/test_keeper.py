"""A keeper never lets go: whatever a device does, it is told once, closed, and tried again within its bounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
import virtual_time

from drivers.backoff import Backoff
from drivers.errors import LinkLost
from drivers.keeper import CLOSE_S, OPEN_S, Keeper

Said = list[tuple[float, bool, str]]


class Device:
    """A device whose life is scripted: `opens` and `works` say what happens each time."""

    def __init__(self) -> None:
        self.opens: Callable[[], Awaitable[None]] = self._at_once
        self.works: Callable[[], Awaitable[None]] = self._for_ever
        self.opened = self.closed = 0
        self.said: Said = []

    async def _at_once(self) -> None:
        return

    async def _for_ever(self) -> None:
        await asyncio.Event().wait()

    async def open(self) -> int:
        await self.opens()
        self.opened += 1
        return self.opened

    async def use(self, handle: int) -> None:
        assert handle == self.opened
        await self.works()

    async def close(self, handle: int) -> None:
        self.closed += 1

    def report(self, device: str, up: bool, why: str) -> None:
        assert device == "reader:guard"
        self.said.append((asyncio.get_running_loop().time(), up, why))

    def keeper(self) -> Keeper[int]:
        loop = asyncio.get_running_loop()
        return Keeper(
            "reader:guard", self.open, self.use, self.report,
            close_device=self.close, rng=random.Random(1), clock=loop.time,
        )  # fmt: skip


async def keep(keeper: Keeper[int], for_s: float) -> None:
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(for_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def after(pause_s: float, error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        await asyncio.sleep(pause_s)
        raise error

    return fail


def test_up_is_said_once_and_cancelling_closes_it() -> None:
    async def main() -> None:
        device = Device()
        await keep(device.keeper(), 100)
        assert device.said == [(0, True, "")]
        assert (device.opened, device.closed) == (1, 1)

    virtual_time.run(main())


def test_lost_is_said_once_however_often_it_fails_to_come_back() -> None:
    async def main() -> None:
        device = Device()
        device.works = after(10, LinkLost("reader guard: unplugged"))
        task = asyncio.create_task(device.keeper().run())
        await asyncio.sleep(10.001)
        device.opens = after(0, LinkLost("reader guard: no serial port"))
        await asyncio.sleep(60)
        assert [(up, why) for _, up, why in device.said] == [(True, ""), (False, "reader guard: unplugged")]
        device.opens, returned_at = device._at_once, asyncio.get_running_loop().time()
        await asyncio.sleep(5)
        assert device.said[-1][1]
        assert device.said[-1][0] - returned_at <= 5
        task.cancel()

    virtual_time.run(main())


@pytest.mark.parametrize("seed", range(5))
def test_it_is_back_within_five_seconds_whenever_it_returns(seed: int) -> None:
    """Also when opening hangs until its bound each time while the device is away."""

    async def main() -> None:
        rng = random.Random(seed)
        for hangs in (False, True):
            device = Device()
            device.opens = after(3600, LinkLost("hangs")) if hangs else after(0.1, LinkLost("away"))
            task = asyncio.create_task(device.keeper().run())
            await asyncio.sleep(rng.uniform(5, 60))
            device.opens, returned_at = device._at_once, asyncio.get_running_loop().time()
            await asyncio.sleep(5)
            [(back_at, up, _)] = [said for said in device.said if said[1]]
            assert up
            assert back_at - returned_at <= OPEN_S + 2.0
            task.cancel()

    print(f"seed {seed}")
    virtual_time.run(main())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LinkLost("plain words"), "plain words"),
        (KeyError("loop1"), "unexpected KeyError: 'loop1'"),
        (TimeoutError(), "unexpected TimeoutError: "),
        (OSError(5, "Input/output error"), "unexpected OSError: [Errno 5] Input/output error"),
    ],
)
def test_every_failure_becomes_a_sentence(error: Exception, words: str) -> None:
    async def main() -> None:
        device = Device()
        device.works = after(1, error)
        await keep(device.keeper(), 1.1)
        assert device.said[1][1:] == (False, words)
        assert device.closed == 1

    virtual_time.run(main())


def test_a_use_that_ends_is_a_loss() -> None:
    async def main() -> None:
        device = Device()
        device.works = lambda: asyncio.sleep(1)
        await keep(device.keeper(), 1.1)
        assert device.said[1][2] == "unexpected RuntimeError: its use came to an end"

    virtual_time.run(main())


def test_a_device_that_dies_at_once_is_not_opened_in_a_rush() -> None:
    async def main() -> None:
        device = Device()
        device.works = after(0, LinkLost("dies"))
        await keep(device.keeper(), 60)
        assert device.opened < 60 / 1.5 + 5
        assert device.opened == device.closed

    virtual_time.run(main())


def test_a_steady_device_is_tried_again_quickly() -> None:
    async def main() -> None:
        device = Device()
        device.works = after(60, LinkLost("hiccup"))
        await keep(device.keeper(), 200)
        downs = [later[0] - earlier[0] for earlier, later in zip(device.said[1::2], device.said[2::2], strict=False)]
        assert downs
        assert max(downs) <= 0.2

    virtual_time.run(main())


def test_a_handle_that_arrives_as_it_is_given_up_is_closed() -> None:
    async def main() -> None:
        device = Device()

        async def stubborn() -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                return  # the port had just opened

        device.opens = stubborn
        await keep(device.keeper(), OPEN_S + 0.1)
        assert (device.opened, device.closed) == (1, 1)
        assert device.said == [(OPEN_S, False, f"it did not open within {OPEN_S:g} s")]

    virtual_time.run(main())


def test_closing_that_hangs_or_fails_holds_nobody_up() -> None:
    async def main() -> None:
        device = Device()
        device.works = after(1, LinkLost("gone"))

        async def hang(handle: int) -> None:
            device.closed += 1
            if device.closed == 1:
                await asyncio.sleep(3600)
            raise OSError("already gone")

        device.close = hang  # type: ignore[method-assign]
        await keep(device.keeper(), 20)
        assert device.said[2][0] <= 1 + CLOSE_S + 0.2
        assert device.closed >= 2

    virtual_time.run(main())


def test_a_report_that_fails_does_not_end_the_keeper() -> None:
    async def main() -> None:
        device, calls = Device(), list[bool]()
        device.works = after(1, LinkLost("gone"))

        def report(name: str, up: bool, why: str) -> None:
            calls.append(up)
            raise ValueError("a bug above")

        keeper = Keeper("reader:guard", device.open, device.use, report, rng=random.Random(1))
        await keep(keeper, 10)
        assert calls[:3] == [True, False, True]

    virtual_time.run(main())


def test_one_keeper_s_failure_touches_no_other() -> None:
    async def main() -> None:
        bad, good = Device(), Device()
        bad.works = after(0.5, RuntimeError("bug"))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.keeper().run()) for each in (bad, good)]
            await asyncio.sleep(30)
            assert len(bad.said) > 10
            assert len(good.said) == 1
            for task in tasks:
                task.cancel()

    virtual_time.run(main())


def test_pauses_grow_to_the_cap_and_no_further() -> None:
    backoff = Backoff(random.Random(7))
    pauses = [backoff.next_s() for _ in range(20)]
    assert pauses[0] <= 0.2
    assert all(0.75 * 2.0 <= pause <= 2.0 for pause in pauses[4:])
    backoff.reset()
    assert backoff.next_s() <= 0.2
    assert [Backoff(random.Random(7)).next_s() for _ in range(2)] == pauses[:1] * 2, "the same seed, the same pauses"
