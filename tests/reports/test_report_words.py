"""Every word of a closed vocabulary that can come into a report has a text, in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from report_scenes import ZONE, site_in

from agent.core import campus_commands, drill, duty_days, shunt, visits
from agent.core.kinds import WEIGHT
from agent.picture import HOPS
from agent.reports.gather import campus, coverage, devices, duty
from agent.reports.layout import Speech
from agent.reports.layout.campus import BECAUSE, exit_word, why_word
from agent.reports.layout.lanes import OUT
from agent.reports.layout.panic import ENDED, HOP
from agent.reports.layout.proof import SIGNATURE, UNKNOWN
from agent.reports.layout.speech import GROUP
from agent.reports.layout.things import _device
from agent.reports.make import _Books
from agent.reports.model import DeviceSpan
from agent.reports.month import Month
from agent.web.choices import CONSENT, DRILL_REASON, HAZARD, PURPOSE, VISIT_KIND

REASONS = {
    "access.let_out": campus_commands.EXIT_REASONS,
    "command:card_ban": campus_commands.BAN_REASONS,
    "command:shift_day": campus_commands.DAY_REASONS,
    "command:swap_day": campus_commands.DAY_REASONS,
    "door.shunted": shunt.REASONS,
}
CODE = re.compile(r"[a-z]+[_.:][a-z_.:]*")


@pytest.fixture(params=["zh_CN", "en"])
def speech(request: pytest.FixtureRequest, tmp_path: Path) -> Speech:
    return Speech(request.param, site_in(tmp_path), names=True)


def said(words: Iterable[str], speech: Speech) -> None:
    for word in words:
        assert word and not CODE.fullmatch(word), word
        assert speech.w.language == "en" or re.search("[一-鿿]", word), word


def test_reasons_have_words(speech: Speech) -> None:
    for kind, reasons in REASONS.items():
        said((why_word(kind, reason, speech) for reason in reasons), speech)
    assert DRILL_REASON.keys() == drill.REASONS


def test_a_reason_is_of_its_own_list(speech: Speech) -> None:
    """A card that was lost is no lane that cannot be read, and a day moved for an illness has no patient."""
    assert why_word("command:card_ban", "lost", speech) == speech.t("lost") != speech.why("lost")
    assert why_word("command:shift_day", "illness", speech) == speech.t("wave of illness")
    assert why_word("access.let_out", "illness", speech) == speech.t("ill")


@pytest.mark.parametrize(
    ("kind", "why", "text"),
    [
        ("lane.fault", "plc", "its controller reports a fault"),
        ("lane.fault", "reversals", "was turned round twice in a row"),
        ("lane.unasked", "unasked", "moved and nobody had asked"),
        ("path.down", "nobody listens at 10.0.0.9:1", "nobody listens at 10.0.0.9:1"),
    ],
)
def test_a_fault_in_the_log_of_devices_has_its_own_words(kind: str, why: str, text: str, speech: Speech) -> None:
    """A controller that reports a fault has turned nothing round."""
    span = DeviceSpan(thing="lane:main", kind=kind, why=why, from_ms=0, to_ms=60_000, ms=60_000, end="", ref=(1, 1))
    told = _device(span, speech)
    assert speech.w.reason(speech.t(text)) in told and speech.why("plc") not in told


def test_kinds_have_words(speech: Speech) -> None:
    kinds = {*duty.LINES, *devices.BEGINS, *coverage._TROUBLES} - {"journal.ok"}
    assert kinds <= WEIGHT.keys(), kinds - WEIGHT.keys()
    said((speech.kind(kind) for kind in kinds), speech)
    exits = {*campus.EXITS, *(f"command:{verb}" for verb in campus.CHANGES)}
    said((exit_word(kind, speech) for kind in exits), speech)


def test_vocabularies_are_whole(speech: Speech) -> None:
    assert HAZARD.keys() == duty_days.HAZARDS
    assert VISIT_KIND.keys() == visits.KINDS and PURPOSE.keys() == visits.PURPOSES and CONSENT.keys() == visits.CONSENTS
    assert set(HOPS) == HOP.keys()
    for table in (HAZARD, VISIT_KIND, PURPOSE, CONSENT, HOP, BECAUSE, OUT, ENDED, UNKNOWN, SIGNATURE, GROUP):
        said((speech.of(table, value) for value in table), speech)


def test_every_kind_that_is_gathered_is_one(tmp_path: Path) -> None:
    gathered = _Books(site_in(tmp_path), Month(2026, 9, ZONE)).kinds
    assert gathered <= WEIGHT.keys(), gathered - WEIGHT.keys()
