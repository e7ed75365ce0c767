"""The district's Redis as the second place for the whole journal, and as an alarm path.

Streams `menwei:<site>:<box>` and `menwei:<site>:<box>:alarm`, ids `<epoch>-<seq>`, one field `body`: the record's
canonical JSON as the journal has it. Nothing counts as received before a durable server has answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.core.words import Stage
from agent.uplink.backoff import BackOff
from agent.uplink.batch import Ref
from agent.uplink.path import Alarm, Reports
from agent.uplink.redis.alarms import AlarmStream
from agent.uplink.redis.link import Link, RedisLost, Settings
from agent.uplink.redis.records import RecordStream
from agent.uplink.reporter import Reporter
from agent.uplink.source import Source
from hardware.places import resolve
from hardware.site import Redis, Site

NAME = "redis"
CURSOR = "redis-cursor.json"

log = logging.getLogger(__name__)


class RedisPath:
    """`[uplink.redis]` of the site file. `reporter` hears of records, `reports` of alarms and of the path."""

    name = NAME

    def __init__(
        self, site: Site, way: Redis, source: Source, folder: Path, reporter: Reporter, reports: Reports
    ) -> None:
        key = f"menwei:{site.site.id}:{site.site.box}"
        self._site = site
        self._way = way
        self._reports = reports
        self._wrong: dict[str, str] = {}  # lane → what is wrong; nothing is told before each has been tried
        self._told: tuple[bool, str] | None = None
        self.records = RecordStream(
            key, source, folder / CURSOR, lambda cursor: reporter.synced(NAME, cursor), reporter.ahead
        )
        self.alarms = AlarmStream(
            f"{key}:alarm",
            key,
            lambda ref, stage, by: reports.stage(NAME, ref, stage, by),
            lambda count: reports.given_up(NAME, count),
        )

    @property
    def cursor(self) -> Ref:
        return self.records.cursor

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None:
        self.alarms.take(alarm, stage)

    async def run(self) -> None:
        """Deliver and supervise until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("alarms", self._serve_alarms, lambda: self.alarms.waiting > 0))
            group.create_task(self._keep("records", self._serve_records, lambda: False))

    async def _keep(self, lane: str, serve: Callable[[Link], Awaitable[None]], urgent: Callable[[], bool]) -> None:
        """One connection after another."""
        back_off, loop = BackOff(), asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._one_connection(serve)
            except RedisLost as error:
                log.warning("%s of redis: %s", lane, error)
                back_off.lost(self._wrong.get(lane) == "", loop.time() - began)
                self._judge(lane, str(error))
            await self._pause(back_off.pause_s(urgent()), lane)

    async def _one_connection(self, serve: Callable[[Link], Awaitable[None]]) -> None:
        """Raises RedisLost at its end, also for answers of a shape that no Redis gives."""
        settings = self._settings()
        try:
            link = await Link.open(settings)
            try:
                await serve(link)
            finally:
                await link.close()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            where = f"{settings.host}:{settings.port}"
            log.info("an answer of %s could not be read", where, exc_info=error)
            raise RedisLost(f"what answers at {where} is no Redis") from None

    async def _serve_alarms(self, link: Link) -> None:
        await self.alarms.run(link, lambda why: self._judge("alarms", why))

    async def _serve_records(self, link: Link) -> None:
        await self.records.run(link, lambda: self._judge("records", ""))

    async def _pause(self, seconds: float, lane: str) -> None:
        """Back off; a new alarm ends the alarms' pause."""
        if lane != "alarms":
            await asyncio.sleep(seconds)
            return
        self.alarms.news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self.alarms.news.wait()
        except TimeoutError:
            return

    def _judge(self, lane: str, why: str) -> None:
        """The path is up when both lanes are."""
        self._wrong[lane] = why
        verdict = next((why for why in self._wrong.values() if why), "")
        if len(self._wrong) == 2 or verdict:
            told = (not verdict, verdict)
            if told != self._told:
                self._told = told
                self._reports.path(NAME, *told)

    def _settings(self) -> Settings:
        """Read afresh for each attempt: certificates and passwords are renewed while we run. Raises RedisLost."""
        way = self._way
        password = ""
        if way.password_file:
            place = resolve(self._site, way.password_file)
            try:
                password = place.read_text().strip()
            except OSError as error:
                raise RedisLost(f"cannot read the password file {place}: {error.strerror}") from None
        files = {name: self._file(getattr(way, name)) for name in ("ca_file", "cert_file", "key_file")}
        return Settings(
            way.host, way.port, username=way.username, password=password, tls=way.tls, vouched=way.durable, **files
        )

    def _file(self, name: str) -> str:
        return str(resolve(self._site, name)) if name else ""
