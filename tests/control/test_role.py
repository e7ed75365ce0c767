"""Control as a whole, its devices held by hand: what it does first, what it never does, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from control_scenes import DEMO, MemoryBank, demo_site, pins_at_rest, until
from socket_scenes import Peer

from agent.control import command_keys, compose, leftover, role
from agent.control.intake import Intake
from agent.control.lanes import LaneWorker
from agent.control.reconcile import OutputGroup
from agent.core.events import Event, LaneReading, PanicLine, SupplyInput
from agent.core.words import Line, Mode
from agent.picture.devices import DeviceFigures
from hardware import places
from hardware.site import Site
from sim.orders import Signer


class Hands:
    """The devices: the test reads them, loses them, and sees what is written. The newest one is `the`."""

    the: Hands

    def __init__(
        self,
        site: Site,
        intake: Intake,
        groups: Mapping[str, OutputGroup],
        lanes: Mapping[str, LaneWorker],
        report: compose.Report,
    ) -> None:
        Hands.the = self
        self.site, self.intake, self.report = site, intake, report
        self.groups, self.lanes = groups, lanes
        self.banks = {name: MemoryBank() for name in groups}
        self.started_at: float | None = None
        self.is_alive = True
        self.high = pins_at_rest(site)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.started_at = asyncio.get_running_loop().time()
        for name, group in self.groups.items():
            self._tasks.append(asyncio.create_task(group.serve(self.banks[name])))

    def read_pins(self) -> None:
        self.intake.levels(self.high, asyncio.get_running_loop().time())

    def read_loops(self) -> None:
        self.intake.loops("loops", ("normal",) * 4, asyncio.get_running_loop().time())

    def read_lane(self, lane: str) -> None:
        at = asyncio.get_running_loop().time()
        self.lanes[lane]._post(LaneReading(lane, at, Mode.REMOTE, {}, {}, warning_on=False, heartbeat_ok=True))

    def read_everything(self) -> None:
        self.read_pins()
        self.read_loops()
        for lane in self.lanes:
            self.read_lane(lane)

    def figures(self) -> dict[str, DeviceFigures]:
        return {}

    def alive(self) -> bool:
        return self.is_alive

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Manager:
    """What systemd would hear."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def __call__(self, message: str) -> bool:
        self.heard.append(message)
        return True


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    made = Manager()
    monkeypatch.setattr(role, "notify", made)
    return made


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(compose, "Devices", Hands)
    monkeypatch.setattr(role, "LIMIT_S", 60.0)
    monkeypatch.setattr(role, "TURN_EVERY_S", 0.01)
    return demo_site(tmp_path)


@pytest.fixture
async def control(site: Site, manager: Manager) -> AsyncIterator[role.Control]:
    made = role.Control(site)
    await made.start()
    yield made
    await made.close()


def journal(site: Site) -> list[dict[str, Any]]:
    with sqlite3.connect(places.storage_dir(site) / "journal.db") as connection:
        rows = connection.execute("SELECT body FROM record ORDER BY seq").fetchall()
    connection.close()
    return [msgspec.json.decode(row[0]) for row in rows]


# ── the first scan ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_written_and_nobody_is_told_ready_before_the_whole_scan(
    control: role.Control, manager: Manager
) -> None:
    Hands.the.read_pins()
    Hands.the.read_lane("main")
    Hands.the.read_lane("service")
    await asyncio.sleep(0.05)
    assert "READY=1" not in manager.heard
    assert [bank.on for bank in Hands.the.banks.values()] == [{}] * len(Hands.the.banks) != []
    Hands.the.read_loops()
    await until("the outputs are written", lambda: Hands.the.banks["gpio"].on.get(16) is True)
    assert manager.heard.count("READY=1") == 1


async def test_a_lost_device_does_not_hold_the_scan_up(control: role.Control, manager: Manager) -> None:
    Hands.the.report("lane:main", False, "the PLC is silent")
    Hands.the.read_pins()
    Hands.the.read_loops()
    Hands.the.read_lane("service")
    assert manager.heard.count("READY=1") == 1
    assert control._runtime.state.lanes["main"].lost


async def test_a_device_that_neither_answers_nor_is_lost_holds_it_up_for_its_limit_only(
    site: Site, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "LIMIT_S", 0.05)
    made = role.Control(site)
    await made.start()
    Hands.the.read_pins()
    await until("it is ready all the same", lambda: "READY=1" in manager.heard)
    await made.close()


