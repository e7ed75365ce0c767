"""A Modbus relay board: single coils only. All-at-once and toggle addresses are never written."""

from __future__ import annotations

from drivers.errors import Misuse
from drivers.modbus_bus import Lane, ModbusBus
from hardware import profiles, site


class RelayBoard:
    """`ports.RelayPort` over Modbus coils. Every write is confirmed by its own echo; `read` asks the board."""

    def __init__(self, board: site.RelayBoard, bus: ModbusBus, profile: profiles.RelayProfile | None = None) -> None:
        self.name = board.name
        self._unit = board.unit
        self._bus = bus
        self._profile = profile or profiles.relay(board.profile)

    async def write(self, channel: int, on: bool) -> None:
        """FC05, ahead of everything else waiting for the bus: it may be the release of egress, or the siren."""
        await self._bus.write_coil(self._unit, self._address(channel), on, lane=Lane.EMERGENCY)

    async def read(self) -> tuple[bool, ...]:
        """FC01, all channels in one go."""
        coils = await self._bus.read_coils(self._unit, self._profile.first_coil, self._profile.channels)
        return coils.values

    def _address(self, channel: int) -> int:
        if not 0 <= channel < self._profile.channels:
            raise Misuse(f"relay board {self.name} has channels 0 to {self._profile.channels - 1}, not {channel}")
        address = self._profile.first_coil + channel
        if address in self._profile.forbidden:
            raise Misuse(f"relay board {self.name}: coil {address} switches all channels at once and is never written")
        return address
