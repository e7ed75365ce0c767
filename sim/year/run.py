"""Play the days and tell what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import structs

from agent.core.records import Record
from agent.site_rules import rules_of
from hardware import loader
from sim.year.bridge import Bridge, BrokenRule
from sim.year.campus import SlippedOut
from sim.year.mishaps import Mishaps, NotWell
from sim.year.school import DAY_S, School

SITE_FILE = Path(loader.__file__).parent / "sites" / "demo.toml"
FIRST_DAY = date(2026, 1, 1)
PUPILS = 760  # with staff, guards, guardians and the others about a thousand people
# In virtual time a quiet lane is not read at all; its loss is told by its keeper, and it is read at its beat whenever
# something can come of it.
QUIET_S = 1e12


@dataclass
class Year:
    """What a run found. `broken` is "" or the rule that broke, with its instant."""

    seed: int
    days: int
    broken: str = ""
    hash: str = ""
    steps: int = 0
    records: int = 0
    passages: int = 0
    refused: int = 0
    vehicles: int = 0
    simulated_s: float = 0.0
    took_s: float = 0.0
    breaches: int = 0
    people: int = 0
    stories: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    mishaps: Counter[str] = field(default_factory=Counter)


def play(seed: int, days: int, pupils: int = PUPILS, told: Callable[[Sequence[Record]], None] | None = None) -> Year:
    """Play `days` days from 1 January 2026; `told` hears every step's records. Ends early at the first broken rule."""
    year = Year(seed, days)
    bridge, school = _set_up(seed, pupils, days)
    if told is not None:
        bridge.told = told
    mishaps = Mishaps(bridge, school, seed)
    started = time.perf_counter()
    try:
        bridge.power_on()
        for day in range(days):
            school.plan(day)
            mishaps.plan(day)
            bridge.run((day + 1) * DAY_S)
        _judge_world(bridge)
    except (BrokenRule, NotWell, SlippedOut) as broken:
        year.broken = f"{type(broken).__name__} {broken}"
    year.took_s = time.perf_counter() - started
    year.hash, year.steps, year.simulated_s = bridge.hash(), bridge.steps, bridge.now_s
    year.records, year.kinds = bridge.state.next_seq - 1, bridge.kinds
    year.passages, year.refused, year.vehicles = school.passages, school.refused, school.vehicles
    year.stories, year.people = school.campus.happened, len(bridge.policy.credentials) if bridge.policy else 0
    year.breaches, year.mishaps = len(bridge.world.breaches), mishaps.happened
    return year


def _judge_world(bridge: Bridge) -> None:
    """The world is a judge of its own: what it calls a breach has truly happened there."""
    if bridge.world.breaches:
        first = bridge.world.breaches[0]
        raise NotWell(f"at {first.at_s:.1f} s the world saw: {first.name} {first.value}")


def _set_up(seed: int, pupils: int, days: int) -> tuple[Bridge, School]:
    site, mistakes = loader.load(SITE_FILE)
    assert site is not None, mistakes
    rules = rules_of(site)
    lanes = tuple(structs.replace(lane, lost_s=QUIET_S) for lane in rules.lanes)
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=ZoneInfo(site.site.timezone))
    bridge = Bridge(site, structs.replace(rules, lanes=lanes), seed, round(midnight.timestamp() * 1000))
    school = School(bridge, seed, FIRST_DAY, pupils, days)
    bridge.policy = school.policy(1)
    return bridge, school


def told(year: Year) -> str:
    """The summary, for people."""
    hours = year.simulated_s / 3600
    lines = [
        f"seed {year.seed}, {year.days} days: " + ("every rule held" if not year.broken else "A RULE BROKE"),
        f"  {year.steps} steps judged, {year.records} records, {year.passages} passages, {year.refused} refused, "
        f"{year.vehicles} vehicles",
        f"  {year.people} people: " + ", ".join(f"{count} × {kind}" for kind, count in sorted(year.stories.items())),
        "  mishaps: " + ", ".join(f"{count} × {kind}" for kind, count in sorted(year.mishaps.items())),
        f"  hash of all records: {year.hash}",
        f"  {hours:.0f} simulated hours in {year.took_s:.1f} s: {hours / max(year.took_s, 1e-9):.0f} hours a second",
    ]
    if year.broken:
        lines += [f"  {year.broken}", f"  replay: make year SEED={year.seed} DAYS={year.days}"]
    return "\n".join(lines)
