"""GB/T 28181 as a site's only way up: the role, control's socket and a platform on a real port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec.structs
import pytest
from gb28181_rig import PASSWORD, listening, until
from uplink_rig import FakeControl, make_site, now_ms, running_uplink

from agent.uplink.role import Uplink
from hardware.site import Gb28181, Uplinks
from sim.gb28181.platform import DEVICE, PLATFORM, Platform


@pytest.fixture
async def port_of() -> AsyncIterator[tuple[Platform, int]]:
    async with listening("udp") as (platform, port):
        yield platform, port


@pytest.fixture
def platform(port_of: tuple[Platform, int]) -> Platform:
    return port_of[0]


@contextlib.asynccontextmanager
async def role(folder: Path, port: int) -> AsyncIterator[Uplink]:
    (folder / "gb.password").write_text(PASSWORD)
    way = Gb28181(host="127.0.0.1", port=port, platform_id=PLATFORM, device_id=DEVICE, password_file="gb.password")
    async with running_uplink(msgspec.structs.replace(make_site(folder, 0), uplink=Uplinks(gb28181=(way,)))) as made:
        yield made


@pytest.fixture
async def uplink(tmp_path: Path, control: FakeControl, port_of: tuple[Platform, int]) -> AsyncIterator[Uplink]:
    async with role(tmp_path, port_of[1]) as made:
        yield made


async def test_control_hears_of_the_path_of_receipts_and_of_orders(
    uplink: Uplink, control: FakeControl, platform: Platform
) -> None:
    await until(lambda: control.paths() == [True])
    (record,) = control.journal.add(["panic.pressed"])
    control.alarm(record)
    await until(lambda: control.stages(record.ref) == ["sent", "received"])
    assert len(platform.alarms) == 1
    platform.query("ResetAlarm")
    await until(lambda: any(asked["op"] == "note" for asked in control.asked))
    (note,) = [asked for asked in control.asked if asked["op"] == "note"]
    assert (note["kind"], note["data"]["verb"]) == ("command.refused", "ResetAlarm")
    platform.query("DeviceStatus")
    await until(lambda: "<Status>OK</Status>" in (platform.answers[-1:] or [{"xml": ""}])[0]["xml"])


async def test_an_alarm_from_before_the_start_goes_up_too(
    uplink: Uplink, control: FakeControl, platform: Platform
) -> None:
    (record,) = control.journal.add(["panic.pressed"])  # nobody told of it
    await control.stop()
    await control.start()
    await until(lambda: control.stages(record.ref) == ["sent", "received"])


async def test_an_alarm_that_waits_outlives_a_restart_and_a_reset_at_the_gate(
    tmp_path: Path, control: FakeControl, port_of: tuple[Platform, int]
) -> None:
    """Hours ago, the platform away; control holds it open no longer."""
    async with role(tmp_path, 1) as uplink:
        await until(lambda: control.subscribed)
        (record,) = control.journal.add(["panic.pressed"], at_ms=now_ms() - 3 * 3_600_000)
        control.alarm(record)
        control.head()
        await until(lambda: uplink.unsaid.kept.told == record.ref)
    async with role(tmp_path, port_of[1]):
        await until(lambda: control.stages(record.ref) == ["sent", "received"])
    assert len(port_of[0].alarms) == 1
