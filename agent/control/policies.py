"""The school's policy on this box: loaded at start, swapped when a good bundle comes, refused in words when a bad
one does.

Checking and keeping happen off the loop; a policy is in force only once its bundle is durable.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from agent.control.runtime import Runtime
from agent.core import people
from agent.core.events import Note, PolicyChanged
from agent.core.policy import Contradiction
from agent.core.rules import BoxRules
from agent.pace import Pace
from agent.policy.store import PolicyRefused, PolicyStore, Stored
from hardware.site import Site

log = logging.getLogger("menwei.control")
_Stored = TypeVar("_Stored", bound=Stored | None)
TOLD = 5  # D: so many contradictions go into the record; whoever sent the bundle gets them all


class Policies:
    """One box's. `load` once at start, `take` for every bundle that comes."""

    def __init__(self, site: Site, rules: BoxRules, runtime: Runtime) -> None:
        self._runtime = runtime
        self._store = PolicyStore.of(site, rules)
        self._turn = asyncio.Lock()
        self._pace = Pace()

    async def load(self) -> None:
        """Put in force what was in force before the start; a bundle that cannot be read is told."""
        try:
            stored = await asyncio.to_thread(_indexed, self._store.current)
        except PolicyRefused as refused:
            self._refused(refused.found, "box", "start")
            return
        if stored is None:
            return
        if stored.fallback:
            self._refused(stored.fallback, "box", "start")
        self._in_force(stored, "box", "start")

    async def take(self, data: bytes, actor: str, source: str) -> dict[str, Any]:
        """Judge a bundle; the answer for whoever brought it."""
        async with self._turn:
            try:
                stored = await asyncio.to_thread(_indexed, partial(self._store.take, data))
            except PolicyRefused as refused:
                self._refused(refused.found, actor, source)
                found = [{"source": f.source, "what": f.what, "cure": f.cure} for f in refused.found]
                return {"op": "done", "ok": False, "why": str(refused), "found": found}
            if stored.digest != self._runtime.state.campus.digest:
                self._in_force(stored, actor, source)
            return {"op": "done", "ok": True, "version": stored.policy.version}

    def _in_force(self, stored: Stored, actor: str, source: str) -> None:
        log.info("policy version %d in force, %d cards", stored.policy.version, len(stored.policy.credentials))
        self._runtime.handle(PolicyChanged(stored.policy, stored.digest, actor, source))

    def _refused(self, found: tuple[Contradiction, ...], actor: str, source: str) -> None:
        if not self._pace.may(time.monotonic()):
            return
        why = [_impersonal(one) for one in found[:TOLD]]
        for text in why:
            log.warning("policy refused: %s", text)
        data: dict[str, object] = {"count": len(found), "source": source, "why": why, **self._pace.held_back()}
        self._runtime.handle(Note("policy.refused", "policy", actor or "?", data))


def _indexed(read: Callable[[], _Stored]) -> _Stored:
    """What `read` gives, its people sorted already: for a hundred thousand that is no work for the loop."""
    stored = read()
    if stored is not None:
        people.index(stored.policy)
    return stored


# Where a contradiction stands in no table of people, its words quote nothing of a person.
_IMPERSONAL = re.compile(
    r"(bundle|box|site_box|version|current\.bundle|previous\.bundle)|(calendar|plans|policy)\.toml:\d{1,6}"
)
_PLACE = re.compile(r"[a-z_]+(\.csv(:\d{1,6})?|\[\d{1,6}\])?")


def _impersonal(one: Contradiction) -> str:
    """For records and log lines. What is wrong with somebody's row is told to whoever brought the bundle; here only
    where it is, for its words quote the row."""
    if _IMPERSONAL.fullmatch(one.source):
        return f"{one.source}: {one.what}"[:200]
    return one.source if _PLACE.fullmatch(one.source) else "?"
