"""Whether a report on paper or disk says what the journal says: it is made anew, as of then, and compared.

What a school's own form shows can be checked too, if it keeps `seal` in its head and the form is still the same.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal import verify as journal_verify
from agent.journal.checkpoint import BadNote, Checkpoint, verified
from agent.reports import files, heads, layout, page
from agent.reports.layout import Speech
from agent.reports.make import AsOf
from agent.reports.month import parse
from agent.reports.page import Seal
from hardware.site import Site

MOST_BYTES = 32 << 20  # D: a report with every table full has 2.5 MB
_SEAL = re.compile(r'<meta name="menwei-report" content="([^"]{1,1000000})">')


class NotTrue(Exception):
    """The report does not say what the journal says, or cannot be shown to; `args[0]` says which, in field words."""


def verify(file: Path, site: Site, journal: Path, key: bytes | None, form: Path | None) -> tuple[Seal, int]:
    """The seal of a report that holds, and how many signatures were checked. `key` is the box's public key, None: the
    one beside the journal. Raises NotTrue, BadForm, NoRecords, Trouble, Damaged, OSError."""
    text = _text(file)
    sealed = _sealed(text)
    owner = f"{site.site.id}/{site.site.box}"
    if sealed.site_box != owner:
        raise NotTrue(f"this report is of {sealed.site_box}, the site file of {owner}")
    public = key if key is not None else heads.public_key(journal.parent)
    checked = _checkpoints(sealed, public)
    _journal(journal, sealed, public)
    _compare(text, _anew(sealed, site, journal, form))
    return sealed, len(checked)


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    try:
        return data.decode() if len(data) <= MOST_BYTES else ""
    except UnicodeDecodeError:
        return ""


def _sealed(text: str) -> Seal:
    found = _SEAL.search(text)
    try:
        if found is not None:
            return msgspec.json.decode(html.unescape(found[1]), type=Seal)
    except NOT_JSON:
        pass
    raise NotTrue(
        "this is no report that can be checked: its seal is missing or broken (HTML only; see docs/reports.md)"
    )


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


def _anew(sealed: Seal, site: Site, journal: Path, form: Path | None) -> str:
    month = parse(sealed.month, ZoneInfo(site.site.timezone), sealed.made_ms)
    as_of = AsOf(sealed.up_to_seq, {epoch: note.encode() for epoch, note in sealed.notes.items()})
    report = files.read(site, journal, month, sealed.made_ms, as_of)
    speech = Speech(sealed.language, site, names=sealed.names)
    return page.render(report, layout.tables(report, speech), speech, page.seal(report, speech), form)


def _compare(text: str, anew: str) -> None:
    if text == anew:
        return
    ours, theirs = anew.splitlines(), text.splitlines()
    pairs = zip(theirs, ours, strict=False)
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(ours), len(theirs)))
    both = f"  the file:    {_line(theirs, at)}\n  the journal: {_line(ours, at)}"
    raise NotTrue(
        f"line {at + 1} is not what the journal says.\n{both}\n"
        "Either the file was changed, or the site file, the form or this program is another than when it was made."
    )


def _line(lines: list[str], at: int) -> str:
    return lines[at].strip()[:300] if at < len(lines) else "(nothing)"
