"""`docs/records.md` and the core agree: kinds, weights, meanings, and the fields of every record that is made."""

from __future__ import annotations

import re
from pathlib import Path

from test_core_random import play

from agent.core.kinds import MEANING
from agent.core.records import Record

DOC = Path(__file__).parents[2] / "docs" / "records.md"
ROW = re.compile(r"^\| `([a-z_.]+)` \| (\w+) \|(.*)\| (.*) \|$", re.MULTILINE)
FREE = "…"


def rows() -> dict[str, tuple[str, str, str]]:
    return {
        kind: (weight, fields.strip(), meaning) for kind, weight, fields, meaning in ROW.findall(DOC.read_text("utf-8"))
    }


def test_every_kind_is_told_with_its_weight_and_meaning() -> None:
    told = {kind: (weight, meaning) for kind, (weight, _, meaning) in rows().items()}
    assert told == {kind: (weight.value, meaning) for kind, (weight, meaning) in MEANING.items()}


def test_every_record_has_the_fields_that_are_told() -> None:
    fields = {kind: text for kind, (_, text, _) in rows().items()}
    seen: set[str] = set()
    for seed in (3, 5, 8):
        for record in play(seed, 600).records:
            seen.add(record.kind)
            _holds(record, fields[record.kind])
    assert len(seen) > 60


def _holds(record: Record, text: str) -> None:
    if text == FREE:
        return
    names = re.findall(r"`(\w+\??)`", text)
    must = {name for name in names if not name.endswith("?")}
    may = {name.rstrip("?") for name in names}
    assert must <= set(record.data) <= may, f"{record.kind}: {sorted(record.data)} is not {text}"
