"""What a journal's own records say of rows and bodies given up, against what is really missing.

A prefix or a body taken out by hand leaves hash and chain as sound as the box's own pruning and eviction do. But the
box writes each step down, and what no such record tells was not the box.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.retention import EVICTED, PRUNED

_MARKS = (f'"kind":"{EVICTED}"'.encode(), f'"kind":"{PRUNED}"'.encode())


class _Step(msgspec.Struct, rename={"first": "from", "last": "to"}):
    count: int
    first: int
    last: int


class _Told(msgspec.Struct):
    kind: str
    data: _Step


_TOLD = msgspec.json.Decoder(_Told)


class GivenUp:
    """Fed with every row of one walk over a file, oldest first."""

    def __init__(self) -> None:
        self._missing: list[list[int]] = []  # runs of rows without a body: first, last
        self._evicted: list[_Step] = []
        self.pruned = 0  # the last row that a record says was pruned

    def row(self, seq: int, body: bytes | None) -> None:
        if body is None:
            self._gone(seq)
        elif any(mark in body for mark in _MARKS):
            self._note(body)

    def _gone(self, seq: int) -> None:
        if self._missing and self._missing[-1][1] == seq - 1:
            self._missing[-1][1] = seq
        else:
            self._missing.append([seq, seq])

    def _note(self, body: bytes) -> None:
        try:
            told = _TOLD.decode(body)
        except NOT_JSON:
            return  # another kind, that only quotes one of these
        if told.kind == PRUNED:
            self.pruned = max(self.pruned, told.data.last)
        elif told.kind == EVICTED:
            self._evicted.append(told.data)

    def untold(self) -> int:
        """How many missing bodies no record of eviction accounts for."""
        spans = _joined(self._evicted)
        firsts = [first for first, _ in spans]
        covered = 0
        for first, last in self._missing:
            at = max(0, bisect_right(firsts, first) - 1)
            while at < len(spans) and spans[at][0] <= last:
                covered += max(0, min(last, spans[at][1]) - max(first, spans[at][0]) + 1)
                at += 1
        missing = sum(last - first + 1 for first, last in self._missing)
        return max(missing - covered, missing - sum(step.count for step in self._evicted))


def _joined(steps: list[_Step]) -> list[tuple[int, int]]:
    """The rows that steps reach over, as spans that do not touch."""
    spans: list[tuple[int, int]] = []
    for step in sorted(steps, key=lambda step: step.first):
        if spans and step.first <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], step.last))
        else:
            spans.append((step.first, step.last))
    return spans
