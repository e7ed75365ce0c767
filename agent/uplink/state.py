"""The retained `state`: what the box measures, for a far side that has just come, or that lost sight of us."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec

from agent.uplink.batch import Ref
from agent.uplink.mqtt import Connection

OFFLINE = b'{"online":false}'
LEAST_GAP_S = 1.0  # D: at most one a second, however fast the gate changes
MOST_GAP_S = 60.0  # D: without a change; the mobile link pays for each

# What of control's picture goes up. Latencies, counters and names stay here; nothing of it names a person or a card.
_TELLING = ("scanned", "clock", "panic", "fire", "lanes", "doors", "readers", "keys", "supplies", "lamps", "devices")
_RESTLESS = ("journal", "mono_ms", "wall_ms")  # they go along, and are no news by themselves
MEASURED = (*_TELLING, "outputs", *_RESTLESS)

_encode = msgspec.json.Encoder().encode


class StateLane:
    """Publishes the newest picture when it changed. `session` lets the far side see that the box came anew."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._picture: dict[str, Any] | None = None
        self._told: object = None
        self._wake = asyncio.Event()

    def picture(self, picture: dict[str, Any] | None) -> None:
        """The newest picture; None: control is away, and nothing is known of the gate."""
        self._picture = picture
        if _news(picture) != self._told:
            self._wake.set()

    async def run(self, connection: Connection) -> None:
        """Serve one connection; raises BrokerLost when it is gone."""
        session = os.urandom(4).hex()
        while True:
            self._wake.clear()
            self._told = _news(self._picture)
            connection.publish(self._topic, payload(self._picture, session), retain=True)
            await asyncio.sleep(LEAST_GAP_S)
            try:
                async with asyncio.timeout(MOST_GAP_S):
                    await self._wake.wait()
            except TimeoutError:
                continue


def payload(picture: dict[str, Any] | None, session: str) -> bytes:
    """The `state` message of a box that is online."""
    message: dict[str, Any] = {"online": True, "session": session, "control": picture is not None}
    if picture is not None:
        journal = picture.get("journal") or {}
        epoch, seq = newest(picture)
        message |= {"epoch": epoch, "seq": seq, "head": journal.get("durable"), "synced": journal.get("synced")}
        message |= {"headroom_days": journal.get("headroom_days")}
        message["measured"] = {name: picture[name] for name in MEASURED if name in picture}
    return _encode(message)


def newest(picture: dict[str, Any]) -> Ref:
    return (int(picture.get("epoch", 0)), int(picture.get("head", 0)))


def _news(picture: dict[str, Any] | None) -> object:
    if picture is None:
        return None
    return [picture.get(name) for name in MEASURED if name not in _RESTLESS]
