"""From the values of a TOML file to a `Site`: every key that is missing, unread or of the wrong kind is a finding.

A site is made even from a bad file, with a harmless stand-in for each key that is broken, so that the cross-checks can
still speak about the rest. `broken` names those keys; what a check says about one of them is not believed.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec.structs

from hardware.mistakes import Finding, found, nearest, shown
from hardware.site import Model, Site
from hardware.terminals import Path

STAND_IN = "?"  # stands for a text that is missing or broken; no id, bus or profile can be called that
SCRATCH = "\x1a"  # begins the names of tables that the syntax repair sets aside; nobody types that
_NOT_A_KEY: dict[type[Model], tuple[str, ...]] = {Site: ("folder",)}


class _Broken:
    """A value that could not be read; a finding tells why."""


_BROKEN = _Broken()


class Shape:
    """One reading of a file's values. Afterwards `findings` and `broken` tell what was wrong with it."""

    def __init__(self, broken: set[Path]) -> None:
        self.findings: list[Finding] = []
        self.broken = broken

    def site(self, data: Mapping[str, Any]) -> Site:
        """The site, with stand-ins where `broken` says so."""
        kept = {key: value for key, value in data.items() if not key.startswith(SCRATCH)}
        site = self._table(Site, kept, ())
        assert isinstance(site, Site)
        return site

    def _table(self, model: type[Model], raw: Mapping[str, Any], path: Path) -> Model:
        self._unread(model, raw, path)
        values: dict[str, Any] = {}
        for name, (kind, required) in keys(model).items():
            if name in raw:
                value = self._value(kind, raw[name], (*path, name))
                if value is not _BROKEN:
                    values[name] = value
                    continue
                self.broken.add((*path, name))
            elif required:
                self._missing(kind, (*path, name))
            if required:
                values[name] = self._stand_in(kind, (*path, name))
        return model(**values)

    def _missing(self, kind: Any, path: Path) -> None:
        if () not in self.broken and not doubted(path, self.broken):
            code = "missing_table" if _is_model(kind) or _item(kind) not in (None, str) else "missing_key"
            self.findings.append(found(path, code, key=path[-1], header=header(path), example=_example(path, kind)))
        self.broken.add(path)

    def _unread(self, model: type[Model], raw: Mapping[str, Any], path: Path) -> None:
        for key in raw:
            if key not in keys(model):
                self.findings.append(_unread_key(model, key, (*path, key)))

    def _stand_in(self, kind: Any, path: Path) -> Any:
        """A harmless value for a required key that is missing or broken."""
        if _is_model(kind):
            quiet = Shape(self.broken)
            return quiet._table(kind, {}, path)
        if _item(kind) is not None:
            return ()
        if get_origin(kind) is Literal:
            return get_args(kind)[0]
        return {str: STAND_IN, int: -1, float: math.nan, bool: False}[kind]

    # ── values ──

    def _value(self, kind: Any, raw: Any, path: Path) -> Any:
        if get_origin(kind) in (UnionType, Union):
            kind = next(part for part in get_args(kind) if part is not type(None))
        if _is_model(kind):
            return self._one_table(kind, raw, path)
        item = _item(kind)
        if item is str:
            return self._texts(raw, path)
        if item is not None:
            return self._tables(item, raw, path)
        return self._scalar(kind, raw, path)

    def _one_table(self, model: type[Model], raw: Any, path: Path) -> Any:
        if isinstance(raw, dict):
            return self._table(model, raw, path)
        return self._wrong(path, "want_table", raw, header=header(path))

    def _tables(self, model: type[Model], raw: Any, path: Path) -> Any:
        if not isinstance(raw, list) or not all(isinstance(element, dict) for element in raw):
            return self._wrong(path, "want_tables", raw, header=header(path))
        return tuple(self._table(model, element, (*path, i)) for i, element in enumerate(raw))

    def _texts(self, raw: Any, path: Path) -> Any:
        if isinstance(raw, list) and all(isinstance(text, str) for text in raw):
            return tuple(raw)
        return self._wrong(path, "want_texts", raw, key=path[-1])

    def _scalar(self, kind: Any, raw: Any, path: Path) -> Any:
        if get_origin(kind) is Literal:
            return self._choice(get_args(kind), raw, path)
        if kind is str and isinstance(raw, str):
            return raw
        if kind is bool and isinstance(raw, bool):
            return raw
        if kind is int and isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        if kind is float and isinstance(raw, int | float) and not isinstance(raw, bool) and _finite(raw):
            return float(raw)
        if kind is str and isinstance(raw, datetime.date):
            return self._wrong(path, "date_bare", raw)
        return self._wrong(
            path, {str: "want_text", bool: "want_bool", int: "want_whole", float: "want_number"}[kind], raw
        )

    def _choice(self, choices: tuple[Any, ...], raw: Any, path: Path) -> Any:
        if type(raw) in (str, int) and raw in choices:
            return raw
        said = ", ".join(shown(choice) for choice in choices)
        near = nearest(raw, [str(choice) for choice in choices]) if isinstance(raw, str) else ""
        if near:
            return self._wrong(path, "want_choice_near", raw, choices=said, near=near)
        return self._wrong(path, "want_choice", raw, choices=said)

    def _wrong(self, path: Path, code: str, raw: Any, **words: object) -> _Broken:
        self.findings.append(found(path, code, value=shown(raw), **words))
        return _BROKEN


