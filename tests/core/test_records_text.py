"""The one way records write the time and their bytes."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from agent.core.events import Now
from agent.core.log import Log
from agent.core.records import encode, utc_text
from agent.core.words import ClockTrust


def test_instants_are_written_in_utc_with_milliseconds() -> None:
    assert utc_text(0) == "1970-01-01T00:00:00.000Z"
    assert utc_text(1_788_247_800_125) == "2026-09-01T07:30:00.125Z"
    seed = 20260901
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(2000):
        wall_ms = rng.randrange(0, 4_102_444_800_000)
        plain = datetime.fromtimestamp(wall_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        assert utc_text(wall_ms) == f"{plain}.{wall_ms % 1000:03d}Z"


def test_a_clock_before_1970_is_still_a_time() -> None:
    assert utc_text(-1) == "1969-12-31T23:59:59.999Z"


def test_the_pen_numbers_records_and_writes_canonical_bytes() -> None:
    log = Log(Now(1.5, 1_788_247_800_125, ClockTrust.HOLDOVER), "school/gate-1", "b", 3, 41)
    assert log.add("note", "box", {"b": 1, "a": "门"}) == (3, 41)
    assert log.add("note", "box", cause=(3, 41)) == (3, 42)
    assert encode(log.records[0]).decode() == (
        '{"actor":"box","at":"2026-09-01T07:30:00.125Z","boot":"b","cause":null,"clock":"holdover",'
        '"data":{"a":"门","b":1},"epoch":3,"kind":"note","mono_ns":1500000000,"seq":41,'
        '"site_box":"school/gate-1","subject":"box"}'
    )


def test_a_float_is_no_value_of_a_record() -> None:
    log = Log(Now(1.5, 0, ClockTrust.TRUSTED), "s/b", "b", 1, 1)
    log.add("note", "box", {"nested": [{"x": 1.5}]})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="float"):
        encode(log.records[0])
