"""From the record that ends an alarm to the centre's restore, through the role as it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from uplink_rig import DistrictHere, FakeControl, SmallJournal, make_site, now_ms, running_uplink, until

from agent.core.endings import ENDING_KINDS
from agent.uplink import dispatch, unsaid
from agent.uplink.cursor import FILE as CURSOR
from agent.uplink.cursor import save_cursor
from agent.uplink.role import Uplink
from agent.uplink.unsaid import FILE
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
async def role(folder: Path, port: int, *, orderly: bool = True) -> AsyncIterator[Uplink]:
    """The role with one centre as its only way up. Not `orderly`: killed, with no last word to its files."""
    way = Dc09(host="127.0.0.1", port=port, account="1234", priority=1)
    site: Site = msgspec.structs.replace(make_site(folder, 1), uplink=Uplinks(dc09=(way,)))
    uplink = Uplink(site, None)
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        file = folder / "state" / "uplink" / FILE
        as_it_was = file.read_bytes() if file.exists() else b""
        await uplink.close()
        if not orderly:
            file.write_bytes(as_it_was)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[tuple[Centre, int]]:
    centre = Centre("1234")
    server = await asyncio.start_server(centre.serve, "127.0.0.1", 0)
    try:
        yield centre, int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


@contextlib.asynccontextmanager
async def centre_and_role(folder: Path) -> AsyncIterator[Centre]:
    """A centre as the only way up, and the role that speaks with it."""
    async with listening() as (centre, port), role(folder, port):
        yield centre


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


async def tell(control: FakeControl, *kinds: str, at_ms: int | None = None) -> None:
    """What the gate does when one of these is written: the line of an alarm or of an end, then the head."""
    for kind in kinds:
        (record,) = control.journal.add([kind], data={}, at_ms=at_ms)
        ended = kind in ENDING_KINDS
        control.tell({"op": "ended", "record": msgspec.to_builtins(record)}) if ended else control.alarm(record)
        control.head()


async def has_told(uplink: Uplink, control: FakeControl) -> None:
    """Everything that control has told is written down as told."""
    await until(lambda: control.subscribed)
    await until(lambda: uplink.unsaid.kept.told == control.journal.head)


@pytest.mark.parametrize("orderly", [True, False])
async def test_what_waits_for_the_centre_outlives_a_restart_however_long_that_takes(
    tmp_path: Path, control: FakeControl, orderly: bool
) -> None:
    """The centre has the alarm and was away when it ended; and there is a second alarm that it never heard of."""
    long_ago = now_ms() - 3 * 3_600_000
    async with listening() as (centre, port), role(tmp_path, port):
        await until(lambda: control.subscribed)
        await tell(control, "output.fault", at_ms=long_ago)
        await until(lambda: told(centre) == [("320", False)])
    async with role(tmp_path, 1, orderly=orderly) as uplink:
        await until(lambda: control.subscribed)
        await tell(control, "output.ok", "fire.unread", at_ms=long_ago)
        await has_told(uplink, control)
    for _ in range(2):
        async with role(tmp_path, 1, orderly=orderly) as uplink:
            await has_told(uplink, control)
    async with listening() as (centre, port), role(tmp_path, port):
        await until(lambda: told(centre) == [("320", True), ("373", False)])


async def test_what_the_centre_has_is_not_told_again_after_a_restart(tmp_path: Path, control: FakeControl) -> None:
    async with listening() as (centre, port):
        async with role(tmp_path, port, orderly=False) as uplink:
            await until(lambda: control.subscribed)
            await tell(control, "output.fault", "output.ok")
            await until(lambda: told(centre) == [("320", False), ("320", True)])
            await has_told(uplink, control)
        async with role(tmp_path, port):
            await until(lambda: control.subscribed)
            await tell(control, "fire.unread")
            await until(lambda: len(centre.messages) >= 3)
    assert told(centre) == [("320", False), ("320", True), ("373", False)]


async def test_an_end_written_while_nobody_listened_is_told_however_old_where_the_alarm_was(
    tmp_path: Path, control: FakeControl
) -> None:
    """The first alarm went up, and ended hours ago with nobody here. The second began and ended then: it is over."""
    long_ago = now_ms() - 3 * 3_600_000
    async with listening() as (centre, port), role(tmp_path, port) as uplink:
        await until(lambda: control.subscribed)
        await tell(control, "output.fault")
        await until(lambda: told(centre) == [("320", False)])
        await has_told(uplink, control)
    for kind in ("output.ok", "fire.unread", "fire.read"):
        control.journal.add([kind], at_ms=long_ago, data={})
    async with listening() as (centre, port), role(tmp_path, port):
        await until(lambda: control.subscribed)
        await tell(control, "lane.fault")
        await until(lambda: ("300", False) in told(centre))
        assert told(centre) == [("320", True), ("300", False)]


async def test_an_alarm_that_waits_still_finds_the_next_path_after_a_restart(
    tmp_path: Path, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found hours later, the first centre dead: it goes to the second, in time."""
    monkeypatch.setattr(dispatch, "NEXT_AFTER_S", 0.3)
    async with role(tmp_path, 1) as uplink:
        await until(lambda: control.subscribed)
        await tell(control, "output.fault", at_ms=now_ms() - 3 * 3_600_000)
        await has_told(uplink, control)
    async with listening() as (centre, port):
        ways = (
            Dc09(id="dc09", host="127.0.0.1", port=1, account="1234", priority=1),
            Dc09(id="late", host="127.0.0.1", port=port, account="1234", priority=2),
        )
        both: Site = msgspec.structs.replace(make_site(tmp_path, 1), uplink=Uplinks(dc09=ways))
        async with running_uplink(both):
            await until(lambda: told(centre) == [("320", False)])


