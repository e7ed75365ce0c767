"""GB/T 28181 as a site's only way up: the role, control's socket and a platform on a real port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec.structs
import pytest
from gb28181_rig import PASSWORD, listening, until
from uplink_rig import FakeControl, make_site

from agent.uplink.role import Uplink
from hardware.site import Gb28181, Uplinks
from sim.gb28181 import DEVICE, PLATFORM, Platform


@pytest.fixture
async def port_of() -> AsyncIterator[tuple[Platform, int]]:
    async with listening("udp") as (platform, port):
        yield platform, port


@pytest.fixture
def platform(port_of: tuple[Platform, int]) -> Platform:
    return port_of[0]


@pytest.fixture
async def uplink(tmp_path: Path, control: FakeControl, port_of: tuple[Platform, int]) -> AsyncIterator[Uplink]:
    (tmp_path / "gb.password").write_text(PASSWORD)
    way = Gb28181(
        host="127.0.0.1",
        port=port_of[1],
        platform_id=PLATFORM,
        device_id=DEVICE,
        password_file="gb.password",
    )
    role = Uplink(msgspec.structs.replace(make_site(tmp_path, 0), uplink=Uplinks(gb28181=(way,))), None)
    task = asyncio.create_task(role.run())
    yield role
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await role.close()


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
