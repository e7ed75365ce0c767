"""The path to a platform by GB/T 28181: registered, kept alive, alarms until the platform itself says that it has them.

The platform's `200 OK` only says that the message came: the alarm is `sent`. `received` is its own `<Response>` to that
alarm, with our number and `OK`. Until then the alarm is sent again, always with the same number, so that the platform
can tell a copy; the number is made from the password and the record, so that a restart does not change it and nobody
who has not the password can answer in the platform's place.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import math
from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from zoneinfo import ZoneInfo

import msgspec

from agent.core.words import FROM_AFAR, Stage
from agent.uplink.backoff import BackOff
from agent.uplink.batch import Ref
from agent.uplink.gb28181.answers import Answers, Note, Picture, Reply
from agent.uplink.gb28181.codes import code_of, fields_of
from agent.uplink.gb28181.digest import Login
from agent.uplink.gb28181.manscdp import BadXml, Command, Field, read
from agent.uplink.gb28181.session import Session
from agent.uplink.gb28181.sip import Headers, Request, Response, answer_to, user_of
from agent.uplink.gb28181.transactions import NoAnswer, Transactions
from agent.uplink.gb28181.wire import LinkLost, OpenWire, Refused, open_wire
from agent.uplink.path import Alarm, Reports, Unsaid
from hardware.places import resolve
from hardware.site import Gb28181, Site

PROBE_S = 25.0  # D: a sign of life so often: three misses and the last wait are over within 90 s
PROBE_ANSWER_S = 10.0  # D
MISSES = 3  # GB/T 28181 (S): so many missed keepalives mean offline
RESPONSE_S = 4.0  # D: so long for the platform's own Response before the alarm goes again; doubles up to RESPONSE_MAX_S
RESPONSE_MAX_S = 60.0  # D
OWED_S = 15.0  # D: a platform that owes a Response for so long does not hear us, as with the broker
REFUSED_S = 60.0  # D: an alarm that the platform refuses is tried again so seldom
LOCKED_OUT_S = 30.0  # D: a registration that it refuses is, too: platforms lock out who tries a wrong password fast
RENEW_AT = 0.8  # D: of a registration's time
CLOCK_OFF_S = 2.0  # GB 50396-2007 5.1.3 (V), told when the platform's clock differs by more
FLIGHTS = 4  # D: so many alarms under way at once, panic ones besides
ANSWERS = 16  # D: so many answers to the platform under way at once
KEEP = 256
ALLOW: Headers = (("Allow", "MESSAGE, OPTIONS"),)

log = logging.getLogger(__name__)


class _Waiting(msgspec.Struct):
    """One alarm on its way. `due`: when it is (again) to be sent; `owed`: since when, in this session, we wait for the
    platform's Response."""

    alarm: Alarm
    sn: int
    device: str
    fields: list[Field]
    sent: bool = False
    flying: bool = False
    due: float = 0.0
    tries: int = 0
    owed: float | None = None
    refused: str = ""

    @property
    def panic(self) -> bool:
        return self.alarm.kind.startswith("panic.")


