"""The devices on the buses, as register maps over the world: lane PLCs, relay boards, analogue boards.

Which register means what is data in `hardware/`; here it is only carried between the wire and the world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from hardware import profiles
from hardware.profiles import AnalogProfile, RegisterMap, RelayProfile, StateCodes
from hardware.site import Bus, Site
from sim.faults import Fault
from sim.lane import Lane
from sim.modbus import (
    COIL_OFF,
    COIL_ON,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    READ_COILS,
    READ_HOLDING,
    READ_INPUT,
    WRITE_COIL,
    Refusal,
    Unit,
)
from sim.signs import Hold, LaneSigns, Motion
from sim.wiring import RelayBank, Wiring
from sim.world import World

HOLDS: tuple[Hold, ...] = ("none", "stop", "lower")  # by register value
MODES = {"unknown": 0, "remote": 1, "local": 2, "hand": 3}
FLASH_STEP_S = 0.1  # Waveshare Modbus RTU Relay: pulse lengths are counted in 100 ms


InputWord: TypeAlias = Callable[[LaneSigns], int]


def _cycles(id: str, shift: int, signs: LaneSigns) -> int:
    return signs.bollards[id].cycles >> shift & 0xFFFF


class LanePlc(Unit):
    """A PLC of the reference kind: packed status words in, request words out."""

    def __init__(self, lane: Lane, registers: RegisterMap) -> None:
        self.device = f"lane:{lane.id}"
        self._lane = lane
        self._map = registers
        self._posts = {bollard.index: bollard.id for bollard in lane.site.bollard}
        self._codes: dict[int, Motion] = {}
        for motion in ("raise", "lower", "efo"):
            self._codes[registers.request_codes[motion]] = motion
        self._holding: dict[int, int] = {registers.heartbeat: 0, registers.outputs: 0}
        for index in self._posts:
            self._holding |= {registers.request + index: 0, registers.hold + index: 0}
        self._inputs = self._input_map()

    @property
    def silent(self) -> bool:
        return self._lane.booting

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        span = range(address, address + count)
        try:
            if function == READ_INPUT:
                signs = self._lane.signs()
                return [self._inputs[at](signs) for at in span]
            words = self._outputs()
            return [words[at] for at in span]
        except KeyError:
            raise Refusal(ILLEGAL_ADDRESS) from None

    def write_words(self, address: int, values: Sequence[int]) -> None:
        if any(at not in self._holding for at in range(address, address + len(values))):
            raise Refusal(ILLEGAL_ADDRESS)
        for at, value in enumerate(values, address):
            self._write(at, value)

    def _write(self, at: int, value: int) -> None:
        registers, lane = self._map, self._lane
        post = self._posts.get(at - registers.hold)
        if post is not None and value >= len(HOLDS):
            raise Refusal(ILLEGAL_VALUE)
        if at == registers.heartbeat:
            lane.heartbeat(value)
        elif at == registers.outputs:
            lane.show(red=bool(value & 1), green=bool(value & 2), warning=bool(value & 4))
        elif post is not None:
            lane.hold(post, HOLDS[value])
        else:
            self._holding[at] = value
            lane.request(self._posts[at - registers.request], self._codes.get(value & 0xFF), value >> 8)

    def _outputs(self) -> dict[int, int]:
        """The holding registers as they are: what the program changed itself reads back changed."""
        registers, lane = self._map, self._lane
        words = dict(self._holding)
        red, green, warning = lane.outputs
        words[registers.heartbeat] = lane.beat
        words[registers.outputs] = red | green << 1 | warning << 2
        for index, id in self._posts.items():
            words[registers.hold + index] = HOLDS.index(lane.posts[id].hold)
            if not lane.posts[id].token:
                words[registers.request + index] = 0
        return words

    def _input_map(self) -> dict[int, InputWord]:
        """How to make each input register from the signs; one without a meaning reads as 0."""
        registers = self._map
        words: dict[int, InputWord] = dict.fromkeys(range(registers.cycles + 16), lambda _: 0)
        words[registers.lane.register] = self._status
        words[registers.heartbeat_echo] = lambda signs: signs.echo
        for index, id in self._posts.items():
            words[registers.bollard.register + index] = partial(self._bollard, id)
            words[registers.cycles + 2 * index] = partial(_cycles, id, 16)
            words[registers.cycles + 2 * index + 1] = partial(_cycles, id, 0)
        return words

    def _bollard(self, id: str, signs: LaneSigns) -> int:
        sign, bits = signs.bollards[id], self._map.bollard
        return (
            sign.up << bits.up | sign.down << bits.down | sign.moving << bits.moving | sign.efo << bits.efo
            | sign.fault << bits.fault_shift | sign.token << bits.token_shift
        )  # fmt: skip

    def _status(self, signs: LaneSigns) -> int:
        bits = self._map.lane
        word = MODES[signs.mode] << bits.mode_shift | signs.estop << bits.estop | signs.fire_key << bits.fire_key
        word |= signs.warning << bits.warning_on | signs.red << bits.red_on | signs.green << bits.green_on
        for name, says in signs.sensors.items():
            word |= (says == "occupied") << bits.sensors_occupied[name]
            word |= (says == "faulty") << bits.sensors_faulty[name]
        return word

    def name(self, function: int, address: int) -> str:
        registers = self._map
        if function == READ_INPUT:
            return "state" if address <= registers.bollard.register + 8 else "cycles"
        if address in (registers.heartbeat, registers.outputs):
            return "heartbeat" if address == registers.heartbeat else "lights"
        for what, first in (("request", registers.request), ("hold", registers.hold)):
            if address - first in self._posts:
                return f"{what} {self._posts[address - first]}"
        return ""


class StateCodePlc(Unit):
    """A controller that tells a state code and takes momentary coils (CAME ZLB30B): one post, no sensors, no mode."""

    def __init__(self, lane: Lane, codes: StateCodes) -> None:
        self.device = f"lane:{lane.id}"
        self._lane = lane
        self._codes = codes
        self._post = lane.site.bollard[0].id
        self._coils = {address: name for name, address in codes.coils.items()}

    @property
    def silent(self) -> bool:
        return self._lane.booting

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        codes, post = self._codes, self._lane.posts[self._post]
        sign = self._lane.signs().bollards[self._post]
        words = dict.fromkeys(range(codes.state, codes.state + 10), 0)
        words[codes.state] = self._state(sign.up, sign.down, post.bollard.driven)
        words[codes.state + 1] = round(post.bollard.position() * 100)
        words[codes.error] = sign.fault
        words[codes.operations], words[codes.operations + 1] = sign.cycles >> 16 & 0xFFFF, sign.cycles & 0xFFFF
        words[codes.temperature] = 25
        if function != READ_HOLDING or any(at not in words for at in range(address, address + count)):
            raise Refusal(ILLEGAL_ADDRESS)
        return [words[at] for at in range(address, address + count)]

    def _state(self, up: bool, down: bool, driven: str) -> int:
        """40101 of the register list: 16 open (down), 17 closed (up), 19 stopped, 32 opening, 33 closing, 0 unknown."""
        if driven:
            return 32 if driven == "down" else 33
        if up and down:
            return 0
        return self._codes.up[0] if up else self._codes.down[0] if down else 19

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        if function != READ_COILS or address + count > 8:
            raise Refusal(ILLEGAL_ADDRESS)
        return [False] * count  # the coils fall back by themselves

    def write_coil(self, address: int, value: int) -> None:
        if value not in (COIL_ON, COIL_OFF):
            raise Refusal(ILLEGAL_VALUE)
        if address >= 8:
            raise Refusal(ILLEGAL_ADDRESS)
        if value == COIL_OFF:
            return
        match self._coils.get(address):
            case "stop":
                self._lane.hold(self._post, "stop")
                self._lane.hold(self._post, "none")
            case "lower":
                self._lane.command(self._post, "lower")
            case "raise":
                self._lane.command(self._post, "raise")
            case _:
                pass  # step, sequential, reset: the board has them, this one does nothing about them

    def name(self, function: int, address: int) -> str:
        return self._coils.get(address, "") if function == WRITE_COIL else "state"


class RelayUnit(Unit):
    """A relay board on coils, with pulses that end by themselves and the two addresses nobody should write."""

    def __init__(self, board: str, bank: RelayBank, profile: RelayProfile, faults: Mapping[str, Fault]) -> None:
        self.device = f"board:{board}"
        self._bank = bank
        self._profile = profile
        self._faults = faults
        self._told: list[bool] = []

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        first = address - self._profile.first_coil
        if function != READ_COILS or first < 0 or first + count > self._profile.channels:
            raise Refusal(ILLEGAL_ADDRESS)
        if "frozen" not in self._faults or not self._told:
            self._told = list(self._bank.state)
        return self._told[first : first + count]

    def write_coil(self, address: int, value: int) -> None:
        profile, channels = self._profile, self._profile.channels
        for base, on in ((profile.flash_on, True), (profile.flash_off, False)):
            if 0 <= address - base < channels:
                self._bank.flash(address - base, on, value * FLASH_STEP_S)
                return
        if value not in (COIL_ON, COIL_OFF):
            raise Refusal(ILLEGAL_VALUE)
        if address in profile.forbidden:
            toggle = address == profile.forbidden[-1]
            for channel in range(channels):
                self._bank.set(channel, not self._bank.state[channel] if toggle else value == COIL_ON)
        elif 0 <= address - profile.first_coil < channels:
            self._bank.set(address - profile.first_coil, value == COIL_ON)
        else:
            raise Refusal(ILLEGAL_ADDRESS)

    def name(self, function: int, address: int) -> str:
        return "relays" if function == READ_COILS else f"relay {address}"


class AnalogUnit(Unit):
    """An analogue board: millivolts of each loop in input registers."""

    def __init__(self, board: str, wiring: Wiring, profile: AnalogProfile, faults: Mapping[str, Fault]) -> None:
        self.device = f"board:{board}"
        self._board = board
        self._wiring = wiring
        self._profile = profile
        self._faults = faults
        self._told: list[int] = []

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        first = address - self._profile.first_register
        if function != READ_INPUT or first < 0 or first + count > self._profile.channels:
            raise Refusal(ILLEGAL_ADDRESS)
        if "frozen" not in self._faults or not self._told:
            self._told = self._wiring.millivolts(self._board)
        return self._told[first : first + count]

    def name(self, function: int, address: int) -> str:
        return "loops"


def units_on(site: Site, bus: Bus, world: World) -> dict[int, Unit]:
    """The devices of one bus, by unit address."""
    units: dict[int, Unit] = {}
    for lane in site.lane:
        if lane.bus == bus.name:
            units[lane.unit] = _lane_unit(world.lanes[lane.id])
    for board in site.relay_board:
        if board.bus == bus.name:
            bank, faults = world.wiring.relays[board.name], world.faults.on(f"board:{board.name}")
            units[board.unit] = RelayUnit(board.name, bank, profiles.relay(board.profile), faults)
    for analog in site.analog_board:
        if analog.bus == bus.name:
            faults = world.faults.on(f"board:{analog.name}")
            units[analog.unit] = AnalogUnit(analog.name, world.wiring, profiles.analog(analog.profile), faults)
    return units


def _lane_unit(lane: Lane) -> Unit:
    if lane.profile.registers is not None:
        return LanePlc(lane, lane.profile.registers)
    assert lane.profile.states is not None, "a bollard profile has a register map or state codes"
    return StateCodePlc(lane, lane.profile.states)
