"""The records' lane: the journal, from the far side's last receipt on, in order, and again until it is received."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agent.core.strange import NOT_JSON
from agent.uplink.batch import Batch, Ref, Row, cut
from agent.uplink.cursor import CursorKeeper
from agent.uplink.mqtt import Connection, puback_trouble
from agent.uplink.outbox import WINDOW, Outbox
from agent.uplink.reporter import Reporter
from agent.uplink.source import JournalAway, Source

TARGET = "mqtt"
MESSAGE_BYTES = 64 * 1024  # some 200 records
OTHERS_IN_FLIGHT = 4  # kept free in the broker's receive maximum for alarms, state and checkpoint
RESEND_S = 1.0  # D: a far side that asks for a resend is heeded so often at most; what is on its way asks again
TURN_S = 1.0  # how often a stall is looked for
PACE_S = 0.02  # D: live records go out in groups this far apart; the first after a pause goes at once
AWAY_S = 1.0  # pause after a failed read

log = logging.getLogger(__name__)


class _Receipt(msgspec.Struct):
    """Payload of `receipt`. `resend`: something is missing there behind this record."""

    epoch: int
    seq: int
    resend: bool = False


_decode_receipt = msgspec.json.Decoder(_Receipt).decode


class RecordLane:
    """Sends the journal over one connection after another. `head_is` and `receipt` may be called at any time."""

    def __init__(
        self,
        topic: str,
        source: Source,
        cursor_file: Path,
        reporter: Reporter,
        missed: Callable[[], None] = lambda: None,
    ) -> None:
        """`missed` is called when the far side asks for a resend: it may have missed more than records."""
        self._missed = missed
        self._topic = topic
        self._source = source
        self._reporter = reporter
        self._head: Ref = (0, 0)
        self._next = 0  # number of the next record to read; 0 = to be found from the cursor
        self._wake = asyncio.Event()
        self.keeper = CursorKeeper(cursor_file, lambda cursor: reporter.synced(TARGET, cursor))
        self.outbox = Outbox(self.keeper.start)
        self.trouble = ""  # what stands between this lane and the far side although the connection is up
        self.nonsense = 0
        self._asked = False  # the far side's latest word asks for a resend
        self._went_back_at = -RESEND_S

    @property
    def head(self) -> Ref:
        return self._head

    def head_is(self, head: Ref) -> None:
        """Records up to `head` are durable. A change of epoch means that numbers may have gone back."""
        if head[0] != self._head[0]:
            self._next = 0
        self._head = head
        self._compare(self.outbox.cursor)
        self._wake.set()

    def receipt(self, payload: bytes) -> None:
        """The far side's word. What cannot be right is ignored and counted."""
        try:
            word = _decode_receipt(payload)
        except NOT_JSON:
            self.nonsense += 1
            return
        self._compare((word.epoch, word.seq))
        if self.outbox.receipt((word.epoch, word.seq), _now()):
            self.trouble = ""
            self.keeper.moved(self.outbox.cursor)
        self._asked = word.resend
        if word.resend:
            self._missed()
        self._wake.set()

    def _compare(self, theirs: Ref) -> None:
        """The far side has more of this epoch than we seem to have: control knows whether it was ever written."""
        if self._head[0] == theirs[0] and theirs[1] > self._head[1]:
            self._reporter.ahead(theirs)

    async def run(self, connection: Connection) -> None:
        """Serve one connection; raises BrokerLost when it is gone."""
        self.outbox.new_connection()
        self.outbox.window = max(1, min(WINDOW, connection.receive_maximum - OTHERS_IN_FLIGHT))
        self._next = 0
        while True:
            self._wake.clear()
            if self.outbox.stalled(_now()) or (self._asked and _now() - self._went_back_at >= RESEND_S):
                self._go_back()
            try:
                busy = await self._send_some(connection)
            except JournalAway as error:
                log.warning("%s", error)
                await asyncio.sleep(AWAY_S)
                continue
            if not busy:
                await self._rest()
            elif self._head <= self.outbox.sent_ref:
                await asyncio.sleep(PACE_S)

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _go_back(self) -> None:
        """From the loop of `run` only: nothing is being read then."""
        log.info("sending again what has no receipt since %s", self.outbox.cursor)
        self._asked, self._went_back_at = False, _now()
        self.outbox.recover(self._head)
        self._next = 0

    async def _send_some(self, connection: Connection) -> bool:
        """Read and send what the window takes. False when there is nothing to do before something happens."""
        room = self.outbox.room()
        if not room or self._head <= self.outbox.sent_ref:
            return False
        if not self._next:
            self._next = await self._source.after(self.outbox.sent_ref, self._head[1])
        start = self._next
        rows = await self._source.read(start, room)
        if not rows:
            return False
        if self._next == start and not connection.lost.done():  # else a new epoch came, or the link went, meanwhile
            self._send_rows(connection, rows, room)
        return True

    def _send_rows(self, connection: Connection, rows: Sequence[Row], room: int) -> None:
        limit = min(MESSAGE_BYTES, room)
        if connection.maximum_packet:
            limit = min(limit, connection.maximum_packet - len(self._topic) - 256)
        for batch in cut(rows, self.outbox.sent_ref, time.time_ns() // 1_000_000, limit):
            self._send(connection, batch)
            self._next = batch.last + 1
            if self.outbox.waiting >= self.outbox.window:
                return
        self._next = rows[-1][0] + 1

    def _send(self, connection: Connection, batch: Batch) -> None:
        sent = connection.publish(self._topic, batch.payload)
        self.outbox.add(batch, _now())
        sent.add_done_callback(lambda done: self._taken(batch, done))

    def _taken(self, batch: Batch, done: asyncio.Future[int]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        self.trouble = puback_trouble(done.result(), "records")
        self.outbox.acknowledged(batch, _now())
        self._wake.set()

    async def _rest(self) -> None:
        """Until a receipt, an acknowledgement or a new head comes, or it is time to look for a stall."""
        try:
            async with asyncio.timeout(TURN_S):
                await self._wake.wait()
        except TimeoutError:
            return


def _now() -> float:
    return asyncio.get_running_loop().time()
