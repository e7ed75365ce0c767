"""Tables as offices save them: UTF-8 with or without a mark, GB18030, commas, semicolons or tabs, headings in
Chinese or English. What a spreadsheet spoiled (1.23E+09, lost zeros) is named with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.core.policy import Contradiction
from hardware import plain_file

Row = tuple[int, dict[str, str]]
MOST_BYTES = 64 << 20


class BadTable(Exception):
    """A table that cannot be read at all; `args[0]` is the contradiction."""

    def __init__(self, source: str, what: str, cure: str) -> None:
        super().__init__(what)
        self.found = Contradiction(source, what, cure)


def read(path: Path, headings: Mapping[str, tuple[str, ...]], needed: tuple[str, ...]) -> Iterator[Row]:
    """(line, cells by column name) of every row that is not empty. `headings`: column → the names it may have.

    Raises BadTable.
    """
    text = _decoded(path).replace("\r\n", "\n").replace("\r", "\n")  # an old Mac ends its lines with \r alone
    rows = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    try:
        head = next(rows, None)
        if head is None:
            raise BadTable(f"{path.name}:1", "the table is empty", "write the headings in its first line")
        columns = _columns(path.name, head, headings, needed)
        line = rows.line_num
        for cells in rows:
            line, last = rows.line_num, line
            if line > last + 1:
                cure = 'a quotation mark (") has no partner there: remove it, or put the cell on one line'
                raise BadTable(f"{path.name}:{last + 1}", f"a cell runs from here to line {line}", cure)
            if any(cell.strip() for cell in cells):
                yield line, _cells(path.name, line, cells, columns)
    except csv.Error as error:
        raise BadTable(
            f"{path.name}:{rows.line_num}", f"this line is no row: {error}", "save the table as CSV"
        ) from None


def _decoded(path: Path) -> str:
    try:
        data = plain_file.read(path, MOST_BYTES)
    except OSError as error:
        raise BadTable(path.name, f"cannot be read: {error.strerror}", "check the file and its rights") from None
    if len(data) > MOST_BYTES:
        raise BadTable(path.name, "is far too large for a table", "export only this school's people")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise BadTable(path.name, "is a spreadsheet, not a table of text", "in Excel: save as “CSV UTF-8”")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    line = 1
    for encoding in ("utf-8-sig", "gb18030") if b"\0" not in data else ():  # UTF-16 without its mark is full of them
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
    raise BadTable(f"{path.name}:{line}", "is neither UTF-8 nor GB18030", "in Excel: save as “CSV UTF-8”")


def _delimiter(text: str) -> str:
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _columns(
    name: str, head: list[str], headings: Mapping[str, tuple[str, ...]], needed: tuple[str, ...]
) -> dict[int, str]:
    known = {alias.casefold(): column for column, aliases in headings.items() for alias in (column, *aliases)}
    found: dict[int, str] = {}
    for at, cell in enumerate(head):
        title = cell.strip().casefold()
        if not title:
            continue
        if title not in known:
            names = ", ".join(f"{column} ({aliases[0]})" for column, aliases in headings.items())
            cure = f"remove it, or write its heading as one of: {names}"
            raise BadTable(f"{name}:1", f"there is no column “{cell.strip()[:30]}”", cure)
        if known[title] in found.values():
            raise BadTable(f"{name}:1", f"the column “{cell.strip()}” is there twice", "remove one of the two")
        found[at] = known[title]
    for column in needed:
        if column not in found.values():
            cure = f"add a column {column} ({headings[column][0]})"
            raise BadTable(f"{name}:1", f"the column {column} ({headings[column][0]}) is missing", cure)
    return found


def _cells(name: str, line: int, cells: list[str], columns: dict[int, str]) -> dict[str, str]:
    beyond = [cell for at, cell in enumerate(cells) if at not in columns and cell.strip()]
    if beyond:
        what = f"there is a value without a heading: “{beyond[0].strip()[:30]}”"
        raise BadTable(f"{name}:{line}", what, "give the column a heading, or remove it")
    return {column: cells[at].strip() if at < len(cells) else "" for at, column in columns.items()}
