"""The units are what systemd takes, one for each role, checked inside a staged root as the package will lay it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.control.peers import USERS_VARIABLE, Part
from agent.supervise import ROLES

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = sorted((SYSTEMD / "units").glob("*.service"))
# What a staged root of ours does not hold: units of the system itself, and manuals.
OF_THE_SYSTEM = re.compile(
    r"(sysinit|basic|shutdown|local-fs|network|time-set|multi-user)\.target|man page|documentation"
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with our units and a `menwei` that can be executed."""
    root = tmp_path_factory.mktemp("stage")
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(unit, units)
    program = root / "usr/bin/menwei"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return root


def verify(root: Path, unit: str) -> list[str]:
    """What systemd has to say of a unit, less what is not ours."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: apt-get install systemd"
    command = ["systemd-analyze", "verify", "--recursive-errors=no", f"--root={root}", f"/etc/systemd/system/{unit}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line and not OF_THE_SYSTEM.search(line)]


@pytest.mark.parametrize("unit", [unit.name for unit in UNITS])
def test_systemd_takes_the_unit(unit: str, stage: Path) -> None:
    assert verify(stage, unit) == []


def test_the_check_bites(stage: Path) -> None:
    bad = (stage / "etc/systemd/system/menwei-control.service").read_text()
    (stage / "etc/systemd/system/bad.service").write_text(bad.replace("WatchdogSec=10", "WatchdogSeconds=10"))
    assert any("WatchdogSeconds" in line for line in verify(stage, "bad.service"))


def test_every_role_has_its_unit_and_its_user() -> None:
    assert {unit.stem for unit in UNITS} == {f"menwei-{role}" for role in ROLES}
    users = (SYSTEMD / "menwei.sysusers").read_text()
    for unit in UNITS:
        text = unit.read_text()
        user = re.search(r"^User=(\S+)$", text, re.M)
        assert user and f"u     {user[1]} " in users
        assert f"ExecStart=/usr/bin/menwei {unit.stem.removeprefix('menwei-')} --config" in text


def test_control_knows_each_roles_user_by_its_part() -> None:
    """Without it the other roles would be turned away, or one of them could speak for another."""
    unit = (SYSTEMD / "units/menwei-control.service").read_text()
    found = re.search(rf'^Environment="{USERS_VARIABLE}=(.*)"$', unit, re.M)
    assert found is not None
    told = dict(word.partition("=")[::2] for word in found[1].split())
    assert told == {"menwei-uplink": Part.UPSTREAM, "menwei-web": Part.CONSOLE, "menwei-camera": ""}
    users = (SYSTEMD / "menwei.sysusers").read_text()
    assert all(f"u     {user} " in users for user in told)


def test_control_is_watched_and_tells_when_it_is_ready() -> None:
    text = (SYSTEMD / "units/menwei-control.service").read_text()
    assert "Type=notify" in text and "WatchdogSec=10" in text and "Restart=always" in text


@pytest.mark.parametrize("line", (SYSTEMD / "menwei.tmpfiles").read_text().splitlines())
def test_every_folder_belongs_to_a_user_that_is_made(line: str) -> None:
    if line.startswith("#"):
        return
    kind, path, mode, user, group = line.split()
    assert kind == "d" and path.startswith(("/run/menwei", "/var/lib/menwei")) and mode == "0750"
    users = (SYSTEMD / "menwei.sysusers").read_text()
    assert f"u     {user} " in users and group == "menwei"
