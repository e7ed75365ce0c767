"""What a scenario found, step by step, as text for people and as data for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Step:
    """`ms` counts from the start of the action it belongs to, as seen at the wire; None where time says nothing."""

    name: str
    ok: bool
    ms: float | None = None


@dataclass
class Timeline:
    """Prints each step as it is found."""

    scenario: str
    quiet: bool = False
    steps: list[Step] = field(default_factory=list)

    def title(self, text: str) -> None:
        self._print(f"\n  {text}")

    def step(self, name: str, ok: bool = True, ms: float | None = None) -> None:
        self.steps.append(Step(name, ok, None if ms is None else round(ms, 3)))
        mark = "✓" if ok else "✗"
        when = "" if ms is None else f"{ms:10.1f} ms"
        self._print(f"    {mark} {when:>13}  {name}")

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    def told(self, journal: str) -> dict[str, Any]:
        """The one JSON object of `--json`."""
        steps = [{"name": step.name, "ok": step.ok, "ms": step.ms} for step in self.steps]
        return {"scenario": self.scenario, "ok": self.ok, "steps": steps, "journal": journal}

    def _print(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)
