"""The units are what systemd takes, one for each role, checked inside a staged root as the package will lay it."""

from __future__ import annotations

import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

from agent.control.peers import USERS_VARIABLE, Part
from agent.supervise import ROLES

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = sorted((SYSTEMD / "units").glob("*.service"))
ROLE_UNITS = [unit for unit in UNITS if "@" not in unit.name]
STICK = SYSTEMD / "units/menwei-stick@.service"
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
    (root / "usr/bin").mkdir(parents=True)
    for name in ("menwei", "mount", "umount"):
        (root / "usr/bin" / name).write_text("#!/bin/sh\n")
        (root / "usr/bin" / name).chmod(0o755)
    return root


def verify(root: Path, unit: str) -> list[str]:
    """What systemd has to say of a unit, less what is not ours."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: apt-get install systemd"
    command = ["systemd-analyze", "verify", "--recursive-errors=no", f"--root={root}", f"/etc/systemd/system/{unit}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line and not OF_THE_SYSTEM.search(line)]


@pytest.mark.parametrize("unit", [unit.name for unit in UNITS])
def test_systemd_takes_the_unit(unit: str, stage: Path) -> None:
    assert verify(stage, unit.replace("@", "@sda1")) == []


def test_the_check_bites(stage: Path) -> None:
    bad = (stage / "etc/systemd/system/menwei-control.service").read_text()
    (stage / "etc/systemd/system/bad.service").write_text(bad.replace("WatchdogSec=10", "WatchdogSeconds=10"))
    assert any("WatchdogSeconds" in line for line in verify(stage, "bad.service"))


def test_every_role_has_its_unit_and_its_user() -> None:
    assert {unit.stem for unit in ROLE_UNITS} == {f"menwei-{role}" for role in ROLES}
    users = (SYSTEMD / "menwei.sysusers").read_text()
    for unit in ROLE_UNITS:
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
    parts = {"menwei-uplink": Part.UPSTREAM, "menwei-web": Part.CONSOLE, "menwei-stick": Part.STICK}
    assert told == parts | {"menwei-camera": ""}
    users = (SYSTEMD / "menwei.sysusers").read_text()
    assert all(f"u     {user} " in users for user in told)


def test_control_is_watched_and_tells_when_it_is_ready() -> None:
    text = (SYSTEMD / "units/menwei-control.service").read_text()
    assert "Type=notify" in text and "WatchdogSec=10" in text and "Restart=always" in text


# systemd's own measure, in tenths; without a sandbox it is 92. Control holds pins and serial ports.
@pytest.mark.parametrize(("role", "tenths"), [("control", 23), ("uplink", 16), ("web", 16), ("camera", 20)])
def test_a_roles_exposure_is_small(role: str, tenths: int, stage: Path) -> None:
    unit = f"/etc/systemd/system/menwei-{role}.service"
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={tenths}", f"--root={stage}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


@pytest.mark.parametrize("unit", ROLE_UNITS, ids=lambda unit: unit.stem)
def test_no_role_leaves_a_core_file_and_each_reaches_what_it_works_with(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert "LimitCORE=0" in lines and "SystemCallErrorNumber=EPERM" in lines
    assert "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6" in lines
    if unit.stem == "menwei-control":
        # ProtectClock and DeviceAllow would close every device but those named: also a serial adapter plugged in later.
        assert not any(line.startswith(("PrivateDevices", "ProtectClock", "Device", "PrivateUsers")) for line in lines)
        assert "SystemCallFilter=adjtimex clock_adjtime" in lines, "else the clock would seem untrusted"
    if unit.stem == "menwei-web":
        assert "ReadWritePaths=-/var/lib/menwei/web" in lines, "accounts, certificate and register"


@pytest.mark.parametrize("line", (SYSTEMD / "menwei.tmpfiles").read_text().splitlines())
def test_every_folder_belongs_to_a_user_that_is_made(line: str) -> None:
    if line.startswith("#"):
        return
    kind, path, mode, user, group = line.split()
    assert kind == "d" and path.startswith(("/run/menwei", "/var/lib/menwei")) and mode == "0750"
    users = (SYSTEMD / "menwei.sysusers").read_text()
    assert f"u     {user} " in users and group == "menwei"


# ── the USB stick ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stick_is_mounted_so_that_nothing_on_it_can_do_anything() -> None:
    mounts = [line for line in STICK.read_text().splitlines() if "/mount " in line]
    assert len(mounts) == 1
    options = re.search(r"-o (\S+) ", mounts[0])
    assert options is not None and {"ro", "nosuid", "nodev", "noexec"} <= set(options[1].split(","))


def test_only_mounting_is_done_as_root() -> None:
    text = STICK.read_text()
    lines = dict(re.findall(r"^(Exec\w+)=([-+]*/usr/bin/\w+)", text, re.M))
    assert lines == {
        "ExecStartPre": "+/usr/bin/mount",
        "ExecStart": "/usr/bin/menwei",
        "ExecStopPost": "-+/usr/bin/umount",
    }
    assert "User=menwei-stick" in text and "u     menwei-stick " in (SYSTEMD / "menwei.sysusers").read_text()


def test_the_command_of_the_unit_is_one_that_menwei_has(capsys: pytest.CaptureFixture[str]) -> None:
    from agent.policy import command

    words = re.search(r"^ExecStart=/usr/bin/menwei policy (.*)$", STICK.read_text(), re.M)
    assert words is not None
    assert command.run(words[1].replace("%i", "no-such-stick").split()) == 2
    assert "there is no bundle on /run/menwei-stick/no-such-stick" in capsys.readouterr().err


def test_the_stick_units_exposure_is_small(stage: Path) -> None:
    """systemd's own measure, in tenths: 10 is "safe" by its words, a service without any of this has 96."""
    unit = "/etc/systemd/system/menwei-stick@sda1.service"
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=10", f"--root={stage}", unit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


RULE = [
    re.fullmatch(r'(\w+)(?:\{(\w+)\})?(==|\+=)"([^"]*)"', part.strip())
    for line in (SYSTEMD / "udev/60-menwei-stick.rules").read_text().splitlines()
    if not line.startswith("#")
    for part in line.split(", ")
]


def wanted(**device: str) -> str:
    """What udev would start for a device with these properties: all of the rule's conditions must match."""
    wants = ""
    for found in RULE:
        assert found is not None, "the rule is written as udev reads it"
        key, name, operator, value = found.groups()
        if operator == "==" and not any(fnmatch(device.get(name or key, ""), glob) for glob in value.split("|")):
            return ""
        if name == "SYSTEMD_WANTS":
            wants = value.replace("%k", device["kernel"])
    return wants


STICK_DEVICE = {
    "kernel": "sda1", "ACTION": "add", "SUBSYSTEM": "block", "ID_BUS": "usb", "ID_FS_USAGE": "filesystem",
    "ID_FS_TYPE": "vfat",
}  # fmt: skip


def test_udev_starts_the_unit_for_a_stick_and_for_nothing_else() -> None:
    assert wanted(**STICK_DEVICE) == "menwei-stick@sda1.service"
    assert wanted(**STICK_DEVICE | {"ID_FS_TYPE": "exfat"}) == "menwei-stick@sda1.service"
    for change in (
        {"ID_BUS": "ata"},
        {"kernel": "mmcblk0p1", "ID_BUS": ""},
        {"ID_FS_TYPE": "ext4"},
        {"ID_FS_USAGE": "crypto"},
        {"ACTION": "change"},
        {"ACTION": "remove"},
        {"SUBSYSTEM": "usb"},
    ):
        assert wanted(**STICK_DEVICE | change) == ""
