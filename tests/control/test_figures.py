"""What the shell counts for the screens: rises and reversals, losses and errors of links, the computer's own health."""

from __future__ import annotations

from pathlib import Path

from control_scenes import demo_site

from agent.control.machine import look
from agent.control.tally import Tally, UnitCounts
from agent.control.trend import RISES, Trend, recall
from agent.core.records import Record, Value
from agent.core.words import ClockTrust
from agent.journal import schema
from agent.journal.keys import BoxKey
from agent.journal.store import Store
from agent.picture.devices import DeviceFigures


def position(ms: int | None, by: str = "console", at: str = "up") -> dict[str, Value]:
    return {"bollard": "main-1", "by": by, "ms": ms, "position": at}


def record(seq: int, kind: str, data: dict[str, Value]) -> Record:
    return Record(
        actor="box", at="2026-09-01T07:30:00.125Z", boot="b", cause=None, clock=ClockTrust.TRUSTED, data=data, epoch=1,
        kind=kind, mono_ns=0, seq=seq, site_box="s/b", subject="lane:main",
    )  # fmt: skip


def test_a_trend_is_of_complete_routine_rises_only() -> None:
    trend = Trend()
    for data in (position(4000), position(None), position(1500, by="panic"), position(3000, at="down"), position(4100)):
        trend.take("lane.position", data)
    trend.note([record(1, "lane.reversal", {"bollard": "main-1", "reversals": 1, "why": "sensor"})])
    figures = trend.figures()["main-1"]
    assert (figures.rises, figures.reversals) == ((4000, 4100), 1)


def test_a_trend_keeps_the_last_ones() -> None:
    trend = Trend()
    for ms in range(RISES + 5):
        trend.take("lane.position", position(4000 + ms))
    assert trend.figures()["main-1"].rises == tuple(range(4005, 4005 + RISES))


def test_rises_before_this_start_are_recalled_in_order(tmp_path: Path) -> None:
    assert recall(tmp_path / "journal.db") == []
    path = tmp_path / "journal.db"
    schema.create(path, "s/b", schema.Base.first(1))
    store = Store(path, BoxKey.generate(), "s/b")
    store.commit(
        [record(1, "lane.position", position(1)), record(2, "note", {}), record(3, "lane.position", position(2))]
    )
    store.close()
    assert [data["ms"] for _, data in recall(path)] == [1, 2]


def test_links_are_tallied_by_device() -> None:
    tally = Tally(demo_site())
    assert tally.units["lane:service"] == ("plc", 2)
    tally.lost("lane:main")
    tally.lost("lane:main")
    tally.garbled("reader:guard")
    tally.heard("reader:guard", 5.0)
    found = tally.figures({"lane:main": UnitCounts(7, 3.0), "relays": UnitCounts(0, None)})
    assert found["lane:main"] == DeviceFigures(errors=7, losses=2, heard_at=3.0)
    assert found["reader:guard"] == DeviceFigures(errors=1, losses=0, heard_at=5.0)
    assert found["relays"] == DeviceFigures(errors=0, losses=0, heard_at=None)


def test_the_computer_tells_what_it_can(tmp_path: Path) -> None:
    heat, flags = tmp_path / "temp", tmp_path / "get_throttled"
    assert look(heat, flags).temperature_c is None and look(heat, flags).under_voltage is None
    heat.write_text("61234\n")
    flags.write_text("50000\n")
    assert (look(heat, flags).temperature_c, look(heat, flags).under_voltage) == (61, True)
    flags.write_text("0\n")
    assert look(heat, flags).under_voltage is False
    heat.write_text("hot\n")
    assert look(heat, flags).temperature_c is None
