"""Who is inside, folded from records: the newest snapshot, and every passage after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from agent.core.crowd import Mark

KINDS = frozenset({"muster.snapshot", "access.granted", "access.let_out", "visit.ended"})
BEFORE = float("-inf")  # no monotonic instant of an earlier boot means anything in this one


def fold(records: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, Mark], ...]:
    """Everybody inside after these records' bodies, oldest first. What is no passage is passed over."""
    inside: dict[str, Mark] = {}
    for record in records:
        data = record.get("data")
        if not isinstance(data, Mapping):
            continue
        if record.get("kind") == "muster.snapshot":
            inside = _snapshot(data.get("inside"))
        elif record.get("kind") == "visit.ended":
            inside.pop(str(record.get("subject", "")).partition(":")[2], None)
        elif record.get("kind") in KINDS:
            _passage(inside, data, str(record.get("subject", "")), str(record.get("at", "")))
    return tuple(inside.items())


def _snapshot(told: object) -> dict[str, Mark]:
    if not isinstance(told, Mapping):
        return {}
    return {
        str(holder): Mark(True, str(mark[0]), str(mark[1]), BEFORE, int(mark[2]))
        for holder, mark in told.items()
        if isinstance(mark, list) and len(mark) == 3
    }


def _passage(inside: dict[str, Mark], data: Mapping[str, Any], subject: str, at: str) -> None:
    holder = str(data.get("holder", ""))
    if not holder or not subject.startswith("door:"):
        return
    if data.get("direction") == "in":
        kind = str(data.get("group", ""))
        inside[holder] = Mark(True, kind, kind, BEFORE, _ms(at))
    else:
        inside.pop(holder, None)


def _ms(at: str) -> int:
    try:
        return round(datetime.fromisoformat(at).timestamp() * 1000)
    except ValueError:
        return 0
