"""A lane's PLC: bollards, their lights and warning, the sensors wired to it, read and asked over Modbus.

Two kinds of controller speak here. The reference map packs everything into status words and takes motion tokens; one
read of a two-bollard lane takes 29 ms on a 9600-baud line, so an emergency write waits for that at most. A controller
that only tells a state code (CAME) has no sensors, no heartbeat and no token, and is watched rather than moved.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

from drivers.errors import BadFrame, Misuse, Refused
from drivers.modbus_bus import Lane, ModbusBus, Words
from drivers.ports import BollardState, HoldText, LaneState, LightText, ModeText, MotionText, SensorText
from hardware import profiles, site
from hardware.profiles import RegisterMap, StateCodes

CYCLES_EVERY_S = 60.0  # D: cycle counts are for maintenance, not worth a place in every poll
ECHO_S = 2.0  # domain rules, section 4: an echo stale for longer makes every input unknown
MODES: tuple[ModeText, ...] = ("unknown", "remote", "local", "hand")
HOLDS: dict[HoldText, int] = {"none": 0, "stop": 1, "lower": 2}
LIGHTS: dict[LightText, int] = {"off": 0, "red": 1, "green": 2}
WARNING = 4
SENSORS = ("loop1", "loop2", "beam", "pressure")
STATE_FAULT = 256  # fault codes from here are the controller's own state code, where it reports no error


class Heartbeat:
    """The counter we write, and how old the one is that comes back. Pure: time passed in."""

    def __init__(self, first: int) -> None:
        self._counter = first
        self._written: deque[tuple[int, float]] = deque(maxlen=32)

    def next(self) -> int:
        """The next value to write, never 0: a rebooted PLC shows 0 and that must not look like an echo."""
        self._counter = self._counter % 0xFFFF + 1
        return self._counter

    def wrote(self, counter: int, at: float) -> None:
        self._written.append((counter, at))

    def ok(self, echo: int, at: float) -> bool:
        """Whether `echo` is a value we wrote within the last ECHO_S."""
        return any(counter == echo and at - written <= ECHO_S for counter, written in self._written)


class LanePlc:
    """`ports.LanePort` over Modbus. Reports only sensors whose terminal is ``plc``; the box's own are merged above.

    `heartbeat_ok` is False until the first beat came back, and whenever the echo is older than 2 s.
    """

    def __init__(
        self,
        lane: site.Lane,
        bus: ModbusBus,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        facts = profiles.bollard(lane.profile)
        self._lane = lane
        self.lacks = frozenset(facts.lacks)
        self._plc: _ReferencePlc | _StatePlc
        if facts.registers is not None:
            self._plc = _ReferencePlc(lane, bus, facts.registers, clock)
        elif facts.states is not None:
            self._plc = _StatePlc(lane, bus, facts.states)
        else:
            raise Misuse(f"bollard profile {facts.name} has neither registers nor states")

    async def read(self) -> LaneState:
        """The whole lane, freshly read. `read_at` is when it was asked for."""
        return await self._plc.read()

    async def request(self, bollard: str, motion: MotionText, token: int, issued_at: float, max_age_s: float) -> float:
        """Send one token once, ahead of levels and polls; EFO ahead of everything. Returns when the PLC echoed it.

        Whether the PLC took the token shows in the next `read`. Errors as in `ports.LanePort.request`.
        """
        if self._lane.monitor_only:
            raise Misuse(f"lane {self._lane.id} is watched only (monitor_only); its bollards are never moved")
        if not 1 <= token <= 255:
            raise Misuse(f"lane {self._lane.id}: a motion token is 1 to 255, not {token}")
        urgency = Lane.EMERGENCY if motion == "efo" else Lane.MOTION
        return await self._plc.request(self._bollard(bollard), motion, token, issued_at + max_age_s, urgency)

    async def hold(self, bollard: str, hold: HoldText) -> None:
        """Write the level "stop" or "lower" (a reversal) on the emergency lane, or let go of it."""
        if hold == "lower" and self._lane.monitor_only:
            raise Misuse(f"lane {self._lane.id} is watched only (monitor_only); it may be stopped, never lowered")
        await self._plc.hold(self._bollard(bollard), hold)

    async def show(self, light: LightText, warning: bool) -> None:
        """Set traffic light and pre-warning. A controller without lights shows nothing; without a warning, asking
        for one is Misuse: nobody may believe that a lamp flashes where there is none."""
        if warning and "warning" in self.lacks:
            raise Misuse(f"lane {self._lane.id}: its controller has no warning lamp; wire one to the box")
        await self._plc.show(light, warning)

    async def beat(self) -> None:
        """Advance the heartbeat register; due every 0.5 s. Nothing to do for a controller without one."""
        await self._plc.beat()

    def _bollard(self, name: str) -> site.Bollard:
        for bollard in self._lane.bollard:
            if bollard.id == name:
                return bollard
        raise Misuse(f"lane {self._lane.id} has no bollard {name}")


class _ReferencePlc:
    """The reference map: packed status words, request words, holds, heartbeat with echo."""

    def __init__(self, lane: site.Lane, bus: ModbusBus, facts: RegisterMap, clock: Callable[[], float]) -> None:
        self._lane = lane
        self._bus = bus
        self._map = facts
        self._clock = clock
        # Seldom the value from before a restart: the PLC enables remote motion only on a change.
        self._heart = Heartbeat(int(clock() * 1000) % 0xFFFF)
        self._cycles: tuple[int, ...] = ()
        self._cycles_due = float("-inf")
        last = max(facts.lane.register, facts.heartbeat_echo, facts.bollard.register + self._blocks - 1)
        self._first = min(facts.lane.register, facts.heartbeat_echo, facts.bollard.register)
        self._count = last - self._first + 1

    @property
    def _blocks(self) -> int:
        return max(bollard.index for bollard in self._lane.bollard) + 1

    async def read(self) -> LaneState:
        if self._clock() >= self._cycles_due:
            await self._read_cycles()
        return self._state(await self._bus.read_input(self._lane.unit, self._first, self._count))

    async def _read_cycles(self) -> None:
        """Cycle counts, unknown where the PLC has none: they must not cost the lane its sensors."""
        self._cycles, self._cycles_due = (), self._clock() + CYCLES_EVERY_S
        with contextlib.suppress(Refused, BadFrame):
            counts = await self._bus.read_input(self._lane.unit, self._map.cycles, 2 * self._blocks)
            pairs = zip(counts.values[::2], counts.values[1::2], strict=True)
            self._cycles = tuple(high << 16 | low for high, low in pairs)

    def _state(self, words: Words) -> LaneState:
        bits = self._map.lane
        status = words.values[bits.register - self._first]
        echo = words.values[self._map.heartbeat_echo - self._first]
        estop = _bit(status, bits.estop)
        return LaneState(
            read_at=words.asked_at,
            mode="estop" if estop else MODES[status >> bits.mode_shift & 3],
            bollards={bollard.id: self._one(bollard, words) for bollard in self._lane.bollard},
            sensors={name: self._sensor(name, status) for name in _plc_sensors(self._lane)},
            warning_on=_bit(status, bits.warning_on),
            heartbeat_ok=self._heart.ok(echo, words.asked_at),
            estop=estop,
            fire_key=_bit(status, bits.fire_key),
            extra={"red_on": _bit(status, bits.red_on), "green_on": _bit(status, bits.green_on)},
        )

    def _one(self, bollard: site.Bollard, words: Words) -> BollardState:
        bits = self._map.bollard
        status = words.values[bits.register + bollard.index - self._first]
        return BollardState(
            up=_bit(status, bits.up),
            down=_bit(status, bits.down),
            moving=_bit(status, bits.moving),
            fault=status >> bits.fault_shift & 0xF,
            efo=_bit(status, bits.efo),
            token=status >> bits.token_shift & 0xFF,
            cycles=self._cycles[bollard.index] if self._cycles else None,
        )

    def _sensor(self, name: str, status: int) -> SensorText:
        bits = self._map.lane
        if name not in bits.sensors_occupied or name not in bits.sensors_faulty:
            return "unread"
        if _bit(status, bits.sensors_faulty[name]):
            return "faulty"
        return "occupied" if _bit(status, bits.sensors_occupied[name]) else "clear"

    async def request(
        self, bollard: site.Bollard, motion: MotionText, token: int, not_after: float, urgency: Lane
    ) -> float:
        code = self._map.request_codes.get(motion)
        if code is None:
            raise Misuse(f"lane {self._lane.id}: its PLC knows no {motion!r}")
        address = self._map.request + bollard.index
        return await self._bus.write_register(
            self._lane.unit, address, token << 8 | code, lane=urgency, not_after=not_after
        )

    async def hold(self, bollard: site.Bollard, hold: HoldText) -> None:
        urgency = Lane.LEVEL if hold == "none" else Lane.EMERGENCY
        await self._bus.write_register(self._lane.unit, self._map.hold + bollard.index, HOLDS[hold], lane=urgency)

    async def show(self, light: LightText, warning: bool) -> None:
        value = LIGHTS[light] | (WARNING if warning else 0)
        await self._bus.write_register(self._lane.unit, self._map.outputs, value)

    async def beat(self) -> None:
        counter = self._heart.next()
        # Dated before it goes out: the PLC cannot have seen it earlier, and an old echo must not look fresh.
        at = self._clock()
        await self._bus.write_register(self._lane.unit, self._map.heartbeat, counter)
        self._heart.wrote(counter, at)


class _StatePlc:
    """A controller that tells one state code and takes momentary coils. Step and sequential coils are never written."""

    def __init__(self, lane: site.Lane, bus: ModbusBus, facts: StateCodes) -> None:
        self._lane = lane
        self._bus = bus
        self._codes = facts
        self._first = min(facts.state, facts.error, facts.operations, facts.temperature)
        self._count = max(facts.state, facts.error, facts.operations + 1, facts.temperature) - self._first + 1

    async def read(self) -> LaneState:
        words = await self._bus.read_holding(self._lane.unit, self._first, self._count)
        return LaneState(
            read_at=words.asked_at,
            mode="unknown",  # it does not tell who has it, so the agent asks nothing but "stop" of it
            bollards={bollard.id: self._one(words) for bollard in self._lane.bollard},
            sensors=dict.fromkeys(_plc_sensors(self._lane), "unread"),
            warning_on=None,
            heartbeat_ok=True,  # an answer is all the life it can show
            extra={
                "state": self._word(words, self._codes.state),
                "board_c": self._word(words, self._codes.temperature),
            },
        )

    def _word(self, words: Words, register: int) -> int:
        return words.values[register - self._first]

    def _one(self, words: Words) -> BollardState:
        codes = self._codes
        state = self._word(words, codes.state)
        known = state in (*codes.up, *codes.down, *codes.moving)
        operations = self._word(words, codes.operations) << 16 | self._word(words, codes.operations + 1)
        return BollardState(
            up=state in codes.up,
            down=state in codes.down,
            moving=state in codes.moving,
            fault=self._word(words, codes.error) or (0 if known else STATE_FAULT + state),
            cycles=operations,
        )

    async def request(
        self, bollard: site.Bollard, motion: MotionText, token: int, not_after: float, urgency: Lane
    ) -> float:
        coil = self._codes.coils.get(motion)
        if coil is None:
            raise Misuse(f"bollard {bollard.id}: its controller knows no {motion!r}")
        return await self._bus.write_coil(self._lane.unit, coil, True, lane=urgency, not_after=not_after)

    async def hold(self, bollard: site.Bollard, hold: HoldText) -> None:
        if hold != "none":  # its coils fall back by themselves
            await self._bus.write_coil(self._lane.unit, self._codes.coils[hold], True, lane=Lane.EMERGENCY)

    async def show(self, light: LightText, warning: bool) -> None:
        return  # no lamps on it

    async def beat(self) -> None:
        return  # no heartbeat register


def _bit(word: int, bit: int) -> bool:
    return bool(word >> bit & 1)


def _plc_sensors(lane: site.Lane) -> tuple[str, ...]:
    return tuple(name for name in SENSORS if getattr(lane.sensors, name) == "plc")
