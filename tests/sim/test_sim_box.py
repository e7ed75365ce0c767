"""Doors, buttons, keys, supplies, lamps and wires of the simulated box."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sim_gates import Gate, demo_text

from sim.pinbank import INPUT, OUTPUT, PULL_DOWN, PULL_OFF, PULL_UP, PinBank
from sim.world import UnknownName


def lines(gate: Gate, no: int = 17, nc: int = 27) -> tuple[bool, bool]:
    """(NO, NC) of the gatehouse button as levels, pulled up as the agent does."""
    pins = gate.world.wiring.pins
    pins.set_pull(no, PULL_UP)
    pins.set_pull(nc, PULL_UP)
    return pins.level(no), pins.level(nc)


def line_of(gate: Gate) -> str:
    return gate.world.buttons["gatehouse"].line


def locked(gate: Gate, door: str) -> bool:
    return gate.world.doors[door].locked


def test_a_pair_tells_four_states_apart(gate: Gate) -> None:
    assert lines(gate) == (True, False)
    gate.world.press("gatehouse", hold_s=0.3)
    assert lines(gate) == (False, True)
    gate.world.advance(10.3)
    assert lines(gate) == (True, False)
    gate.world.line("gatehouse", "cut")
    assert lines(gate) == (True, True)
    gate.world.press("gatehouse")
    assert lines(gate) == (True, True), "a cut line carries no press"
    gate.world.line("gatehouse", "shorted")
    assert lines(gate) == (False, False)
    gate.world.line("gatehouse", "normal")
    assert lines(gate) == (False, True)
    assert gate.told("line", "gatehouse") == ["pressed", "normal", "cut", "shorted", "pressed"]


@pytest.mark.parametrize(("wire", "rest", "pressed"), [("no", "normal", "cut"), ("nc", "cut", "pressed")])
def test_one_cut_wire_of_a_pair(gate: Gate, wire: str, rest: str, pressed: str) -> None:
    gate.world.fault("button:gatehouse", "cut", {"wire": wire})
    assert line_of(gate) == rest
    gate.world.press("gatehouse")
    assert line_of(gate) == pressed


def test_a_loop_in_the_middle_of_its_windows(gate: Gate) -> None:
    def office() -> int:
        return gate.world.wiring.millivolts("loops")[0]

    assert office() == 5050
    gate.world.press("office")
    assert office() == 3350
    gate.world.line("office", "cut")
    assert office() == 9500
    gate.world.line("office", "shorted")
    assert office() == 750
    gate.world.line("office", "normal")
    gate.world.release("office")
    gate.world.fault("loops", "drift", {"mv": 900})
    assert office() == 5950, "in no window: disagree"


def test_a_stuck_button(gate: Gate) -> None:
    gate.world.fault("button:gatehouse", "stuck", {"state": "released"})
    gate.world.press("gatehouse")
    assert gate.told("line") == []
    gate.world.heal()
    assert gate.told("line") == ["pressed"], "the finger is still on it"
    gate.world.fault("button:gatehouse", "stuck_button")
    gate.world.release("gatehouse")
    assert gate.told("line") == ["pressed"]


def test_chatter_bounces_and_settles(gate: Gate) -> None:
    gate.world.fault("button:gatehouse", "chatter", {"bounces": 5, "over_s": 0.02})
    gate.world.press("gatehouse", hold_s=0.3)
    gate.world.advance(10.1)
    assert len(gate.told("line")) == 11
    assert line_of(gate) == "pressed"
    gate.world.advance(11.0)
    assert len(gate.told("line")) == 22
    assert line_of(gate) == "normal"


def test_a_loose_contact_glitches_by_itself_and_a_press_still_ends(gate: Gate) -> None:
    gate.world.fault("button:gatehouse", "chatter", {"every_s": 1.0})
    gate.world.advance(15.5)
    assert gate.told("line") == ["pressed", "normal"] * 5
    gate.world.press("gatehouse", hold_s=3.0)
    gate.world.advance(20.0)
    assert not gate.world.buttons["gatehouse"].finger


def test_the_same_seed_bounces_the_same(gate_from: Callable[[str], Gate]) -> None:
    def bounces() -> list[float]:
        gate = gate_from(demo_text())
        gate.world.fault("button:gatehouse", "chatter")
        gate.world.press("gatehouse")
        gate.world.advance(11.0)
        return [change.at_s for change in gate.changes]

    assert bounces() == bounces()


def test_locks_by_their_kind(gate: Gate) -> None:
    assert (locked(gate, "wicket"), locked(gate, "gatehouse")) == (False, True), (
        "without power one fails safe, the other secure"
    )
    gate.world.drive("gpio:16", True)
    gate.world.drive("relays:0", True)
    assert (locked(gate, "wicket"), locked(gate, "gatehouse")) == (True, False)
    assert gate.told("lock") == [True, False]


def test_people_open_what_the_lock_lets_them(gate: Gate) -> None:
    gate.world.drive("gpio:16", True)
    assert gate.world.door("wicket", True, "outside") == "locked"
    assert not gate.world.doors["wicket"].open
    assert gate.world.door("wicket", True, "inside") == "", "from inside of an evacuation way anyone leaves"
    gate.world.door("wicket", False)
    assert gate.world.door("gatehouse", True, "inside") == "locked", "no evacuation way"
    gate.world.drive("relays:0", True)
    assert gate.world.door("gatehouse", True, "outside", for_s=2.0) == ""
    gate.world.advance(12.1)
    assert not gate.world.doors["gatehouse"].open, "it falls shut"
    assert gate.told("forced") == []


def test_force_opens_anything_and_is_witnessed(gate: Gate) -> None:
    assert gate.world.door("gatehouse", True) == ""
    assert gate.told("forced") == [True]
    assert gate.told("door", "gatehouse") == [True]


def test_a_door_contact_and_its_faults(gate: Gate) -> None:
    assert gate.world.closed("gpio:20")
    gate.world.door("wicket", True)
    assert not gate.world.closed("gpio:20")
    gate.world.fault("door:wicket", "contact_stuck")
    assert gate.world.closed("gpio:20")
    gate.world.heal()
    assert not gate.world.closed("gpio:20")
    gate.world.fault("gpio:20", "shorted")
    assert gate.world.closed("gpio:20")
    gate.world.heal("gpio:20")
    gate.world.door("wicket", False)
    gate.world.fault("gpio:20", "cut")
    assert not gate.world.closed("gpio:20"), "a cut wire is never 'closed'"


def test_fire_cuts_the_supply_of_fail_safe_locks_without_software(gate: Gate) -> None:
    gate.world.drive("gpio:16", True)
    assert gate.world.closed("gpio:4")
    gate.world.fire(True)
    assert not gate.world.closed("gpio:4"), "fire is an open contact"
    assert not locked(gate, "wicket")
    assert locked(gate, "gatehouse"), "a fail-secure lock has no supply to cut"
    gate.world.fire(False)
    assert locked(gate, "wicket")


def test_keys_rex_and_supplies(gate: Gate) -> None:
    gate.world.key("panic-reset", True)
    assert gate.world.closed("gpio:24")
    gate.world.key("lane:main:raise", True)
    assert gate.world.closed("gpio:5")
    gate.world.rex("wicket", hold_s=0.5)
    assert gate.world.closed("gpio:21")
    gate.world.advance(11.0)
    assert not gate.world.closed("gpio:21")
    for which, terminal in (("tamper", "gpio:18"), ("mains", "gpio:7"), ("battery", "gpio:8")):
        assert gate.world.closed(terminal)
        gate.world.supply(which, False)  # type: ignore[arg-type]
        assert not gate.world.closed(terminal)
    with pytest.raises(UnknownName, match="wicket"):
        gate.world.rex("gatehouse")


def test_lamps_lights_and_siren_hang_on_their_terminals(gate: Gate) -> None:
    gate.world.drive("gpio:9", True)
    gate.world.drive("relays:2", True)
    assert gate.world.lamps == {"sent": True, "received": False, "coming": False, "fault": False, "siren": True}
    gate.world.fault("board:relays", "stuck_relay", {"channel": 2, "state": "off"})
    gate.world.heal()
    assert gate.told("lamp", "siren") == [True, False, True]


def test_lights_and_sensors_wired_to_the_box(gate_from: Callable[[str], Gate]) -> None:
    text = demo_text().replace('kind = "service"', 'kind = "service"\nlight_red = "relays:4"\nlight_green = "relays:5"')
    service = text.index('id = "service"')
    gate = gate_from(text[:service] + text[service:].replace('beam = "plc"', 'beam = "gpio:14"', 1))
    lane = gate.world.lanes["service"]
    gate.world.drive("relays:4", True)
    lane.show(red=False, green=True, warning=False)
    assert lane.lights == {"red": True, "green": False, "warning_lamp": False, "buzzer": False}, "no such light there"
    assert gate.world.closed("gpio:14")
    gate.world.person("service", "between")
    assert not gate.world.closed("gpio:14"), "normally closed: occupied is open"
    assert "beam" not in lane.signs().sensors


def test_a_pulse_of_a_relay_ends_by_itself(gate: Gate) -> None:
    bank = gate.world.wiring.relays["relays"]
    bank.flash(3, True, 0.5)
    seen = [tuple(bank.state)[3]]
    for at_s in (10.49, 10.5):
        gate.world.advance(at_s)
        seen.append(tuple(bank.state)[3])
    assert seen == [True, True, False]
    bank.flash(3, True, 0.5)
    bank.set(3, True)
    gate.world.advance(12.0)
    assert bank.state[3], "a later command ends the pulse"


def test_electricity_of_a_pin() -> None:
    pins = PinBank()
    told: list[tuple[int, bool, bool]] = []
    pins.listen(lambda gpio, level, output: told.append((gpio, level, output)))
    assert pins.level(2), "fixed pull-up"
    pins.set_pull(14, PULL_UP)
    pins.contact(14, True)
    pins.set_pull(14, PULL_DOWN)
    pins.contact(14, False)
    assert not pins.level(14), "an open contact without a pull-up does not show"
    pins.write(15, True)
    pins.set_mode(15, INPUT)
    pins.set_mode(15, OUTPUT)
    pins.set_pull(2, PULL_OFF)
    assert pins.level(2)
    assert told == [
        (14, True, False), (14, False, False), (15, True, True), (15, False, False), (15, True, True)
    ]  # fmt: skip


def test_names_that_are_not_there(gate: Gate) -> None:
    with pytest.raises(UnknownName, match="gatehouse, wicket, office"):
        gate.world.press("roof")
    with pytest.raises(UnknownName, match=r"lane 'north'.*main, service"):
        gate.world.vehicle("north", "away")
