"""What control is told: stages, path health, progress, notes. Kept until control has answered, newest word only."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from agent import plain
from agent.core.words import Stage
from agent.link import ControlAway, ControlLink, Message
from agent.pace import Pace
from agent.uplink.batch import Ref

RETRY_S = 0.5
KEEP = 1024  # furthest stages remembered, one for each alarm and path
NOTES = 32  # waiting at once
MOST_WHY = 300  # characters; some of it is what a far side says, and control takes no line without an end

log = logging.getLogger(__name__)


class Reporter:
    """Collects from the lanes without ever making them wait; `run` carries it to control."""

    def __init__(self, link: ControlLink, targets: Collection[str]) -> None:
        """`targets` are the far sides that keep the whole journal: what is told as synced is on all of them."""
        self._link = link
        self._targets = frozenset(targets)
        self._synced_by: dict[str, Ref] = {}
        self._stages: dict[tuple[str, Ref, Stage], str] = {}
        self._furthest: dict[tuple[str, Ref], tuple[Stage, str]] = {}
        self._paths: dict[str, tuple[bool, str]] = {}
        self._paths_told: dict[str, tuple[bool, str]] = {}
        self._given_up: dict[str, int] = {}
        self._given_up_told: dict[str, int] = {}
        self._ahead: Ref | None = None
        self._synced: Ref | None = None
        self._synced_told: Ref | None = None
        self._notes: deque[Message] = deque()
        self._pace = Pace()  # a flood from the far side must not become a flood in the journal
        self._wake = asyncio.Event()

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None:
        by = plain.line(by)
        self._stages[path, ref, stage] = by
        known = self._furthest.get((path, ref))
        if known is None or stage.is_after(known[0]):
            self._furthest[path, ref] = (stage, by)
            if len(self._furthest) > KEEP:
                del self._furthest[next(iter(self._furthest))]
        self._wake.set()

    def remind(self, ref: Ref, stages: Mapping[str, Stage]) -> None:
        """A control that died may have answered for a stage and never written it down: it tells of less than it was
        told, and hears of it again."""
        for (path, told_of), (stage, by) in self._furthest.items():
            if told_of == ref and stage.is_after(stages.get(path, Stage.QUEUED)):
                self._stages[path, ref, stage] = by
                self._wake.set()

    def path(self, path: str, up: bool, why: str = "") -> None:
        self._paths[path] = (up, plain.line(why[:MOST_WHY]))
        self._wake.set()

    def given_up(self, path: str, count: int) -> None:
        self._given_up[path] = count
        self._wake.set()

    def synced(self, target: str, ref: Ref) -> None:
        """This far side has everything up to `ref`. Told on as far as every one has it, once each has spoken."""
        self._synced_by[target] = ref
        if self._targets <= self._synced_by.keys():
            self._synced = min(self._synced_by.values())
            self._wake.set()

    def ahead(self, ref: Ref) -> None:
        """The far side says that it has this record, which we cannot find."""
        self._ahead = ref
        self._wake.set()

    def note(self, kind: str, subject: str, actor: str, data: dict[str, Any]) -> bool:
        """One record that decides nothing. Of many at once some are only counted, and the next one says how many: then
        this is False."""
        if len(self._notes) >= NOTES or not self._pace.may(time.monotonic()):
            return False
        data = data | self._pace.held_back()
        self._notes.append({"op": "note", "kind": kind, "subject": subject, "actor": actor, "data": data})
        self._wake.set()
        return True

    def control_is_new(self) -> None:
        """Control (re)started: it knows nothing of the paths and of how far the far side is."""
        self._paths_told.clear()
        self._given_up_told.clear()
        self._synced_told = None
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._tell_all()
            except ControlAway as error:
                log.info("cannot report to control yet: %s", error)
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _tell_all(self) -> None:
        while self._stages:
            (path, ref, stage), by = next(iter(self._stages.items()))
            await self._ask({"op": "stage", "epoch": ref[0], "seq": ref[1], "path": path, "stage": stage, "by": by})
            self._stages.pop((path, ref, stage), None)
        for path, told in tuple(self._paths.items()):
            if self._paths_told.get(path) != told:
                await self._ask({"op": "path", "path": path, "up": told[0], "why": told[1]})
                self._paths_told[path] = told
        for path, count in tuple(self._given_up.items()):
            if self._given_up_told.get(path) != count:
                await self._ask({"op": "given_up", "path": path, "number": count})
                self._given_up_told[path] = count
        if self._synced is not None and self._synced != self._synced_told:
            synced = self._synced
            await self._ask({"op": "synced", "epoch": synced[0], "seq": synced[1]})
            self._synced_told = synced
        if self._ahead is not None:
            ahead = self._ahead
            await self._ask({"op": "ahead", "epoch": ahead[0], "seq": ahead[1]})
            self._ahead = None
        while self._notes:
            await self._ask(self._notes[0])
            self._notes.popleft()

    async def _ask(self, message: Message) -> None:
        answer = await self._link.request(message)
        if answer.get("ok") is not True:
            log.warning("control refused %s: %s", message, answer.get("why", answer))
