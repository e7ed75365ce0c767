"""The journal as text for people and other programs. It shows what is there and proves nothing: `verify` does."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from agent import plain
from agent.journal import schema
from agent.journal.errors import FILE_ERRORS, Damaged, Trouble, told

Format = Literal["jsonl", "csv"]
COLUMNS = ("epoch", "seq", "at", "clock", "kind", "subject", "actor", "cause", "data", "evicted")


class Bound(msgspec.Struct, frozen=True):
    """One end of what is wanted: a record's number, or UTC text such as "2026-09-01" or "2026-09-01T07:30"."""

    seq: int | None = None
    at: str = ""

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Raises ValueError in field words."""
        if text.isascii() and text.isdigit():
            return cls(seq=int(text))
        if len(text) >= 4 and text[:4].isdigit() and set(text) <= set("0123456789-:.TZ"):
            return cls(at=text)
        raise ValueError(f"{text!r} is neither a record's number nor a time such as 2026-09-01 or 2026-09-01T07:30")


def export(path: Path, form: Format, start: Bound | None = None, end: Bound | None = None) -> Iterator[str]:
    """Lines, each with its end, oldest record first; both bounds included. An evicted record is shown as evicted.

    With a bound in time, evicted records (whose time is gone) are placed by their neighbours. Raises Trouble, Damaged.
    """
    if form == "csv":
        yield _csv_line(COLUMNS)
    try:
        connection = schema.connect_evidence(path)
    except FILE_ERRORS as error:
        raise told(error) from error
    try:
        schema.about(connection)
        for epoch, seq, body in _rows(connection, start or Bound(), end or Bound()):
            yield _line(form, epoch, seq, body)
    except FILE_ERRORS as error:
        raise told(error) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged("a record is not what was written: run menwei journal verify") from error
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, start: Bound, end: Bound) -> Iterator[tuple[int, int, bytes | None]]:
    begun = not start.at
    cursor = connection.execute(
        "SELECT epoch, seq, body FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq",
        (start.seq or 0, (1 << 62) if end.seq is None else end.seq),
    )
    for epoch, seq, body in cursor:
        at = _at(body) if body is not None and (start.at or end.at) else ""
        begun = begun or (at != "" and at >= start.at)
        if end.at and at and at[: len(end.at)] > end.at:
            continue
        if begun and (at == "" or at >= start.at):
            yield epoch, seq, body


def _at(body: bytes) -> str:
    return str(json.loads(body).get("at", ""))


def _line(form: Format, epoch: int, seq: int, body: bytes | None) -> str:
    if form == "jsonl":
        return (body.decode() if body is not None else f'{{"epoch":{epoch},"evicted":true,"seq":{seq}}}') + "\n"
    if body is None:
        return _csv_line((epoch, seq, "", "", "", "", "", "", "", "yes"))
    fields = json.loads(body)
    cause = fields["cause"]
    data = json.dumps(fields["data"], ensure_ascii=False, sort_keys=True)
    told_of = [fields[name] for name in COLUMNS[2:7]]
    return _csv_line((epoch, seq, *told_of, f"{cause[0]}-{cause[1]}" if cause else "", data, ""))


def _csv_line(cells: tuple[object, ...]) -> str:
    text = io.StringIO()
    shown = [plain.cell(cell) if isinstance(cell, str) else cell for cell in cells]
    csv.writer(text, lineterminator="\n").writerow(shown)
    return text.getvalue()


__all__ = ["Bound", "Format", "Trouble", "export"]
