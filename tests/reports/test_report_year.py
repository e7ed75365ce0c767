"""A month that the simulated school played, through the real writer: its figures counted again from the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pytest
from report_scenes import journal, ms, report, site_in, write

from agent.core.records import Record
from agent.journal.verify import verify
from agent.reports.model import Report
from agent.reports.spans import Span, joined
from hardware import places
from hardware.site import Site
from sim.year.run import play

SEED, DAYS, PUPILS = 11, 60, 40  # January and February 2026: term, holidays, mishaps


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, list[Record], Report]]:
    """(site, January's records, its report). The year's clock steps are left in: they are told, and corrected."""
    site = site_in(tmp_path_factory.mktemp("year"))
    records: list[Record] = []
    year = play(SEED, DAYS, PUPILS, records.extend)
    assert not year.broken, year.broken
    write(site, records)
    start_ms, end_ms = ms("2026-01-01 00:00"), ms("2026-02-01 00:00")
    # The year's virtual second 0 is midnight of 1 January: its monotonic clock tells where a record truly lies.
    january = [record for record in records if start_ms <= start_ms + record.mono_ns // 1_000_000 < end_ms]
    yield site, january, report(site, "2026-01")


def count(records: list[Record], kind: str, **data: object) -> int:
    return sum(r.kind == kind and all(r.data.get(name) == value for name, value in data.items()) for r in records)


def test_the_records_are_those_of_the_month(played: tuple[Site, list[Record], Report]) -> None:
    _, january, found = played
    assert found.head.records == len(january)
    assert (found.head.from_seq, found.head.to_seq) == (january[0].seq, january[-1].seq)
    assert len(january) > 3_000


def test_the_journal_that_was_written_verifies_with_the_report_s_checkpoint(
    played: tuple[Site, list[Record], Report],
) -> None:
    site, _, found = played
    (checkpoint,) = found.head.checkpoints
    assert checkpoint.signature == "good"
    assert verify(journal(site), checkpoint.note.encode()).ok


def test_presses_drills_and_receipts_are_all_there(played: tuple[Site, list[Record], Report]) -> None:
    _, january, found = played
    presses = [record for record in january if record.kind == "panic.pressed"]
    assert [(one.ref, one.drill) for one in found.panic.presses] == [(r.ref, r.data["drill"]) for r in presses]
    pressed = {record.ref for record in presses}  # a drill's announcement has receipts of its own
    stages = [record for record in january if record.kind == "alarm.stage" and record.data["stage"] == "received"]
    received = Counter(record.cause for record in stages if record.cause in pressed)
    told = {one.ref: sum(stage.stage == "received" for stage in one.stages) for one in found.panic.presses}
    assert {ref: number for ref, number in told.items() if number} == dict(received)
    assert len(found.panic.drills) == count(january, "drill.started")


def test_cards_and_exceptions_are_counted_right(played: tuple[Site, list[Record], Report]) -> None:
    _, january, found = played
    assert sum(one.count for one in found.campus.passed) == count(january, "access.granted")
    denied = Counter(
        (r.data["reader"], r.data["direction"], r.data["why"]) for r in january if r.kind == "access.denied"
    )
    assert {(one.reader, one.direction, one.why): one.count for one in found.campus.denied} == dict(denied)
    counts = dict(found.campus.counts)
    for kind in ("access.unauthorised_exit", "slip.used", "door.forced", "door.held_open"):
        assert counts.get(kind, 0) == count(january, kind), kind


def test_bollards_moved_as_often_as_tokens_say(played: tuple[Site, list[Record], Report]) -> None:
    _, january, found = played
    for one in found.lanes.bollards:
        mine = [r for r in january if r.data.get("bollard") == one.bollard]
        assert one.raises == count(mine, "lane.token", motion="raise")
        assert one.lowers == count(mine, "lane.token", motion="lower")
        assert one.efo == count(mine, "lane.token", motion="efo")
        assert one.ups == count(mine, "lane.position", position="up")
        assert one.reversals == count(mine, "lane.reversal")
    assert sum(one.cycles for one in found.lanes.bollards) > 10


def test_a_lane_s_time_is_the_whole_month_told_apart(played: tuple[Site, list[Record], Report]) -> None:
    _, _, found = played
    month_ms = found.head.to_ms - found.head.from_ms
    off_ms = sum(span.ms for span in found.coverage.unknown)
    assert off_ms > 0
    for lane in found.lanes.lanes:
        assert lane.known_ms + lane.unknown_ms == month_ms
        assert lane.unknown_ms == off_ms


def test_a_lane_could_serve_when_nothing_spoke_against_it(played: tuple[Site, list[Record], Report]) -> None:
    """Counted again another way: for each thing that keeps a lane from serving its own stretches, then their union."""
    _, january, found = played
    start_ms = ms("2026-01-01 00:00")
    end_ms = ms("2026-02-01 00:00")
    for lane in found.lanes.lanes:
        mine = [record for record in january if record.subject == f"lane:{lane.lane}" or record.kind == "box.started"]
        bad = _off(january, start_ms)
        bad += _stretches(mine, start_ms, end_ms, {"lane.lost", "box.started"}, {"lane.back"})
        bad += _stretches(mine, start_ms, end_ms, _closing, {"lane.cleared"})
        bad += _stretches(mine, start_ms, end_ms, _not_remote, _remote)
        for bollard in ("main-1", "main-2", "service-1"):
            between = partial(_between, bollard)
            bad += _stretches(mine, start_ms, end_ms, between, partial(_proven, bollard))
        union = sum(span.ms for span in joined(bad))
        assert abs(lane.available_ms - (end_ms - start_ms - union)) <= 10 * len(bad), lane.lane
        assert union > 0


Picks = Callable[[Record], bool] | set[str]


def _stretches(records: list[Record], start_ms: int, end_ms: int, begins: Picks, ends: Picks) -> list[Span]:
    found, since_ms = [], None
    for record in records:
        at_ms = start_ms + record.mono_ns // 1_000_000
        if since_ms is None and _picked(record, begins):
            since_ms = at_ms
        elif since_ms is not None and _picked(record, ends):
            found.append(Span(since_ms, at_ms))
            since_ms = None
    return found if since_ms is None else [*found, Span(since_ms, end_ms)]


def _picked(record: Record, picks: Picks) -> bool:
    return record.kind in picks if isinstance(picks, set) else picks(record)


def _off(records: list[Record], start_ms: int) -> list[Span]:
    pairs = [(before, record) for before, record in pairwise(records) if record.kind == "box.started"]
    times = [(before.mono_ns // 1_000_000, record.mono_ns // 1_000_000) for before, record in pairs]
    return [Span(start_ms + before, start_ms + after) for before, after in times]


def _closing(record: Record) -> bool:
    return record.kind == "lane.unasked" or (record.kind == "lane.fault" and record.data["why"] != "between")


def _not_remote(record: Record) -> bool:
    return record.kind == "lane.mode" and record.data["mode"] != "remote"


def _remote(record: Record) -> bool:
    return record.kind == "lane.mode" and record.data["mode"] == "remote"


def _between(bollard: str, record: Record) -> bool:
    return record.kind == "lane.fault" and record.data["why"] == "between" and record.data["bollard"] == bollard


def _proven(bollard: str, record: Record) -> bool:
    """Proven at an end, cleared by a person, or forgotten with a restart."""
    proven = record.kind == "lane.position" and record.data["bollard"] == bollard
    return proven or record.kind in ("lane.cleared", "box.started")


def test_off_times_lie_between_the_last_record_and_the_start(played: tuple[Site, list[Record], Report]) -> None:
    _, january, found = played
    start_ms = ms("2026-01-01 00:00")
    expected = []
    for before, record in pairwise(january):
        if record.kind == "box.started":
            expected.append((start_ms + before.mono_ns // 1_000_000, start_ms + record.mono_ns // 1_000_000))
    told = [(span.from_ms, span.to_ms) for span in found.coverage.unknown if span.why == "off"]
    assert len(told) == len(expected) > 0
    for one, other in zip(told, expected, strict=True):
        assert abs(one[0] - other[0]) <= 1 and abs(one[1] - other[1]) <= 1  # a record's time is rounded to the ms


def test_visits_are_those_that_were_registered(played: tuple[Site, list[Record], Report]) -> None:
    _, january, found = played
    registered = count(january, "command.done", verb="visit_register")
    assert len(found.visits.visits) == registered > 0
    came = sum(1 for r in january if r.kind == "visit.ended" and r.data["came"])
    assert sum(one.came_ms is not None for one in found.visits.visits) == came
    assert sum(one.overstayed for one in found.visits.visits) == count(january, "visit.overstay")


def test_duty_minutes_are_what_the_watches_say(played: tuple[Site, list[Record], Report]) -> None:
    """Manned, unmanned and unknown never overlap, and nobody is counted for longer than the day has."""
    _, january, found = played
    for day in found.duty.days:
        assert day.manned_ms + day.unmanned_ms + day.unknown_ms <= 86_400_000
    assert sum(day.check_ins for day in found.duty.days) == count(january, "duty.on")
    assert sum(day.unanswered for day in found.duty.days) == count(january, "duty.unanswered")
    assert sum(one.count for one in found.duty.patrols) == count(january, "duty.patrol")
    told_ms = {post: sum(day.unmanned_ms for day in found.duty.days if day.post == post) for post in found.duty.posts}
    ended = [r for r in january if r.kind == "duty.manned"]
    for post in found.duty.posts:
        minutes = sum(int(str(r.data["minutes"])) for r in ended if r.data["post"] == post)
        assert abs(told_ms[post] / 60_000 - minutes) <= max(1, len(ended)) + 60  # the last one may go on


def test_february_goes_on_where_january_ended(played: tuple[Site, list[Record], Report]) -> None:
    site, _, january = played
    february = report(site, "2026-02")
    assert february.head.from_seq == january.head.to_seq + 1
    assert places.storage_dir(site).exists()