@pytest.mark.parametrize("spoilt", [b"", b"{", b'{"told":[1]}', b'{"told":[9,9999],"alarms":[],"waits":[]}'])
async def test_a_spoilt_list_costs_what_waited_and_nothing_else(
    tmp_path: Path, control: FakeControl, spoilt: bytes
) -> None:
    """Also one of another card, that has told more than this journal ever had."""
    (tmp_path / "state" / "uplink").mkdir()
    (tmp_path / "state" / "uplink" / FILE).write_bytes(spoilt)
    control.journal.add(["output.fault"], data={})
    async with centre_and_role(tmp_path) as centre:
        await until(lambda: told(centre) == [("320", False)])


async def test_a_list_that_cannot_be_written_keeps_no_alarm_back_and_is_told_once(
    tmp_path: Path, control: FakeControl, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[bytes] = []

    def full(path: Path, data: bytes) -> None:
        tries.append(data)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unsaid, "replace_file", full)
    monkeypatch.setattr(unsaid, "REFUSED_S", 0.01)
    async with centre_and_role(tmp_path) as centre:
        await until(lambda: control.subscribed)
        await tell(control, "output.fault", "output.ok")
        await until(lambda: told(centre) == [("320", False), ("320", True)] and len(tries) >= 3)
    assert sum("cannot write down" in message for message in caplog.messages) == 1


async def test_an_alarm_that_waits_for_a_centre_is_found_again_for_the_broker_too(
    site: Site, control: FakeControl, district: DistrictHere, impatient: None
) -> None:
    """Two paths had it, one of them is written down: the other has it from control. The district has its record."""
    control.journal.add(20)
    (press,) = control.journal.add(["panic.pressed"])
    control.open_alarms = [{"ref": list(press.ref), "button": "gatehouse", "stages": {"mqtt": "sent"}}]
    own = Path(site.folder) / "state" / "uplink"
    save_cursor(own / CURSOR, control.journal.head)
    waits = [{"ref": press.ref, "path": "dc09"}]
    followed = [{"ref": press.ref, "groups": 1, "received": False}]
    (own / FILE).write_bytes(msgspec.json.encode({"told": press.ref, "alarms": followed, "waits": waits}))
    nobody = Dc09(host="127.0.0.1", port=1, account="1234", priority=1)
    async with running_uplink(
        msgspec.structs.replace(site, uplink=msgspec.structs.replace(site.uplink, dc09=(nobody,)))
    ):
        await until(lambda: "received" in control.stages(press.ref))
    assert {(a["epoch"], a["seq"]) for a in await district.alarms()} == {press.ref}


async def test_a_control_that_lost_a_receipt_hears_of_it_again(tmp_path: Path, control: FakeControl) -> None:
    """Killed after its answer and before the record was on disk: nobody else would ever light the lamp."""
    async with centre_and_role(tmp_path) as centre:
        await until(lambda: control.subscribed)
        (press,) = control.add(["panic.pressed"])
        control.alarm(press)
        await until(lambda: control.stages(press.ref) == ["sent", "received"])
        for stage, again in (("sent", ["received"]), ("queued", ["received"]), ("received", [])):
            await control.stop()
            control.asked.clear()
            control.open_alarms = [{"ref": list(press.ref), "button": "gatehouse", "stages": {"dc09": stage}}]
            await control.start()
            await until(lambda: control.paths() == [True])
            await until(lambda again=again: control.stages(press.ref) == again)  # type: ignore[misc]
    assert len(centre.messages) == 1


async def test_the_end_of_an_alarm_of_before_controls_start_is_the_centres_restore(
    tmp_path: Path, control: FakeControl
) -> None:
    async with centre_and_role(tmp_path) as centre:
        await until(lambda: control.subscribed)
        await tell(control, "panic.line_fault")
        await until(lambda: told(centre) == [("380", False)])
        (over,) = control.journal.add(["alarm.over"], data={"alarm": [1, 1], "kind": "panic.line_fault"})
        control.tell({"op": "ended", "record": msgspec.to_builtins(over)})
        await until(lambda: told(centre) == [("380", False), ("380", True)])
