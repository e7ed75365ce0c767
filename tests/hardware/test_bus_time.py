"""The arithmetic of a serial bus, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware import bus_time, profiles
from hardware.loader import load
from hardware.site import Bollard, Bus, Lane, Site

SITES = Path(profiles.__file__).parent / "sites"


def rtu(baud: int = 9600, parity: str = "N", stop_bits: int = 1) -> Bus:
    return Bus(name="b", kind="rtu", device="/dev/x", baud=baud, parity=parity, stop_bits=stop_bits)  # type: ignore[arg-type]


def lane(bollards: int, profile: str = "reference-plc") -> Lane:
    fitted = tuple(Bollard(id=f"b{i}", index=i) for i in range(bollards))
    return Lane(id="main", bus="b", unit=1, profile=profile, bollard=fitted)


@pytest.mark.parametrize(("bus", "bits"), [(rtu(), 10), (rtu(parity="E"), 11), (rtu(stop_bits=2), 11)])
def test_bits_of_a_character(bus: Bus, bits: int) -> None:
    assert bus_time.char_s(bus) == pytest.approx(bits / 9600)


def test_silence_is_in_characters_up_to_19200_baud_and_fixed_above() -> None:
    assert bus_time.silence_s(rtu(9600)) == pytest.approx(0.003646, abs=1e-6)
    assert bus_time.silence_s(rtu(19200)) == pytest.approx(0.001823, abs=1e-6)
    assert bus_time.silence_s(rtu(19200, "E")) == pytest.approx(0.002005, abs=1e-6)
    assert bus_time.silence_s(rtu(38400)) == 0.00175


def test_a_poll_of_two_bollards_takes_29_ms_on_the_wire() -> None:
    poll_s = bus_time.lane_poll_s(rtu(), lane(2), profiles.bollard("reference-plc"))
    assert poll_s - bus_time.TURNAROUND_S == pytest.approx(0.029, abs=0.0005)


def test_a_poll_of_a_state_code_controller_reads_ten_registers() -> None:
    bus = rtu(38400, "E")
    poll_s = bus_time.lane_poll_s(bus, lane(1, "came-zlb30b"), profiles.bollard("came-zlb30b"))
    assert poll_s == pytest.approx((8 + 25) * 11 / 38400 + 2 * 0.00175 + 0.005)


def test_the_bench_bus_keeps_its_sensors_fresh_with_a_dead_unit() -> None:
    site, _ = load(SITES / "bench-rtu.toml")
    assert site is not None
    age_s = bus_time.oldest_reading_s(site, site.bus[0])
    polls_s = 2 * 0.0321 + (8 + 6) * 10 / 9600 + 7 * 10 / 9600 + 0.005 + (8 + 13) * 10 / 9600 + 7 * 10 / 9600 + 0.005
    writes_s = 2 * ((16 + 7) * 10 / 9600 + 0.005)
    probe_s = 8 * 10 / 9600 + 0.040
    assert age_s == pytest.approx(polls_s + writes_s + probe_s, abs=0.0005)
    assert age_s < bus_time.FRESH_S


def test_a_slower_bus_reads_later() -> None:
    site, _ = load(SITES / "bench-rtu.toml")
    assert site is not None
    ages = [
        bus_time.oldest_reading_s(_with_baud(site, baud), _with_baud(site, baud).bus[0]) for baud in (9600, 4800, 2400)
    ]
    assert ages == sorted(ages) and ages[1] > bus_time.FRESH_S


def _with_baud(site: Site, baud: int) -> Site:
    from msgspec.structs import replace

    return replace(site, bus=(replace(site.bus[0], baud=baud),))
