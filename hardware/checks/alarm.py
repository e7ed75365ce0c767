"""The alarm's way: a button to press, a line that tells when it is cut, someone who hears, a key to end it."""

from __future__ import annotations

from collections.abc import Iterator

from hardware.checks.look import Check, Look
from hardware.mistakes import Finding, found
from hardware.ways import path_names


def somebody_can_press(look: Look) -> Iterator[Finding]:
    if not look.site.panic_button and look.sound("panic_button"):
        yield found(("panic_button",), "panic_missing")


def somebody_hears(look: Look) -> Iterator[Finding]:
    if not path_names(look.site) and look.sound("uplink"):
        yield found(("uplink",), "uplink_missing")


def buttons_are_wired(look: Look) -> Iterator[Finding]:
    """An NO + NC pair or a loop, not both, not nothing."""
    for i, button in enumerate(look.site.panic_button):
        if not look.sound("panic_button", i):
            continue
        if not (button.no or button.nc or button.loop):
            yield found(("panic_button", i), "panic_unwired")
        elif button.loop and (button.no or button.nc):
            yield found(("panic_button", i, "loop"), "panic_wired_twice")


def supervised_means_two_wires(look: Look) -> Iterator[Finding]:
    """One pin cannot tell a cut line from a normal one (GB 55029 3.5.1)."""
    for i, button in enumerate(look.site.panic_button):
        single = not button.loop and bool(button.no) != bool(button.nc)
        if button.supervised and single and look.sound("panic_button", i):
            there, absent = ("no", "nc") if button.no else ("nc", "no")
            yield found(("panic_button", i, there), "panic_single_pin", there=there, absent=absent)


def alarms_can_be_ended(look: Look) -> Iterator[Finding]:
    """A latched alarm ends by a key at the box only, so the box has one."""
    if not any(switch.use == "panic_reset" for switch in look.site.key) and look.column_sound("key", "use"):
        yield found(("key",), "key_panic_reset_missing")


def fire_can_be_ended(look: Look) -> Iterator[Finding]:
    """Fire, by the panel or by the fire key, forbids every raise until reset by hand at the box."""
    uses = {switch.use for switch in look.site.key}
    burns = look.site.fire is not None or "fire_key" in uses
    if burns and "fire_reset" not in uses and look.column_sound("key", "use"):
        yield found(("fire",) if look.site.fire else ("key",), "key_fire_reset_missing")


CHECKS: tuple[Check, ...] = (
    somebody_can_press,
    somebody_hears,
    buttons_are_wired,
    supervised_means_two_wires,
    alarms_can_be_ended,
    fire_can_be_ended,
)
