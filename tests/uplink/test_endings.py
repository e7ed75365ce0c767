"""From the record that ends an alarm to the centre's restore, through the role as it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from uplink_rig import FakeControl, SmallJournal, make_site, now_ms, until

from agent.uplink.role import Uplink
from hardware.site import Dc09, Site, Uplinks
from sim.dc09 import Centre


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[FakeControl]:
    made = FakeControl(tmp_path, SmallJournal(tmp_path / "state"))
    await made.start()
    yield made
    await made.stop()
    made.journal.close()


@contextlib.asynccontextmanager
async def centre_and_role(folder: Path) -> AsyncIterator[Centre]:
    """A centre as the only way up, and the role that speaks with it."""
    centre = Centre("1234")
    server = await asyncio.start_server(centre.serve, "127.0.0.1", 0)
    way = Dc09(host="127.0.0.1", port=server.sockets[0].getsockname()[1], account="1234", priority=1)
    site: Site = msgspec.structs.replace(make_site(folder, 1), uplink=Uplinks(dc09=(way,)))
    uplink = Uplink(site, None)
    task = asyncio.create_task(uplink.run())
    try:
        yield centre
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await uplink.close()
        server.close()


def told(centre: Centre) -> list[tuple[str, bool]]:
    return [(message["code"], message["restore"]) for message in centre.messages]


async def test_what_control_tells_goes_up(tmp_path: Path, control: FakeControl) -> None:
    async with centre_and_role(tmp_path) as centre:
        await until(lambda: control.subscribed)
        (fault,) = control.add(["output.fault"], data={"why": "x"})
        control.alarm(fault)
        await until(lambda: told(centre) == [("320", False)])
        (ok,) = control.add(["output.ok"], data={})
        control.tell({"op": "ended", "record": msgspec.to_builtins(ok)})
        await until(lambda: told(centre) == [("320", False), ("320", True)])


async def test_what_was_told_while_nobody_listened_is_found_in_the_journal_while_it_is_young(
    tmp_path: Path, control: FakeControl
) -> None:
    control.journal.add(["fire.unread"], at_ms=now_ms() - 2 * 3_600_000, data={})
    control.journal.add(["fire.read"], at_ms=now_ms() - 2 * 3_600_000, data={})
    control.journal.add(["output.fault", "output.ok"], data={})
    async with centre_and_role(tmp_path) as centre:
        await until(lambda: told(centre) == [("320", False), ("320", True)])
