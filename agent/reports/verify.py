"""Whether a report on paper or disk says what the journal says: it is made anew, as of then, and compared.

What a school's own form shows can be checked too, if it keeps `seal` in its head and the form is still the same.
"""

from __future__ import annotations

import html
import re
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal import verify as journal_verify
from agent.journal.checkpoint import BadNote, Checkpoint, verified
from agent.reports import files, heads, layout, page, sheets
from agent.reports.layout import Speech, Table
from agent.reports.make import AsOf
from agent.reports.model import Report
from agent.reports.month import parse
from agent.reports.page import Seal
from hardware import plain_file
from hardware.site import Site

MOST_BYTES = 32 << 20  # D: a report with every table full has 2.5 MB
_SEAL = re.compile(r'<meta name="menwei-report" content="([^"]{1,1000000})">')
_CELL = re.compile(r"<t(?: [^>]*)?>([^<]*)</t>")
_SHEET = re.compile(r"xl/worksheets/sheet(\d{1,6})\.xml")
TORN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error)  # X
OTHERWISE = (
    "Either the file was changed (an office program that saved it anew is enough), or the site file, the form or this "
    "program is another than when it was made."
)


class NotTrue(Exception):
    """The report does not say what the journal says, or cannot be shown to; `args[0]` says which, in field words."""


class Anew(msgspec.Struct, frozen=True):
    """The report as the journal tells it, laid out as it was then."""

    report: Report
    tables: tuple[Table, ...]
    speech: Speech


def verify(file: Path, site: Site, journal: Path, key: bytes | None, form: Path | None) -> tuple[Seal, int]:
    """The seal of a report that holds, and how many signatures were checked. `key` is the box's public key, None: the
    one beside the journal. A single table (CSV) is held to the seal of the report beside it.
    Raises NotTrue, BadForm, NoRecords, Trouble, Damaged, OSError."""
    sealed = _seal_of(file)
    owner = f"{site.site.id}/{site.site.box}"
    if sealed.site_box != owner:
        raise NotTrue(f"this report is of {sealed.site_box}, the site file of {owner}")
    public = key if key is not None else heads.public_key(journal.parent)
    checked = _checkpoints(sealed, public)
    _journal(journal, sealed, public)
    anew = _anew(sealed, site, journal)
    match _kind(file):
        case ".xlsx":
            _compare_book(file, anew)
        case ".csv":
            _compare(_text(file), sheets.to_csv(_table(file, anew), anew.speech.t("Row no.")).decode())
        case _:
            seal = page.seal(anew.report, anew.speech)
            _compare(_text(file), page.render(anew.report, anew.tables, anew.speech, seal, form))
    return sealed, len(checked)


def _kind(file: Path) -> str:
    return file.suffix.lower()


def _seal_of(file: Path) -> Seal:
    plain_file.check(file)  # also: a file that is not there is told before what is not beside it
    if _kind(file) == ".xlsx":
        return _decoded(_book_seal(file))
    if _kind(file) != ".csv":
        return _sealed(_text(file))
    for other in sorted((*file.parent.glob("*.html"), *file.parent.glob("*.xlsx"))):
        if file.name.startswith(f"{other.stem}-"):
            return _seal_of(other)
    raise NotTrue(
        "a single table has no seal of its own: lay the report it came with (its .html or .xlsx, under the name it was "
        "made with) beside it"
    )


def _book_seal(file: Path) -> str:
    """The hidden last sheet of a workbook as it was written; "" where there is none."""
    if file.stat().st_size > MOST_BYTES:
        return ""
    try:
        with zipfile.ZipFile(file) as book:
            numbers = [int(found[1]) for name in book.namelist() if (found := _SHEET.fullmatch(name))]
            name = f"xl/worksheets/sheet{max(numbers, default=0)}.xml"
            if book.getinfo(name).file_size > MOST_BYTES:
                return ""
            return html.unescape("".join(_CELL.findall(book.read(name).decode())))
    except (KeyError, UnicodeDecodeError, *TORN):
        return ""


