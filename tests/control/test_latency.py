"""The hops of a press, from the pin's own instant on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.control.latency import KEEP, Latencies, Press, recall
from agent.core.outputs import MotionRequest
from agent.core.records import Record
from agent.core.words import ClockTrust, Motion, Stage
from agent.journal import schema
from agent.journal.keys import BoxKey
from agent.journal.store import Store

EFO = MotionRequest("main", "main-1", Motion.EFO, 1, 10.0)


def record(seq: int, kind: str = "panic.pressed") -> Record:
    return Record(
        actor="box", at="", boot="b", cause=None, clock=ClockTrust.TRUSTED, data={}, epoch=1, kind=kind,
        mono_ns=0, seq=seq, site_box="s/b", subject="button:gatehouse",
    )  # fmt: skip


class Scene:
    def __init__(self) -> None:
        self.now = 10.0
        self.told: list[tuple[int, dict[str, int]]] = []
        self.latencies = Latencies(lambda: self.now)
        self.latencies.changed = self._changed

    def _changed(self, press: Press) -> None:
        self.told.append((press.ref[1], dict(press.hops)))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_every_hop_counts_from_the_edge(scene: Scene) -> None:
    scene.latencies.decided([record(5)], 10.0, 10.0005)
    scene.latencies.acked(EFO, 10.002)
    scene.latencies.durable((1, 7), 10.004)
    scene.now = 10.006
    scene.latencies.stage((1, 5), Stage.SENT)
    scene.now = 10.009
    scene.latencies.stage((1, 5), Stage.RECEIVED)
    hops = {"decision_us": 500, "modbus_us": 2000, "durable_us": 4000, "sent_us": 6000, "received_us": 9000}
    assert scene.latencies.presses[-1].hops == hops
    assert len(scene.told) == 4


def test_a_hop_is_taken_the_first_time_only(scene: Scene) -> None:
    scene.latencies.decided([record(5)], 10.0, 10.0)
    scene.latencies.acked(EFO, 10.002)
    scene.latencies.acked(EFO, 10.5)
    assert scene.latencies.presses[-1].hops["modbus_us"] == 2000
    assert len(scene.told) == 1


def test_what_is_no_press_has_no_hops(scene: Scene) -> None:
    scene.latencies.decided([record(5, "panic.released")], 10.0, 10.0)
    scene.latencies.acked(EFO, 10.1)
    assert scene.latencies.presses == []


def test_a_routine_motion_is_no_hop_of_a_press(scene: Scene) -> None:
    scene.latencies.decided([record(5)], 10.0, 10.0)
    scene.latencies.acked(MotionRequest("main", "main-1", Motion.LOWER, 1, 10.0), 10.1)
    assert "modbus_us" not in scene.latencies.presses[-1].hops


def test_what_is_durable_up_to_an_earlier_record_is_not_this_press(scene: Scene) -> None:
    scene.latencies.decided([record(5)], 10.0, 10.0)
    scene.latencies.durable((1, 4), 10.1)
    assert "durable_us" not in scene.latencies.presses[-1].hops


def test_later_stages_are_no_hops_and_an_unknown_press_is_nobodys(scene: Scene) -> None:
    scene.latencies.decided([record(5)], 10.0, 10.0)
    scene.latencies.stage((1, 5), Stage.COMING)
    scene.latencies.stage((1, 99), Stage.RECEIVED)
    assert scene.told == []


def test_so_many_presses_are_remembered_and_no_more(scene: Scene) -> None:
    for seq in range(1, KEEP + 11):
        scene.latencies.decided([record(seq)], 10.0, 10.0)
    assert [press.ref[1] for press in scene.latencies.presses] == list(range(11, KEEP + 11))
    assert scene.latencies.find((1, 1)) is None


def test_a_clock_that_reads_before_the_edge_gives_no_negative_hop(scene: Scene) -> None:
    scene.latencies.decided([record(5)], 10.0, 9.9)
    assert scene.latencies.presses[-1].hops == {"decision_us": 0}


def test_outputs_and_the_last_position_are_hops_too(scene: Scene) -> None:
    scene.latencies.written(9.0)  # nobody had pressed
    scene.latencies.decided([record(5)], 10.0, 10.0)
    scene.latencies.written(10.001)
    scene.latencies.written(10.5)
    scene.latencies.reached(11.0)  # nothing was asked of a bollard yet
    scene.latencies.acked(EFO, 10.002)
    scene.latencies.reached(11.2)
    scene.latencies.reached(11.4)
    hops = scene.latencies.presses[-1].hops
    assert (hops["outputs_us"], hops["position_us"]) == (1000, 1_400_000)


def test_percentiles_are_nearest_ranks_of_what_was_finished(scene: Scene) -> None:
    assert scene.latencies.percentiles() == ()
    for ms in range(1, 101):
        scene.latencies.finish({"durable_us": ms * 1000, "decision_us": 5})
    decision, durable = scene.latencies.percentiles()
    assert (decision.hop, decision.p50_us, decision.max_us) == ("decision_us", 5, 5)
    assert (durable.p50_us, durable.p90_us, durable.p99_us, durable.max_us) == (50_000, 90_000, 99_000, 100_000)
    assert durable.count == 100


def test_one_press_is_all_its_own_percentiles(scene: Scene) -> None:
    scene.latencies.finish({"sent_us": 7})
    (only,) = scene.latencies.percentiles()
    assert (only.count, only.p50_us, only.p99_us, only.max_us) == (1, 7, 7, 7)


def test_presses_before_this_start_count(tmp_path: Path) -> None:
    assert recall(tmp_path / "journal.db") == []
    path = tmp_path / "journal.db"
    schema.create(path, "s/b", schema.Base.first(1))
    store = Store(path, BoxKey.generate(), "s/b")
    store.commit([latency(1, 5), latency(2, 9)])
    store.close()
    assert recall(path) == [{"durable_us": 5}, {"durable_us": 9}]


def latency(seq: int, us: int) -> Record:
    return msgspec.structs.replace(
        record(seq, "panic.latency"), data={"press": [1, seq], "durable_us": us, "later_us": 3}
    )
