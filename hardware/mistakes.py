"""What is wrong in a site file, told so that an installer at the gate can mend it: line, key, wrong, right.

A mistake carries the id of its message and the words to fill in; the sentences themselves, in both languages side by
side, stand in `messages.toml`, which is read only when there is a mistake to tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path as File
from typing import Any, Literal, TypeAlias

import msgspec

from hardware.terminals import Path

Language: TypeAlias = Literal["en", "zh_CN"]


class Finding(msgspec.Struct, frozen=True):
    """A mistake before its line is known: the path it is about, the message's id and the words to fill in."""

    path: Path
    code: str
    args: Mapping[str, str]


class Mistake(msgspec.Struct, frozen=True):
    """One mistake of a site file. `line` counts from 1; `key` is the dotted key, tables named by their id."""

    line: int
    key: str
    code: str
    args: Mapping[str, str]

    @property
    def wrong(self) -> str:
        """What is wrong, in English."""
        return self.told("en")[0]

    @property
    def right(self) -> str:
        """What would be right, in English."""
        return self.told("en")[1]

    def told(self, language: Language) -> tuple[str, str]:
        """(what is wrong, what would be right) in a language."""
        wrong, right = messages()[self.code][language]
        return wrong.format_map(self.args), right.format_map(self.args)


@cache
def messages() -> dict[str, dict[str, tuple[str, str]]]:
    """id → language → (wrong, right)."""
    import tomllib

    return tomllib.loads((File(__file__).parent / "messages.toml").read_text("utf-8"))


def found(path: Path, code: str, **words: object) -> Finding:
    """A finding; its words become text."""
    return Finding(path, code, {name: str(word) for name, word in words.items()})


def key_of(data: Mapping[str, Any], path: Path) -> str:
    """The key as people say it: ("lane", 0, "bollard", 1, "index") of the demo is "lane.main.bollard.main-2.index"."""
    said = ""
    here: Any = data
    for step in path:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and step < len(here) else None
            said += _element(here, step)
        else:
            here = here.get(step) if isinstance(here, dict) else None
            said += f".{step}" if said else step
    return said


def _element(element: object, index: int) -> str:
    """An element of a list is called by its id or name; one that has none is counted, from 1 as people do."""
    if isinstance(element, dict):
        name = element.get("id") or element.get("name")
        if isinstance(name, str):
            return f".{name}"
    return f"[{index + 1}]"


def shown(value: object) -> str:
    """A value as it would stand in the file, short enough for one line."""
    text = _spelled(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _spelled(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case dict():
            return "{…}"
        case list():
            return f"[{', '.join(shown(item) for item in value[:3])}{', …' if len(value) > 3 else ''}]"
        case _:
            return str(value)


def nearest(word: str, known: list[str]) -> str:
    """The known word that was most likely meant; "" when none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), known, n=1, cutoff=0.6)), "")
