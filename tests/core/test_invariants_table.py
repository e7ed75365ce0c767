"""All thirty rules of the gate: each has its judge in the core, or the place that holds it instead."""

from __future__ import annotations

import msgspec
import pytest
from people_scenes import Gate

from agent.core import kinds
from agent.core.events import CardRead, Command, Event, LaneReading, PanicLine
from agent.core.invariants import REGISTRY, Watch
from agent.core.state import BoxState

NAMES = {
    1: "no raise over anything, nor over what is not known to be clear",
    2: "a sensor during a rise turns it round",
    3: "no motion without warning",
    4: "no raise that nobody asked for",
    5: "one token, once",
    6: "commanded is not done",
    7: "green only when proven down",
    8: "an unasked move is an alarm",
    9: "fire inhibits every raise",
    10: "loss moves nothing",
    11: "the uncommissioned is not moved",
    12: "hands off outside remote",
    13: "the timetable asks, a person starts",
    14: "anyone leaves through an evacuation door",
    15: "lockdown, ban and clock act on entry only",
    16: "relock after fire by hand only",
    17: "a press is never masked",
    18: "latched before it is on the wire",
    19: "latched until reset on site",
    20: "'police notified' only after a receipt",
    21: "a bad panic line is an alarm",
    22: "a drill is bounded, named, labelled",
    23: "nothing delays a panic",
    24: "one record for each decision",
    25: "the journal only grows",
    26: "what may be evicted when storage is short",
    27: "interlocks know no wall clock",
    28: "the status page moves nothing and shows no pupil",
    29: "no bad site file, nothing before the first scan",
    30: "no name in the journal",
}

HELD_ELSEWHERE = {
    28: "tests/web: the page's routes take no command, and the picture it is given holds no cardholder",
}
"""Rules that no step of the core can break or keep."""

PARTLY_ELSEWHERE = {
    14: "the lock's wiring: hardware.loader refuses a fail-secure lock on an evacuation way",
    18: "agent.journal and agent.uplink: durable before it is on the wire, or sent from memory and said so",
    25: "agent.journal: the hash chain, its checkpoints, `journal verify`",
    26: "agent.journal: what is evicted; the core gives each kind its weight",
    27: "tests/core/test_core_random.py: the same history at another wall time gives the same outputs",
    29: "hardware.loader: a bad site file is refused whole; the shell writes nothing before `scanned`",
    30: "whoever keeps names: the core is only ever given pseudonyms",
}


def test_every_rule_has_its_judge_or_its_place() -> None:
    judged = {rule.number for rule in REGISTRY}
    assert set(NAMES) == set(range(1, 31))
    assert judged - {0} | set(HELD_ELSEWHERE) == set(NAMES)
    assert not judged & set(HELD_ELSEWHERE)
    assert set(PARTLY_ELSEWHERE) <= judged


def test_every_judge_has_a_name_of_its_own_and_says_what_it_reads() -> None:
    names = [rule.name for rule in REGISTRY]
    assert len(names) == len(set(names))
    for rule in REGISTRY:
        assert rule.reads <= set(BoxState.__struct_fields__)
        assert rule.reads or rule.on or rule.always


@pytest.mark.parametrize("event", [LaneReading, CardRead, PanicLine, Command])
def test_a_judge_of_an_event_runs_at_that_event(event: type[Event]) -> None:
    assert any(event in rule.on for rule in REGISTRY)


def test_a_quiet_step_wakes_few_judges() -> None:
    """A reading that changes nothing but its lane is judged by those who read lanes, not by all."""
    always = [rule.name for rule in REGISTRY if rule.always]
    assert len(always) < len(REGISTRY) / 3
    assert isinstance(Watch(), Watch)


def test_the_weights_are_those_of_the_meanings() -> None:
    assert {kind: weight for kind, (weight, _) in kinds.MEANING.items()} == kinds.WEIGHT
    assert all(meaning and not meaning.endswith(".") for _, meaning in kinds.MEANING.values())


def test_state_events_and_records_are_frozen() -> None:
    gate = Gate().start()
    for thing in (gate.state, gate.state.panic, gate.records[0], gate.outputs):
        assert isinstance(thing, msgspec.Struct)
        with pytest.raises(AttributeError):
            setattr(thing, thing.__struct_fields__[0], None)
