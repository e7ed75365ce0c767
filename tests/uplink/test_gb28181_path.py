"""The GB/T 28181 path against our strict platform, told to lie; in virtual time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import virtual_time
from gb28181_rig import INPUTS, PASSWORD, press, rig_at, until

from agent.core.words import Stage
from agent.uplink.dc09.codes import CODES as SENT_TO_CENTRES
from agent.uplink.dispatch import NEXT_AFTER_S, Dispatch
from agent.uplink.gb28181 import path as path_module
from agent.uplink.gb28181.codes import CODES, DRILL, UNKNOWN, code_of
from agent.uplink.gb28181.manscdp import Command, read
from agent.uplink.gb28181.path import Gb28181Path
from agent.uplink.path import Alarm
from sim.gb28181.platform import DEVICE, LIES, PLATFORM


@pytest.mark.parametrize("charset", ["GB2312", "GB18030", "UTF-8"])
@pytest.mark.parametrize("qop", [True, False])
def test_a_press_and_a_drill_arrive_and_are_told_apart(tmp_path: Path, charset: str, qop: bool) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path, charset=charset, qop=qop) as rig:
            path = rig.path(charset=charset)
            path.take(press(7))
            path.take(press(8, drill=True, subject="button:gatehouse"))
            await until(lambda: rig.told.received(7) and rig.told.received(8))
            real, drill = sorted(rig.platform.alarms, key=lambda alarm: bool(alarm["drill"]))
            assert (real["priority"], real["method"], real["device"], real["drill"]) == (1, 2, INPUTS[1], False)
            assert (real["at"], real["words"]) == ("2026-11-27T16:00:00", "一键报警 panic.pressed button:office")
            assert (drill["priority"], drill["device"], drill["drill"]) == (4, INPUTS[0], True)
            assert drill["words"].startswith("演练 DRILL")
            assert rig.platform.refused == []
            for seq in (7, 8):
                assert [stage for ref, stage in rig.told.stages if ref[1] == seq] == [Stage.SENT, Stage.RECEIVED]
            assert rig.told.ups == [(True, "")]

    virtual_time.run(scene())


@pytest.mark.parametrize("lie", LIES)
def test_a_platform_that_lies_gets_it_in_the_end_and_once(tmp_path: Path, lie: str) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            await until(lambda: rig.told.up)
            rig.platform.lie, rig.platform.lies_left = lie, 2
            path.take(press())
            await asyncio.sleep(30)
            rig.platform.lie = ""
            await until(lambda: rig.told.received(), 200)
            assert len(rig.platform.alarms) == 1  # copies are known by their number
            await asyncio.sleep(60)
            assert [stage for _, stage in rig.told.stages].count(Stage.RECEIVED) == 1
            assert rig.told.up

    virtual_time.run(scene())


@pytest.mark.parametrize("seed", range(12))
def test_a_link_that_loses_and_doubles_delivers_every_alarm_once(tmp_path: Path, seed: int) -> None:
    async def scene() -> None:
        print(f"seed {seed}")
        async with rig_at(tmp_path, seed) as rig:
            for noise in rig.noises:
                noise.loss, noise.doubling = 0.35, 0.3
            path = rig.path()
            for seq in range(1, 9):
                path.take(press(seq, kind="panic.pressed" if seq % 2 else "door.forced"))
                await asyncio.sleep(3)
            await until(lambda: all(rig.told.received(seq) for seq in range(1, 9)), 1000)
            assert len(rig.platform.alarms) == 8
            assert [stage for _, stage in rig.told.stages].count(Stage.RECEIVED) == 8

    virtual_time.run(scene())


# ── receipts ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Other:
    name = "dc09"

    def __init__(self) -> None:
        self.taken_at: list[float] = []

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None:
        self.taken_at.append(asyncio.get_running_loop().time())

    async def run(self) -> None: ...


def test_ok_alone_is_no_receipt_and_the_next_path_has_it_after_ten_seconds(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.platform.lie, rig.platform.lies_left = "no_response", 10_000
            other = _Other()
            dispatch = Dispatch(rig.told)
            path = rig.path()
            dispatch.use([[path], [other]])
            judging = asyncio.create_task(dispatch.run())
            await until(lambda: rig.told.up)
            pressed_at = asyncio.get_running_loop().time()
            dispatch.add(press())
            await until(lambda: bool(other.taken_at))
            assert NEXT_AFTER_S <= other.taken_at[0] - pressed_at <= NEXT_AFTER_S + 0.5
            assert rig.told.stages == [((1, 7), Stage.SENT)]
            await until(lambda: not rig.told.up)
            assert "has not confirmed an alarm" in rig.told.ups[-1][1]
            await asyncio.sleep(600)
            assert 10 <= rig.platform.alarms[0]["copies"] <= 20  # again and again, but in no hurry
            rig.platform.lie = ""
            await until(lambda: rig.told.received() and rig.told.up, 70)
            judging.cancel()

    virtual_time.run(scene())


def test_a_platform_that_answers_keepalives_and_no_alarm_counts_as_down(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            through = rig.noise_up
            rig.noise_up = lambda data, wire: None if b"<CmdType>Alarm" in data else through(data, wire)
            rig.path().take(press())
            await until(lambda: rig.told.up)
            await until(lambda: not rig.told.up, path_module.OWED_S + 1)
            assert "has not confirmed an alarm" in rig.told.ups[-1][1]
            assert rig.told.stages == []
            rig.noise_up = through
            await until(lambda: rig.told.received() and rig.told.up, 5)

    virtual_time.run(scene())


@pytest.mark.parametrize("status", ["busy", "error"])
def test_a_refused_alarm_is_told_in_words_and_others_go_on(tmp_path: Path, status: str) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            await until(lambda: rig.told.up)
            rig.platform.lie, rig.platform.lies_left = status, 1
            path.take(press(7))
            await until(lambda: not rig.told.up)
            assert ("503" if status == "busy" else "'ERROR'") in rig.told.ups[-1][1]
            path.take(press(8))
            await until(lambda: rig.told.received(8))
            assert not rig.told.received(7)
            await until(lambda: rig.told.received(7) and rig.told.up, 70)

    virtual_time.run(scene())


async def only_the_right_response_counts(folder: Path) -> None:
    async with rig_at(folder) as rig:
        rig.platform.lie, rig.platform.lies_left = "no_response", 10_000
        path = rig.path()
        path.take(press())
        await until(lambda: len(rig.platform.alarms) == 1)
        number = rig.platform.alarms[0]["sn"]
        tails = f"<SN>{number}</SN><DeviceID>{INPUTS[1]}</DeviceID><Result>OK</Result>"
        for wrong in (
            f"<Response><CmdType>Alarm</CmdType>{tails.replace(str(number), '1')}</Response>",
            f"<Response><CmdType>Alarm</CmdType>{tails.replace(INPUTS[1], DEVICE)}</Response>",
            f"<Response><CmdType>Alarm</CmdType>{tails.replace('OK', '')}</Response>",
            f"<Response><CmdType>Keepalive</CmdType>{tails}</Response>",
            f"<Notify><CmdType>Alarm</CmdType>{tails}</Notify>",
        ):
            rig.platform.ask(wrong)
            await asyncio.sleep(1)
            assert not rig.told.received(), wrong
        assert path.strays == 2
        rig.platform.ask(f"<Response><CmdType>Alarm</CmdType>{tails}</Response>")
        await until(lambda: rig.told.received())


def test_only_the_right_response_counts(tmp_path: Path) -> None:
    virtual_time.run(only_the_right_response_counts(tmp_path))


def _ok_is_a_receipt(path: Gb28181Path, waiting: Any) -> None:
    path._reports.stage(path.name, waiting.alarm.ref, Stage.RECEIVED)


def _any_response_is_one(path: Gb28181Path, said: Command) -> None:
    for ref in list(path._waiting):
        path._reports.stage(path.name, ref, Stage.RECEIVED)


def _any_root_is_one(path: Gb28181Path, said: Command) -> tuple[int, str]:
    path._on_response(said)
    return 200, "OK"


@pytest.mark.parametrize(
    ("method", "bug"),
    [("_sent", _ok_is_a_receipt), ("_on_response", _any_response_is_one), ("_heed", _any_root_is_one)],
)
def test_each_way_of_believing_too_much_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, bug: Callable[..., Any]
) -> None:
    monkeypatch.setattr(Gb28181Path, method, bug)
    with pytest.raises(AssertionError):
        virtual_time.run(only_the_right_response_counts(tmp_path))


def test_the_number_of_an_alarm_outlives_a_restart_and_needs_the_password(tmp_path: Path) -> None:
    async def number() -> int:
        async with rig_at(tmp_path) as rig:
            rig.path().take(press())
            await until(lambda: rig.told.received())
            return int(rig.platform.alarms[0]["sn"])

    first = virtual_time.run(number())
    assert virtual_time.run(number()) == first

    async def other() -> int:
        async with rig_at(tmp_path) as rig:
            (tmp_path / "gb.password").write_text("another")
            rig.platform.password = "another"
            rig.path().take(press())
            await until(lambda: rig.told.received())
            return int(rig.platform.alarms[0]["sn"])

    assert virtual_time.run(other()) != first


def test_panics_go_past_a_crowd_that_nobody_answers(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            through = rig.noise_up
            rig.noise_up = lambda data, wire: None if b"door.forced" in data else through(data, wire)
            path = rig.path()
            await until(lambda: rig.told.up)
            for seq in range(10, 40):
                path.take(press(seq, kind="door.forced", subject="door:wicket"))
            await asyncio.sleep(3)
            assert sum(data.count(b"door.forced") for data in rig.sent) >= path_module.FLIGHTS
            path.take(press(50))
            await until(lambda: rig.told.received(50), 1)
            rig.noise_up = through
            await until(lambda: all(rig.told.received(seq) for seq in range(10, 40)), 120)
            assert len({data for data in rig.sent if b"door.forced" in data}) >= 30

    virtual_time.run(scene())


def test_what_is_received_or_not_for_a_platform_is_not_sent_and_a_flood_drops_the_oldest(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            path.take(press(5), Stage.RECEIVED)
            path.take(press(6, kind="lane.reversal"))
            path.take(press(7))
            path.take(press(7))
            await until(lambda: rig.told.received())
            assert len(rig.platform.alarms) == 1
            for seq in range(100, 100 + path_module.KEEP + 5):
                path.take(press(seq, kind="door.forced"))
            assert path.dropped == rig.told.lost == 5

    virtual_time.run(scene())


# ── registration and health ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keepalive_s", [5.0, 25.0, 40.0, 60.0])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.9, 0.999])
def test_a_loss_is_seen_within_ninety_seconds_and_so_is_the_return(
    tmp_path: Path, keepalive_s: float, phase: float
) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path(keepalive_s=keepalive_s)
            await until(lambda: rig.told.up)
            await asyncio.sleep(1000 + keepalive_s * phase)
            assert rig.told.ups == [(True, "")]
            gone = asyncio.get_running_loop().time()
            rig.away = True  # half open: nothing comes through and nothing says so
            await until(lambda: not rig.told.up, 200)
            assert rig.told.at[-1] - gone <= 90.0
            assert "signs of life" in rig.told.ups[-1][1]
            rig.away = False
            await until(lambda: rig.told.up, 70)

    virtual_time.run(scene())


def test_a_single_miss_is_no_loss(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            for _ in range(5):
                rig.away = True
                await asyncio.sleep(45)  # two keepalives
                rig.away = False
                await asyncio.sleep(60)
            assert rig.told.ups == [(True, "")]

    virtual_time.run(scene())


@pytest.mark.parametrize(("keepalive_s", "options"), [(25.0, False), (60.0, True)])
def test_options_go_between_where_keepalives_are_rare(tmp_path: Path, keepalive_s: float, options: bool) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path(keepalive_s=keepalive_s)
            await asyncio.sleep(601)
            assert rig.platform.keepalives == 600 // keepalive_s + 1
            assert rig.platform.options == (20 if options else 0)
            assert rig.platform.refused == []

    virtual_time.run(scene())


def test_a_registration_is_renewed_before_it_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.platform.expires = 120
            rig.path()
            await asyncio.sleep(481)
            assert rig.platform.registrations == 6  # at 0, and every 96 s
            calls = {call for data in rig.sent if data.startswith(b"REGISTER") for call in _calls(data)}
            assert len(calls) == 1  # RFC 3261, 10.2: one Call-ID for one registration
            assert rig.told.ups == [(True, "")]

    virtual_time.run(scene())


def _calls(data: bytes) -> list[bytes]:
    return re.findall(rb"Call-ID: (\S+)", data)


def test_a_platform_that_has_forgotten_us_is_registered_with_again_and_gets_the_alarm(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path()
            await until(lambda: rig.told.up)
            await asyncio.sleep(10)
            rig.platform.forget()
            path.take(press())
            await until(lambda: rig.told.received(), 5)
            assert rig.platform.registrations == 2
            await until(lambda: rig.told.up)
            rig.platform.forget()  # and without an alarm, by the next keepalive
            await until(lambda: rig.platform.registrations == 3, 30)

    virtual_time.run(scene())


def test_an_alarm_waits_for_a_platform_that_is_away(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.refuse = True
            rig.path().take(press())
            await until(lambda: rig.told.ups[-1:] != [] and not rig.told.up)
            assert rig.told.stages == []  # not even sent
            rig.refuse = False
            await until(lambda: rig.told.received(), 5)

    virtual_time.run(scene())


def test_a_socket_that_is_gone_ends_the_session_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path()
            await until(lambda: rig.told.up)
            rig.wires[-1].lost.set_result("the platform closed the connection")
            await until(lambda: not rig.told.up, 1)
            assert rig.told.ups[-1][1] == "the platform closed the connection"
            await until(lambda: rig.told.up)
            assert rig.platform.registrations == 2

    virtual_time.run(scene())


def test_a_wrong_password_is_said_and_nothing_but_register_goes_out(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.platform.password = "another"
            rig.path().take(press())
            await until(lambda: bool(rig.told.ups))
            up, why = rig.told.ups[0]
            assert not up
            assert "check device_id, user and password" in why
            assert all(data.startswith(b"REGISTER") for data in rig.sent)
            assert all(PASSWORD.encode() not in data for data in rig.sent)
            await asyncio.sleep(300)  # with an alarm waiting, and in no hurry: nobody is locked out for it
            assert 8 <= sum(b"Authorization" in data for data in rig.sent) <= 12
            rig.platform.password = PASSWORD
            await until(lambda: rig.told.received(), 40)

    virtual_time.run(scene())


@pytest.mark.parametrize(("text", "says"), [(None, "cannot read"), ("\n", "is empty")])
def test_without_its_password_nothing_goes_out(tmp_path: Path, text: str | None, says: str) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            if text is not None:
                (tmp_path / "other").write_text(text)
            rig.path(password_file="other").take(press())
            await until(lambda: bool(rig.told.ups))
            assert says in rig.told.ups[0][1]
            assert rig.sent == []

    virtual_time.run(scene())


def test_the_platforms_clock_is_told_and_not_taken(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path, clock_s=-3600) as rig:
            rig.platform.expires = 120
            rig.path().take(press())
            await asyncio.sleep(500)  # several registrations
            kinds = [(kind, subject, data["path"]) for kind, subject, _, data in rig.told.notes]
            assert kinds == [("platform.clock", "path:gb28181", "gb28181")]
            assert abs(int(rig.told.notes[0][3]["offset_ms"]) + 3_600_000) < 2_000
            assert rig.platform.alarms[0]["at"] == "2026-11-27T16:00:00"

    virtual_time.run(scene())


# ── the table ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_kind_a_centre_hears_of_is_told_to_a_platform_too() -> None:
    for kind in SENT_TO_CENTRES:
        assert code_of(kind) is not None
    assert set(CODES) - {"drill.ended"} <= set(SENT_TO_CENTRES)
    assert code_of("lane.reversal") is None
    assert code_of("something.new") is UNKNOWN
    assert code_of("panic.pressed", drill=True) is DRILL


def test_the_words_of_every_code_are_in_gb2312() -> None:
    for code in (*CODES.values(), DRILL, UNKNOWN):
        code.words.encode("gb2312")


def test_tamper_has_its_type_and_a_persons_handle_never_goes_out(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            path = rig.path(inputs=())
            path.take(press(7, kind="supply.alarm", subject="supply:tamper"))
            path.take(press(8, kind="access.duress", subject="card:somebody-s"))
            await until(lambda: rig.told.received(7) and rig.told.received(8))
            tamper, duress = sorted(rig.platform.alarms, key=lambda alarm: str(alarm["type"]), reverse=True)
            assert (tamper["type"], tamper["method"], tamper["device"]) == ("2", 2, DEVICE)
            assert duress["words"] == "胁迫报警 access.duress"
            assert all(b"somebody" not in data for data in rig.sent)

    virtual_time.run(scene())


def test_our_xml_is_read_back_by_our_own_reader(tmp_path: Path) -> None:
    async def scene() -> None:
        async with rig_at(tmp_path) as rig:
            rig.path().take(press())
            await until(lambda: rig.told.received())
            alarm = next(data for data in rig.sent if b"<CmdType>Alarm" in data)
            said = read(alarm.partition(b"\r\n\r\n")[2], "GB2312")
            assert (said.root, said.kind, said.device) == ("Notify", "Alarm", INPUTS[1])
            assert PLATFORM.encode() in alarm.split(b"\r\n")[0]

    virtual_time.run(scene())
