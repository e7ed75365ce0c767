"""What the web role knows of the gate: the newest picture from control, and whether control is still there.

Everyone who shows something waits on one `Feed`; it asks control once for all of them. A picture is "new" only when
something besides the time changed, so that a quiet gate costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from agent.link import ControlAway
from agent.picture import Picture, decode
from agent.picture.build import blank
from hardware.site import Site

log = logging.getLogger("menwei.web")

SILENCE_S = 2.6  # D: control tells its state at least every 2 s; the page must say that it is gone within 3 s
CHECK_S = 0.1
PING_S = 3.0  # D: bound of a health check's round trip


class Link(Protocol):
    """What is needed of `agent.link.ControlLink`."""

    async def request(self, message: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]: ...

    def subscribe(self, from_seq: int = 0, *, state: bool = False) -> AsyncGenerator[dict[str, Any]]: ...


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Whether control is there. `since_ms` is this role's wall clock: since when it is (or is not)."""

    up: bool
    since_ms: int
    why: str = ""


class Feed:
    """The one subscription. `version` grows with every change worth showing; `wait` returns when it has."""

    def __init__(self, link: Link, site: Site, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._clock = clock
        self._heard_at = clock()
        self._news = asyncio.Event()
        self._ping: asyncio.Task[str] | None = None
        self.nothing = blank(site)
        self.picture = self.nothing
        self.received_at = clock()  # when `picture` came, on this role's monotonic clock
        self.contact = Contact(up=False, since_ms=wall_ms(), why="")
        self.head = (0, 0)
        self.version = 1
        self.closed = False

    @property
    def known(self) -> bool:
        """Whether control has ever told us anything."""
        return self.picture is not self.nothing

    def mono_ms(self) -> int:
        """The box's monotonic time now; it stands still from the moment control is gone, like all it measured."""
        age_s = self._clock() - self.received_at if self.contact.up else 0.0
        return self.picture.mono_ms + round(age_s * 1000)

    async def wait(self, seen: int, timeout_s: float) -> bool:
        """True as soon as `version` differs from `seen`, False after `timeout_s`."""
        if self.version == seen and not self.closed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                return False
        return self.version != seen

    def close(self) -> None:
        """Let everyone who waits go, for good."""
        self.closed = True
        self._news.set()

    async def run(self) -> None:
        """Follow control for ever."""
        await asyncio.gather(self._follow(), self._watch_silence())

    async def _follow(self) -> None:
        async with aclosing(self._link.subscribe(0, state=True)) as lines:
            async for line in lines:
                self.take(line)

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            if self.contact.up and self._clock() - self._heard_at > SILENCE_S:
                self._lose("silent")

    def take(self, line: dict[str, Any]) -> None:
        """One line of the local socket."""
        match line.get("op"):
            case "lost":
                self._lose(str(line.get("why", "")))
            case "state":
                self._take_state(line.get("state"))
            case "head" | "subscribed":
                self._take_head(line)
            case _:
                self._heard()

    def _take_state(self, state: object) -> None:
        try:
            new = decode(state)
        except msgspec.ValidationError as error:
            log.error("control told a picture that cannot be read: %s", error)
            self._lose("unreadable")
            return
        changed = not self.contact.up or standing(new) != standing(self.picture)
        self._heard()
        self.picture = new
        self.received_at = self._clock()
        if not self.contact.up:
            self.contact = Contact(up=True, since_ms=wall_ms())
        if changed:
            self._tell()

    def _take_head(self, line: dict[str, Any]) -> None:
        self._heard()
        head = (int(line.get("epoch", 0)), int(line.get("head", line.get("seq", 0))))
        if head != self.head:
            self.head = head
            self._tell()

    def _heard(self) -> None:
        self._heard_at = self._clock()

    def _lose(self, why: str) -> None:
        if self.contact.up or not self.contact.why:
            self.contact = Contact(up=False, since_ms=wall_ms(), why=why)
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def note(self, kind: str, subject: str, data: dict[str, Any]) -> str:
        """Have control write one record that decides nothing: "" when it did, else why not."""
        ask = {"op": "note", "kind": kind, "subject": subject, "actor": "web", "data": data}
        try:
            answer = await self._link.request(ask)
        except ControlAway as error:
            return str(error)
        return "" if answer.get("ok") is True else str(answer.get("why") or "control gave no proper answer")

    async def ping(self) -> str:
        """A round trip through control's loop, shared by all who ask at once: "" when it finished, else why not."""
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._round_trip())
        return await asyncio.shield(self._ping)

    async def _round_trip(self) -> str:
        try:
            answer = await self._link.request({"op": "ping"}, timeout_s=PING_S)
        except ControlAway as error:
            return str(error)
        return "" if answer.get("op") == "pong" else "control gave no proper answer"


def standing(picture: Picture) -> Picture:
    """The picture without what changes by itself."""
    return msgspec.structs.replace(picture, mono_ms=0, wall_ms=0, turn_ms=None)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000
