"""Who is inside as it is counted at the assembly point: pupils class by class, everybody else by what they are."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from agent.picture.guard import Guard, Inside

_NUMERALS = str.maketrans("一二三四五六七八九", "123456789")
_DIGITS = re.compile(r"(\d+)")


class Section(msgspec.Struct, frozen=True):
    """People who are counted together. `label` is the class, "" = a pupil whose class the school has not written, or
    nobody of a class."""

    kind: str
    label: str
    people: tuple[Inside, ...]


def everybody(told: Guard) -> tuple[Inside, ...]:
    """Everybody known to be inside, each once: an open visit that came in counts even where its mark is lost."""
    marked = {one.holder for one in told.inside}
    came = (visit for visit in told.visits if visit.came and visit.handle not in marked)
    return (*told.inside, *(Inside(visit.handle, "visitor", visit.from_ms) for visit in came))


def sections(inside: Iterable[Inside]) -> tuple[Section, ...]:
    """Pupils first, by grade and class as a person orders them (2 before 10, 二 before 三), those without a class last
    of them; then the others by kind. Within a section the order is kept."""
    found: dict[tuple[str, str, str], list[Inside]] = {}
    for one in inside:
        found.setdefault((one.kind, one.grade, one.class_), []).append(one)
    ordered = sorted(found, key=lambda key: (key[0] != "pupil", key[0], key[1:] == ("", ""), *map(_natural, key[1:])))
    return tuple(Section(key[0], class_name(key[1], key[2]), tuple(found[key])) for key in ordered)


def class_name(grade: str, class_: str) -> str:
    """What a class is called: 1 and 1-2 are "1-2", 一年级 and 一年级2班 "一年级2班", 1 and 2 "1 2"."""
    rest = class_.removeprefix(grade) if grade and class_.startswith(grade) else ""
    if rest and (not grade[-1].isdigit() or rest[0] in "年级" or not rest[0].isalnum()):
        return class_
    return " ".join(part for part in (grade, class_) if part)


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Numbers by what they amount to."""
    parts = _DIGITS.split(text.translate(_NUMERALS))
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in parts if part)
