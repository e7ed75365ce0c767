"""What looks odd but is right stays allowed: a check that cries wolf is switched off by the first installer."""

from __future__ import annotations

import pytest
from site_text_samples import FOLDER, judge, spoil

from hardware.loader import examine

PANIC_PAIR = 'no = "gpio:17"\nnc = "gpio:27"\n'

ALLOWED = [
    ("a page on the school's network", 'listen = ["127.0.0.1:8080"]', 'listen = ["192.168.1.10:8080", "[fd00::1]:80"]'),
    ("a page nowhere", 'listen = ["127.0.0.1:8080"]', "listen = []"),
    ("one pin that does not claim to be supervised", PANIC_PAIR, 'no = "gpio:17"\nsupervised = false\n'),
    ("a button on a line with a fixed pull-up", 'rex = "gpio:21"', 'rex = "gpio:2"'),
    ("a lamp on a line that is high at start", 'sent = "gpio:9"', 'sent = "gpio:7"'),
    ("a sensor at a pin", '  loop1 = "plc"', '  loop1 = "gpio:22"'),
    ("a pin factory on this machine", 'gpio = "lgpio"', 'gpio = "pigpio"\ngpio_address = "localhost:8888"'),
    ("a broker on this machine without TLS",
     'host = "broker.example"\nca_file = "ca.pem"', 'host = "127.0.0.1"\ntls = false'),
    ("a whole number for seconds", "prewarn_s = 3", "prewarn_s = 3\nrise_s = 5"),
    ("a lane without lights", "prewarn_s = 3", 'light_red = ""\nlight_green = ""'),
    ("another time zone", 'box = "gate-1"', 'box = "gate-1"\ntimezone = "Asia/Urumqi"'),
    ("a fail-secure lock where nobody flees", 'lock_kind = "fail_safe"\ncontact = "gpio:20"\nrex = "gpio:21"\n'
     "evacuation_way = true", 'lock_kind = "fail_secure"\nevacuation_way = false'),
    ("an evacuation door with a contact only", 'rex = "gpio:21"\n', ""),
    ("the same unit on two buses", "unit = 3", "unit = 1"),
    ("the same id for a door and a button", 'id = "gatehouse"', 'id = "wicket"'),
    ("a card for one day", 'valid_from = "2026-01-01"', 'valid_from = "2026-12-31"'),
    ("a way in by lane", 'door = "wicket"\ndirection = "in"', 'lane = "main"\ndirection = "out"'),
    ("a decision against raising, unsigned", 'signed_by = "head of security"\nsigned_on = "2026-09-01"\n'
     "panic_raises_bollards = true", "panic_raises_bollards = false"),
    ("a table in one line", '[tamper]\nterminal = "gpio:18"', 'tamper.terminal = "gpio:18"'),
    ("bollards in one line",
     '  [[lane.bollard]]\n  id = "side-1"\n  index = 0\n', '  bollard = [{ id = "side-1", index = 0 }]\n'),
    ("remarks and empty lines anywhere", "[indicators]\n", "\n   # lamps\n[indicators] # here\n\n"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for _what, old, new in ALLOWED], ids=[what for what, *_ in ALLOWED]
)
def test_allowed(old: str, new: str) -> None:
    # A dotted key belongs to the table above it, so that one is written at the very top of the file.
    text = f"{new}\n{spoil((old, ''))}" if new.startswith("tamper.") else spoil((old, new))
    assert judge(text)[1] == []


def test_a_lane_that_is_only_watched_needs_neither_sensors_nor_warning() -> None:
    text = spoil(("monitor_only = true", 'monitor_only = true\nbuzzer = ""\nwarning_lamp = ""'))
    assert examine(text, FOLDER)[1] == []


def test_a_fast_bus_keeps_what_a_slow_one_does_not() -> None:
    shared = spoil(('bus = "plc"', 'bus = "cabinet"'))
    assert judge(shared)[1] == []
    codes = [mistake.code for mistake in judge(spoil(("baud = 9600", "baud = 4800"), text=shared))[1]]
    assert codes == ["bus_too_slow"]
