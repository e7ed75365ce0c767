"""The card that holds the journal is full, damaged, not writable, or hangs: panic works, is heard, and all is said."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import LAMP_MS, House

from agent.demo.gate import fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SMALL_BYTES = 3 << 20
HUMBLY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.stop()
    assert "Traceback" not in made.log_of_control()


def heard(house: House) -> None:
    """A press: the lamp at once, the bollards asked up, the alarm at the district, its receipt at the lamp."""
    edge = house.press()
    assert house.lamp_ms(edge) < LAMP_MS
    house.wait_raised("main", edge["ns"])
    house.wait_raised("service", edge["ns"])
    house.alarm_of(edge["ns"])
    assert house.lamp_ms(edge, "received") < 5000


# ── full ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class SmallCard:
    """A file system of its own, small enough to be filled. None where this user may not mount one."""

    def __init__(self, at: Path) -> None:
        self.at = at
        at.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "menwei-test", str(at)]
        self.mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0

    def fill(self) -> None:
        """Leave not one block."""
        with (self.at / "somebody's-film.mp4").open("wb", buffering=0) as film:
            while True:
                try:
                    film.write(bytes(4096))
                except OSError:
                    return

    def empty(self) -> None:
        (self.at / "somebody's-film.mp4").unlink()

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.at)], check=False)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[House, SmallCard]]:
    card = SmallCard(tmp_path / "state")
    if not card.mounted:
        pytest.skip("this user may not mount a small file system; the limit on file size below stands in for it")
    made = House(tmp_path)
    yield made, card
    made.stop()
    card.close()
    assert "Traceback" not in made.log_of_control()


def test_on_a_full_card_panic_works_is_heard_and_is_written_down_later(full: tuple[House, SmallCard]) -> None:
    house, card = full
    house.start()
    card.fill()
    house.until("the box says so", lambda: write_something(house) and journal_health(house) == "failing")
    house.until("the district is told", lambda: house.told("journal.failing"))
    heard(house)
    unlocked_from_memory(house)
    head = house.head()
    card.empty()
    house.until("the card is taken again", lambda: journal_health(house) == "ok")
    pressed = house.until("the press is written down", lambda: house.records("panic.pressed", after=head))
    assert len(pressed) == 1
    house.until("the district has everything", lambda: synced(house))
    box = house.gate.boxes()[0]
    assert (box["gap"], box["holes"], box["conflicts"]) == (None, [], 0)
    assert house.verified()


def write_something(house: House) -> bool:
    """A card at a reader is a record."""
    house.gate.do("swipe", reader="guard", card="0100A1B2C3")
    return True


def unlocked_from_memory(house: House) -> None:
    """A responder is let in though nothing can be written."""
    asked = house.gate.do("swipe", reader="wicket-in", card="0300000001")
    house.gate.wait_pin("the wicket unlocks", house.gate.gpio("lock", "wicket", "lock"), 0, asked)


def journal_health(house: House) -> str:
    return str(house.state()["journal"]["health"])


def synced(house: House) -> bool:
    journal = house.state()["journal"]
    return bool(journal["durable"] == journal["synced"])


def test_where_files_may_grow_no_more_panic_works_and_is_heard(tmp_path: Path) -> None:
    """The same without a mount: the kernel refuses every byte beyond a limit."""
    house = House(tmp_path, wrap=("prlimit", "--fsize=262144:262144", "--"))
    try:
        house.start()
        fill_up_to_the_limit(house)
        heard(house)
        house.until("the district is told", lambda: house.told("journal.failing"))
    finally:
        house.stop()
    assert "Traceback" not in house.log_of_control()


def fill_up_to_the_limit(house: House) -> None:
    """Records until the journal's file has grown to its limit."""
    note = {"op": "note", "kind": "e2e", "subject": "s", "actor": "a", "data": {"text": "x" * 30_000}}

    def failing() -> bool:
        house.ask(note)
        return journal_health(house) == "failing"

    house.until("the box says so", failing)


