"""Every promise of `docs/reliability.md` names a test that exists, and its long forms are what `make torture` runs."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
PROMISES = [line for line in PAGE.splitlines() if line.startswith("| ") and "::" in line]


@cache
def named_in(path: str) -> dict[str, bool]:
    """The tests of a file, and whether each is a long one."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {
        node.name: any("mark.torture" in ast.unparse(decorator) for decorator in node.decorator_list)
        for node in functions
        if node.name.startswith("test_")
    }


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_every_test_it_names_is_there(path: str, name: str) -> None:
    assert name in named_in(path)


def test_each_line_of_a_table_of_promises_has_its_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(PROMISES) > 40
    for section in PAGE.split("\n## ")[1:]:
        if section.startswith(("The last figures", "How to run")):
            rows = [row for row in rows if row not in section]
    assert [row for row in rows if "::" not in row] == []


def test_long_forms_are_told_as_long_and_nothing_else_is() -> None:
    for line in PROMISES:
        for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`(?! \(long\))", line):
            assert not named_in(path)[name], f"{name} is a long form"
        for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)` \(long\)", line):
            assert named_in(path)[name], f"{name} is no long form"


def test_every_long_harness_is_on_the_page() -> None:
    told = {name for _, name in NAMED}
    long = {
        name for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name, is_long in named_in(str(path.relative_to(ROOT))).items() if is_long
    }  # fmt: skip
    assert long <= told


def test_both_readmes_point_at_it() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        assert "docs/reliability.md" in (ROOT / name).read_text("utf-8")
