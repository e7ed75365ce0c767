"""`python -m sim` as a process: what it prints, what it serves, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import serial
from gpiozero import Button
from gpiozero.pins.pigpio import PiGPIOFactory
from pymodbus.client import ModbusTcpClient
from sim_gates import demo_text, live_text

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def running(text: str, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A simulator for a site file's text, and the line of JSON it prints when ready."""
    file = folder / "gatebox.toml"
    file.write_text(text, "utf-8")
    command = [sys.executable, "-m", "sim", "--site", str(file), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.kill()


def ended(text: str, folder: Path, *options: str) -> tuple[int, str]:
    """Exit code and what it said on stderr, of a simulator that cannot start."""
    file = folder / "gatebox.toml"
    file.write_text(text, "utf-8")
    command = [sys.executable, "-m", "sim", "--site", str(file), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_the_whole_simulator_end_to_end(tmp_path: Path) -> None:
    with running(live_text(), tmp_path) as (process, where):
        assert set(where) == {"http", "pins", "buses", "readers"}
        assert set(where["buses"]) == {"plc", "cabinet"}
        assert where["readers"]["guard"] == str(tmp_path / "run" / "tty-guard")
        http = httpx.Client(base_url=where["http"], trust_env=False)

        host, _, port = where["pins"].rpartition(":")
        factory = PiGPIOFactory(host, int(port))
        pressed: list[int] = []
        buttons = [Button(gpio, pull_up=True, pin_factory=factory) for gpio in (17, 27)]
        for button in buttons:
            button.when_pressed = button.when_released = lambda: pressed.append(time.monotonic_ns())
        ns = http.post("/press", json={"button": "gatehouse"}).json()["ns"]

        host, _, port = where["buses"]["plc"].rpartition(":")
        with ModbusTcpClient(host, port=int(port), timeout=20) as plc:
            for register, value in ((0, 1), (1, 5), (8, 0x0103), (9, 0x0103)):
                assert not plc.write_register(register, value, device_id=1).isError()
            deadline = time.monotonic() + 60
            while plc.read_input_registers(2, count=2, device_id=1).registers != [0x0109, 0x0109]:
                assert time.monotonic() < deadline, "the bollards did not rise"
                time.sleep(0.02)

        world = http.get("/world").json()
        assert [b["position"] for b in world["lanes"]["main"]["bollards"].values()] == [1.0, 1.0]
        assert world["breaches"] == []
        wire = http.get("/wire", params={"since": ns}).json()
        edge = next(e for e in wire if e["kind"] == "pin" and e["gpio"] == 17)
        write = next(e for e in wire if e["kind"] == "frame" and "request main-1" in e["text"])
        assert ns <= edge["ns"] <= write["ns"]
        assert pressed

        with serial.Serial(where["readers"]["guard"], 9600, timeout=20) as reader:
            http.post("/swipe", json={"reader": "guard", "card": "guard-1"})
            assert reader.read(14) == b"\x020100A1B2C3D1\x03"
        for button in buttons:
            button.close()
        factory.close()
        http.close()

        assert resident_mb(process.pid) < 60
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not list((tmp_path / "run").glob("tty-*")), "links go with the process"
    assert process.stderr is not None


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_it_ends_though_a_page_is_open(tmp_path: Path) -> None:
    with (
        running(live_text(), tmp_path) as (process, where),
        httpx.Client(trust_env=False) as http,
        http.stream("GET", where["http"] + "/stream") as stream,
    ):
        assert next(stream.iter_lines()) == "event: world"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_it_idles_without_work(tmp_path: Path) -> None:
    with running(live_text(), tmp_path) as (process, _):

        def used() -> int:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        def in_a_second() -> int:
            before = used()
            time.sleep(1.0)
            return used() - before

        # What its start still had to do on a busy machine is over sooner or later; idle work would be in every second.
        assert any(in_a_second() <= 2 for _ in range(10)), "ticks of 10 ms in a second of rest"


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for text, options, who in (
            (live_text().replace('gpio_address = "127.0.0.1:', f'gpio_address = "127.0.0.1:{port}" #'), (), "pins"),
            (live_text().replace("\nport = ", f"\nport = {port} #", 1), (), "bus plc"),
            (live_text(), ("--http", port), "http"),
        ):
            code, said = ended(text, tmp_path, *options)
            assert code == 2
            assert said.count("\n") == 1, said
            assert who in said
            assert port in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "site"),
        (demo_text().replace('profile = "reference-plc"', 'profile = "no-such"', 1), "no-such"),
        (demo_text() + "\n[[[", "gatebox.toml"),
    ],
)
def test_a_wrong_site_file_is_told_and_nothing_is_served(tmp_path: Path, text: str, words: str) -> None:
    code, said = ended(text, tmp_path)
    assert code == 2
    assert words in said


def test_misuse(tmp_path: Path) -> None:
    for options in (("--http", "0.0.0.0:80"), ("--http", "many")):
        code, said = ended(demo_text(), tmp_path, *options)
        assert code == 2
        assert "--http" in said
    code, said = ended(demo_text(), tmp_path, "--seed", "x")
    assert code == 2
    missing = subprocess.run(
        [sys.executable, "-m", "sim", "--site", "/no/such/file"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr
