"""One school's days: who comes when, drawn from a seed. People act on the world only; the box reacts or does not.

A school day: pupils and staff in by card at the wicket, out in the afternoon; guards at their presence reader; the main
lane is lowered for permitted vehicles and raised again by a guard's hand. Weekends and the published holidays are
quiet. Instants are virtual seconds from midnight of day 0 in the site's time zone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from agent.core.policy import Credential, Pickup, Policy
from sim.door import Side
from sim.year.bridge import Bridge
from sim.year.campus import Campus
from sim.year.policy import DISMISSAL, GRADES, policy

DAY_S = 86_400.0
HOUR_S = 3_600.0
FORMAT = "uart-125k"
LANE = "main"
BUS = "uart-125k:0700000001"
DOOR = "wicket"
STEP_IN_S = 1.2  # from the beep to the hand on the door
PASS_S = 2.5
WATCH_S = 4.5  # a guard looks at a lane this long before touching its key: longer than a sensor's clear time
HOLD_S = 9.0  # warning and rise
DRIVE_S = 8.0

# State Council notice for 2026 (general office, 2025-11): days without school. Make-up workdays are school days.
HOLIDAYS_2026: tuple[tuple[date, date], ...] = (
    (date(2026, 1, 1), date(2026, 1, 3)),
    (date(2026, 2, 15), date(2026, 2, 23)),
    (date(2026, 4, 4), date(2026, 4, 6)),
    (date(2026, 5, 1), date(2026, 5, 5)),
    (date(2026, 6, 19), date(2026, 6, 21)),
    (date(2026, 9, 25), date(2026, 9, 27)),
    (date(2026, 10, 1), date(2026, 10, 7)),
)
BREAKS: tuple[tuple[date, date], ...] = (
    (date(2026, 1, 24), date(2026, 2, 28)),  # winter
    (date(2026, 7, 4), date(2026, 8, 31)),  # summer
)

Kind = Literal["pupil", "staff", "guard", "contractor", "guardian", "bus"]
GUARDED = 5  # every fifth pupil of the two youngest grades has a guardian who fetches


@dataclass(frozen=True)
class Person:
    holder: str
    group: Kind
    card: str
    grade: str = ""


class School:
    """`people` have cards that the `policy` lets in. One instance plays one year."""

    def __init__(
        self, bridge: Bridge, seed: int, first_day: date, pupils: int, days: int, staff: int = 60, guards: int = 4
    ) -> None:
        self._bridge = bridge
        self._rng = random.Random(seed)
        self._first_day = first_day
        self._days = days
        self.pupils = [_person("pupil", number, 0x02, GRADES[number % 6]) for number in range(pupils)]
        self.staff = [_person("staff", number, 0x03) for number in range(staff)]
        self.guards = [_person("guard", number, 0x01) for number in range(guards)]
        young = [pupil for pupil in self.pupils if pupil.grade in ("1", "2")]
        self.guardian_of = {
            pupil.holder: _person("guardian", number, 0x05) for number, pupil in enumerate(young[::GUARDED] or young)
        }
        self.fetched = list(self.guardian_of.items())
        self.by_holder = {pupil.holder: pupil for pupil in self.pupils}
        self.others = [_person("contractor", number, 0x04) for number in range(8)] + [Person("bus-1", "bus", BUS)]
        self.campus = Campus(bridge, self, seed)
        self.passages = 0
        self.refused = 0
        self.vehicles = 0

    def policy(self, version: int) -> Policy:
        """What the box is told about these people and days."""
        everybody = (*self.pupils, *self.staff, *self.guards, *self.guardian_of.values(), *self.others)
        cards = (
            Credential(card=one.card, holder=one.holder, group=one.group, grade=one.grade, line=line)
            for line, one in enumerate(everybody, 2)
        )
        pickups = [Pickup(guardian=guardian.holder, pupils=(holder,)) for holder, guardian in self.fetched]
        return policy(version, cards, pickups, HOLIDAYS_2026, BREAKS, self._first_day, self._days)

    def in_session(self, day: int) -> bool:
        today = self._first_day + timedelta(days=day)
        if any(first <= today <= last for first, last in (*HOLIDAYS_2026, *BREAKS)):
            return False
        return today.weekday() < 5

    # ── a day ──────────────────────────────────────────────────────────────────────────────────────────────────

    def plan(self, day: int) -> None:
        """Plan everything people mean to do that day."""
        start = day * DAY_S
        self.campus.guards(start)
        if not self.in_session(day):
            return
        self._crowd(start, self.staff, 6.8, 7.5, "wicket-in")
        self._crowd(start, self.pupils, 7.05, 7.95, "wicket-in")
        for minute in sorted(set(DISMISSAL.values())):
            leaving = [pupil for pupil in self.pupils if DISMISSAL[pupil.grade] == minute]
            self._crowd(start, leaving, minute / 60 + 0.05, minute / 60 + 0.6, "turnstile-out")
        self._crowd(start, self.staff, 17.2, 18.5, "wicket-out")
        self.campus.plan(start)
        self._strangers(start)
        self._bridge.at(start + self._rng.uniform(6.75, 7.75) * HOUR_S, lambda: self._bridge.world.swipe("guard", BUS))
        for from_hour, to_hour in ((6.5, 7.0), (9.5, 10.0), (13.0, 13.5), (18.6, 19.2)):
            self._vehicles(start + self._rng.uniform(from_hour, to_hour) * HOUR_S)

    def _crowd(self, start: float, people: list[Person], from_hour: float, to_hour: float, reader: str) -> None:
        """Nearly everybody, spread over the window with its middle fullest."""
        for person in people:
            if self._rng.random() < 0.04:
                continue
            hour = self._rng.triangular(from_hour, to_hour)
            self._bridge.at(start + hour * HOUR_S, lambda person=person: self._pass(person.card, reader))  # type: ignore[misc]

    def _pass(self, card: str, reader: str) -> None:
        """Hold the card to the reader, then try the door."""
        self._bridge.world.swipe(reader, card)
        if reader == "turnstile-out":  # has no contact to tell of: its arm turns or does not
            self._bridge.after(STEP_IN_S, self._try_turnstile)
            return
        side: Side = "outside" if reader == "wicket-in" else "inside"
        self._bridge.after(STEP_IN_S, lambda: self._try_door(side))

    def _try_turnstile(self) -> None:
        locked = self._bridge.world.doors["turnstile"].locked
        self.refused += locked
        self.passages += not locked

    def _try_door(self, side: Side) -> None:
        door = self._bridge.world.doors[DOOR]
        if door.contact_closed:
            answer = self._bridge.world.door(DOOR, True, side, PASS_S)
            self.refused += answer == "locked"
            self.passages += answer != "locked"
        else:
            self.passages += 1  # behind somebody else

    def _strangers(self, start: float) -> None:
        """A few wrong cards a day, now and then many at once."""
        tries = self._rng.randrange(0, 4) + (7 if self._rng.random() < 0.08 else 0)
        begin = start + self._rng.uniform(8.5, 16.0) * HOUR_S
        for number in range(tries):
            card = f"{FORMAT}:{0xEE00000000 + self._rng.randrange(1 << 20):010X}"
            self._bridge.at(begin + number * 11.0, lambda card=card: self._pass(card, "wicket-in"))  # type: ignore[misc]

    # ── vehicles ───────────────────────────────────────────────────────────────────────────────────────────────

    def _vehicles(self, when_s: float) -> None:
        """Lower, let one to four in, look, raise by hand. Sometimes somebody stands on the loop at the wrong moment."""
        vehicles = self._rng.randrange(1, 5)
        self._bridge.at(when_s, lambda: self._hold("lower", HOLD_S))
        at_s = when_s + HOLD_S + 2.0
        for _ in range(vehicles):
            self._bridge.at(at_s, self._drive_through)
            at_s += DRIVE_S + 6.0
        if self._rng.random() < 0.1:
            self._bridge.at(at_s + WATCH_S + 4.0 + self._rng.uniform(0, 4), self._step_onto_loop)
        self._bridge.at(at_s, lambda: self.raise_lane())

    def _drive_through(self) -> None:
        world, after = self._bridge.world, self._bridge.after
        self.vehicles += 1
        for seconds, place in enumerate(("approach", "on_loop", "between", "away")):
            after(seconds * DRIVE_S / 4, lambda place=place: world.vehicle(LANE, place))  # type: ignore[misc]

    def _step_onto_loop(self) -> None:
        world = self._bridge.world
        world.person(LANE, "between")
        self._bridge.after(3.0, lambda: world.person(LANE, "away"))

    def raise_lane(self) -> None:
        """A guard watches the lane, then holds the raise button; once more if it was refused."""
        self._bridge.read(LANE, WATCH_S + HOLD_S)
        self._bridge.after(WATCH_S, lambda: self._hold("raise", HOLD_S))

    def _hold(self, way: str, for_s: float) -> None:
        world = self._bridge.world
        world.key(f"lane:{LANE}:{way}", True)
        self._bridge.after(for_s, lambda: world.key(f"lane:{LANE}:{way}", False))


def _person(group: Kind, number: int, prefix: int, grade: str = "") -> Person:
    return Person(f"{group}-{number:04d}", group, f"{FORMAT}:{prefix:02X}{number:08X}", grade)
