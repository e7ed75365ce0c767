"""The register maps, checked against frames worked out by hand from the profiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
from sim_gates import Gate, demo_text

from sim.desk import Desk
from sim.frames import RtuFrame, TcpFrame
from sim.units import units_on

Ask: TypeAlias = Callable[[str], str]
"""A PDU as hex → the answer as hex without spaces, "" for silence."""


def asker(gate: Gate, bus: str, unit: int) -> Ask:
    site_bus = next(b for b in gate.world.site.bus if b.name == bus)
    serial = site_bus.kind == "rtu"
    desk = Desk(bus, units_on(gate.world.site, site_bus, gate.world), gate.world, gateway=not serial)

    def ask(pdu_hex: str) -> str:
        pdu = bytes.fromhex(pdu_hex)
        answer = desk.rtu(RtuFrame(unit, pdu)) if serial else desk.tcp(TcpFrame(1, unit, pdu))
        if answer is None:
            return ""
        return (answer.data[1:-2] if serial else answer.data[7:]).hex()

    return ask


@pytest.fixture
def lane(gate: Gate) -> Ask:
    return asker(gate, "plc", 1)


def test_the_lane_at_rest(lane: Ask) -> None:
    assert lane("04 0000 0004") == "0408" + "0001" + "0000" + "0002" + "0002"


def test_a_raise_over_the_wire(gate: Gate, lane: Ask) -> None:
    assert lane("06 0000 0001") == "0600000001"  # heartbeat
    assert lane("06 0001 0005") == "0600010005"  # red light, warning
    gate.world.advance(11.5)
    assert lane("06 0008 0101") == "0600080101"  # raise main-1, token 1
    assert lane("04 0000 0003") == "0406" + "0031" + "0001" + "0104"
    gate.world.advance(11.5 + 4)
    assert lane("04 0002 0001") == "0402" + "0101"
    assert lane("04 0010 0004") == "0408" + "0000" + "0001" + "0000" + "0000"
    assert lane("03 0008 0002") == "0304" + "0101" + "0000"


def test_efo_hold_and_faults_in_the_status_word(gate: Gate, lane: Ask) -> None:
    lane("06 0000 0001")
    lane("06 0009 0203")  # efo main-2, token 2
    assert lane("04 0003 0001") == "0402020c"
    gate.world.advance(10.1)
    assert lane("06 0019 0001") == "0600190001"  # stop main-2
    assert lane("04 0003 0001") == "04020208"
    gate.world.fault("main-2", "drive", {"code": 5})
    assert lane("04 0003 0001") == "04020258"


def test_sensors_estop_and_mode_in_the_lane_word(gate: Gate, lane: Ask) -> None:
    gate.world.vehicle("main", "between")
    assert lane("04 0000 0001") == "04020701"
    gate.world.fault("sensor:main:loop2", "faulty")
    assert lane("04 0000 0001") == "04022501"
    gate.world.vehicle("main", "away")
    gate.world.heal()
    gate.world.mode("main", "local")
    gate.world.mode("main", "estop")
    gate.world.key("lane:main:fire", True)
    assert lane("04 0000 0001") == "0402000e"


def test_what_the_lane_refuses(lane: Ask) -> None:
    assert lane("04 0020 0001") == "8402"
    assert lane("03 000A 0001") == "8302"  # a bollard it does not have
    assert lane("06 000A 0101") == "8602"
    assert lane("06 0018 0003") == "8603"  # no such hold
    assert lane("10 0008 0003 06 0101 0101 0101") == "9002"
    assert lane("01 0000 0001") == "8102"


def test_several_requests_in_one_frame(gate: Gate, lane: Ask) -> None:
    lane("06 0000 0001")
    assert lane("10 0008 0002 04 0103 0103") == "1000080002"
    gate.world.advance(11.5)
    assert lane("04 0002 0002") == "04040109" + "0109"


def test_a_restarting_plc_is_silent_and_comes_back_empty(gate: Gate, lane: Ask) -> None:
    lane("06 0000 0007")
    lane("06 0008 0103")
    gate.world.fault("lane:main", "reboot", {"boot_s": 1.0})
    assert lane("04 0000 0002") == ""
    gate.world.advance(11.0)
    assert lane("04 0000 0002") == "0404" + "0001" + "0000"
    assert lane("03 0008 0001") == "03020000"


def test_a_missing_unit(gate: Gate) -> None:
    assert asker(gate, "plc", 9)("04 0000 0001") == "840b", "the TCP side answers for it"
    assert asker(gate, "cabinet", 9)("01 0000 0001") == "", "nobody is there on a serial line"


def test_the_relay_board(gate: Gate) -> None:
    relays = asker(gate, "cabinet", 1)
    assert relays("01 0000 0008") == "010100"
    assert relays("05 0002 FF00") == "050002ff00"
    assert relays("01 0000 0008") == "010104"
    assert gate.world.lamps["siren"]
    assert relays("0F 0000 0008 01 A1") == "0f00000008"
    assert relays("01 0000 0008") == "0101a1"
    assert relays("05 0000 0001") == "8503"
    assert relays("05 0008 FF00") == "8502"
    assert relays("01 0000 0009") == "8102"
    assert relays("05 0201 0007") == "0502010007"  # relay 1 on for 700 ms
    assert relays("01 0000 0008") == "0101a3"
    gate.world.advance(10.7)
    assert relays("01 0000 0008") == "0101a1"
    relays("05 00FF 0000")
    assert relays("01 0000 0008") == "010100"
    relays("05 01FF FF00")
    assert relays("01 0000 0008") == "0101ff", "a toggle of all really toggles: nobody should send it"


def test_the_analogue_board(gate: Gate) -> None:
    loops = asker(gate, "cabinet", 2)
    gate.world.press("office")
    assert loops("04 0000 0004") == "0408" + "0d16" + "0000" * 3
    assert loops("03 0000 0001") == "8302"
    assert loops("04 0004 0001") == "8402"


CAME = """
[[bus]]
name = "came"
kind = "rtu"
device = "run/tty-came"
baud = 38400
parity = "E"

[[lane]]
id = "yard"
bus = "came"
unit = 3
profile = "came-zlb30b"
monitor_only = true
light_red = "relays:4"
light_green = "relays:5"
buzzer = "relays:6"
warning_lamp = "relays:7"
  [lane.sensors]
  loop1 = "gpio:14"
  [[lane.bollard]]
  id = "yard-1"
  index = 0
"""


def test_a_state_code_controller(gate_from: Callable[[str], Gate]) -> None:
    text = demo_text()
    gate = gate_from(text + CAME)

    came = asker(gate, "came", 3)
    assert came("03 0064 0002") == "0304" + "0010" + "0000"  # 16: open, lowered
    assert came("05 0003 FF00") == "050003ff00"  # close: raise
    assert came("03 0064 0001") == "03020021"
    gate.world.advance(12.0)
    assert came("03 0065 0001") == "03020032"  # half-way
    assert came("05 0000 FF00") == "050000ff00"  # stop
    assert came("03 0064 0001") == "03020013"
    came("05 0003 FF00")
    gate.world.advance(20.0)
    assert came("03 0064 0006") == "030c" + "0011" + "0064" + "0000" + "0000" + "0000" + "0001"
    assert came("05 0001 FF00") == "050001ff00"  # open: lower
    assert came("03 0064 0001") == "03020020"
    assert came("05 0003 0000") == "0500030000", "a coil that is let go does nothing"
    assert came("03 006E 0001") == "8302"
    assert came("05 0008 FF00") == "8502"
    assert came("01 0000 0008") == "010100"
