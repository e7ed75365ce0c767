"""Doors: from inside, anyone leaves through an evacuation way without card, network, power or software."""

from __future__ import annotations

from collections.abc import Iterator

from hardware.checks.look import Check, Look
from hardware.mistakes import Finding, found


def ways_out_open_without_power(look: Look) -> Iterator[Finding]:
    for i, door in enumerate(look.site.door):
        if door.evacuation_way and door.lock_kind == "fail_secure" and look.sound("door", i, "evacuation_way"):
            yield found(("door", i, "lock_kind"), "way_out_fail_secure")


def ways_out_are_watched(look: Look) -> Iterator[Finding]:
    """With neither a request-to-exit button nor a contact nobody can tell that the way out is free, or was used."""
    for i, door in enumerate(look.site.door):
        if door.evacuation_way and not door.rex and not door.contact and look.sound("door", i):
            yield found(("door", i), "way_out_blind")


CHECKS: tuple[Check, ...] = (ways_out_open_without_power, ways_out_are_watched)
