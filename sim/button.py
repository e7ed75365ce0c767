"""A panic button on its line: an NO + NC pair, or an end-of-line loop, with all that wears and tears there."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

from sim.agenda import Agenda, Due
from sim.faults import Fault
from sim.signs import Emit

LineState = Literal["normal", "pressed", "cut", "shorted"]
LINE_STATES: tuple[Literal["normal", "cut", "shorted"], ...] = ("normal", "cut", "shorted")
GLITCH_S = 0.002  # D: how long a loose contact lets go

Wire = Callable[["Button"], None]


class Button:
    """`finger` is whether someone presses; `shown` is what the contacts do about it."""

    def __init__(
        self, id: str, agenda: Agenda, faults: Mapping[str, Fault], rng: random.Random, wire: Wire, emit: Emit
    ) -> None:
        self.id = id
        self.finger = False
        self.shown = False
        self._agenda = agenda
        self._faults = faults
        self._rng = rng
        self._wire = wire
        self._emit = emit
        self._pending: list[Due] = []
        self._let_go: Due | None = None
        self._said: LineState = "normal"
        wire(self)

    @property
    def contacts(self) -> tuple[bool, bool]:
        """(NO closed, NC closed) as they look from the box."""
        no, nc = self.shown, not self.shown
        for kind, closed in (("cut", False), ("shorted", True)):
            fault = self._faults.get(kind)
            if fault is not None:
                wire = fault.word("wire")
                no = closed if wire in ("pair", "no") else no
                nc = closed if wire in ("pair", "nc") else nc
        return no, nc

    @property
    def line(self) -> LineState:
        """What a pair or a loop tells: both open is a cut line, both closed a short."""
        match self.contacts:
            case (False, True):
                return "normal"
            case (True, False):
                return "pressed"
            case (False, False):
                return "cut"
            case _:
                return "shorted"

    def press(self, hold_s: float | None = None) -> None:
        """A finger comes down; with `hold_s` it lets go after that time."""
        self._finger(True)
        if hold_s is not None:
            self._let_go = self._agenda.at(self._agenda.now_s + hold_s, self.release)

    def release(self) -> None:
        self._finger(False)

    def settle(self) -> None:
        """Contacts as they are now; also after a fault came or went."""
        self._drop()
        stuck = self._faults.get("stuck")
        self._show(stuck.word("state") == "pressed" if stuck is not None else self.finger)
        chatter = self._faults.get("chatter")
        if chatter is not None and chatter.number("every_s") > 0:
            self._later(self._agenda.now_s + chatter.number("every_s"), self._glitch)

    def _finger(self, down: bool) -> None:
        if self._let_go is not None:
            self._let_go.cancel()
            self._let_go = None
        self._drop()
        changed, self.finger = self.finger != down, down
        chatter = self._faults.get("chatter")
        if chatter is not None and changed and "stuck" not in self._faults:
            self._bounce(down, int(chatter.number("bounces")), chatter.number("over_s"))
        else:
            self.settle()

    def _bounce(self, down: bool, bounces: int, over_s: float) -> None:
        start = self._agenda.now_s
        self._show(down)
        instants = sorted(start + self._rng.random() * over_s for _ in range(2 * bounces))
        for n, at_s in enumerate(instants):
            self._later(at_s, partial(self._show, down if n % 2 else not down))
        self._later(start + over_s, self.settle)

    def _glitch(self) -> None:
        self._drop()
        self._show(not self.finger)
        self._later(self._agenda.now_s + GLITCH_S, self.settle)

    def _later(self, at_s: float, action: Callable[[], None]) -> None:
        self._pending.append(self._agenda.at(at_s, action))

    def _drop(self) -> None:
        for due in self._pending:
            due.cancel()
        self._pending.clear()

    def _show(self, pressed: bool) -> None:
        self.shown = pressed
        self._wire(self)
        line = self.line
        if line != self._said:
            self._said = line
            self._emit("line", self.id, line)
