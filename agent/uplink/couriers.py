"""What is carried from the far side to control besides receipts: policy bundles, and the checkpoint it last kept.

Of each the newest counts; a retained message that comes again with every connection is carried once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable

from agent.link import ControlAway, ControlLink
from agent.policy.upload import hand_over

RETRY_S = 1.0
PACE_S = 0.5  # D: a flood of them costs control two judgements a second; the newest counts anyway

log = logging.getLogger(__name__)


class Courier:
    """Carries the newest of one kind, until control has answered. `bring` raises ControlAway."""

    def __init__(self, bring: Callable[[bytes], Awaitable[None]]) -> None:
        self._bring = bring
        self._newest: bytes | None = None
        self._brought = b""
        self._wake = asyncio.Event()

    def take(self, payload: bytes) -> None:
        """Something came; an empty message is a retained one that was cleared."""
        if payload and hashlib.sha256(payload).digest() != self._brought:
            self._newest = payload
            self._wake.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            payload, self._newest = self._newest, None
            if payload is None:
                continue
            try:
                await self._bring(payload)
                self._brought = hashlib.sha256(payload).digest()
            except ControlAway as error:
                log.info("control takes nothing now: %s", error)
                self._newest = self._newest or payload
                await asyncio.sleep(RETRY_S)
                self._wake.set()
            else:
                await asyncio.sleep(PACE_S)


def policies(link: ControlLink) -> Courier:
    async def bring(payload: bytes) -> None:
        answer = await hand_over(link, payload, "upstream", "mqtt")
        log.info("policy: %s", "in force" if answer.get("ok") else answer.get("why"))

    return Courier(bring)


def checkpoints(link: ControlLink) -> Courier:
    async def bring(payload: bytes) -> None:
        await link.request({"op": "anchor", "note": payload.decode("utf-8", "replace")})

    return Courier(bring)
