"""How long each hop of a panic press took, from the pin's own time stamp on."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from agent import picture as pic
from agent.core.events import Seq
from agent.core.outputs import MotionRequest
from agent.core.records import Record
from agent.core.words import Motion, Stage
from agent.journal.errors import JOURNAL_ERRORS
from agent.journal.reader import JournalReader
from agent.picture import HOPS

log = logging.getLogger("menwei.control")

KEEP = 64  # presses remembered, for the screens; every press's hops are in the journal as well
SAMPLES = 200  # D: percentiles are of so many last presses, across restarts


class Press:
    """One press and its hops, whole microseconds since the edge."""

    __slots__ = ("button", "edge_at", "hops", "ref")

    def __init__(self, ref: Seq, button: str, edge_at: float) -> None:
        self.ref = ref
        self.button = button
        self.edge_at = edge_at
        self.hops: dict[str, int] = {}

    def mark(self, hop: str, at: float) -> bool:
        """Note a hop the first time it is reached; True if it was."""
        if hop in self.hops:
            return False
        self.hops[hop] = max(0, round((at - self.edge_at) * 1e6))
        return True


class Latencies:
    """The last presses. Times come from the caller where the hop was measured, else from the monotonic clock now."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._presses: OrderedDict[Seq, Press] = OrderedDict()
        self._finished: deque[Mapping[str, int]] = deque(maxlen=SAMPLES)
        self.changed: Callable[[Press], None] = lambda press: None

    @property
    def presses(self) -> list[Press]:
        """Newest last."""
        return list(self._presses.values())

    def find(self, ref: Seq) -> Press | None:
        return self._presses.get(ref)

    def decided(self, records: Sequence[Record], edge_at: float, decided_at: float) -> None:
        for record in records:
            if record.kind == "panic.pressed":
                press = self._presses[record.ref] = Press(record.ref, record.subject, edge_at)
                press.mark("decision_us", decided_at)
        while len(self._presses) > KEEP:
            self._presses.popitem(last=False)

    def acked(self, request: MotionRequest, at: float) -> None:
        """An EFO token was confirmed: it belongs to the newest press that has no such hop yet."""
        if request.motion is Motion.EFO and self._presses:
            press = next(reversed(self._presses.values()))
            self._mark(press, "modbus_us", at)

    def written(self, at: float) -> None:
        """The box's own outputs (lamp, locks) were written for the first time after the newest press."""
        if self._presses:
            press = next(reversed(self._presses.values()))
            self._mark(press, "outputs_us", at)

    def reached(self, at: float) -> None:
        """A bollard that a press asked up is up by its limit switch: the last one counts."""
        if self._presses:
            press = next(reversed(self._presses.values()))
            if "modbus_us" in press.hops:
                press.hops["position_us"] = max(0, round((at - press.edge_at) * 1e6))
                self.changed(press)

    def durable(self, ref: Seq, at: float) -> None:
        for press in self._presses.values():
            if press.ref <= ref and "durable_us" not in press.hops:
                self._mark(press, "durable_us", at)

    def stage(self, ref: Seq, stage: Stage) -> None:
        press = self._presses.get(ref)
        if press is not None and stage in (Stage.SENT, Stage.RECEIVED):
            self._mark(press, f"{stage.value}_us", self._monotonic())

    def finish(self, hops: Mapping[str, int]) -> None:
        """A press whose hops are written down, now or before this start: it counts for the percentiles."""
        self._finished.append(hops)

    def percentiles(self) -> tuple[pic.Hop, ...]:
        """One for each hop that any of the last presses reached, in the order of the way."""
        return tuple(figures for hop in HOPS if (figures := _figures(hop, self._finished)) is not None)

    def _mark(self, press: Press, hop: str, at: float) -> None:
        if press.mark(hop, at):
            self.changed(press)


def recall(path: Path) -> list[dict[str, int]]:
    """The hops that the journal at `path` has of the last presses, oldest first; none where it cannot be read."""
    try:
        with JournalReader(path) as reader:
            rows = reader.records({"panic.latency"}, SAMPLES)
    except JOURNAL_ERRORS as error:
        log.info("the latencies of earlier presses cannot be read: %s", error)
        return []
    told = [(row.data or {}).get("data") for row in reversed(rows)]
    return [
        {hop: data[hop] for hop in HOPS if isinstance(data.get(hop), int)} for data in told if isinstance(data, dict)
    ]


def _figures(hop: str, presses: Iterable[Mapping[str, int]]) -> pic.Hop | None:
    taken = sorted(press[hop] for press in presses if hop in press)
    if not taken:
        return None
    p50, p90, p99 = (taken[_rank(len(taken), percent)] for percent in (50, 90, 99))
    return pic.Hop(hop=hop, count=len(taken), p50_us=p50, p90_us=p90, p99_us=p99, max_us=taken[-1])


def _rank(count: int, percent: int) -> int:
    """Nearest rank: the smallest sample that so many percent of all do not exceed."""
    return max(0, -(-count * percent // 100) - 1)
