"""What is wrong at the gate, since when, and what to do about it: from the picture, in words, worst first.

The rule that matters: whatever the picture does not know is a finding too. `verdict` says "all right" only when this
list holds nothing but remarks, and a test blanks every measured field in turn to prove it.
"""

from __future__ import annotations

import msgspec

from agent.picture import Picture
from agent.web.findings import box, lanes, people
from agent.web.findings.finding import Finding, Weight
from agent.web.words import Words
from hardware.site import Site

__all__ = ["Finding", "Verdict", "Weight", "findings", "verdict"]

_PARTS = (
    people.panic,
    people.fire,
    box.devices,
    lanes.lanes,
    people.doors,
    people.buttons,
    box.outputs,
    box.supplies,
    box.paths,
    box.journal,
    box.clock,
)


def findings(picture: Picture, site: Site, words: Words) -> tuple[Finding, ...]:
    """Everything worth telling, worst first, in the order of the site file within one weight."""
    found = [finding for part in _PARTS for finding in part(picture, site, words)]
    return tuple(sorted(found, key=lambda finding: -finding.weight))


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The one look: `state` is "lost", "alarm", "fault", "warning" or "ok" and fixes colour and sign."""

    state: str
    title: str
    text: str = ""
    since: int | None = None


def verdict(picture: Picture, found: tuple[Finding, ...], w: Words) -> Verdict:
    """Is the gate all right? Made from the findings alone, so that it can never contradict them."""
    worst = found[0] if found else None
    serious = sum(1 for finding in found if finding.weight >= Weight.WARNING)
    if worst is None or worst.weight == Weight.REMARK:
        return Verdict(state="ok", title=w.t("The gate is all right"), text=w.t("Everything is measured and answers."))
    if picture.panic.latched:
        return Verdict(state="alarm", title=w.t("PANIC ALARM"), text=worst.text, since=picture.panic.since)
    if picture.fire.latched:
        return Verdict(state="alarm", title=w.t("FIRE"), text=worst.text)
    text = w.n("%(n)s thing needs attention", "%(n)s things need attention", serious)
    match worst.weight:
        case Weight.ALARM:
            title = w.t("Alarm at the gate")
        case Weight.FAULT:
            title = w.t("Something does not work")
        case _:
            title = w.t("The gate works, with remarks")
    return Verdict(state=worst.weight.word, title=title, text=text, since=worst.since)
