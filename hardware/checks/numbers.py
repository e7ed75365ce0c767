"""Numbers within what the standards, the makers and good sense allow; each bound says where it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from hardware.checks.look import Check, Look
from hardware.mistakes import Finding, found
from hardware.terminals import Path


class Bound(msgspec.Struct, frozen=True):
    """`low` to `high`, both allowed; `above` excludes the low end itself. `source` is shown, in any language."""

    table: str  # dotted; a table that is there once or many times
    key: str
    low: float
    high: float
    source: str
    above: bool = False


_OURS = "docs/site-file.md"  # D: our own bound; the page says why

BOUNDS = (
    Bound("lane", "rise_s", 0, 15, "UFGS 34 71 13", above=True),
    Bound("lane", "lower_s", 0, 15, _OURS, above=True),
    Bound("lane", "efo_s", 0, 2.5, "UFGS 34 71 13", above=True),
    Bound("lane", "prewarn_s", 1, 30, "Gibidi DPT260"),
    Bound("lane", "clear_s", 1, 60, "UFGS 34 71 13"),
    Bound("lane", "efo_clear_s", 1, 10, "UFGS 34 71 13"),
    Bound("bus", "timeout_s", 0.02, 1, _OURS),
    Bound("bus", "port", 1, 65535, "TCP"),
    Bound("uplink.mqtt", "port", 1, 65535, "TCP"),
    Bound("uplink.mqtt", "priority", 1, 9, _OURS),
    Bound("uplink.redis", "port", 1, 65535, "TCP"),
    Bound("uplink.redis", "priority", 1, 9, _OURS),
    Bound("uplink.dc09", "port", 1, 65535, "TCP"),
    Bound("uplink.dc09", "backup_port", 0, 65535, "TCP"),
    Bound("uplink.dc09", "priority", 1, 9, _OURS),
    Bound("uplink.dc09", "supervise_s", 5, 60, _OURS),
    Bound("uplink.gb28181", "port", 1, 65535, "UDP, TCP"),
    Bound("uplink.gb28181", "keepalive_s", 5, 60, _OURS),
    Bound("uplink.gb28181", "expires_s", 3600, 100_000, "GB/T 28181"),
    Bound("uplink.gb28181", "priority", 1, 9, _OURS),
    Bound("door", "unlock_s", 0, 60, _OURS, above=True),
    Bound("door", "held_open_s", 0, 3600, _OURS, above=True),
    Bound("storage", "journal_days", 180, 3650, "DB11/T 2552-2026"),
    Bound("storage", "ballast_mb", 1, 1024, _OURS),
)


def numbers_are_in_bounds(look: Look) -> Iterator[Finding]:
    for bound in BOUNDS:
        for path, value in _values(look, bound):
            low = value > bound.low if bound.above else value >= bound.low
            if not math.isnan(value) and not (low and value <= bound.high):
                words = {
                    "value": f"{value:g}",
                    "low": f"{bound.low:g}",
                    "high": f"{bound.high:g}",
                    "source": bound.source,
                }
                yield found(path, "number_above" if bound.above else "number_between", **words)


def _values(look: Look, bound: Bound) -> Iterator[tuple[Path, float]]:
    """(path, value) for every table the bound is about."""
    here: object = look.site
    path: Path = ()
    for name in bound.table.split("."):
        here = getattr(here, name, None)
        path = (*path, name)
    if isinstance(here, tuple):
        yield from (((*path, i, bound.key), getattr(element, bound.key)) for i, element in enumerate(here))
    elif here is not None:
        yield (*path, bound.key), getattr(here, bound.key)


CHECKS: tuple[Check, ...] = (numbers_are_in_bounds,)