async def test_a_button_held_at_the_start_is_a_press(site: Site, manager: Manager) -> None:
    made = role.Control(site)
    await made.start()
    Hands.the.high |= {17: False, 27: True}
    Hands.the.read_everything()
    await until("the lamp is on", lambda: Hands.the.banks["gpio"].on.get(9) is True)
    await made.close()
    pressed = next(record for record in journal(site) if record["kind"] == "panic.pressed")
    assert pressed["data"]["seen"] is False


# ── restart ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_latched_alarm_is_latched_after_a_restart_before_any_output(site: Site, manager: Manager) -> None:
    first = role.Control(site)
    await first.start()
    Hands.the.read_everything()
    Hands.the.intake._emit(PanicLine("gatehouse", Line.PRESSED, asyncio.get_running_loop().time()))
    await first.close()
    second = role.Control(site)
    await second.start()
    assert second._runtime.state.panic.latched
    assert [bank.on for bank in Hands.the.banks.values()] == [{}] * len(Hands.the.banks) != []
    Hands.the.read_everything()
    await until("the lamp is on again", lambda: Hands.the.banks["gpio"].on.get(9) is True)
    await second.close()
    kinds = [record["kind"] for record in journal(site)]
    assert kinds.count("panic.pressed") == 1
    assert kinds.index("panic.restored") > kinds.index("panic.pressed")


