"""What a lane's controller tells, true or not, and the words it is asked in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from sim.ground import SensorName, SensorSays

Mode = Literal["remote", "local", "hand"]
Motion = Literal["raise", "lower", "efo"]
Hold = Literal["none", "stop", "lower"]
Emit = Callable[[str, str, "str | bool | int"], None]
"""(kind, name, value): something changed; see `sim.world.Change`."""


class BollardSigns(msgspec.Struct, frozen=True):
    """One bollard as its controller reports it."""

    up: bool
    down: bool
    moving: bool
    efo: bool
    fault: int
    token: int
    cycles: int


class LaneSigns(msgspec.Struct, frozen=True):
    """The lane as its controller reports it, true or not. `mode` is "unknown" while it boots."""

    mode: Literal["remote", "local", "hand", "unknown"]
    estop: bool
    fire_key: bool
    echo: int
    red: bool
    green: bool
    warning: bool
    sensors: Mapping[SensorName, SensorSays]
    bollards: Mapping[str, BollardSigns]
