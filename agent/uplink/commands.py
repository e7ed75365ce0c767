"""Signed commands on their way to control, which judges them (`agent.control.orders`). Nothing is decided here.

In the order they came, each until control has answered; a few at most, for what waits long has expired by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from agent.link import ControlAway, ControlLink
from agent.uplink.reporter import Reporter

RETRY_S = 0.5
PACE_S = 0.05  # D: twenty a second: judging a signature costs the loop of control 0.1 ms for each key
MOST_WAITING = 32
CUT_BYTES = 8192  # what is longer is refused for its length, whatever its end is

log = logging.getLogger(__name__)


class Commands:
    """Carries them; `run` for ever."""

    def __init__(self, link: ControlLink, reporter: Reporter) -> None:
        self._link = link
        self._reporter = reporter
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._wake = asyncio.Event()
        self.dropped = 0

    def take(self, payload: bytes, retained: bool) -> None:
        """A message on the topic `command`; `retained`: it lay at the broker, so nobody knows since when."""
        if not payload and retained:
            return  # a retained one that was cleared
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            data = {"args": {}, "id": "", "rank": "upstream", "verb": "?", "why": "flood"}
            if self._reporter.note("command.refused", "command", "upstream", data):
                log.warning("%d commands wait for control: one more is dropped, %d by now", MOST_WAITING, self.dropped)
            return
        self._waiting.append((payload[:CUT_BYTES], retained))
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._bring(*self._waiting[0])
                self._waiting.popleft()
                await asyncio.sleep(PACE_S)

    async def _bring(self, payload: bytes, retained: bool) -> None:
        """Until control has answered. A word that got lost makes a second delivery: its id is known there."""
        message = {"op": "order", "order": payload.decode("utf-8", "replace"), "retained": retained}
        while True:
            try:
                answer = await self._link.request(message)
            except ControlAway as error:
                log.info("a command waits for control: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            log.info("command from the far side: %s", "done" if answer.get("ok") else answer.get("why"))
            return
