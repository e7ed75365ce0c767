"""The role `menwei uplink`: one broker connection after another, and the lanes that share it.

The lanes know nothing of each other, and each is restarted by itself when it fails: a journal that cannot be read
must not stop an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agent.core.kinds import WEIGHT
from agent.core.records import Weight
from agent.core.words import Stage
from agent.journal.reader import JournalReader
from agent.journal.schema import FILE as JOURNAL
from agent.link import ControlAway, ControlLink, Message
from agent.notify import notify, watchdog_interval_s
from agent.uplink import couriers
from agent.uplink.alarms import PATH, AlarmLane, is_live
from agent.uplink.backoff import BackOff
from agent.uplink.batch import Ref
from agent.uplink.commands import Commands
from agent.uplink.cursor import FILE as CURSOR
from agent.uplink.cursor import CursorKeeper
from agent.uplink.dc09.path import Dc09Path
from agent.uplink.dispatch import Dispatch
from agent.uplink.downward import Downward
from agent.uplink.health import PathHealth
from agent.uplink.mqtt import BrokerLost, Connection, Settings, tls_context
from agent.uplink.path import Alarm, AlarmPath, alarm_of, ending_of
from agent.uplink.records import RecordLane
from agent.uplink.reporter import Reporter
from agent.uplink.sieve import Sieve
from agent.uplink.source import JournalAway, Source
from agent.uplink.state import OFFLINE, StateLane
from agent.uplink.topics import Topics
from agent.uplink.unsaid import FILE as UNSAID
from agent.uplink.unsaid import Memory
from hardware.places import control_socket, resolve, storage_dir
from hardware.site import Gb28181, Mqtt, Site
from hardware.ways import alarm_ways, sync_names

if TYPE_CHECKING:
    from agent.uplink.redis.path import RedisPath

GUARD_S = 1.0
Cursors = dict[str, Ref]  # by far side that keeps the journal: "mqtt", "redis"
JUDGE_EVERY_S = 0.5
YOUNG_MS = 3_600_000  # D: an alarm found unreceived at a start still goes to every path when it is so young
CHECKPOINT_EVERY_S = 1.0

log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder(order="sorted").encode  # a record as the journal writes it: keys sorted, no spaces


async def run(site: Site) -> None:
    """Carry the journal and the alarms to the district until cancelled. Raises nothing for a broker that is away."""
    if not alarm_ways(site):
        log.warning("the site file names no uplink: nobody will hear an alarm outside this gate")
        notify("READY=1\nSTATUS=no uplink in the site file")
        await asyncio.Event().wait()
        return
    uplink = Uplink(site, site.uplink.mqtt)
    try:
        await uplink.run()
    finally:
        await uplink.close()


class Uplink:
    """The lanes and what they share."""

    def __init__(self, site: Site, mqtt: Mqtt | None) -> None:
        self._site = site
        self._mqtt = mqtt
        self._topics = Topics.of(site.site)
        self._link = ControlLink(control_socket(site))
        self._source = Source(JournalReader(storage_dir(site) / JOURNAL))
        self._reporter = Reporter(self._link, sync_names(site))
        self._dispatch = Dispatch(self._reporter)
        self._alarms = AlarmLane(self._topics.alarm, self._dispatch)
        self._records = RecordLane(
            self._topics.records, self._source, own_folder(site) / CURSOR, self._reporter, self._alarms.again
        )
        self._state = StateLane(self._topics.state)
        self._picture: Message | None = None  # what control last told; None while it is away
        self._policies, self._anchors = couriers.policies(self._link), couriers.checkpoints(self._link)
        self._commands = Commands(self._link, self._reporter, Sieve(f"{site.site.id}/{site.site.box}"))
        self._downward = Downward(
            self._topics,
            self._alarms.receipt,
            self._records.receipt,
            self._policies.take,
            self._anchor,
            self._commands.take,
        )
        self._health = PathHealth(self._alarms, self._records, self._dispatch)
        self._back_off = BackOff()
        self._served = False  # the present try got as far as a working connection
        self._connection: Connection | None = None
        self._control_came = asyncio.Event()
        self.unsaid = Memory(own_folder(site) / UNSAID, self._dispatch, self._source)
        self._searched = False  # the journal was searched for alarms since this process began
        self._caught_up = False  # every alarm up to the head was handed on, and control tells of the next
        self._had: Cursors | None = None  # how far the far sides were when control came, until that search
        self._news = asyncio.Event()  # something durable is new: perhaps a checkpoint
        self._published = b""  # the checkpoint last sent: a broker may echo it
        self._redis = self._redis_path()
        self._paths = self._all_paths()
        self._dispatch.use(_groups(site, self._paths))

    async def run(self) -> None:
        """Until cancelled."""
        notify("READY=1")
        async with asyncio.TaskGroup() as group:
            for name, work in (
                ("control", self._listen),
                ("alarms of before", self._restore),
                *((f"path {path.name}", path.run) for path in self._paths.values()),
                ("dispatch", self._dispatch.run),
                ("what waits", self.unsaid.run),
                ("reports", self._reporter.run),
                ("policies", self._policies.run),
                ("anchors", self._anchors.run),
                *((f"cursor of {name}", keeper.run) for name, keeper in self._keepers().items()),
                ("commands", self._commands.run),
                ("keys of commands", self._commands.learn),
                ("health", self._judge),
            ):
                group.create_task(_guarded(name, work), name=name)

    def _all_paths(self) -> dict[str, AlarmPath]:
        """Every alarm path of the site file, by name."""
        paths: list[AlarmPath] = []
        if self._mqtt is not None:
            paths.append(_MqttPath(self._alarms, self._keep_connected))
        paths += [] if self._redis is None else [self._redis]
        paths += [Dc09Path(self._site, way, self._dispatch) for way in self._site.uplink.dc09]
        paths += [self._gb28181(way) for way in self._site.uplink.gb28181]
        return {path.name: path for path in paths}

    def _redis_path(self) -> RedisPath | None:
        """The import waits until a site file asks for it: 7 MB (measured)."""
        way = self._site.uplink.redis
        if way is None:
            return None
        from agent.uplink.redis.path import RedisPath

        return RedisPath(self._site, way, self._source, own_folder(self._site), self._reporter, self._dispatch)

    def _keepers(self) -> dict[str, CursorKeeper]:
        """One for each far side that keeps the whole journal."""
        redis = {} if self._redis is None else {"redis": self._redis.records.keeper}
        return {PATH: self._records.keeper} | redis

    def _gb28181(self, way: Gb28181) -> AlarmPath:
        from agent.uplink.gb28181.path import Gb28181Path  # SIP and XML only where they are spoken

        return Gb28181Path(self._site, way, self._dispatch, self._reporter.note, lambda: self._picture)

    async def close(self) -> None:
        """Leave in order: the far side is told, and what was received is not sent again after the next start."""
        if self._connection is not None:
            with contextlib.suppress(BrokerLost):
                self._connection.publish(self._topics.state, OFFLINE, retain=True)
            await self._connection.close()
        for keeper in self._keepers().values():
            await keeper.save()
        await self.unsaid.save()
        await self._source.close()
        await self._link.close()

    # ── control ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _listen(self) -> None:
        async with contextlib.aclosing(self._link.subscribe(self._records.outbox.cursor[1], state=True)) as lines:
            async for line in lines:
                self._heed(line)

    def _heed(self, line: Message) -> None:
        match line["op"]:
            case "alarm":
                self._dispatch.add(alarm_of(_encode(line["record"])))
            case "ended":
                self._over(_encode(line["record"]))
            case "head":
                self._head_is((int(line["epoch"]), int(line["seq"])))
                self._news.set()
            case "state":
                self._picture = line["state"]
                self._state.picture(self._picture)
            case "subscribed":
                self._reporter.control_is_new()
                self._caught_up = False
                self._had = _earlier(self._had, self._cursors())
                self._head_is((int(line["epoch"]), int(line["head"])))
                self._control_came.set()
            case "lost":
                log.warning("control is away: %s", line["why"])
                self._picture = None
                self._state.picture(None)

    def _over(self, body: bytes) -> None:
        ending = ending_of(body)
        if ending is not None:
            self._dispatch.over(ending)

    def _head_is(self, head: Ref) -> None:
        """Alarms and ends up to `head` came before this line."""
        self._records.head_is(head)
        if self._caught_up:
            self.unsaid.told = head
        if self._redis is not None:
            self._redis.records.head_is(head)

    async def _restore(self) -> None:
        """Each time control (re)starts: find the alarms that were told while nobody listened here."""
        while True:
            await self._control_came.wait()
            self._control_came.clear()
            had, self._had = self._had, None
            try:
                await self._restore_open()
                await self._restore_unreceived(self._records.head, had or self._cursors())
                if not self._control_came.is_set():
                    self._caught_up, self.unsaid.told = True, self._records.head
            except (JournalAway, ControlAway) as error:
                log.error("open alarms may be missing here: %s", error)
                self._had = _earlier(self._had, had or self._cursors())
                await asyncio.sleep(GUARD_S)
                self._control_came.set()

    async def _restore_open(self) -> None:
        """The alarms that control holds open, with their stages."""
        answer = await self._link.request({"op": "state"})
        for alarm in answer["state"].get("panic", {}).get("alarms", []):
            ref = (int(alarm["ref"][0]), int(alarm["ref"][1]))
            stages = {path: Stage(stage) for path, stage in alarm.get("stages", {}).items()}
            self._reporter.remind(ref, stages)
            body = await self._source.body(ref)
            if body is not None:
                self._dispatch.add(alarm_of(body), stages)

    async def _restore_unreceived(self, head: Ref, had: Cursors) -> None:
        """Every alarm that nobody here was told of, and after a start every one that a far side had not received with
        the records when control came; the young ones on every path. What it has received since, as a record, is still
        to be raised as an alarm."""
        told = self.unsaid.told
        if told is not None and told > head:  # another card's
            told = None
        first = min(had.values(), default=told) if not self._searched else None
        begin = min((ref for ref in (told, first) if ref is not None), default=(0, 0))
        start = await self._source.after(begin, head[1])
        unraised: set[tuple[str, str]] = set()
        for ref, body in await self._source.alarms(start - 1, head[1]):
            alarm = alarm_of(body)
            if told is not None and ref <= told:
                self._carry_old(alarm, had)
            else:
                self._tell_late(alarm, had, unraised, new=told is not None)
        self._searched = True

    def _tell_late(self, alarm: Alarm, had: Cursors, unraised: set[tuple[str, str]], *, new: bool) -> None:
        """What was written while nobody listened, certainly so if it is `new`. An old end is told as well, but not that
        of an alarm which was too old to be raised."""
        ending, young = ending_of(alarm.body), is_live(alarm.at, YOUNG_MS)
        if young and WEIGHT.get(alarm.kind) is Weight.ALARM:
            self._dispatch.add(alarm)
        elif not young:
            self._carry_old(alarm, had)
            unraised.add((alarm.kind, alarm.subject))
        if ending is not None and (young or new) and not {(k, ending.subject) for k in ending.kinds} <= unraised:
            self._dispatch.over(ending)

    def _carry_old(self, alarm: Alarm, had: Cursors) -> None:
        """To the far sides that keep the journal, and had not got so far."""
        if WEIGHT.get(alarm.kind) is not Weight.ALARM:
            return
        if self._mqtt is not None and alarm.ref > had["mqtt"]:
            self._alarms.add(alarm.body)
        if self._redis is not None and alarm.ref > had["redis"]:
            self._redis.take(alarm)

    def _cursors(self) -> Cursors:
        """How far the journal is on each far side that keeps it."""
        mqtt = {} if self._mqtt is None else {"mqtt": self._records.outbox.cursor}
        return mqtt if self._redis is None else mqtt | {"redis": self._redis.cursor}

    # ── the broker ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began, self._served = loop.time(), False
            try:
                await self._one_connection()
            except BrokerLost as error:
                log.warning("no uplink: %s", error)
                self._health.disconnected(str(error), loop.time())
            self._back_off.lost(self._served, loop.time() - began)
            await self._pause()

    async def _pause(self) -> None:
        """Back off; a new alarm ends the pause."""
        self._alarms.urgent.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._back_off.pause_s(self._alarms.waiting > 0)):
                await self._alarms.urgent.wait()

    async def _one_connection(self) -> None:
        """Connect, serve until lost. Raises BrokerLost."""
        connection = await Connection.open(self._settings(), self._downward.take)
        self._connection = connection
        try:
            # Its own retained checkpoint is what the far side last kept of this box: it comes before we publish anew.
            await connection.subscribe(self._topics.down)
            self._health.connected()
            self._served = True
            log.info("connected to the broker")
            why = await self._serve(connection)
        finally:
            if connection.lost.done():
                self._connection = None
        raise BrokerLost(why)

    async def _serve(self, connection: Connection) -> str:
        """Run the lanes until the connection is lost; returns why."""
        lanes = {
            "alarms": self._alarms.run,
            "records": self._records.run,
            "state": self._state.run,
            "checkpoints": self._checkpoints,
        }
        tasks = [asyncio.create_task(_lane(name, lane, connection), name=name) for name, lane in lanes.items()]
        try:
            return await asyncio.shield(connection.lost)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _settings(self) -> Settings:
        """Read afresh for each attempt: certificates are renewed while we run. Raises BrokerLost for a bad file."""
        mqtt, ids = self._mqtt, self._site.site
        assert mqtt is not None

        def place(name: str) -> str:
            return str(resolve(self._site, name)) if name else ""

        return Settings(
            host=mqtt.host,
            port=mqtt.port,
            client_id=f"menwei.{ids.id}.{ids.box}",
            will_topic=self._topics.state,
            will=OFFLINE,
            tls=tls_context(place(mqtt.ca_file), place(mqtt.cert_file), place(mqtt.key_file)) if mqtt.tls else None,
            username=mqtt.username,
            password=_password(place(mqtt.password_file)),
        )

    def _anchor(self, payload: bytes) -> None:
        if payload != self._published:
            self._anchors.take(payload)

    async def _checkpoints(self, connection: Connection) -> None:
        """The newest signed checkpoint, retained."""
        told: bytes | None = None
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                newest = await self._source.checkpoint()
            except JournalAway as error:
                log.warning("%s", error)
                newest = None
            if newest is not None and newest != told:
                self._published = told = newest
                connection.publish(self._topics.checkpoint, newest, retain=True)
            await asyncio.sleep(CHECKPOINT_EVERY_S)

    async def _judge(self) -> None:
        """Path health, and the watchdog: fed by this loop turning, with every lane under guard."""
        loop = asyncio.get_running_loop()
        every_s = min(JUDGE_EVERY_S, watchdog_interval_s() or JUDGE_EVERY_S)
        while True:
            self._health.judge(loop.time())
            notify("WATCHDOG=1")
            await asyncio.sleep(every_s)


class _MqttPath:
    """The broker as an alarm path. Its records' lane goes beside it and is nobody's business here."""

    name = PATH

    def __init__(self, alarms: AlarmLane, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._alarms = alarms
        self._run = run

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None:
        self._alarms.add(alarm.body, stage)

    async def run(self) -> None:
        await self._run()


def _groups(site: Site, paths: dict[str, AlarmPath]) -> list[list[AlarmPath]]:
    """The paths by priority, first group first."""
    groups: dict[int, list[AlarmPath]] = {}
    for priority, name in alarm_ways(site):
        if name in paths:
            groups.setdefault(priority, []).append(paths[name])
    return [groups[priority] for priority in sorted(groups)]


async def _guarded(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run for ever: an error nobody foresaw is logged and the work begins again; the others never notice."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("%s failed and starts again", name)
        await asyncio.sleep(GUARD_S)


async def _lane(name: str, lane: Callable[[Connection], Awaitable[None]], connection: Connection) -> None:
    """Run a lane for as long as the connection lives; only the connection's end gets out."""
    while True:
        try:
            await lane(connection)
        except BrokerLost:
            return
        except Exception:
            log.exception("the lane of %s failed and starts again", name)
        await asyncio.sleep(GUARD_S)


def _earlier(one: Cursors | None, other: Cursors) -> Cursors:
    """Of each far side the earlier place."""
    return other if one is None else {name: min(ref, one.get(name, ref)) for name, ref in other.items()}


def own_folder(site: Site) -> Path:
    """Where this role writes: the folder the service manager gives it, else one beside the journal."""
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else storage_dir(site) / "uplink"


def _password(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise BrokerLost(f"cannot read the password file {path}: {error.strerror}") from None
