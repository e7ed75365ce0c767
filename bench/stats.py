"""Percentiles, ratios and the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    assert ordered, "no samples"
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "n": len(values),
        "p50": round(percentile(values, 0.50), 3),
        "p99": round(percentile(values, 0.99), 3),
        "max": round(max(values), 3),
    }


def ratio(ours: float, floor: float) -> float:
    return round(ours / floor, 2)


def table(rows: Sequence[tuple[str, str, str, str, str]]) -> str:
    """Rows of (what, measured, floor, ratio, target) in columns."""
    head = ("what", "measured", "floor", "ratio", "target")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines)
