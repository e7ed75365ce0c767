"""A box in virtual time: the real runtime over the real core, its lanes and outputs only remembering, and a journal
that makes durable what the test says."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import virtual_time
from control_scenes import LoopClock, Paper, demo_site

from agent.control.lanes import LaneWorker
from agent.control.latency import Latencies
from agent.control.reconcile import OutputGroup, Picture
from agent.control.runtime import Runtime
from agent.core import box
from agent.core.events import (
    BollardReading,
    CardRead,
    Command,
    DoorContact,
    FireInput,
    KeyInput,
    LaneReading,
    MotionSent,
    PanicLine,
    ScanComplete,
    Started,
)
from agent.core.outputs import LaneOutputs, MotionRequest
from agent.core.words import Contact, Line, Mode, Rank, Sensor, Sent
from agent.site_rules import rules_of
from hardware.site import Site

STAFF = "uart-125k:0100A1B2C4"
Step = tuple[str, Any]


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **more: Any) -> None:
        virtual_time.run(test(*args, **more))

    return run


class TracedPaper(Paper):
    def __init__(self, trace: list[Step]) -> None:
        super().__init__()
        self._trace = trace

    def append(self, records: Any, emergency: bool) -> None:
        super().append(records, emergency)
        self._trace += [("record", record) for record in records]


class TracedGroup(OutputGroup):
    """Outputs that only note what is wanted of them."""

    def __init__(self, names: tuple[str, ...], trace: list[Step]) -> None:
        super().__init__({name: at for at, name in enumerate(names)}, lambda event: None)
        self._trace = trace
        self.now: dict[str, bool] = {}

    def want(self, name: str, on: bool, *, blink: bool = False) -> None:
        if self.now.get(name) is not on:
            self.now[name] = on
            self._trace.append((name, on))


class TracedLane(LaneWorker):
    """A lane that notes levels and tokens; the test says what becomes of a token."""

    def __init__(self, lane: str, trace: list[Step]) -> None:
        super().__init__(lane, lambda event: None, lambda: 0.0, lambda: None)
        self._trace = trace
        self.wanted: LaneOutputs | None = None
        self.busy = False
        self.moved: list[MotionRequest] = []
        self.breaks = False

    def want(self, outputs: LaneOutputs, *, busy: bool) -> None:
        if outputs != self.wanted:
            self._trace.append((f"lane:{self.lane}", outputs))
        self.wanted, self.busy = outputs, busy

    async def move(self, request: MotionRequest) -> None:
        if self.breaks:
            raise RuntimeError("nobody foresaw this")
        self._trace.append(("move", request))
        self.moved.append(request)


class Box:
    """One box of the demo's site. `trace` is everything that went out, in order."""

    def __init__(self, make: Callable[..., Runtime] = Runtime, site: Site | None = None) -> None:
        self.site = site or demo_site()
        self.trace: list[Step] = []
        self.paper = TracedPaper(self.trace)
        names = tuple(f"lock:{door.id}" for door in self.site.door)
        names += ("lamp:sent", "lamp:received", "lamp:coming", "lamp:fault", "siren")
        self.outputs = TracedGroup(names, self.trace)
        self.lanes = {lane.id: TracedLane(lane.id, self.trace) for lane in self.site.lane}
        self.runtime = make(
            box.start(rules_of(self.site)),
            LoopClock(),
            self.paper,
            Picture((self.outputs,), frozenset()),
            self.lanes,
            Latencies(asyncio.get_running_loop().time),
        )
        self.autodurable = True
        self.runtime.on_records = lambda records: self.flush() if self.autodurable else None

    @property
    def state(self) -> Any:
        return self.runtime.state

    def flush(self) -> None:
        """Everything recorded so far is on disk now (told later, as the journal's thread does)."""
        if self.paper.records:
            asyncio.get_running_loop().call_soon(self.durable, self.paper.records[-1].seq)

    def durable(self, seq: int) -> None:
        self.trace.append(("durable", seq))
        self.runtime.durable(self.state.epoch, seq, asyncio.get_running_loop().time())

    def read_lanes(self, **sensors: Sensor) -> None:
        """One fresh reading of every lane: bollards down, everything clear but what is named."""
        for lane in self.site.lane:
            self.runtime.handle(self.reading(lane.id, sensors))

    def reading(self, lane_id: str, sensors: Mapping[str, Sensor] | None = None) -> LaneReading:
        rules = next(lane for lane in self.state.rules.lanes if lane.id == lane_id)
        values = {name: (sensors or {}).get(name, Sensor.CLEAR) for name in rules.sensors}
        bollards = {b.id: BollardReading(up=False, down=True, moving=False, token=0) for b in rules.bollards}
        at = asyncio.get_running_loop().time()
        return LaneReading(
            lane_id, at, Mode.REMOTE, bollards, values, warning_on=self._warned(lane_id), heartbeat_ok=True
        )

    def _warned(self, lane: str) -> bool:
        wanted = self.lanes[lane].wanted
        return wanted is not None and wanted.warning

    async def pass_s(self, seconds: float, every_s: float = 0.1) -> None:
        """Let time pass, the lanes being read all the while."""
        for _ in range(round(seconds / every_s)):
            await asyncio.sleep(every_s)
            self.read_lanes()

    async def ready(self) -> None:
        """Start, read everything, and wait until every sensor has been clear for long enough."""
        self.start()
        await self.pass_s(4.0)
        self.trace.clear()

    def start(self) -> None:
        """Start and read everything once."""
        handle = self.runtime.handle
        handle(Started("b00t", None, None))
        for button in self.state.rules.buttons:
            handle(PanicLine(button, Line.NORMAL, 0.0))
        handle(FireInput(False))
        for key in self.state.rules.keys:
            handle(KeyInput(key.id, False))
        for door in self.site.door:
            handle(DoorContact(door.id, Contact.CLOSED))
        self.read_lanes()
        handle(ScanComplete())

    def press(self, button: str = "gatehouse") -> None:
        self.runtime.handle(PanicLine(button, Line.PRESSED, asyncio.get_running_loop().time()))

    def swipe(self, card: str = STAFF, reader: str = "wicket-in") -> None:
        self.runtime.handle(CardRead(reader, card))

    def ask(self, verb: str, ident: str = "c1", **args: str) -> None:
        self.runtime.handle(Command(ident, Rank.CONSOLE, "guard-1", verb, args))

    def acked(self, request: MotionRequest) -> None:
        at = asyncio.get_running_loop().time()
        self.runtime.handle(MotionSent(request.lane, request.bollard, request.token, Sent.ACKED, at))

    def at(self, name: str, test: Callable[[Any], bool] = lambda value: True) -> int:
        """Where in the trace that first happened; past its end if it did not."""
        found = (at for at, (what, value) in enumerate(self.trace) if what == name and test(value))
        return next(found, len(self.trace))

    def recorded(self, kind: str) -> int:
        return self.at("record", lambda record: record.kind == kind)

    def moves(self) -> list[MotionRequest]:
        return [value for what, value in self.trace if what == "move"]


async def turns(count: int = 6) -> None:
    """A few turns of the loop, no time passing."""
    for _ in range(count):
        await asyncio.sleep(0)
