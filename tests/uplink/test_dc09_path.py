"""The DC-09 path over real TCP: against our strict receiver, told to lie, and against pysiaalarm's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import virtual_time
from pysiaalarm.account import SIAAccount
from pysiaalarm.aio.server import SIAServerTCP
from pysiaalarm.event import SIAEvent
from pysiaalarm.utils.counter import Counter

from agent.core.words import Stage
from agent.uplink.dc09 import link as link_module
from agent.uplink.dc09 import path as path_module
from agent.uplink.dc09.path import NUMBERS, Dc09Path
from agent.uplink.path import Alarm, Ending, alarm_of
from hardware.site import Board, Dc09, Door, Lane, PanicButton, Site, SiteIds
from sim.dc09 import LIES, Centre

KEY = b"gate one, secret".hex()
Ref = tuple[int, int]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Told:
    def __init__(self) -> None:
        self.stages: list[tuple[Ref, Stage]] = []
        self.ups: list[tuple[bool, str]] = []
        self.lost = 0

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None:
        self.stages.append((ref, stage))

    def path(self, path: str, up: bool, why: str = "") -> None:
        self.ups.append((up, why))

    def given_up(self, path: str, count: int) -> None:
        self.lost = count

    def received(self, seq: int = 7) -> bool:
        return ((1, seq), Stage.RECEIVED) in self.stages


class Rig:
    """A path, its centre (or two), and what was reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = Told()
        self.tasks: list[asyncio.Task[None]] = []
        self.servers: list[asyncio.Server] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def listen(self, centre: Centre, port: int = 0) -> int:
        return await self.serve(centre.serve, port)

    async def serve(self, handler: Handler, port: int = 0) -> int:
        async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            await handler(reader, writer)

        server = await asyncio.start_server(kept, "127.0.0.1", port)
        self.servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def path(self, port: int, **settings: object) -> Dc09Path:
        (self.folder / "dc09.key").write_text(KEY + "\n")
        way = Dc09(**({"host": "127.0.0.1", "port": port, "account": "1234"} | settings))  # type: ignore[arg-type]
        site = Site(
            site=SiteIds(id="s", box="b"),
            board=Board(model="rpi5"),
            panic_button=(PanicButton(id="gatehouse"), PanicButton(id="office")),
            door=(Door(id="wicket", lock="gpio:5", lock_kind="fail_safe", evacuation_way=True),),
            lane=(Lane(id="main", bus="plc", unit=1, profile="p", bollard=()),),
            folder=str(self.folder),
        )
        made = Dc09Path(site, way, self.told)
        self.tasks.append(asyncio.create_task(made.run()))
        return made

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for server in self.servers:
            server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0.05)  # both ends let go of their sockets


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(link_module, "ANSWER_S", 0.4)
    monkeypatch.setattr(link_module, "CONNECT_S", 0.4)
    made = Rig(tmp_path)
    yield made
    await made.close()


def press(seq: int = 7, *, drill: bool = False, kind: str = "panic.pressed", subject: str = "button:office") -> Alarm:
    record = {"at": "t", "data": {"drill": drill}, "epoch": 1, "kind": kind, "seq": seq, "subject": subject}
    return alarm_of(json.dumps(record).encode())


