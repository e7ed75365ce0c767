"""Records reach the district in order, once, and nothing but its receipt lets them go."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from pathlib import Path

import pytest
from uplink_rig import DistrictChild, DistrictHere, FakeControl, Running, now_ms, until

from agent.uplink.outbox import WINDOW
from hardware.site import Site
from sim.broker import BrokerProcess
from sim.district_writer import Message, Writer

HOUR_MS = 3_600_000


def seqs(records: list[dict[str, int]]) -> list[int]:
    return [record["seq"] for record in records]


async def test_records_arrive_as_written_and_are_received(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    control.journal.add(1000)
    async with running(site):
        await until(lambda: control.synced == (1, 1000), what="the backlog")
        control.add(5)
        await until(lambda: control.synced == (1, 1005), what="live records")
    kept = await district.records()
    assert seqs(kept) == list(range(1, 1006))
    bodies = [json.dumps(r["record"], sort_keys=True, separators=(",", ":")).encode() for r in kept]
    assert bodies == list(control.journal.bodies.values())
    box = await district.box()
    assert (box["duplicates"], box["conflicts"], box["gaps"], box["garbage"]) == (0, 0, 0, 0)


async def test_old_records_are_labelled_late_and_new_ones_live(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    control.journal.add(30, at_ms=now_ms() - HOUR_MS)
    control.journal.add(20)
    control.journal.add(10, at_ms=now_ms() + HOUR_MS)
    async with running(site):
        await until(lambda: control.synced == (1, 60))
    lanes = [record["lane"] for record in await district.records()]
    assert lanes == ["late"] * 30 + ["live"] * 20 + ["late"] * 10


async def test_the_brokers_acknowledgement_lets_nothing_go(
    site: Site, tmp_path: Path, broker: BrokerProcess, control: FakeControl, running: Running, impatient: None
) -> None:
    control.journal.add(20_000)
    async with running(site) as uplink:
        outbox = uplink._records.outbox
        await until(lambda: control.paths() == [False], what="a path with nobody at its end is down")
        assert "listens" in next(m["why"] for m in control.asked if m["op"] == "path")
        assert outbox.cursor == (0, 0)
        assert 0 < outbox.waiting <= WINDOW
        assert control.synced == (0, 0)
        district = await asyncio.to_thread(DistrictChild, tmp_path, broker.port)
        await until(lambda: control.synced == (1, 20_000), what="all of it, once somebody listens")
        await until(lambda: control.paths()[-1], what="the path is up again")
    assert len(await district.records()) == 20_000
    await district.close()


async def test_a_stall_sends_again_from_the_last_receipt(
    site: Site, control: FakeControl, district_process: DistrictChild, running: Running, impatient: None
) -> None:
    """The district dies with a window on its way, and comes back without it."""
    district = district_process
    control.journal.add(500)
    async with running(site) as uplink:
        await until(lambda: control.synced == (1, 500))
        district.kill()
        control.add(300)
        await until(lambda: uplink._records.outbox.waiting > 0)
        await asyncio.to_thread(district.restart)
        await until(lambda: control.synced == (1, 800), what="the rest")
    assert seqs(await district.records()) == list(range(1, 801))


async def test_a_far_side_that_misses_something_is_heeded_at_once(
    site: Site, control: FakeControl, district: DistrictHere, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message lost on the way: the far side sees the gap with the next one, and nobody waits for a stall."""
    monkeypatch.setattr("agent.uplink.outbox.STALL_S", 600.0)
    put, on_the_way = Writer.put, itertools.count(1)

    def lossy(self: Writer, message: Message) -> None:
        if not message.topic.endswith("/records") or next(on_the_way) != 5:
            put(self, message)

    monkeypatch.setattr(Writer, "put", lossy)
    control.journal.add(20_000)
    async with running(site) as uplink:
        await until(lambda: control.synced == control.journal.head)
        assert uplink._records.outbox.resends >= 1
    assert (await district.box())["gaps"] == 1
    assert seqs(await district.records()) == list(range(1, 20_001))


async def test_a_far_side_that_lost_everything_gets_it_again(
    tmp_path: Path, broker: BrokerProcess, site: Site, control: FakeControl, running: Running
) -> None:
    district = await asyncio.to_thread(DistrictHere, tmp_path, broker.port)
    control.journal.add(2000)
    async with running(site):
        await until(lambda: control.synced == control.journal.head)
        await district.close()
        (tmp_path / "empty").mkdir()
        district = await asyncio.to_thread(DistrictHere, tmp_path / "empty", broker.port)
        control.add(10)
        await until(lambda: control.synced == control.journal.head)
        assert seqs(await district.records()) == list(range(1, 2011))
    await district.close()


