"""How long each hop of a panic press took, from the pin's own time stamp on."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from agent.core.events import Seq
from agent.core.outputs import MotionRequest
from agent.core.records import Record
from agent.core.words import Motion, Stage

KEEP = 64  # presses remembered, for the screens; every press's hops are in the journal as well


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

    def durable(self, ref: Seq, at: float) -> None:
        for press in self._presses.values():
            if press.ref <= ref and "durable_us" not in press.hops:
                self._mark(press, "durable_us", at)

    def stage(self, ref: Seq, stage: Stage) -> None:
        press = self._presses.get(ref)
        if press is not None and stage in (Stage.SENT, Stage.RECEIVED):
            self._mark(press, f"{stage.value}_us", self._monotonic())

    def _mark(self, press: Press, hop: str, at: float) -> None:
        if press.mark(hop, at):
            self.changed(press)
