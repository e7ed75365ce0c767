"""Who is inside, by holder. Kept in buckets, so that one passage copies a few entries and not a whole school."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from zlib import crc32

import msgspec

BUCKETS = 64


class Mark(msgspec.Struct, frozen=True):
    """Where a holder was last seen to go: `at_s` is monotonic, -inf when it was before this start."""

    inside: bool
    kind: str
    group: str
    at_s: float
    since_ms: int  # wall clock, for people


class Crowd(msgspec.Struct, frozen=True):
    """All marks. `put` gives another crowd; this one stays as it is."""

    buckets: tuple[dict[str, Mark], ...] = ({},) * BUCKETS

    def get(self, holder: str) -> Mark | None:
        return self.buckets[_bucket(holder)].get(holder)

    def put(self, holder: str, mark: Mark) -> Crowd:
        at = _bucket(holder)
        return Crowd((*self.buckets[:at], {**self.buckets[at], holder: mark}, *self.buckets[at + 1 :]))

    def inside(self) -> Iterator[tuple[str, Mark]]:
        """Everybody who is inside, in no order."""
        return ((holder, mark) for bucket in self.buckets for holder, mark in bucket.items() if mark.inside)

    def counts(self) -> dict[str, int]:
        """How many of each kind are inside."""
        found: dict[str, int] = {}
        for _, mark in self.inside():
            found[mark.kind] = found.get(mark.kind, 0) + 1
        return found


EMPTY = Crowd()


def of(marks: Iterable[tuple[str, Mark]]) -> Crowd:
    """A crowd of these marks."""
    buckets: tuple[dict[str, Mark], ...] = tuple({} for _ in range(BUCKETS))
    for holder, mark in marks:
        buckets[_bucket(holder)][holder] = mark
    return Crowd(buckets)


def forgiven(crowd: Crowd) -> Crowd:
    """A new day: only who is inside stays known; where anybody else went no longer matters."""
    outside = any(not mark.inside for bucket in crowd.buckets for mark in bucket.values())
    return of(crowd.inside()) if outside else crowd


def _bucket(holder: str) -> int:
    return crc32(holder.encode()) % BUCKETS