async def until(test: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not test():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_a_flood_pushes_out_is_told(rig: Rig) -> None:
    path = rig.path(1)
    for seq in range(1, path_module.KEEP + 6):
        path.take(press(seq, kind="door.forced", subject="door:wicket"))
    assert path.dropped == rig.told.lost == 5


@pytest.mark.parametrize("key_file", ["", "dc09.key"])
@pytest.mark.parametrize(("protocol", "code", "drill"), [("ADM-CID", "120", "601"), ("SIA-DCS", "PA", "RX")])
async def test_a_press_and_a_drill_arrive_and_are_told_apart(
    rig: Rig, key_file: str, protocol: str, code: str, drill: str
) -> None:
    centre = Centre("1234", bytes.fromhex(KEY) if key_file else b"")
    path = rig.path(await rig.listen(centre), key_file=key_file, protocol=protocol)
    path.take(press(7))
    path.take(press(8, drill=True))
    await until(lambda: rig.told.received(7) and rig.told.received(8))
    assert [(m["code"], m["zone"], m["drill"]) for m in centre.messages] == [(code, 2, False), (drill, 2, True)]
    assert centre.refused == []
    assert rig.told.stages == [
        ((1, 7), Stage.SENT),
        ((1, 7), Stage.RECEIVED),
        ((1, 8), Stage.SENT),
        ((1, 8), Stage.RECEIVED),
    ]
    assert rig.told.ups[-1] == (True, "")


async def test_what_a_crash_makes_it_tell_twice_is_the_same_message(rig: Rig) -> None:
    """The role was killed before it could write down that the centre has it."""
    centre = Centre("1234")
    port = await rig.listen(centre)

    async def live(messages: int, *presses: int) -> None:
        path = rig.path(port)
        for seq in presses:
            path.take(press(seq))
        path.over(Ending((1, 8), "t", "door:wicket", ("door.forced", "door.held_open")))
        await until(lambda: len(centre.messages) == messages and not path.unsaid())
        rig.tasks[-1].cancel()

    await live(4, 6, 7)
    await live(7, 7)
    numbers = [m["seq"] for m in centre.messages]
    assert len(set(numbers)) == 4 and numbers[1:4] == numbers[4:]


async def test_no_two_messages_near_each_other_have_one_number(rig: Rig) -> None:
    path = rig.path(await rig.listen(Centre("1234")))
    numbers = [path._number(((1, seq), "")) for seq in range(20_000)]
    assert {1, 9999} == {min(numbers), max(numbers)}
    assert all(len(set(numbers[at : at + NUMBERS])) == NUMBERS for at in range(0, 20_000 - NUMBERS, 50))


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie not in ("duh", "nak")])
async def test_a_receiver_that_lies_gets_it_in_the_end_and_once(rig: Rig, lie: str) -> None:
    centre = Centre("1234")
    centre.lie, centre.lies_left = lie, 3
    rig.path(await rig.listen(centre)).take(press())
    await until(lambda: rig.told.received())
    assert len(centre.messages) == 1  # copies are known by their number


async def test_the_receivers_clock_is_learned(rig: Rig) -> None:
    centre = Centre("1234", clock_s=-3600)
    rig.path(await rig.listen(centre)).take(press())
    await until(lambda: rig.told.received())
    assert len(centre.refused) == 1


