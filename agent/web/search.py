"""Which records somebody looks for: a group, words as the page shows them, days; and the same lines as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

import msgspec

from agent import plain
from agent.journal.reader import Row
from agent.web import kinds
from agent.web.kinds import Line
from agent.web.words import Words

MAX_TEXT = 30  # D: in Chinese some 270 bytes of a query
CSV_ROWS = 5_000  # D: what an office program opens at once; older ones by naming days


class BadDay(ValueError):
    """A day that is none; `args[0]` is what was written."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. `from_ms` inclusive, `to_ms` exclusive, UTC; 0 = no bound."""

    group: str = ""
    text: str = ""
    first: str = ""  # days as written, for the form
    last: str = ""
    from_ms: int = 0
    to_ms: int = 0

    @property
    def narrow(self) -> bool:
        """Whether records have to be looked at one by one."""
        return bool(self.text or self.from_ms or self.to_ms)

    def fields(self) -> dict[str, str]:
        """As a query string has it."""
        named = {"group": self.group, "q": self.text, "from": self.first, "to": self.last}
        return {name: value for name, value in named.items() if value}


def read(values: Mapping[str, str], w: Words) -> Query:
    """From a request's parameters. Raises BadDay."""
    first, last = values.get("from", "").strip(), values.get("to", "").strip()
    return Query(
        group=values.get("group", ""),
        text=values.get("q", "").strip()[:MAX_TEXT],
        first=first,
        last=last,
        from_ms=_midnight_ms(first, w, 0),
        to_ms=_midnight_ms(last, w, 1),
    )


def _midnight_ms(text: str, w: Words, days: int) -> int:
    if not text:
        return 0
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
        return round(datetime(day.year, day.month, day.day, tzinfo=w.zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadDay(text[:MAX_TEXT]) from None


def is_wanted(row: Row, query: Query, w: Words) -> bool:
    """Whether this record is one of them: its number, title, place or detail holds the words, as they are shown."""
    line = kinds.line(row, w)
    if (query.from_ms and line.at_ms < query.from_ms) or (query.to_ms and line.at_ms >= query.to_ms):
        return False
    shown = f"{line.ref[0]}-{line.ref[1]} {line.title} {line.subject} {line.detail} {line.kind}".casefold()
    return all(word in shown for word in query.text.casefold().split())


def to_csv(lines: Iterable[Line], w: Words) -> bytes:
    """The lines as an office program reads them: UTF-8 with a mark, one row each, nothing a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([w.t("No."), w.t("Time"), w.t("What happened"), w.t("Detail"), w.t("Where"), w.t("Because of")])
    for line in lines:
        cause = "" if line.cause is None else f"{line.cause[0]}-{line.cause[1]}"
        number = f"{line.ref[0]}-{line.ref[1]}"
        time = w.date_time(line.at_ms) if line.at_ms else ""
        writer.writerow(map(plain.cell, (number, time, line.title, line.detail, line.subject, cause)))
    return out.getvalue().encode("utf-8-sig")
