"""The path to a receiving centre: alarms in their order, link tests between them, one receiver or the other.

Every alarm is sent until a receiver has acknowledged it, whatever that takes; nothing here is ever given up. A `NAK`
for a time out of the receiver's window teaches us its clock; a `DUH` is a mistake in somebody's settings: it is told in
words, the path counts as down, and the alarm is tried again after a while, the others meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import msgspec

from agent.core.words import FROM_AFAR, Stage
from agent.uplink.backoff import BackOff
from agent.uplink.batch import Ref
from agent.uplink.dc09.codes import Code, code_of, data_of, zones
from agent.uplink.dc09.frames import PAD_LETTERS, Account, Answer, frame
from agent.uplink.dc09.link import Link, LinkLost
from agent.uplink.path import Alarm, Ending, Reports, Unsaid
from hardware.places import resolve
from hardware.site import Dc09, Site

NAKS = 3  # so often a message is sent anew with the clock just learned
REFUSED_S = 60.0  # D: a message the centre does not understand is tried again so seldom
RETURN_S = 300.0  # D: so long on the back-up receiver before the main one is tried again
SEQ_MAX = 9999
KEEP = 256
NUMBERS = 2 * KEEP  # the newest are no other message's

log = logging.getLogger(__name__)


_Key: TypeAlias = tuple[Ref, str]  # the record, and for an end the kind of alarm it ends


class _Waiting(msgspec.Struct):
    """One alarm on its way, or the end of one. `seq` is its own for good, so that the centre knows a second copy, also
    from after a crash that forgot its receipt. `after`: an end is not told before the alarm itself."""

    key: _Key
    data: str
    seq: int
    subject: str
    drill: bool
    panic: bool = False
    after: Ref | None = None
    sent: bool = False
    not_before: float = 0.0  # monotonic: refused, and to be tried again then

    @property
    def is_alarm(self) -> bool:
        return not self.key[1]


class Refused(Exception):
    """The receiver understands us and does not take the message: settings on one of the two sides are wrong."""


class Dc09Path:
    """One `[[uplink.dc09]]` of the site file."""

    def __init__(self, site: Site, way: Dc09, reports: Reports) -> None:
        self.name = way.id
        self._site = site
        self._way = way
        self._reports = reports
        self._zones = zones(site)
        self._waiting: dict[_Key, _Waiting] = {}
        self._news = asyncio.Event()
        self._numbers: dict[int, _Key] = {}
        self._offset = timedelta()  # receiver's clock minus ours
        self._refusals: dict[_Key | None, str] = {}  # None: the link test itself
        self._back_off = BackOff()
        self._on_backup_since: float | None = None
        self.dropped = 0

    # ── what the dispatch asks ─────────────────────────────────────────────────────────────────────────────────

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None:
        """Deliver until received. What this path does not carry (`codes.NOT_SENT`) is passed over."""
        code = code_of(alarm.kind, alarm.subject, drill=alarm.drill)
        if code is None or stage in FROM_AFAR:
            return
        data = self._data(code, alarm.subject, drill=alarm.drill)
        panic = alarm.kind.startswith("panic.")
        key, sent = (alarm.ref, ""), stage is not Stage.QUEUED
        self._add(_Waiting(key, data, 0, alarm.subject, alarm.drill, panic=panic, sent=sent))

    def over(self, ending: Ending) -> None:
        """Tell that alarms have ended, after the alarms themselves."""
        for kind in ending.kinds:
            code = code_of(kind, ending.subject, drill=ending.drill)
            if code is not None and code.over:
                data = self._data(code, ending.subject, drill=ending.drill, over=True)
                key, panic = (ending.ref, kind), kind.startswith("panic.")
                self._add(_Waiting(key, data, 0, ending.subject, ending.drill, panic=panic, after=ending.of))

    def unsaid(self) -> list[Unsaid]:
        return [Unsaid(w.key[0], self.name, w.key[1], w.subject, w.after, w.drill) for w in self._waiting.values()]

    def _data(self, code: Code, subject: str, *, drill: bool, over: bool = False) -> str:
        zone = self._zones.get(subject, 0)
        return data_of(self._way.protocol, self._way.account.upper(), code, zone, drill=drill, over=over)

    def _add(self, waiting: _Waiting) -> None:
        if waiting.key in self._waiting:
            return
        waiting.seq = self._number(waiting.key)
        self._waiting[waiting.key] = waiting
        self._make_room()
        self._news.set()

    def _number(self, key: _Key) -> int:
        """1 to 9999, made of the record's own number: the same whenever this message is sent. The numbers need not
        follow on each other: a receiver echoes what it gets (answers by an author of the standard, S)."""
        number = zlib.crc32(f"{key[0][0]}-{key[0][1]}-{key[1]}".encode()) % SEQ_MAX + 1
        while self._numbers.get(number, key) != key:
            number = number % SEQ_MAX + 1
        self._numbers[number] = key
        if len(self._numbers) > NUMBERS:
            del self._numbers[next(iter(self._numbers))]
        return number

    async def run(self) -> None:
        """Deliver and supervise until cancelled."""
        links: tuple[Link, ...] = ()
        while True:
            try:
                who = self._account()
                links = links or self._links(who.key)
                await self._serve(links, who)
            except (LinkLost, Refused) as error:
                log.warning("%s: %s", self.name, error)
                self._reports.path(self.name, False, str(error))
                self._back_off.lost(False, 0.0)
                await self._pause()
            finally:
                for link in links:
                    await link.close()

    # ── one receiver ───────────────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, links: tuple[Link, ...], who: Account) -> None:
        """What waits, or else a link test, which shows the way and the clock; then alarms as they come, tests between.

        Raises LinkLost when no receiver answers.
        """
        await self._say(links, who, self._next())
        while True:
            self._news.clear()
            waiting = self._next()
            if waiting is None and await self._news_within(self._quiet_s()):
                continue
            await self._say(links, who, waiting or self._next())

    async def _say(self, links: tuple[Link, ...], who: Account, waiting: _Waiting | None) -> None:
        """One message, to the main receiver or else to the other. Raises LinkLost."""
        why: list[str] = []
        refused = False
        key = None if waiting is None else waiting.key
        for link in self._in_order(links):
            try:
                await self._deliver(link, who, waiting)
            except (LinkLost, Refused) as error:
                why.append(str(error))
                if isinstance(error, Refused):
                    refused, self._refusals[key] = True, str(error)
                continue
            self._settled(links, link, key)
            return
        if refused and waiting is not None:
            waiting.not_before = _now() + REFUSED_S
            self._reports.path(self.name, False, self._refusals[key])
            return
        raise LinkLost("; ".join(why))

    def _settled(self, links: tuple[Link, ...], link: Link, key: _Key | None) -> None:
        """A receiver has said yes."""
        self._refusals.pop(key, None)
        self._back_off = BackOff()
        if link is links[0]:
            self._on_backup_since = None
        elif self._on_backup_since is None:
            self._on_backup_since = _now()
            log.warning("%s: on the back-up receiver %s", self.name, link.name)
        trouble = next(iter(self._refusals.values()), "")
        self._reports.path(self.name, not trouble, trouble)

    async def _deliver(self, link: Link, who: Account, waiting: _Waiting | None) -> None:
        """Until this receiver has it. Raises LinkLost or Refused."""
        for _ in range(NAKS):
            said = await self._exchange(link, who, waiting)
            if said.word == "ACK":
                if waiting is not None:
                    self._received(waiting, link.name)
                return
            if said.word == "DUH":
                raise Refused(f"{link.name} does not understand us: check account {who.account}, key and protocol")
            if said.at is not None:
                self._offset = said.at - datetime.now(UTC)
                log.warning("%s: the receiver's clock is %s off ours", self.name, self._offset)
        raise Refused(f"{link.name} takes no message of account {who.account}: it says NAK to its own time")

    async def _exchange(self, link: Link, who: Account, waiting: _Waiting | None) -> Answer:
        at = datetime.now(UTC) + self._offset
        pad = "".join(secrets.choice(PAD_LETTERS) for _ in range(32)) if who.key else ""
        if waiting is None:
            return await link.exchange(frame(who, "NULL", 0, "", at, pad), 0)
        message = frame(who, self._way.protocol, waiting.seq, waiting.data, at, pad)
        return await link.exchange(message, waiting.seq, lambda: self._sent(waiting))

    def _sent(self, waiting: _Waiting) -> None:
        if not waiting.sent and waiting.is_alarm:
            self._reports.stage(self.name, waiting.key[0], Stage.SENT)
        waiting.sent = True

    def _received(self, waiting: _Waiting, by: str) -> None:
        self._waiting.pop(waiting.key, None)
        if waiting.is_alarm:
            self._reports.stage(self.name, waiting.key[0], Stage.RECEIVED, by)

    # ── what is next ───────────────────────────────────────────────────────────────────────────────────────────

    def _next(self) -> _Waiting | None:
        """Panic first, then as they happened."""
        now = _now()
        due = [waiting for waiting in self._waiting.values() if waiting.not_before <= now and self._in_turn(waiting)]
        return min(due, key=lambda w: (not w.panic, w.key[0]), default=None)

    def _in_turn(self, waiting: _Waiting) -> bool:
        return waiting.after is None or (waiting.after, "") not in self._waiting

    def _quiet_s(self) -> float:
        later = (waiting.not_before - _now() for waiting in self._waiting.values())
        return max(0.0, min(self._way.supervise_s, *later, self._way.supervise_s))

    async def _news_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
            return True
        return False

    async def _pause(self) -> None:
        """Back off; a new alarm ends the pause."""
        self._news.clear()
        await self._news_within(self._back_off.pause_s(bool(self._waiting)))

    def _in_order(self, links: tuple[Link, ...]) -> tuple[Link, ...]:
        """The back-up first while it serves, and the main one again after a while, when no alarm waits."""
        since = self._on_backup_since
        if since is None or (_now() - since >= RETURN_S and not self._waiting):
            if since is not None:
                self._on_backup_since = _now()  # tried once, then left alone as long again
            return links
        return links[::-1]

    def _make_room(self) -> None:
        """Beyond KEEP the oldest end, then the oldest that is not a panic: it still goes up with the records."""
        while len(self._waiting) > KEEP:
            worst = min(self._waiting.values(), key=lambda w: (w.is_alarm, w.panic, w.key[0]))
            del self._waiting[worst.key]
            self._refusals.pop(worst.key, None)
            self.dropped += 1
            self._reports.given_up(self.name, self.dropped)

    # ── settings ───────────────────────────────────────────────────────────────────────────────────────────────

    def _links(self, key: bytes) -> tuple[Link, ...]:
        way = self._way
        main = Link((way.host, way.port), key)
        return (main, Link((way.backup_host, way.backup_port or way.port), key)) if way.backup_host else (main,)

    def _account(self) -> Account:
        """Raises LinkLost for a key that cannot be used: an alarm never goes in the clear by mistake."""
        way = self._way
        key = _key(resolve(self._site, way.key_file)) if way.key_file else b""
        return Account(way.account.upper(), way.receiver.upper(), way.line.upper(), key)


def _key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise LinkLost(f"cannot read the key file {path}: {error.strerror}") from None
    except ValueError:
        raise LinkLost(f"the key file {path} does not hold hex digits") from None
    if len(key) not in (16, 24, 32):
        raise LinkLost(f"the key in {path} has {2 * len(key)} hex digits instead of 32, 48 or 64")
    return key


def _now() -> float:
    return asyncio.get_running_loop().time()
