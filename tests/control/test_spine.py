"""The journal as control has it: its word on durability brought back to the loop, and a card that says nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from control_scenes import demo_site, until

from agent.control import space, spine
from agent.control.spine import Spine
from agent.core.events import Event, NewEpoch, Note
from agent.core.records import Record
from agent.core.words import ClockTrust, Journal
from agent.journal.retention import PRUNED, Trim
from agent.journal.writer import Durable


class Writer:
    """A writer that only remembers; the test speaks for its thread."""

    def __init__(self, path: Path, key: object, site_box: str, on_durable: Any, on_health: Any, **more: Any) -> None:
        self.on_durable: Callable[[Durable], None] = on_durable
        self.on_health: Callable[[bool, str], None] = on_health
        self.on_epoch: Callable[[int, str], None] = more["on_epoch"]
        self.on_trim: Callable[[Trim], None] = more["on_trim"]
        self.head: tuple[int, int] | None = (1, 10)
        self.appended: list[tuple[Sequence[Record], bool]] = []
        self.pruned: list[str] = []
        self.told_synced: list[tuple[int, int]] = []
        self.closed: list[float] = []
        self.waits_s = 0.0
        self.signed: tuple[int, int, float] | None = None
        self.lives = True

    def start(self) -> None: ...

    def append(self, records: Sequence[Record], emergency: bool) -> None:
        self.appended.append((records, emergency))

    def waiting_s(self) -> float:
        return self.waits_s

    def prune(self, before: str) -> None:
        self.pruned.append(before)

    def synced(self, epoch: int, seq: int) -> None:
        self.told_synced.append((epoch, seq))

    def alive(self) -> bool:
        return self.lives

    def close(self, timeout_s: float) -> bool:
        self.closed.append(timeout_s)
        return True


class Loop:
    """The runtime and the server, as the spine speaks to them."""

    def __init__(self) -> None:
        health = SimpleNamespace(journal=Journal.OK, journal_why="")
        clock = SimpleNamespace(trust=ClockTrust.UNTRUSTED)
        self.state = SimpleNamespace(epoch=1, next_seq=12, health=health, clock=clock)
        self.durable_seq = 10
        self.told: list[tuple[object, ...]] = []
        self.events: list[Event] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def durable(self, *what: object) -> None:
        self.told.append(("durable", *what))

    def journal_health(self, failing: bool, why: str) -> None:
        self.told.append(("health", failing, why))

    def failing(self) -> None:
        self.told.append(("failing",))

    def health(self) -> list[bool]:
        return [bool(what[1]) for what in self.told if what[0] == "health"]


class Scene:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spine, "JournalWriter", Writer)
        monkeypatch.setattr(spine, "WATCH_S", 0.005)
        self.spine = Spine(demo_site(folder))
        self.loop = Loop()
        self.spine.start(self.loop, self.loop)  # type: ignore[arg-type]

    @property
    def writer(self) -> Writer:
        return cast("Writer", self.spine._writer)


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Scene(tmp_path, monkeypatch)
    yield made
    await made.spine.close()


async def test_durability_is_told_in_the_loop_runtime_first(scene: Scene) -> None:
    await asyncio.to_thread(scene.writer.on_durable, Durable(1, 11, 2_500_000_000))
    await until("it is told", lambda: len(scene.loop.told) == 2)
    assert scene.loop.told == [("durable", 1, 11, 2.5), ("durable", 1, 11)]


async def test_a_refusing_card_is_told_and_what_waits_leaves_from_memory(scene: Scene) -> None:
    await asyncio.to_thread(scene.writer.on_health, True, "the card is full")
    await until("it is told", lambda: len(scene.loop.told) == 2)
    assert scene.loop.told == [("health", True, "the card is full"), ("failing",)]


async def test_a_card_that_hangs_is_told_by_the_clock_and_well_again_when_it_moves(scene: Scene) -> None:
    scene.writer.waits_s = spine.HUNG_S + 0.1
    await until("it is told", lambda: ("failing",) in scene.loop.told)
    assert scene.loop.health() == [True]
    scene.writer.waits_s = 0.0
    await until("it is well", lambda: scene.loop.health() == [True, False])


async def test_a_slow_card_is_not_a_hung_one(scene: Scene) -> None:
    scene.writer.waits_s = spine.HUNG_S - 0.1
    await asyncio.sleep(0.05)
    assert scene.loop.told == []


async def test_a_refusing_card_that_then_waits_is_told_with_the_cards_own_words(scene: Scene) -> None:
    scene.writer.waits_s = spine.HUNG_S + 5
    scene.writer.on_health(True, "the card is full")
    await until("it is told", lambda: ("health", True, "the card is full") in scene.loop.told)


async def test_a_warning_is_a_record_once(scene: Scene) -> None:
    for _ in range(3):
        scene.writer.on_health(False, "the card is full: the reserve kept for emergencies is in use")
    await until("it is told", lambda: scene.loop.health() == [False] * 3)
    notes = [event for event in scene.loop.events if isinstance(event, Note)]
    assert [note.kind for note in notes] == ["journal.problem"]
    assert "reserve" in str(notes[0].data["what"])


async def test_a_file_replaced_while_running_is_a_new_epoch_in_which_numbers_go_on(scene: Scene) -> None:
    await asyncio.to_thread(scene.writer.on_epoch, 2, "the file was damaged")
    await until("it is told", lambda: bool(scene.loop.events))
    assert scene.loop.events == [NewEpoch(2, 12, "the file was damaged")]


async def test_the_far_sides_progress_only_moves_on(scene: Scene) -> None:
    scene.spine.synced(1, 5)
    scene.spine.synced(1, 3)
    assert scene.writer.told_synced == [(1, 5)]
    assert scene.spine.backlog() == 5
    assert scene.spine.figures().synced == 5
    scene.loop.state.epoch = 2
    assert scene.spine.figures().synced is None


async def test_before_the_far_sides_first_word_the_backlog_is_unknown(scene: Scene) -> None:
    assert scene.spine.backlog() is None


async def test_the_figures_tell_room_in_days(scene: Scene) -> None:
    await until("the disk is measured", lambda: scene.spine.figures().size_bytes)
    figures = scene.spine.figures()
    assert figures.free_bytes and figures.headroom_days
    assert (figures.head, figures.durable) == (11, 10)


async def test_a_measuring_that_hangs_holds_no_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, looking = threading.Event(), threading.Event()

    def hangs(folder: Path) -> int:
        looking.set()
        go_on.wait(20)
        return 1

    monkeypatch.setattr(space, "free_bytes", hangs)
    made = Scene(tmp_path, monkeypatch)
    await until("it is being measured while the loop goes on", looking.is_set)
    await asyncio.sleep(0)
    assert not go_on.is_set() and made.spine.figures().free_bytes is None
    go_on.set()
    await made.spine.close()


async def test_only_a_trusted_clock_prunes(scene: Scene) -> None:
    await until("the disk is measured", lambda: scene.spine.figures().size_bytes)
    assert scene.writer.pruned == []


async def test_a_trusted_clock_prunes_what_is_older_than_the_site_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Scene(tmp_path, monkeypatch)
    made.loop.state.clock.trust = ClockTrust.TRUSTED
    await until("it is pruned", lambda: made.writer.pruned)
    days = (time.time() - time.mktime(time.strptime(made.writer.pruned[0][:19], "%Y-%m-%dT%H:%M:%S"))) / 86_400
    assert abs(days - demo_site().storage.journal_days) < 2
    assert made.writer.pruned[0].endswith("T00:00:00.000Z"), "a whole day at a time"
    await made.spine.close()


async def test_what_is_given_up_is_a_record(scene: Scene) -> None:
    scene.writer.on_trim(Trim(PRUNED, 1, 500, 500, "age"))
    data = {"count": 500, "from": 1, "to": 500, "why": "age"}
    await until("it is a record", lambda: Note("journal.pruned", "journal", "box", data) in scene.loop.events)


async def test_records_are_handed_over_as_they_are(scene: Scene) -> None:
    scene.spine.append([], True)
    assert scene.writer.appended == [([], True)]


@pytest.mark.parametrize("lives", [True, False])
async def test_it_lives_as_long_as_its_writer(scene: Scene, lives: bool) -> None:
    scene.writer.lives = lives
    assert scene.spine.alive() is lives


async def test_it_writes_down_what_waits_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Scene(tmp_path, monkeypatch)
    await made.spine.close()
    assert made.writer.closed == [spine.CLOSE_S]


@pytest.mark.parametrize("how", ["refuses", "hangs"])
async def test_a_card_that_takes_nothing_holds_up_no_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    made = Scene(tmp_path, monkeypatch)
    if how == "refuses":
        made.writer.on_health(True, "the card is full")
        await until("it is told", lambda: made.loop.told)
    else:
        made.writer.waits_s = spine.HUNG_S + 1
    await made.spine.close()
    assert made.writer.closed == [spine.REFUSED_CLOSE_S]
