"""What strangers wrote, where a person reads it: on a terminal, in a log, in an office program's table. Letters only,
nothing that a terminal obeys or a table carries out.

A control character could clear the screen, recolour it, write over what stands above, or begin a line that looks like
one of ours; a character that turns the direction of writing makes a line read as another.
"""

from __future__ import annotations

import logging
from typing import Any, TextIO, cast

MOST_MESSAGE = 2000  # D: characters; a far side's error may be as long as it likes
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))  # C0, DEL and C1: Unicode 16, 23.1 (V)
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # UAX #9, table 1 (V)
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_BREAKS = ("\t", "\r", "\n")
_LINE = dict.fromkeys((*_CONTROLS, *_TURNS), "\N{REPLACEMENT CHARACTER}")
_TEXT = {code: text for code, text in _LINE.items() if code not in (0x09, 0x0A)}


def line(text: str) -> str:
    """On one line."""
    return text.translate(_LINE)


def cell(text: str) -> str:
    """A cell of a CSV file, with an apostrophe before what an office program would take for a formula. Some pass over
    blanks before it, and those of East Asia take the wide signs too (OWASP, "CSV Injection", S)."""
    return f"'{text}" if text.startswith(_BREAKS) or text.lstrip().startswith(_FORMULA) else text


class Formatter(logging.Formatter):
    """One message, one line; the traceback of a bug of ours keeps its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the base class calls it so
        return line(super().formatMessage(record))[:MOST_MESSAGE]


class Screen:
    """A terminal that shows what it is given and obeys none of it. What goes to a file or another program stays as it
    is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.translate(_TEXT))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def screen(stream: TextIO) -> TextIO:
    """The stream, behind a `Screen` where it is a terminal."""
    return cast(TextIO, Screen(stream)) if stream.isatty() else stream
