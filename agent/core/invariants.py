"""The whole registry of invariants: importing this module registers every one; `check` and `Watch` judge by them."""

from __future__ import annotations

from agent.core import invariants_box, invariants_campus, invariants_duty, invariants_motion, invariants_people
from agent.core.invariant import REGISTRY, Step, Violation, Watch, check

__all__ = [
    "REGISTRY",
    "Step",
    "Violation",
    "Watch",
    "check",
    "invariants_box",
    "invariants_campus",
    "invariants_duty",
    "invariants_motion",
    "invariants_people",
]
