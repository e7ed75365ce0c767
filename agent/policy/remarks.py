"""What is allowed in a policy and is probably not meant. It stops no bundle; whoever makes one is told.

A grade is only a text. Written 1 in one file and 一, １ or 1.0 in the other, its pupils are let out by no window.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.core import calendar
from agent.core.policy import Contradiction, Credential, Passage, Policy

SHANGHAI_MIN = 480  # schools' files are written in this zone, without daylight saving since 1991


def remarks(policy: Policy) -> list[Contradiction]:
    """Windows for a grade that no pupil is in, pupils of a grade that no window lets out while others have one, and
    leave slips for a day outside the calendar, of last year or with last year's number in the date."""
    pupils = [one for one in policy.credentials.values() if policy.groups[one.group].kind == "pupil"]
    return [
        *_windows_for_nobody(policy, pupils),
        *_pupils_without_a_window(policy, pupils),
        *_slips_of_another_year(policy),
    ]


def _windows_for_nobody(policy: Policy, pupils: list[Credential]) -> list[Contradiction]:
    grades = {one.grade for one in pupils} - {""}
    cure = f"correct the grade here or in {policy.credentials_file}; pupils are in: {_listed(grades)}"
    said: dict[tuple[str, str], Contradiction] = {}
    for plan in policy.plans.values():
        for window in plan.windows:
            for passage in window.passages:
                source = passage.source or window.source or plan.source or plan.id
                for grade in (grade for grade in passage.grades if grade not in grades):
                    what = f"{window.label or window.kind} of {plan.id} is for grade {grade}, and no pupil is in it"
                    said[source, grade] = Contradiction(source, what, cure)
    return list(said.values())


def _pupils_without_a_window(policy: Policy, pupils: list[Credential]) -> list[Contradiction]:
    """By their group and grade, at the first line of each. A school whose pupils have no way out at all means it."""
    ways = [p for plan in policy.plans.values() for window in plan.windows for p in window.passages]
    out = [way for way in ways if way.direction != "in"]
    kept: dict[tuple[str, str], list[int]] = {}
    for one in pupils:
        kept.setdefault((one.group, one.grade), []).append(one.line)
    lost = {key: lines for key, lines in kept.items() if not any(_lets(way, *key) for way in out)}
    if len(lost) == len(kept):
        return []
    cure = f"correct the grade here or in the day plans; windows are for: {_listed({g for p in out for g in p.grades})}"
    return [
        Contradiction(
            f"{policy.credentials_file}:{min(lines)}",
            f"no window of any plan lets out grade {grade or 'none'}: pupils affected {len(lines)}",
            cure,
        )
        for (_, grade), lines in lost.items()
    ]


def _slips_of_another_year(policy: Policy) -> Iterator[Contradiction]:
    first, last = policy.calendar.first, policy.calendar.last
    for slip in policy.slips.values():
        day, _ = calendar.local(slip.from_ms, SHANGHAI_MIN)
        if not first <= day <= last:
            what = f"{slip.id}: {day} lies outside the calendar ({first} to {last})"
            cure = "correct the date, or the calendar's first and last"
            yield Contradiction(slip.source or f"slip {slip.id}", what, cure)


def _lets(way: Passage, group: str, grade: str) -> bool:
    return (not way.groups or group in way.groups or "pupil" in way.groups) and (not way.grades or grade in way.grades)


def _listed(grades: set[str]) -> str:
    return ", ".join(sorted(grades, key=lambda grade: (len(grade), grade))) or "none"
