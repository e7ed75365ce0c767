"""The GB/T 28181 path against SIPp: an independent SIP stack that verifies our digest and reads our messages."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from gb28181_rig import PASSWORD, Rig, press, until

from agent.core.words import Stage
from agent.uplink.gb28181 import path as path_module
from agent.uplink.gb28181.path import Gb28181Path
from agent.uplink.gb28181.wire import open_wire
from sim.gb28181.platform import DEVICE, PLATFORM
from sim.ports import free_port

SCENARIO = (Path(__file__).parent / "sipp" / "gb28181_platform.xml").read_text("utf-8")

pytestmark = pytest.mark.e2e


class Sipp:
    """SIPp as the platform, for so many calls: one for the registration, one for every MESSAGE."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port
        self.transport = "udp"

    def start(self, scenario: str, calls: int, password: str = PASSWORD, loss_percent: int = 0) -> None:
        assert shutil.which("sipp"), "sipp is missing: apt-get install sip-tester"
        (self._folder / "platform.xml").write_text(scenario, "utf-8")
        keys = [("device", DEVICE), ("platform", PLATFORM), ("password", password)]
        command = ["sipp", "-sf", "platform.xml", "-i", "127.0.0.1", "-p", str(self.port), "-nostdin", "-m", str(calls),
                   "-t", {"udp": "u1", "tcp": "t1"}[self.transport], "-timeout", "110s", "-timeout_error",
                   "-trace_err", "-error_file", "errors.log", "-lost", str(loss_percent),
                   *(word for key, value in keys for word in ("-key", key, value))]  # fmt: skip
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)

    async def verdict(self) -> int:
        """0: every call went as the scenario has it."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, 30)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def errors(self) -> str:
        log = self._folder / "errors.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    await made.close()
    await asyncio.sleep(0.05)


@pytest.fixture
async def sipp(tmp_path: Path) -> AsyncIterator[Sipp]:
    made = Sipp(tmp_path, free_port())
    yield made
    made.stop()


def path_to(sipp: Sipp, rig: Rig, **settings: object) -> Gb28181Path:
    opened = partial(open_wire, sipp.transport, "127.0.0.1", sipp.port)
    return rig.path(opened, port=sipp.port, transport=sipp.transport, **settings)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_registers_us_hears_us_and_confirms_an_alarm(rig: Rig, sipp: Sipp, transport: str) -> None:
    sipp.transport = transport
    sipp.start(SCENARIO, calls=3)  # the registration, the first keepalive, the alarm
    path = path_to(sipp, rig)
    await until(lambda: rig.told.up)
    path.take(press())
    await until(lambda: rig.told.received())
    assert rig.told.stages == [((1, 7), Stage.SENT), ((1, 7), Stage.RECEIVED)]
    assert (await sipp.verdict(), sipp.errors()) == (0, "")


async def test_sipp_refuses_another_password(rig: Rig, sipp: Sipp) -> None:
    sipp.start(SCENARIO, calls=100, password="another")
    path_to(sipp, rig).take(press())
    await until(lambda: any("403" in why for _, why in rig.told.ups))
    assert rig.told.stages == []
    assert not any(up for up, _ in rig.told.ups)


async def test_sipps_ok_without_its_response_is_no_receipt(
    rig: Rig, sipp: Sipp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "OWED_S", 0.4)
    monkeypatch.setattr(path_module, "RESPONSE_S", 0.1)
    sipp.start(SCENARIO.replace('<send next="alarm" test="is_alarm">', "<send>"), calls=1000)
    path = path_to(sipp, rig)
    await until(lambda: rig.told.up)
    path.take(press())
    await until(lambda: "has not confirmed" in rig.told.ups[-1][1])
    assert rig.told.stages == [((1, 7), Stage.SENT)]


async def test_three_keepalives_that_sipp_leaves_unanswered_are_a_loss(
    rig: Rig, sipp: Sipp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "PROBE_ANSWER_S", 0.1)
    silent = SCENARIO[: SCENARIO.index('  <send next="alarm"')] + SCENARIO[SCENARIO.index('  <nop next="end"/>') :]
    sipp.start(silent, calls=1000)
    path_to(sipp, rig, keepalive_s=0.2)
    await until(lambda: rig.told.up)
    await until(lambda: "signs of life" in rig.told.ups[-1][1])


async def test_an_alarm_arrives_though_sipp_loses_every_tenth_message(rig: Rig, sipp: Sipp) -> None:
    sipp.start(SCENARIO, calls=1000, loss_percent=10)
    path = path_to(sipp, rig)
    for seq in range(1, 6):
        path.take(press(seq))
    await until(lambda: all(rig.told.received(seq) for seq in range(1, 6)), 100)
