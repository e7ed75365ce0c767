"""What is wrong at the gate, since when, and what to do about it: from the picture, in words, worst first.

The rule that matters: whatever the picture does not know is a finding too. `verdict` says "all right" only when this
list holds nothing but remarks, and a test blanks every measured field in turn to prove it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from agent.picture import Picture
from agent.web.findings import box, lanes, people, school
from agent.web.findings.finding import AREAS, Finding, Weight
from agent.web.words import Words
from hardware.site import Site

__all__ = ["AREAS", "Finding", "Verdict", "Weight", "findings", "glance", "verdict"]

_PARTS = (
    ("panic", people.panic),
    ("panic", people.asked),
    ("fire", people.fire),
    ("devices", box.devices),
    ("lanes", lanes.lanes),
    ("doors", people.doors),
    ("panic", people.buttons),
    ("devices", box.outputs),
    ("power", box.supplies),
    ("uplink", box.paths),
    ("uplink", box.given_up),
    ("journal", box.journal),
    ("devices", box.clock),
    ("devices", box.machine),
    ("school", school.posts),
    ("school", school.today),
    ("school", school.book),
)


def findings(picture: Picture, site: Site, words: Words) -> tuple[Finding, ...]:
    """Everything worth telling, worst first, in the order of the site file within one weight."""
    found = [replace(finding, area=area) for area, part in _PARTS for finding in part(picture, site, words)]
    return tuple(sorted(found, key=lambda finding: -finding.weight))


def glance(picture: Picture, found: tuple[Finding, ...]) -> dict[str, str]:
    """area → "ok", "warning", "fault", "alarm", or "unknown" where a lost device hides it and nothing worse is told."""
    hidden = {_AREA_OF.get(thing.partition(":")[0], "devices") for thing in _hidden(picture)}
    shown = {}
    for area in AREAS:
        worst = max((finding.weight for finding in found if finding.area == area), default=Weight.REMARK)
        blind = area in hidden and worst < Weight.ALARM
        shown[area] = "unknown" if blind else "ok" if worst is Weight.REMARK else worst.word
    return shown


def _hidden(picture: Picture) -> Iterator[str]:
    for device in picture.devices:
        if device.up is not True:
            yield from device.takes
    yield from (f"lane:{lane.id}" for lane in picture.lanes if lane.lost)


_AREA_OF = {
    "lane": "lanes",
    "light": "lanes",
    "lanekeys": "lanes",
    "lock": "doors",
    "contact": "doors",
    "rex": "doors",
    "reader": "doors",
    "button": "panic",
    "fire": "fire",
    "key": "fire",
    "mains": "power",
    "battery": "power",
    "tamper": "power",
}


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
