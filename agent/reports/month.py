"""A month of the site's local time: its days and where they begin, in UTC milliseconds."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTH = re.compile(r"(2[0-9]{3})-(0[1-9]|1[0-2])")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadMonth(ValueError):
    """No month that can be reported; `args[0]` says why in field words."""


class Month:
    """`days` are its dates; day n lasts from `edges[n]` to `edges[n + 1]`, UTC ms."""

    def __init__(self, year: int, number: int, zone: ZoneInfo) -> None:
        self.zone = zone
        first, after = date(year, number, 1), date(year + number // 12, number % 12 + 1, 1)
        self.days = tuple(first + timedelta(days=n) for n in range((after - first).days))
        self.edges = tuple(midnight_ms(day, zone) for day in (*self.days, after))

    @property
    def text(self) -> str:
        return f"{self.days[0]:%Y-%m}"

    @property
    def from_ms(self) -> int:
        return self.edges[0]

    @property
    def to_ms(self) -> int:
        """The first instant after it."""
        return self.edges[-1]

    def holds(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms < self.to_ms

    def day(self, at_ms: int) -> int:
        """Which day of the month an instant lies in, counted from 0; -1 before it, `len(days)` after it."""
        return bisect_right(self.edges, at_ms) - 1


def parse(text: str, zone: ZoneInfo, now_ms: int) -> Month:
    """`2026-09`, not later than now. Raises BadMonth."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise BadMonth(f"“{text}” is no month: write it as 2026-09")
    month = Month(int(found[1]), int(found[2]), zone)
    if month.from_ms > now_ms:
        raise BadMonth(f"{text} has not begun yet: nothing is known of it")
    return month


def months(first_ms: int, last_ms: int, zone: ZoneInfo) -> Iterator[str]:
    """Every month between two instants, newest first."""
    first, last = local(first_ms, zone), local(last_ms, zone)
    for count in range(last.year * 12 + last.month - 1, first.year * 12 + first.month - 2, -1):
        yield f"{count // 12}-{count % 12 + 1:02d}"


def midnight_ms(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)


def local(at_ms: int, zone: ZoneInfo) -> datetime:
    """An instant in that zone, exact to the millisecond."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone)
