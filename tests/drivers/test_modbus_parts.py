"""The pure parts of the bus: which bytes answer what, how long frames take, how a silent unit is treated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modbus_peers import crc

from drivers import modbus_wire as wire
from drivers.modbus_gate import Lane
from drivers.modbus_units import PROBE_EVERY_S, PROBE_QUIET_S, PROBE_S, Unit, quiet_s
from hardware import site

ASK = wire.ask_words(1, wire.READ_INPUT, 0, 4)
PDU = bytes.fromhex("04 08 00 01 00 02 00 03 00 04")
RTU = b"\x01" + PDU + crc(b"\x01" + PDU)
TCP = bytes.fromhex("00 07 00 00 00 0B 01") + PDU


@given(st.binary(max_size=300))
def test_our_check_sum_is_the_specification_s(data: bytes) -> None:
    assert wire.crc16(data) == crc(data)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_serial_answer_is_found_among_noise(before: bytes, after: bytes) -> None:
    found = wire.find_rtu(before + RTU + after, ASK)
    assert found.frame == RTU


@given(st.integers(0, len(RTU) - 1))
def test_a_serial_answer_is_not_taken_before_it_is_whole(size: int) -> None:
    assert wire.find_rtu(RTU[:size], ASK).frame == b""


@given(st.integers(0, len(RTU) * 8 - 1))
def test_one_wrong_bit_and_it_is_no_answer(bit: int) -> None:
    broken = bytearray(RTU)
    broken[bit // 8] ^= 1 << bit % 8
    assert wire.find_rtu(bytes(broken), ASK).frame == b""


@given(st.binary(max_size=300))
def test_noise_alone_is_never_an_answer_of_a_write(noise: bytes) -> None:
    """Against chance stand the whole echo and the check sum: eight bytes that must fit."""
    ask = wire.ask_write(1, wire.WRITE_REGISTER, 8, 0x0501)
    found = wire.find_rtu(noise, ask)
    assert found.frame == b"" or found.frame[1] == 0x86  # an exception is four fixed bits of chance more


@given(
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 255), st.binary(min_size=1, max_size=12)), max_size=5),
    st.booleans(),
)
def test_only_the_frame_with_number_unit_and_shape_answers_on_tcp(
    others: list[tuple[int, int, bytes]], there: bool
) -> None:
    frames = [
        number.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu
        for number, unit, pdu in others
        if number != 7
    ]
    found = wire.find_tcp(b"".join(frames) + (TCP if there else b""), ASK, 7)
    assert found.frame == (TCP if there else b"")
    assert not found.broken


@given(st.integers(0, len(TCP) - 1))
def test_a_tcp_answer_in_parts(size: int) -> None:
    assert wire.find_tcp(TCP[:size], ASK, 7) == wire.NOTHING


def test_a_stream_out_of_step_is_known_for_it() -> None:
    assert wire.find_tcp(b"HTTP/1.1 400 Bad Request\r\n", ASK, 7).broken
    assert not wire.find_tcp(TCP, ASK, 8).broken


def test_exceptions_answer_too() -> None:
    frame = b"\x01\x84\x02" + crc(b"\x01\x84\x02")
    assert wire.find_rtu(frame, ASK).frame == frame
    assert wire.find_rtu(b"\x01\x83\x02" + crc(b"\x01\x83\x02"), ASK).frame == b""


def test_frame_times_at_9600_baud() -> None:
    """A two-bollard poll 29 ms and a single write 24 ms, silences included, as the reference map was sized for."""
    timing = wire.line_timing(site.Bus(name="b", kind="rtu", baud=9600))
    assert timing.frame_s(ASK) * 1000 == pytest.approx(29, abs=0.5)
    assert timing.frame_s(wire.ask_write(1, wire.WRITE_REGISTER, 8, 1)) * 1000 == pytest.approx(24, abs=0.5)


# ── a unit's health ─────────────────────────────────────────────────────────────────────────────────────────────────


def unit(*, heard: bool = True) -> Unit:
    made = Unit(timeout_s=0.2, paced=True)
    if heard:
        made.answered(1.0, 0.005)
    return made


def test_a_unit_never_heard_is_silent_after_one_failure_and_a_known_one_after_three() -> None:
    new, known = unit(heard=False), unit()
    new.failed(0.0, noisy=False)
    assert new.silent
    judged = []
    for _ in range(3):
        known.failed(0.0, noisy=False)
        judged.append(known.silent)
    known.answered(1.0, 0.01)
    assert [*judged, known.silent] == [False, False, True, False]
    assert known.silent_since is None


def test_a_disturbed_line_is_not_a_missing_unit() -> None:
    new = unit(heard=False)
    new.failed(0.0, noisy=True)
    assert not new.silent


@pytest.mark.parametrize("lane", [Lane.LEVEL, Lane.POLL])
def test_a_silent_unit_is_probed_every_two_seconds(lane: Lane) -> None:
    silent = unit(heard=False)
    silent.tried(10.0)
    silent.failed(10.0, noisy=False)
    assert not silent.may_try(10.0 + PROBE_EVERY_S - 0.01, lane)
    assert silent.may_try(10.0 + PROBE_EVERY_S, lane)
    assert silent.silent_since == 10.0


def test_stops_reach_a_silent_unit_more_often_but_leave_room_for_others() -> None:
    silent = unit(heard=False)
    silent.tried(10.0)
    silent.failed(10.0, noisy=False)
    assert not silent.may_try(10.2, Lane.EMERGENCY)
    assert silent.may_try(10.3, Lane.EMERGENCY)


def test_a_probe_is_over_in_its_time_silence_included() -> None:
    silent = unit(heard=False)
    silent.failed(0.0, noisy=False)
    wait_s = silent.patience_s(is_write=False)
    assert wait_s + quiet_s(was_probe=True, worst_s=0.2, paced=True) <= PROBE_S
    assert wait_s + PROBE_QUIET_S <= PROBE_S


@given(st.floats(0, 1), st.booleans(), st.booleans(), st.booleans())
def test_patience_stays_within_the_site_s_time_out(worst: float, heard: bool, is_write: bool, paced: bool) -> None:
    known = Unit(timeout_s=0.2, paced=paced, heard=heard, worst_s=worst)
    assert 0.06 <= known.patience_s(is_write) <= 0.2


def test_one_slow_answer_is_forgotten() -> None:
    known = unit()
    known.answered(1.0, 0.15)
    for _ in range(200):
        known.answered(1.0, 0.002)
    assert known.worst_s < 0.01
