"""What lies in a month, and what nobody knows of it: borders, gaps, clocks in doubt, epochs, lost ends."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs
from report_scenes import Story, journal, ms, report, site_in

from agent.core.words import ClockTrust
from agent.journal import retention
from agent.journal.errors import Damaged
from agent.journal.keys import BoxKey, load_or_create
from agent.journal.opening import open_journal
from agent.journal.store import Store
from agent.journal.verify import verify
from agent.reports.layout import summary
from agent.reports.make import NoRecords
from agent.reports.model import When
from agent.reports.month import BadMonth, Month, months, parse
from agent.reports.spans import Span, Track, by_day_ms, joined, minus
from agent.web import reports
from hardware import places

HOUR_MS = 3_600_000


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(site_in(tmp_path)).at("08-15 12:00").start()


def press(story: Story) -> tuple[int, int]:
    return story.add("panic.pressed", "button:office", button="office", drill=False, edge_ns=1, seen=True)


# ── months ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_month_ends_at_local_midnight(story: Story) -> None:
    story.at("08-31 23:59:59.999").add("lane.asked", "lane:main", motion="raise", rank="console")
    first = press(story.at("09-01 00:00"))
    last = press(story.at("09-30 23:59:59.999"))
    press(story.at("10-01 00:00"))
    found = report(story.write().site)
    assert [one.ref for one in found.panic.presses] == [first, last]
    assert (found.head.from_seq, found.head.to_seq, found.head.records) == (first[1], last[1], 2)


def test_december_ends_with_the_year(story: Story) -> None:
    kept = press(story.at("2026-12-31 23:59"))
    press(story.at("2027-01-01 00:00"))
    story.at("2027-01-05 00:00").add("day.window", "day", peak=False, windows=[])
    site = story.write().site
    december = report(site, "2026-12", "2027-02-01 00:00")
    assert [one.ref for one in december.panic.presses] == [kept]
    assert len(report(site, "2027-01", "2027-02-01 00:00").panic.presses) == 1


@pytest.mark.parametrize("text", ["2026-13", "2026-9", "26-09", "2026-00", "", "2026-09-01", "１２３４-０１"])
def test_what_is_no_month_is_told(text: str) -> None:
    with pytest.raises(BadMonth, match="write it as 2026-09"):
        parse(text, ZoneInfo("Asia/Shanghai"), ms("12-01 00:00"))


def test_a_month_that_has_not_begun_is_told() -> None:
    with pytest.raises(BadMonth, match="not begun"):
        parse("2026-10", ZoneInfo("Asia/Shanghai"), ms("09-30 23:59:59"))
    assert parse("2026-10", ZoneInfo("Asia/Shanghai"), ms("10-01 00:00")).text == "2026-10"


def test_a_month_of_a_zone_that_changes_its_clock_has_days_of_other_lengths() -> None:
    march = Month(2026, 3, ZoneInfo("Europe/Berlin"))
    assert march.edges[29] - march.edges[28] == 23 * HOUR_MS
    assert march.day(march.from_ms - 1) == -1 and march.day(march.to_ms) == len(march.days)


def test_months_between_two_instants_newest_first() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert list(months(ms("2025-11-30 23:59"), ms("2026-02-01 00:00"), zone)) == [
        "2026-02", "2026-01", "2025-12", "2025-11",
    ]  # fmt: skip


# ── spans ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_spans_are_joined_cut_and_counted_by_day() -> None:
    assert joined([Span(5, 9, "b"), Span(0, 6, "a"), Span(9, 10, "c")]) == [Span(0, 10, "a")]
    assert minus([Span(0, 10)], [Span(2, 3), Span(5, 20)]) == [Span(0, 2), Span(3, 5)]
    month = Month(2026, 9, ZoneInfo("Asia/Shanghai"))
    days = by_day_ms([Span(ms("08-31 12:00"), ms("09-02 06:00"))], month)
    assert days[:3] == [24 * HOUR_MS, 6 * HOUR_MS, 0]


def test_a_track_forgets_what_lies_before_the_month_and_never_runs_backwards() -> None:
    track = Track("a", 100)
    track.set("b", 50)
    track.set("a", 150)
    track.set("b", 120)
    track.set("c", 200)
    assert track.end(300) == [Span(50, 150, "b"), Span(150, 200, "b"), Span(200, 300, "c")]


# ── what is not known ──────────────────────────────────────────────────────────────────────────────────────────────


def test_off_time_is_unknown_and_never_normal(story: Story) -> None:
    story.at("09-10 08:00").add("day.window", "day", peak=False, windows=[])
    story.at("09-10 10:30").start("boot-2")
    story.at("10-03 00:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site)
    assert found.coverage.unknown == (Span(ms("09-10 08:00"), ms("09-10 10:30"), "off"),)
    assert [boot.dark_ms for boot in found.coverage.boots] == [150 * 60_000]
    assert summary.states(found)[1] == "unknown"


def test_off_over_the_end_of_the_month_is_unknown_to_its_end(story: Story) -> None:
    story.at("09-29 00:00").add("day.window", "day", peak=False, windows=[])
    story.at("10-09 00:00").start("boot-2")
    found = report(story.write().site)
    assert found.coverage.unknown == (Span(ms("09-29 00:00"), ms("10-01 00:00"), "off"),)


def test_before_the_first_record_and_after_the_last_nothing_is_known(tmp_path: Path) -> None:
    story = Story(site_in(tmp_path)).at("09-05 00:00").start()
    story.at("09-20 00:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site)
    assert found.coverage.unknown == (
        Span(ms("09-01 00:00"), ms("09-05 00:00"), "before_journal"),
        Span(ms("09-20 00:00"), ms("10-01 00:00"), "after_journal"),
    )
    assert found.lanes.lanes[0].available_ms == 15 * 24 * HOUR_MS


def test_a_running_month_reaches_to_its_newest_record(story: Story) -> None:
    story.at("09-12 09:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site, made="09-12 11:00")
    assert found.head.until_ms == ms("09-12 09:00")
    assert found.coverage.unknown == ()
    assert found.lanes.lanes[0].available_ms == (11 * 24 + 9) * HOUR_MS


def test_a_box_that_has_long_been_silent_is_not_called_well(story: Story) -> None:
    story.at("09-12 09:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site, made="09-14 11:00")
    assert found.coverage.unknown == (Span(ms("09-12 09:00"), ms("09-14 11:00"), "after_journal"),)


def test_a_month_without_records_is_told_with_what_there_is(story: Story) -> None:
    site = story.write().site
    with pytest.raises(NoRecords, match=r"nothing of 2026-10: it begins 2026-08-15 12:00"):
        report(site, "2026-10")


def test_a_month_in_which_the_box_was_off_is_unknown_from_end_to_end(story: Story) -> None:
    story.at("11-03 08:00").start("boot-2")
    found = report(story.write().site)
    assert found.coverage.unknown == (Span(ms("09-01 00:00"), ms("10-01 00:00"), "off"),)
    assert found.head.records == 0
    assert found.lanes.lanes[0].available_ms == 0
    assert summary.states(found)[:2] == ("nothing", "unknown")


def test_another_box_s_journal_is_refused(story: Story) -> None:
    site = story.write().site
    with sqlite3.connect(journal(site)) as connection:
        connection.execute("UPDATE about SET value = 'other/gate-9' WHERE name = 'box'")
    connection.close()
    with pytest.raises(Damaged, match=r"other/gate-9, the site file of dongfang-primary/gate-1"):
        report(site, "2026-08")


# ── clocks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_clock_that_jumped_is_corrected_by_the_monotonic_one(story: Story) -> None:
    """A day ahead and not trusted: what happens lies where it happened, so 30 September stays in its month."""
    story.at("09-30 12:00").add("day.window", "day", peak=False, windows=[])
    story.clock, story.wall_off_ms = ClockTrust.UNTRUSTED, 86_400_000
    story.add("clock.off", "clock", step_ms=86_400_000, to="untrusted", why="step")
    kept = press(story.at("09-30 13:00"))
    story.clock, story.wall_off_ms = ClockTrust.TRUSTED, 0
    story.at("10-03 13:30").add("clock.trust", "clock", step_ms=0, to="trusted", why="sync")
    found = report(story.write().site)
    assert [(one.ref, one.at) for one in found.panic.presses] == [(kept, When(ms("09-30 13:00")))]
    assert found.coverage.unknown == ()


def test_a_trusted_clock_that_was_years_ahead_for_a_while_does_not_end_the_month(story: Story) -> None:
    story.at("09-10 08:00").add("day.window", "day", peak=False, windows=[])
    story.wall_off_ms = 400 * 86_400_000
    for _ in range(20):
        story.later(seconds=1).add("door.rex", "door:wicket")
    story.wall_off_ms = 0
    story.later(seconds=1).add("clock.off", "clock", step_ms=-1, to="trusted", why="step")
    kept = press(story.at("09-20 08:00"))
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site)
    assert [one.ref for one in found.panic.presses] == [kept]
    assert found.lanes.lanes[0].available_ms == 30 * 24 * HOUR_MS
    assert [one.kind for one in found.coverage.troubles] == ["clock.off"]


def test_a_boot_with_a_wrong_clock_is_placed_by_the_trust_that_came_later(story: Story) -> None:
    story.at("09-10 08:00").add("day.window", "day", peak=False, windows=[])
    story.clock, story.wall_off_ms = ClockTrust.UNTRUSTED, -1_000 * HOUR_MS
    story.at("09-10 09:00").start("boot-2")
    kept = press(story.later(minutes=1))
    story.clock, story.wall_off_ms = ClockTrust.TRUSTED, 0
    story.later(minutes=4).add("clock.trust", "clock", step_ms=1, to="trusted", why="")
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site)
    assert [(one.ref, one.at) for one in found.panic.presses] == [(kept, When(ms("09-10 09:01")))]
    assert found.coverage.unknown == (Span(ms("09-10 08:00"), ms("09-10 09:00"), "off"),)


def test_a_boot_whose_clock_was_never_trusted_is_a_gap_with_its_events_in_it(story: Story) -> None:
    story.at("09-10 08:00").add("day.window", "day", peak=False, windows=[])
    story.clock, story.wall_off_ms = ClockTrust.UNTRUSTED, 9_000 * HOUR_MS
    story.at("09-10 09:00").start("boot-2")
    kept = press(story.later(minutes=1))
    story.clock, story.wall_off_ms = ClockTrust.TRUSTED, 0
    story.at("09-10 12:00").start("boot-3")
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site)
    assert [(one.ref, one.at) for one in found.panic.presses] == [(kept, When(ms("09-10 08:00"), sure=False))]
    assert found.coverage.unknown == (Span(ms("09-10 08:00"), ms("09-10 12:00"), "clock"),)
    assert found.lanes.lanes[0].unknown_ms == 4 * HOUR_MS


def test_months_are_told_by_clocks_that_were_trusted(tmp_path: Path) -> None:
    """A box that came up in 1970, and one whose clock is in doubt now, have the months between."""
    story = Story(site_in(tmp_path)).at("1970-01-02 00:00")
    story.clock = ClockTrust.UNTRUSTED
    story.start()
    story.clock = ClockTrust.TRUSTED
    story.at("08-30 12:00").add("clock.trust", "clock", step_ms=1, to="trusted", why="")
    story.at("09-30 12:00").add("day.window", "day", peak=False, windows=[])
    story.clock, story.wall_off_ms = ClockTrust.UNTRUSTED, 90 * 86_400_000
    for _ in range(reports.STRIDE + 20):
        story.later(minutes=1).add("day.window", "day", peak=False, windows=[])
    standing = reports._look(journal(story.write().site))
    assert (standing.first_ms, standing.last_ms) == (ms("08-30 12:00"), ms("09-30 12:00"))


# ── epochs, lost ends, evicted bodies ──────────────────────────────────────────────────────────────────────────────


def test_a_new_epoch_in_the_month_is_told_and_both_trees_are_named(story: Story) -> None:
    first = press(story.at("09-10 08:00"))
    story.write()
    story.epoch = 2
    story.at("09-11 08:00").add("box.new_epoch", "box", epoch=2, why="the far side knows more")
    second = press(story.at("09-12 08:00"))
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    found = report(story.write().site)
    assert [one.ref for one in found.panic.presses] == [first, second]
    assert [(one.epoch, one.signature) for one in found.head.checkpoints] == [(1, "good"), (2, "good")]
    assert found.head.checkpoints[0].covered_seq == first[1]
    assert [one.kind for one in found.coverage.troubles] == ["box.new_epoch"]
    assert summary.states(found)[1] == "unknown"


def test_a_damaged_journal_was_kept_aside_and_the_time_before_the_new_one_is_unknown(story: Story) -> None:
    press(story.at("09-10 08:00"))
    site = story.write().site
    folder = places.storage_dir(site)
    with sqlite3.connect(journal(site)) as connection:
        connection.execute("DELETE FROM record WHERE seq = (SELECT max(seq) FROM record)")
    connection.close()
    found = open_journal(folder, site.site.id, site.site.box)
    assert found.problems[0].code == "damaged"
    story.epoch = found.epoch
    story.records = [structs.replace(story.records[-1], seq=found.next_seq - 1)]
    story.at("09-11 08:00").start("boot-2")
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    told = report(story.write().site)
    assert told.panic.presses == ()
    assert told.coverage.unknown == (Span(ms("09-01 00:00"), ms("09-11 08:00"), "before_journal"),)


def test_a_journal_whose_beginning_was_pruned_still_says_which_record_is_signed(story: Story) -> None:
    """Of a tree whose first leaves are gone, the size of a checkpoint is no record's number less one."""
    for minute in range(50):
        story.at(f"08-16 12:{minute:02d}").add("day.window", "day", peak=False, windows=[])
    story.latched()
    kept = press(story.at("09-10 08:00"))
    site = story.write().site
    key = load_or_create(places.storage_dir(site))
    store = Store(journal(site), key, f"{site.site.id}/{site.site.box}")
    pruned = 0
    while trim := retention.look_for_old(store, "2026-08-16T04:30"):
        store.in_one_go(retention.statements_of(store, trim, ()))
        pruned += trim.count
    store.close()
    assert pruned > 20
    found = report(site)
    assert [one.ref for one in found.panic.presses] == [kept]
    assert found.head.checkpoints[0].covered_seq == found.head.up_to_seq == kept[1]
    assert verify(journal(site), found.head.checkpoints[0].note.encode()).ok


