"""What the page says is wrong, and that nothing unknown ever counts as all right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
import web_scenes as scenes
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.words import ClockTrust, Contact, Journal, Line, Mode, Motion, Position, Sensor, Stage
from agent.picture import Asked, Book, Drill, Output, Picture
from agent.web.findings import AREAS, Weight, findings, glance, verdict
from agent.web.findings.school import DAY_MS
from agent.web.words import Words

SITE = scenes.demo_site(Path("/nowhere"))
EN = Words("en", SITE)
ZH = Words("zh_CN", SITE)
Change: TypeAlias = Callable[[Picture], Picture]


def told(picture: Picture) -> str:
    return "\n".join(" ".join((f.text, f.advice, f.detail, f.check)) for f in findings(picture, SITE, EN))


def state(picture: Picture) -> str:
    return verdict(picture, findings(picture, SITE, EN), EN).state


def lane(picture: Picture, **more: Any) -> Picture:
    return replace(picture, lanes=(replace(picture.lanes[0], **more), *picture.lanes[1:]))


def bollard(picture: Picture, **more: Any) -> Picture:
    first = picture.lanes[0]
    return lane(picture, bollards=(replace(first.bollards[0], **more), *first.bollards[1:]))


def sensor(picture: Picture, value: Sensor) -> Picture:
    first = picture.lanes[0]
    return lane(picture, sensors=(replace(first.sensors[0], value=value), *first.sensors[1:]))


def door(picture: Picture, **more: Any) -> Picture:
    return replace(picture, doors=(replace(picture.doors[0], **more), *picture.doors[1:]))


def button(picture: Picture, line: Line, **more: Any) -> Picture:
    buttons = picture.panic.buttons
    return replace(
        picture, panic=replace(picture.panic, buttons=(replace(buttons[0], line=line, **more), *buttons[1:]))
    )


def test_a_gate_where_all_is_measured_and_well_is_all_right() -> None:
    picture = scenes.normal(SITE)
    assert findings(picture, SITE, EN) == ()
    assert state(picture) == "ok"
    assert set(glance(picture, ()).values()) == {"ok"}


CHANGES: dict[str, tuple[Change, str, str]] = {
    "button cut": (lambda p: button(p, Line.CUT), "fault", "line cut"),
    "button chatters": (lambda p: button(p, Line.NORMAL, chatter=True), "fault", "more presses than a hand can"),
    "button unread": (lambda p: button(p, Line.UNREAD), "fault", "not measured"),
    "button held": (lambda p: button(p, Line.PRESSED), "warning", "Let the button out"),
    "fire": (lambda p: replace(p, fire=replace(p.fire, latched=True)), "alarm", "evacuation doors are released"),
    "fire unread": (lambda p: replace(p, fire=replace(p.fire, input=None)), "fault", "gpio:4"),
    "lockdown": (lambda p: replace(p, panic=replace(p.panic, lockdown=True)), "warning", "locked down"),
    "drill": (
        lambda p: replace(p, panic=replace(p.panic, drill=Drill(button="office", ends=50_100_000))),
        "ok",
        "Drill on panic button “教务处”",
    ),
    "drill announced": (
        lambda p: replace(p, panic=replace(p.panic, drill=Drill(button="office", ends=1, phase="announced"))),
        "warning",
        "Every press is real until somebody has heard",
    ),
    "drill unanswered": (
        lambda p: replace(p, panic=replace(p.panic, drill=Drill(button="office", ends=1, phase="unanswered"))),
        "warning",
        "Nobody answered the announcement",
    ),
    "all-clear asked": (
        lambda p: replace(p, asked=(Asked(what="all_clear", since=1, until=2),)),
        "warning",
        "asks for the all-clear If the gate is safe, turn the panic reset key",
    ),
    "drill proposed": (
        lambda p: replace(p, asked=(Asked(what="drill", button="office", since=1, until=2),)),
        "warning",
        "proposes a drill on panic button “教务处”",
    ),
    "not scanned": (lambda p: replace(p, scanned=False), "warning", "not every input has been read"),
    "lane lost": (lambda p: lane(p, lost=True), "fault", "everything there is unknown"),
    "lane closed": (lambda p: lane(p, closed=True), "fault", "closed after a fault"),
    "lane local": (lambda p: lane(p, mode=Mode.LOCAL), "warning", "is on “local”"),
    "lane e-stop": (lambda p: lane(p, mode=Mode.ESTOP), "fault", "emergency stop"),
    "lane mode unknown": (lambda p: lane(p, mode=Mode.UNKNOWN), "fault", "unknown"),
    "raise refused": (lambda p: lane(p, blocked="sensor:loop1"), "warning", "Loop 1 not clear"),
    "raise refused, new word": (lambda p: lane(p, blocked="moon_phase"), "warning", "moon_phase"),
    "fire key": (lambda p: lane(p, fire_key=True), "alarm", "fire key is turned"),
    "timetable": (lambda p: lane(p, wanted=Motion.RAISE), "ok", "timetable asks to raise"),
    "efo": (lambda p: lane(p, efo=True), "ok", "Emergency raise latched"),
    "bollard fault": (lambda p: bollard(p, fault="timeout", plc_fault=3), "fault", "fault code 3"),
    "bollard switches": (lambda p: bollard(p, position=Position.FAULT), "fault", "position fault"),
    "bollard unknown": (lambda p: bollard(p, position=Position.UNKNOWN), "fault", "unknown"),
    "not commissioned": (lambda p: bollard(p, commissioned=False), "warning", "not been commissioned"),
    "slow": (lambda p: bollard(p, rise_ms=5000), "warning", "rises 25 % slower"),
    "sensor faulty": (lambda p: sensor(p, Sensor.FAULTY), "fault", "Loop 1: sensor faulty"),
    "sensor unread": (lambda p: sensor(p, Sensor.UNREAD), "fault", "Loop 1: not measured"),
    "forced": (lambda p: door(p, forced=True), "alarm", "was forced open"),
    "held": (lambda p: door(p, held=True), "warning", "held open"),
    "contact unread": (lambda p: door(p, contact=Contact.UNREAD), "fault", "its contact is not measured"),
    "lock unread": (lambda p: door(p, lock=None), "fault", "not read back"),
    "no lock command": (lambda p: door(p, lock_commanded=None), "fault", "nothing is commanded"),
    "output": (lambda p: replace(p, outputs=(Output(id="siren", why="reads off"),)), "fault", "Does not obey: Siren"),
    "journal": (
        lambda p: replace(p, journal=replace(p.journal, health=Journal.FAILING, why="disk full")),
        "alarm",
        "disk full",
    ),
    "journal unknown": (lambda p: replace(p, journal=replace(p.journal, health=None)), "warning", "unknown"),
    "little room": (lambda p: replace(p, journal=replace(p.journal, headroom_days=9)), "warning", "9 days left"),
    "no room": (lambda p: replace(p, journal=replace(p.journal, headroom_days=1)), "fault", "1 day left"),
    "clock": (
        lambda p: replace(p, clock=replace(p.clock, trust=ClockTrust.UNTRUSTED)),
        "warning",
        "clock not to be trusted",
    ),
    "holdover": (lambda p: replace(p, clock=replace(p.clock, trust=ClockTrust.HOLDOVER)), "ok", "clock on its own"),
    "no paths": (lambda p: replace(p, paths=()), "fault", "call 110"),
    "given up": (lambda p: path(p, given_up=1), "ok", "waited on MQTT: 1 message was given up"),
    "given up, still away": (lambda p: path(p, up=False, given_up=3), "fault", "3 messages were given up"),
    "mains": (lambda p: supply(p, "mains", False), "fault", "running on battery"),
    "tamper": (lambda p: supply(p, "tamper", False), "alarm", "Cabinet door: opened"),
    "post empty": (lambda p: post(p, manned=False, alarm_ref=(1, 9)), "fault", "Post “门卫室” is not manned"),
    "post silent": (lambda p: post(p, unanswered=True), "fault", "no sign of life"),
    "no policy": (lambda p: replace(p, campus=None), "ok", "No school policy is in force"),
    "old policy": (lambda p: school(p, made_ms=p.wall_ms - 200 * DAY_MS), "ok", "200 days old"),
    "no day": (lambda p: school(p, today=None), "warning", "plan of the day is not known"),
    "calendar ends": (lambda p: today(p, calendar_missing=True), "warning", "calendar ends on 2027-08-31"),
    "patrols": (lambda p: today(p, patrols=2, patrols_behind=True), "warning", "2 of 5 today"),
    "test due": (lambda p: today(p, test_days=30), "ok", "panic test is due"),
    "test overdue": (lambda p: today(p, test_days=35), "warning", "overdue: 35 days"),
    "overstay": (lambda p: book(p, visits=3, overstays=2), "warning", "2 visitors have not left"),
    "card away": (lambda p: book(p, cards_missing=1), "warning", "1 lent card did not come back"),
    "hazard": (lambda p: book(p, hazards=2, hazards_overdue=1), "warning", "1 hazard is past its day"),
    "few guards": (lambda p: book(p, guards=3, guards_wanted=4), "ok", "3 guards have a card; 4 are asked for"),
    "battery unread": (lambda p: supply(p, "battery", None), "warning", "Battery: not measured"),
}


def school(picture: Picture, **more: Any) -> Picture:
    assert picture.campus is not None
    return replace(picture, campus=replace(picture.campus, **more))


def today(picture: Picture, **more: Any) -> Picture:
    assert picture.campus is not None and picture.campus.today is not None
    return school(picture, today=replace(picture.campus.today, **more))


def book(picture: Picture, **more: Any) -> Picture:
    return school(picture, book=Book(**more))


def post(picture: Picture, **more: Any) -> Picture:
    assert picture.campus is not None
    return school(picture, posts=(replace(picture.campus.posts[0], **more),))


def path(picture: Picture, **more: Any) -> Picture:
    return replace(picture, paths=(replace(picture.paths[0], **more),))


def supply(picture: Picture, which: str, ok: bool | None) -> Picture:
    parts = tuple(replace(part, ok=ok) if part.which == which else part for part in picture.supplies)
    return replace(picture, supplies=parts)


@pytest.mark.parametrize("name", CHANGES)
def test_each_thing_wrong_is_told_with_its_weight(name: str) -> None:
    change, expected, text = CHANGES[name]
    picture = change(scenes.normal(SITE))
    assert text in told(picture)
    assert state(picture) == expected
    for finding in findings(picture, SITE, ZH):
        assert finding.advice and finding.area in AREAS


def test_panic_asks_to_telephone_until_the_far_side_has_it() -> None:
    picture = scenes.panic(SITE)
    assert state(picture) == "alarm"
    assert "The far side has received it" in told(picture)
    alarm = picture.panic.alarms[0]
    for stages in ({}, {"mqtt": Stage.QUEUED}, {"mqtt": Stage.SENT}):
        waiting = replace(picture, panic=replace(picture.panic, alarms=(replace(alarm, stages=stages),)))
        assert "call 110" in told(waiting)
        assert "has received it" not in told(waiting)


def test_two_alarms_are_received_only_when_both_are() -> None:
    picture = scenes.panic(SITE)
    second = replace(picture.panic.alarms[0], ref=(1, 1815), button="wicket", stages={"mqtt": Stage.SENT})
    both = replace(picture, panic=replace(picture.panic, alarms=(*picture.panic.alarms, second)))
    assert "call 110" in told(both)
    assert "门卫室, 人行门岗" in told(both)


def test_a_dead_bus_is_told_once_with_what_it_takes_away() -> None:
    picture = scenes.plc_dead(SITE)
    found = findings(picture, SITE, EN)
    assert [f.text for f in found if "plc" in f.text] == ["No answer: field bus “plc”"]
    assert "lane “主车道”" in found[0].detail
    assert found[0].check == "127.0.0.1:11502"
    assert glance(picture, found)["lanes"] == "unknown"
    assert glance(picture, found)["doors"] == "ok"


def test_findings_come_worst_first() -> None:
    picture = door(scenes.plc_dead(SITE), forced=True, held=True)
    weights = [finding.weight for finding in findings(picture, SITE, EN)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == Weight.ALARM


def test_a_gate_nobody_has_measured_is_not_all_right() -> None:
    picture = scenes.fresh_start(SITE)
    assert state(picture) in ("fault", "alarm")
    shown = glance(picture, findings(picture, SITE, EN))
    assert shown["panic"] == shown["lanes"] == shown["doors"] == "unknown"


# ── blanking ───────────────────────────────────────────────────────────────────────────────────────────────────────

UNREAD = {
    "line": "unread",
    "position": "unknown",
    "value": "unread",
    "contact": "unread",
    "mode": "unknown",
    "trust": "untrusted",
    "health": None,
    "lock": None,
    "lock_commanded": None,
    "ok": None,
    "up": None,
    "scanned": False,
}
"""field → what it says when nobody has measured it; every place in the picture with such a name is tried"""


def measured_places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in UNREAD:
                yield (*path, key)
            yield from measured_places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from measured_places(item, (*path, index))


NORMAL: dict[str, Any] = msgspec.to_builtins(scenes.normal(SITE))
PLACES = [*measured_places(NORMAL), ("fire", "input"), ("keys", 0, "on"), ("lanes", 0, "lost")]


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(PLACES), min_size=1, max_size=3))
def test_whatever_is_not_measured_the_gate_is_not_all_right(places: set[tuple[object, ...]]) -> None:
    blanked: Any = msgspec.json.decode(msgspec.json.encode(NORMAL))
    for *way, name in places:
        part = blanked
        for step in way:
            part = part[step]
        part[name] = {"input": None, "on": None, "lost": True}.get(str(name), UNREAD.get(str(name)))
    picture = msgspec.convert(blanked, Picture)
    assert state(picture) != "ok", places


def test_every_place_alone_matters() -> None:
    for *way, name in PLACES:
        blanked: Any = msgspec.json.decode(msgspec.json.encode(NORMAL))
        part = blanked
        for step in way:
            part = part[step]
        part[name] = {"input": None, "on": None, "lost": True}.get(str(name), UNREAD.get(str(name)))
        assert state(msgspec.convert(blanked, Picture)) != "ok", (*way, name)
