"""Signed commands on their way to control, which judges them (`agent.control.orders`). Nothing is decided here.

In the order they came, each until control has answered; a few at most, for what waits long has expired by then. What is
signed and new waits apart and goes first (`agent.uplink.sieve`): a flood keeps no command of the district out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from agent.link import ControlAway, ControlLink
from agent.uplink.reporter import Reporter
from agent.uplink.sieve import Sieve

RETRY_S = 0.5
KEYS_EVERY_S = 5.0  # D: a key put in is known here so soon; until then its commands wait with all others
PACE_S = 0.05  # D: twenty a second: judging a signature costs the loop of control 0.1 ms for each key
MOST_WAITING = 32  # in either line
CUT_BYTES = 8192  # what is longer is refused for its length, whatever its end is

log = logging.getLogger(__name__)


class Commands:
    """Carries them; `run` and `learn` for ever."""

    def __init__(self, link: ControlLink, reporter: Reporter, sieve: Sieve) -> None:
        self._link = link
        self._reporter = reporter
        self._sieve = sieve
        self._first: deque[tuple[bytes, bool]] = deque()
        self._others: deque[tuple[bytes, bool]] = deque()
        self._wake = asyncio.Event()
        self.dropped = 0

    def take(self, payload: bytes, retained: bool) -> None:
        """A message on the topic `command`; `retained`: it lay at the broker, so nobody knows since when."""
        if not payload and retained:
            return  # a retained one that was cleared
        line = self._first if self._sieve.is_first(payload, retained) else self._others
        if len(line) >= MOST_WAITING:
            self.dropped += 1
            data = {"args": {}, "id": "", "rank": "upstream", "verb": "?", "why": "flood"}
            if self._reporter.note("command.refused", "command", "upstream", data):
                log.warning("%d commands wait for control: one more is dropped, %d by now", MOST_WAITING, self.dropped)
            return
        line.append((payload[:CUT_BYTES], retained))
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while line := self._first or self._others:
                await self._bring(*line[0])
                line.popleft()
                await asyncio.sleep(PACE_S)

    async def learn(self) -> None:
        """Ask control again and again for the keys that it judges by: they may change while both run."""
        while True:
            try:
                answer = await self._link.request({"op": "order_keys"})
            except ControlAway:
                await asyncio.sleep(RETRY_S)
                continue
            self._sieve.keys = tuple(bytes.fromhex(key) for key in answer.get("keys", ()))
            await asyncio.sleep(KEYS_EVERY_S)

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
