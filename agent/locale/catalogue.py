"""Brings the catalogues up to date: `python -m agent.locale.catalogue`. Needs Babel; the box itself does not.

Extracts every marked text of `agent/web`, `agent/reports` and `agent/doctor`, merges it into each `<language>.po` (a
new text is left empty there, for a person to translate; it says which), and compiles the `.mo` files, the same bytes
for the same texts.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from agent.locale import FOLDER, LANGUAGES

KEYWORDS = {"_": None, "t": None, "mark": None, "gettext": None, "n": (1, 2), "ngettext": (1, 2)}
METHODS = [
    ("web/**.py", "python"),
    ("web/templates/**.html", "jinja2"),
    ("reports/**.py", "python"),
    ("doctor/**.py", "python"),
]
OPTIONS = {"web/templates/**.html": {"trimmed": "true"}}
SOURCE_LANGUAGE = "en"
DATE = datetime(2026, 1, 1, tzinfo=UTC)  # a real date would change the files without a change of text


def extracted() -> Catalog:
    """Every text marked in the sources, sorted, with the files it stands in."""
    found = Catalog(project="menwei", charset="utf-8")
    root = FOLDER.parent
    rows = extract_from_dir(str(root), METHODS, OPTIONS, KEYWORDS, comment_tags=("i18n:",))
    for name, _, text, comments, _ in sorted(rows, key=lambda row: (str(row[2]), row[0])):
        found.add(text, locations=[(f"agent/{name}", None)], auto_comments=comments)  # type: ignore[list-item]
    return found


def stored(language: str) -> Catalog:
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, domain="menwei")


def merged(language: str, template: Catalog) -> Catalog:
    """The stored translations for exactly the texts there are now. Nothing is guessed from similar texts."""
    path = FOLDER / f"{language}.po"
    old = stored(language) if path.exists() else Catalog(locale=language)
    new = Catalog(
        locale=language,
        project="menwei",
        version="1",
        charset="utf-8",
        fuzzy=False,
        creation_date=DATE,
        revision_date=DATE,
    )
    for message in template:
        if message.id:
            known = old.get(message.id)
            text = message.id if language == SOURCE_LANGUAGE else (known.string if known else "")
            new.add(message.id, text, locations=message.locations, auto_comments=message.auto_comments)
    return new


def po_bytes(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalogue, width=120, sort_output=True, omit_header=False, include_lineno=False)
    return out.getvalue()


def mo_bytes(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def untranslated(catalogue: Catalog) -> list[Message]:
    return [message for message in catalogue if message.id and (not _full(message) or message.fuzzy)]


def _full(message: Message) -> bool:
    texts = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
    return all(texts)


def main() -> int:
    """Write every `.po` and `.mo`. 1 when a text is untranslated, after naming it."""
    template = extracted()
    missing = 0
    for language in LANGUAGES:
        catalogue = merged(language, template)
        Path(FOLDER / f"{language}.po").write_bytes(po_bytes(catalogue))
        Path(FOLDER / f"{language}.mo").write_bytes(mo_bytes(catalogue))
        for message in untranslated(catalogue):
            missing += 1
            sys.stderr.write(f"{language}: not translated: {message.id!r}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
