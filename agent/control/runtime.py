"""The one loop: an event comes in, the core decides, outputs go out, records go to the journal.

Order in an emergency: motions and outputs first, then the records to the journal's writer, which commits beside us.
In everything else the outputs carry `after`, the record they wait for, and `durable()` lets them go. Everything here
runs in the event loop's thread; `post` alone may be called from any thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import structs

from agent.control.lanes import LaneWorker
from agent.control.latency import Latencies
from agent.control.reconcile import Picture
from agent.core import box
from agent.core.events import Event, JournalChanged, LaneReading, MotionSent, Note, Now, PanicLine, Tick
from agent.core.kinds import WEIGHT
from agent.core.outputs import MotionRequest, Outputs
from agent.core.records import Record, Weight
from agent.core.state import BoxState
from agent.core.words import Hold, Journal, Position, Rank, Sent

log = logging.getLogger("menwei.control")


class RecordSink(Protocol):
    """The journal's writer, as the loop sees it: never blocks."""

    def append(self, records: Sequence[Record], emergency: bool) -> None: ...


class TimeSource(Protocol):
    def now(self) -> Now: ...


class Runtime:
    """Owns the state of the gate. `on_records` and `on_state` feed the local socket."""

    def __init__(
        self,
        state: BoxState,
        clock: TimeSource,
        journal: RecordSink,
        picture: Picture,
        lanes: dict[str, LaneWorker],
        latencies: Latencies,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.state = state
        self._clock = clock
        self._journal = journal
        self._picture = picture
        self._lanes = lanes
        self._taken: dict[tuple[str, str], int] = {}
        self._waiting: list[MotionRequest] = []
        self._readings: dict[str, LaneReading] = {}
        self._moves: dict[asyncio.Task[None], MotionRequest] = {}
        self._bugs: set[str] = set()  # parts of which a bug was told
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self.durable_seq = state.next_seq - 1
        self.turn_ms: int | None = None  # how late the last turn of the loop was, as measured by the role
        self.latencies = latencies
        self.on_records: Callable[[Sequence[Record]], None] = lambda records: None
        self.on_state: Callable[[], None] = lambda: None
        for worker in lanes.values():
            worker.on_ack = self.latencies.acked

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def post(self, event: Event) -> None:
        """Hand over an event from a foreign thread."""
        self._loop.call_soon_threadsafe(self.handle, event)

    def handle(self, event: Event) -> tuple[Record, ...]:
        """One turn: decide, act, record. Returns the records of this turn."""
        now = self._clock.now()
        self.state, records = box.step(self.state, event, now)
        if isinstance(event, PanicLine) and records:
            self._guarded("latency", lambda: self.latencies.decided(records, event.edge_at, now.mono_s))
        self._guarded("outputs", lambda: self._lay_out(now))
        if isinstance(event, LaneReading) and records:
            self._guarded("latency", lambda: self._note_reached(records, event.read_at))
        if records:
            emergency = any(WEIGHT[record.kind] is Weight.ALARM for record in records)
            self._guarded("journal", lambda: self._journal.append(records, emergency))
            self._guarded("socket", lambda: self.on_records(records))
        self._arm(box.next_deadline(self.state), now)
        if records or self._is_news(event):
            self.on_state()
        return records

    def _guarded(self, what: str, work: Callable[[], None]) -> None:
        """What was decided is done as far as it goes: a bug in one part must not cost the others.

        Above all, records that never reach the journal would make it refuse all that follow.
        """
        try:
            work()
        except Exception as error:
            log.exception("a bug in %s", what)
            if what not in self._bugs:  # telling of it comes through here as well
                self._bugs.add(what)
                data: dict[str, object] = {"in": what, "what": type(error).__name__}
                self.post(Note("box.bug", "box", "box", data))

    def _note_reached(self, records: Sequence[Record], read_at: float) -> None:
        ups = (r for r in records if r.kind == "lane.position")
        if any(r.data["position"] == Position.UP and r.data["by"] == Rank.PANIC for r in ups):
            self.latencies.reached(read_at)

    def _is_news(self, event: Event) -> bool:
        """Whether watchers may want to look again. A lane that reads as it read before is none."""
        if not isinstance(event, LaneReading):
            return True
        reading = structs.replace(event, read_at=0.0)
        known = self._readings.get(event.lane)
        self._readings[event.lane] = reading
        return reading != known

    def durable(self, epoch: int, seq: int, at_s: float) -> None:
        """The journal has everything up to `seq` on disk since `at_s` (monotonic): let go what waited for it."""
        if epoch != self.state.epoch or seq <= self.durable_seq:
            return
        self.durable_seq = seq
        self.latencies.durable((epoch, seq), at_s)
        self._guarded("outputs", lambda: self._lay_out(self._clock.now()))

    def journal_health(self, failing: bool, why: str) -> None:
        self.handle(JournalChanged(Journal.FAILING if failing else Journal.OK, why))

    # ── out ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _lay_out(self, now: Now) -> None:
        """Nothing goes out before the first full scan (domain rule 29)."""
        if self.state.scanned:
            self._act(box.desired(self.state, now))

    def _act(self, outputs: Outputs) -> None:
        failing = self.state.health.journal is Journal.FAILING
        self._call_back(outputs.motions)
        for request in outputs.motions:
            self._take(request)
        self._release(failing)
        for lane, wanted in outputs.lanes.items():
            if wanted.after <= self.durable_seq or failing:
                self._lanes[lane].want(wanted, busy=self._busy(lane))
        self._picture.lay(outputs, self.durable_seq, journal_failing=failing)

    def _busy(self, lane: str) -> bool:
        state = self.state.lanes[lane]
        bollards = state.bollards.values()
        return state.request is not None or any(
            b.motion is not None or b.position is Position.MOVING or b.hold is not Hold.NONE for b in bollards
        )

    def _take(self, request: MotionRequest) -> None:
        """Accept each token once, whatever number of pictures show it."""
        key = (request.lane, request.bollard)
        if self._taken.get(key) != request.token:
            self._taken[key] = request.token
            self._waiting.append(request)

    def _call_back(self, wanted: Sequence[MotionRequest]) -> None:
        """Withdrawn tokens are not sent: neither one that waits for the disk, nor one that waits for the bus."""
        self._waiting = [request for request in self._waiting if request in wanted]
        if not self._moves:
            return
        reporting = asyncio.current_task(self._loop)  # this one's own word on its token brought us here
        for task, request in self._moves.items():
            if request not in wanted and task is not reporting:
                task.cancel()

    def _release(self, journal_failing: bool) -> None:
        """Send the tokens whose record is durable. None goes on a failing journal unless it is an emergency."""
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            if request.after <= self.durable_seq:
                self._send(request)
            elif journal_failing:
                why = "the journal is failing: no motion without its record"
                self.post(MotionSent(request.lane, request.bollard, request.token, Sent.EXPIRED, None, why))
            else:
                self._waiting.append(request)

    def _send(self, request: MotionRequest) -> None:
        task = self._loop.create_task(self._move(request))
        self._moves[task] = request
        task.add_done_callback(self._moved)

    def _moved(self, task: asyncio.Task[None]) -> None:
        request = self._moves.pop(task)
        if task.cancelled():
            why = "withdrawn on its way out; if it was on the wire already, read-back tells"
            self.post(MotionSent(request.lane, request.bollard, request.token, Sent.FAILED, None, why))

    async def _move(self, request: MotionRequest) -> None:
        """The core waits for a word on every token: one that ends in an error of ours gets one as well."""
        try:
            await self._lanes[request.lane].move(request)
        except Exception as error:
            log.exception("token %d of %s", request.token, request.bollard)
            why = f"unexpected {type(error).__name__}"
            self.handle(MotionSent(request.lane, request.bollard, request.token, Sent.FAILED, None, why))

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _arm(self, deadline: float, now: Now) -> None:
        """Wake the core when it asked to be woken. The loop's clock and the core's are the same monotonic clock."""
        if deadline == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = deadline
        if deadline != float("inf"):
            self._timer = self._loop.call_at(max(deadline, now.mono_s), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.handle(Tick())