def _text(file: Path) -> str:
    data = plain_file.read(file, MOST_BYTES)
    try:
        return data.decode() if len(data) <= MOST_BYTES else ""
    except UnicodeDecodeError:
        return ""


def _sealed(text: str) -> Seal:
    found = _SEAL.search(text)
    return _decoded(html.unescape(found[1]) if found is not None else "")


def _decoded(text: str) -> Seal:
    try:
        return msgspec.json.decode(text, type=Seal)
    except NOT_JSON:
        raise NotTrue(
            "this is no report that can be checked: its seal is missing or broken, or an office program "
            "has saved it anew (see docs/reports.md)"
        ) from None


def _checkpoints(sealed: Seal, public: bytes | None) -> list[Checkpoint]:
    """Every checkpoint must be signed by the box."""
    if public is None:
        return []
    try:
        return [verified(note.encode(), public) for note in sealed.notes.values()]
    except BadNote as error:
        raise NotTrue(f"a checkpoint of this report does not hold: {error}") from error


def _journal(journal: Path, sealed: Seal, public: bytes | None) -> None:
    """The journal must still be the one that those checkpoints sign."""
    anchor = "".join(sealed.notes.values()).encode() or None
    report = journal_verify.verify(journal, anchor, public)
    if not report.ok:
        raise NotTrue(f"the journal does not hold: {report.what}")


def _anew(sealed: Seal, site: Site, journal: Path) -> Anew:
    month = parse(sealed.month, ZoneInfo(site.site.timezone), sealed.made_ms)
    as_of = AsOf(sealed.up_to_seq, {epoch: note.encode() for epoch, note in sealed.notes.items()})
    report = files.read(site, journal, month, sealed.made_ms, as_of)
    speech = Speech(sealed.language, site, names=sealed.names)
    return Anew(report, layout.tables(report, speech), speech)


def _table(file: Path, anew: Anew) -> Table:
    """Which one a CSV is, by the end of its name; "duty-log" before "log"."""
    named = [table for table in anew.tables if file.name.endswith(f"-{table.id}.csv")]
    if not named:
        raise NotTrue("which table this is can be told by its name alone: give it the name it was made with")
    return max(named, key=lambda table: len(table.id))


def _compare_book(file: Path, anew: Anew) -> None:
    """Part by part, unpacked: how tightly a part was packed says nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "anew.xlsx"
        files.workbook(path, anew.report, anew.tables, anew.speech)
        with zipfile.ZipFile(path) as ours, zipfile.ZipFile(file) as theirs:
            for name in dict.fromkeys((*ours.namelist(), *theirs.namelist())):
                if _part(theirs, name) != _part(ours, name):
                    raise NotTrue(f"{_sheet_name(name, anew)} is not what the journal says.\n{OTHERWISE}")


def _part(book: zipfile.ZipFile, name: str) -> bytes | None:
    """A part of a workbook; None where there is none that can be read, or one beyond all measure."""
    try:
        return book.read(name) if book.getinfo(name).file_size <= MOST_BYTES else None
    except (KeyError, *TORN):
        return None


def _sheet_name(part: str, anew: Anew) -> str:
    """The first sheet is the report's head, the next are its tables."""
    found = _SHEET.fullmatch(part)
    at = int(found[1]) - 2 if found is not None else -1
    return f"the sheet “{anew.tables[at].short}”" if 0 <= at < len(anew.tables) else f"the workbook's part {part}"


def _compare(text: str, anew: str) -> None:
    if text == anew:
        return
    ours, theirs = anew.splitlines(), text.splitlines()
    pairs = zip(theirs, ours, strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))
    both = f"  the file:    {_line(theirs, at)}\n  the journal: {_line(ours, at)}"
    raise NotTrue(f"line {at + 1} is not what the journal says.\n{both}\n{OTHERWISE}")


def _line(lines: list[str], at: int) -> str:
    return lines[at].strip()[:300] if at < len(lines) else "(nothing)"
