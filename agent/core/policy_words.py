"""What msgspec has against an entry of the policy, in field words, with the place nearest to it and what is allowed
there. For people who never saw a `$.windows[0].passages[0].direction`."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import msgspec

from agent.core.policy import Contradiction

Step: TypeAlias = str | int
_PATH = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_VALUE = re.compile(r"Invalid enum value (.*)")
_TYPE = re.compile(r"Expected `(\w+)(?:[ |].*)?`, got `(\w+)`")
_NO_DATE = "Invalid RFC3339 encoded date"
_LENGTH = re.compile(r"Expected `array` of length (\d+), got (\d+)")
_NO_KEYS = frozenset({"source", "sources", "line"})  # written by the tool, not by the office
_OFFICE = {"windows": "window", "passages": "passage", "terms": "term"}  # as the office's files call them
_KINDS = {
    "str": ("a text", 'write it in quotes, "1" for example'),
    "int": ("a whole number", "write it without quotes, 5 for example"),
    "bool": ("yes or no", "write true or false, without quotes"),
    "array": ("a list", 'write it in brackets, ["1", "2"] for example'),
    "object": ("a table", "write it as docs/policy.md shows"),
}


def told(error: Exception, raw: Any, kind: type[msgspec.Struct], source: str) -> Contradiction:
    """`raw` is what was read, `kind` what it should have been, `source` where it stands as a whole."""
    text = str(error)
    at = _PATH.search(text)
    steps = _steps(at[1]) if at is not None else []
    bare = text[: at.start()] if at is not None else text
    if bare == _NO_DATE:
        return Contradiction(
            _nearest(raw, steps) or source, f"“{_value(raw, steps)}” is no date", "write it as 2026-09-01"
        )
    return _told(bare, steps, kind, _nearest(raw, steps) or source)


def _told(text: str, steps: list[Step], kind: type[msgspec.Struct], source: str) -> Contradiction:
    name = next((step for step in reversed(steps) if isinstance(step, str)), "it")
    if found := _UNKNOWN.fullmatch(text):
        return Contradiction(source, f"there is no key “{found[1]}” here", f"the keys are: {_keys(kind, steps)}")
    if found := _MISSING.fullmatch(text):
        return Contradiction(source, f"{found[1]} is missing", f"the keys are: {_keys(kind, steps)}")
    if found := _VALUE.fullmatch(text):
        return Contradiction(source, f"{name}: {found[1]} is not allowed", f"write one of: {_words(kind, steps)}")
    if found := _TYPE.fullmatch(text):
        wanted, cure = _KINDS.get(found[1], (found[1], "write it as docs/policy.md shows"))
        return Contradiction(source, f"{name} must be {wanted}", cure)
    if found := _LENGTH.fullmatch(text):
        return Contradiction(source, f"{name} must be {found[1]} values and has {found[2]}", "write each of them")
    return Contradiction(source, f"{name}: {text.replace('`', '')}", "write it as docs/policy.md shows")


def _steps(path: str) -> list[Step]:
    """`.windows[0].doors[...]` as keys and numbers; "..." is a key of a table that msgspec does not name."""
    found = [(name, number) for name, number in _STEP.findall(path)]
    return [name or (int(number) if number.isdigit() else -1) for name, number in found]


def _nearest(raw: Any, steps: list[Step]) -> str:
    """The source of the innermost table on the way that has one, "" where none has."""
    source = ""
    for step in [None, *steps]:
        try:
            raw = raw if step is None else raw[step]
        except (KeyError, IndexError, TypeError):
            break
        here = raw.get("source") if isinstance(raw, dict) else None
        source = here if isinstance(here, str) and here else source
    return source


def _value(raw: Any, steps: list[Step]) -> Any:
    for step in steps:
        raw = raw[step]
    return raw


def _type_at(kind: type[msgspec.Struct], steps: list[Step]) -> Any:
    """What msgspec expects at the end of the way."""
    from msgspec import inspect

    at: Any = inspect.type_info(kind)
    for step in steps:
        if isinstance(at, inspect.StructType):
            at = next((field.type for field in at.fields if field.encode_name == step), None)
        elif isinstance(at, inspect.DictType):
            at = at.value_type
        else:
            at = getattr(at, "item_type", None)
    return at


def _keys(kind: type[msgspec.Struct], steps: list[Step]) -> str:
    fields = getattr(_type_at(kind, steps), "fields", ())
    return ", ".join(_OFFICE.get(one.encode_name, one.encode_name) for one in fields if one.encode_name not in _NO_KEYS)


def _words(kind: type[msgspec.Struct], steps: list[Step]) -> str:
    return ", ".join(repr(word) for word in getattr(_type_at(kind, steps), "values", ()) if word)
