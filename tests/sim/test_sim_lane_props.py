"""Whatever is asked of a lane in whatever order, some things never happen. Hypothesis prints what it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sim_gates import demo_text, gate_of, site_from

from sim.ground import PLACES, Place

BOLLARDS = st.sampled_from(["main-1", "main-2"])
STEPS = st.floats(min_value=0.001, max_value=5.0)


class AnyLane(RuleBasedStateMachine):
    """The main lane of the demo, with requests, holds, people, modes and restarts in any order, but no faults."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = gate_of(site_from(demo_text(), Path("/nowhere")))
        self.world = self.gate.world
        self.lane = self.world.lanes["main"]
        self.beat = 0
        self.cycles = 0

    def speeds(self) -> dict[str, float]:
        return {id: post.bollard.speed for id, post in self.lane.posts.items()}

    @rule(by_s=STEPS)
    def time_passes(self, by_s: float) -> None:
        self.world.advance(self.world.now_s + by_s)

    @rule()
    def beats(self) -> None:
        before = self.speeds()
        self.beat = (self.beat + 1) % 65_536
        self.lane.heartbeat(self.beat)
        assert self.speeds() == before, "a heartbeat moves nothing"

    @rule(bollard=BOLLARDS, motion=st.sampled_from(["raise", "lower", "efo"]), token=st.integers(0, 255))
    def requests(self, bollard: str, motion: Any, token: int) -> None:
        post, before, obeys = self.lane.posts[bollard], self.speeds(), self.lane.obeys
        seen, held, why_not = post.token == token, post.hold != "none", self.lane.inhibited()
        self.lane.request(bollard, motion, token)
        after = self.speeds()
        others = {id for id in after if id != bollard}
        assert all(after[id] == before[id] for id in others), "only the asked bollard moves"
        if seen or held or not obeys or token == 0:
            assert after == before, "seen, held, not in remote or token 0: nothing moves"
        if motion != "lower" and why_not:
            assert after == before, f"raised although {why_not}"
        assert post.token == token

    @rule(bollard=BOLLARDS, hold=st.sampled_from(["none", "stop", "lower"]))
    def holds(self, bollard: str, hold: Any) -> None:
        before = self.speeds()[bollard]
        self.lane.hold(bollard, hold)
        after = self.speeds()[bollard]
        assert after <= max(before, 0.0), "no hold starts a rise"
        if hold == "stop":
            assert after == 0.0

    @rule(at=st.sampled_from(PLACES))
    def vehicle(self, at: Place) -> None:
        self.world.vehicle("main", at)

    @rule(at=st.sampled_from(PLACES))
    def person(self, at: Place) -> None:
        self.world.person("main", at)

    @rule(mode=st.sampled_from(["remote", "local", "hand", "estop"]))
    def selector(self, mode: Any) -> None:
        before = self.speeds()
        self.world.mode("main", mode)
        assert all(after in (0.0, before[id]) for id, after in self.speeds().items())

    @rule(on=st.booleans())
    def fire_key(self, on: bool) -> None:
        self.world.key("lane:main:fire", on)

    @rule(boot_s=st.floats(min_value=0.0, max_value=3.0))
    def restart(self, boot_s: float) -> None:
        self.world.fault("lane:main", "reboot", {"boot_s": boot_s})
        assert not any(self.speeds().values())

    @precondition(lambda self: self.lane.obeys)
    @rule(token=st.integers(1, 255))
    def requests_twice(self, token: int) -> None:
        """A frame that arrives twice moves once."""
        self.lane.request("main-1", "raise", token)
        self.lane.hold("main-1", "stop")
        self.lane.hold("main-1", "none")
        self.lane.request("main-1", "raise", token)
        assert self.lane.posts["main-1"].bollard.speed == 0.0

    @invariant()
    def switches_agree_with_the_post(self) -> None:
        for id, sign in self.lane.signs().bollards.items():
            bollard = self.lane.posts[id].bollard
            position, still = bollard.position(), bollard.speed == 0
            assert 0.0 <= position <= 1.0
            assert not (sign.up and sign.down)
            assert sign.up == (position == 1.0 and still)
            assert sign.down == (position == 0.0 and still)

    @invariant()
    def nothing_rises_over_anyone(self) -> None:
        if any(says != "clear" for says in self.lane.ground.says.values()):
            assert all(speed <= 0 for speed in self.speeds().values())
        assert "rose under someone" not in [b.value for b in self.world.breaches]

    @invariant()
    def nothing_moves_at_estop_or_while_booting(self) -> None:
        if self.lane.estop:
            assert not any(self.speeds().values())

    @invariant()
    def cycles_only_grow(self) -> None:
        cycles = sum(sign.cycles for sign in self.lane.signs().bollards.values())
        assert cycles >= self.cycles
        self.cycles = cycles


AnyLane.TestCase.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestAnyLane = AnyLane.TestCase
