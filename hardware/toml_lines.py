"""On which line a TOML file says what. `tomllib` reads the values but forgets where they stood.

`locate` never fails: on a broken file it says what it can, so that a mistake can be shown beside a half-written table.
It reads structure only (headers, keys, brackets, quotes); whether the file is TOML is `tomllib`'s word.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

from hardware.terminals import Path

_BARE = re.compile(r"[^\s=.\[\]{}\"'#,]+")
_SPACE = re.compile(r"[ \t\r]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_DEPTH_LIMIT = 64  # tomllib gives up on deeper nesting too; here it only bounds the recursion


@dataclass(frozen=True, slots=True)
class Statement:
    """One header or one key with its value: the lines it covers and the path it speaks of. `header` tells which."""

    first: int
    last: int
    path: Path
    header: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """Line numbers from 1. `at` has every path the file mentions, at its first mention."""

    at: dict[Path, int] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)

    def of(self, path: Path) -> int:
        """The line of a path, or of the nearest table around it; 1 when the file mentions none of them."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.at:
                return self.at[path[:end]]
        return 1

    def covering(self, line: int) -> Statement | None:
        """The statement that a line belongs to; None on an empty line, a comment or before the first one."""
        for statement in reversed(self.statements):
            if statement.first <= line:
                return statement if line <= statement.last else None
        return None

    def table_at(self, line: int) -> Path:
        """The table that a new key on this line would fall into; () at the top of the file."""
        for statement in reversed(self.statements):
            if statement.header and statement.first <= line:
                return statement.path
        return ()


def locate(text: str) -> Lines:
    """Where everything in a TOML text stands. Lines end with a line feed, as in TOML."""
    return _Scan(text).run()


class _Scan:
    """One pass over the text. `table` is the table in force; `counts` numbers the elements of arrays of tables."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.breaks = [i for i, letter in enumerate(text) if letter == "\n"]
        self.lines = Lines()
        self.table: Path = ()
        self.counts: dict[Path, int] = {}

    def run(self) -> Lines:
        while self._skip(_GAP) < len(self.text):
            start = self.pos
            if self.text.startswith("[", start):
                self._header()
            else:
                self._pair(self.table, keep=True)
            self._skip(_REST_OF_LINE)
            assert self.pos > start, "a statement takes at least one letter, or the scan would not end"
        return self.lines

    # ── statements ──

    def _header(self) -> None:
        first = self._line()
        array = self.text.startswith("[[", self.pos)
        self.pos += 2 if array else 1
        names = self._dotted()
        if not names:
            return
        self.table = self._resolve(names, array)
        self._note(self.table, first)
        self.lines.statements.append(Statement(first, self._line(), self.table, header=True))

    def _resolve(self, names: list[str], array: bool) -> Path:
        """The path a header means: it goes through the newest element of every array of tables on the way."""
        path: Path = ()
        for name in names[:-1]:
            path = self._newest((*path, name))
        path = (*path, names[-1])
        if not array:
            return self._newest(path)
        self.lines.at.setdefault(path, self._line())
        self.counts[path] = self.counts.get(path, -1) + 1
        return (*path, self.counts[path])

    def _newest(self, path: Path) -> Path:
        return (*path, self.counts[path]) if path in self.counts else path

    def _pair(self, table: Path, keep: bool = False, depth: int = 0) -> None:
        """`key = value` at the current position, in a table or an inline table."""
        first = self._line()
        names = self._dotted()
        path = (*table, *names)
        if names:
            self._note(path, first)
        self._skip(_SPACE)
        if self.text.startswith("=", self.pos):
            self.pos += 1
            self._skip(_SPACE)
            self._value(path, depth)
        if keep and names:
            self.lines.statements.append(Statement(first, self._line(), path, header=False))

    # ── values ──

    def _value(self, path: Path, depth: int) -> None:
        letter = self.text[self.pos : self.pos + 1]
        if letter in ("'", '"'):
            self._string()
        elif letter == "[" and depth < _DEPTH_LIMIT:
            self._array(path, depth + 1)
        elif letter == "{" and depth < _DEPTH_LIMIT:
            self._inline_table(path, depth + 1)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path, depth: int) -> None:
        self.pos += 1
        index = 0
        while not self._closed("]"):
            start = self.pos
            self.lines.at.setdefault((*path, index), self._line())
            self._value((*path, index), depth)
            index += 1
            self._comma(start)

    def _inline_table(self, path: Path, depth: int) -> None:
        self.pos += 1
        while not self._closed("}"):
            start = self.pos
            self._pair(path, depth=depth)
            self._comma(start)

    def _closed(self, bracket: str) -> bool:
        """Step over white space and comments; True at the closing bracket (taken) or at the end of the text."""
        if self._skip(_GAP) >= len(self.text):
            return True
        if self.text.startswith(bracket, self.pos):
            self.pos += 1
            return True
        return False

    def _comma(self, start: int) -> None:
        """Step over a comma. A letter that no value could begin with is stepped over too, so that every scan ends."""
        self._skip(_GAP)
        if self.text.startswith(",", self.pos) or self.pos == start:
            self.pos += 1

    def _string(self) -> None:
        """Step over a string of any of the four kinds; an unclosed one-line string ends with its line."""
        quote = self.text[self.pos]
        triple = quote * 3
        end = triple if self.text.startswith(triple, self.pos) else quote
        self.pos += len(end)
        while self.pos < len(self.text):
            if self.text.startswith(end, self.pos):
                self.pos += len(end)
                while end == triple and self.text.startswith(quote, self.pos):
                    self.pos += 1  # up to two quotes may stand before the closing three
                return
            letter = self.text[self.pos]
            if letter == "\n" and end == quote:
                return
            escape = letter == "\\" and quote == '"' and not self.text.startswith("\n", self.pos + 1)
            self.pos += 2 if escape else 1

    # ── small steps ──

    def _dotted(self) -> list[str]:
        """A dotted key at the current position, dots and spaces taken; empty when there is none."""
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.pos : self.pos + 1] in ("'", '"'):
                names.append(self._quoted())
            elif found := _BARE.match(self.text, self.pos):
                names.append(found[0])
                self.pos = found.end()
            self._skip(_SPACE)
            if not self.text.startswith(".", self.pos):
                return names
            self.pos += 1

    def _quoted(self) -> str:
        start = self.pos
        self._string()
        inner = self.text[start + 1 : max(start + 1, self.pos - 1)]
        return inner if self.text[start] == "'" or "\\" not in inner else _unescape(inner)

    def _note(self, path: Path, line: int) -> None:
        """Remember a path and, for a dotted key, the tables it makes on the way."""
        for end in range(1, len(path) + 1):
            self.lines.at.setdefault(path[:end], line)

    def _skip(self, what: re.Pattern[str]) -> int:
        found = what.match(self.text, self.pos)
        if found:
            self.pos = found.end()
        return self.pos

    def _line(self) -> int:
        return bisect_right(self.breaks, self.pos - 1) + 1


def _unescape(inner: str) -> str:
    """A quoted key with escapes, as TOML means it; as written when it is not valid."""
    import tomllib

    try:
        value = tomllib.loads(f'key = "{inner}"')["key"]
    except tomllib.TOMLDecodeError:
        return inner
    return value if isinstance(value, str) else inner
