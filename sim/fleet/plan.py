"""What to do with a box's messages, given where its stream ends. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sim.box_messages import Ref, Row, reach


def part_of(site: str, box: str, parts: int) -> int:
    """Which of so many workers writes this box's streams: one box, one writer."""
    return zlib.crc32(f"{site}/{box}".encode()) % parts


@dataclass(slots=True)
class Plan:
    """`new` goes behind the stream's end, in order; `old` must be there already; with a `gap` more should have come.

    `end` is where the stream ends then, `last` the newest record of these messages that is in it (None: none is).
    """

    end: Ref
    new: list[Row] = field(default_factory=list)
    old: list[Row] = field(default_factory=list)
    last: Ref | None = None
    gap: bool = False

    @property
    def receipt(self) -> Ref:
        """A box that sends again from far back believes no more than it has sent in its present life."""
        return self.end if self.last is None else min(self.end, self.last)


def plan(end: Ref, messages: Iterable[tuple[Ref | None, Sequence[Row]]]) -> Plan:
    """`messages` are (prev, rows) as they came."""
    made = Plan(end)
    for prev, rows in messages:
        good = reach(made.end, prev, rows)
        made.gap = made.gap or good < len(rows)
        for row in rows[:good]:
            if row.ref > made.end:
                made.new.append(row)
                made.end = row.ref
            else:
                made.old.append(row)
        if good:
            made.last = rows[good - 1].ref
    return made
