"""`menwei doctor`: a live self-test in field words: what is wrong, where to look, what to do.

It moves nothing and writes nothing. What could not be looked at is a finding, never "all well".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from agent.doctor import looks
from agent.link import ControlAway, ask_once
from agent.locale import mark
from agent.picture import Picture, decode
from agent.web.findings import Finding, Weight, findings, glance
from agent.web.words import AREA, CONTROL_AWAY, Words
from hardware import places
from hardware.site import Site

OK, WRONG = 0, 1
ANSWER_S = 3.0  # D: as long as a person waits before thinking that it hangs
MARKS = {Weight.REMARK: "·", Weight.WARNING: "!", Weight.FAULT: "✗", Weight.ALARM: "✗"}
WEIGHT = {
    Weight.REMARK: mark("remark"),
    Weight.WARNING: mark("warning"),
    Weight.FAULT: mark("fault"),
    Weight.ALARM: mark("alarm"),
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One self-test: what is worth telling, worst first, and what was looked at and found well."""

    ok: bool
    site: str
    box: str
    findings: tuple[Finding, ...]
    well: tuple[str, ...]


def run(site: Site, *, as_json: bool, language: str) -> int:
    """Print the self-test. 0 when all is well; 1 when something is wrong, or could not be looked at."""
    w = Words(language, site)
    told = asyncio.run(examine(site, w))
    print(msgspec.json.encode(told).decode() if as_json else "\n".join(lines(told, w)))
    return OK if told.ok else WRONG


async def examine(site: Site, w: Words) -> Told:
    """Look at everything. Never raises for what is wrong with the box: that is what it is asked for."""
    seen: list[Finding | str] = []
    try:
        picture = await _picture(site)
    except ControlAway as error:
        seen.append(_away(w.reason(str(error)), w))
    except (KeyError, msgspec.ValidationError):
        seen.append(_away(w.of(CONTROL_AWAY, "unreadable"), w))
    else:
        seen += _of_picture(picture, site, w)
        seen += await asyncio.to_thread(list, looks.journal(picture, site, w))
    for look in (looks.pages(site, w), looks.certificates(site, w, datetime.now(UTC)), looks.secrets(site, w)):
        seen += await asyncio.to_thread(list, look)
    found = sorted((one for one in seen if isinstance(one, Finding)), key=lambda one: -one.weight)
    return Told(
        ok=all(one.weight == Weight.REMARK for one in found),
        site=site.site.id,
        box=site.site.box,
        findings=tuple(found),
        well=tuple(one for one in seen if isinstance(one, str)),
    )


async def _picture(site: Site) -> Picture:
    answer = await ask_once(places.control_socket(site), {"op": "state"}, timeout_s=ANSWER_S)
    return decode(answer["state"])


def _away(why: str, w: Words) -> Finding:
    return Finding(
        area="devices",
        weight=Weight.FAULT,
        text=w.t("The box's control program does not answer"),
        advice=w.t("See its last words: journalctl -u menwei-control; it starts with systemctl start menwei-control."),
        check="menwei-control",
        detail=why,
    )


def _of_picture(picture: Picture, site: Site, w: Words) -> Iterator[Finding | str]:
    """What control measures and commands, as the status page tells it."""
    found = findings(picture, site, w)
    yield from found
    yield from (w.t(AREA[area]) for area, state in glance(picture, found).items() if state == "ok")


# ── on a terminal ──────────────────────────────────────────────────────────────────────────────────────────────────


def lines(told: Told, w: Words) -> Iterator[str]:
    """What is wrong comes first, then what is well, then the one look."""
    yield f"{told.site}/{told.box}"
    for one in told.findings:
        yield f"{MARKS[one.weight]} {w.t(WEIGHT[one.weight])}  {one.text}"
        yield from (f"    {text}" for text in (one.detail, one.advice, _where(one, w)) if text)
    yield from (f"✓ {text}" for text in told.well)
    serious = sum(1 for one in told.findings if one.weight != Weight.REMARK)
    yield w.t("All is well.") if told.ok else w.n("%(n)s thing needs attention", "%(n)s things need attention", serious)


def _where(one: Finding, w: Words) -> str:
    return w.t("Look at: %(where)s", where=one.check) if one.check else ""
