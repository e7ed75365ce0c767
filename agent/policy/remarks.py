"""What is allowed in a policy and is probably not meant. It stops no bundle; whoever makes one is told."""

from __future__ import annotations

from agent.core.policy import Contradiction, Policy


def remarks(policy: Policy) -> list[Contradiction]:
    """Windows for a grade that no pupil is in: written "1" in one file and "一" in the other, nobody is let out."""
    pupils = (one for one in policy.credentials.values() if policy.groups[one.group].kind == "pupil")
    grades = {one.grade for one in pupils} - {""}
    known = ", ".join(sorted(grades, key=lambda grade: (len(grade), grade))) or "none"
    said: dict[tuple[str, str], Contradiction] = {}
    for plan in policy.plans.values():
        for window in plan.windows:
            for passage in window.passages:
                source = passage.source or window.source or plan.source or plan.id
                for grade in passage.grades:
                    if grade not in grades:
                        what = f"{window.label or window.kind} of {plan.id} is for grade {grade}, and no pupil is in it"
                        cure = f"correct the grade here or in {policy.credentials_file}; pupils are in: {known}"
                        said[source, grade] = Contradiction(source, what, cure)
    return list(said.values())
