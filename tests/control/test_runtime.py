"""The one loop: emergencies act before anything is on disk, everything else waits for its record, tokens go once."""

from __future__ import annotations

import asyncio

from box_scenes import Box, turns, virtually

from agent.core.events import JournalChanged, MotionSent, NewEpoch, PanicLine
from agent.core.outputs import MotionRequest
from agent.core.words import Journal, Line, Motion, Sensor, Sent


@virtually
async def test_a_press_acts_though_nothing_ever_becomes_durable() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    began = asyncio.get_running_loop().time()
    box.press()
    await turns()
    assert {(move.bollard, move.motion) for move in box.moves()} == {
        ("main-1", Motion.EFO),
        ("main-2", Motion.EFO),
        ("service-1", Motion.EFO),
    }
    assert box.outputs.now["lamp:sent"] and box.outputs.now["lock:wicket"]
    assert asyncio.get_running_loop().time() == began
    assert True in box.paper.emergencies


@virtually
async def test_the_lamp_is_wanted_before_the_record_is_handed_over() -> None:
    box = Box()
    await box.ready()
    box.press()
    assert box.at("lamp:sent") < box.recorded("panic.pressed") < len(box.trace)


@virtually
async def test_a_grant_waits_for_its_record_and_for_nothing_else() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    box.swipe()
    await turns()
    assert box.outputs.now["lock:wicket"] is True
    box.durable(box.paper.last("access.granted").seq - 1)
    assert box.outputs.now["lock:wicket"] is True
    box.durable(box.paper.last("access.granted").seq)
    opened: bool = box.outputs.now["lock:wicket"]
    assert opened is False


@virtually
async def test_a_routine_motion_waits_for_its_records_lamp_and_token_alike() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    box.ask("raise", lane="main")
    await box.pass_s(0.3)
    wanted = box.lanes["main"].wanted
    assert wanted is not None and not wanted.warning, "the warning's record is not on disk"
    box.durable(box.paper.records[-1].seq)
    warned = box.lanes["main"].wanted
    assert warned is not None and warned.warning
    await box.pass_s(4.5)
    assert box.paper.last("lane.token").data["motion"] == "raise"
    assert box.moves() == [], "the token's record is not on disk"
    box.durable(box.paper.records[-1].seq)
    await turns()
    assert [(move.bollard, move.motion) for move in box.moves()] == [("main-1", Motion.RAISE), ("main-2", Motion.RAISE)]


@virtually
async def test_a_press_overtakes_what_waits_for_the_disk() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    box.swipe()
    box.ask("lower", lane="main")
    box.press()
    await turns()
    assert len(box.moves()) == 3
    assert box.outputs.now["lock:wicket"] is True


@virtually
async def test_a_token_goes_once_whatever_number_of_pictures_show_it() -> None:
    box = Box()
    await box.ready()
    box.press()
    for _ in range(20):
        box.read_lanes()
        box.runtime.durable(box.state.epoch, box.state.next_seq - 1, 0.0)
        await turns(2)
    assert len(box.moves()) == 3


@virtually
async def test_a_second_press_is_a_new_token() -> None:
    box = Box()
    await box.ready()
    box.press()
    await turns()
    for move in box.moves():
        box.runtime.handle(MotionSent(move.lane, move.bollard, move.token, Sent.FAILED, None, "no answer"))
    box.runtime.handle(PanicLine("gatehouse", Line.NORMAL, asyncio.get_running_loop().time()))
    await box.pass_s(1.0)
    box.press()
    await turns()
    again = [move for move in box.moves() if move.bollard == "main-1"]
    assert len(again) == 2 and again[0].token != again[1].token


@virtually
async def test_on_a_failing_journal_an_entry_grant_goes_on_from_memory() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    box.swipe()
    assert box.outputs.now["lock:wicket"] is True
    box.runtime.journal_health(True, "the card is full")
    opened: bool = box.outputs.now["lock:wicket"]
    assert opened is False


