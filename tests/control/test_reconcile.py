"""Levels heal: what is written wrongly, undone or lost is written again; what will not obey is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from box_scenes import virtually

from agent.control import reconcile
from agent.control.reconcile import BLINK_S, STRIKES, OutputGroup, Picture
from agent.core.events import Event, OutputFault
from agent.core.outputs import Level, Outputs
from drivers.errors import LinkLost


class Bank:
    """A relay board in memory that can undo, ignore and fail."""

    def __init__(self) -> None:
        self.on: dict[int, bool] = {}
        self.writes: list[tuple[int, bool]] = []
        self.stuck: set[int] = set()
        self.dead = False

    async def write(self, channel: int, on: bool) -> None:
        if self.dead:
            raise LinkLost("the relay board is gone")
        self.writes.append((channel, on))
        if channel not in self.stuck:
            self.on[channel] = on

    async def read(self) -> Mapping[int, bool]:
        return dict(self.on)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "READ_BACK_S", 0.005)


async def _until(test: object, tries: int = 400) -> None:
    assert callable(test)
    for _ in range(tries):
        if test():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came to that")


@virtually
async def test_a_flashing_output_is_lit_at_once_and_dark_half_a_second_later() -> None:
    group, bank = OutputGroup({"lamp:sent": 1}, lambda event: None), Bank()
    serving = asyncio.create_task(group.serve(bank))
    group.want("lamp:sent", True, blink=True)
    await asyncio.sleep(BLINK_S * 4.5)
    assert [on for _, on in bank.writes] == [True, False, True, False, True]
    assert group.read_back["lamp:sent"] is True, "it does what it shall, lit or dark"
    group.want("lamp:sent", True)
    await asyncio.sleep(BLINK_S * 4)
    assert [on for _, on in bank.writes][5:] in ([], [True]), "steady: a real alarm"
    assert bank.on[1] is True
    serving.cancel()


@virtually
async def test_a_flashing_lamp_that_does_not_obey_is_told() -> None:
    told: list[Event] = []
    group, bank = OutputGroup({"lamp:sent": 1}, told.append), Bank()
    bank.stuck.add(1)
    bank.on[1] = False
    serving = asyncio.create_task(group.serve(bank))
    group.want("lamp:sent", True, blink=True)
    await asyncio.sleep(20.0)
    assert [event for event in told if isinstance(event, OutputFault) and not event.ok]
    serving.cancel()


async def test_an_undone_output_is_written_again(fast: None) -> None:
    group, bank = OutputGroup({"lock:wicket": 3}, lambda event: None), Bank()
    group.want("lock:wicket", True)
    serving = asyncio.create_task(group.serve(bank))
    await _until(lambda: bank.on.get(3) is True)
    bank.on[3] = False
    await _until(lambda: bank.on[3] is True)
    serving.cancel()


async def test_an_output_that_will_not_obey_is_told_once_and_told_well_again(fast: None) -> None:
    told: list[Event] = []
    group, bank = OutputGroup({"siren": 2}, told.append), Bank()
    bank.on[2], bank.stuck = False, {2}
    group.want("siren", True)
    serving = asyncio.create_task(group.serve(bank))
    await _until(lambda: bool(told))
    await asyncio.sleep(0.05)
    assert [(event.output, event.ok) for event in told if isinstance(event, OutputFault)] == [("siren", False)]
    assert len(bank.writes) >= STRIKES
    bank.stuck.clear()
    await _until(lambda: len(told) == 2)
    assert isinstance(told[1], OutputFault) and told[1].ok
    serving.cancel()


async def test_after_the_device_came_back_everything_is_written_anew(fast: None) -> None:
    group, bank = OutputGroup({"lamp:sent": 0, "siren": 1}, lambda event: None), Bank()
    group.want("lamp:sent", True)
    group.want("siren", False)
    first = asyncio.create_task(group.serve(bank))
    await _until(lambda: len(bank.on) == 2)
    bank.dead = True
    group.want("siren", True)
    with pytest.raises(LinkLost):
        await first
    fresh = Bank()
    second = asyncio.create_task(group.serve(fresh))
    await _until(lambda: fresh.on == {0: True, 1: True})
    second.cancel()


def _outputs(lock: Level) -> Outputs:
    return Outputs(locks={"wicket": lock}, lamps={}, siren=Level(False), lanes={}, motions=())


class Wants:
    """An output group that only remembers."""

    def __init__(self) -> None:
        self.names = frozenset({"lock:wicket"})
        self.wanted: dict[str, bool] = {}
        self.read_back: dict[str, bool] = {}

    def want(self, name: str, on: bool, *, blink: bool = False) -> None:
        self.wanted[name] = on


@pytest.mark.parametrize("inverted", [False, True])
def test_a_level_waits_for_its_record(inverted: bool) -> None:
    group = Wants()
    picture = Picture((group,), frozenset({"lock:wicket"} if inverted else ()))  # type: ignore[arg-type]
    picture.lay(_outputs(Level(True)), 0, journal_failing=False)
    assert group.wanted == {"lock:wicket": not inverted}
    picture.lay(_outputs(Level(False, after=5)), 4, journal_failing=False)
    assert group.wanted == {"lock:wicket": not inverted}
    picture.lay(_outputs(Level(False, after=5)), 5, journal_failing=False)
    assert group.wanted == {"lock:wicket": inverted}


def test_on_a_failing_journal_levels_pass_from_memory() -> None:
    group = Wants()
    picture = Picture((group,), frozenset())  # type: ignore[arg-type]
    picture.lay(_outputs(Level(False, after=5)), 4, journal_failing=True)
    assert group.wanted == {"lock:wicket": False}
