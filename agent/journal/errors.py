"""What can be wrong with a journal file: it lies (Damaged), or the disk will not take it now (Trouble)."""

from __future__ import annotations

import errno
import sqlite3

_FULL_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DAMAGED_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_WORDS = {
    sqlite3.SQLITE_FULL: "the card is full",
    sqlite3.SQLITE_READONLY: "the card has become read-only",
    sqlite3.SQLITE_CANTOPEN: "the journal file cannot be opened",
    sqlite3.SQLITE_IOERR: "the card does not take what is written to it",
    sqlite3.SQLITE_BUSY: "the journal file is held by another program",
    sqlite3.SQLITE_LOCKED: "the journal file is held by another program",
    sqlite3.SQLITE_PERM: "the journal file may not be written by this user",
    sqlite3.SQLITE_NOMEM: "the box is out of memory",
}
# What SQLite's module raises on a file that lies: UnicodeError where even the name of a table is garbage.
FILE_ERRORS = (sqlite3.Error, OSError, UnicodeError)


class Damaged(Exception):
    """The file cannot prove that it continues. `args[0]` says why in field words."""


class Trouble(Exception):
    """The disk refuses for now; try again. `full`: it has no room."""

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


JOURNAL_ERRORS = (Damaged, Trouble, *FILE_ERRORS)
"""All that whoever reads a journal may meet."""


def told(error: sqlite3.Error | OSError | UnicodeError) -> Damaged | Trouble:
    """The same error in our two kinds."""
    if isinstance(error, UnicodeError):
        return Damaged("the journal file is damaged (garbage where text should be)")
    if isinstance(error, OSError):
        return Trouble(f"the card refuses: {error.strerror or error}", full=error.errno in _FULL_ERRNO)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED_CODES:
        return Damaged(f"the journal file is damaged ({error})")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return Damaged(f"the journal file already holds other records ({error})")
    words = _WORDS.get(code, "the journal file cannot be written")
    return Trouble(f"{words} ({error})", full=code == sqlite3.SQLITE_FULL)
