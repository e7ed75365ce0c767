"""What each device's link has gone through since this start: losses, errors, and when it last said anything."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent.picture.devices import DeviceFigures
from hardware.site import Site


class UnitCounts(msgspec.Struct, frozen=True):
    """One Modbus unit's: errors of any kind, and the last good answer (monotonic s)."""

    errors: int
    answered_at: float | None


class Tally:
    """Counts by device. Losses and cards are told here; a bus knows its own units."""

    def __init__(self, site: Site) -> None:
        self._units = {f"lane:{lane.id}": (lane.bus, lane.unit) for lane in site.lane}
        self._units |= {board.name: (board.bus, board.unit) for board in site.relay_board}
        self._units |= {board.name: (board.bus, board.unit) for board in site.analog_board}
        self._lost: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._heard: dict[str, float] = {}

    def lost(self, device: str) -> None:
        """A keeper gave the device up."""
        self._lost[device] = self._lost.get(device, 0) + 1

    def heard(self, device: str, at: float) -> None:
        """The device said something good."""
        self._heard[device] = at

    def garbled(self, device: str) -> None:
        """The device said something that cannot be right."""
        self._errors[device] = self._errors.get(device, 0) + 1

    @property
    def units(self) -> Mapping[str, tuple[str, int]]:
        """Device → (bus, unit)."""
        return self._units

    def figures(self, units: Mapping[str, UnitCounts]) -> dict[str, DeviceFigures]:
        """By device; `units` tells of those on a bus."""
        found = {}
        for device in {*self._lost, *self._errors, *self._heard, *units}:
            unit = units.get(device, UnitCounts(0, None))
            found[device] = DeviceFigures(
                errors=self._errors.get(device, 0) + unit.errors,
                losses=self._lost.get(device, 0),
                heard_at=self._heard.get(device, unit.answered_at),
            )
        return found