async def test_a_clock_at_the_end_of_the_calendar_is_not_believed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no is not encrypted: anybody on the way can say it, and no path may be lost by it."""
    monkeypatch.setattr(path_module, "REFUSED_S", 0.1)
    centre = Centre("1234")
    lies = [b'"NAK"0000R0L0A0[]_00:00:00,01-01-0001\r'] * path_module.NAKS

    async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while lies:
            await reader.readuntil(b"\r")
            writer.write(lies.pop())
        await centre.serve(reader, writer)

    rig.path(await rig.serve(lying)).take(press())
    await until(lambda: rig.told.received())


async def test_a_bare_no_is_told_in_words_and_others_go_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_module, "REFUSED_S", 0.5)
    centre = Centre("1234")
    centre.lie, centre.lies_left = "duh", 1
    path = rig.path(await rig.listen(centre))
    path.take(press(7))
    await until(lambda: any(not up and "account" in why for up, why in rig.told.ups))
    path.take(press(8))
    await until(lambda: rig.told.received(8))
    assert not rig.told.received(7)
    await until(lambda: rig.told.received(7) and rig.told.ups[-1] == (True, ""))


async def test_a_wrong_account_is_said(rig: Rig) -> None:
    rig.path(await rig.listen(Centre("9999")))
    await until(lambda: bool(rig.told.ups))
    up, why = rig.told.ups[0]
    assert not up
    assert "check account 1234" in why


async def test_the_back_up_receiver_takes_over_and_the_main_one_returns(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_module, "RETURN_S", 0.3)
    main, backup = Centre("1234"), Centre("1234")
    main.lie, main.lies_left = "drop", 6
    path = rig.path(
        await rig.listen(main), backup_host="127.0.0.1", backup_port=await rig.listen(backup), supervise_s=0.2
    )
    path.take(press())
    await until(lambda: rig.told.received())
    assert (len(main.messages), len(backup.messages)) == (0, 1)
    await until(lambda: main.tests > 0)
    path.take(press(8))
    await until(lambda: len(main.messages) == 1)


async def test_a_loss_is_seen_by_the_link_test_and_so_is_the_return(rig: Rig) -> None:
    centre = Centre("1234")
    rig.path(await rig.listen(centre), supervise_s=0.2)
    await until(lambda: rig.told.ups[-1:] == [(True, "")])
    centre.lie, centre.lies_left = "drop", 4  # half open: it takes everything and says nothing
    await until(lambda: not rig.told.ups[-1][0])
    assert "does not answer" in rig.told.ups[-1][1]
    await until(lambda: rig.told.ups[-1][0])


class HalfOpen:
    """A receiver that takes everything, and from some instant on answers nothing; it may still let in who comes."""

    def __init__(self, lets_in: bool) -> None:
        self._lets_in = lets_in
        self.centre = Centre("1234")
        self.away = asyncio.Event()

    async def open(self, *_: object) -> tuple[asyncio.StreamReader, HalfOpen]:
        if self.away.is_set() and not self._lets_in:
            await asyncio.Event().wait()
        self.reader = asyncio.StreamReader()
        return self.reader, self

    def write(self, frame: bytes) -> None:
        if not self.away.is_set():
            self.reader.feed_data(self.centre.answer(frame))

    async def drain(self) -> None: ...

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...


@pytest.mark.parametrize("backup", ["", "10.0.0.2"])
@pytest.mark.parametrize("phase", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("lets_in", [False, True])
def test_a_loss_is_seen_within_ninety_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lets_in: bool, phase: float, backup: str
) -> None:
    """In virtual time, with the slowest link test that a site file may ask for."""

    async def scene() -> None:
        line, rig, loop = HalfOpen(lets_in), Rig(tmp_path), asyncio.get_running_loop()
        monkeypatch.setattr(asyncio, "open_connection", line.open)
        rig.path(1, supervise_s=60.0, backup_host=backup)
        await until(lambda: bool(rig.told.ups))
        await asyncio.sleep(600.0 + 60.0 * phase)
        assert {up for up, _ in rig.told.ups} == {True}
        gone = loop.time()
        line.away.set()
        await until(lambda: not rig.told.ups[-1][0], 300.0)
        assert loop.time() - gone <= 90.0
        rig.tasks[0].cancel()

    virtual_time.run(scene())


async def test_an_alarm_waits_for_a_receiver_that_is_away(rig: Rig) -> None:
    centre = Centre("1234")
    port = await rig.listen(centre)
    rig.servers[0].close()
    await rig.servers[0].wait_closed()
    rig.path(port).take(press())
    await until(lambda: rig.told.ups[-1:] != [] and not rig.told.ups[-1][0])
    assert rig.told.stages == []  # not even sent
    await rig.listen(centre, port)
    await until(lambda: rig.told.received())


@pytest.mark.parametrize(("text", "says"), [(None, "cannot read"), ("zz", "hex digits"), ("00", "instead of")])
async def test_without_its_key_nothing_goes_in_the_clear(rig: Rig, text: str | None, says: str) -> None:
    centre = Centre("1234")
    if text is not None:
        (rig.folder / "other.key").write_text(text)
    rig.path(await rig.listen(centre), key_file="other.key").take(press())
    await until(lambda: bool(rig.told.ups))
    assert says in rig.told.ups[0][1]
    assert not centre.messages
    assert not centre.refused


async def test_what_is_received_or_not_for_the_centre_is_not_sent(rig: Rig) -> None:
    centre = Centre("1234")
    path = rig.path(await rig.listen(centre))
    path.take(press(5), Stage.RECEIVED)
    path.take(press(6, kind="lane.reversal"))
    path.take(press(7))
    path.take(press(7))
    await until(lambda: rig.told.received())
    assert len(centre.messages) == 1


ENDS = [
    ("supply.alarm", "supply:mains", "301", "AR", 0),
    ("supply.unread", "supply:mains", "380", "UJ", 0),
    ("panic.line_fault", "button:office", "380", "UJ", 2),
    ("door.held_open", "door:wicket", "426", "DH", 101),
    ("lane.fault", "lane:main", "300", "YZ", 201),
    ("drill.started", "button:office", "607", "TE", 2),
    ("path.none", "paths", "350", "YK", 0),
]


@pytest.mark.parametrize("protocol", ["ADM-CID", "SIA-DCS"])
@pytest.mark.parametrize(("kind", "subject", "cid", "sia", "zone"), ENDS)
async def test_the_centre_hears_that_an_alarm_is_over(
    rig: Rig, protocol: str, kind: str, subject: str, cid: str, sia: str, zone: int
) -> None:
    centre = Centre("1234")
    path = rig.path(await rig.listen(centre), protocol=protocol)
    path.take(press(7, kind=kind, subject=subject))
    path.over(Ending((1, 8), "t", subject, (kind,), (1, 7)))
    await until(lambda: len(centre.messages) == 2)
    assert [m["restore"] for m in centre.messages] == [False, True]
    assert {m["zone"] for m in centre.messages} == {zone}
    assert centre.messages[1]["code"] == (cid if protocol == "ADM-CID" else sia)
    assert centre.refused == []
    assert {ref for ref, _ in rig.told.stages} == {(1, 7)}  # an end has no stages of its own


async def test_an_end_waits_for_its_alarm(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told the other way round, the alarm would stand open at the centre for ever."""
    monkeypatch.setattr(path_module, "REFUSED_S", 0.5)
    centre = Centre("1234")
    centre.lie, centre.lies_left = "duh", 1
    path = rig.path(await rig.listen(centre))
    path.take(press(7, kind="door.forced", subject="door:wicket"))
    path.over(Ending((1, 8), "t", "door:wicket", ("door.forced", "door.held_open"), (1, 7)))
    await until(lambda: len(centre.messages) == 3)
    assert [(m["code"], m["restore"]) for m in centre.messages] == [("423", False), ("423", True), ("426", True)]


async def test_what_has_no_end_at_the_centre_sends_none(rig: Rig) -> None:
    centre = Centre("1234")
    path = rig.path(await rig.listen(centre))
    for kind in ("panic.pressed", "lane.reversal", "clock.off"):
        path.over(Ending((1, 8), "t", "box", (kind,)))
    path.take(press(9))
    await until(lambda: rig.told.received(9))
    assert len(centre.messages) == 1


@pytest.mark.parametrize("key_file", ["", "dc09.key"])
async def test_pysiaalarm_takes_our_alarms(rig: Rig, key_file: str) -> None:
    heard: list[SIAEvent] = []

    async def on_event(event: SIAEvent) -> None:
        heard.append(event)

    letters = bytes.fromhex(KEY).decode() if key_file else None  # its keys are letters, not hex digits
    accounts = {"1234": SIAAccount("1234", letters)}
    receiver = SIAServerTCP(accounts, on_event, Counter())
    port = await rig.serve(receiver.handle_line)
    rig.path(port, key_file=key_file, protocol="SIA-DCS").take(press())
    await until(lambda: rig.told.received())
    await until(lambda: any(event.code == "PA" for event in heard))
