"""Which path gets an alarm when: the first group at once, the next one when nobody has confirmed it in 10 s.

Paths of one priority are one group and get an alarm together. A receipt on any path ends the search for further ones;
it never takes the alarm away from a path that has it already, so that each recipient gives its own receipt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from agent.core.words import FROM_AFAR, Stage
from agent.uplink.batch import Ref
from agent.uplink.path import Alarm, AlarmPath, Ending, HearsEndings, Reports

NEXT_AFTER_S = 10.0  # the promise: no receipt in 10 s, next path
TURN_S = 0.25
KEEP = 256  # alarms followed; the paths keep their own

log = logging.getLogger(__name__)


class _Open(msgspec.Struct):
    """One alarm, and how many groups have it. `since` is when the last of them got it (monotonic seconds)."""

    alarm: Alarm
    groups: int
    since: float
    received: bool = False


class Dispatch:
    """Hands alarms to paths and hears what the paths tell; it passes that on to `reports`."""

    def __init__(self, reports: Reports, clock: Callable[[], float] | None = None) -> None:
        self._reports = reports
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._groups: tuple[tuple[AlarmPath, ...], ...] = ()
        self._open: dict[Ref, _Open] = {}
        self._over: dict[Ref, None] = {}  # endings handed on, oldest first: a start may find them again

    def use(self, groups: Sequence[Sequence[AlarmPath]]) -> None:
        """The paths, by priority. Once, before the first alarm."""
        self._groups = tuple(tuple(group) for group in groups)

    def knows(self, ref: Ref) -> bool:
        return ref in self._open

    def add(self, alarm: Alarm, stages: Mapping[str, Stage] | None = None) -> None:
        """A new alarm, or one of before a restart with its stages per path: those that had it have it again."""
        if alarm.ref in self._open:
            return
        stages = stages or {}
        had = [i for i, group in enumerate(self._groups) if any(_begun(stages.get(path.name)) for path in group)]
        new = _Open(alarm, 0, self._clock(), received=any(stage in FROM_AFAR for stage in stages.values()))
        self._open[alarm.ref] = new
        self._make_room()
        for _ in range(max(had, default=0) + 1):
            self._hand_on(new, stages)

    def over(self, ending: Ending) -> None:
        """An alarm has ended: said to the paths that were given it, and to all of them when it is not remembered."""
        if ending.ref in self._over:
            return
        self._over = dict.fromkeys([*self._over, ending.ref][-KEEP:])
        entry = self._ended(ending)
        groups = self._groups if entry is None else self._groups[: entry.groups]
        if entry is not None:
            ending = msgspec.structs.replace(ending, of=entry.alarm.ref, kinds=_kinds(ending, entry.alarm))
        for path in (path for group in groups for path in group):
            try:
                if isinstance(path, HearsEndings):
                    path.over(ending)
            except Exception:
                log.exception("path %s could not take the end %s", path.name, ending.ref)

    def _ended(self, ending: Ending) -> _Open | None:
        """The alarm it ended: the one it names, else the newest such alarm of the same thing."""
        if ending.of in self._open:
            return self._open[ending.of]
        same = (e for e in reversed(self._open.values()) if e.alarm.kind in ending.kinds)
        return next((entry for entry in same if entry.alarm.subject == ending.subject), None)

    def _hand_on(self, entry: _Open, stages: Mapping[str, Stage]) -> None:
        """Give the alarm to the next group. One path's bug keeps it from no other."""
        if entry.groups >= len(self._groups):
            return
        group = self._groups[entry.groups]
        entry.groups += 1
        entry.since = self._clock()
        for path in group:
            try:
                path.take(entry.alarm, stages.get(path.name, Stage.QUEUED))
            except Exception:
                log.exception("path %s could not take alarm %s", path.name, entry.alarm.ref)

    def judge(self) -> None:
        """Hand on what nobody has confirmed in time."""
        now = self._clock()
        for entry in tuple(self._open.values()):
            late = not entry.received and entry.groups < len(self._groups) and now - entry.since >= NEXT_AFTER_S
            if late:
                log.warning("alarm %s: no receipt in %g s, next path", entry.alarm.ref, NEXT_AFTER_S)
                self._hand_on(entry, {})

    async def run(self) -> None:
        """Judge until cancelled."""
        while True:
            self.judge()
            await asyncio.sleep(TURN_S)

    # ── what the paths tell ────────────────────────────────────────────────────────────────────────────────────

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None:
        entry = self._open.get(ref)
        if entry is not None and stage in FROM_AFAR:
            entry.received = True
        self._reports.stage(path, ref, stage, by)

    def path(self, path: str, up: bool, why: str = "") -> None:
        self._reports.path(path, up, why)

    def _make_room(self) -> None:
        """Forget received ones first, then the oldest that is not a panic."""
        while len(self._open) > KEEP:
            worst = min(
                self._open.values(), key=lambda e: (not e.received, e.alarm.kind.startswith("panic."), e.alarm.ref)
            )
            del self._open[worst.alarm.ref]


def _kinds(ending: Ending, alarm: Alarm) -> tuple[str, ...]:
    """One thing may end two alarms (a door forced and then held open); otherwise the alarm itself says its kind."""
    return ending.kinds if len(ending.kinds) > 1 else (alarm.kind,)


def _begun(stage: Stage | None) -> bool:
    return stage is not None and stage is not Stage.QUEUED
