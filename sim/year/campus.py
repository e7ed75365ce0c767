"""What the closed campus lives through in a year: slips, pick-ups, visitors, guards who are late, cards that are lost,
pupils who try their luck, days that are moved, and a new policy in the middle of a lesson.

The world judges besides the rules: a turnstile that opens for a pupil who may not leave has truly let somebody out.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from agent.core.events import Command, PolicyChanged
from agent.core.shapes import make_handle
from agent.core.words import ClockTrust, Rank
from sim.year.bridge import Bridge
from sim.year.policy import CLASS, PICKUP

if TYPE_CHECKING:
    from sim.year.school import Person, School

MINUTE_S = 60.0
OUT, IN = "turnstile-out", "turnstile-in"
PAIR_S = 60.0
SPARE, SECOND_SPARE = "uart-125k:0800000001", "uart-125k:0800000002"


class SlippedOut(Exception):
    """The world saw a pupil leave through the turnstile who may not."""


class Campus:
    """Plans a day's stories onto the bridge. `happened` counts them."""

    def __init__(self, bridge: Bridge, school: School, seed: int) -> None:
        self._bridge = bridge
        self._school = school
        self._rng = random.Random(seed ^ 0xCA3905)
        self._handles = random.Random(seed ^ 0x4A9D1E)
        self._ids = 0
        self._version = 1
        self.happened: Counter[str] = Counter()
        self._book = ((self._delivery, 0.4), (self._keeps_the_card, 0.05), (self._colleague, 0.3), (self._ledger, 0.1))

    def plan(self, start: float) -> None:
        """The stories of one school day; `start` is its midnight."""
        rng = self._rng
        for _ in range(rng.randrange(0, 4)):
            self._at(start, rng.randint(CLASS[0] + 10, CLASS[1] - 60), self._tries_luck)
        for _ in range(rng.randrange(0, 3)):
            self._at(start, rng.randint(CLASS[0] + 20, CLASS[1] - 90), self._leaves_by_slip)
        for _ in range(rng.randrange(1, 6)):
            self._at(start, rng.randint(PICKUP[0], PICKUP[1] - 10), self._is_picked_up)
        for _ in range(rng.randrange(0, 3)):
            self._at(start, rng.randint(510, 900), self._visitor)
        if rng.random() < 0.03:
            self._at(start, rng.randint(600, 800), self._moves_the_day)
        if rng.random() < 0.02:
            self._at(start, rng.randint(480, 700), self._snow)
        if rng.random() < 0.05:
            self._at(start, rng.randint(500, 900), self._loses_a_card)
        if rng.random() < 0.04:
            self._at(start, rng.randint(500, 900), self._new_policy)
        if rng.random() < 0.3:
            self._at(start, rng.randint(600, 900), self._wicket_against_the_rules)
        for story, odds in self._book:
            if rng.random() < odds:
                self._at(start, rng.randint(510, 900), story)

    def guards(self, start: float) -> None:
        """Three watches a day, the relief sometimes late or away; few signs of life on lazy days."""
        lazy = self._rng.random() < 0.05
        for watch, guard in enumerate(self._school.guards[:3]):
            late = 0.0 if self._rng.random() < 0.93 else self._rng.uniform(12, 200)
            for hours in (0.0,) if lazy else (0.0, 4.0):
                when = start + (watch * 480 + late + hours * 60) * MINUTE_S + self._rng.uniform(30, 200)
                self._bridge.at(when, lambda guard=guard: self._swipe("guard", guard.card))  # type: ignore[misc]
        if self._rng.random() < 0.9 and not lazy:
            kerb = self._school.guards[3]
            self._bridge.at(start + 421 * MINUTE_S, lambda: self._swipe("guard", kerb.card))

    # ── stories ────────────────────────────────────────────────────────────────────────────────────────────────

    def _tries_luck(self) -> None:
        """In class hours, without a slip: the turnstile must not open. Judged in the world, if nothing else opened
        it."""
        pupil = self._pupil()
        if not self._well():
            return
        self.happened["tried to leave"] += 1
        before = self._bridge.world.doors["turnstile"].locked
        self._swipe(OUT, pupil.card)
        self._bridge.after(0.2, lambda: self._still_locked(before, pupil.holder))

    def _still_locked(self, before: bool, holder: str) -> None:
        if before and self._well() and self._in_class() and not self._bridge.world.doors["turnstile"].locked:
            raise SlippedOut(f"{holder} left through the turnstile in class hours")

    def _wicket_against_the_rules(self) -> None:
        """The evacuation way opens for everybody; the guard is told."""
        self.happened["left against the rules"] += 1
        self._swipe("wicket-out", self._pupil().card)

    def _leaves_by_slip(self) -> None:
        pupil = self._pupil()
        self.happened["leave slip"] += 1
        now_ms = self._bridge.now().wall_ms
        with_guardian = pupil.holder in self._school.guardian_of and self._rng.random() < 0.5
        self._ask(
            "slip_add", slip=make_handle("s", self._handles.getrandbits), pupil=pupil.holder, issuer="staff-0001",
            from_ms=str(now_ms - 60_000),
            to_ms=str(now_ms + 3_600_000), guardian="1" if with_guardian else "0",
        )  # fmt: skip
        if with_guardian:
            guardian = self._school.guardian_of[pupil.holder]
            self._bridge.after(self._rng.uniform(5, 70), lambda: self._swipe(OUT, guardian.card))
        for seconds in (10.0, 200.0):  # the second time it is used up
            self._bridge.after(seconds, lambda: self._swipe(OUT, pupil.card))

    def _is_picked_up(self) -> None:
        if not self._school.guardian_of:
            return
        self.happened["picked up"] += 1
        holder, guardian = self._rng.choice(self._school.fetched)
        pupil = self._school.by_holder[holder]
        first, second = (pupil, guardian) if self._rng.random() < 0.5 else (guardian, pupil)
        reader = self._rng.choice((OUT, "wicket-out"))
        self._swipe(reader, first.card)
        self._bridge.after(self._rng.uniform(2, PAIR_S + 10), lambda: self._swipe(reader, second.card))

    def _visitor(self) -> None:
        """Registered, agreed to (nearly always), in with the lent card, out again or forgotten for a while."""
        self.happened["visitor"] += 1
        visit = make_handle("v", self._handles.getrandbits)
        self._ask(
            "visit_register", visit=visit, kind="visitor", host="staff-0001", purpose="meeting", minutes="60",
            card=SPARE, door="wicket",
        )  # fmt: skip
        if self._rng.random() < 0.9:
            self._ask("visit_consent", visit=visit, by="phone")
        self._bridge.after(30.0, lambda: self._swipe("wicket-in", SPARE))
        stays = self._rng.uniform(600, 5000)
        self._bridge.after(stays, lambda: self._swipe("wicket-out", SPARE))
        self._bridge.after(stays + 60, lambda: self._ask("visit_out", visit=visit, card_back="yes"))
        self._bridge.after(
            stays + 90, lambda: self._swipe("wicket-in", SPARE)
        )  # the card is back: nobody gets in by it

    def _delivery(self) -> None:
        """A van with a number slip: shown to the guard at the lane, who lowers it or not; no paper moves a bollard."""
        self.happened["delivery"] += 1
        visit = self._registered("delivery", 30, lane="main")
        self._ask("visit_in", visit=visit, lane="main")
        self._bridge.after(self._rng.uniform(300, 2400), lambda: self._ask("visit_out", visit=visit))

    def _keeps_the_card(self) -> None:
        """A visitor goes home with the lent card. It is banned, tried, found again, and lent once more."""
        self.happened["lent card kept"] += 1
        visit = self._registered("visitor", 60, card=SECOND_SPARE, door="wicket")
        self._bridge.after(60.0, lambda: self._swipe("wicket-in", SECOND_SPARE))
        self._bridge.after(900.0, lambda: self._ask("visit_out", visit=visit, card_back="no"))
        self._bridge.after(960.0, lambda: self._swipe("wicket-in", SECOND_SPARE))
        self._bridge.after(86_400.0, lambda: self._ask("card_unban", card=SECOND_SPARE))

    def _registered(self, kind: str, minutes: int, **way: str) -> str:
        """A visit that its host has agreed to."""
        visit = make_handle("v", self._handles.getrandbits)
        self._ask(
            "visit_register", visit=visit, kind=kind, host="staff-0001", purpose="delivery", minutes=str(minutes), **way
        )  # fmt: skip
        self._ask("visit_consent", visit=visit, by="phone")
        return visit

    def _colleague(self) -> None:
        """A guard who is not on duty shows his card; sometimes he means to take over, and says so."""
        self.happened["colleague at the gatehouse"] += 1
        self._swipe("guard", self._school.guards[3].card)
        if self._rng.random() < 0.3:
            self._bridge.after(3.0, lambda: self._ask("duty_check_in", post="house"))

    def _ledger(self) -> None:
        """A hazard is found; it is seen to in time, late, or much later."""
        self.happened["hazard"] += 1
        hazard = make_handle("h", self._handles.getrandbits)
        self._ask("hazard_open", hazard=hazard, what="fence", owner="staff-0001", due="3")
        self._ask("hand_over", post="house", note=make_handle("n", self._handles.getrandbits))
        closed = self._rng.uniform(0.5, 8) * 86_400
        self._bridge.after(closed, lambda: self._ask("hazard_close", hazard=hazard))

    def _moves_the_day(self) -> None:
        self.happened["day moved"] += 1
        self._ask("shift_day", minutes=str(self._rng.choice((-20, 15, 30, 60))), reason="event")

    def _snow(self) -> None:
        self.happened["snow day"] += 1
        self._ask("swap_day", plan="snow", reason="weather")

    def _loses_a_card(self) -> None:
        self.happened["card lost"] += 1
        pupil = self._pupil()
        self._ask("card_ban", card=pupil.card, reason="lost")
        self._bridge.after(60.0, lambda: self._swipe("wicket-in", pupil.card))
        self._bridge.after(86_400.0, lambda: self._ask("card_unban", card=pupil.card))

    def _new_policy(self) -> None:
        self.happened["new policy"] += 1
        self._version += 1
        self._bridge.policy = self._school.policy(self._version)
        self._bridge.feed(PolicyChanged(self._bridge.policy, f"d{self._version}", "office", "mqtt"))

    # ── pieces ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _at(self, start: float, minute: int, act: object) -> None:
        assert callable(act)
        self._bridge.at(start + minute * MINUTE_S + self._rng.uniform(0, 59), act)

    def _pupil(self) -> Person:
        return self._rng.choice(self._school.pupils)

    def _swipe(self, reader: str, card: str) -> None:
        self._bridge.world.swipe(reader, card)

    def _ask(self, verb: str, **args: str) -> None:
        self._ids += 1
        self._bridge.feed(Command(f"y-{self._ids}", Rank.CONSOLE, "desk", verb, args))

    def _well(self) -> bool:
        """Whether the box is there, its clock is right, and the turnstile and its reader answer."""
        bridge = self._bridge
        broken = {"gpio", "relays", "bus:cabinet", f"reader:{OUT}"} & bridge.silent
        return bridge.powered and bridge.trust is ClockTrust.TRUSTED and not bridge.clock_off_ms and not broken

    def _in_class(self) -> bool:
        """By the school's own knowledge: a day that nobody moved or swapped, in lessons."""
        campus = self._bridge.state.campus
        return not campus.changed_day and any(name.startswith("class") for name in campus.windows)
