"""What faults do to answers on the wire, and that every kind in the book does something it says."""

from __future__ import annotations

import pytest
from sim_gates import Gate

from sim.desk import Answer, Desk
from sim.faults import KINDS, Choice, FaultMistake, kinds_for, make
from sim.frames import BadFrame, RtuFrame, TcpFrame, parse_rtu
from sim.units import units_on
from sim.world import UnknownName

READ = bytes.fromhex("04 0000 0004")
BEAT = bytes.fromhex("06 0000 0001")


def desk_of(gate: Gate, bus: str) -> Desk:
    site_bus = next(b for b in gate.world.site.bus if b.name == bus)
    return Desk(bus, units_on(gate.world.site, site_bus, gate.world), gate.world, gateway=site_bus.kind == "tcp")


@pytest.fixture
def plc(gate: Gate) -> Desk:
    return desk_of(gate, "plc")


@pytest.fixture
def cabinet(gate: Gate) -> Desk:
    return desk_of(gate, "cabinet")


def read(desk: Desk, transaction: int = 1) -> Answer | None:
    return desk.tcp(TcpFrame(transaction, 1, READ))


GOOD = TcpFrame(1, 1, bytes.fromhex("04 08 0001 0000 0002 0002")).to_bytes()


def test_no_fault_no_change(plc: Desk) -> None:
    assert read(plc) == Answer(GOOD)


@pytest.mark.parametrize("device", ["lane:main", "bus:plc", "main", "plc"])
def test_dead_is_silent_until_healed(gate: Gate, plc: Desk, device: str) -> None:
    gate.world.fault(device, "dead")
    assert read(plc) is None
    gate.world.heal(device)
    assert read(plc) == Answer(GOOD)


