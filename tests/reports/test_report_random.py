"""Random months: whatever the journal holds, time is neither lost nor counted twice, and nobody is told apart on the
open page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from report_scenes import ZONE, Story, ms, site_in

from agent.core.records import encode
from agent.core.words import ClockTrust
from agent.journal.errors import Damaged
from agent.journal.merkle import Frontier
from agent.journal.reader import JournalReader
from agent.journal.schema import Base
from agent.reports import layout
from agent.reports.layout import Speech
from agent.reports.layout.table import shown
from agent.reports.make import _Books, make
from agent.reports.model import Report
from agent.reports.month import parse
from hardware.site import Site

HOUR_S = 3600
SECRET = "p-secret"
Step = Callable[[Story], object]


class Memory(JournalReader):
    """A journal that is only told of: the rows of a story, no checkpoints."""

    def __init__(self, story: Story, evicted: frozenset[int]) -> None:
        super().__init__(Path("/nowhere"))
        self._owner = f"{story.site.site.id}/{story.site.site.box}"
        gone = evicted - {len(story.records)}  # the newest record is never routine enough
        self._rows: list[tuple[int, int, bytes | None]] = [
            (one.seq, one.epoch, None if one.seq in gone else encode(one)) for one in story.records
        ]

    def put(self, seq: int, body: bytes) -> None:
        self._rows[seq - 1] = (seq, 1, body)

    def base(self) -> Base:
        return Base(1, 0, bytes(32), Frontier())

    def site_box(self) -> str:
        return self._owner

    def head(self) -> tuple[int, int]:
        return (1, len(self._rows))

    def checkpoint(self) -> tuple[int, int, bytes] | None:
        return None

    def newest_note(self, epoch: int) -> bytes | None:
        return None

    def read(self, from_seq: int, limit: int = 1_000, max_bytes: int = 1 << 20) -> list[tuple[int, int, bytes | None]]:
        return self._rows[from_seq - 1 : from_seq - 1 + limit]


def lane(kind: str, **data: Any) -> Step:
    return lambda story: story.add(kind, "lane:main", **data)


def post(kind: str, **data: Any) -> Step:
    return lambda story: story.add(kind, "post:house", post="house", guard=SECRET, **data)


def doubt(trust: ClockTrust, off_ms: int) -> Step:
    def act(story: Story) -> None:
        story.clock, story.wall_off_ms = trust, off_ms

    return act


def restart(story: Story) -> None:
    story.start(f"boot-{len(story.records)}", lanes=False)


STEPS: tuple[Step, ...] = (
    restart,
    lane("lane.back"),
    lane("lane.lost", why="no answer"),
    lane("lane.mode", mode="remote", was="unknown"),
    lane("lane.mode", mode="hand", was="remote"),
    lane("lane.fault", bollard="main-1", why="timeout"),
    lane("lane.fault", bollard="main-1", why="between"),
    lane("lane.cleared", faults=1),
    lane("lane.restored", closed=True, efo=False),
    lane("lane.position", bollard="main-1", position="up", ms=4000, by=""),
    lane("lane.position", bollard="main-1", position="down", ms=None, by=""),
    post("duty.on", relieves="", rostered=True),
    post("duty.off", minutes=3),
    post("duty.unmanned", peak=False),
    post("duty.manned", minutes=5),
    post("duty.unanswered"),
    lambda story: story.add("device.lost", "reader:guard", why="x"),
    lambda story: story.add("device.back", "reader:guard", lost_ms=1),
    lambda story: story.add("supply.lost", "supply:mains"),
    lambda story: story.add("supply.alarm", "supply:mains"),
    lambda story: story.add("supply.ok", "supply:mains"),
    lambda story: story.add("access.unauthorised_exit", "door:wicket", door="wicket", holder=SECRET, why="class_hours"),
    lambda story: story.add("panic.pressed", "button:office", button="office", drill=False, edge_ns=1, seen=True),
    lambda story: story.command("visit_register", visit=SECRET, kind="visitor", host=SECRET, minutes="60", card="c"),
    lambda story: story.add("visit.ended", f"visit:{SECRET}", came=True, card_back="no", late_min=0, why="out"),
    lambda story: story.latched(on={"house": {"guard": SECRET}}),
    doubt(ClockTrust.TRUSTED, 0),
    doubt(ClockTrust.UNTRUSTED, 40 * 86_400_000),
    doubt(ClockTrust.UNTRUSTED, -40 * 86_400_000),
    doubt(ClockTrust.HOLDOVER, 0),
)
PLAYS = st.lists(st.tuples(st.integers(0, 40 * HOUR_S), st.sampled_from(range(len(STEPS)))), max_size=60)


def played(site: Site, play: list[tuple[int, int]], evicted: frozenset[int]) -> Report:
    story = Story(site).at("08-25 00:00").start()
    for seconds, step in play:
        story.later(seconds=seconds)
        STEPS[step](story)
    story.clock, story.wall_off_ms = ClockTrust.TRUSTED, 0
    story.now_ms = max(story.now_ms, ms("09-02 00:00"))
    story.add("day.window", "day", peak=False, windows=[])
    made_ms = story.now_ms + 1
    return make(Memory(story, evicted), site, parse("2026-09", ZONE, made_ms), made_ms, None)


def judge(found: Report) -> None:
    head = found.head
    month_ms = head.until_ms - head.from_ms
    for use in found.lanes.lanes:
        assert use.known_ms + use.unknown_ms == month_ms
        assert min(use.available_ms, use.unknown_ms, *(part for _, part in use.out_ms), 0) == 0
    assert sum(span.ms for span in found.coverage.unknown) <= month_ms
    for span, after in zip(found.coverage.unknown, found.coverage.unknown[1:], strict=False):
        assert span.to_ms < after.from_ms
    for day in found.duty.days:
        assert min(day.manned_ms, day.unmanned_ms, day.unknown_ms) >= 0
        assert day.manned_ms + day.unmanned_ms + day.unknown_ms <= 24 * HOUR_S * 1000
    for device in found.devices.sums:
        assert 0 <= device.ms <= month_ms
    assert all(0 <= one.ms <= month_ms for one in found.devices.spans)


def spoken(found: Report, site: Site, *, names: bool) -> str:
    speech = Speech("en", site, names=names)
    cells = []
    for table in layout.tables(found, speech):
        for row in table.rows:
            cells += [shown(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)]
        cells += table.notes
    return "\n".join(cells)


@settings(max_examples=150, deadline=None)
@given(PLAYS, st.frozensets(st.integers(1, 60), max_size=3))
def test_time_is_neither_lost_nor_counted_twice(play: list[tuple[int, int]], evicted: frozenset[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = site_in(Path(folder))
        found = played(site, play, evicted)
        judge(found)
        assert SECRET not in spoken(found, site, names=False)


def test_the_judge_sees_time_counted_twice() -> None:
    """A report in which a fault counts as time that could be served besides is not let through."""
    with tempfile.TemporaryDirectory() as folder:
        site = site_in(Path(folder))
        found = played(site, [(8 * 24 * HOUR_S, 1), (0, 3), (HOUR_S, 5), (HOUR_S, 7)], frozenset())
        judge(found)
        assert SECRET in spoken(played(site, [(8 * 24 * HOUR_S, 11)], frozenset()), site, names=True)
        use = found.lanes.lanes[0]
        wrong = structs.replace(use, available_ms=use.available_ms + dict(use.out_ms)["fault"])
        broken = structs.replace(found, lanes=structs.replace(found.lanes, lanes=(wrong,)))
        try:
            judge(broken)
        except AssertionError:
            return
        raise AssertionError("the judge saw nothing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "duty",
    "visits",
    "hazards",
    "on",
    "args",
    "why",
    "post",
    "minutes",
    "press",
    "button",
    "bollard",
    "ms",
    "date",
)


def _gathered() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return sorted(_Books(site_in(Path(folder)), parse("2026-09", ZONE, ms("12-01 00:00"))).kinds)


GATHERED = _gathered()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(GATHERED), st.dictionaries(st.sampled_from(FIELDS), JSON)), max_size=8))
def test_a_record_of_any_kind_with_any_data_is_told_or_named(data: list[tuple[str, dict[str, Any]]]) -> None:
    """Of another version, or damaged: a report, or one line in field words."""
    with tempfile.TemporaryDirectory() as folder:
        site = site_in(Path(folder))
        story = Story(site).at("09-01 00:00").start()
        for kind, fields in data:
            story.later(minutes=5).add(kind, "lane:main", **fields)
        story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
        made_ms = ms("12-01 00:00")
        try:
            found = make(Memory(story, frozenset()), site, parse("2026-09", ZONE, made_ms), made_ms, None)
        except Damaged as error:
            assert "is of another version" in str(error)
            return
        judge(found)
        spoken(found, site, names=True)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80) | JSON.map(msgspec.json.encode), st.integers(1, 3))
def test_a_body_that_is_no_record_is_told(body: bytes, place: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = site_in(Path(folder))
        story = Story(site).at("09-01 00:00").start()
        story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
        reader = Memory(story, frozenset())
        reader.put(place, body)
        made_ms = ms("12-01 00:00")
        with pytest.raises(Damaged, match="menwei journal verify"):
            make(reader, site, parse("2026-09", ZONE, made_ms), made_ms, None)
