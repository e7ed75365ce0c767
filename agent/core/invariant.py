"""The judge of every step: a registry of invariants and what each of them reads.

An invariant is a function from a `Step` to None or to a sentence that says what is wrong. It runs when one of the
state slices it reads changed (compared by identity), when the event is one of `on`, or in every step if `always`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter, is_
from typing import Final, TypeAlias

import msgspec

from agent.core.events import Event, Now
from agent.core.facts import Facts
from agent.core.outputs import Outputs
from agent.core.records import Record
from agent.core.state import BoxState


class Step(msgspec.Struct):
    """One step as judged: what was, what happened, what became of it. `facts` is the by-stander's note-book."""

    old: BoxState
    event: Event
    now: Now
    new: BoxState
    records: Sequence[Record]
    outputs: Outputs  # desired(new, now)
    facts: Facts


class Violation(msgspec.Struct, frozen=True):
    number: int  # of domain rules, section 2; 0: section 1, who wins
    name: str
    what: str


Check: TypeAlias = Callable[[Step], "str | None"]


class Invariant(msgspec.Struct, frozen=True):
    number: int
    name: str
    reads: frozenset[str]
    on: tuple[type[Event], ...]
    always: bool
    check: Check


SLICES: Final = tuple(BoxState.__struct_fields__)
ALL_KEPT: Final = bytes([True]) * len(SLICES)
REGISTRY: Final[list[Invariant]] = []
_slices: Final = attrgetter(*SLICES)
_due: Final[dict[type[Event], dict[bytes, tuple[Invariant, ...]]]] = {}  # by event, then by the slices that stayed


def invariant(
    number: int, name: str, *, reads: Sequence[str] = (), on: Sequence[type[Event]] = (), always: bool = False
) -> Callable[[Check], Check]:
    """Register the function below as an invariant. `reads` names slices of `BoxState`."""
    assert set(reads) <= set(SLICES), f"{name} reads a slice that is not there"
    assert reads or on or always, f"{name} would never run"
    assert all(name != known.name for known in REGISTRY), f"{name} is there already"

    def register(check: Check) -> Check:
        REGISTRY.append(Invariant(number, name, frozenset(reads), tuple(on), always, check))
        _due.clear()
        return check

    return register


def check(step: Step) -> list[Violation]:
    """Judge one step by every invariant that it can have broken. Each step of a run is to be shown, in order."""
    step.facts.see(step)
    found = []
    for rule in _rules_for(step):
        what = rule.check(step)
        if what is not None:
            found.append(Violation(rule.number, rule.name, what))
    step.facts.keep(step)
    return found


class Watch:
    """The judge of one run: `look` at every step of it, in order."""

    __slots__ = ("facts",)

    def __init__(self) -> None:
        self.facts = Facts()

    def look(
        self, old: BoxState, event: Event, now: Now, new: BoxState, records: Sequence[Record], outputs: Outputs
    ) -> list[Violation]:
        return check(Step(old, event, now, new, records, outputs, self.facts))


def _rules_for(step: Step) -> tuple[Invariant, ...]:
    """The invariants that this step can have broken, found once for each kind of change."""
    event = type(step.event)
    kept = ALL_KEPT if step.old is step.new else bytes(map(is_, _slices(step.old), _slices(step.new)))
    of_event = _due.setdefault(event, {})
    rules = of_event.get(kept)
    if rules is None:
        changed = {name for name, same in zip(SLICES, kept, strict=True) if not same}
        rules = tuple(r for r in REGISTRY if r.always or r.reads & changed or issubclass(event, r.on))
        of_event[kept] = rules
    return rules
