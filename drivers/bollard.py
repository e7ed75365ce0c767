"""A lane's PLC. (Signatures first; the body follows.)"""

from __future__ import annotations

from drivers.modbus_bus import ModbusBus
from drivers.ports import HoldText, LaneState, LightText, MotionText
from hardware import profiles, site


class LanePlc:
    """`ports.LanePort` over Modbus. Reports only sensors whose terminal is ``plc``; GPIO sensors are merged above."""

    def __init__(self, lane: site.Lane, bus: ModbusBus, profile: profiles.BollardProfile | None = None) -> None: ...

    async def read(self) -> LaneState:
        raise NotImplementedError

    async def request(self, bollard: str, motion: MotionText, token: int, issued_at: float, max_age_s: float) -> float:
        raise NotImplementedError

    async def hold(self, bollard: str, hold: HoldText) -> None: ...

    async def show(self, light: LightText, warning: bool) -> None: ...

    async def beat(self) -> None: ...
