"""The command line: whatever is typed, nobody is shown a traceback, and every message names the place."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from control_scenes import DEMO

from agent import cli
from agent.demo.stage import Stage

ROOT = Path(cli.__file__).parents[1]
GOOD = DEMO.read_text("utf-8")


class Said:
    """What one run of the command line gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in out + err, err


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> object:
    def menwei(*words: str) -> Said:
        try:
            code = cli.main(list(words))
        except SystemExit as end:  # how argparse ends
            code = int(end.code or 0)
        return Said(code, *capfd.readouterr())

    return menwei


def spoken(*words: str, folder: Path, limit_s: float = 60.0, before: tuple[str, ...] = ()) -> Said:
    """The same as a process of its own."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "agent", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=limit_s,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def site_file(folder: Path, *changes: tuple[str, str]) -> Path:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "gatebox.toml"
    path.write_text(text, "utf-8")
    return path


# ── nonsense ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), "VERB"),
        (("dance",), "dance"),
        (("--loud",), "VERB"),
        (("check",), "file"),
        (("check", "/x", "/y"), "/y"),
        (("check", "/x", "--lang", "fr"), "fr"),
        (("run", "--site", "x"), "--site"),
        (("journal",), "VERB"),
        (("journal", "dance"), "dance"),
        (("journal", "prove", "seven"), "seven"),
        (("journal", "verify"), "file"),
        (("status", "now"), "now"),
        (("demo", "--broker", "hivemq"), "hivemq"),
    ],
)
def test_nonsense_is_misuse_and_named(say: object, words: tuple[str, ...], names: str) -> None:
    assert callable(say)
    said = say(*words)
    assert said.code == 2
    assert names in said.err and "usage: menwei" in said.err


@pytest.mark.parametrize("words", [("--help",), ("journal", "--help"), ("journal", "verify", "-h"), ("demo", "-h")])
def test_help_is_help(say: object, words: tuple[str, ...]) -> None:
    assert callable(say)
    said = say(*words)
    assert said.code == 0 and said.out.startswith("usage: menwei")


def test_help_names_every_verb(say: object) -> None:
    assert callable(say)
    out = say("--help").out
    for verb in ("demo", "run", "control", "uplink", "web", "camera", "check", "wiring", "status", "journal", "sim"):
        assert verb in out


def test_the_simulators_own_options_reach_it(tmp_path: Path) -> None:
    said = spoken("sim", "--site", "/no/such/file", folder=tmp_path)
    assert said.code == 2 and "/no/such/file" in said.err
    assert spoken("sim", "--help", folder=tmp_path).out.count("--site") >= 1


def test_an_unknown_story_names_the_ones_there_are(say: object) -> None:
    assert callable(say)
    said = say("demo", "--scenario", "flood")
    assert said.code == 2 and "panic-offline" in said.err


# ── the site file ──────────────────────────────────────────────────────────────────────────────────────────────────

ROLES = ("run", "control", "uplink", "web", "camera")


@pytest.mark.parametrize("verb", [*ROLES, "status"])
def test_a_site_file_that_is_not_there_stops_every_verb(say: object, verb: str, tmp_path: Path) -> None:
    assert callable(say)
    said = say(verb, "--config", str(tmp_path / "gone.toml"))
    assert said.code == 2
    assert f"{tmp_path}/gone.toml:1" in said.err and "no such file" in said.err


@pytest.mark.parametrize("verb", ROLES)
@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("half-written", "gatebox.toml:"),
        ("empty", "gatebox.toml:"),
        ("zeroes", "gatebox.toml:"),
        ("latin", "gatebox.toml:"),
        ("unknown profile", "stahlpoller"),
        ("unread key", "colour"),
        ("a pin used twice", "gpio:17"),
    ],
)
def test_a_wrong_site_file_is_told_with_its_line_and_nothing_is_started(
    say: object, verb: str, what: str, names: str, tmp_path: Path
) -> None:
    assert callable(say)
    path = tmp_path / "gatebox.toml"
    data = {
        "half-written": GOOD[: len(GOOD) // 2].rpartition("=")[0].encode() + b"= ",
        "empty": b"",
        "zeroes": bytes(4096),  # what a power cut leaves of a file on a FAT partition
        "latin": GOOD.encode("gb18030"),
        "unknown profile": GOOD.replace("reference-plc", "stahlpoller").encode(),
        "unread key": GOOD.replace('model = "pi-zero-2w"', 'model = "pi-zero-2w"\ncolour = "red"').encode(),
        "a pin used twice": GOOD.replace("gpio:27", "gpio:17").encode(),
    }[what]
    path.write_bytes(data)
    said = say(verb, "--config", str(path))
    assert said.code == 2
    assert names in said.err and "nothing was started" in said.err
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["gatebox.toml"]


def test_a_folder_for_a_file_is_told(say: object, tmp_path: Path) -> None:
    assert callable(say)
    said = say("check", str(tmp_path))
    assert said.code == 2 and "folder" in said.out


# ── the roles ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_web_port_in_use_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = site_file(tmp_path, ("127.0.0.1:18080", f"127.0.0.1:{port}"))
        said = spoken("web", "--config", str(path), folder=tmp_path)
    assert said.code == 2
    assert f"127.0.0.1:{port}" in said.err and "[web] listen" in said.err


def test_a_run_folder_that_cannot_be_written_is_told_with_what_to_look_at(tmp_path: Path) -> None:
    path = site_file(tmp_path, ('run_dir = "run"', 'run_dir = "locked/run"'))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    said = spoken("control", "--config", str(path), folder=tmp_path, before=humbly())
    locked.chmod(0o700)
    assert said.code == 2
    assert f"{tmp_path}/locked/run/control.sock" in said.err and "run_dir in [storage]" in said.err


def test_status_of_a_gate_that_is_not_running_says_so(say: object, tmp_path: Path) -> None:
    assert callable(say)
    said = say("status", "--config", str(site_file(tmp_path)))
    assert said.code == 1 and "control is not running" in said.err


def test_a_camera_that_is_not_fitted_says_so_and_ends_well(tmp_path: Path) -> None:
    said = spoken("camera", "--config", str(site_file(tmp_path)), folder=tmp_path)
    assert said.code == 0 and "not fitted" in said.err


def test_a_reader_of_our_output_that_hangs_up_is_no_crash(tmp_path: Path) -> None:
    path = site_file(tmp_path)
    command = f"{sys.executable} -m agent wiring {path} | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False
    )
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


# ── the demo ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_kept_demo_whose_port_is_taken_says_which(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    port = int(first.site.web.listen[0].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        said = spoken("demo", "--scenario", "panic", "--dir", str(tmp_path), "--json", folder=tmp_path)
    assert said.code == 1
    assert f"names port {port}, which another program uses now" in said.err
    assert json.loads(said.out.splitlines()[-1])["ok"] is False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_demo_told_to_end_leaves_nothing_running_and_is_no_success(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "demo", "--scenario", "panic-offline", "--dir", str(tmp_path)]
    demo = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "logs" / "box.log").exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert left_of(tmp_path), "the stage never came up"
        demo.send_signal(number)
        assert demo.wait(60) == 1
    finally:
        demo.kill()
        demo.wait()
    assert left_of(tmp_path) == []


LOST_IN_A_FINALISER = """
import os, signal
from agent.demo import command, gate

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(100):
            pass

command._end_with_what_it_started()
Last()
print("went on", flush=True)
try:
    gate.fetch("http://127.0.0.1:1/")
except KeyboardInterrupt:
    print("heard")
"""


def test_an_end_told_in_the_middle_of_a_finaliser_is_heard_at_the_next_question() -> None:
    """The interpreter drops what a signal handler raises there; the demo would play on as if nobody had spoken."""
    command = [sys.executable, "-c", LOST_IN_A_FINALISER]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["went on", "heard", ""]
    assert "Exception ignored" in done.stderr and "KeyboardInterrupt" in done.stderr  # it was dropped indeed


def left_of(folder: Path) -> list[str]:
    """The command lines of the processes that work in this folder, the demo itself not counted."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line and "agent demo" not in line:
                found.append(line)
    return found


def humbly() -> tuple[str, ...]:
    """Root may write everywhere; without these two capabilities it may no more than its files say."""
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
