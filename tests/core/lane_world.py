"""A gate in virtual time for the lane's tests: the real `box.step`, a small PLC for each lane, every step judged.

The PLC has no interlock of its own unless asked for: what keeps a bollard down here is the core alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import agent.core.invariants  # noqa: F401  # fills the registry
from agent.core import box
from agent.core.events import (
    BollardReading,
    Command,
    DeviceBack,
    DeviceLost,
    Event,
    FireInput,
    KeyInput,
    LaneReading,
    MotionSent,
    Now,
    PanicLine,
    ScanComplete,
    Started,
    Tick,
)
from agent.core.invariant import Violation, Watch
from agent.core.outputs import MotionRequest, Outputs
from agent.core.records import Record
from agent.core.rules import BollardRules, BoxRules, KeyRules, LaneRules
from agent.core.state import BollardState, LaneState
from agent.core.words import ClockTrust, Hold, Light, Line, Mode, Motion, Rank, Sensor, Sent

WALL_MS = 1_788_000_000_000
POLL_S = 0.1
WIRE_S = 0.02  # from the picture to the PLC and back


def lane_rules(lane: str = "main", *, bollards: int | tuple[BollardRules, ...] = 2, **changes: object) -> LaneRules:
    if isinstance(bollards, int):
        bollards = tuple(BollardRules(id=f"{lane}-{n}", commissioned=True) for n in range(1, bollards + 1))
    fields: dict[str, object] = {
        "id": lane,
        "bollards": bollards,
        "sensors": ("loop1", "beam"),
        "monitor_only": False,
        "service": False,
        "entry": True,
        "rise_s": 4.0,
        "lower_s": 3.0,
        "efo_s": 1.5,
        "prewarn_s": 3.0,
        "clear_s": 3.0,
        "efo_clear_s": 1.0,
        "bus": "plc",
    }
    return LaneRules(**{**fields, **changes})  # type: ignore[arg-type]


def box_rules(*lanes: LaneRules, has_fire: bool = True) -> BoxRules:
    return BoxRules(
        site_box="school/gate",
        lanes=lanes or (lane_rules(),),
        doors=(),
        readers=(),
        buttons=("gatehouse",),
        keys=(
            KeyRules(id="panic", use="panic_reset"),
            KeyRules(id="fire", use="fire_key"),
            KeyRules(id="unfire", use="fire_reset"),
        ),
        credentials={},
        paths=("mqtt",),
        lamps=("sent",),
        has_fire=has_fire,
        panic_raises_bollards=True,
        panic_audible=False,
        fire_lowers_service_lane=True,
    )


class Post:
    """One bollard as a machine: `at` 0 down .. 1 up."""

    def __init__(self) -> None:
        self.at = 0.0
        self.way = 0.0  # strokes per second
        self.hold = Hold.NONE
        self.token = 0
        self.jammed = False
        self.stuck: dict[str, bool] = {}  # limit switches that lie
        self.fault = 0
        self.cycles = 0

    def run(self, seconds: float) -> None:
        if self.way and not self.jammed:
            self.at = min(1.0, max(0.0, self.at + self.way * seconds))
            if self.at == (1.0 if self.way > 0 else 0.0):
                self.way = 0.0

    def reading(self) -> BollardReading:
        up, down = self.at == 1.0 and not self.way, self.at == 0.0 and not self.way
        return BollardReading(
            up=self.stuck.get("up", up),
            down=self.stuck.get("down", down),
            moving=bool(self.way),
            fault=self.fault,
            token=self.token,
        )


class Plc:
    def __init__(self, rules: LaneRules) -> None:
        self.rules = rules
        self.posts = {bollard.id: Post() for bollard in rules.bollards}
        self.sensors = dict.fromkeys(rules.sensors, Sensor.CLEAR)
        self.mode = Mode.REMOTE
        self.estop = False
        self.fire_key = False
        self.heartbeat = True
        self.silent = False  # answers no poll
        self.warning: bool | None = False
        self.warning_works = True
        self.light = Light.OFF
        self.answer = Sent.ACKED
        self.token_delay_s = WIRE_S
        self.tells = True  # reports what became of tokens
        self.moves: list[tuple[float, str, Motion]] = []  # what was really begun

    def run(self, seconds: float) -> None:
        for post in self.posts.values():
            post.run(seconds)

    def take(self, request: MotionRequest, at: float) -> Sent:
        post = self.posts[request.bollard]
        if self.answer is not Sent.ACKED:
            return self.answer
        if request.token == post.token or self.mode is not Mode.REMOTE or self.estop:
            return Sent.REFUSED
        post.token = request.token
        if post.hold is Hold.NONE:
            self.drive(request.bollard, request.motion)
            self.moves.append((at, request.bollard, request.motion))
        return Sent.ACKED

    def drive(self, bollard: str, motion: Motion) -> None:
        post, rules = self.posts[bollard], self.rules
        speed = {Motion.RAISE: 1 / rules.rise_s, Motion.EFO: 1 / rules.efo_s, Motion.LOWER: -1 / rules.lower_s}
        post.way = speed[motion]
        if (post.way > 0 and post.at == 1.0) or (post.way < 0 and post.at == 0.0):
            post.way = 0.0

    def set_hold(self, bollard: str, hold: Hold) -> None:
        post = self.posts[bollard]
        post.hold = hold
        if self.mode is not Mode.REMOTE or self.estop:
            return
        if hold is Hold.STOP:
            post.way = 0.0
        elif hold is Hold.LOWER and post.at > 0 and post.way >= 0:
            self.drive(bollard, Motion.LOWER)

    def reading(self, at: float) -> LaneReading:
        return LaneReading(
            lane=self.rules.id,
            read_at=at,
            mode=self.mode,
            bollards={name: post.reading() for name, post in self.posts.items()},
            sensors=dict(self.sensors),
            warning_on=self.warning,
            heartbeat_ok=self.heartbeat,
            estop=self.estop,
            fire_key=self.fire_key,
        )


class Broken(AssertionError):
    """An invariant did not hold; carries what was found in that first step."""

    def __init__(self, found: Sequence[Violation], at: float, event: Event) -> None:
        super().__init__(f"at {at:.3f} s, {event}: {list(found)}")
        self.names = {violation.name for violation in found}


class World:
    """Virtual time. `do` gives the core one event now; `run` lets time pass with polls, deadlines and wires."""

    def __init__(self, rules: BoxRules | None = None, *, start: bool = True) -> None:
        self.rules = rules if rules is not None else box_rules()
        self.t = 100.0
        self.trust = ClockTrust.TRUSTED
        self.plcs = {lane.id: Plc(lane) for lane in self.rules.lanes}
        self.records: list[Record] = []
        self.outputs: Outputs
        self.steps = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._next_poll = self.t
        self._taken: set[tuple[str, str, int, float]] = set()
        self.boot()
        if start:
            self.settle()

    # ── the program ────────────────────────────────────────────────────────────────────────────────────────────────

    def boot(self, latched: dict[str, object] | None = None) -> None:
        self.watch = Watch()
        self.state = box.start(self.rules)
        self._queue.clear()
        self.do(Started(boot="b", latched=latched, latched_ref=None))

    def settle(self, line: Line = Line.NORMAL) -> None:
        """The first scan, and long enough for every sensor to have been clear."""
        self.do(FireInput(False))
        for key in self.rules.keys:
            self.do(KeyInput(key.id, False))
        for lane in self.plcs:
            self.key("raise", False, lane)
            self.key("lower", False, lane)
        self.do(PanicLine("gatehouse", line, self.t))
        self.run(0.2)
        self.do(ScanComplete())
        self.run(4.0)

    def do(self, event: Event) -> list[Record]:
        now = Now(self.t, WALL_MS + round(self.t * 1000), self.trust)
        old = self.state
        self.state, records = box.step(old, event, now)
        self.outputs = box.desired(self.state, now)
        self.steps += 1
        found = self.watch.look(old, event, now, self.state, records, self.outputs)
        if found:
            raise Broken(found, self.t, event)
        assert box.next_deadline(self.state) > self.t, f"{event} leaves a deadline behind"
        self.records += records
        self._act()
        return list(records)

    def _act(self) -> None:
        for request in self.outputs.motions:
            key = (request.lane, request.bollard, request.token, request.issued_at)
            if key not in self._taken:
                self._taken.add(key)
                plc = self.plcs[request.lane]
                self.later(plc.token_delay_s, lambda request=request: self._deliver(request))  # type: ignore[misc]
        outputs = self.outputs
        self.later(WIRE_S, lambda: self._write_levels(outputs))

    def _deliver(self, request: MotionRequest) -> None:
        plc = self.plcs[request.lane]
        if self.t - request.issued_at > request.max_age_s:
            outcome = Sent.EXPIRED
        elif plc.silent:
            outcome = Sent.FAILED
        else:
            outcome = plc.take(request, self.t)
        if plc.tells:
            acked_at = self.t if outcome is Sent.ACKED else None
            self.do(MotionSent(request.lane, request.bollard, request.token, outcome, acked_at))

    def _write_levels(self, outputs: Outputs) -> None:
        for lane, wanted in outputs.lanes.items():
            plc = self.plcs[lane]
            if plc.silent:
                continue
            plc.light = wanted.light
            if plc.warning is not None:
                plc.warning = wanted.warning and plc.warning_works
            for bollard, hold in wanted.hold.items():
                plc.set_hold(bollard, hold)

    # ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.t + seconds, next(self._order), act))

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        end = self.t + seconds
        while True:
            due = box.next_deadline(self.state)
            first = self._queue[0][0] if self._queue else float("inf")
            at = min(due, first, self._next_poll)
            if at > end:
                break
            self._pass(at)
            if at == due:
                self.do(Tick())
            elif at == first:
                heapq.heappop(self._queue)[2]()
            else:
                self._poll()
        self._pass(end)

    def _pass(self, at: float) -> None:
        for plc in self.plcs.values():
            plc.run(at - self.t)
        self.t = at

    def _poll(self) -> None:
        self._next_poll = self.t + POLL_S
        for plc in self.plcs.values():
            if not plc.silent:
                self.do(plc.reading(self.t))

    def until(self, happened: Callable[[], bool], limit_s: float = 20.0) -> float:
        """Run until something is so; returns the seconds it took."""
        began = self.t
        while not happened():
            assert self.t - began < limit_s, "it never happened"
            self.run(0.02)
        return self.t - began

    # ── what people and things do ──────────────────────────────────────────────────────────────────────────────────

    def press(self) -> list[Record]:
        """A press edge of the panic button; the one before is let go first."""
        self.release()
        return self.do(PanicLine("gatehouse", Line.PRESSED, self.t))

    def release(self) -> None:
        self.do(PanicLine("gatehouse", Line.NORMAL, self.t))
        self.run(0.2)

    def reset_panic(self) -> None:
        self.release()
        self.turn("panic")

    def turn(self, key: str) -> None:
        self.do(KeyInput(key, True))
        self.do(KeyInput(key, False))

    def key(self, verb: str, on: bool | None, lane: str = "main") -> list[Record]:
        return self.do(KeyInput(f"lane:{lane}:{verb}", on))

    def command(self, verb: str, rank: Rank = Rank.CONSOLE, lane: str = "main") -> list[Record]:
        return self.do(Command(f"c{next(self._order)}", rank, "guard-1", verb, {"lane": lane}))

    def sensor(self, value: Sensor, name: str = "loop1", lane: str = "main") -> None:
        self.plcs[lane].sensors[name] = value

    def lose(self, device: str = "lane:main") -> None:
        self.do(DeviceLost(device, "no answer"))

    def back(self, device: str = "lane:main") -> None:
        self.do(DeviceBack(device))

    # ── what to look at ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def lane(self) -> LaneState:
        return self.state.lanes["main"]

    @property
    def plc(self) -> Plc:
        return self.plcs["main"]

    def bollard(self, name: str = "main-1") -> BollardState:
        return self.state.lanes[name.rpartition("-")[0]].bollards[name]

    def closed(self, lane: str = "main") -> bool:
        return self.state.lanes[lane].closed

    def light(self, lane: str = "main") -> Light:
        return self.outputs.lanes[lane].light

    def warns(self, lane: str = "main") -> bool:
        return self.outputs.lanes[lane].warning

    def hold(self, name: str = "main-1") -> Hold:
        return self.outputs.lanes[name.rpartition("-")[0]].hold[name]

    def post(self, name: str = "main-1") -> Post:
        return self.plcs[name.rpartition("-")[0]].posts[name]

    def kinds(self, since: int = 0) -> list[str]:
        return [record.kind for record in self.records[since:] if record.kind.startswith("lane.")]

    def last(self, kind: str) -> Record:
        return next(record for record in reversed(self.records) if record.kind == kind)

    @contextmanager
    def nothing_moves(self) -> Iterator[None]:
        """Fails if any motion token goes out or any lowering is held inside."""
        before = len(self.kinds_of("lane.token"))
        yield
        assert len(self.kinds_of("lane.token")) == before
        assert all(hold is not Hold.LOWER for lane in self.outputs.lanes.values() for hold in lane.hold.values())

    def kinds_of(self, kind: str) -> list[Record]:
        return [record for record in self.records if record.kind == kind]

    def raise_all(self, lane: str = "main") -> None:
        """The guard's console brings the lane up, all the way."""
        self.command("raise", lane=lane)
        self.until(lambda: all(post.reading().up for post in self.plcs[lane].posts.values()))
        self.run(0.5)
