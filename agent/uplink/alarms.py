"""The alarm lane: an alarm goes out the moment control tells of it, and again until the far side says it has it.

It shares nothing with the records' lane but the connection. "Sent" is told to control when the broker took it,
"received" and later only on the far side's own word.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from agent.core.records import utc_text
from agent.core.strange import NOT_JSON
from agent.core.words import FROM_AFAR, Stage
from agent.uplink.batch import LATE_MS, Ref
from agent.uplink.mqtt import BrokerLost, Connection, puback_trouble
from agent.uplink.path import Reports

PATH = "mqtt"
RESEND_S = 5.0
UNHEARD_S = 0.5  # D: the broker says that nobody got it, as after its own restart: first so soon, then twice as long
OWED_S = 0.5  # D: a receipt takes some 0.1 s, also in a storm of boxes
TURN_S = 0.5
KEEP_EARLY = 64
KEEP = 256  # alarms still on their way, or last received; the journal has them all

log = logging.getLogger(__name__)


class _Alarm(msgspec.Struct):
    """One alarm on its way: `body` is the record as the journal has it, or as it came from memory."""

    ref: Ref
    body: bytes
    kind: str
    at: str
    stage: Stage = Stage.QUEUED
    sent_at: float | None = None
    again_at: float = 0.0  # when it goes out again without a receipt
    unheard: int = 0  # times in a row that the broker passed it on to nobody, on this connection

    @property
    def sent(self) -> bool:
        return self.sent_at is not None or self.stage is not Stage.QUEUED

    @property
    def received(self) -> bool:
        return self.stage in FROM_AFAR


class _Facts(msgspec.Struct):
    """What of an alarm record this lane reads."""

    epoch: int
    seq: int
    kind: str
    at: str


class _Receipt(msgspec.Struct):
    """Payload of `alarm/receipt`."""

    epoch: int
    seq: int
    stage: str
    by: str = ""


_decode_facts = msgspec.json.Decoder(_Facts).decode
_decode_receipt = msgspec.json.Decoder(_Receipt).decode


class AlarmLane:
    """All alarms that the far side has not yet received, and the last ones that it has."""

    def __init__(self, topic: str, reports: Reports) -> None:
        self._topic = topic
        self._reports = reports
        self._alarms: dict[Ref, _Alarm] = {}
        self._connection: Connection | None = None
        self.trouble = ""  # what stands between this lane and the far side although the connection is up
        self.urgent = asyncio.Event()  # a new alarm waits: no time for a back-off
        self.ignored = 0  # receipts for alarms we never sent, of a stage already reached, or that made no sense
        self.dropped = 0
        # After a restart the far side may speak of an alarm before control has told us of it. Such words count only
        # for an alarm that control knows to have been sent: nobody can receive one in advance.
        self._early: dict[Ref, tuple[Stage, str]] = {}

    @property
    def waiting(self) -> int:
        return sum(not alarm.received for alarm in self._alarms.values())

    def add(self, body: bytes, stage: Stage = Stage.QUEUED) -> None:
        """An alarm record, from control's line or from the journal, and how far it has come. A known one stays."""
        facts = _decode_facts(body)
        ref = (facts.epoch, facts.seq)
        if ref in self._alarms:
            return
        alarm = self._alarms[ref] = _Alarm(ref, body, facts.kind, facts.at, stage)
        self._make_room()
        if alarm.sent and (early := self._early.pop(ref, None)) is not None:
            self._heed(alarm, *early)
        if alarm.received:
            return
        self.urgent.set()
        if self._connection is not None:
            for known in self._owed():
                self._send(self._connection, known)
            self._send(self._connection, alarm)

    def receipt(self, payload: bytes) -> None:
        """The far side's word on one alarm. What cannot be right is ignored and counted."""
        try:
            word = _decode_receipt(payload)
            stage = Stage(word.stage)
        except (*NOT_JSON, ValueError):
            self.ignored += 1
            return
        ref = (word.epoch, word.seq)
        alarm = self._alarms.get(ref)
        if alarm is None and len(self._early) < KEEP_EARLY:
            self._early[ref] = (stage, word.by)
        if alarm is None or not alarm.sent:
            self.ignored += 1
        else:
            self._heed(alarm, stage, word.by)

    def _heed(self, alarm: _Alarm, stage: Stage, by: str) -> None:
        if stage not in FROM_AFAR or not stage.is_after(alarm.stage):
            self.ignored += 1
            return
        alarm.stage = stage
        self.trouble = ""
        self._reports.stage(PATH, alarm.ref, stage, by[:64])

    async def run(self, connection: Connection) -> None:
        """Serve one connection until cancelled."""
        self._connection = connection
        for alarm in self._alarms.values():
            alarm.sent_at, alarm.unheard = None, 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                for alarm in self._due(loop.time()):
                    self._send(connection, alarm)
                await asyncio.sleep(TURN_S)
        finally:
            self._connection = None

    def again(self) -> None:
        """The far side says that it missed something: what it has not confirmed by now goes out at once, and what was
        sent just now as soon as it should have been confirmed."""
        if self._connection is None:
            return
        for alarm in self._alarms.values():
            if alarm.sent_at is not None:
                alarm.again_at = min(alarm.again_at, alarm.sent_at + OWED_S)
        for alarm in self._owed():
            self._send(self._connection, alarm)

    def _owed(self) -> list[_Alarm]:
        """Sent, and not confirmed in the time it takes. They go out again before a younger one does: a far side that
        keeps a stream has no place for an older alarm behind a younger."""
        late = asyncio.get_running_loop().time() - OWED_S
        owed = [
            alarm
            for alarm in self._alarms.values()
            if not alarm.received and alarm.sent_at is not None and (alarm.unheard or alarm.sent_at <= late)
        ]
        return sorted(owed, key=lambda alarm: alarm.ref)

    def _due(self, now: float) -> list[_Alarm]:
        """Panic first, then as they happened."""
        due = [a for a in self._alarms.values() if not a.received and (a.sent_at is None or now >= a.again_at)]
        return sorted(due, key=lambda alarm: (not alarm.kind.startswith("panic."), alarm.ref))

    def _send(self, connection: Connection, alarm: _Alarm) -> None:
        try:
            sent = connection.publish(self._topic, alarm.body, lane="" if is_live(alarm.at) else "late")
        except BrokerLost as error:
            log.info("alarm %s waits for the next connection: %s", alarm.ref, error)
            return
        alarm.sent_at = asyncio.get_running_loop().time()
        alarm.again_at = alarm.sent_at + RESEND_S
        sent.add_done_callback(lambda done: self._taken(alarm, done))

    def _taken(self, alarm: _Alarm, done: asyncio.Future[int]) -> None:
        """The broker has it: sent, not confirmed."""
        if done.cancelled() or done.exception() is not None:
            return
        self.trouble = puback_trouble(done.result(), "alarms")
        if self.trouble:
            log.error("alarm %s: %s", alarm.ref, self.trouble)
            alarm.again_at = asyncio.get_running_loop().time() + min(RESEND_S, UNHEARD_S * 2.0**alarm.unheard)
            alarm.unheard += 1
            return
        alarm.unheard = 0
        if alarm.stage is Stage.QUEUED:
            alarm.stage = Stage.SENT
            self._reports.stage(PATH, alarm.ref, Stage.SENT)

    def _make_room(self) -> None:
        """Forget received ones first, then the oldest that is not a panic: it still goes up with the records."""
        while len(self._alarms) > KEEP:
            worst = min(self._alarms.values(), key=lambda a: (not a.received, a.kind.startswith("panic."), a.ref))
            del self._alarms[worst.ref]
            if not worst.received:
                self.dropped += 1
                self._reports.given_up(PATH, self.dropped)


def is_live(at: str, within_ms: int = LATE_MS) -> bool:
    """Whether the record's time lies within so many milliseconds of now."""
    now = time.time_ns() // 1_000_000
    return utc_text(now - within_ms) <= at <= utc_text(now + within_ms)
