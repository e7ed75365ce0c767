"""A month's report as files in a folder: each written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from agent.journal.errors import Trouble
from agent.journal.reader import JournalReader
from agent.journal.schema import FILE, connect_evidence, connect_reader
from agent.reports import heads, layout, page, sheets
from agent.reports.layout import Speech, Table
from agent.reports.make import AsOf, make
from agent.reports.model import Report
from agent.reports.month import Month
from hardware.places import storage_dir
from hardware.site import Site


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`form` is the school's own template; `names` whether people's handles are shown."""

    folder: Path
    languages: tuple[str, ...]
    formats: tuple[str, ...]
    form: Path | None = None
    names: bool = True


def read(site: Site, journal: Path, month: Month, made_ms: int, as_of: AsOf | None = None) -> Report:
    """The report of a journal file, checked with the key that lies beside it. Raises NoRecords, Trouble, Damaged.

    A copy is read without leaving a trace beside it: it may lie on a stick that takes none.
    """
    is_own = journal == storage_dir(site) / FILE
    with JournalReader(journal, connect_reader if is_own else connect_evidence) as reader:
        file = journal.stat().st_ino
        report = make(reader, site, month, made_ms, heads.public_key(journal.parent), as_of)
        if journal.stat().st_ino != file:
            raise Trouble("the journal began anew while the report was made: make it again")
    return report


def write(site: Site, journal: Path, month: Month, made_ms: int, wanted: Wanted) -> Iterator[Path]:
    """Make the report and write it; yields each file once it is there.

    Raises BadForm, NoRecords, Trouble, Damaged, OSError.
    """
    report = read(site, journal, month, made_ms)
    for language in wanted.languages:
        s = Speech(language, site, names=wanted.names)
        tables = layout.tables(report, s)
        stem = f"menwei-report-{site.site.id}-{month.text}-{language}"
        if "html" in wanted.formats:
            text = page.render(report, tables, s, page.seal(report, s), wanted.form)
            yield _put(wanted.folder / f"{stem}.html", text.encode())
        if "xlsx" in wanted.formats:
            write = partial(workbook, report=report, tables=tables, s=s)
            yield _whole(wanted.folder / f"{stem}.xlsx", write)
        if "csv" in wanted.formats:
            for table in tables:
                yield _put(wanted.folder / f"{stem}-{table.id}.csv", sheets.to_csv(table, s.t("Row no.")))


def workbook(path: Path, report: Report, tables: tuple[Table, ...], s: Speech) -> None:
    """Write one. Raises OSError."""
    made = s.time(report.head.made_ms)
    assert made is not None
    title = s.t(page.TITLE, month=report.head.month)
    seal = page.seal(report, s).text
    sheets.write_xlsx(path, title, page.facts(report, s), tables, s.t("Row no."), made, seal)


def _put(path: Path, data: bytes) -> Path:
    return _whole(path, lambda fresh: fresh.write_bytes(data))


def _whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Under another name first: nobody finds half a file."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        write(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path