class Gb28181Path:
    """One `[[uplink.gb28181]]` of the site file."""

    def __init__(
        self,
        site: Site,
        way: Gb28181,
        reports: Reports,
        note: Note,
        picture: Callable[[], Picture | None],
        open_: OpenWire | None = None,
    ) -> None:
        self.name = way.id
        self._site = site
        self._way = way
        self._reports = reports
        self._note = note
        self._zone: tzinfo = ZoneInfo(site.site.timezone)
        self._answers = Answers(site, way, self._zone, note, picture)
        self._open = open_ or partial(open_wire, way.transport, way.host, way.port)
        self._waiting: dict[Ref, _Waiting] = {}
        self._secret = b""
        self._news = asyncio.Event()
        self._doubt = asyncio.Event()  # the platform may have forgotten us: a keepalive shows it
        self._back_off = BackOff()
        self._misses = 0
        self._asked: asyncio.Queue[Command] = asyncio.Queue(ANSWERS)
        self._offset_told = 0.0
        self._told: tuple[bool, str] | None = None
        self.dropped = 0
        self.strays = 0  # Responses to no alarm that waits

    # ── what the dispatch asks ─────────────────────────────────────────────────────────────────────────────────

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None:
        """Deliver until received. What this path does not carry (`dc09.codes.NOT_SENT`) is passed over."""
        code = code_of(alarm.kind, alarm.subject, drill=alarm.drill)
        if code is None or stage in FROM_AFAR or alarm.ref in self._waiting:
            return
        device = self._answers.device_of(alarm.subject)
        fields = fields_of(alarm, code, self._zone)
        self._waiting[alarm.ref] = _Waiting(alarm, 0, device, fields, sent=stage is not Stage.QUEUED)
        self._make_room()
        self._news.set()

    def unsaid(self) -> list[Unsaid]:
        return [Unsaid(ref, self.name) for ref in self._waiting]

    async def run(self) -> None:
        """Deliver and supervise until cancelled."""
        while True:
            began, served, least_s = _now(), False, 0.0
            try:
                login = self._login()
                transactions = Transactions(self._serve)
                wire = await self._open(transactions.heard)
                try:
                    transactions.use(wire)
                    session = Session(self._way, login, wire, transactions)
                    expires_s = await session.register(self._zone)
                    served = True
                    await self._until_lost(session, expires_s, wire.lost)
                finally:
                    wire.close()
            except (LinkLost, NoAnswer) as error:
                log.warning("%s: %s", self.name, error)
                self._tell(False, str(error))
                least_s = LOCKED_OUT_S if isinstance(error, Refused) else 0.0
            self._back_off.lost(served, _now() - began)
            await asyncio.sleep(least_s)
            await self._pause()

    async def _until_lost(self, session: Session, expires_s: float, lost: asyncio.Future[str]) -> None:
        """Everything that a registration carries. Raises LinkLost at its end."""
        self._registered(session)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew(session, expires_s))
                group.create_task(self._probe(session))
                group.create_task(self._answer(session))
                group.create_task(self._deliver(session, group))
                group.create_task(_raise_when(lost))
        except* (LinkLost, NoAnswer) as errors:
            why = str(errors.exceptions[0])
        finally:
            for waiting in self._waiting.values():
                waiting.flying, waiting.due, waiting.owed, waiting.refused = False, 0.0, None, ""
        raise LinkLost(why)

    # ── registration and life ──────────────────────────────────────────────────────────────────────────────────

    def _registered(self, session: Session) -> None:
        self._misses = 0
        self._judge(_now())
        offset_s = session.offset_s
        if offset_s is not None and abs(offset_s - self._offset_told) > CLOCK_OFF_S:
            self._offset_told = offset_s
            log.warning("%s: the platform's clock is %+.1f s off ours; ours stays", self.name, offset_s)
            data: dict[str, str | int] = {"path": self.name, "offset_ms": round(offset_s * 1000)}
            self._note("platform.clock", f"path:{self.name}", f"platform:{self._way.platform_id}", data)

    async def _renew(self, session: Session, expires_s: float) -> None:
        while True:
            await asyncio.sleep(expires_s * RENEW_AT)
            expires_s = await session.register(self._zone)
            self._registered(session)

    async def _probe(self, session: Session) -> None:
        """A keepalive every `keepalive_s`; where that is long, OPTIONS between them, so that a loss is seen in time."""
        parts = math.ceil(self._way.keepalive_s / PROBE_S)
        turn = 0
        while True:
            began = _now()
            self._doubt.clear()
            try:
                await (session.options if turn % parts else session.keepalive)(PROBE_ANSWER_S)
                self._misses = 0
            except NoAnswer:
                self._misses += 1
                if self._misses >= MISSES:
                    raise LinkLost(f"the platform has missed {MISSES} signs of life in a row") from None
            turn += 1
            if await _within(self._doubt, began + self._way.keepalive_s / parts - _now()):
                turn = 0

    # ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _deliver(self, session: Session, group: asyncio.TaskGroup) -> None:
        """Send what is due, panic first; and judge whether we are heard."""
        while True:
            self._news.clear()
            now = _now()
            for waiting in self._due(now):
                waiting.flying = True
                waiting.owed = now if waiting.owed is None else waiting.owed
                group.create_task(self._fly(session, waiting))
            self._judge(now)
            await _within(self._news, self._quiet_s(now))

    def _due(self, now: float) -> list[_Waiting]:
        due = [waiting for waiting in self._waiting.values() if not waiting.flying and waiting.due <= now]
        due.sort(key=lambda waiting: (not waiting.panic, waiting.alarm.ref))
        free = FLIGHTS - sum(waiting.flying and not waiting.panic for waiting in self._waiting.values())
        panics = sum(waiting.panic for waiting in due)
        return due[: panics + max(0, free)]

    async def _fly(self, session: Session, waiting: _Waiting) -> None:
        """One try: until the platform has answered the message, or has not."""
        waiting.sn = waiting.sn or self._number(waiting.alarm.ref)
        try:
            said = await session.message(session.body("Notify", "Alarm", waiting.sn, waiting.device, waiting.fields))
        except NoAnswer:
            waiting.due = _now()
        else:
            self._on_answer(waiting, said)
        finally:
            waiting.flying = False
            self._news.set()

    def _on_answer(self, waiting: _Waiting, said: Response) -> None:
        if waiting.alarm.ref not in self._waiting:
            return  # its Response was faster
        if not said.ok:
            self._refused(waiting, f"the platform refuses an alarm: {said.status} {said.reason}"[:120])
            self._doubt.set()
            return
        now = _now()
        waiting.due = now + min(RESPONSE_S * 2**waiting.tries, RESPONSE_MAX_S)
        waiting.tries = min(waiting.tries + 1, 10)
        self._sent(waiting)

    def _sent(self, waiting: _Waiting) -> None:
        if not waiting.sent:
            waiting.sent = True
            self._reports.stage(self.name, waiting.alarm.ref, Stage.SENT)

    def _refused(self, waiting: _Waiting, why: str) -> None:
        waiting.refused, waiting.due = why, _now() + REFUSED_S
        log.warning("%s: %s", self.name, why)

    def _on_response(self, said: Command) -> None:
        """The platform's own word on an alarm."""
        waiting = next((one for one in self._waiting.values() if one.sn == said.sn and one.device == said.device), None)
        if waiting is None or not waiting.sn:
            self.strays += 1
            log.info("%s: a Response to no alarm that waits (SN %d)", self.name, said.sn)
        elif said.fields.get("Result", "").upper() == "OK":
            del self._waiting[waiting.alarm.ref]
            self._sent(waiting)
            self._reports.stage(self.name, waiting.alarm.ref, Stage.RECEIVED, f"platform:{self._way.platform_id}")
        else:
            self._refused(waiting, f"the platform answers an alarm with {said.fields.get('Result', '')[:20]!r}")
        self._news.set()

    def _number(self, ref: Ref) -> int:
        """An SN of an alarm: the same after a restart, and not to be guessed. 1 to 2^31 - 1, no two that wait alike."""
        mark = hmac.digest(self._secret, f"{self._way.device_id} {ref[0]}-{ref[1]}".encode(), hashlib.sha256)
        sn = int.from_bytes(mark[:4], "big") & 0x7FFF_FFFF
        taken = {waiting.sn for waiting in self._waiting.values()}
        while sn == 0 or sn in taken:
            sn = (sn + 1) & 0x7FFF_FFFF
        return sn

    # ── what the platform says ─────────────────────────────────────────────────────────────────────────────────

    def _serve(self, request: Request) -> Response:
        tag = hashlib.sha256(request.get("call-id").encode("latin-1")).hexdigest()[:12]  # the same for a repetition
        if user_of(request.get("from")) != self._way.platform_id:
            return answer_to(request, 403, "Forbidden", tag)
        if request.method == "OPTIONS":
            return answer_to(request, 200, "OK", tag, ALLOW)
        if request.method != "MESSAGE":
            return answer_to(request, 405, "Method Not Allowed", tag, ALLOW)
        if not self._answers.is_ours(user_of(request.uri)):
            return answer_to(request, 404, "Not Found", tag)
        try:
            command = read(request.body, self._way.charset)
        except BadXml as error:
            log.info("%s: a command that cannot be read: %s", self.name, error)
            return answer_to(request, 400, "Bad Request", tag)
        return answer_to(request, *self._heed(command), tag)

    def _heed(self, command: Command) -> tuple[int, str]:
        if command.root == "Response" and command.kind == "Alarm":
            self._on_response(command)
        elif command.root in ("Query", "Control"):
            try:
                self._asked.put_nowait(command)
            except asyncio.QueueFull:
                return 503, "Service Unavailable"
        return 200, "OK"

    async def _answer(self, session: Session) -> None:
        """Answer commands one by one; an answer that does not arrive is the platform's to ask for again."""
        while True:
            for reply in self._replies(await self._asked.get()):
                with contextlib.suppress(NoAnswer):
                    await session.message(_body(session, reply), PROBE_ANSWER_S)

    def _replies(self, asked: Command) -> list[Reply]:
        """A bug in what is told of the box costs the answer, and no alarm."""
        try:
            return self._answers.to(asked)
        except Exception:
            log.exception("%s: %s could not be answered", self.name, asked.kind)
            return []

    # ── health ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, now: float) -> None:
        """Registered, and nothing says that alarms are not taken."""
        trouble = next((waiting.refused for waiting in self._waiting.values() if waiting.refused), "")
        if not trouble and any(self._owed_s(waiting, now) >= OWED_S for waiting in self._waiting.values()):
            trouble = f"the platform has not confirmed an alarm for more than {OWED_S:g} s"
        self._tell(not trouble, trouble)

    @staticmethod
    def _owed_s(waiting: _Waiting, now: float) -> float:
        return 0.0 if waiting.owed is None else now - waiting.owed

    def _tell(self, up: bool, why: str) -> None:
        if (up, why) != self._told:
            self._told = (up, why)
            self._reports.path(self.name, up, why)

    # ── waits and room ─────────────────────────────────────────────────────────────────────────────────────────

    def _quiet_s(self, now: float) -> float:
        """Until the next alarm is due, or becomes owed for too long; news end it sooner."""
        times = [waiting.due for waiting in self._waiting.values() if not waiting.flying and waiting.due > now]
        times += [end for one in self._waiting.values() if one.owed is not None and (end := one.owed + OWED_S) > now]
        return min((at - now for at in times), default=3600.0)

    async def _pause(self) -> None:
        """Back off; a new alarm ends the pause."""
        self._news.clear()
        await _within(self._news, self._back_off.pause_s(bool(self._waiting)))

    def _make_room(self) -> None:
        """Beyond KEEP the oldest that is not a panic: it still goes up with the records."""
        while len(self._waiting) > KEEP:
            worst = min(self._waiting.values(), key=lambda w: (w.panic, w.alarm.ref))
            del self._waiting[worst.alarm.ref]
            self.dropped += 1
            self._reports.given_up(self.name, self.dropped)

    def _login(self) -> Login:
        """Read afresh for each registration. Raises LinkLost."""
        path = resolve(self._site, self._way.password_file)
        try:
            password = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise LinkLost(f"cannot read the password file {path}: {getattr(error, 'strerror', error)}") from None
        if not password:
            raise LinkLost(f"the password file {path} is empty")
        self._secret = password.encode()
        return Login(self._way.user or self._way.device_id, password)


def _body(session: Session, reply: Reply) -> bytes:
    return session.body("Response", reply.kind, reply.sn, reply.device, reply.fields)


async def _raise_when(lost: asyncio.Future[str]) -> None:
    raise LinkLost(await asyncio.shield(lost))


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Whether it was set in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
        return True
    return False


def _now() -> float:
    return asyncio.get_running_loop().time()
