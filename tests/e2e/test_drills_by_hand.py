"""Drills as a guard runs them by command, over the real processes: heard, unheard, and cut off by a crash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from house import House

from agent.demo.gate import Entry

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

GUARD = "0100A1B2C3"
START = ("start", "--button", "gatehouse", "--reason", "training", "--minutes", "3")


def drill(house: House, *words: str, card: bool = False) -> tuple[int, str]:
    """`menwei drill …`, a guard's card read just before where it is asked for; exit code and all it said."""
    if card:
        before = house.head()
        house.gate.do("swipe", reader="guard", card=GUARD)
        house.until("the card is read", lambda: house.records("access.presence", after=before))
    command = [sys.executable, "-m", "agent", "drill", *words, "--config", str(house.folder / "gatebox.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def quiet(house: House) -> Iterator[House]:
    """The gate; a drill that a test left running is over."""
    yield house
    drill(house, "stop")


def presses(house: House, after: int) -> list[object]:
    return [record["data"]["drill"] for record in house.records("panic.pressed", after=after)]


def _told(house: House, after: int) -> list[Entry]:
    """The presses that the district has."""
    return [alarm for alarm in house.told("panic.pressed") if alarm["seq"] > after]


def test_a_drill_that_the_district_hears_of(quiet: House) -> None:
    house, before = quiet, quiet.head()
    code, said = drill(house, *START)
    assert code == 1 and "nobody has shown a guard's card" in said
    code, said = drill(house, *START, card=True)
    assert code == 0 and "heard by mqtt" in said, said
    house.gate.do("press", button="gatehouse", hold_s=0.3)
    house.until("it is a drill's press", lambda: presses(house, before) == [True])
    house.until("the district has it", lambda: _told(house, before))
    assert not house.state()["panic"]["latched"]
    assert drill(house, "stop")[0] == 0
    (report,) = house.until("its report", lambda: house.records("drill.report", after=before))
    ident = report["data"]["id"]
    assert ident in drill(house, "list")[1]
    code, said = drill(house, "show", ident)
    assert code == 0 and "guard-1" in said and "received" in said and "district (mqtt)" in said


def test_a_drill_that_nobody_hears_of_begins_on_a_guards_word_and_arrives_marked(quiet: House) -> None:
    house, before = quiet, quiet.head()
    house.stage.broker.kill()
    house.until("the loss is seen", lambda: not house.state()["paths"][0]["up"])
    code, said = drill(house, *START, card=True)
    assert code == 1 and "nobody has answered within 30 s" in said and "mqtt:" in said, said
    assert drill(house, "go-ahead", card=True)[0] == 0
    house.gate.do("press", button="gatehouse", hold_s=0.3)
    house.until("it is a drill's press", lambda: presses(house, before) == [True])
    assert drill(house, "stop")[0] == 0
    house.stage.broker.start()
    marked = house.until("the district has it", lambda: _told(house, before))
    assert [alarm["record"]["data"]["drill"] for alarm in marked] == [True]
    running = house.records("drill.running", after=before)
    assert [(record["data"]["answered"], record["actor"]) for record in running] == [(False, "guard-1")]


def test_a_crash_ends_the_drill_and_the_next_press_is_real(quiet: House) -> None:
    house, before = quiet, quiet.head()
    assert drill(house, *START, card=True)[0] == 0
    house.control.kill()
    house.control.start()
    house.wait_scanned()
    (over,) = house.until("it is over", lambda: house.records("drill.ended", after=before))
    assert over["data"]["why"] == "restart"
    house.press("gatehouse")
    house.until("it is real", lambda: presses(house, before) == [False])
    assert house.state()["panic"]["latched"]
