"""The line locator finds what `tomllib` reads, where a text editor would show it, and never stumbles."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware import profiles
from hardware.terminals import Path as Keys
from hardware.toml_lines import locate

FOLDER = Path(profiles.__file__).parent
ODD = '''\
top = 1
a.b."c.d" = 2  # [not] = a table
[x.y]
text = """
[not.a.header]
k = 1
"""
raw = \'\'\'it''s
k = 2\'\'\'\'
list = [  # one
  1,
  "a]",
  [2, 3],

  { p = 1, q = { r = 2 } },
]
[[x.rows]]
k = 1
  [[x.rows.inner]]
  k = 1
  [[x.rows.inner]]
  k = 2
[[x.rows]]
"quoted \\u0041" = 1
  [x.rows.deep.er]
  k = 3
  [[x.rows.inner]]
  k = 4
when = 2026-01-01 10:00:00
'''


def paths_of(value: Any, path: Keys = ()) -> Iterator[Keys]:
    """Every path that tomllib reads."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for step, inner in items:
        yield (*path, step)
        yield from paths_of(inner, (*path, step))


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.toml")), ids=lambda path: path.name)
def test_every_key_of_the_shipped_files_is_found(path: Path) -> None:
    text = path.read_text("utf-8")
    found = locate(text).at
    rows = text.split("\n")
    for keys in paths_of(tomllib.loads(text)):
        assert keys in found
        if isinstance(keys[-1], str):
            assert keys[-1] in rows[found[keys] - 1]


def test_odd_but_right_toml() -> None:
    lines = locate(ODD)
    assert set(paths_of(tomllib.loads(ODD))) <= set(lines.at)

    def line(*path: str | int) -> int:
        return lines.at[path]

    assert line("a", "b", "c.d") == 2
    assert line("x", "y", "text") == 4
    assert line("x", "y", "raw") == 8
    assert line("x", "y", "list", 1) == 12
    assert line("x", "y", "list", 3, "q", "r") == 15
    assert line("x", "rows", 0, "inner", 1, "k") == 22
    assert line("x", "rows", 1, "quoted A") == 24
    assert line("x", "rows", 1, "deep", "er", "k") == 26
    assert line("x", "rows", 1, "inner", 0, "k") == 28
    assert line("x", "rows", 1, "inner", 0, "when") == 29


def test_what_is_missing_is_looked_for_at_its_table() -> None:
    lines = locate(ODD)
    assert lines.of(("x", "rows", 1, "absent")) == 23
    assert lines.of(("x", "rows", 0, "inner", 0, "absent", "too")) == 19
    assert lines.of(("absent",)) == 1


def test_statements_and_tables_by_line() -> None:
    lines = locate(ODD)
    inside = lines.covering(13)
    assert inside is not None and (inside.first, inside.last, inside.path) == (10, 16, ("x", "y", "list"))
    assert lines.covering(14) == inside
    assert lines.table_at(20) == ("x", "rows", 0, "inner", 0)
    assert lines.table_at(1) == ()
    assert lines.covering(3) is not None


KEY = st.text("abcxyz01-_", min_size=1, max_size=5)
SCALAR = st.sampled_from(["1", "-2.5", "true", '"a # b"', "'c]'", '"""\nline\n"""', "2026-01-01", '"\\"}"'])
ENTRY = st.tuples(KEY, st.one_of(SCALAR, st.lists(SCALAR, max_size=3)), st.integers(0, 2))


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Keys, int]]:
    """A TOML text of arrays of tables, and the line on which it was written that each key stands."""
    rows: list[str] = []
    expected: dict[Keys, int] = {}
    for name in draw(st.lists(KEY, unique=True, max_size=4)):
        for index in range(draw(st.integers(1, 3))):
            rows += ["# = [x]"] * draw(st.integers(0, 2)) + [f"  [[ {name} ]] # k = 1"]
            expected[name, index] = len(rows)
            for key, value, blank in draw(st.lists(ENTRY, unique_by=lambda entry: entry[0], max_size=4)):
                rows += [""] * blank
                expected[name, index, key] = len(rows) + 1
                rows += _written(key, value).split("\n")
    return "\n".join(rows), expected


def _written(key: str, value: str | list[str]) -> str:
    if isinstance(value, str):
        return f"{key} = {value}  # ]"
    return f"{key} = [ # [\n" + "".join(f"  {item},\n" for item in value) + "]"


@given(documents())
@settings(max_examples=150, deadline=None)
def test_lines_are_where_they_were_written(document: tuple[str, dict[Keys, int]]) -> None:
    text, expected = document
    lines = locate(text)
    assert set(paths_of(tomllib.loads(text))) <= set(lines.at)
    assert {path: lines.at[path] for path in expected} == expected


@given(st.text("ab.[]{}\"'=,#\\ \n\r\t1", max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_text_makes_it_stumble_and_right_text_is_found_whole(text: str) -> None:
    lines = locate(text)
    count = text.count("\n") + 1
    assert all(1 <= line <= count for line in lines.at.values())
    assert all(1 <= s.first <= s.last <= count for s in lines.statements)
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    if "\r" not in text:  # tomllib takes a carriage return only before a line feed; the loader removes those first
        assert set(paths_of(read)) <= set(lines.at)
