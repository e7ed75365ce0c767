"""What the platform may ask of the box by GB/T 28181, and what it may not; in virtual time."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import virtual_time
from gb28181_rig import INPUTS, Rig, press, rig_at, until
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.uplink.gb28181.answers import Answers
from agent.uplink.gb28181.path import ANSWERS, Gb28181Path
from agent.uplink.gb28181.sip import Response, decode
from sim.gb28181.platform import CONTROLS, DEVICE, PLATFORM

PICTURE: dict[str, object] = {
    "scanned": True,
    "panic": {
        "alarms": [{"button": "gatehouse", "drill": False}],
        "buttons": [{"id": "gatehouse", "line": "pressed"}, {"id": "office", "line": "cut"}],
    },
}


async def asked(rig: Rig, what: str, device: str = DEVICE, answers: int = 1) -> list[ElementTree.Element]:
    number = rig.platform.query(what, device)
    await until(lambda: sum(said["sn"] == number for said in rig.platform.answers) >= answers, 30)
    return [ElementTree.fromstring(said["xml"]) for said in rig.platform.answers if said["sn"] == number]


def texts(element: ElementTree.Element | None, name: str) -> list[str | None]:
    return [] if element is None else [found.text for found in element.iter(name)]


def test_the_device_tells_what_it_is_and_how_it_is(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.picture = PICTURE
            rig.path()
            await until(lambda: rig.told.up)
            (info,) = await asked(rig, "DeviceInfo")
            assert [info.findtext(name) for name in ("Result", "DeviceName", "Channel")] == ["OK", "东方小学", "2"]
            (status,) = await asked(rig, "DeviceStatus")
            told = [status.findtext(name) for name in ("Result", "Online", "Status", "Encode", "Record")]
            assert told == ["OK", "ONLINE", "OK", "OFF", "OFF"]
            inputs = status.find("Alarmstatus")
            assert inputs is not None
            assert inputs.get("Num") == "2"
            assert texts(inputs, "DeviceID") == list(INPUTS)
            assert texts(inputs, "DutyStatus") == ["ALARM", "OFFDUTY"]  # pressed, and a line that is cut

    virtual_time.run(scene())


def test_without_control_nothing_is_told_to_be_well(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            (status,) = await asked(rig, "DeviceStatus")
            assert status.findtext("Status") == "ERROR"
            assert status.findtext("Reason")
            assert texts(status.find("Alarmstatus"), "DutyStatus") == ["OFFDUTY", "OFFDUTY"]

    virtual_time.run(scene())


def test_the_catalogue_has_one_message_for_each_button(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.picture = PICTURE
            rig.path()
            await until(lambda: rig.told.up)
            items = await asked(rig, "Catalog", answers=2)
            assert [item.findtext("SumNum") for item in items] == ["2", "2"]
            rows = [item.find("DeviceList/Item") for item in items]
            told = [[row.findtext(name) for name in ("DeviceID", "Name", "Status")] for row in rows if row is not None]
            assert told == [[INPUTS[0], "gatehouse", "ON"], [INPUTS[1], "办公室", "OFF"]]

    virtual_time.run(scene())


def test_a_box_without_input_numbers_has_an_empty_catalogue(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path(inputs=())
            await until(lambda: rig.told.up)
            (catalogue,) = await asked(rig, "Catalog")
            assert catalogue.findtext("SumNum") == "0"
            found = catalogue.find("DeviceList")
            assert found is not None
            assert found.get("Num") == "0"

    virtual_time.run(scene())


@pytest.mark.parametrize("order", CONTROLS)
@pytest.mark.parametrize("device", [DEVICE, INPUTS[0]])
def test_an_order_is_refused_and_is_one_record(tmp_path: Path, order: str, device: str) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            rig.platform.lie, rig.platform.lies_left = "no_response", 10_000
            path.take(press())
            await until(lambda: len(rig.platform.alarms) == 1)
            (said,) = await asked(rig, order, device)
            assert said.findtext("Result") == "ERROR"
            ((kind, subject, actor, data),) = rig.told.notes
            assert (kind, subject, actor) == ("command.refused", "command", f"platform:{PLATFORM}")
            assert (data["verb"], data["why"]) == (order, "not_on_site")
            assert not rig.told.received()  # a reset confirms nothing, and ends nothing

    virtual_time.run(scene())


def test_no_word_of_an_order_that_we_do_not_know_becomes_a_record(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            head = f"<SN>1</SN><DeviceID>{DEVICE}</DeviceID>"
            rig.platform.ask(f"<Control><CmdType>张三</CmdType>{head}<GuardCmd>张三</GuardCmd></Control>")
            rig.platform.ask(f"<Control><CmdType>张三</CmdType>{head}<Other>张三</Other></Control>")
            await until(lambda: len(rig.told.notes) == 2)
            assert [data["verb"] for *_, data in rig.told.notes] == ["GuardCmd", "DeviceControl"]
            assert "张三" not in repr(rig.told.notes)

    virtual_time.run(scene())


@pytest.mark.parametrize(
    ("what", "device"), [("RecordInfo", DEVICE), ("ConfigDownload", DEVICE), ("DeviceInfo", "3" * 20)]
)
def test_what_we_do_not_have_is_said_so(tmp_path: Path, what: str, device: str) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            (said,) = await asked(rig, what, device)
            assert said.findtext("Result") == "ERROR"
            assert rig.told.notes == []

    virtual_time.run(scene())


def test_a_flood_of_questions_is_turned_away_and_an_alarm_passes_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            await until(lambda: rig.told.up)
            for _ in range(300):
                rig.platform.query("DeviceStatus")
            path.take(press())
            await until(lambda: rig.told.received(), 2)
            await asyncio.sleep(5)
            assert ANSWERS <= len(rig.platform.answers) < 300

    virtual_time.run(scene())


# ── what is not for us ─────────────────────────────────────────────────────────────────────────────────────────────


def request(
    method: str = "MESSAGE", *, sender: str = PLATFORM, to: str = DEVICE, body: bytes = b"", branch: str = "1"
) -> bytes:
    head = (
        f"{method} sip:{to}@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch}\r\n"
        f"From: <sip:{sender}@3402000000>;tag=1\r\nTo: <sip:{to}@3402000000>\r\nCall-ID: {branch}\r\n"
        f"CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def command(xml: str) -> bytes:
    return f"<{xml}><CmdType>DeviceControl</CmdType><SN>5</SN><DeviceID>{DEVICE}</DeviceID></{xml}>".encode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(body=command("Control")), 200),
        (request(body=command("Control"), to=INPUTS[1]), 200),
        (request("OPTIONS"), 200),
        (request(body=command("Control"), sender="3" * 20), 403),
        (request(body=command("Control"), to="3" * 20), 404),
        (request(body=b"<Control>"), 400),
        (request(body=b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + command("Control")), 400),
        (request(), 400),
        (request("INVITE"), 405),
        (request("SUBSCRIBE"), 405),
        (request("ACK"), None),
        (b"\x00\xff", None),
        (request(body=command("Control"))[:-5], None),
        (b"\r\n\r\n", None),
    ],
)
def test_a_stranger_or_a_spoilt_message_changes_nothing(tmp_path: Path, data: bytes, status: int | None) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            rig.sent.clear()
            rig.wires[-1].heard(data)
            said = [decode(sent) for sent in rig.sent]
            assert [one.status for one in said if isinstance(one, Response)] == ([] if status is None else [status])
            await asyncio.sleep(1)
            assert len(rig.told.notes) == (status == 200 and data.startswith(b"MESSAGE"))

    virtual_time.run(scene())


SEEDS = [request(body=command("Control")), request("OPTIONS"), request(), b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n"]
spoils = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 9), st.binary(max_size=9)), min_size=1, max_size=5)


@given(data=st.lists(st.tuples(st.sampled_from(SEEDS), spoils), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_down_the_wire_an_alarm_still_goes_up(
    data: list[tuple[bytes, list[tuple[int, int, bytes]]]],
) -> None:
    async def scene(folder: Path) -> None:
        async with rig_at(folder) as rig:
            path = rig.path()
            await until(lambda: rig.told.up)
            for seed, edits in data:
                for start, length, new in edits:
                    seed = seed[:start] + new + seed[start + length :]
                rig.wires[-1].heard(seed)
                await asyncio.sleep(0)
            path.take(press())
            await until(lambda: rig.told.received(), 5)

    with tempfile.TemporaryDirectory() as folder:
        virtual_time.run(scene(Path(folder)))


def test_a_repeated_order_gets_the_same_answer_and_is_one_record(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            rig.sent.clear()
            for _ in range(5):
                rig.wires[-1].heard(request(body=command("Control")))
            assert len(rig.sent) == 5
            assert len(set(rig.sent)) == 1
            await asyncio.sleep(1)
            assert len(rig.told.notes) == 1

    virtual_time.run(scene())


def test_a_bug_in_what_is_told_costs_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[Any]:
        raise RuntimeError("a bug")

    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            monkeypatch.setattr(Answers, "to", broken)
            path = rig.path()
            await until(lambda: rig.told.up)
            for _ in range(3):
                rig.platform.query("DeviceInfo")
            path.take(press())
            await until(lambda: rig.told.received(), 2)
            assert rig.platform.registrations == 1
            monkeypatch.undo()
            await asked(rig, "DeviceInfo")

    virtual_time.run(scene())


def test_a_bug_in_an_answer_is_a_500_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> tuple[int, str]:
        raise RuntimeError("a bug")

    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            await until(lambda: rig.told.up)
            monkeypatch.setattr(Gb28181Path, "_heed", broken)
            rig.sent.clear()
            rig.wires[-1].heard(request(body=command("Control")))
            said = decode(rig.sent[0])
            assert isinstance(said, Response)
            assert said.status == 500
            monkeypatch.undo()
            path.take(press())
            await until(lambda: rig.told.received(), 2)

    virtual_time.run(scene())
