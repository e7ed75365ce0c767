"""The world on one side, the core on the other, and virtual time between them.

What the shell does with real wires happens here without any: changes of the world become events, the desired picture
is laid on the world's terminals, tokens reach the PLC one frame later, and every single step is shown to the judge.
A lane is read at its beat only while something can come of it; in between its readings would be all the same.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import count

import agent.core.invariants  # noqa: F401  # fills the judge's registry
from agent.core import box, muster
from agent.core.events import (
    BollardReading,
    CardRead,
    ClockChanged,
    DeviceBack,
    DeviceLost,
    DoorContact,
    Event,
    FireInput,
    InsideRecalled,
    KeyInput,
    LaneReading,
    MotionSent,
    Now,
    PanicLine,
    PathHealth,
    PolicyChanged,
    Rex,
    ScanComplete,
    Started,
    SupplyInput,
    Tick,
)
from agent.core.invariant import Violation, Watch
from agent.core.outputs import LaneOutputs, MotionRequest, Outputs
from agent.core.policy import Policy
from agent.core.records import GENESIS_LINK, Record, encode, leaf_hash, link_hash
from agent.core.rules import BoxRules
from agent.core.state import BoxState
from agent.core.words import ClockTrust, Contact, Hold, Light, Line, Mode, Position, Sensor, Sent
from hardware.site import Site
from sim.lane import Lane
from sim.world import Change, World

MODES = {mode.value: mode for mode in Mode}
SENSORS = {sensor.value: sensor for sensor in Sensor}
POLL_S = 0.2
BUSY_POLL_S = 0.1
WIRE_S = 0.02  # from the picture to the PLC and back
GIVE_UP_S = 0.6  # a keeper says "lost" this long after a device went silent
AFTERGLOW_S = 1.0  # a lane is read this much longer than it must be


class BrokenRule(Exception):
    """An invariant did not hold. `at_s` is the virtual second."""

    def __init__(self, found: list[Violation], at_s: float, event: Event) -> None:
        names = "; ".join(f"{one.number} {one.name}: {one.what}" for one in found)
        super().__init__(f"at {at_s:.3f} s, {type(event).__name__}: {names}")
        self.found = found
        self.at_s = at_s


def _nobody(records: Sequence[Record]) -> None:
    """Nobody listens."""


class Bridge:
    """One box at one gate. `at` plans what people do; `run` lets time pass."""

    def __init__(self, site: Site, rules: BoxRules, seed: int, wall_ms: int) -> None:
        self.site = site
        self.rules = rules
        self.world = World(site, seed=seed)
        self.world.listen(self._changed)
        self.wall_ms = wall_ms  # of virtual second 0
        self.clock_off_ms = 0
        self.trust = ClockTrust.TRUSTED
        self.told: Callable[[Sequence[Record]], None] = _nobody  # hears the records of every step
        self.powered = False
        self.state: BoxState = box.start(rules)
        self.steps = 0
        self.kinds: Counter[str] = Counter()
        self.link = GENESIS_LINK
        self.policy: Policy | None = None
        self._inside: list[dict[str, object]] = []  # bodies since the last muster snapshot, that one included
        self._latched: tuple[dict[str, object], tuple[int, int]] | None = None
        self._watch = Watch()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._queue: deque[Event] = deque()
        self._drawn: Outputs | None = None
        self._locks: dict[str, bool] = {}
        self._taken: dict[tuple[str, str], int] = {}
        self._read_until = dict.fromkeys(self.world.lanes, 0.0)
        self._polling: set[str] = set()
        self.silent: set[str] = set()  # devices that do not answer now
        self._fail_safe = {door.id: door.lock_kind == "fail_safe" for door in site.door}
        self._lock_terminal = {door.id: door.lock for door in site.door}
        self._boots = 0

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def now_s(self) -> float:
        return self.world.now_s

    def at(self, when_s: float, act: Callable[[], None]) -> None:
        """Plan an action; it may plan others. What lies in the past happens now."""
        now_s = self.world.now_s
        heapq.heappush(self._agenda, (when_s if when_s > now_s else now_s, next(self._order), act))

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.world.now_s + delay_s, next(self._order), act))

    def run(self, until_s: float) -> None:
        """Let everything happen up to then. Raises BrokenRule at the first step that breaks one."""
        world, agenda, queue, feed = self.world, self._agenda, self._queue, self.feed
        tick_at = self._deadline()
        while True:
            due = min(world.next_s(), agenda[0][0] if agenda else until_s, tick_at, until_s)
            now_s = max(due, world.now_s)
            world.advance(now_s)
            while queue or (agenda and agenda[0][0] <= now_s):
                if queue:
                    feed(queue.popleft())
                else:
                    heapq.heappop(agenda)[2]()
            tick_at = self._deadline()
            if tick_at <= now_s:
                feed(Tick())
                tick_at = self._deadline()
            if due >= until_s:
                return

    def _deadline(self) -> float:
        return box.next_deadline(self.state) if self.powered else float("inf")

    def now(self) -> Now:
        second = self.world.now_s
        return Now(second, self.wall_ms + round(second * 1000) + self.clock_off_ms, self.trust)

    # ── one step ───────────────────────────────────────────────────────────────────────────────────────────────

    def feed(self, event: Event) -> None:
        """Show the core one event, the judge the step, and the world the new picture."""
        if not self.powered:
            return
        old, now = self.state, self.now()
        new, records = box.step(old, event, now)
        outputs = box.desired(new, now)
        self.state = new
        self.steps += 1
        found = self._watch.look(old, event, now, new, records, outputs)
        if found:
            raise BrokenRule(found, self.now_s, event)
        self.told(records)
        for record in records:
            self.link = link_hash(self.link, leaf_hash(encode(record)))
            self.kinds[record.kind] += 1
            if record.kind == "box.latched":
                self._latched = (dict(record.data), record.ref)
            elif record.kind in muster.KINDS:
                self._keep_inside(record)
        if new.scanned and outputs is not self._drawn:
            self._draw(outputs)

    def _keep_inside(self, record: Record) -> None:
        if record.kind == "muster.snapshot":
            self._inside.clear()
        self._inside.append({"kind": record.kind, "data": record.data, "subject": record.subject, "at": record.at})

    def _draw(self, outputs: Outputs) -> None:
        """Lay the picture on the terminals. Records are durable at once here: disks are another rung's matter."""
        was, self._drawn = self._drawn, outputs
        if was is None or outputs.locks is not was.locks:
            for door, level in outputs.locks.items():
                if self._locks.get(door) is not level.on:
                    self._locks[door] = level.on
                    self.world.drive(self._lock_terminal[door], level.on is self._fail_safe[door])
        if was is None or outputs.lanes is not was.lanes:
            for lane, wanted in outputs.lanes.items():
                self._draw_lane(self.world.lanes[lane], wanted, None if was is None else was.lanes[lane])
        for request in outputs.motions:
            self._take(request)

    def _draw_lane(self, lane: Lane, wanted: LaneOutputs, was: LaneOutputs | None) -> None:
        if was is wanted or f"lane:{lane.id}" in self.silent:
            return
        lane.show(wanted.light is Light.RED, wanted.light is Light.GREEN, wanted.warning)
        for bollard, hold in wanted.hold.items():
            if hold is not Hold.NONE or (was is not None and was.hold.get(bollard) is not Hold.NONE):
                lane.hold(bollard, hold.value)
        self.read(lane.id, AFTERGLOW_S)

    def _take(self, request: MotionRequest) -> None:
        key = (request.lane, request.bollard)
        if self._taken.get(key) == request.token:
            return
        self._taken[key] = request.token
        self.read(request.lane, AFTERGLOW_S)
        self.after(WIRE_S, lambda: self._deliver(request))

    def _deliver(self, request: MotionRequest) -> None:
        """One frame on the wire; what it moves is the PLC's own business."""
        if not self.powered:
            return
        if f"lane:{request.lane}" in self.silent:
            sent = Sent.FAILED
        elif request.issued_at + request.max_age_s < self.now_s:
            sent = Sent.EXPIRED
        else:
            sent = Sent.ACKED
            self.world.lanes[request.lane].request(request.bollard, request.motion.value, request.token)
        acked_at = self.now_s if sent is Sent.ACKED else None
        self.feed(MotionSent(request.lane, request.bollard, request.token, sent, acked_at))

    # ── reading lanes ──────────────────────────────────────────────────────────────────────────────────────────

    def read(self, lane: str, for_s: float) -> None:
        """Read a lane at its beat for at least so long."""
        self._read_until[lane] = max(self._read_until[lane], self.now_s + for_s)
        if lane not in self._polling:
            self._polling.add(lane)
            self.after(0.0, lambda: self._poll(lane))

    def read_all(self, for_s: float) -> None:
        for lane in self._read_until:
            self.read(lane, for_s)

    def _poll(self, lane: str) -> None:
        """One reading, and the next one planned while it is worth it."""
        if not self.powered or f"lane:{lane}" in self.silent:
            self._polling.discard(lane)
            return
        self.feed(self._reading(lane))
        busy = self._busy(lane)
        if busy or self.now_s < self._read_until[lane]:
            self.after(BUSY_POLL_S if busy else POLL_S, lambda: self._poll(lane))
        else:
            self._polling.discard(lane)

    def _busy(self, lane: str) -> bool:
        state = self.state.lanes[lane]
        if state.request is not None:
            return True
        for b in state.bollards.values():
            if b.motion is not None or b.position is Position.MOVING or b.hold is not Hold.NONE:
                return True
        return False

    def _reading(self, lane: str) -> LaneReading:
        signs = self.world.lanes[lane].signs()
        return LaneReading(
            lane=lane,
            read_at=self.now_s,
            mode=Mode.ESTOP if signs.estop else MODES[signs.mode],
            bollards={
                name: BollardReading(b.up, b.down, b.moving, b.fault, b.efo, b.token, b.cycles)
                for name, b in signs.bollards.items()
            },
            sensors={name: SENSORS[value] for name, value in signs.sensors.items()},
            warning_on=signs.warning,
            heartbeat_ok=True,
            estop=signs.estop,
            fire_key=signs.fire_key,
        )

    # ── what the world tells ───────────────────────────────────────────────────────────────────────────────────

    def _changed(self, change: Change) -> None:
        """A change of the world as the box's wires would show it. Called while the world moves: only queue here."""
        match change.kind:
            case "card":
                self._queue.append(CardRead(change.name, str(change.value)))
            case "door":
                self._queue.append(DoorContact(change.name, Contact.OPEN if change.value else Contact.CLOSED))
            case "line":
                self._queue.append(PanicLine(change.name, Line(str(change.value)), change.at_s))
            case "key":
                if not change.name.endswith(":fire"):
                    self._queue.append(KeyInput(change.name, bool(change.value)))
            case "fire":
                self._queue.append(FireInput(bool(change.value)))
            case "supply":
                self._queue.append(SupplyInput(change.name, bool(change.value)))  # type: ignore[arg-type]
            case "rex":
                if change.value:
                    self._queue.append(Rex(change.name))
            case "lane":
                self.read(change.name, AFTERGLOW_S)
            case "sensor":
                self.read(change.name.partition(":")[0], AFTERGLOW_S)
            case _:
                return

    # ── power, clock, devices ──────────────────────────────────────────────────────────────────────────────────

    def power_on(self) -> None:
        """A boot: what was latched comes from the newest record, every input is read before anything goes out."""
        self.powered = True
        self._boots += 1
        self._watch = Watch()
        self._drawn = None
        epoch, next_seq = self.state.epoch, self.state.next_seq
        self.state = box.start(self.rules, epoch=epoch, next_seq=next_seq)
        latched, ref = self._latched if self._latched is not None else (None, None)
        self.feed(Started(f"boot-{self._boots}", latched, ref, "power"))
        for lane in self.world.lanes.values():
            lane.keep_alive(f"lane:{lane.id}" not in self.silent)
        self._scan()
        self.feed(ScanComplete())
        self.feed(InsideRecalled(muster.fold(self._inside)))
        if self.policy is not None:
            self.feed(PolicyChanged(self.policy, f"d{self.policy.version}", "box", "start"))
        for path in self.rules.paths:
            self.feed(PathHealth(path, True))
        self.read_all(AFTERGLOW_S)

    def _scan(self) -> None:
        world = self.world
        for button in world.buttons.values():
            self.feed(PanicLine(button.id, Line(button.line), self.now_s))
        for key, on in world.keys.items():
            if not key.endswith(":fire"):
                self.feed(KeyInput(key, on))
        self.feed(FireInput(world.fire_on))
        for which, ok in world.supplies.items():
            self.feed(SupplyInput(which, ok))
        for door in world.doors.values():
            self.feed(DoorContact(door.site.id, Contact.CLOSED if door.contact_closed else Contact.OPEN))
        for lane in world.lanes:
            if f"lane:{lane}" not in self.silent:
                self.feed(self._reading(lane))

    def power_off(self) -> None:
        """The plug is pulled: pull resistors and relay wiring decide what the outputs are."""
        self.powered = False
        self._queue.clear()
        self._taken.clear()
        self._locks.clear()
        self._polling.clear()
        for terminal in self._lock_terminal.values():
            self.world.drive(terminal, False)
        for lane in self.world.lanes.values():
            lane.keep_alive(False)

    def step_clock(self, step_ms: int, trust: ClockTrust) -> None:
        self.clock_off_ms += step_ms
        self.trust = trust
        self.feed(ClockChanged(trust, step_ms, "step"))

    def lose(self, device: str) -> None:
        """A device falls silent; its keeper says so a moment later."""
        self.silent.add(device)
        if device.startswith("lane:"):
            self.world.lanes[device.removeprefix("lane:")].keep_alive(False)
        self.after(GIVE_UP_S, lambda: self.feed(DeviceLost(device, "no answer")) if device in self.silent else None)

    def find(self, device: str) -> None:
        """It answers again."""
        self.silent.discard(device)
        self.feed(DeviceBack(device))
        if device.startswith("lane:") and self.powered:
            lane = device.removeprefix("lane:")
            self.world.lanes[lane].keep_alive(True)
            self._redraw(lane)
            self.read(lane, AFTERGLOW_S)

    def _redraw(self, lane: str) -> None:
        """After a device came back its levels are written anew."""
        if self._drawn is not None and self.state.scanned:
            self._draw_lane(self.world.lanes[lane], self._drawn.lanes[lane], None)

    def hash(self) -> str:
        """The end of the chain over all records: the same seed gives the same."""
        return self.link.hex()
