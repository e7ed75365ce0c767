"""Panic lines, contacts and cards over the real wires: what is wrong with them is told, and a press is never missed."""

from __future__ import annotations

import time

import pytest
from house import LAMP_MS, House

from agent.demo.eyes import ms_since

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_short_press_is_one_press(house: House) -> None:
    before = house.head()
    asked = house.gate.do("press", button="wicket", hold_s=0.05)
    house.alarm_of(asked)
    house.until("it is let go of", lambda: house.records("panic.released", after=before))
    assert len(house.records("panic.pressed", after=before)) == 1


def test_a_press_is_not_missed_though_every_edge_is_lost(house: House) -> None:
    house.gate.do("fault", device="gpio", kind="deaf")
    for _ in range(3):
        asked = house.gate.do("press", button="wicket", hold_s=0.1)
        house.alarm_of(asked)
        house.until("it is let go of", lambda: house.line("wicket") == "normal")
        time.sleep(0.1)  # so long well, the next press is a new one


def test_a_chattering_button_is_one_press_and_one_alarm(house: House) -> None:
    before = house.head()
    house.gate.do("fault", device="button:gatehouse", kind="chatter", bounces=12, over_s=0.03)
    edge = house.press()
    assert house.lamp_ms(edge) < LAMP_MS
    house.alarm_of(edge["ns"])
    house.until("it is let go of", lambda: house.records("panic.released", after=before))
    time.sleep(0.3)
    assert len(house.records("panic.pressed", after=before)) == 1


def test_a_button_that_chatters_by_itself_is_an_alarm_of_its_own(house: House) -> None:
    """Each false press is still a press: nobody can tell it from a real one."""
    before = house.head()
    house.gate.do("fault", device="button:gatehouse", kind="chatter", bounces=1, every_s=0.4)
    found = house.until("it is told", lambda: house.records("panic.chatter", after=before))
    assert [record["data"]["button"] for record in found] == ["gatehouse"]
    assert len(house.records("panic.pressed", after=before)) > 1
    house.until("the district has it", lambda: [a for a in house.told("panic.chatter") if a["seq"] > before])


def test_a_button_torn_off_its_wires_is_an_alarm_of_its_own(house: House) -> None:
    """Both wires of the pair hang in the air: nothing pressed it, and nobody can press it any more."""
    before = house.head()
    house.gate.do("fault", device="button:gatehouse", kind="cut", wire="pair")
    found = house.until("it is an alarm", lambda: house.records("panic.line_fault", after=before))
    assert [record["data"]["line"] for record in found] == ["cut"]
    assert not house.records("panic.pressed", after=before) and not house.state()["panic"]["latched"]
    house.until("the district has it", lambda: [a for a in house.told("panic.line_fault") if a["seq"] > before])


def test_a_button_that_stays_pressed_for_a_minute_is_an_alarm_of_its_own(house: House) -> None:
    before = house.head()
    house.gate.do("fault", device="button:gatehouse", kind="stuck", state="pressed")
    found = house.until("it is told", lambda: house.records("panic.stuck", after=before), 70)
    assert [record["data"]["button"] for record in found] == ["gatehouse"]
    assert len(house.records("panic.pressed", after=before)) == 1
    house.gate.do("heal")
    (over,) = house.until("it is let go of", lambda: house.records("panic.released", after=before))
    assert over["data"]["stuck"] is True


def test_a_button_that_sticks_cannot_be_reset_away(house: House) -> None:
    before = house.head()
    house.gate.do("fault", device="button:gatehouse", kind="stuck", state="pressed")
    house.until("it is a press", lambda: house.state()["panic"]["latched"])
    house.turn_key("panic-reset")
    refused = house.until("the reset is refused", lambda: house.records("panic.reset_refused", after=before))
    assert refused[0]["data"]["why"] == "still_pressed:gatehouse"
    assert house.state()["panic"]["latched"]


@pytest.mark.parametrize(
    ("button", "state", "line"),
    [
        ("gatehouse", "cut", "cut"),
        ("gatehouse", "shorted", "disagree"),  # an NO + NC pair cannot tell a short from contacts that contradict
        ("office", "cut", "cut"),
        ("office", "shorted", "shorted"),
    ],
)
def test_a_spoilt_line_is_an_alarm_and_other_buttons_are_real(house: House, button: str, state: str, line: str) -> None:
    before = house.head()
    house.gate.do("line", button=button, state=state)
    faults = house.until("it is an alarm", lambda: house.records("panic.line_fault", after=before))
    assert [(fault["data"]["button"], fault["data"]["line"]) for fault in faults] == [(button, line)]
    house.until("the district has it", lambda: [a for a in house.told("panic.line_fault") if a["seq"] > before])
    house.until("lamp fault is on", lambda: house.gate.world()["lamps"]["fault"])
    edge = house.press("wicket")
    assert house.lamp_ms(edge) < LAMP_MS
    house.gate.do("line", button=button, state="normal")
    house.until("it is well again", lambda: house.records("panic.line_ok", after=before))


