"""What people read, by language: gettext catalogues `<language>.po` and, compiled from them, `<language>.mo`.

The `.mo` files are kept in the tree, so that a fresh clone and a box need no compiler; a test holds them to their
sources. English is the language of the source texts. `python -m agent.locale.catalogue` brings all of it up to date.
"""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
LANGUAGES = ("zh_CN", "en")  # the first is the default
DEFAULT = LANGUAGES[0]


def mark(text: str) -> str:
    """Mark a text of a table for the catalogues; it is translated where it is shown."""
    return text


@cache
def load(language: str) -> gettext.GNUTranslations:
    """The catalogue of one of LANGUAGES. An unknown language is the caller's mistake (KeyError)."""
    if language not in LANGUAGES:
        raise KeyError(language)
    with (FOLDER / f"{language}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)