async def test_an_alarm_whose_end_nobody_saw_is_told_as_over_and_one_that_stands_is_not(
    site: Site, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line cut, the box open, the battery bad; then control is away while the line is mended and the box closed."""
    monkeypatch.setattr(leftover, "SETTLE_S", 0.1)
    monkeypatch.setattr(leftover, "AGAIN_S", 0.02)
    faults: list[Event] = [
        PanicLine("gatehouse", Line.CUT, asyncio.get_running_loop().time()),
        SupplyInput("tamper", ok=False),
        SupplyInput("battery", ok=False),
    ]

    async def live(*events: Event, over: int) -> role.Control:
        made = role.Control(site)
        await made.start()
        Hands.the.read_everything()
        for event in events:
            made._emit(event)
        await until("that many are over", lambda: len(told()) == over)
        return made

    def told() -> list[tuple[str, str]]:
        over = [record for record in journal(site) if record["kind"] == "alarm.over"]
        return sorted((record["data"]["kind"], record["subject"]) for record in over)

    await (await live(*faults, over=0)).close()
    second = await live(faults[2], over=2)
    assert told() == [("panic.line_fault", "button:gatehouse"), ("supply.alarm", "supply:tamper")]
    assert second._leftovers.open.keys() == {("supply.alarm", "supply:battery")}, "it stands, and is looked at"
    second._emit(SupplyInput("battery", ok=True))
    assert not second._leftovers.open, "its own end has come"
    await second.close()
    assert len(told()) == 2
    third = await live(over=2)
    await until("it has looked", lambda: not any(task.get_name() == "leftovers" for task in asyncio.all_tasks()))
    await third.close()
    assert len(told()) == 2


async def test_an_orderly_end_leaves_no_alarm_in_the_journal(site: Site, manager: Manager) -> None:
    made = role.Control(site)
    await made.start()
    Hands.the.read_everything()
    await made.close()
    kinds = {record["kind"] for record in journal(site)}
    assert kinds & {"panic.line_fault", "fire.unread", "supply.unread"} == set()


async def test_a_damaged_journal_is_kept_aside_said_loudly_and_the_gate_goes_on(site: Site, manager: Manager) -> None:
    folder = places.storage_dir(site)
    folder.mkdir(parents=True)
    (folder / "journal.db").write_bytes(b"this is no journal" * 1000)
    made = role.Control(site)
    await made.start()
    Hands.the.read_everything()
    await until("it is ready", lambda: "READY=1" in manager.heard)
    await made.close()
    records = journal(site)
    assert records[0]["kind"] == "box.new_epoch"
    problems = [record["data"]["code"] for record in records if record["kind"] == "journal.problem"]
    assert problems == ["damaged", "latch_unknown"]
    assert [path.name for path in folder.iterdir() if path.read_bytes().startswith(b"this is no journal")]


# ── the watchdog ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_watchdog_is_fed_while_every_worker_lives_and_not_after(
    control: role.Control, manager: Manager
) -> None:
    await until("it is fed", lambda: manager.heard.count("WATCHDOG=1") > 2)
    Hands.the.is_alive = False
    await asyncio.sleep(0.03)
    fed = manager.heard.count("WATCHDOG=1")
    await asyncio.sleep(0.05)
    assert manager.heard.count("WATCHDOG=1") == fed


async def test_a_dead_journal_thread_starves_the_watchdog(
    control: role.Control, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control._spine, "alive", lambda: False)
    await asyncio.sleep(0.03)
    fed = manager.heard.count("WATCHDOG=1")
    await asyncio.sleep(0.05)
    assert manager.heard.count("WATCHDOG=1") == fed


async def test_the_loops_turn_is_measured(control: role.Control) -> None:
    await until("it is measured", lambda: control._runtime.turn_ms is not None)


# ── the socket ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_picture_is_served(control: role.Control, site: Site) -> None:
    Hands.the.read_everything()
    peer = await Peer.of(places.control_socket(site))
    state = (await peer.ask({"op": "state"}))["state"]
    peer.close()
    assert (state["site"], state["box"], state["scanned"]) == ("dongfang-primary", "gate-1", True)
    assert [button["line"] for button in state["panic"]["buttons"]] == ["normal"] * 3
    assert state["journal"]["health"] == "ok"


async def test_a_press_is_heard_by_a_subscriber_and_its_hops_are_written_down(
    site: Site, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "LATENCY_RECORD_S", 0.05)
    made = role.Control(site)
    await made.start()
    Hands.the.read_everything()
    peer = await Peer.of(places.control_socket(site))
    await peer.ask({"op": "subscribe"})
    Hands.the.intake._emit(PanicLine("gatehouse", Line.PRESSED, asyncio.get_running_loop().time()))
    alarm = await peer.wait(lambda line: line["op"] == "alarm" and line["record"]["kind"] == "panic.pressed")
    assert alarm["durable"] is True
    await until("it is written", lambda: "panic.latency" in [record["kind"] for record in journal(site)])
    peer.close()
    await made.close()


async def test_a_step_of_the_wall_clock_is_a_record(
    site: Site, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "CLOCK_WATCH_S", 0.01)
    made = role.Control(site)
    await made.start()
    Hands.the.read_everything()
    made._clock._offset_ms -= 3_600_000
    await until("it is told", lambda: "clock.off" in [record["kind"] for record in journal(site)])
    await made.close()


# ── run ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_sigterm_ends_it_with_0_and_says_so(site: Site, manager: Manager) -> None:
    running = asyncio.create_task(role.run(site))
    await until("it serves", lambda: places.control_socket(site).exists())
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, 60) == 0
    assert "STOPPING=1" in manager.heard


async def test_a_second_control_refuses_in_words(
    control: role.Control, site: Site, manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    # Another process holds the journal's folder: in this one the lock is shared, so it is played by the lock itself.
    from agent.journal import files

    descriptor = files._held.pop(places.storage_dir(site).resolve())
    assert await role.run(site) == 2
    os.close(descriptor)
    assert re.search("another menwei control already writes the journal in .*: stop it first", caplog.text)


async def test_a_socket_that_cannot_be_served_is_misuse_in_words(
    site: Site, manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    places.run_dir(site).write_text("a file where a folder should be")
    assert await role.run(site) == 2
    assert "run_dir in [storage]" in caplog.text


# ── the district's keys ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_of_the_district_is_put_in_while_the_box_runs(
    site: Site, manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change, and what could not be read, is one record; a key that was refused acts from then on."""
    monkeypatch.setattr(command_keys, "LOOK_EVERY_S", 0.02)
    signer = Signer.of(tmp_path / "new.key")
    file = tmp_path / "gatebox.toml"
    file.write_text(DEMO.read_text("utf-8"), "utf-8")
    made = role.Control(site, file)
    await made.start()

    def give() -> str:
        return made._orders.take(signer.payload("dongfang-primary/gate-1", "acknowledge", {}), retained=False)

    def told(kind: str) -> list[dict[str, Any]]:
        return [record["data"] for record in journal(site) if record["kind"] == kind]

    assert give() == "no_key"
    entry = '[[uplink.command_key]]\nid = "new"\nfile = "new.pub"\n'
    file.write_text(DEMO.read_text("utf-8") + "\n" + entry, "utf-8")
    await until("the key is in force", lambda: len(told("command.keys")) == 1)
    assert give() == "no_alarm"
    file.write_text("[", "utf-8")
    await until("the broken file is told", lambda: len(told("command.keys_refused")) == 1)
    assert give() == "no_alarm"
    await made.close()
    assert [name.split()[0] for name in told("command.keys")[0]["keys"]] == ["new"]
