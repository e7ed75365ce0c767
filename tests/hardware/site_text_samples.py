"""A site file that is right, to be spoilt one line at a time, and the tool that spoils it."""

from __future__ import annotations

from pathlib import Path

from hardware.loader import examine
from hardware.mistakes import Mistake
from hardware.site import Site

FOLDER = Path("/opt/gate")

GOOD = """\
# A gate with one of everything.
[site]
id = "school"
box = "gate-1"
name = "东方小学"

[board]
model = "pi-4b"
gpio = "lgpio"

[storage]
dir = "state"
run_dir = "run"

[[bus]]
name = "plc"
kind = "tcp"
host = "10.0.0.5"

[[bus]]
name = "cabinet"
kind = "rtu"
device = "/dev/serial/by-path/cabinet"
baud = 9600

[[bus]]
name = "came"
kind = "rtu"
device = "/dev/serial/by-path/came"
baud = 38400
parity = "E"

[[relay_board]]
name = "relays"
bus = "cabinet"
unit = 1
profile = "waveshare-8ch"

[[analog_board]]
name = "loops"
bus = "cabinet"
unit = 2
profile = "eol-4"

[[lane]]
id = "main"
bus = "plc"
unit = 3
profile = "reference-plc"
raise_key = "gpio:5"
lower_key = "gpio:6"
prewarn_s = 3
  [lane.sensors]  # at the PLC
  loop1 = "plc"
  [[lane.bollard]]
  id = "main-1"
  index = 0
  [[lane.bollard]]
  id = "main-2"
  index = 1

[[lane]]
id = "side"
bus = "came"
unit = 4
profile = "came-zlb30b"
monitor_only = true
  [[lane.bollard]]
  id = "side-1"
  index = 0

[[door]]
id = "wicket"
lock = "gpio:16"
lock_kind = "fail_safe"
contact = "gpio:20"
rex = "gpio:21"
evacuation_way = true

[[reader]]
id = "wicket-in"
profile = "uart-125k"
device = "/dev/serial/by-path/reader-in"
door = "wicket"
direction = "in"

[[reader]]
id = "guard"
profile = "uart-125k"
device = "/dev/serial/by-path/reader-guard"
direction = "presence"

[[panic_button]]
id = "gatehouse"
no = "gpio:17"
nc = "gpio:27"

[[panic_button]]
id = "office"
loop = "loops:0"

[[key]]
id = "panic-reset"
terminal = "gpio:24"
use = "panic_reset"

[[key]]
id = "fire-reset"
terminal = "gpio:19"
use = "fire_reset"

[fire]
terminal = "gpio:4"

[tamper]
terminal = "gpio:18"

[indicators]
sent = "gpio:9"
siren = "relays:2"

[[credential]]
card = "0100A1B2C3"
holder = "guard-1"
group = "guard"
doors = ["wicket"]
lanes = ["main"]
valid_from = "2026-01-01"
valid_to = "2026-12-31"

[[credential]]
card = "0100A1B2C4"
holder = "staff-1"
group = "staff"
doors = [
  "wicket",
]

[uplink.mqtt]
host = "broker.example"
ca_file = "ca.pem"

[web]
listen = ["127.0.0.1:8080"]

[decisions]
signed_by = "head of security"
signed_on = "2026-09-01"
panic_raises_bollards = true
"""


def spoil(*edits: tuple[str, str], text: str = GOOD) -> str:
    """The good file with each `old` replaced by its `new`; every `old` must be there exactly once."""
    for old, new in edits:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def judge(text: str) -> tuple[Site | None, list[Mistake]]:
    """What the loader says of a text."""
    return examine(text, FOLDER)


def line_of(text: str, fragment: str) -> int:
    """The line on which the fragment begins; it may run over several lines and must be there exactly once."""
    assert text.count(fragment) == 1, f"{fragment!r} is there {text.count(fragment)} times"
    return text[: text.index(fragment)].count("\n") + 1