# ── damaged ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_journal_is_kept_aside_said_loudly_and_the_latch_is_known(house: House) -> None:
    house.start()
    heard(house)
    house.until("the district has everything", lambda: synced(house))
    house.control.kill()
    scribbled = bytearray(house.journal.read_bytes())
    scribbled[4096 : 4096 * 3] = os.urandom(8192)
    house.journal.write_bytes(bytes(scribbled))
    began = time.monotonic_ns()
    house.control.start()
    house.wait_scanned()
    assert house.state()["panic"]["latched"] and house.state()["epoch"] == 2
    house.until("the lamp is on", lambda: house.gate.world()["lamps"]["sent"])
    assert house.moved(began) == []
    files = [path for path in house.journal.parent.iterdir() if path.is_file()]
    kept = [path for path in files if path.read_bytes()[4096:8192] == scribbled[4096:8192]]
    assert kept and kept[0] != house.journal
    codes = {record["data"]["code"] for record in house.records("journal.problem")}
    assert codes == {"damaged", "latch_unproven"}
    house.until("the district has the new epoch", lambda: house.told("box.new_epoch"))
    problems = house.until("the district is told", lambda: house.told("journal.problem"))
    assert any(kept[0].name in alarm["record"]["data"]["what"] for alarm in problems)
    assert house.verified()


# ── not writable ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_nobody_may_write_is_said_and_panic_works_from_memory(tmp_path: Path) -> None:
    house = House(tmp_path, ('dir = "state"', 'dir = "locked/state"'), wrap=HUMBLY)
    (tmp_path / "locked" / "state").mkdir(parents=True, exist_ok=True)
    (tmp_path / "locked" / "state").chmod(0o500)
    try:
        house.start()
        assert journal_health(house) == "failing"
        house.until("the district is told", lambda: house.told("journal.problem"))
        heard(house)
        said = house.log_of_control()
    finally:
        house.stop()
        (tmp_path / "locked" / "state").chmod(0o700)
    assert "Permission denied" in said and "kept in memory" in said and "Traceback" not in said


def test_a_serial_port_nobody_may_open_is_one_lost_reader_with_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path, ('device = "run/tty-guard"', 'device = "locked/tty-guard"'), wrap=HUMBLY)
    (tmp_path / "locked").mkdir()
    try:
        house.start_world()
        (tmp_path / "locked" / "tty-guard").resolve().chmod(0)
        house.start_box()
        lost = {device["id"]: device["why"] for device in house.state()["devices"] if not device["up"]}
        assert set(lost) == {"reader:guard"}
        assert "no permission for serial port" in lost["reader:guard"] and "dialout" in lost["reader:guard"]
        edge = house.press()
        assert house.lamp_ms(edge) < LAMP_MS
    finally:
        house.stop()


# ── hanging ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_card_that_hangs_keeps_no_alarm_and_no_gate_waiting(house: House) -> None:
    """The journal's thread is held where a dead card would hold it: inside its sync."""
    shutil.copy(Path(__file__).parent / "hanging_card.py", house.folder / "sitecustomize.py")
    house.control.environment = {"PYTHONPATH": f"{house.folder}{os.pathsep}{Path(__file__).parents[2]}"}
    house.start()
    (house.folder / "hang").touch()
    edge = house.press()
    assert house.lamp_ms(edge) < LAMP_MS
    house.wait_raised("main", edge["ns"])
    alarm = house.alarm_of(edge["ns"])
    assert (alarm["received_ns"] - edge["ns"]) / 1e6 < 2000
    house.until("the box says so", lambda: journal_health(house) == "failing")
    unlocked_from_memory(house)
    (house.folder / "hang").unlink()
    house.until("the card moves again", lambda: journal_health(house) == "ok")
    house.until("the press is written down", lambda: house.records("panic.pressed"))
    house.until("the district has everything", lambda: synced(house))
    assert fetch(f"{house.gate.district}/alarms")["alarms"]
    assert house.verified()


def test_a_box_that_is_told_to_end_while_its_card_hangs_ends_all_the_same(house: House) -> None:
    shutil.copy(Path(__file__).parent / "hanging_card.py", house.folder / "sitecustomize.py")
    house.control.environment = {"PYTHONPATH": f"{house.folder}{os.pathsep}{Path(__file__).parents[2]}"}
    house.start_world()
    house.control.start()
    house.wait_scanned()
    (house.folder / "hang").touch()
    write_something(house)
    assert house.control.process is not None
    house.control.process.send_signal(signal.SIGTERM)
    assert house.control.process.wait(6) is not None
