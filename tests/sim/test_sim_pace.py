"""How long a serial line takes, counted and not waited for."""

from __future__ import annotations

import pytest

from sim.frames import LineTimes, Pace


def test_characters_at_9600_baud() -> None:
    pace = Pace.of(9600)
    assert pace.char_s == pytest.approx(0.00104167, abs=1e-8)
    assert pace.silence_s == pytest.approx(0.00364583, abs=1e-8)
    assert pace.frame_s(8) == pytest.approx(0.00833333, abs=1e-8)


def test_parity_and_stop_bits_cost_time() -> None:
    assert Pace.of(38_400, "E").char_s == pytest.approx(11 / 38_400)
    assert Pace.of(9600, "N", 2).char_s == pytest.approx(11 / 9600)


def test_the_silence_is_fixed_above_19200_baud() -> None:
    assert Pace.of(19_200).silence_s == pytest.approx(35 / 19_200)
    assert Pace.of(38_400).silence_s == Pace.of(115_200).silence_s == 0.00175


def test_one_exchange() -> None:
    line = LineTimes(Pace.of(9600))
    assert line.arrive(100.0, 8) == pytest.approx(100.0 + 80 / 9600)
    start = line.frame_end()
    assert start == pytest.approx(100.0 + 115 / 9600)
    assert line.reply(start, 13) == pytest.approx(start + 130 / 9600)


def test_what_is_written_while_the_line_is_busy_waits_for_it() -> None:
    line = LineTimes(Pace.of(9600))
    line.arrive(100.0, 8)
    assert line.arrive(100.001, 8) == pytest.approx(100.0 + 160 / 9600), "characters queue behind each other"
    end = line.reply(line.frame_end(), 13)
    assert line.arrive(end - 0.005, 1) == pytest.approx(end + 10 / 9600)
