"""Where wires end: the terminals of a site file, read and listed.

A terminal is text in the site file (see `hardware.site`). Here it becomes one of three small values, and `uses` tells
for a whole site what hangs on which: the GPIO driver, the simulator, the wiring table and the checks all read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

import msgspec

from hardware.site import Lane, Site

Path: TypeAlias = tuple[str | int, ...]
"""Where a key stands: table names, and indices from 0 within arrays of tables, e.g. ("lane", 0, "raise_key")."""

Rest: TypeAlias = Literal["open", "closed", "on", "off", "loop", "plc"]
"""A terminal when nothing happens at the gate: a contact open or closed, an output on or off, a loop at its
end-of-line value, or the PLC's own business."""

Role: TypeAlias = Literal[
    "panic_no", "panic_nc", "panic_loop", "lock", "door_contact", "rex", "sensor", "raise_key", "lower_key",
    "key", "fire", "supply", "lamp", "siren", "light", "buzzer", "warning_lamp",
]  # fmt: skip


class Gpio(msgspec.Struct, frozen=True):
    """A line of the Pi's header, by BCM number."""

    number: int


class Channel(msgspec.Struct, frozen=True):
    """A channel, counted from 0, of the relay or analogue board of that name."""

    board: str
    number: int


class Plc(msgspec.Struct, frozen=True):
    """The lane's own PLC reads or drives it; no wire comes to the box."""


Terminal: TypeAlias = Gpio | Channel | Plc


class BadTerminal(ValueError):
    """The text is none of "gpio:N", "<board>:<channel>", "plc"."""


_CHANNEL = re.compile(r"([a-z0-9][a-z0-9-]*):(0|[1-9][0-9]{0,3})", re.ASCII)


@lru_cache(maxsize=512)  # a site's own texts: parsed once each, asked for at every turn of an output
def parse(text: str) -> Terminal:
    """The terminal a text names. Raises BadTerminal; whether the board has it is not asked here."""
    if text == "plc":
        return Plc()
    found = _CHANNEL.fullmatch(text)
    if not found:
        raise BadTerminal(f"{text!r} is no terminal: write gpio:N, <board>:<channel> or plc")
    board, number = found[1], int(found[2])
    return Gpio(number) if board == "gpio" else Channel(board, number)


class Use(msgspec.Struct, frozen=True):
    """One wire: what ends at a terminal. `text` is as written; `terminal` raises BadTerminal when it is none."""

    text: str
    role: Role
    owner: str  # id of the door, lane, button or key; "fire", "tamper", "mains", "battery", "indicators"
    part: str  # the key in the site file: "lock", "loop1", "sent" …
    direction: Literal["in", "out"]
    rest: Rest
    path: Path
    key: str  # "door.wicket.lock"

    @property
    def terminal(self) -> Terminal:
        return parse(self.text)


def uses(site: Site) -> list[Use]:
    """Every terminal the site names, in the file's order of tables, "plc" ones too, empty ones left out."""
    found = [*_panic(site), *_doors(site), *_lanes(site), *_box(site), *_indicators(site)]
    return [use for use in found if use.text]


def gpio_inputs(site: Site) -> dict[int, Use]:
    """BCM number → what is read there. For a site that the loader accepted."""
    return {n: use for n, use in _gpio(site) if use.direction == "in"}


def gpio_outputs(site: Site) -> dict[int, Use]:
    """BCM number → what is driven there. For a site that the loader accepted."""
    return {n: use for n, use in _gpio(site) if use.direction == "out"}


def _gpio(site: Site) -> Iterator[tuple[int, Use]]:
    for use in uses(site):
        terminal = use.terminal
        if isinstance(terminal, Gpio):
            yield terminal.number, use


def _panic(site: Site) -> Iterator[Use]:
    for i, button in enumerate(site.panic_button):
        path, key = ("panic_button", i), f"panic_button.{button.id}"
        yield Use(button.no, "panic_no", button.id, "no", "in", "open", (*path, "no"), f"{key}.no")
        yield Use(button.nc, "panic_nc", button.id, "nc", "in", "closed", (*path, "nc"), f"{key}.nc")
        yield Use(button.loop, "panic_loop", button.id, "loop", "in", "loop", (*path, "loop"), f"{key}.loop")


def _doors(site: Site) -> Iterator[Use]:
    for i, door in enumerate(site.door):
        path, key = ("door", i), f"door.{door.id}"
        locked: Rest = "on" if door.lock_kind == "fail_safe" else "off"
        yield Use(door.lock, "lock", door.id, "lock", "out", locked, (*path, "lock"), f"{key}.lock")
        yield Use(
            door.contact, "door_contact", door.id, "contact", "in", "closed", (*path, "contact"), f"{key}.contact"
        )
        yield Use(door.rex, "rex", door.id, "rex", "in", "open", (*path, "rex"), f"{key}.rex")


def _lanes(site: Site) -> Iterator[Use]:
    for i, lane in enumerate(site.lane):
        yield from _lane_inputs(lane, ("lane", i), f"lane.{lane.id}")
        yield from _lane_outputs(lane, ("lane", i), f"lane.{lane.id}")


def _lane_inputs(lane: Lane, path: Path, key: str) -> Iterator[Use]:
    for part in ("loop1", "loop2", "beam", "pressure"):
        text: str = getattr(lane.sensors, part)
        rest: Rest = "plc" if text == "plc" else "closed"
        yield Use(text, "sensor", lane.id, part, "in", rest, (*path, "sensors", part), f"{key}.sensors.{part}")
    yield Use(lane.raise_key, "raise_key", lane.id, "raise_key", "in", "open", (*path, "raise_key"), f"{key}.raise_key")
    yield Use(lane.lower_key, "lower_key", lane.id, "lower_key", "in", "open", (*path, "lower_key"), f"{key}.lower_key")


def _lane_outputs(lane: Lane, path: Path, key: str) -> Iterator[Use]:
    roles: tuple[tuple[str, Role], ...] = (
        ("light_red", "light"),
        ("light_green", "light"),
        ("buzzer", "buzzer"),
        ("warning_lamp", "warning_lamp"),
    )
    for part, role in roles:
        text: str = getattr(lane, part)
        rest: Rest = "plc" if text == "plc" else "off"
        yield Use(text, role, lane.id, part, "out", rest, (*path, part), f"{key}.{part}")


def _box(site: Site) -> Iterator[Use]:
    for i, switch in enumerate(site.key):
        path: Path = ("key", i, "terminal")
        yield Use(switch.terminal, "key", switch.id, "terminal", "in", "open", path, f"key.{switch.id}.terminal")
    if site.fire:
        rest: Rest = "closed" if site.fire.active == "open" else "open"
        yield Use(site.fire.terminal, "fire", "fire", "terminal", "in", rest, ("fire", "terminal"), "fire.terminal")
    for name in ("tamper", "mains", "battery"):
        contact = getattr(site, name)
        if contact:
            yield Use(
                contact.terminal, "supply", name, "terminal", "in", contact.ok, (name, "terminal"), f"{name}.terminal"
            )


def _indicators(site: Site) -> Iterator[Use]:
    for part in ("sent", "received", "coming", "fault", "siren"):
        text: str = getattr(site.indicators, part)
        role: Role = "siren" if part == "siren" else "lamp"
        yield Use(text, role, "indicators", part, "out", "off", ("indicators", part), f"indicators.{part}")
