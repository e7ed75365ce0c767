"""The window over the journal: what has been sent and is not yet received. Pure: no clock, no I/O.

Go-back-N. Records leave only when the far side names them in a receipt; the broker's acknowledgement moves nothing
but the byte budget. That budget follows the link: an alarm must find it nearly empty, so no more bytes are on their
way than the link takes in about half a second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.uplink.batch import Batch, Ref

WINDOW = 16  # messages not yet received; with alarms, state and checkpoint it stays within 20 in flight
FIRST_BUDGET = 64 * 1024
LEAST_BUDGET = 4 * 1024
MOST_BUDGET = 1024 * 1024
SLOW_S = 0.5  # D: a message acknowledged later than this halves the budget
FAST_S = 0.25
NOTHING: Ref = (0, 0)  # the far side's word that it has no record of ours at all
STALL_S = 5.0  # no receipt for so long with something sent: send again


@dataclass(slots=True)
class _Sent:
    batch: Batch
    sent_at: float
    acknowledged: bool = False


class Outbox:
    """`cursor` is the last record the far side has made durable, `sent_ref` the last one sent."""

    def __init__(self, cursor: Ref) -> None:
        self.cursor = cursor
        self.stated = cursor  # the far side's latest word, believable or not; only a stall makes us heed it
        self._trusted = cursor  # up to here a word beyond what was sent counts for all that was sent
        self.window = WINDOW
        self.budget = FIRST_BUDGET
        self.ignored = 0  # receipts that could not be right: beyond what was sent, another epoch, old, doubled
        self.resends = 0
        self._sent: deque[_Sent] = deque()
        self._unacknowledged = 0  # bytes
        self._progress_at = 0.0
        self._owing_since: float | None = None

    @property
    def sent_ref(self) -> Ref:
        return self._sent[-1].batch.last_ref if self._sent else self.cursor

    @property
    def waiting(self) -> int:
        """Messages sent and not yet received."""
        return len(self._sent)

    def room(self) -> int:
        """How many bytes may go out now; 0 = wait for a receipt or an acknowledgement."""
        free = self.budget - self._unacknowledged
        if len(self._sent) >= self.window or free < self.budget // 4:
            return 0
        return free

    def add(self, batch: Batch, now: float) -> None:
        """A batch goes out."""
        assert (batch.epoch, batch.first) > self.sent_ref, "a window only moves forward"
        if not self._sent:
            self._progress_at = now
        if self._owing_since is None:
            self._owing_since = now
        self._sent.append(_Sent(batch, now))
        self._unacknowledged += len(batch.payload)

    def acknowledged(self, batch: Batch, now: float) -> None:
        """The broker took it: the link is as fast as this shows. Frees bytes, never records."""
        for entry in self._sent:
            if entry.batch is batch and not entry.acknowledged:
                entry.acknowledged = True
                self._unacknowledged -= len(batch.payload)
                self._adapt(now - entry.sent_at)

    def _adapt(self, took_s: float) -> None:
        if took_s > SLOW_S:
            self.budget = max(LEAST_BUDGET, self.budget // 2)
        elif took_s < FAST_S:
            self.budget = min(MOST_BUDGET, self.budget * 3 // 2)

    def receipt(self, ref: Ref, now: float) -> bool:
        """The far side has everything up to `ref`. True if that moved the cursor; else it is counted and ignored."""
        if min(ref) >= 1 or ref == NOTHING:
            self.stated = ref
        if self._sent and self.sent_ref < ref <= self._trusted:
            ref = self.sent_ref
        if not any(self._covers(entry.batch, ref) for entry in self._sent):
            self.ignored += 1
            return False
        self.cursor = ref
        self._progress_at = now
        while self._sent and self._sent[0].batch.last_ref <= ref:
            self._forget(self._sent.popleft())
        self._owing_since = now if self._sent else None
        return True

    def _covers(self, batch: Batch, ref: Ref) -> bool:
        return ref > self.cursor and batch.epoch == ref[0] and batch.first <= ref[1] <= batch.last

    def stalled(self, now: float) -> bool:
        return bool(self._sent) and now - self._progress_at >= STALL_S

    def owed_s(self, now: float) -> float:
        """For how long the far side has owed a receipt on this connection, resends included."""
        return 0.0 if self._owing_since is None else now - self._owing_since

    def new_connection(self) -> None:
        """Nothing sent before is on its way any more. A link that was lost with bytes on their way may have been too
        slow for them: the next try begins with fewer."""
        most = self.budget // 2 if self._unacknowledged else FIRST_BUDGET
        self.budget = max(LEAST_BUDGET, min(FIRST_BUDGET, most))
        self.go_back()
        self._owing_since = None

    def go_back(self) -> None:
        """Take everything unreceived back, to be sent again from the cursor."""
        if self._sent:
            self.resends += 1
        while self._sent:
            self._forget(self._sent.popleft())

    def recover(self, head: Ref) -> None:
        """After a stall: heed what the far side says of itself, as far as the journal's `head`, and send again.

        It has less than we thought (it was restored from a copy): go back there. It has more than we sent: an earlier
        life of ours sent it and lost the receipts, so all that we sent by now is there as well.
        """
        if self.cursor < self.sent_ref < self.stated <= head:
            self._trusted = self.stated
            self.cursor = self.sent_ref
        self.go_back()
        self.cursor = min(self.cursor, self.stated)

    def _forget(self, entry: _Sent) -> None:
        if not entry.acknowledged:
            self._unacknowledged -= len(entry.batch.payload)
            entry.acknowledged = True
