"""Server-sent events: the picture for programs, the parts of a page for browsers.

Each listener gets what changed as soon as it changed, at most five times a second, and a beat every two seconds so
that it can tell silence from quiet. A slow listener gets the newest, never a backlog.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from agent.picture import Picture
from agent.web.feed import Feed, wall_ms
from agent.web.render import Renderer

BEAT_S = 2.0
LEAST_S = 0.2
MAX_LISTENERS = 48  # D: more than the twenty pages a school opens; the box stays light
_encode = msgspec.json.Encoder().encode


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the control program is there, and since when (UTC ms)."""

    up: bool
    since_ms: int
    why: str = ""


class State(Picture, frozen=True, kw_only=True):
    """The picture as told over HTTP. While `control.up` is false everything in it is unknown and `last` is what was
    known last, `last_ms` when."""

    control: Control
    last: Picture | None = None
    last_ms: int | None = None


def state(feed: Feed) -> State:
    contact = feed.contact
    control = Control(up=contact.up, since_ms=contact.since_ms, why=contact.why)
    shown = feed.picture if contact.up else feed.nothing
    fields = {name: getattr(shown, name) for name in Picture.__struct_fields__}
    if contact.up or not feed.known:
        return State(control=control, **fields)
    return State(control=control, last=feed.picture, last_ms=feed.picture.wall_ms, **fields)


def event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode(data) + b"\n\n"


class Streams:
    """Counts listeners and feeds them."""

    def __init__(self, feed: Feed, renderer: Renderer, build: str) -> None:
        self._feed = feed
        self._renderer = renderer
        self._build = build
        self.listeners = 0

    @property
    def full(self) -> bool:
        return self.listeners >= MAX_LISTENERS

    async def states(self) -> AsyncGenerator[bytes]:
        """For programs: `state` with the whole state, `beat` with the times."""
        async with aclosing(self._changes()) as changes:
            async for changed in changes:
                yield event("state", state(self._feed)) if changed else event("beat", self._times())

    async def parts(self, page: str, language: str) -> AsyncGenerator[bytes]:
        """For a page: `parts` with what changed of it, `beat` with the times."""
        sent: dict[str, str] = {}
        async with aclosing(self._changes()) as changes:
            async for changed in changes:
                if not changed:
                    yield event("beat", self._times())
                    continue
                rendered = await self._renderer.parts(page, language)
                news = {name: html for name, html in rendered.html.items() if sent.get(name) != html}
                sent = rendered.html
                yield event("parts", {"parts": news, **rendered.head, **self._times()})

    def _times(self) -> dict[str, object]:
        up = self._feed.contact.up
        return {"mono": self._feed.mono_ms(), "now": wall_ms(), "frozen": not up, "build": self._build}

    async def _changes(self) -> AsyncGenerator[bool]:
        """True at once and after each change, False for a beat."""
        self.listeners += 1
        try:
            seen = 0
            while not self._feed.closed:
                changed = await self._feed.wait(seen, BEAT_S)
                seen = self._feed.version
                yield changed
                await asyncio.sleep(LEAST_S if changed else 0)
        finally:
            self.listeners -= 1
