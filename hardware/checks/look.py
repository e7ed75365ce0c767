"""What a cross-check sees of a site file: the site, the values as written, the profiles, and what to doubt.

A check is a function `(Look) -> Iterator[Finding]` that asks one question of the whole site. It may speak about any
key; what it says about a key that is already known to be broken is dropped by `run`, so no check has to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property
from typing import Any, TypeAlias

from hardware import profiles
from hardware.mistakes import Finding
from hardware.shape import doubted
from hardware.site import AnalogBoard, Lane, RelayBoard, Site
from hardware.terminals import BadTerminal, Path, Terminal, Use, uses


class Look:
    """One site under examination. `data` is the file as read, `broken` the keys whose values are stand-ins."""

    def __init__(self, site: Site, data: Mapping[str, Any], broken: set[Path]) -> None:
        self.site = site
        self.data = data
        self.broken = broken

    def sound(self, *path: str | int) -> bool:
        """Nothing at, around or under this path is broken: what is absent there is really absent."""
        inside = any(other[: len(path)] == path for other in self.broken)
        return not inside and () not in self.broken and not doubted(path, self.broken)

    def column_sound(self, table: str, key: str) -> bool:
        """This key is as written in every element of an array of tables, and no element is lost."""
        lost = any(path[:1] == (table,) and (len(path) < 3 or path[2] == key) for path in self.broken)
        return not lost and () not in self.broken

    def believes(self, path: Path) -> bool:
        """A finding about this key stands: it is not broken, and where part of the file is lost it is in the rest."""
        return not doubted(path, self.broken) and (() not in self.broken or self.given(path))

    def given(self, path: Path) -> bool:
        """The file itself has this key; its value is not a default."""
        here: Any = self.data
        for step in path:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    @cached_property
    def uses(self) -> list[tuple[Use, Terminal]]:
        """Every terminal that can be read as one."""
        return [(use, terminal) for use in uses(self.site) if (terminal := terminal_of(use)) is not None]

    @cached_property
    def board(self) -> profiles.BoardProfile | None:
        """The Pi, if the file names one that is known."""
        return profiles.board(self.site.board.model) if known("boards", self.site.board.model) else None

    def lane_profile(self, lane: Lane) -> profiles.BollardProfile | None:
        return profiles.bollard(lane.profile) if known("bollards", lane.profile) else None

    def relay_profile(self, board: RelayBoard) -> profiles.RelayProfile | None:
        return profiles.relay(board.profile) if known("relays", board.profile) else None

    def analog_profile(self, board: AnalogBoard) -> profiles.AnalogProfile | None:
        return profiles.analog(board.profile) if known("analog", board.profile) else None


Check: TypeAlias = Callable[[Look], Iterator[Finding]]


def known(kind: str, name: str) -> bool:
    """Whether there is such a profile. Names are compared with the shipped files, never joined into a path."""
    return name in _shipped(kind)


@cache
def _shipped(kind: str) -> frozenset[str]:
    return frozenset(profiles.names(kind))


def terminal_of(use: Use) -> Terminal | None:
    try:
        return use.terminal
    except BadTerminal:
        return None


def run(look: Look, checks: tuple[Check, ...]) -> list[Finding]:
    """What the checks find and the broken keys do not put in doubt."""
    return [finding for check in checks for finding in check(look) if look.believes(finding.path)]
