"""The picture: measured and commanded apart, and never a healthy word for what nobody measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import web_scenes as scenes

from agent.core.state import DoorState, Hazard, Vacancy, Visit
from agent.core.visits import NOT_RETURNED
from agent.core.words import ClockTrust, Contact, Line, Mode, Motion, Position, Sensor, Stage
from agent.picture import Book, Device, Picture, decode
from agent.picture.build import Extras, picture
from agent.picture.campus import campus
from hardware.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return scenes.demo_site(tmp_path)


def device(shown: Picture, name: str) -> Device:
    return next(part for part in shown.devices if part.id == name)


def test_a_gate_nobody_has_measured_shows_nothing_healthy(site: Site) -> None:
    shown = scenes.fresh_start(site)
    assert not shown.scanned
    assert {button.line for button in shown.panic.buttons} == {Line.UNREAD}
    assert shown.fire.input is None and shown.fire.key is None
    assert all(lane.lost and lane.mode == Mode.UNKNOWN and lane.light is None for lane in shown.lanes)
    assert {part.position for lane in shown.lanes for part in lane.bollards} == {Position.UNKNOWN}
    assert {part.value for lane in shown.lanes for part in lane.sensors} == {Sensor.UNREAD}
    assert all(door.lock is None and door.contact == Contact.UNREAD for door in shown.doors)
    assert {part.up for part in shown.devices} == {part.up for part in shown.readers} == {None}
    assert {part.up for part in shown.paths} == {None}
    assert all(part.ok is None for part in shown.supplies)
    assert {part.on for part in shown.lamps} == {part.on for part in shown.keys} == {None}
    assert shown.journal.durable is None and shown.journal.headroom_days is None


def test_measured_and_commanded_are_two_fields(site: Site) -> None:
    state = scenes.normal_state(site)
    rising = scenes.bollard(Position.DOWN, motion=Motion.RAISE, asked_at=scenes.MONO_S - 0.4, sent=True)
    lane = msgspec.structs.replace(state.lanes["main"], bollards={"main-1": rising})
    state = msgspec.structs.replace(state, lanes={"main": lane})
    shown = picture(state, scenes.NOW, scenes.outputs(), site, Extras(read_back={"lock:wicket": False}))
    first = shown.lanes[0].bollards[0]
    assert (first.position, first.motion, first.asked) == (Position.DOWN, Motion.RAISE, 49_999_600)
    assert (shown.doors[0].lock_commanded, shown.doors[0].lock) == (True, False)
    assert shown.doors[1].lock is None


def test_a_lost_lane_forgets_what_it_measured_and_keeps_when(site: Site) -> None:
    shown = scenes.plc_dead(site)
    main = shown.lanes[0]
    assert main.lost and main.light is None and main.warning is None and main.fire_key is None
    assert main.mode == Mode.UNKNOWN
    assert main.bollards[0].position == Position.UNKNOWN
    assert main.bollards[0].last_position == Position.UP
    assert main.fresh == round((scenes.MONO_S - 720) * 1000)


def test_an_old_reading_counts_as_lost_whatever_the_core_says(site: Site) -> None:
    state = scenes.normal_state(site)
    old = msgspec.structs.replace(state.lanes["main"], fresh_at=scenes.MONO_S - 5)
    state = msgspec.structs.replace(state, lanes=state.lanes | {"main": old})
    shown = picture(state, scenes.NOW, scenes.outputs(), site, scenes.extras())
    assert shown.lanes[0].lost and not shown.lanes[1].lost
    assert {part.value for part in shown.lanes[0].sensors} == {Sensor.UNREAD}


def test_a_dead_pin_board_makes_everything_on_it_unknown(site: Site) -> None:
    state = scenes.normal_state(site)
    devices = state.health.devices | {"gpio": scenes.down_device("the pin daemon is gone", 9)}
    state = msgspec.structs.replace(state, health=msgspec.structs.replace(state.health, devices=devices))
    shown = picture(state, scenes.NOW, scenes.outputs(), site, scenes.extras())
    lines = {button.id: button.line for button in shown.panic.buttons}
    assert lines == {"gatehouse": Line.UNREAD, "wicket": Line.UNREAD, "office": Line.NORMAL}
    assert {door.id: door.lock for door in shown.doors} == {"wicket": None, "gatehouse": True, "turnstile": True}
    assert {door.contact for door in shown.doors} == {Contact.UNREAD}
    assert shown.fire.input is None
    assert all(supply.ok is None for supply in shown.supplies)


def test_a_dead_bus_takes_its_boards_with_it(site: Site) -> None:
    state = scenes.normal_state(site)
    devices = state.health.devices | {"bus:cabinet": scenes.down_device("unplugged", 9)}
    state = msgspec.structs.replace(state, health=msgspec.structs.replace(state.health, devices=devices))
    shown = picture(state, scenes.NOW, scenes.outputs(), site, scenes.extras())
    assert device(shown, "loops").up is False
    assert shown.panic.buttons[2].line == Line.UNREAD
    assert set(device(shown, "bus:cabinet").takes) == {
        *("lock:gatehouse", "lock:turnstile", "lamp:fault", "siren", "button:office")
    }
    assert "lane:main" in device(shown, "bus:plc").takes


def test_panic_tells_since_when_and_how_far(site: Site) -> None:
    shown = scenes.panic(site)
    assert shown.panic.latched and shown.panic.since == round((scenes.MONO_S - 48) * 1000)
    assert shown.panic.alarms[0].stages == {"mqtt": Stage.RECEIVED}
    assert not shown.panic.alarms[0].acknowledged
    moving = shown.lanes[1].bollards[0]
    assert (moving.position, moving.motion, moving.sent) == (Position.MOVING, Motion.EFO, True)


def test_a_picture_survives_json_and_carries_no_holder(site: Site) -> None:
    state = scenes.normal_state(site)
    state = msgspec.structs.replace(
        state,
        doors={"wicket": DoorState(contact=Contact.OPEN, grant_ref=(1, 4))},
        access=msgspec.structs.replace(state.access, guard="guard-1", guard_at=scenes.MONO_S),
    )
    shown = picture(state, scenes.NOW, scenes.outputs(), site, scenes.extras())
    text = msgspec.json.encode(shown)
    assert decode(msgspec.json.decode(text)) == shown
    assert b"guard-1" not in text and b"pupil" not in text and b"0100A1B2C3" not in text


def test_the_schools_part_counts_and_names_nobody(site: Site) -> None:
    shown = scenes.normal(site).campus
    assert shown is not None and shown.today is not None
    today = shown.today
    assert (shown.version, today.day, today.plan, today.because) == (7, "2026-11-23", "week", "weekday")
    assert [(one.kind, one.running) for one in today.windows] == [
        ("class", False), ("dismissal", True), ("night", False)
    ]  # fmt: skip
    assert (today.next_minute, today.patrols, shown.patrols_required, today.test_days) == (1030, 4, 5, 12)
    assert [(post.id, post.needed, post.manned, post.since) for post in shown.posts] == [
        ("house", True, True, 46_400_000), ("kerb", True, True, 46_400_000)
    ]  # fmt: skip
    assert (shown.book.guards, shown.book.guards_wanted) == (2, 0)
    text = msgspec.json.encode(shown)
    assert b"guard-7" not in text and b"pupil-0009" not in text and b"uart-125k" not in text


def test_the_book_is_told_in_numbers(site: Site) -> None:
    state = scenes.school_state(site)
    since = state.duty.on["house"].since
    visit = Visit(
        handle="v-7f3a0c1d2e9k", kind="visitor", host="p-7f3a0c1d2e9k", purpose="meeting", card="uart-125k:00000000D1",
        door="wicket", from_ms=0, until_ms=1, until_at=scenes.MONO_S - 1, came=True,
    )  # fmt: skip
    duty = msgspec.structs.replace(
        state.duty,
        on={},
        vacant={"house": Vacancy(since=since, due_at=0.0, peak=False, ref=(1, 8))},
        hazards={
            "h-7f3a0c1d2e9k": Hazard(what="lock", owner="p-7f3a0c1d2e9k", found_ms=1, due_ms=scenes.WALL_MS - 1),
            "h-000000000a01": Hazard(what="lock", owner="p-7f3a0c1d2e9k", found_ms=1, due_ms=scenes.WALL_MS + 1),
        },
    )
    bans = {"uart-125k:00000000D2": NOT_RETURNED, "uart-125k:00000000D3": "lost"}
    state = msgspec.structs.replace(
        state,
        duty=duty,
        visits={visit.handle: visit},
        campus=msgspec.structs.replace(state.campus, bans=bans),
    )
    shown = campus(state, scenes.NOW)
    assert shown is not None
    assert shown.book == Book(visits=1, overstays=1, cards_missing=1, hazards=2, hazards_overdue=1, guards=2)
    assert (shown.posts[0].manned, shown.posts[0].alarm_ref, shown.posts[0].since) == (False, (1, 8), 46_400_000)
    assert not any(word in msgspec.json.encode(shown) for word in (b"v-7f3a", b"p-7f3a", b"h-7f3a", b"uart"))


def test_by_a_bad_clock_the_day_is_not_known(site: Site) -> None:
    now = msgspec.structs.replace(scenes.NOW, trust=ClockTrust.UNTRUSTED)
    shown = campus(scenes.school_state(site), now)
    assert shown is not None and shown.today is None and shown.book.hazards_overdue == 0


def test_a_standing_gate_gives_the_same_picture_but_for_the_time(site: Site) -> None:
    """The page sends nothing while nothing changes, so instants must not wander with the clock."""
    later = msgspec.structs.replace(scenes.NOW, mono_s=scenes.MONO_S + 0.5, wall_ms=scenes.WALL_MS + 500)
    state = scenes.normal_state(site)
    first = picture(state, scenes.NOW, scenes.outputs(), site, scenes.extras())
    second = picture(state, later, scenes.outputs(), site, scenes.extras())
    assert second == msgspec.structs.replace(first, mono_ms=second.mono_ms, wall_ms=second.wall_ms)


def test_unknown_fields_of_a_newer_control_are_skipped(site: Site) -> None:
    told = msgspec.to_builtins(scenes.normal(site)) | {"mood": "good"}
    assert decode(told) == scenes.normal(site)
