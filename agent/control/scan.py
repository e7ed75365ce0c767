"""The first full, fresh reading of every input after a start (domain rule 29).

Nothing goes out before it is complete. A device that is lost, or has not answered in time, does not hold it up: what
it would have read stays unknown, and unknown allows no motion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

LIMIT_S = 0.4  # D: start to first press served is 0.5 s


class Scan:
    """`devices` are the ones with inputs. `complete` is called once, with those that have not answered."""

    def __init__(self, devices: Iterable[str], complete: Callable[[tuple[str, ...]], None]) -> None:
        self._waiting = set(devices)
        self._complete = complete
        self._done = False
        self._check()

    def read(self, device: str) -> None:
        """`device` has been read, or is known to be lost."""
        self._waiting.discard(device)
        self._check()

    def time_is_up(self) -> None:
        self._finish()

    def _check(self) -> None:
        if not self._waiting:
            self._finish()

    def _finish(self) -> None:
        if not self._done:
            self._done = True
            self._complete(tuple(sorted(self._waiting)))
