"""Golden figures: small stories whose numbers are known by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_scenes import GUARD, MINUTE_MS, Story, ms, report, site_in

from agent.reports.layout import summary
from agent.reports.model import LaneUse, PathStage, Report, When

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
SEPTEMBER_MS = 30 * DAY_MS


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """The box runs from the middle of August on, all well."""
    return Story(site_in(tmp_path)).at("08-15 12:00").start()


def told(story: Story) -> Report:
    story.at("10-02 12:00").add("day.window", "day", peak=False, windows=[])
    return report(story.write().site)


def lane_of(found: Report, name: str) -> LaneUse:
    return next(lane for lane in found.lanes.lanes if lane.lane == name)


# ── duty ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_vacancy_counts_from_its_beginning_and_is_cut_at_midnight(story: Story) -> None:
    story.at("08-31 20:00").add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
    story.at("09-01 23:30").add("duty.off", "post:house", guard=GUARD, minutes=1650, post="house")
    story.at("09-01 23:40").add("duty.unmanned", "post:house", peak=False, post="house")
    story.at("09-02 00:10").add("duty.manned", "post:house", minutes=40, post="house")
    story.add("duty.on", "post:house", guard="guard-0002", post="house", relieves="", rostered=True)
    first, second, third = told(story).duty.days[:3]
    assert (first.manned_ms, first.unmanned_ms, first.unknown_ms) == (23 * HOUR_MS + 30 * MINUTE_MS, 30 * MINUTE_MS, 0)
    assert (second.manned_ms, second.unmanned_ms) == (DAY_MS - 10 * MINUTE_MS, 10 * MINUTE_MS)
    assert (third.manned_ms, third.unmanned_ms) == (DAY_MS, 0)
    assert [(day.check_ins, day.check_outs) for day in (first, second, third)] == [(0, 1), (1, 0), (0, 0)]


def test_at_a_peak_a_vacancy_is_told_after_three_minutes(story: Story) -> None:
    story.at("09-01 07:03").add("duty.unmanned", "post:kerb", peak=True, post="kerb")
    story.at("09-01 07:20").add("duty.on", "post:kerb", guard=GUARD, post="kerb", relieves="", rostered=True)
    assert told(story).duty.days[0].unmanned_ms == 20 * MINUTE_MS


def test_a_vacancy_that_a_peak_overtook_began_when_it_began(story: Story) -> None:
    story.at("09-01 06:56").add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
    story.add("duty.off", "post:house", guard=GUARD, minutes=0, post="house")
    story.at("09-01 07:03").add("duty.unmanned", "post:house", peak=True, post="house")
    story.at("09-01 07:10").add("duty.manned", "post:house", minutes=14, post="house")
    assert told(story).duty.days[0].unmanned_ms == 14 * MINUTE_MS


def test_a_vacancy_that_nobody_ended_goes_on_to_the_end_of_the_month(story: Story) -> None:
    story.at("09-30 12:10").add("duty.unmanned", "post:house", peak=False, post="house")
    assert told(story).duty.days[-1].unmanned_ms == 12 * HOUR_MS


def test_a_guard_who_takes_another_post_leaves_the_first(story: Story) -> None:
    story.at("09-01 00:00").add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
    story.latched(on={"house": {"guard": GUARD, "since_ms": 0, "ref": None}})
    story.at("09-01 06:00").add("duty.on", "post:kerb", guard=GUARD, post="kerb", relieves="", rostered=True)
    story.latched(on={"kerb": {"guard": GUARD, "since_ms": 0, "ref": None}})
    days = {day.post: day for day in told(story).duty.days if day.day == 0}
    assert (days["house"].manned_ms, days["kerb"].manned_ms) == (6 * HOUR_MS, 18 * HOUR_MS)


def test_a_watch_goes_on_over_a_restart_but_not_through_it(story: Story) -> None:
    story.at("09-01 00:00").add("duty.on", "post:house", guard=GUARD, post="house", relieves="", rostered=True)
    story.at("09-01 09:00").add("access.presence", "reader:guard", holder=GUARD)
    story.at("09-01 10:00").start("boot-2")
    day = told(story).duty.days[0]
    assert (day.manned_ms, day.unknown_ms) == (23 * HOUR_MS, HOUR_MS)


def test_signs_and_patrols_are_counted_by_day(story: Story) -> None:
    for hour in (8, 10, 12):
        story.at(f"09-01 {hour:02d}:00").add("duty.asked", "post:house", guard=GUARD, post="house")
    story.at("09-01 08:02").add("duty.confirmed", "post:house", guard=GUARD, post="house")
    story.at("09-01 12:05").add("duty.unanswered", "post:house", guard=GUARD, post="house")
    for count in range(1, 5):
        story.at(f"09-01 {12 + count}:30").add("duty.patrol", "reader:guard", count=count, guard=GUARD, reader="guard")
    story.at("09-02 00:00").add("duty.patrols_short", "day", count=4, required=5)
    found = told(story)
    day, patrols = found.duty.days[0], found.duty.patrols
    assert (day.asked, day.confirmed, day.unanswered) == (3, 1, 1)
    assert (patrols[0].count, patrols[0].required, patrols[0].known) == (4, 5, True)
    assert (patrols[1].count, patrols[1].required) == (0, 5)  # nobody told of it: the rule that was told last
    assert len(patrols) == 30
    assert summary.states(found)[0] == "gaps"


# ── bollards ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lane_without_a_fault_could_serve_all_the_time(story: Story) -> None:
    found = told(story)
    lane = lane_of(found, "main")
    assert (lane.available_ms, lane.unknown_ms, lane.out_ms) == (SEPTEMBER_MS, 0, ())
    assert summary.states(found)[1] == "well"


def test_each_reason_takes_its_time_and_the_worst_one_counts(story: Story) -> None:
    story.at("09-03 10:00").add("lane.mode", "lane:main", mode="local", was="remote")
    story.at("09-03 10:30").add("lane.lost", "lane:main", why="no answer")
    story.at("09-03 10:40").add("lane.back", "lane:main")
    story.add("lane.mode", "lane:main", mode="remote", was="unknown")
    story.at("09-04 08:00").add("lane.fault", "lane:main", bollard="main-1", why="timeout")
    story.at("09-04 09:15").add("lane.cleared", "lane:main", faults=1)
    story.at("09-05 08:00").add("lane.fault", "lane:main", bollard="main-2", why="between")
    story.at("09-05 08:20").add("lane.position", "lane:main", bollard="main-2", position="down", ms=None, by="")
    found = told(story)
    lane = lane_of(found, "main")
    out = {"mode:local": 30, "lost": 10, "fault": 75, "between": 20}
    assert dict(lane.out_ms) == {why: minutes * MINUTE_MS for why, minutes in out.items()}
    assert lane.available_ms == SEPTEMBER_MS - sum(out.values()) * MINUTE_MS
    assert dict(lane_of(found, "service").out_ms) == {}


def test_while_the_box_is_off_nobody_knows_and_a_closed_lane_stays_closed(story: Story) -> None:
    story.at("09-10 08:00").add("lane.unasked", "lane:main", bollard="main-1", why="unasked")
    story.at("09-10 12:00").start("boot-2", lanes=False)
    story.add("lane.restored", "lane:main", closed=True, efo=False)
    story.add("lane.back", "lane:main")
    story.add("lane.mode", "lane:main", mode="remote", was="unknown")
    story.at("09-10 13:00").add("lane.cleared", "lane:main", faults=1)
    lane = lane_of(told(story), "main")
    assert lane.unknown_ms == 4 * HOUR_MS
    assert dict(lane.out_ms) == {"fault": HOUR_MS}


def test_a_lane_that_does_not_answer_after_a_start_is_lost_after_a_minute(story: Story) -> None:
    story.at("09-10 08:00").add("day.window", "day", peak=False, windows=[])
    story.at("09-10 08:00:01").start("boot-2", lanes=False)
    for lane, seconds in (("service", 30), ("main", 570)):
        story.later(seconds=seconds).add("lane.back", f"lane:{lane}")
        story.add("lane.mode", f"lane:{lane}", mode="remote", was="unknown")
    found = told(story)
    assert dict(lane_of(found, "main").out_ms) == {"lost": 9 * MINUTE_MS}
    assert lane_of(found, "main").unknown_ms == 61_000
    assert (lane_of(found, "service").out_ms, lane_of(found, "service").unknown_ms) == ((), 31_000)


def test_cycles_are_a_raise_and_a_lower_both_proven(story: Story) -> None:
    def end(time: str, position: str, took_ms: int | None) -> None:
        story.at(time).add("lane.position", "lane:main", bollard="main-1", position=position, ms=took_ms, by="console")

    end("08-31 18:00", "up", 4000)
    end("09-01 07:00", "down", 3000)  # the raise was last month: the cycle was finished in this one
    end("09-01 08:00", "up", 4100)
    end("09-01 08:30", "up", None)  # seen again after a loss: no second raise
    end("09-01 16:00", "down", 3000)
    end("09-02 08:00", "up", 4301)
    story.at("09-01 08:00").add("lane.token", "lane:main", bollard="main-1", motion="raise", rank="console", token=1)
    story.add("lane.token", "lane:main", bollard="main-1", motion="efo", rank="panic", token=2)
    story.add("lane.reversal", "lane:main", bollard="main-1", reversals=1, why="sensor:loop1")
    story.add("lane.refused", "lane:main", verb="raise", why="sensor:loop1", sensor="occupied")
    story.add("lane.refused", "lane:main", verb="raise", why="sensor:loop1", sensor="occupied")
    found = told(story)
    one = next(one for one in found.lanes.bollards if one.bollard == "main-1")
    assert (one.raises, one.lowers, one.efo, one.ups, one.downs, one.cycles) == (1, 0, 1, 3, 2, 2)
    assert (one.mean_rise_ms, one.longest_rise_ms, one.reversals) == (4200, 4301, 1)
    assert one.last_cycle == When(ms("09-01 16:00"))
    assert [(one.verb, one.why, one.count) for one in found.lanes.refusals] == [("raise", "sensor:loop1", 2)]


# ── panic ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_press_has_its_hops_and_the_receipts_of_every_path(story: Story) -> None:
    ref = story.at("09-07 15:00").add(
        "panic.pressed", "button:gatehouse", button="gatehouse", drill=False, edge_ns=1, seen=True, efo_asked=True
    )
    story.later(seconds=0.2).add(
        "alarm.stage", "button:gatehouse", cause=ref, button="gatehouse", by="", drill=False, path="mqtt", stage="sent"
    )
    story.later(seconds=1.1).add(
        "alarm.stage", "button:gatehouse", cause=ref, button="gatehouse", by="district", drill=False, path="mqtt",
        stage="received",
    )  # fmt: skip
    story.add("panic.latency", "gatehouse", press=list(ref), decision_us=400, received_us=1_300_000)
    story.later(minutes=1).add("alarm.acknowledged", "panic", actor="desk", alarms=1, drill=False)
    story.later(minutes=9).add("panic.reset", "panic", actor="key:panic-reset", lockdown_ended=True)
    found = told(story)
    (press,) = found.panic.presses
    assert press.stages == (PathStage("mqtt", "sent", 200, ""), PathStage("mqtt", "received", 1300, "district"))
    assert dict(press.hops_us) == {"decision_us": 400, "received_us": 1_300_000}
    assert (press.acknowledged_ms, press.reset_ms) == (ms("09-07 15:01:01.300"), ms("09-07 15:10:01.300"))
    assert summary.unconfirmed(found) == 0
    assert next(one for one in found.panic.buttons if one.button == "gatehouse").presses == 1


def test_a_press_without_a_receipt_is_a_gap(story: Story) -> None:
    story.at("09-07 15:00").add("panic.pressed", "button:office", button="office", drill=False, edge_ns=1, seen=True)
    found = told(story)
    assert summary.unconfirmed(found) == 1
    assert summary.states(found)[4] == "gaps"


def test_a_drill_press_is_the_test_of_its_button(story: Story) -> None:
    story.at("08-20 10:00").add("drill.started", "button:office", button="office", drill=True, minutes=3, reason="x")
    story.add("panic.pressed", "button:office", button="office", drill=True, edge_ns=1)
    story.later(minutes=3).add("drill.ended", "button:office", button="office", drill=True, why="time")
    ref = story.at("09-20 10:00").add(
        "drill.started", "button:gatehouse", actor=GUARD, button="gatehouse", drill=True, minutes=5, reason="training"
    )
    story.add(
        "drill.running", "button:gatehouse", button="gatehouse", drill=True, minutes=5, answered=True, waited_ms=1_250
    )
    story.later(seconds=10).add("panic.pressed", "button:gatehouse", button="gatehouse", drill=True, edge_ns=1)
    story.at("09-20 10:05").add("drill.ended", "button:gatehouse", button="gatehouse", drill=True, why="time")
    story.add("drill.report", "button:gatehouse", id=f"{ref[0]}-{ref[1]}", sha256="ab" * 32, drill=True, presses=1)
    story.at("09-21 10:00").add(
        "drill.started", "button:wicket", actor=GUARD, button="wicket", drill=True, minutes=5, reason="training"
    )
    story.later(minutes=5).add("drill.ended", "button:wicket", button="wicket", drill=True, presses=0, why="not_begun")
    story.at("09-28 00:00").add("duty.test_overdue", "panic", days=38)
    found = told(story)
    tests = {one.button: one for one in found.panic.buttons}
    assert (tests["gatehouse"].tests, tests["gatehouse"].last_ms) == (1, ms("09-20 10:00:10"))
    assert (tests["office"].tests, tests["office"].last_ms) == (0, ms("08-20 10:00"))
    assert (tests["wicket"].tests, tests["wicket"].last_ms) == (0, None)
    drill, other = found.panic.drills
    assert (drill.answered, drill.waited_ms, drill.report, drill.ref) == (True, 1_250, "ab" * 32, ref)
    assert (other.answered, other.why, other.report) == (None, "not_begun", "")
    assert (drill.by, drill.minutes, drill.presses, drill.why) == (GUARD, 5, 1, "time")
    assert [one.days for one in found.panic.overdue] == [38]


# ── hazards, devices, visitors ─────────────────────────────────────────────────────────────────────────────────────


def test_the_ledger_has_what_was_closed_and_what_is_open(story: Story) -> None:
    old = {"what": "fence", "owner": "h-1", "found_ms": ms("08-20 09:00"), "due_ms": ms("09-05 09:00"), "ref": None}
    new = {"what": "light", "owner": "h-2", "found_ms": ms("09-25 09:00"), "due_ms": ms("10-05 09:00"), "ref": None}
    late = {"what": "lock", "owner": "h-3", "found_ms": ms("08-21 09:00"), "due_ms": ms("09-01 09:00"), "ref": None}
    story.at("08-21 09:00").latched(hazards={"old": old, "late": late})
    story.at("09-04 10:00").add("hazard.closed", "hazard:old", days=15, hazard="old", late=False, what="fence")
    story.at("09-25 09:00").latched(hazards={"new": new, "late": late})
    story.at("09-26 09:00").add("hazard.photo", "console", bytes=9, hazard="new", sha256="ab" * 32)
    story.at("09-26 09:01").add("hazard.photo", "console", bytes=9, hazard="unknown", sha256="cd" * 32)
    story.at("10-01 10:00").add("hazard.closed", "hazard:late", days=40, hazard="late", late=True, what="lock")
    rows = {one.hazard: one for one in told(story).hazards}
    assert (rows["new"].photo, rows["late"].photo) == ("ab" * 32, "")
    assert list(rows) == ["old", "late", "new"]
    assert (rows["old"].closed, rows["old"].days, rows["old"].late) == (When(ms("09-04 10:00")), 15, False)
    assert (rows["late"].closed, rows["late"].days, rows["late"].late) == (None, 40, True)  # open at the month's end
    assert (rows["new"].closed, rows["new"].days, rows["new"].late) == (None, 5, False)


def test_a_fault_is_cut_to_the_month_and_its_time_counts_once(story: Story) -> None:
    story.at("08-31 23:00").add("device.lost", "lane:main", why="no answer")
    story.add("lane.lost", "lane:main", why="no answer")
    story.at("09-01 01:00").add("device.back", "lane:main", lost_ms=1)
    story.add("lane.back", "lane:main")
    story.at("09-02 01:00").add("supply.lost", "supply:mains")
    story.later(seconds=10).add("supply.alarm", "supply:mains")
    story.at("09-02 03:00").add("supply.ok", "supply:mains")
    story.at("09-29 00:00").add("path.down", "path:mqtt", path="mqtt", why="broker away")
    devices = told(story).devices
    sums = {one.thing: (one.faults, one.ms) for one in devices.sums}
    assert sums == {
        "lane:main": (1, HOUR_MS),
        "supply:mains": (1, 2 * HOUR_MS),
        "path:mqtt": (1, 2 * DAY_MS),
    }
    assert [(one.thing, one.end) for one in devices.spans] == [
        ("lane:main", ""),
        ("supply:mains", ""),
        ("path:mqtt", "open"),
    ]


def test_a_visit_has_its_way_in_and_out_and_its_card(story: Story) -> None:
    story.at("09-08 09:00")
    asked = {"kind": "visitor", "host": "h-9", "purpose": "meeting", "minutes": "60", "door": "wicket"}
    story.command("visit_register", visit="v-1", card="c1", **asked)
    story.command("visit_consent", visit="v-1", by="phone")
    story.at("09-08 09:05").add("access.granted", "door:wicket", direction="in", holder="v-1", reader="wicket-in")
    story.at("09-08 10:10").add("visit.overstay", "visit:v-1", kind="visitor", visit="v-1")
    story.at("09-08 10:20").add("access.granted", "door:wicket", direction="out", holder="v-1", reader="wicket-out")
    story.add("visit.ended", "visit:v-1", came=True, card_back="yes", late_min=20, why="out")
    story.at("09-09 09:00").command("visit_register", visit="v-2", card="c2", **asked)
    story.at("09-10 09:00").command("visit_register", visit="v-3", **asked)
    story.later(minutes=5).add("visit.ended", "visit:v-3", came=False, card_back="", late_min=0, why="cancelled")
    story.at("09-11 09:00").command("visit_register", visit="v-4", card="c4", **asked)
    story.later(hours=1).add("visit.ended", "visit:v-4", came=True, card_back="no", late_min=0, why="out")
    story.add("visit.card_missing", "visit:v-4", card="c4", visit="v-4")
    found = told(story)
    visits = found.visits
    assert dict(found.campus.counts)["visit.card_missing"] == 1
    first, second, third, fourth = visits.visits
    assert (first.came_ms, first.left_ms, first.late_min) == (ms("09-08 09:05"), ms("09-08 10:20"), 20)
    assert (first.end, first.overstayed, first.card, first.consent) == ("out", True, "back", "phone")
    assert (second.end, second.card, second.came_ms) == ("open", "out", None)
    assert (third.end, third.card) == ("cancelled", "none")
    assert (fourth.end, fourth.card) == ("out", "out")
    assert visits.cards_out == 2


def test_exceptions_have_reason_and_issuer(story: Story) -> None:
    story.at("09-09 10:00").command(
        "slip_add", slip="s1", pupil="p-1", issuer="t-1", from_ms="1", to_ms="2", guardian="0"
    )
    story.later(minutes=5).add("slip.used", "slip:s1", holder="p-1", slip="s1")
    story.add("access.let_out", "door:wicket", actor="desk", door="wicket", holder="p-2", reason="illness")
    story.add("access.unauthorised_exit", "door:wicket", door="wicket", holder="p-3", why="class_hours")
    story.command("shift_day", minutes="30", reason="weather")
    for _ in range(3):
        story.add(
            "access.denied", "reader:turnstile-out", direction="out", holder="p-3", reader="turnstile-out",
            why="class_hours",
        )  # fmt: skip
    story.add("day.plan", "day", date="2026-09-09", plan="week", label="", because="weekday", source="x", shift_min=30)
    found = told(story)
    exits = {one.kind: one for one in found.campus.exits}
    assert (exits["slip.used"].by, exits["slip.used"].why) == ("t-1", "s1")
    assert (exits["access.let_out"].by, exits["access.let_out"].why) == ("desk", "illness")
    assert exits["command:shift_day"].why == "30 weather"
    assert [(one.why, one.count) for one in found.campus.denied] == [("class_hours", 3)]
    assert summary.states(found)[3] == "gaps"
    assert found.campus.days[0].shift_min == 30


def test_a_pupil_who_left_is_a_gap_even_where_no_plan_of_the_day_is_known(story: Story) -> None:
    story.at("09-09 10:00").add(
        "access.unauthorised_exit", "door:wicket", door="wicket", holder="p-3", why="class_hours"
    )
    assert summary.states(told(story))[3] == "gaps"


def test_a_test_that_was_due_and_done_is_no_gap(story: Story) -> None:
    story.at("09-02 00:00").add("duty.test_due", "panic", days=30)
    for button in ("gatehouse", "wicket", "office"):
        story.at("09-03 10:00").add(
            "drill.started", f"button:{button}", button=button, drill=True, minutes=5, reason="x"
        )
        story.add("panic.pressed", f"button:{button}", button=button, drill=True, edge_ns=1)
        story.add("drill.ended", f"button:{button}", button=button, drill=True, why="time")
    assert summary.states(told(story))[4] == "well"


def test_a_button_that_chatters_is_a_gap(story: Story) -> None:
    story.at("09-04 10:00").add("panic.chatter", "button:office", button="office")
    story.later(minutes=5).add("panic.line_ok", "button:office", button="office")
    found = told(story)
    assert [(one.thing, one.ms) for one in found.devices.sums] == [("button:office", 5 * MINUTE_MS)]
    assert summary.states(found)[4] == "gaps"