def doubted(path: Path, broken: set[Path]) -> bool:
    """Whether a key, or a table around it, is among the broken ones. The file as a whole (()) does not count."""
    return any(path[:end] in broken for end in range(1, len(path) + 1))


# ── what the models know ──


@cache
def keys(model: type[Model]) -> dict[str, tuple[Any, bool]]:
    """Key → (its type, whether it must be there), as a site file may have it."""
    hidden = _NOT_A_KEY.get(model, ())
    fields = msgspec.structs.fields(model)
    return {field.name: (field.type, field.required) for field in fields if field.name not in hidden}


@cache
def tables() -> dict[tuple[str, ...], tuple[type[Model], bool]]:
    """Every table a site file may have, by the names of its header → (its model, whether it is an array [[…]])."""
    return dict(_tables_of(Site, ()))


def _tables_of(
    model: type[Model], names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[type[Model], bool]]]:
    for key, (kind, _required) in keys(model).items():
        inner = next((part for part in (kind, *get_args(kind)) if _is_model(part)), None)
        if inner is not None:
            yield (*names, key), (inner, _item(kind) is not None)
            yield from _tables_of(inner, (*names, key))


def header(path: Path) -> str:
    """How the header of the table at a path is written: "[[lane.bollard]]", "[site]"."""
    names = tuple(step for step in path if isinstance(step, str))
    said = ".".join(names)
    return f"[[{said}]]" if names in tables() and tables()[names][1] else f"[{said}]"


def _unread_key(model: type[Model], key: str, path: Path) -> Finding:
    near = nearest(key, list(keys(model)))
    if near:
        return found(path, "unread_near", key=key, near=near)
    homes = [names for names, (other, _array) in tables().items() if key in keys(other)]
    if homes:
        return found(path, "unread_elsewhere", key=key, home=" ".join(header(names) for names in homes))
    return found(path, "unread", key=key, known=", ".join(keys(model)))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Model)


def _item(kind: Any) -> Any:
    """X of tuple[X, ...]; None for any other type."""
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _finite(number: float) -> bool:
    """Neither inf, nan nor an integer beyond any float."""
    return abs(number) < 1e15


def _example(path: Path, kind: Any) -> str:
    """What a line with the missing key would look like."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    values = {str: '"…"', int: "1", float: "1.0", bool: "true"}
    value = shown(choices[0]) if choices else values.get(kind, "[…]")
    return f"{path[-1]} = {value}"
