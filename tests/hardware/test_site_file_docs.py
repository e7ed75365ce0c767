"""docs/site-file.md says every key of every table, with the kind and the default that the models have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec.structs
import pytest

from hardware import profiles
from hardware.mistakes import shown
from hardware.shape import header, tables
from hardware.site import Model

DOCS = Path(profiles.__file__).parent.parent / "docs"
ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.+?) \| ?(.*)\|$")


def documented() -> dict[str, dict[str, tuple[str, str]]]:
    """header → key → (kind, default) as the page has them; a heading may name several tables."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    here: list[str] = []
    for line in (DOCS / "site-file.md").read_text("utf-8").split("\n"):
        if line.startswith("## "):
            here = re.findall(r"`([^`]+)`", line)
            found.update({name: {} for name in here})
        row = ROW.match(line)
        if row:
            for name in here:
                found[name][row[1]] = (row[2], row[3])
    return found


def kind_of(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " · ".join(f"`{shown(choice)}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return "list of texts"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[kind]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    return f"`{shown(list(field.default) if isinstance(field.default, tuple) else field.default)}`"


@pytest.mark.parametrize(("names", "model"), [(names, model) for names, (model, _array) in tables().items()])
def test_a_table_is_documented_key_by_key(names: tuple[str, ...], model: type[Model]) -> None:
    fields = [field for field in msgspec.structs.fields(model) if (*names, field.name) not in tables()]
    expected = {field.name: (kind_of(field.type), default_of(field)) for field in fields}
    assert documented().get(header(names), {}) == expected


def test_nothing_is_documented_that_is_not_there() -> None:
    assert set(documented()) <= {header(names) for names in tables()}


def test_every_shipped_profile_of_boards_and_bollards_is_named() -> None:
    page = (DOCS / "site-file.md").read_text("utf-8")
    for kind in ("boards", "bollards", "relays", "analog", "readers"):
        for name in profiles.names(kind):
            assert f"`{name}`" in page
