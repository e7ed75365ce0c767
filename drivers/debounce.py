"""Debounce and pair logic, pure: time is passed in. (Signatures first; the body follows.)"""

from __future__ import annotations

from drivers.ports import LineText


class PairLine:
    """An NO + NC button on two pulled-up pins. `line` is the judged state; each call returns True when it changed."""

    line: LineText
    at: float  # instant of the last change, the pin's own where an edge made it

    def edge(self, which: str, high: bool, at: float) -> bool:
        """`which`: "no" or "nc"."""
        raise NotImplementedError

    def levels(self, no_high: bool, nc_high: bool, at: float) -> bool:
        raise NotImplementedError

    def lost(self, at: float) -> bool:
        raise NotImplementedError


class Contact:
    """A single contact: `high` flips after the level stood for its stable time."""

    high: bool | None
    at: float

    def __init__(self, *, rise_s: float = 0.03, fall_s: float = 0.03) -> None: ...

    def edge(self, high: bool, at: float) -> bool:
        raise NotImplementedError

    def level(self, high: bool, at: float) -> bool:
        raise NotImplementedError

    def lost(self, at: float) -> bool:
        raise NotImplementedError


class LoopLine:
    """An end-of-line loop's readings."""

    line: LineText
    at: float

    def reading(self, line: LineText, at: float) -> bool:
        raise NotImplementedError

    def lost(self, at: float) -> bool:
        raise NotImplementedError
