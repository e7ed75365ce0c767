"""The feed: what is new, what is silence, and that a lost control never leaves an old picture standing as new."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import web_scenes as scenes
from msgspec.structs import replace
from patience import within
from web_rig import NoLink

from agent.link import ControlLink
from agent.picture import Picture
from agent.web.feed import SILENCE_S, Feed
from agent.web.stream import State, Streams, state

SITE = scenes.demo_site(Path("/nowhere"))


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def feed(clock: Clock | None = None) -> Feed:
    return Feed(NoLink(), SITE, clock or Clock())


def line(picture: Picture) -> dict[str, Any]:
    return {"op": "state", "state": msgspec.to_builtins(picture)}


def test_before_the_first_word_everything_is_unknown() -> None:
    fed = feed()
    assert not fed.known and not fed.contact.up
    assert fed.picture.lanes[0].lost and not fed.picture.scanned
    assert state(fed).control.up is False


def test_only_a_change_is_news() -> None:
    fed, picture = feed(), scenes.normal(SITE)
    fed.take(line(picture))
    version = fed.version
    later = replace(picture, mono_ms=picture.mono_ms + 2000, wall_ms=picture.wall_ms + 2000, turn_ms=9)
    fed.take(line(later))
    assert fed.version == version and fed.picture == later
    fed.take(line(replace(later, head=picture.head + 1)))
    assert fed.version == version + 1


def test_a_lost_control_makes_the_state_unknown_and_keeps_the_last() -> None:
    fed, picture = feed(), scenes.normal(SITE)
    fed.take(line(picture))
    fed.take({"op": "lost", "why": "control has stopped"})
    told = state(fed)
    assert told.control.why == "control has stopped"
    assert told.control.up is False
    assert told.lanes[0].lost and told.doors[0].lock is None and not told.panic.latched
    assert told.last == picture and told.last_ms == picture.wall_ms
    fed.take(line(picture))
    assert state(fed).control.up and state(fed).last is None


def test_lost_is_told_once_and_keeps_its_since() -> None:
    fed = feed()
    fed.take(line(scenes.normal(SITE)))
    fed.take({"op": "lost", "why": "first"})
    contact, version = fed.contact, fed.version
    fed.take({"op": "lost", "why": "second"})
    assert fed.contact is contact and fed.version == version


async def test_silence_is_a_loss_within_three_seconds() -> None:
    clock = Clock()
    fed = feed(clock)
    fed.take(line(scenes.normal(SITE)))
    watching = asyncio.create_task(fed._watch_silence())
    clock.at += SILENCE_S - 0.1
    await asyncio.sleep(0.15)
    assert fed.contact.why == ""
    clock.at += 0.3
    assert await fed.wait(fed.version, 2.0)
    assert fed.contact.why == "silent"
    assert fed.contact.up is False
    watching.cancel()
    assert SILENCE_S + 0.2 < 3.0


def test_the_boxs_time_goes_on_only_while_control_is_there() -> None:
    clock, picture = Clock(), scenes.normal(SITE)
    fed = feed(clock)
    fed.take(line(picture))
    clock.at += 1.5
    assert fed.mono_ms() == picture.mono_ms + 1500
    fed.take({"op": "lost", "why": "x"})
    clock.at += 60
    assert fed.mono_ms() == picture.mono_ms


def test_a_picture_that_cannot_be_read_is_a_loss_not_an_old_picture() -> None:
    fed = feed()
    fed.take(line(scenes.normal(SITE)))
    fed.take({"op": "state", "state": {"site": 5}})
    assert not fed.contact.up and fed.contact.why == "unreadable"


def test_a_new_head_is_news() -> None:
    fed = feed()
    fed.take({"op": "subscribed", "epoch": 1, "head": 7})
    assert fed.head == (1, 7)
    version = fed.version
    fed.take({"op": "head", "epoch": 1, "seq": 7})
    assert fed.version == version
    fed.take({"op": "head", "epoch": 1, "seq": 8})
    assert fed.head == (1, 8) and fed.version == version + 1


async def test_pings_asked_at_once_are_one_round_trip() -> None:
    link = NoLink()
    fed = Feed(link, SITE)
    assert await asyncio.gather(*(fed.ping() for _ in range(20))) == [""] * 20
    assert link.asked == 1
    link.pong = False
    assert "control has stopped" in await fed.ping()


async def test_a_real_link_to_nobody_is_told_in_words(tmp_path: Path) -> None:
    fed = Feed(ControlLink(tmp_path / "control.sock"), SITE)
    running = asyncio.create_task(fed.run())
    assert await fed.wait(fed.version, 5.0)
    assert "control is not running" in fed.contact.why
    running.cancel()


# ── streams ────────────────────────────────────────────────────────────────────────────────────────────────────────


class NoRenderer:
    async def parts(self, page: str, language: str) -> Any:
        raise AssertionError("not for programs")


async def test_a_stream_tells_at_once_then_what_changes_and_counts_its_listeners() -> None:
    fed, picture = feed(), scenes.normal(SITE)
    fed.take(line(picture))
    streams = Streams(fed, NoRenderer(), "b")  # type: ignore[arg-type]
    told = streams.states()
    first = await anext(told)
    assert streams.listeners == 1
    assert first.startswith(b"event: state\ndata: ") and first.endswith(b"\n\n")
    shown = msgspec.json.decode(first.split(b"data: ", 1)[1], type=State)
    assert shown.lanes == picture.lanes
    fed.take(line(scenes.panic(SITE)))
    async with within(1.0):
        second = await anext(told)
    assert b'"latched":true' in second
    await told.aclose()
    assert streams.listeners == 0


async def test_a_quiet_gate_still_beats_and_closing_ends_every_stream() -> None:
    fed = feed()
    fed.take(line(scenes.normal(SITE)))
    streams = Streams(fed, NoRenderer(), "b")  # type: ignore[arg-type]
    told = streams.states()
    await anext(told)
    async with within(3.0):
        assert (await anext(told)).startswith(b"event: beat\n")
    fed.close()
    assert len([item async for item in told]) <= 1
    assert streams.listeners == 0


async def test_a_slow_listener_gets_the_newest_only() -> None:
    fed, picture = feed(), scenes.normal(SITE)
    fed.take(line(picture))
    streams = Streams(fed, NoRenderer(), "b")  # type: ignore[arg-type]
    told = streams.states()
    await anext(told)
    for seq in range(50):
        fed.take(line(replace(picture, head=seq)))
    async with within(1.0):
        assert b'"head":49' in await anext(told)