def test_evicted_bodies_are_counted_and_keep_a_month_from_being_called_well(story: Story) -> None:
    story.at("09-10 08:00").add("day.window", "day", peak=False, windows=[])
    gone = story.add("access.granted", "door:wicket", direction="in", holder="p", reader="wicket-in", group="pupil")
    story.at("10-02 00:00").add("day.window", "day", peak=False, windows=[])
    site = story.write().site
    with sqlite3.connect(journal(site)) as connection:
        connection.execute("UPDATE record SET body = NULL WHERE seq = ?", (gone[1],))
    connection.close()
    found = report(site)
    assert (found.head.evicted, found.head.records) == (1, 2)
    assert summary.states(found)[1] == "unknown"


def test_a_report_ends_where_the_newest_signed_checkpoint_ends(story: Story) -> None:
    press(story.at("09-10 08:00"))
    site = story.write().site
    signed_size = len(story.records)
    assert signed_size == 1
    with sqlite3.connect(journal(site)) as connection:  # as if the newest checkpoint were not there yet
        size = connection.execute("SELECT max(size) FROM checkpoint").fetchone()[0]
        row = connection.execute("SELECT * FROM record WHERE seq = ?", (size,)).fetchone()
        connection.execute("INSERT INTO record VALUES(?, ?, ?, ?, ?)", (size + 1, *row[1:]))
    connection.close()
    found = report(site)
    assert len(found.panic.presses) == 1
    assert found.head.to_seq == found.head.checkpoints[0].covered_seq == size


def test_a_checkpoint_of_another_key_is_called_bad(story: Story) -> None:
    press(story.at("09-10 08:00"))
    site = story.write().site
    assert report(site).head.checkpoints[0].signature == "good"
    assert report(site, key=False).head.checkpoints[0].signature == "unchecked"
    (places.storage_dir(site) / "journal.pub").write_bytes(BoxKey.generate().public_pem())
    assert report(site).head.checkpoints[0].signature == "bad"
