"""The demo's gate for the simulator's tests: in virtual time, or in real time on free ports."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hardware.loader import examine
from hardware.site import Site
from sim.ports import free_port
from sim.world import Change, World

DEMO = Path(__file__).parents[2] / "hardware" / "sites" / "demo.toml"


@dataclasses.dataclass
class Gate:
    """A world and the changes it told, in virtual time from 0."""

    world: World
    changes: list[Change]

    def told(self, kind: str, name: str = "") -> list[str | bool | int]:
        return [c.value for c in self.changes if c.kind == kind and name in ("", c.name)]

    def forget(self) -> None:
        self.changes.clear()


def demo_text() -> str:
    return DEMO.read_text("utf-8")


def site_from(text: str, folder: Path) -> Site:
    site, mistakes = examine(text, folder)
    assert site is not None, [(m.line, m.wrong) for m in mistakes]
    return site


def gate_of(site: Site) -> Gate:
    world = World(site, seed=7)
    changes: list[Change] = []
    world.listen(changes.append)
    world.advance(10.0)
    return Gate(world, changes)


def live_text() -> str:
    """The demo's site file with free ports."""
    text = demo_text()
    for fixed in ("18888", "11502"):
        text = text.replace(fixed, str(free_port()))
    return text
