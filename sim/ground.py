"""The ground of one lane: where a vehicle and a person are, and what the sensors make of it.

Seen along the way in: approach, loop 1, the bollards with the beam across them, loop 2, away. A car over the bollards
covers both loops and the beam; a person is no metal, so only the beam and the weight on a bollard's head see one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from sim.faults import Fault

Place = Literal["approach", "on_loop", "between", "leaving", "away"]
SensorName = Literal["loop1", "loop2", "beam", "pressure"]
SensorSays = Literal["clear", "occupied", "faulty"]

PLACES: tuple[Place, ...] = get_args(Place)

_VEHICLE: Mapping[Place, frozenset[SensorName]] = {
    "on_loop": frozenset({"loop1"}),
    "between": frozenset({"loop1", "loop2", "beam"}),
    "leaving": frozenset({"loop2"}),
}
_PERSON: Mapping[Place, frozenset[SensorName]] = {"between": frozenset({"beam", "pressure"})}
_NOTHING: frozenset[SensorName] = frozenset()


class Ground:
    """One vehicle and one person at most, and the fitted sensors; `on_change(name)` when one says otherwise."""

    def __init__(
        self, fitted: tuple[SensorName, ...], faults: Mapping[SensorName, Mapping[str, Fault]],
        on_change: Callable[[SensorName], None],
    ) -> None:  # fmt: skip
        self.vehicle: Place = "away"
        self.person: Place = "away"
        self.says: dict[SensorName, SensorSays] = dict.fromkeys(fitted, "clear")
        self._faults = faults
        self._on_change = on_change

    @property
    def in_harms_way(self) -> bool:
        """Whether someone or something is where the bollards come up."""
        return self.vehicle == "between" or self.person == "between"

    def place_vehicle(self, at: Place) -> None:
        self.vehicle = at
        self.settle()

    def place_person(self, at: Place) -> None:
        self.person = at
        self.settle()

    def settle(self) -> None:
        """Let every sensor look again; call it when a fault came or went."""
        truly = _VEHICLE.get(self.vehicle, _NOTHING) | _PERSON.get(self.person, _NOTHING)
        for name, before in tuple(self.says.items()):
            says = self._look(name, name in truly)
            if says != before:
                self.says[name] = says
                self._on_change(name)

    def _look(self, name: SensorName, occupied: bool) -> SensorSays:
        faults = self._faults[name]
        if faults:
            if "faulty" in faults:
                return "faulty"
            if "stuck_occupied" in faults:
                return "occupied"
            if "stuck_clear" in faults:
                return "clear"
        return "occupied" if occupied else "clear"
