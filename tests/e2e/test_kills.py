"""kill -9 of control in the middle of traffic, again and again: what was latched is latched, what was acknowledged is
there, and nothing moves by a restart."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from house import SITE_BOX, House

from agent.demo.gate import Entry, fetch
from agent.demo.processes import DemoError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

KILLS = 20
QUIET_S = 0.4  # watched after each restart's first scan: whatever was queued would be out by then


@pytest.fixture(scope="module")
def killed_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("kills"))
    made.start()
    yield made
    made.stop()


class Traffic:
    """Everything that people do at a gate, at once and at random, until told to stop. Nothing in it is slower than
    the simulator answers."""

    def __init__(self, house: House, rng: random.Random) -> None:
        self._house = house
        self._rng = rng
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.is_set():
            verb, body = self._rng.choice(self._acts())
            try:
                self._house.gate.do(verb, **body)
            except DemoError:
                continue  # a reader between two lives, a door that is locked: such is traffic
            time.sleep(self._rng.uniform(0.0, 0.02))

    def _acts(self) -> list[tuple[str, dict[str, Any]]]:
        on = self._rng.random() < 0.5
        word = "on" if on else "off"
        return [
            ("press", {"button": self._rng.choice(("gatehouse", "wicket", "office")), "hold_s": 0.06}),
            ("key", {"key": "panic-reset", "position": word}),
            ("key", {"key": "lane:main:lower", "position": word}),
            ("key", {"key": "lane:service:raise", "position": word}),
            ("swipe", {"reader": "wicket-in", "card": "0100A1B2C4"}),
            ("swipe", {"reader": "wicket-out", "card": "0200000001"}),
            ("swipe", {"reader": "guard", "card": "0100A1B2C3"}),
            ("door", {"door": "wicket", "open": on}),
            ("vehicle", {"lane": "main", "at": "on_loop" if on else "away"}),
            ("rex", {"door": "wicket"}),
        ]


def hands_off(house: House) -> None:
    """Nobody holds anything any more: what is then on the wire, the box alone has sent."""
    for key in ("panic-reset", "lane:main:lower", "lane:service:raise"):
        house.gate.do("key", key=key, position="off")
    for button in house.site_buttons():
        house.gate.do("release", button=button)


def latched_on_disk(house: House) -> bool:
    """What the journal says of the latch."""
    latched = False
    for record in house.records("panic.pressed", "panic.reset"):
        latched = record["kind"] == "panic.pressed"
    return latched


def one_life(house: House, rng: random.Random) -> None:
    """Traffic, a kill at any instant, a restart; judged before any hand moves again."""
    with Traffic(house, rng) as traffic:
        time.sleep(rng.uniform(0.02, 0.5))
        house.control.kill()
        traffic.stop()
    hands_off(house)
    killed_at = time.monotonic_ns()
    latched, head = latched_on_disk(house), house.head()
    house.control.start()
    house.wait_scanned()
    time.sleep(QUIET_S)
    assert house.moved(killed_at) == [], "a motion nobody asked for"
    restored = [record["kind"] for record in house.records(after=head)]
    assert ("panic.restored" in restored) is latched
    assert "panic.pressed" not in restored and house.state()["panic"]["latched"] is latched
    house.until("the lamp tells what is latched", lambda: house.gate.world()["lamps"]["sent"] is latched)
    house.until("every device but a lane is back", lambda: house.lost() <= {"lane:main", "lane:service"})


def test_twenty_kills_lose_nothing_and_move_nothing(killed_house: House, seed: int) -> None:
    house, rng = killed_house, random.Random(seed)
    for number in range(KILLS):
        print(f"kill {number + 1} of {KILLS}")
        if number % 7 == 6:  # else the bollards would stand up for good, with nothing left to move
            house.mend()
            house.lower()
        one_life(house, rng)
    assert "Traceback" not in house.log_of_control()
    everything_arrived(house)
    nothing_acknowledged_is_missing(house)


def everything_arrived(house: House) -> None:
    def synced() -> bool:
        journal = house.state()["journal"]
        return bool(journal["durable"] == journal["synced"])

    house.until("every record has a receipt", synced)
    box = house.gate.boxes()[0]
    assert (box["gap"], box["holes"], box["conflicts"]) == (None, [], 0)


def nothing_acknowledged_is_missing(house: House) -> None:
    """Every record that the district ever gave a receipt for is in the journal, word for word; so is every alarm."""
    ours = {(record["epoch"], record["seq"]): record for record in house.records()}
    theirs = records_of(house.gate.district)
    assert len(theirs) >= 100
    assert [entry for entry in theirs if ours.get((entry["epoch"], entry["seq"])) != entry["record"]] == []
    alarms = fetch(f"{house.gate.district}/alarms")["alarms"]
    assert [alarm for alarm in alarms if ours.get((alarm["epoch"], alarm["seq"])) != alarm["record"]] == []
    assert house.verified()


def records_of(district: str) -> list[Entry]:
    found: list[Entry] = []
    while True:
        since = found[-1]["seq"] if found else 0
        page = fetch(f"{district}/records?box={SITE_BOX}&since={since}&limit=5000")["records"]
        if not page:
            return found
        found += page


# ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_told_to_end_it_ends_within_seconds_and_the_next_one_starts_at_once(killed_house: House) -> None:
    house = killed_house
    house.until("every device is there", lambda: not house.lost())
    head = house.head()
    process = house.control.process
    assert process is not None
    process.terminate()
    assert process.wait(5) == 0
    assert [record["kind"] for record in house.records("panic.line_fault", "fire.unread", after=head)] == []
    house.control.start()
    house.wait_scanned()
    house.until("every device is there", lambda: not house.lost())
    assert house.verified()


def test_a_second_control_refuses_in_words_and_the_first_goes_on(killed_house: House, tmp_path: Path) -> None:
    house = killed_house
    second = house._role("control")
    second.name = "second"
    second.start()
    assert second.process is not None and second.process.wait(60) == 2
    said = second.log_file.read_text("utf-8")
    assert "another menwei control already writes the journal" in said and "Traceback" not in said
    assert house.lost() == set() and house.state()["scanned"]
