"""What waits for far sides that keep no journal, kept in the uplink's own small file: a restart loses nothing of it.

A receiving centre or a platform gets alarms and their ends, and nothing else: what it has not received when this role
ends is named here and taken from the journal again. Beside it stands how far control has told us, so that what was
written while nobody listened is found, and what the far sides have is not told twice.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.files import replace_file
from agent.uplink.batch import Ref
from agent.uplink.dispatch import Dispatch, Followed
from agent.uplink.path import Alarm, Ending, Unsaid, alarm_of
from agent.uplink.source import JournalAway, Source

FILE = "unsaid.json"
LOOK_EVERY_S = 0.25  # D: what a crash forgets within it is only told again
FAR = 10_000  # D: records; a start reads so many of them at most to find that none was an alarm
REFUSED_S = 5.0  # D: a card that takes no file is asked so seldom, and told of once
AWAY_S = 1.0

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """The file. `told`: every alarm and every end up to this record was handed on; None where that is not known."""

    told: Ref | None = None
    alarms: tuple[Followed, ...] = ()
    waits: tuple[Unsaid, ...] = ()


def load(path: Path) -> Kept:
    """What was kept; nothing where there is no file. A damaged one costs what waited, which is said."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except (OSError, *NOT_JSON) as error:
        log.error("cannot read %s (%s): alarms that waited for a receiving centre may be missing there", path, error)
        return Kept()


class Memory:
    """Writes down what waits whenever that changed, and brings it back once after a start."""

    def __init__(self, path: Path, dispatch: Dispatch, source: Source) -> None:
        self._path = path
        self._dispatch = dispatch
        self._source = source
        self.kept = load(path)  # as the file has it
        self.told = self.kept.told
        self._recalled = False
        self._refused = False

    async def run(self) -> None:
        while not self._recalled:
            try:
                await self._recall()
            except JournalAway as error:
                log.error("what waited before the start waits on: %s", error)
                await asyncio.sleep(AWAY_S)
        while True:
            await self.save()
            await asyncio.sleep(REFUSED_S if self._refused else LOOK_EVERY_S)

    async def save(self) -> None:
        """Durable when it returns, where the file can be written. Nothing before what it holds was brought back."""
        now = self._now()
        if not self._recalled or not self._is_news(now):
            return
        try:
            await asyncio.to_thread(_write, self._path, now)
        except OSError as error:
            if not self._refused:
                log.error("cannot write down what waits in %s: %s", self._path, error)
            self._refused = True
            return
        self.kept, self._refused = now, False

    def _now(self) -> Kept:
        waits = tuple(self._dispatch.unsaid())
        alarms = self._dispatch.followed({one.ref for one in waits})
        return Kept(self.told, tuple(alarms), waits)

    def _is_news(self, now: Kept) -> bool:
        """Records come all day and alarms seldom: how far we were told is written where an alarm or an end came since,
        or a start would have to look far."""
        was = self.kept
        if (now.alarms, now.waits) != (was.alarms, was.waits):
            return True
        if now.told is None or was.told is None:
            return now.told is not was.told
        far = now.told[0] != was.told[0] or now.told[1] - was.told[1] >= FAR
        return far or was.told < self._dispatch.newest <= now.told

    # ── after a start ──────────────────────────────────────────────────────────────────────────────────────────

    async def _recall(self) -> None:
        """Everything is read first: an end must not go out before its alarm is there to go before it."""
        followed = {one.ref: one for one in self.kept.alarms}
        alarms: dict[Ref, Alarm] = {}
        for ref in sorted(followed.keys() | {one.ref for one in self.kept.waits if not one.kind}):
            body = await self._source.body(ref)
            if body is None:
                log.error("alarm %s waited for a far side and is no longer in the journal", ref)
            else:
                alarms[ref] = alarm_of(body)
        for ref, alarm in alarms.items():
            waiting = [one.path for one in self.kept.waits if one.ref == ref and not one.kind]
            self._dispatch.again(alarm, followed.get(ref, Followed(ref, 1, received=False)), waiting)
        for one in self.kept.waits:
            if one.kind:
                self._dispatch.over_again(
                    one.path, Ending(one.ref, "", one.subject, (one.kind,), one.after, drill=one.drill)
                )
        self._recalled = True


def _write(path: Path, kept: Kept) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(kept))
