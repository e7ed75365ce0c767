"""What goes wrong in a year, drawn from the same seed: faults that come and go, power cuts, clocks, pressed buttons.

Each mishap ends by itself or by a guard's hand, and plans `well` a minute after its end: by then everything must have
recovered (liveness), unless another mishap is under way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from agent.core.events import AlarmStage, Command, JournalChanged, PathHealth
from agent.core.state import LaneState
from agent.core.words import ClockTrust, Journal, Mode, Rank, Stage
from sim.year.bridge import Bridge
from sim.year.school import DAY_S, HOUR_S, LANE, School

TIDY_S = 9.0  # the last of the tidying hands, and a look at what came of it
RECOVERY_S = 60.0  # simulated seconds after which everything has recovered
PER_DAY = 1.2
EFO_WATCH_S = 2.0  # sensors must have been read clear for a second before a press can raise


class NotWell(Exception):
    """Something has not recovered in its time."""


class Mishaps:
    """Plans and plays them. `happened` counts each kind."""

    def __init__(self, bridge: Bridge, school: School, seed: int) -> None:
        self._bridge = bridge
        self._school = school
        self._rng = random.Random(seed ^ 0x5EED)
        self._running = 0
        self._commands = 0
        self.happened: Counter[str] = Counter()
        self._kinds: tuple[tuple[int, Callable[[], float]], ...] = (
            (6, self._panic), (2, self._panic_with_car), (2, self._panic_then_power_cut), (2, self._fire),
            (4, self._lane_lost),
            (3, self._bollard_fault), (2, self._sensor_fault), (3, self._line_fault), (2, self._stuck_button),
            (4, self._power_cut),
            (4, self._clock_step), (3, self._reader_lost), (2, self._mains), (3, self._forced_door),
            (3, self._held_door), (3, self._uplink_lost), (1, self._journal_fails), (2, self._drill), (2, self._estop),
            (2, self._local_mode), (2, self._lockdown_from_afar),
        )  # fmt: skip

    def plan(self, day: int) -> None:
        """Draw that day's mishaps; most in daylight, when there are people to meet them."""
        for _ in range(self._count()):
            hour = self._rng.triangular(0.0, 23.0, 12.0)
            self._bridge.at(day * DAY_S + hour * HOUR_S, self._one)

    def _count(self) -> int:
        whole = int(PER_DAY)
        return whole + (self._rng.random() < PER_DAY - whole) + (self._rng.random() < 0.2)

    def _one(self) -> None:
        if not self._bridge.powered:
            return
        weights = [weight for weight, _ in self._kinds]
        _, act = self._rng.choices(self._kinds, weights)[0]
        self.happened[act.__name__.strip("_").replace("_", " ")] += 1
        self._running += 1
        lasts_s = act()
        self._bridge.after(lasts_s, self._over)

    def _over(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._tidy_up()
            self._bridge.after(RECOVERY_S, self._must_be_well)

    # ── liveness ───────────────────────────────────────────────────────────────────────────────────────────────

    def _tidy_up(self) -> None:
        """What people at the gate do when it is over: heal, clear, reset."""
        bridge = self._bridge
        bridge.world.heal()
        for lane, state in bridge.state.lanes.items():
            if state.lost or state.mode is not Mode.REMOTE or _wants_clearing(state):
                bridge.read(lane, TIDY_S)
        self._swipe_guard()
        bridge.after(1.0, self._clear_lanes)
        for at_s, key in ((2.0, "panic-reset"), (4.0, "fire-reset")):
            bridge.after(at_s, lambda key=key: bridge.world.key(key, True))  # type: ignore[misc]
            bridge.after(at_s + 1.0, lambda key=key: bridge.world.key(key, False))  # type: ignore[misc]
        bridge.after(6.0, self._swipe_guard)
        bridge.after(6.5, lambda: self._command("all_clear"))
        bridge.after(7.0, self._clear_lanes)

    def _clear_lanes(self) -> None:
        for lane, state in self._bridge.state.lanes.items():
            if _wants_clearing(state):
                self._command("lane_clear_fault", lane=lane)

    def _must_be_well(self) -> None:
        if self._running or not self._bridge.powered:
            return
        wrong = sorted(self._wrong())
        if wrong:
            raise NotWell(f"at {self._bridge.now_s:.1f} s, {RECOVERY_S:g} s after the last mishap: {', '.join(wrong)}")

    def _wrong(self) -> list[str]:
        state = self._bridge.state
        wrong = [f"device {name} lost" for name, device in state.health.devices.items() if not device.up]
        wrong += [f"lane {name} lost" for name, lane in state.lanes.items() if lane.lost]
        wrong += [f"lane {name} closed" for name, lane in state.lanes.items() if lane.closed]
        wrong += [f"button {name} {b.line.value}" for name, b in state.panic.buttons.items() if b.line != "normal"]
        wrong += [
            word for word, on in (("panic latched", state.panic.latched), ("lockdown", state.panic.lockdown)) if on
        ]
        return wrong + (["fire latched"] if state.fire.latched else [])

    # ── people and far side ────────────────────────────────────────────────────────────────────────────────────

    def _swipe_guard(self) -> None:
        self._bridge.world.swipe("guard", self._school.guards[0].card)

    def _command(self, verb: str, rank: Rank = Rank.CONSOLE, **args: str) -> None:
        self._commands += 1
        self._bridge.feed(Command(f"year-{self._commands}", rank, "guard-0000", verb, args))

    def _order(self, verb: str, **args: str) -> Command:
        """A signed command of the district, given now; returned, so that it can be replayed."""
        self._commands += 1
        wall_ms = self._bridge.now().wall_ms
        order = Command(f"order-{self._commands}", Rank.UPSTREAM, "upstream:k", verb, args, wall_ms, wall_ms + 60_000)
        self._bridge.feed(order)
        return order

    def _lockdown_from_afar(self) -> float:
        """Locked down, asked open again, opened with the key; and somebody replays it all while it is in date."""
        orders = [self._order("lockdown")]
        self._bridge.after(20.0, lambda: orders.append(self._order("all_clear_request")))
        self._bridge.after(30.0, lambda: self._bridge.world.key("panic-reset", True))
        self._bridge.after(31.0, lambda: self._bridge.world.key("panic-reset", False))
        for delay_s in (40.0, 50.0, 70.0):
            self._bridge.after(delay_s, lambda: self._replay(orders))
        return 90.0

    def _replay(self, orders: list[Command]) -> None:
        for order in orders:
            self._bridge.feed(order)

    def _far_side(self) -> None:
        """The district gets every open alarm and says so, if the uplink stands."""
        state = self._bridge.state
        if not all(path.up for path in state.health.paths.values()):
            return
        for alarm in state.panic.alarms:
            for stage in (Stage.SENT, Stage.RECEIVED, Stage.COMING):
                self._bridge.feed(AlarmStage(alarm.ref, "mqtt", stage, "district", self._bridge.now_s))

    # ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _panic(self) -> float:
        button = self._rng.choice(self._bridge.rules.buttons)
        self._bridge.read_all(EFO_WATCH_S + 10.0)
        for press in range(self._rng.randrange(1, 4)):
            self._bridge.after(EFO_WATCH_S + press * 7.0, lambda: self._bridge.world.press(button, hold_s=0.4))
        self._bridge.after(EFO_WATCH_S + 3.0, self._far_side)
        return 60.0

    def _panic_with_car(self) -> float:
        self._bridge.world.vehicle(LANE, "on_loop")
        self._bridge.after(30.0, lambda: self._bridge.world.vehicle(LANE, "away"))
        return self._panic()

    def _panic_then_power_cut(self) -> float:
        """The plug is pulled while the bollards rise: after the restart the latch is on and nothing moves by itself."""
        self._panic()
        self._bridge.after(EFO_WATCH_S + self._rng.uniform(0.0, 4.0), self._bridge.power_off)
        self._bridge.after(40.0, self._bridge.power_on)
        return 60.0

    def _drill(self) -> float:
        button = self._rng.choice(self._bridge.rules.buttons)
        self._swipe_guard()
        self._bridge.after(0.5, lambda: self._command("drill_start", button=button, minutes="3", reason="training"))
        self._bridge.after(1.0, self._hear_of_drill)
        self._bridge.read_all(20.0)
        real_after_s = 4.0 if self._rng.random() < 0.3 else 0.0
        self._bridge.after(10.0, lambda: self._bridge.world.press(button, hold_s=0.4))
        if real_after_s:
            self._bridge.after(10.0 + real_after_s, lambda: self._bridge.world.press(button, hold_s=0.4))
        self._bridge.after(13.0, self._far_side)
        return 240.0

    def _hear_of_drill(self) -> None:
        """The district has the announcement: most of the time."""
        ref = self._bridge.state.drill.ref
        if ref is not None and self._rng.random() < 0.8:
            self._bridge.feed(AlarmStage(ref, "mqtt", Stage.RECEIVED, "district", self._bridge.now_s))

    def _fire(self) -> float:
        lasts = self._rng.uniform(60.0, 900.0)
        self._bridge.world.fire(True)
        self._bridge.after(lasts, lambda: self._bridge.world.fire(False))
        return lasts + 5.0

    def _line_fault(self) -> float:
        return self._lay(f"button:{self._button()}", self._rng.choice(("cut", "shorted", "chatter")), 20.0, 600.0)

    def _stuck_button(self) -> float:
        button = self._button()
        self._bridge.world.press(button)
        lasts = self._rng.uniform(10.0, 200.0)
        self._bridge.after(lasts, lambda: self._bridge.world.release(button))
        return lasts + 2.0

    def _button(self) -> str:
        return self._rng.choice(self._bridge.rules.buttons)

    # ── lanes ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _lane_lost(self) -> float:
        return self._silence(self._rng.choice([f"lane:{lane}" for lane in self._bridge.world.lanes]), 5.0, 1200.0)

    def _bollard_fault(self) -> float:
        kind = self._rng.choice(("jammed", "slow", "stuck_switch", "sinks", "rises_alone", "lying", "drive"))
        bollard = self._rng.choice([post for lane in self._bridge.world.lanes.values() for post in lane.posts])
        self._bridge.after(20.0, self._school.raise_lane)
        self._bridge.after(50.0, lambda: self._school._hold("lower", 9.0))
        return self._lay(f"bollard:{bollard}", kind, 80.0, 120.0)

    def _sensor_fault(self) -> float:
        lane = self._bridge.world.lanes[LANE]
        sensor = self._rng.choice(list(lane.sensor_terminals))
        self._bridge.after(15.0, self._school.raise_lane)
        return self._lay(f"sensor:{LANE}:{sensor}", self._rng.choice(("faulty", "stuck_occupied")), 60.0, 600.0)

    def _estop(self) -> float:
        return self._select("estop", 30.0, 300.0)

    def _local_mode(self) -> float:
        return self._select(self._rng.choice(("local", "hand")), 30.0, 600.0)

    def _select(self, mode: str, least_s: float, most_s: float) -> float:
        world, lasts = self._bridge.world, self._rng.uniform(least_s, most_s)
        self._school.raise_lane()
        at_s = self._rng.uniform(4.0, 14.0)
        self._bridge.after(at_s, lambda: world.mode(LANE, mode))  # type: ignore[arg-type]
        self._bridge.after(lasts, lambda: world.mode(LANE, "remote"))
        return lasts + 2.0

    # ── the box ────────────────────────────────────────────────────────────────────────────────────────────────

    def _power_cut(self) -> float:
        lasts = self._rng.uniform(5.0, 3600.0)
        self._bridge.power_off()
        self._bridge.after(lasts, self._bridge.power_on)
        return lasts + 5.0

    def _clock_step(self) -> float:
        step_ms = self._rng.choice((-86_400_000, -3_600_000, -5_000, 5_000, 3_600_000, 86_400_000))
        lasts = self._rng.uniform(60.0, 7200.0)
        self._bridge.step_clock(step_ms, ClockTrust.UNTRUSTED)
        self._bridge.after(lasts, lambda: self._bridge.step_clock(-step_ms, ClockTrust.TRUSTED))
        return lasts + 2.0

    def _reader_lost(self) -> float:
        return self._silence(f"reader:{self._rng.choice(self._bridge.site.reader).id}", 5.0, 3600.0)

    def _mains(self) -> float:
        lasts = self._rng.uniform(10.0, 7200.0)
        self._bridge.world.supply("mains", False)
        self._bridge.after(lasts, lambda: self._bridge.world.supply("mains", True))
        return lasts + 2.0

    def _forced_door(self) -> float:
        self._bridge.world.door("wicket", True, None, 5.0)
        return 10.0

    def _held_door(self) -> float:
        self._bridge.world.rex("wicket")
        self._bridge.after(0.5, self._hold_door)
        return 95.0

    def _hold_door(self) -> None:
        self._bridge.world.door("wicket", True, "inside", 90.0)

    def _uplink_lost(self) -> float:
        lasts = self._rng.uniform(10.0, 2 * DAY_S)
        self._bridge.feed(PathHealth("mqtt", False, "broker away"))
        self._bridge.after(lasts, lambda: self._bridge.feed(PathHealth("mqtt", True)))
        self._bridge.after(lasts + 1.0, self._far_side)
        return lasts + 2.0

    def _journal_fails(self) -> float:
        lasts = self._rng.uniform(10.0, 600.0)
        self._bridge.feed(JournalChanged(Journal.FAILING, "input/output error"))
        self._bridge.after(lasts, lambda: self._bridge.feed(JournalChanged(Journal.OK)))
        return lasts + 2.0

    # ── pieces ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _lay(self, device: str, kind: str, least_s: float, most_s: float) -> float:
        """Lay a fault of the world and lift it again."""
        lasts = self._rng.uniform(least_s, most_s)
        self._bridge.world.fault(device, kind)
        self._bridge.after(lasts, lambda: self._heal(device, kind))
        return lasts + 2.0

    def _heal(self, device: str, kind: str) -> None:
        self._bridge.world.heal(device, kind)

    def _silence(self, device: str, least_s: float, most_s: float) -> float:
        lasts = self._rng.uniform(least_s, most_s)
        self._bridge.lose(device)
        self._bridge.after(lasts, lambda: self._bridge.find(device))
        return lasts + 2.0


def _wants_clearing(lane: LaneState) -> bool:
    return lane.closed or any(bollard.fault for bollard in lane.bollards.values())
