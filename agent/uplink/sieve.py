"""Which messages on the topic `command` go first: the district's own, new and in time, however many others there are.

Nothing is refused here, and nothing is carried out: control judges every one that it is brought, and this is only the
order in which they wait. A signature costs 0.1 ms on a PC and 1 to 2 ms on a Pi Zero 2 W (M) for each key, in the turn
that read the message: so a flood is taken in no faster than it can be sorted, and waits at the broker.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.core.orders import MOST_VALID_MS
from agent.order import Refused, read

MOST_SEEN = 256  # D: ids of commands that have not expired; a district gives a few in ten minutes


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Sieve:
    """Tells the district's commands from what merely came on their topic. `keys`: those that control judges by."""

    def __init__(self, box: str, clock: Callable[[], int] = wall_ms) -> None:
        """`box` is "site/box"; `clock` gives UTC milliseconds."""
        self.keys: tuple[bytes, ...] = ()
        self._box = box
        self._clock = clock
        self._seen: dict[str, int] = {}  # id → when it expires

    def is_first(self, payload: bytes, retained: bool) -> bool:
        """Whether control may well carry it out: signed, for this box, in time, and not the copy of one like it."""
        try:
            return not retained and bool(self.keys) and self._is_new(payload)
        except Refused:
            return False

    def _is_new(self, payload: bytes) -> bool:
        """Raises Refused. What is cheap to see is looked at before the signature."""
        order, now = read(payload), self._clock()
        issued, expires = order.times_ms
        if order.box != self._box or order.id in self._seen or not now < expires <= issued + MOST_VALID_MS:
            return False
        if order.signer(self.keys) is None:
            return False
        self._remember(order.id, expires, now)
        return True

    def _remember(self, ident: str, expires: int, now: int) -> None:
        self._seen = {one: at for one, at in self._seen.items() if at > now}
        if len(self._seen) >= MOST_SEEN:
            del self._seen[min(self._seen, key=lambda one: self._seen[one])]
        self._seen[ident] = expires
