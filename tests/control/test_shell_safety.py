"""Ways in which the shell could undo what the core decided: each was once open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from box_scenes import Box, TracedLane, turns, virtually
from control_scenes import MemoryBank
from socket_scenes import Peer, serving

from agent.control import reconcile
from agent.control.lanes import LaneWorker
from agent.control.reconcile import OutputGroup, Picture
from agent.core.outputs import MotionRequest
from agent.core.records import Record
from agent.core.words import Motion, Sent
from drivers.errors import LinkLost
from drivers.ports import LaneState

LAMP = "warning:main:lamp"


# ── tokens ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class QueuedLane(TracedLane):
    """A lane whose bus is not free: a token goes out when the test says so, as from the bus owner's own queue."""

    free: asyncio.Event

    async def move(self, request: MotionRequest) -> None:
        await self.free.wait()
        await super().move(request)


def _queue(box: Box) -> QueuedLane:
    lane = box.lanes["main"]
    lane.__class__ = QueuedLane
    assert isinstance(lane, QueuedLane)
    lane.free = asyncio.Event()
    return lane


async def _raise_waiting_for_the_bus(box: Box) -> QueuedLane:
    await box.ready()
    lane = _queue(box)
    box.ask("raise", "c1", lane="main")
    await box.pass_s(3.3)
    tokens = [record for record in box.paper.records if record.kind == "lane.token"]
    assert len(tokens) == 2 and lane.moved == []
    return lane


@virtually
async def test_a_token_that_waits_for_the_bus_does_not_come_behind_the_press_that_overruled_it() -> None:
    box = Box()
    lane = await _raise_waiting_for_the_bus(box)
    box.press()
    lane.free.set()
    await turns()
    assert [move.motion for move in lane.moved] == [Motion.EFO, Motion.EFO]


@virtually
async def test_a_token_that_waits_for_the_bus_ends_with_a_stop_and_is_told() -> None:
    box = Box()
    lane = await _raise_waiting_for_the_bus(box)
    box.ask("stop", "c2", lane="main")
    await turns()
    lane.free.set()
    await box.pass_s(0.2)
    assert lane.moved == []
    told = [record.data["outcome"] for record in box.paper.records if record.kind == "lane.sent"]
    assert told == [Sent.FAILED, Sent.FAILED]


# ── a bug in one part ──────────────────────────────────────────────────────────────────────────────────────────────


class Strict:
    """Numbers as the journal's writer takes them: in order, or not at all."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self._next: int | None = None

    def append(self, records: Sequence[Record], emergency: bool) -> None:
        if self._next is not None and records[0].seq != self._next:
            raise ValueError("they do not follow")
        self._next = records[-1].seq + 1
        self.kinds += [record.kind for record in records]


@virtually
async def test_an_output_that_cannot_be_laid_out_costs_neither_the_press_nor_the_journal() -> None:
    box = Box()
    await box.ready()
    box.runtime._journal = journal = Strict()
    told: list[str] = []
    box.runtime.on_records = lambda records: told.extend(record.kind for record in records)

    def breaks(name: str, on: bool, *, blink: bool = False) -> None:
        raise RuntimeError("nobody foresaw this")

    box.outputs.want = breaks  # type: ignore[method-assign]
    box.press()
    await turns()
    assert "panic.pressed" in told and "panic.pressed" in journal.kinds
    assert len(box.moves()) == 3
    box.press("wicket")
    await turns()
    assert journal.kinds.count("panic.pressed") == 2
    assert journal.kinds.count("box.bug") == 1


@virtually
async def test_a_journal_that_takes_nothing_does_not_keep_an_alarm_from_the_uplink() -> None:
    box = Box()
    await box.ready()
    told: list[str] = []

    def breaks(records: Sequence[Record], emergency: bool) -> None:
        raise ValueError("they do not follow")

    box.paper.append = breaks  # type: ignore[method-assign]
    box.runtime.on_records = lambda records: told.extend(record.kind for record in records)
    box.press()
    assert "panic.pressed" in told


# ── the pre-warning ────────────────────────────────────────────────────────────────────────────────────────────────


class DyingBank(MemoryBank):
    dead = False

    async def read(self) -> Mapping[int, bool]:
        if self.dead:
            raise LinkLost("the relay board is gone")
        return await super().read()


@virtually
async def test_a_warning_on_a_board_that_was_lost_is_not_on() -> None:
    group, bank = OutputGroup({LAMP: 0}, lambda event: None), DyingBank()
    picture = Picture((group,), frozenset())
    group.want(LAMP, True)
    assert picture.warning("main") is False
    serving = asyncio.create_task(group.serve(bank))
    await asyncio.sleep(0.2)
    assert picture.warning("main") is True
    bank.dead = True
    await asyncio.sleep(reconcile.READ_BACK_S + 0.1)
    with pytest.raises(LinkLost):
        await serving
    assert picture.warning("main") is False
    assert picture.actual(LAMP) is None


@pytest.mark.parametrize(
    ("local", "plc_warns", "at_plc", "on"),
    [
        (None, True, True, True),
        (None, True, None, None),
        (True, False, False, True),
        (False, False, True, False),
        (True, True, False, False),
        (True, True, True, True),
        (False, True, True, False),
    ],
)
async def test_lamp_and_buzzer_at_two_places_must_both_be_on(
    local: bool | None, plc_warns: bool, at_plc: bool | None, on: bool | None
) -> None:
    worker = LaneWorker("main", print, lambda: 0.0, lambda: None, lambda: local, plc_warns=plc_warns)
    state = LaneState(0.0, "remote", {}, {}, at_plc, heartbeat_ok=True)
    assert worker._event(state).warning_on is on


# ── peers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_peer_that_asks_without_a_pause_leaves_the_gate_its_turns(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        turn, asked_in = 0, []

        def count() -> None:
            nonlocal turn
            turn += 1
            asyncio.get_running_loop().call_soon(count)

        def picture() -> dict[str, object]:
            asked_in.append(turn)
            return {}

        served.server._picture = picture
        count()
        peer = await Peer.of(served.path)
        await peer.say(b'{"op":"state"}\n' * 500)
        for _ in range(500):
            await peer.line()
        assert len(asked_in) == 500
        assert len(set(asked_in)) == 500
