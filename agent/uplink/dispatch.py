"""Which path gets an alarm when: the first group at once, the next one when nobody has confirmed it in 10 s.

Paths of one priority are one group and get an alarm together. A receipt on any path ends the search for further ones;
it never takes the alarm away from a path that has it already, so that each recipient gives its own receipt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Mapping, Sequence

import msgspec

from agent.core.words import FROM_AFAR, Stage
from agent.uplink.batch import Ref
from agent.uplink.path import Alarm, AlarmPath, Ending, HearsEndings, Remembered, Reports, Unsaid

NEXT_AFTER_S = 10.0  # the promise: no receipt in 10 s, next path
TURN_S = 0.25
KEEP = 256  # alarms followed; the paths keep their own

log = logging.getLogger(__name__)


class _Open(msgspec.Struct):
    """One alarm, how many groups have it, and which of their paths were given it by this process. `since` is when the
    last group got it (monotonic seconds)."""

    alarm: Alarm
    groups: int
    since: float
    received: bool = False
    given: set[str] = msgspec.field(default_factory=set)


class Followed(msgspec.Struct, frozen=True):
    """How far an alarm has come in its search for a path, to be written down."""

    ref: Ref
    groups: int
    received: bool


class Dispatch:
    """Hands alarms to paths and hears what the paths tell; it passes that on to `reports`."""

    def __init__(self, reports: Reports, clock: Callable[[], float] | None = None) -> None:
        self._reports = reports
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._groups: tuple[tuple[AlarmPath, ...], ...] = ()
        self._open: dict[Ref, _Open] = {}
        self._over: dict[Ref, None] = {}  # endings handed on, oldest first: a start may find them again
        self.newest: Ref = (0, 0)  # of all alarms and endings handed on

    def use(self, groups: Sequence[Sequence[AlarmPath]]) -> None:
        """The paths, by priority. Once, before the first alarm."""
        self._groups = tuple(tuple(group) for group in groups)

    def add(self, alarm: Alarm, stages: Mapping[str, Stage] | None = None) -> None:
        """A new alarm, or one of before a restart with its stages per path: those that had it have it again."""
        stages = stages or {}
        known = self._open.get(alarm.ref)
        if known is not None:  # one that was written down may lack a path that is not
            self._give(known, stages)
            return
        had = [i for i, group in enumerate(self._groups) if any(_begun(stages.get(path.name)) for path in group)]
        new = self._follow(_Open(alarm, 0, self._clock(), received=any(s in FROM_AFAR for s in stages.values())))
        for _ in range(max(had, default=0) + 1):
            self._hand_on(new, stages)

    def again(self, alarm: Alarm, followed: Followed, waiting: Sequence[str]) -> None:
        """An alarm that was written down before a restart: it waits on these paths, and its search goes on."""
        entry = self._open.get(alarm.ref)
        if entry is None:
            groups = min(followed.groups, len(self._groups))
            entry = self._follow(_Open(alarm, groups, self._clock(), followed.received))
        for path in self._all_paths():
            if path.name in waiting:
                self._take(path, entry, Stage.QUEUED)

    def over_again(self, path_name: str, ending: Ending) -> None:
        """The end of an alarm that was written down as waiting on this path."""
        self._heard_over(ending.ref)
        self._tell_over([path for path in self._all_paths() if path.name == path_name], ending)

    def over(self, ending: Ending) -> None:
        """An alarm has ended: said to the paths that were given it, and to all of them when it is not remembered."""
        if ending.ref in self._over:
            return
        self._heard_over(ending.ref)
        entry = self._ended(ending)
        if entry is not None:
            ending = msgspec.structs.replace(ending, of=entry.alarm.ref, kinds=_kinds(ending, entry.alarm))
        self._tell_over(self._all_paths(None if entry is None else entry.groups), ending)

    def unsaid(self) -> list[Unsaid]:
        """What waits on the paths whose far side keeps no journal."""
        return [one for path in self._all_paths() if isinstance(path, Remembered) for one in path.unsaid()]

    def followed(self, waiting: Container[Ref]) -> list[Followed]:
        """The alarms that look for a further path, and those that wait on one."""
        looking = (
            entry
            for entry in self._open.values()
            if entry.alarm.ref in waiting or (not entry.received and entry.groups < len(self._groups))
        )
        return [Followed(entry.alarm.ref, entry.groups, entry.received) for entry in looking]

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _all_paths(self, groups: int | None = None) -> list[AlarmPath]:
        return [path for group in self._groups[:groups] for path in group]

    def _follow(self, entry: _Open) -> _Open:
        self._open[entry.alarm.ref] = entry
        self.newest = max(self.newest, entry.alarm.ref)
        self._make_room()
        return entry

    def _heard_over(self, ref: Ref) -> None:
        self._over = dict.fromkeys([*self._over, ref][-KEEP:])
        self.newest = max(self.newest, ref)

    def _tell_over(self, paths: Sequence[AlarmPath], ending: Ending) -> None:
        for path in paths:
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
        entry.groups += 1
        entry.since = self._clock()
        self._give(entry, stages)

    def _give(self, entry: _Open, stages: Mapping[str, Stage]) -> None:
        """To every path of the groups that have it, once."""
        for path in self._all_paths(entry.groups):
            if path.name not in entry.given:
                self._take(path, entry, stages.get(path.name, Stage.QUEUED))

    def _take(self, path: AlarmPath, entry: _Open, stage: Stage) -> None:
        entry.given.add(path.name)
        try:
            path.take(entry.alarm, stage)
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

    def given_up(self, path: str, count: int) -> None:
        self._reports.given_up(path, count)

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
