"""From the text of a site file to its values, past every slip of the pen on the way.

`tomllib` stops at the first error. Here the line it stops at is noted and set aside, and the rest is read again, so
that an installer learns of every broken line at once. A line that makes no sense of what follows ends the reading.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from hardware.shape import SCRATCH, header, tables
from hardware.terminals import Path
from hardware.toml_lines import Lines, Statement, locate

REPAIRS_MAX = 30  # D: a file with more broken lines than this is not a site file

_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*(?:=|$)")
_BEGINS_ANEW = re.compile(r"\s*(\[\[?[A-Za-z0-9_.-]+\]|[A-Za-z0-9_-]+\s*=)")
_FULL_WIDTH = re.compile(r"[“”‘’＝，。；：［］【】｛｝＃]")
_MEANING = (  # what tomllib's sentences mean to someone who never read the TOML specification
    (re.compile(r"Cannot overwrite a value"), "syntax_twice"),
    (re.compile(r"Cannot (declare|mutate|redefine)"), "syntax_twice"),
    (re.compile(r"Expected '=' after"), "syntax_no_equals"),
    (re.compile(r"Unterminated string|Illegal character '\\n'"), "syntax_quote"),
    (re.compile(r"Unclosed (array|inline table)"), "syntax_unclosed"),
    (re.compile(r"Expected '\]{1,2}' at the end"), "syntax_header"),
    (re.compile(r"Invalid value"), "syntax_value"),
    (re.compile(r"Expected newline or end of document"), "syntax_trailing"),
    (re.compile(r"Invalid statement|Invalid initial character"), "syntax_statement"),
)


@dataclass
class Parsed:
    """The values of a file, where they stand, and what was set aside.

    `slips` are (line, message id, words). `broken` are the keys they cost; () among them says that more is lost than
    can be named, so that what is absent may have been there.
    """

    data: dict[str, Any] = field(default_factory=dict)
    lines: Lines = field(default_factory=Lines)
    slips: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)


def parse(text: str) -> Parsed:
    """Read TOML past its slips. Never raises."""
    repair = _Repair(text)
    for _ in range(REPAIRS_MAX):
        try:
            repair.parsed.data = tomllib.loads(repair.text)
            break
        except RecursionError:
            repair.stop(repair.row_with_most("[{"), "syntax_nested")
        except ValueError as error:  # tomllib's own errors, and Python's refusal of endless integers
            repair.mend(str(error))
    else:
        repair.parsed.broken.add(())
    repair.parsed.lines = locate(repair.text)
    return repair.parsed


class _Repair:
    """The text on its way to be read. A set-aside line stays as an empty one, so that line numbers hold."""

    def __init__(self, text: str) -> None:
        self.parsed = Parsed()
        self.rows = text.split("\n")
        self.cut_off = not text.endswith("\n")
        for statement in locate(text).statements:
            if statement.header:
                self._mend_brackets(statement)

    @property
    def text(self) -> str:
        return "\n".join(self.rows)

    def stop(self, line: int, code: str, **words: object) -> None:
        """Note a slip that makes the rest of the file unreadable, and set aside all of it."""
        self._note(line, code, **words)
        self.parsed.broken.update({(), locate(self.text).table_at(line)})
        self.rows[line - 1 :] = [""] * (len(self.rows) - line + 1)

    def row_with_most(self, letters: str) -> int:
        """The line that has most of these letters: where tomllib does not say, it choked there."""
        return 1 + max(range(len(self.rows)), key=lambda i: sum(self.rows[i].count(letter) for letter in letters))

    def mend(self, error: str) -> None:
        """Note what tomllib could not read and set it aside."""
        line = self._line_of(error)
        lines = locate(self.text)
        statement = lines.covering(line)
        row = self.rows[line - 1]
        if statement and statement.first < line:
            self._mend_unclosed(statement, lines)
        elif self.cut_off and line == len(self.rows):
            self.stop(line, "file_cut_off", row=row.strip())
        elif not row.strip():
            self.stop(line, "syntax_other", row="")
        elif row.lstrip().startswith("["):
            self._mend_header(line, error, statement)
        else:
            self._set_aside(line, error, lines, statement)

    def _line_of(self, error: str) -> int:
        if "digits" in error:
            return self.row_with_most("0123456789")
        at = _AT_LINE.search(error)
        last = max(i for i, row in enumerate(self.rows, 1) if row.strip() or i == 1)
        return min(int(at[1]), last) if at else last

    def _mend_unclosed(self, statement: Statement, lines: Lines) -> None:
        """An array or string that runs on into other lines. When the next line begins anew, only this one is lost."""
        following = next((row for row in self.rows[statement.first :] if row.strip()), "[")
        if statement.header or not _BEGINS_ANEW.match(following):
            self.stop(statement.first, "syntax_unclosed", row=self.rows[statement.first - 1].strip())
        else:
            self._set_aside(statement.first, "Unclosed array", lines, statement)

    def _set_aside(self, line: int, error: str, lines: Lines, statement: Statement | None) -> None:
        row = self.rows[line - 1]
        self._note(line, _code(error, row), row=row.strip())
        self.rows[line - 1] = ""
        if "Cannot" in error:
            return  # the first of the two stays and is good
        key = _KEY.match(row)
        path = statement.path if statement else (*lines.table_at(line), key[1]) if key else None
        if path:
            self.parsed.broken.add(path)

    def _mend_brackets(self, statement: Statement) -> None:
        """[lane] for [[lane]] and the like: note it and go on with the right brackets."""
        row = self.rows[statement.first - 1].strip()
        right = header(statement.path)
        if _names(statement.path) in tables() and row.startswith("[[") != right.startswith("[["):
            self._note(statement.first, "header_brackets", row=row, header=right)
            self.rows[statement.first - 1] = right

    def _mend_header(self, line: int, error: str, statement: Statement | None) -> None:
        """A header that cannot be read: guess it, or set its table aside so that its keys fall into no other."""
        row = self.rows[line - 1]
        self._note(line, _code(error, row), row=row.strip())
        known = statement is not None and _names(statement.path) in tables()
        right = header(statement.path) if statement and known else ""
        if right and right != row.strip() and "Cannot" not in error:
            self.rows[line - 1] = right
            return
        self.rows[line - 1] = f'["\\u{ord(SCRATCH):04x}{line}"]'
        if not right:
            self.parsed.broken.add(())

    def _note(self, line: int, code: str, **words: object) -> None:
        self.parsed.slips.append((line, code, {name: str(word) for name, word in words.items()}))


def _code(error: str, row: str) -> str:
    if _FULL_WIDTH.search(re.sub(r'"[^"]*"', "", row)):
        return "syntax_full_width"
    return next((code for pattern, code in _MEANING if pattern.search(error)), "syntax_other")


def _names(path: Path) -> tuple[str, ...]:
    return tuple(step for step in path if isinstance(step, str))
