"""A report as files for an office: CSV, one file for each table, and one workbook.

Nothing in a cell is ever carried out: in CSV a text that an office program would take for a formula gets an apostrophe
before it; in the workbook every text is written as text.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from pathlib import Path
from typing import Any

from agent import plain
from agent.reports.layout import Cell, Table
from agent.reports.layout.table import Kind, shown

_FORMATS: dict[Kind, dict[str, str]] = {
    "text": {},
    "ref": {},
    "count": {"num_format": "0"},
    "minutes": {"num_format": "0.0"},
    "percent": {"num_format": "0.00%"},
    "ms": {"num_format": "0.0"},
    "seconds": {"num_format": "0.000"},
    "time": {"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"},
    "date": {"num_format": "yyyy-mm-dd", "align": "left"},
}
_CELL = {"border": 1, "valign": "top", "text_wrap": True, "font_size": 10}
A4, LANDSCAPE_FROM = 9, 7  # the paper's number in the format; as many columns want the page on its side
MOST_TAB = 31  # characters of a tab, by the format
MOST_CELL = 30_000  # characters; the format has room for 32 767
SEAL_TAB = "menwei"  # shown to nobody: what the workbook is checked by


def to_csv(table: Table, number: str) -> bytes:
    """UTF-8 with a mark, CRLF, as Excel opens it with a double click. `number` heads the column of row numbers."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([number, *(plain.cell(column.title) for column in table.columns)])
    for at, row in enumerate(table.rows, 1):
        kinds = [column.kind for column in table.columns]
        writer.writerow([at, *(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))])
    return out.getvalue().encode("utf-8-sig")


def _cell(cell: Cell, kind: Kind) -> str:
    if cell is None:
        return ""
    text = shown(cell, kind)
    return plain.cell(text) if isinstance(cell, str) else text


def write_xlsx(
    path: Path, title: str, facts: list[tuple[str, str]], tables: tuple[Table, ...], number: str, made: datetime,
    seal: str,
) -> None:  # fmt: skip
    """One sheet for each table, the head of the report on the first, `seal` on a hidden last one. Raises OSError."""
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "tmpdir": str(path.parent),
    }
    book = xlsxwriter.Workbook(str(path), options)
    book.set_properties({"title": title, "created": made})
    styles = _Styles(book)
    _facts_sheet(book, styles, title, facts, tables[0].notes)
    for table in tables:
        _sheet(book, styles, table, number, f"{title} · {facts[-1][1]}")
    _seal_sheet(book, seal, f"{title} · {facts[-1][1]}")
    try:
        book.close()
    except FileCreateError as error:
        raise OSError(*error.args[0].args if isinstance(error.args[0], OSError) else error.args) from error


class _Styles:
    def __init__(self, book: Any) -> None:
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.head = book.add_format({**_CELL, "bold": True, "bg_color": "#E8EEF4"})
        self.note = book.add_format({"font_size": 9, "font_color": "#444444"})
        self.kinds = {kind: book.add_format({**_CELL, **more}) for kind, more in _FORMATS.items()}


def _facts_sheet(book: Any, styles: _Styles, title: str, facts: list[tuple[str, str]], notes: tuple[str, ...]) -> None:
    sheet = book.add_worksheet(_tab(title.partition(",")[0]))
    sheet.set_paper(A4)
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    sheet.write_string(0, 0, title, styles.title)
    for at, (name, value) in enumerate(facts, 2):
        sheet.write_string(at, 0, name, styles.head)
        sheet.write_string(at, 1, value, styles.kinds["text"])
    for at, note in enumerate(notes, len(facts) + 3):
        sheet.write_string(at, 0, note, styles.note)


def _sheet(book: Any, styles: _Styles, table: Table, number: str, footer: str) -> None:
    """Row by row from the top: the workbook keeps no more than one in memory."""
    sheet = book.add_worksheet(_tab(table.short))
    _page(sheet, table, footer)
    sheet.set_column(0, 0, 6)
    for at, column in enumerate(table.columns, 1):
        sheet.set_column(at, at, column.width)
    sheet.write_string(0, 0, table.title, styles.title)
    sheet.write_string(2, 0, number, styles.head)
    for at, column in enumerate(table.columns, 1):
        sheet.write_string(2, at, column.title, styles.head)
    for at, row in enumerate(table.rows, 3):
        sheet.write_number(at, 0, at - 2, styles.kinds["count"])
        for place, (cell, column) in enumerate(zip(row, table.columns, strict=True), 1):
            _write(sheet, at, place, cell, styles.kinds[column.kind], styles.kinds["text"])
    last = len(table.rows) + 3
    if table.rows:
        sheet.autofilter(2, 0, last - 1, len(table.columns))
    for note in ((table.empty,) if not table.rows and table.empty else ()) + table.notes:
        last += 1
        sheet.write_string(last, 0, note, styles.note)


def _seal_sheet(book: Any, seal: str, footer: str) -> None:
    sheet = book.add_worksheet(SEAL_TAB)
    _footer(sheet, footer)
    sheet.very_hidden()
    for row, at in enumerate(range(0, len(seal), MOST_CELL)):
        sheet.write_string(row, 0, seal[at : at + MOST_CELL])


def _page(sheet: Any, table: Table, footer: str) -> None:
    sheet.set_paper(A4)
    if len(table.columns) >= LANDSCAPE_FROM:
        sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(2)
    sheet.freeze_panes(3, 0)
    _footer(sheet, footer)


def _footer(sheet: Any, text: str) -> None:
    sheet.set_footer(f"&L&8{text.replace('&', '&&')[:200]}&R&P / &N")


def _write(sheet: Any, row: int, column: int, cell: Cell, style: Any, plain: Any) -> None:
    match cell:
        case None:
            sheet.write_blank(row, column, None, plain)
        case str():
            sheet.write_string(row, column, cell, plain)
        case datetime() | date():
            sheet.write_datetime(row, column, cell, style)
        case _:
            sheet.write_number(row, column, cell, style)


def _tab(text: str) -> str:
    """A sheet's name: the characters that the format forbids are left out."""
    return "".join(" " if char in "[]:*?/\\'" else char for char in text)[:MOST_TAB].strip()
