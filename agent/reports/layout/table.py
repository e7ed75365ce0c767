"""A table that knows what its columns hold, and nothing of how it will be shown."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["text", "ref", "count", "minutes", "percent", "ms", "seconds", "time", "date"]
Cell: TypeAlias = str | int | float | date | datetime | None
"""`minutes`, `seconds` and `percent` are numbers (0.5 is 50 %), times are local without a zone; None: nothing
to be said here."""


class Column(msgspec.Struct, frozen=True):
    title: str
    kind: Kind = "text"
    width: int = 14  # characters, about


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is a plain word for file names; `short` fits a spreadsheet's tab. `empty` is said where no row is."""

    id: str
    title: str
    short: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    empty: str = ""

    @property
    def width(self) -> int:
        """Of all columns, in characters."""
        return sum(column.width for column in self.columns)


def shown(cell: Cell, kind: Kind) -> str:
    """A cell as text: for paper and CSV."""
    match cell:
        case None:
            return "—"
        case datetime():
            return cell.strftime("%Y-%m-%d %H:%M:%S")
        case date():
            return cell.isoformat()
        case str():
            return cell
        case _:
            return _number(cell, kind)


def _number(value: float, kind: Kind) -> str:
    if kind == "percent":
        return f"{value:.2%}"
    if kind == "seconds":
        return f"{value:.3f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
