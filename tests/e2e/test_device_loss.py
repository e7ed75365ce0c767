"""Devices that are lost and come back, over the real wires: told within seconds, back within 5 s, and a press is
heard all the while."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from house import LAMP_MS, House

from agent.demo.eyes import ms_since

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

LOST_S = 4.0  # an RTU board is given up after a few silent tries; everything else is quicker
BACK_S = 5.0  # the mission's own number


@dataclass(frozen=True)
class Loss:
    """A fault, and the devices the box then calls lost. `raises`: the lanes a press still raises meanwhile."""

    device: str
    kind: str
    lost: frozenset[str]
    raises: tuple[str, ...] = ()
    more: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.device} {self.kind}"


LANES = frozenset({"lane:main", "lane:service"})
CABINET = frozenset({"relays", "loops"})
LOSSES = [
    Loss("reader:wicket-in", "unplugged", frozenset({"reader:wicket-in"}), raises=("main", "service")),
    Loss("bus:cabinet", "garbage", CABINET, raises=("main", "service")),
    Loss("bus:cabinet", "late", CABINET),
    Loss("board:loops", "dead", frozenset({"loops"})),
    Loss("bus:plc", "dead", LANES),
    Loss("bus:plc", "unplugged", LANES),
    Loss("bus:plc", "late", LANES),
    Loss("lane:main", "garbage", frozenset({"lane:main"})),
    Loss("lane:main", "wrong_transaction", frozenset({"lane:main"})),
]


def heard(house: House, button: str = "gatehouse") -> int:
    """A press: the lamp lights at once and the district has the alarm. Returns the edge's instant."""
    edge = house.press(button)
    assert house.lamp_ms(edge) < LAMP_MS
    house.alarm_of(edge["ns"])
    return int(edge["ns"])


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_device_is_lost_and_comes_back_and_a_press_is_heard_all_the_while(house: House, loss: Loss) -> None:
    before = house.head()
    house.gate.do("fault", device=loss.device, kind=loss.kind, **loss.more)
    house.until(f"{sorted(loss.lost)} are lost", lambda: loss.lost <= house.lost(), LOST_S)
    assert house.lost() <= loss.lost | {loss.device}, "the fault took more than its own"
    pressed_ns = heard(house)
    for lane in loss.raises:
        house.wait_raised(lane, pressed_ns)
    house.gate.do("heal")
    took_s = house.timed("everything is back", lambda: not house.lost())
    assert took_s < BACK_S
    # Its bus says it for a lane whose own poll did not come round in time.
    told = {record["subject"] for record in house.records("device.lost", "lane.lost", after=before)}
    assert {name.rpartition(":")[2] for name in loss.lost} <= {name.rpartition(":")[2] for name in told}
    if loss.raises:
        house.reset()
        house.lower()


def test_the_self_test_names_the_board_that_is_dead_and_nothing_is_wrong_once_it_is_back(house: House) -> None:
    house.gate.do("fault", device="board:loops", kind="dead")
    house.until("it is lost", lambda: "loops" in house.lost(), LOST_S)
    told = doctor(house)
    assert any(one["text"].startswith("No answer: ") and one["check"] for one in told["findings"])
    assert "Bollards" in told["well"] and told["ok"] is False
    house.gate.do("heal")
    house.until("it is back", lambda: not house.lost(), 12)
    assert not [one for one in doctor(house)["findings"] if one["text"].startswith("No answer")]


def doctor(house: House) -> dict[str, Any]:
    command = [sys.executable, "-m", "agent", "doctor", "--json", "--config", str(house.stage.site_file)]
    told: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return told


def test_a_rebooting_plc_comes_back_by_itself_and_nothing_moves_by_that(house: House) -> None:
    asked = house.gate.do("fault", device="lane:main", kind="reboot", boot_s=1.5)
    house.until("its lane is lost", lambda: house.state()["lanes"][0]["lost"], LOST_S)
    house.until("its lane is back", lambda: not house.state()["lanes"][0]["lost"], 1.5 + BACK_S)
    assert house.moved(asked) == []


def test_while_the_plc_is_away_a_press_is_refused_for_its_lane_and_over(house: House) -> None:
    house.gate.do("fault", device="bus:plc", kind="dead")
    house.until("the lanes are lost", lambda: house.lost() >= LANES, LOST_S)
    pressed_ns = heard(house)
    house.gate.do("heal")
    house.until("the lanes are back", lambda: not house.lost(), BACK_S)
    time.sleep(1.5)  # longer than the sensors' clear time: what is over stays over
    assert house.moved(pressed_ns) == []


# ── the pins ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["dead", "hung"])
def test_without_its_pins_the_box_says_so_and_a_button_on_a_loop_is_still_heard(house: House, kind: str) -> None:
    before = house.head()
    house.gate.do("fault", device="gpio", kind=kind)
    house.until("the pins are lost", lambda: "gpio" in house.lost(), LOST_S)
    assert [house.line(button) for button in ("gatehouse", "wicket", "office")] == ["unread", "unread", "normal"]
    faults = house.until("the lines are an alarm", lambda: house.records("panic.line_fault", after=before))
    assert {record["data"]["line"] for record in faults} == {"unread"}
    asked = house.gate.do("press", button="office", hold_s=0.6)
    house.alarm_of(asked)
    blocked = {lane["id"]: lane["blocked"] for lane in house.state()["lanes"]}
    assert set(blocked.values()) == {"fire_unread"}, "nobody can tell that there is no fire"
    house.gate.do("heal")
    took_s = house.timed("the pins are back", lambda: not house.lost())
    assert took_s < BACK_S
    house.until("the lines are read", lambda: house.line("gatehouse") == "normal")
    house.until("the lamp is on again", lambda: house.gate.world()["lamps"]["sent"])
    assert house.moved(asked) == [], "a return of the pins is no press"


def test_a_pin_daemon_that_restarts_gets_every_output_anew(house: House) -> None:
    lock = house.gate.gpio("lock", "wicket", "lock")
    heard(house)
    asked = house.gate.do("fault", device="gpio", kind="restart", down_s=0.3)
    driven = house.gate.wait_pin("the lock is driven anew", lock, 1, asked)
    assert ms_since(driven, asked) < (0.3 + BACK_S) * 1000
    house.until("the lamp is on again", lambda: house.gate.world()["lamps"]["sent"])
    house.until("the pins are there", lambda: not house.lost(), BACK_S)
    assert house.gate.world()["doors"]["wicket"]["locked"]
