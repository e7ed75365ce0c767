"""The cross-checks of a site file: what the models cannot say because it takes two keys, or a profile, to see it."""

from __future__ import annotations

from hardware.checks import alarm, buses, doors, lanes, names, numbers, people, pins, settings
from hardware.checks.look import Check, Look, run

ALL: tuple[Check, ...] = (
    *names.CHECKS,
    *pins.CHECKS,
    *buses.CHECKS,
    *lanes.CHECKS,
    *doors.CHECKS,
    *people.CHECKS,
    *alarm.CHECKS,
    *settings.CHECKS,
    *numbers.CHECKS,
)

__all__ = ["ALL", "Check", "Look", "run"]
