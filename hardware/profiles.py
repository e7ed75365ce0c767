"""Device facts as data: the models of the TOML files beside this one, and their loader.

A profile says what a make of device reads and takes, where its manual says so, and what it lacks. Drivers and the
simulator both read these files, and each has its own code for the wire.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every profile table."""


class Source(Facts, frozen=True, kw_only=True):
    """Where a profile's numbers stand: maker, document, page, and how sure we are (V, S, X, D, M)."""

    maker: str
    document: str
    page: str
    grade: Literal["V", "S", "X", "D", "M"]


class LaneBits(Facts, frozen=True, kw_only=True):
    """Bits of the lane's status word (input register `register`), by meaning."""

    register: int
    mode_shift: int  # two bits: 0 unknown, 1 remote, 2 local, 3 hand
    estop: int
    fire_key: int
    warning_on: int
    red_on: int
    green_on: int
    sensors_occupied: dict[str, int]
    sensors_faulty: dict[str, int]


class BollardBits(Facts, frozen=True, kw_only=True):
    """One status word for each bollard (input register `register` + index)."""

    register: int
    up: int
    down: int
    moving: int
    efo: int
    fault_shift: int  # four bits, 0 = no fault
    token_shift: int  # eight bits: the last token accepted


class RegisterMap(Facts, frozen=True, kw_only=True):
    """A PLC of the reference kind: packed status words, one request word for each bollard.

    A request word is ``token << 8 | code``; the PLC acts when the token differs from the last it took, once.
    """

    lane: LaneBits
    heartbeat_echo: int  # input register
    bollard: BollardBits
    cycles: int  # input registers `cycles` + 2 * index, high word first
    heartbeat: int  # holding register
    outputs: int  # holding register: bit 0 red, bit 1 green, bit 2 warning lamp and buzzer
    request: int  # holding registers `request` + index
    request_codes: dict[str, int]  # raise, lower, efo
    hold: int  # holding registers `hold` + index: 0 none, 1 stop, 2 lower


class StateCodes(Facts, frozen=True, kw_only=True):
    """A controller that tells one state code and takes momentary coils (CAME ZLB30B)."""

    state: int  # holding register, 0-based
    error: int
    operations: int  # two registers, high word first
    temperature: int
    up: tuple[int, ...]
    down: tuple[int, ...]
    moving: tuple[int, ...]
    faulty: tuple[int, ...]
    coils: dict[str, int]  # stop, lower, raise: 0-based


class BollardProfile(Facts, frozen=True, kw_only=True):
    """How one make of bollard controller speaks. Exactly one of `registers` and `states` is there."""

    name: str
    title: str
    sources: tuple[Source, ...]
    lacks: tuple[str, ...] = ()  # of the minimum profile: heartbeat, loop1, loop2, beam, pressure, mode, estop, efo …
    max_bollards: int
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    fixed_serial: bool = False  # the controller speaks at this baud and parity only
    registers: RegisterMap | None = None
    states: StateCodes | None = None
    notes: tuple[str, ...] = ()


class RelayProfile(Facts, frozen=True, kw_only=True):
    """A relay board on Modbus coils. Addresses in `forbidden` are never written (all at once, toggle)."""

    name: str
    title: str
    sources: tuple[Source, ...]
    channels: int
    first_coil: int
    forbidden: tuple[int, ...]
    flash_on: int
    flash_off: int


class Window(Facts, frozen=True, kw_only=True):
    """A reading from `low` up to but not including `high` (millivolts) means `line`."""

    line: Literal["normal", "pressed", "cut", "shorted"]
    low: int
    high: int


class AnalogProfile(Facts, frozen=True, kw_only=True):
    """An analogue board reading end-of-line loops in millivolts; a reading in no window is "disagree"."""

    name: str
    title: str
    sources: tuple[Source, ...]
    channels: int
    first_register: int  # input register of channel 0
    windows: tuple[Window, ...]


class ReaderProfile(Facts, frozen=True, kw_only=True):
    """A serial card reader."""

    name: str
    title: str
    sources: tuple[Source, ...]
    format: str  # credential format its numbers carry
    baud: int
    frame: Literal["stx-hex10-xor-etx"]


class BoardProfile(Facts, frozen=True, kw_only=True):
    """A Raspberry Pi: which chip label its header hangs on, which BCM lines and which header pin each is."""

    name: str
    title: str
    sources: tuple[Source, ...]
    chip_label: str
    header: dict[str, int]  # BCM number (as text) → header pin
    uart: dict[str, tuple[int, int]]  # device → (tx BCM, rx BCM)
    power: dict[str, str]  # header pin (as text) → "3V3", "5V" or "GND"
    pulled_up: tuple[int, ...] = (2, 3)  # lines with a fixed pull-up on the board
    id_lines: tuple[int, ...] = (0, 1)  # kept for the identity EEPROM of a HAT, read by the firmware at start
    high_at_start: tuple[int, ...]  # lines that are high before any program runs, until it takes them
    rtc: bool = False
    watchdog_max_s: int = 15
    notes: tuple[str, ...] = ()


class ProfileError(Exception):
    """A profile is missing or broken; the message names the file and what it should be."""


@cache
def _load(kind: str, name: str, model: type[Facts]) -> Facts:
    path = FOLDER / kind / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(names(kind))
        raise ProfileError(f"no profile {name!r} in hardware/{kind}; there are: {known}")
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), model)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(f"{path.name}: {error}") from error


def names(kind: str) -> list[str]:
    """The profiles there are of a kind: "boards", "bollards", "relays", "analog", "readers"."""
    return sorted(path.stem for path in (FOLDER / kind).glob("*.toml"))


def bollard(name: str) -> BollardProfile:
    profile = _load("bollards", name, BollardProfile)
    assert isinstance(profile, BollardProfile)
    return profile


def relay(name: str) -> RelayProfile:
    profile = _load("relays", name, RelayProfile)
    assert isinstance(profile, RelayProfile)
    return profile


def analog(name: str) -> AnalogProfile:
    profile = _load("analog", name, AnalogProfile)
    assert isinstance(profile, AnalogProfile)
    return profile


def reader(name: str) -> ReaderProfile:
    profile = _load("readers", name, ReaderProfile)
    assert isinstance(profile, ReaderProfile)
    return profile


def board(name: str) -> BoardProfile:
    profile = _load("boards", name, BoardProfile)
    assert isinstance(profile, BoardProfile)
    return profile