def test_one_dead_lane_leaves_the_other_alive(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:service", "dead")
    assert read(plc) is not None
    assert plc.tcp(TcpFrame(1, 2, READ)) is None


def test_slow_and_late_add_up(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "slow", {"delay_s": 0.1})
    assert read(plc) == Answer(GOOD, delay_s=0.1)
    gate.world.fault("bus:plc", "late_reply", {"delay_s": 0.4})
    assert read(plc) == Answer(GOOD, delay_s=0.5)


def test_one_byte_at_a_time(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "one_byte", {"gap_s": 0.01})
    assert read(plc) == Answer(GOOD, gap_s=0.01)


def test_garbage_and_half_frames(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "garbage")
    garbage = {(read(plc) or Answer(b"")).data for _ in range(10)}
    assert len(garbage) == 10
    assert GOOD not in garbage
    gate.world.heal()
    gate.world.fault("lane:main", "truncated")
    assert read(plc) == Answer(GOOD[: len(GOOD) // 2])


def test_wrong_unit_and_wrong_transaction(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "wrong_unit")
    gate.world.fault("lane:main", "wrong_transaction")
    answer = read(plc, transaction=7)
    assert answer is not None
    assert answer.data[:2] == b"\0\0"
    assert answer.data[6] == 0


def test_an_exception_does_nothing_but_say_no(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "busy")
    answer = plc.tcp(TcpFrame(1, 1, BEAT))
    assert answer is not None
    assert answer.data[7:] == bytes.fromhex("86 06")
    assert gate.world.lanes["main"].beat == 0


def test_a_liar_confirms_what_it_does_not_do(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "lying")
    answer = plc.tcp(TcpFrame(1, 1, BEAT))
    assert answer is not None
    assert answer.data[7:] == BEAT
    assert gate.world.lanes["main"].beat == 0
    many = bytes.fromhex("10 0008 0001 02 0101")
    answer = plc.tcp(TcpFrame(1, 1, many))
    assert answer is not None
    assert answer.data[7:] == many[:5]


def test_a_frozen_lane_tells_the_past(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "frozen")
    plc.tcp(TcpFrame(1, 1, BEAT))
    gate.world.vehicle("main", "between")
    assert read(plc) == Answer(GOOD)
    gate.world.heal()
    assert read(plc) != Answer(GOOD)


def test_frozen_boards_tell_the_past(gate: Gate, cabinet: Desk) -> None:
    coils, loops = RtuFrame(1, bytes.fromhex("01 0000 0008")), RtuFrame(2, bytes.fromhex("04 0000 0004"))
    before = cabinet.rtu(coils), cabinet.rtu(loops)
    gate.world.fault("relays", "frozen")
    gate.world.fault("loops", "frozen")
    gate.world.drive("relays:1", True)
    gate.world.press("office")
    assert (cabinet.rtu(coils), cabinet.rtu(loops)) == before
    gate.world.heal()
    assert cabinet.rtu(coils) != before[0]
    assert cabinet.rtu(loops) != before[1]


def test_a_flipped_bit_is_caught_by_the_check_sum(gate: Gate, cabinet: Desk) -> None:
    gate.world.fault("relays", "bad_check")
    for _ in range(50):
        answer = cabinet.rtu(RtuFrame(1, bytes.fromhex("01 0000 0008")))
        assert answer is not None
        with pytest.raises(BadFrame):
            parse_rtu(answer.data)


def test_a_count_heals_itself(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "exception", {"code": 4, "count": 2})
    answers = [read(plc) for _ in range(3)]
    assert [answer.data[7:9].hex() for answer in answers if answer] == ["8404", "8404", "0408"]
    assert gate.world.faults.all() == []
    gate.world.fault("lane:main", "exception", {"code": 4, "count": 1})
    assert read(plc) != Answer(GOOD)
    assert read(plc) == Answer(GOOD)


def test_a_probability_strikes_about_that_often(gate: Gate, plc: Desk) -> None:
    gate.world.fault("lane:main", "exception", {"p": 0.25})
    struck = sum(read(plc) != Answer(GOOD) for _ in range(400))
    assert 60 < struck < 140, f"{struck} of 400 with seed 7"


def test_a_broadcast_is_done_and_not_answered(gate: Gate, cabinet: Desk) -> None:
    assert cabinet.rtu(RtuFrame(0, bytes.fromhex("05 0001 FF00"))) is None
    assert gate.world.wiring.relays["relays"].state[1]


def test_every_kind_has_a_device_it_can_lie_on(gate: Gate) -> None:
    devices = gate.world.devices()
    for kind in KINDS:
        on = [device for device in devices if kinds_for(device).get(kind.name) is kind]
        assert on, f"{kind.name} lies on nothing"
        fault = gate.world.fault(on[0], kind.name)
        assert set(fault.params) == set(kind.params)
        gate.world.heal()
    assert gate.world.faults.all() == []


@pytest.mark.parametrize(
    ("device", "kind", "params", "field", "valid"),
    [
        ("lane:main", "melted", {}, "kind", "dead"),
        ("lane:main", "slow", {"delay_s": -1}, "delay_s", "a number from 0 to 10"),
        ("lane:main", "slow", {"delay_s": "long"}, "delay_s", "a number from 0 to 10"),
        ("lane:main", "slow", {"delay_s": True}, "delay_s", "a number from 0 to 10"),
        ("lane:main", "slow", {"how": 1}, "how", "delay_s"),
        ("main-1", "stuck_switch", {"switch": "left"}, "switch", "up"),
        ("gatehouse", "dead", {}, "device", "button:gatehouse"),
    ],
)
def test_faults_that_cannot_be(
    gate: Gate, device: str, kind: str, params: dict[str, object], field: str, valid: str
) -> None:
    with pytest.raises(FaultMistake) as caught:
        gate.world.fault(device, kind, params)
    assert caught.value.field == field
    assert valid in caught.value.valid


def test_devices_that_are_not_there(gate: Gate) -> None:
    with pytest.raises(UnknownName, match="bus:plc"):
        gate.world.fault("bus:moon", "dead")


def test_a_bare_name_means_the_one_device_that_can_have_the_fault(gate: Gate) -> None:
    assert gate.world.fault("gatehouse", "stuck_button").device == "button:gatehouse"
    assert gate.world.fault("gatehouse", "lock_stuck").device == "door:gatehouse"


def test_parameters_get_their_defaults() -> None:
    for kind in KINDS:
        device = {"gpio_wire": "gpio:1"}.get(kind.on[0], f"{kind.on[0]}:x" if kind.on[0] != "gpio" else "gpio")
        for name, spec in kind.params.items():
            value = make(device, kind.name, {}).params[name]
            assert value == (spec.words[0] if isinstance(spec, Choice) else spec.default)
