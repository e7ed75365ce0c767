"""A Modbus relay board. (Signatures first; the body follows.)"""

from __future__ import annotations

from drivers.modbus_bus import ModbusBus
from hardware import profiles, site


class RelayBoard:
    """`ports.RelayPort` over Modbus coils."""

    def __init__(
        self, board: site.RelayBoard, bus: ModbusBus, profile: profiles.RelayProfile | None = None
    ) -> None: ...

    async def write(self, channel: int, on: bool, *, urgent: bool = False) -> None:
        """`urgent`: on the emergency lane (release of egress, siren)."""

    async def read(self) -> tuple[bool, ...]:
        raise NotImplementedError