@virtually
async def test_a_token_whose_record_the_disk_refuses_is_never_sent_and_is_told_as_expired() -> None:
    box = Box()
    await box.ready()
    box.ask("raise", lane="main")
    await box.pass_s(2.5)
    box.autodurable = False
    await box.pass_s(1.5)
    assert box.paper.last("lane.token").data["motion"] == "raise"
    box.runtime.journal_health(True, "the card is full")
    await box.pass_s(0.5)
    box.durable(box.paper.records[-1].seq)
    await box.pass_s(0.5)
    assert box.moves() == []
    told = [record for record in box.paper.records if record.kind == "lane.sent"]
    assert [record.data["outcome"] for record in told] == ["expired", "expired"]


@virtually
async def test_a_failing_journal_stops_no_emergency() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    box.runtime.journal_health(True, "the card is full")
    box.press()
    await turns()
    assert len(box.moves()) == 3


@virtually
async def test_nothing_goes_out_before_the_scan_but_records_do() -> None:
    box = Box()
    box.press()
    await turns()
    assert "panic.pressed" in box.paper.kinds()
    assert [what for what, _ in box.trace if what != "record" and what != "durable"] == []


@virtually
async def test_what_is_durable_in_another_epoch_lets_nothing_go() -> None:
    box = Box()
    await box.ready()
    box.autodurable = False
    box.swipe()
    seq = box.paper.last("access.granted").seq
    box.runtime.durable(box.state.epoch + 1, seq, 0.0)
    assert box.outputs.now["lock:wicket"] is True


@virtually
async def test_records_go_on_under_a_new_epoch() -> None:
    box = Box()
    await box.ready()
    box.runtime.handle(NewEpoch(7, box.state.next_seq, "the file was damaged"))
    box.swipe()
    await turns()
    assert box.paper.last("access.granted").epoch == 7
    assert box.outputs.now["lock:wicket"] is False


@virtually
async def test_time_alone_acts_at_its_deadline() -> None:
    box = Box()
    await box.ready()
    box.swipe()
    await turns()
    assert box.outputs.now["lock:wicket"] is False
    await asyncio.sleep(5.01)  # unlock_s of the site file is 5 s; nobody says anything meanwhile
    locked: bool = box.outputs.now["lock:wicket"]
    assert locked is True
    assert "door.relocked" in box.paper.kinds()


@virtually
async def test_an_event_from_a_foreign_thread_is_handled_in_the_loop() -> None:
    box = Box()
    await box.ready()
    box.runtime.post(JournalChanged(Journal.FAILING, "the card is full"))
    assert box.state.health.journal is Journal.OK
    await turns()
    assert box.state.health.journal is not Journal.OK


@virtually
async def test_a_lane_that_breaks_unforeseen_tells_what_became_of_its_token() -> None:
    box = Box()
    await box.ready()
    box.lanes["main"].breaks = True
    box.press()
    await turns()
    told = {record.subject: record.data["outcome"] for record in box.paper.records if record.kind == "lane.sent"}
    assert told == {"lane:main": "failed"}
    assert [move.lane for move in box.moves()] == ["service"]


@virtually
async def test_a_lane_that_reads_as_before_is_no_news_but_any_other_reading_is() -> None:
    box = Box()
    await box.ready()
    news: list[None] = []
    box.runtime.on_state = lambda: news.append(None)
    box.read_lanes()
    assert news == []
    first = box.site.lane[0].id
    box.runtime.handle(box.reading(first, {"loop1": Sensor.OCCUPIED}))
    assert len(news) == 1


@virtually
async def test_the_busy_beat_is_for_what_moves_or_is_asked() -> None:
    box = Box()
    await box.ready()
    box.read_lanes()
    assert not box.lanes["main"].busy
    box.press()
    assert box.lanes["main"].busy


@virtually
async def test_an_acknowledged_emergency_is_a_hop_of_its_press() -> None:
    box = Box()
    await box.ready()
    box.press()
    await turns()
    request: MotionRequest = box.moves()[0]
    box.lanes[request.lane].on_ack(request, asyncio.get_running_loop().time() + 0.004)
    await turns()
    hops = box.runtime.latencies.presses[-1].hops
    assert hops["modbus_us"] == 4000
    assert hops.keys() >= {"decision_us", "durable_us"}
