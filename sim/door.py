"""One door: its leaf, its contact and its lock. Whoever stands at it can only do what the lock lets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from hardware.site import Door as DoorSite
from sim.agenda import Agenda, Due
from sim.faults import Fault
from sim.signs import Emit

Side = Literal["inside", "outside"]
SIDES: tuple[Side, ...] = ("inside", "outside")


class Door:
    """`wire(closed)` is told what the door contact does."""

    def __init__(
        self, site: DoorSite, agenda: Agenda, faults: Mapping[str, Fault], wire: Callable[[bool], None], emit: Emit
    ) -> None:
        self.site = site
        self.open = False
        self.energised = False
        self.supply_cut = False  # by the fire relay
        self._agenda = agenda
        self._faults = faults
        self._wire = wire
        self._emit = emit
        self._closing: Due | None = None
        self._was_locked = self.locked
        wire(True)

    @property
    def locked(self) -> bool:
        """Whether the lock holds, whatever was commanded. The fire relay cuts the supply of a fail-safe lock."""
        stuck = self._faults.get("lock_stuck")
        if stuck is not None:
            return stuck.word("state") == "locked"
        if self.site.lock_kind == "fail_safe":
            return self.energised and not self.supply_cut
        return not self.energised

    @property
    def contact_closed(self) -> bool:
        """The contact as it reads."""
        stuck = self._faults.get("contact_stuck")
        return stuck.word("reads") == "closed" if stuck is not None else not self.open

    def held_against(self, side: Side) -> str:
        """Why someone on this side cannot open, or ""."""
        if self.open or not self.locked or (side == "inside" and self.site.evacuation_way):
            return ""
        return "locked"

    def move(self, open: bool, side: Side | None = None, for_s: float = 0.0) -> str:
        """Open or close the leaf. With a side, a person tries, and "locked" comes back if the lock holds.

        Without a side it is opened whatever it takes. `for_s` > 0: it falls shut after that time.
        """
        why = self.held_against(side) if open and side else ""
        if why:
            return why
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if open and not side and self.held_against("inside"):
            self._emit("forced", self.site.id, True)
        self._set(open)
        if open and for_s > 0:
            self._closing = self._agenda.at(self._agenda.now_s + for_s, lambda: self._set(False))
        return ""

    def energise(self, on: bool) -> None:
        self.energised = on
        self.settle()

    def cut_supply(self, cut: bool) -> None:
        self.supply_cut = cut
        self.settle()

    def settle(self) -> None:
        """Tell what changed of the lock and the contact; also after a fault came or went."""
        locked = self.locked
        if locked != self._was_locked:
            self._was_locked = locked
            self._emit("lock", self.site.id, locked)
        self._wire(self.contact_closed)

    def _set(self, open: bool) -> None:
        if open != self.open:
            self.open = open
            self._emit("door", self.site.id, open)
            self._wire(self.contact_closed)