async def test_a_lost_tail_goes_on_in_a_new_epoch(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """The far side keeps what the card lost, and gets the same numbers anew in the next epoch."""
    control.journal.add(1000)
    async with running(site):
        await until(lambda: control.synced == (1, 1000))
    control.journal.cut_back(990)
    control.journal.add(25)
    async with running(site):
        await until(lambda: control.synced == (2, 1015))
    kept = [(r["epoch"], r["seq"]) for r in await district.records()]
    assert kept == [(1, seq) for seq in range(1, 1001)] + [(2, seq) for seq in range(991, 1016)]
    assert (await district.box())["holes"] == []


async def test_a_new_epoch_while_running(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    control.journal.add(100)
    async with running(site):
        await until(lambda: control.synced == (1, 100))
        control.journal.cut_back(95)
        control.add(3)
        await until(lambda: control.synced == (2, 98))


async def test_what_the_journal_no_longer_has_is_shown_as_a_hole(
    site: Site, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    """Evicted bodies and a pruned beginning that the far side never had: shown, and no stop for what follows."""
    control.journal.add(500)
    control.journal.evict([*range(1, 101), 250])
    async with running(site):
        await until(lambda: control.synced == (1, 500))
    assert seqs(await district.records()) == [*range(101, 250), *range(251, 501)]
    holes = {(hole["first"], hole["last"]) for hole in (await district.box())["holes"]}
    assert holes == {(1, 100), (250, 250)}


async def test_a_lost_cursor_costs_a_resend_and_nothing_else(
    site: Site, tmp_path: Path, control: FakeControl, district: DistrictHere, running: Running
) -> None:
    control.journal.add(400)
    async with running(site):
        await until(lambda: control.synced == (1, 400))
    cursor = tmp_path / "state" / "uplink" / "mqtt-cursor.json"
    assert json.loads(cursor.read_text()) == {"epoch": 1, "seq": 400}
    cursor.write_bytes(b"\x00garbage")
    async with running(site):
        control.add(1)
        await until(lambda: control.synced == (1, 401))
    assert seqs(await district.records()) == list(range(1, 402))
    assert (await district.box())["duplicates"] == 400


async def test_a_far_side_restored_from_a_copy_is_filled_up_again(
    site: Site, tmp_path: Path, control: FakeControl, district_process: DistrictChild, running: Running, impatient: None
) -> None:
    district = district_process
    control.journal.add(200)
    async with running(site):
        await until(lambda: control.synced == (1, 200))
        await district.close()
        shutil.copy(tmp_path / "district.db", tmp_path / "copy.db")
        district = await asyncio.to_thread(DistrictChild, tmp_path, site.uplink.mqtt.port if site.uplink.mqtt else 0)
        control.add(300)
        await until(lambda: control.synced == (1, 500))
        await district.close()
        shutil.copy(tmp_path / "copy.db", tmp_path / "district.db")
        district = await asyncio.to_thread(DistrictChild, tmp_path, site.uplink.mqtt.port if site.uplink.mqtt else 0)
        control.add(1)
        await until(lambda: control.synced == (1, 501))
        assert seqs(await district.records()) == list(range(1, 502))
    await district.close()


async def test_control_may_restart(site: Site, control: FakeControl, district: DistrictHere, running: Running) -> None:
    control.journal.add(10)
    async with running(site):
        await until(lambda: control.synced == (1, 10))
        await control.stop()
        control.journal.add(10)
        control.asked.clear()
        await control.start()
        await until(lambda: control.synced == (1, 20))
        await until(lambda: control.paths() == [True], what="a new control is told of the path")


async def test_state_and_checkpoint_are_there_for_who_comes_later(
    site: Site, tmp_path: Path, broker: BrokerProcess, control: FakeControl, running: Running
) -> None:
    control.journal.add(3)
    control.journal.checkpoint("menwei/test-school/gate-1/1\n3\nroot\n\n— signature\n")
    async with running(site):
        await until(lambda: control.subscribed)
        district = await asyncio.to_thread(DistrictChild, tmp_path, broker.port)

        async def state() -> dict[str, object]:
            found: dict[str, object] = (await district.box()).get("state", {})
            return found if found.get("control") else {}

        told = await until(state)
        assert told["online"] is True
        assert (told["epoch"], told["seq"], told["head"], told["headroom_days"]) == (1, 3, 3, 400)
        control.measured["doors"] = [{"id": "wicket", "contact": "open"}]
        control.tell({"op": "state", "state": control.state()})

        async def doors() -> object:
            return (await state()).get("measured", {}).get("doors")  # type: ignore[attr-defined]

        assert await until(doors) == [{"id": "wicket", "contact": "open"}]
        await control.stop()

        async def without_control() -> bool:
            found = (await district.box())["state"]
            return found["control"] is False and "measured" not in found

        await until(without_control, what="a gate whose control is away shows nothing measured")
        await control.start()
    assert (await district.box())["online"] is False
    await district.close()