def test_a_press_on_an_end_of_line_loop_is_heard(house: House) -> None:
    asked = house.gate.do("press", button="office", hold_s=0.4)
    house.alarm_of(asked)
    lit = house.gate.wait_pin("lamp sent", house.gate.gpio("lamp", "indicators", "sent"), 1, asked)
    assert ms_since(lit, asked) < 1000


def test_a_loop_whose_line_is_broken_by_an_intruder_and_then_pressed_is_a_press(house: House) -> None:
    """Between the cut and its mending nobody can press; the mended line is judged anew."""
    house.gate.do("line", button="office", state="cut")
    house.until("it is seen", lambda: house.line("office") == "cut")
    house.gate.do("line", button="office", state="normal")
    house.until("it is normal", lambda: house.line("office") == "normal")
    house.alarm_of(house.gate.do("press", button="office", hold_s=0.4))


# ── contacts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_opened_box_is_an_alarm_at_once(house: House) -> None:
    before = house.head()
    house.gate.do("tamper")
    found = house.until("it is an alarm", lambda: house.records("supply.alarm", after=before))
    assert found[0]["subject"] == "supply:tamper"
    house.until("the district has it", lambda: [a for a in house.told("supply.alarm") if a["seq"] > before])
    house.gate.do("tamper", on=False)
    house.until("it is well again", lambda: house.records("supply.ok", after=before))


def test_mains_that_fail_are_a_record_at_once_and_no_alarm_yet(house: House) -> None:
    before = house.head()
    house.gate.do("mains", on=False)
    found = house.until("it is a record", lambda: house.records("supply.lost", after=before))
    assert found[0]["subject"] == "supply:mains"
    assert house.records("supply.alarm", after=before) == []
    supply = next(supply for supply in house.state()["supplies"] if supply["which"] == "mains")
    assert supply["ok"] is False
    house.gate.do("mains", on=True)
    house.until("it is well again", lambda: house.records("supply.ok", after=before))


# ── cards ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_with_a_wrong_check_digit_opens_nothing_and_the_next_one_does(house: House) -> None:
    before = house.head()
    lock = house.gate.gpio("lock", "wicket", "lock")
    house.gate.do("fault", device="reader:wicket-in", kind="bad_check")
    asked = house.gate.do("swipe", reader="wicket-in", card="0100A1B2C4")
    bad = house.until("it is a record", lambda: house.records("reader.bad_frame", after=before))
    assert "check" in bad[0]["data"]["why"]
    assert not [e for e in house.gate.wire(asked) if e["kind"] == "pin" and e["gpio"] == lock]
    assert house.records("access.granted", after=before) == []
    house.gate.do("heal")
    asked = house.gate.do("swipe", reader="wicket-in", card="0100A1B2C4")
    house.gate.wait_pin("the wicket unlocks", lock, 0, asked)


def test_garbage_of_a_reader_opens_nothing(house: House) -> None:
    before = house.head()
    house.gate.do("fault", device="reader:wicket-in", kind="garbage")
    for _ in range(5):
        house.gate.do("swipe", reader="wicket-in", card="0100A1B2C4")
    time.sleep(0.3)
    assert house.records("access.granted", after=before) == []
    assert "reader:wicket-in" not in house.lost()


# ── starts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_button_held_at_the_start_is_a_press_that_moves_nothing(house: House) -> None:
    house.control.kill()
    before = house.head()
    asked = house.gate.do("press", button="gatehouse", hold=True)
    house.control.start()
    house.wait_scanned()
    house.gate.wait_pin("lamp sent", house.gate.gpio("lamp", "indicators", "sent"), 1, asked)
    pressed = house.records("panic.pressed", after=before)
    assert [record["data"]["seen"] for record in pressed] == [False]
    house.until("the district has it", lambda: [a for a in house.told("panic.pressed") if a["seq"] > before])
    assert house.moved(asked) == [], "how old that press is nobody knows: it raises nothing"
