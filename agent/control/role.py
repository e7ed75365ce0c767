"""`menwei control`: holds the hardware, decides, and is the journal's only writer.

Start: open the journal and restore what was latched, start every device's keeper, wait for one full fresh reading of
the inputs, and only then let the first output go. Stop: let go of the devices (pull resistors and relay wiring hold
the safe state), write down everything, end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.control import command_keys, compose, leftover, machine, trend
from agent.control.anchor import Anchor
from agent.control.clock import BoxClock
from agent.control.drills import Drills
from agent.control.lanes import LaneWorker
from agent.control.latency import Latencies, recall
from agent.control.orders import Orders
from agent.control.peers import USERS_VARIABLE, users
from agent.control.policies import Policies
from agent.control.recall import recall_inside
from agent.control.reconcile import OutputGroup, Picture
from agent.control.runtime import Runtime
from agent.control.scan import LIMIT_S, Scan
from agent.control.server import Server
from agent.control.spine import Spine
from agent.control.view import View
from agent.core import box
from agent.core.events import (
    DeviceBack,
    DeviceLost,
    Event,
    InsideRecalled,
    LaneReading,
    NewEpoch,
    Note,
    ScanComplete,
    Started,
)
from agent.core.records import Record
from agent.journal.files import JournalBusy
from agent.notify import notify, watchdog_interval_s
from agent.site_rules import rules_of
from hardware import places
from hardware.site import Lane, Site

log = logging.getLogger("menwei.control")

CLOCK_WATCH_S = 5.0
MACHINE_WATCH_S = 30.0
TURN_EVERY_S = 1.0
MISUSE = 2
LATENCY_RECORD_S = 15.0  # D: a press's hops are written down this long after it, receipts included


async def run(site: Site, file: Path | None = None) -> int:
    """Serve the gate until SIGTERM or SIGINT. Returns the exit code; 2 when trying again cannot mend what is wrong.

    `file` is where `site` was read from; without it, its `[[uplink.command_key]]` entries stay as they are.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        role = Control(site, file)
    except JournalBusy as error:
        log.error("%s: stop it first", error)
        return MISUSE
    try:
        await role.start()
        await stop.wait()
    except OSError as error:
        log.error("%s", error)
        return MISUSE
    finally:
        notify("STOPPING=1")
        await role.close()
    return 0


_NEW_EPOCH = frozenset({"damaged", "gone", "rolled_back", "unwritable"})  # codes of journal.opening.Problem


class Control:
    """One running box."""

    def __init__(self, site: Site, file: Path | None = None) -> None:
        self._site = site
        self._loop = asyncio.get_running_loop()
        self._clock = BoxClock(site.clock.sync)
        self._spine = Spine(site)
        opened = self._spine.opened
        state = box.start(rules_of(site), epoch=opened.epoch, next_seq=opened.next_seq)
        self._groups = {device: OutputGroup(names, self._emit) for device, names in compose.output_groups(site).items()}
        self._picture = Picture(tuple(self._groups.values()), compose.inverted_outputs(site))
        self._intake = compose.intake_of(site, self._emit)
        self._lanes = {lane.id: self._lane_worker(lane) for lane in site.lane}
        self._latencies = Latencies()
        for group in self._groups.values():
            group.on_written = self._latencies.written
        self._runtime = Runtime(state, self._clock, self._spine, self._picture, self._lanes, self._latencies)
        self._anchor = Anchor(opened, self._runtime, self._spine.disown)
        self._view = View(site, self._runtime, self._clock, self._picture, self._spine, self._lanes, self._anchor)
        peers = users(os.environ.get(USERS_VARIABLE, ""))
        self._server = Server(self._runtime, self._view.picture, self._spine.synced, peers)
        self._view.receipts, self._view.given_up = self._server.receipts, self._server.given_up
        self._server.on_anchor, self._server.on_ahead = self._anchor.compare, self._anchor.ahead
        self._drills = Drills(opened.path, places.storage_dir(site), opened.key, self._runtime)
        tell = self._runtime.on_records
        self._runtime.on_records = lambda records: self._heard(records, tell)
        self._leftovers = leftover.Leftovers(self._runtime)
        self._policies = Policies(site, state.rules, self._runtime)
        self._server.on_policy = self._policies.take
        self._server.on_guard, self._server.on_explain = self._view.guard, self._view.explain
        self._key_files = command_keys.KeyFiles(site, file)
        self._orders = Orders(site, self._key_files.now, self._runtime, self._clock)
        self._server.order_keys = self._orders.publics
        self._server.on_order = lambda payload, retained: self._orders.take(payload, retained=retained)
        self._view.orders = self._orders.figures
        self._devices = compose.Devices(site, self._intake, self._groups, self._lanes, self._report)
        self._view.devices = self._devices.figures
        self._scan = Scan(self._inputs(), self._scanned)
        self._intake.on_read = self._scan.read
        self._work: list[asyncio.Task[None]] = []

    def _lane_worker(self, lane: Lane) -> LaneWorker:
        return LaneWorker(
            lane.id,
            self._emit,
            self._loop.time,
            lambda: self._intake.local_sensors(lane.id),
            lambda: self._picture.warning(lane.id),
            plc_warns="plc" in (lane.buzzer, lane.warning_lamp),
        )

    def _inputs(self) -> Sequence[str]:
        lanes = [f"lane:{lane.id}" for lane in self._site.lane]
        boards = [board.name for board in self._site.analog_board]
        return ["gpio", *lanes, *boards, *(("panic",) if self._site.panic_button else ())]

    # ── start and stop ─────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Bring the box up to its first full scan. Raises OSError when the socket cannot be served."""
        await self._server.start(places.control_socket(self._site))
        self._spine.start(self._runtime, self._server)
        self._begin()
        self._devices.start()
        self._loop.call_later(LIMIT_S, self._scan.time_is_up)
        self._work = [
            self._loop.create_task(self._recall(), name="recall"),
            self._loop.create_task(self._watch_machine(), name="machine"),
            self._loop.create_task(self._watch_clock(), name="clock"),
            self._loop.create_task(self._watch_keys(), name="command keys"),
            self._loop.create_task(self._end_leftovers(), name="leftovers"),
            self._loop.create_task(self._take_turns(), name="turns"),
        ]

    def _begin(self) -> None:
        opened = self._spine.opened
        broken = next((problem for problem in opened.problems if problem.code in _NEW_EPOCH), None)
        if broken is not None:
            self._emit(NewEpoch(opened.epoch, opened.next_seq, str(broken)))
        boot = secrets.token_hex(8)
        self._emit(Started(boot, opened.latched, opened.latched_ref, os.environ.get("MENWEI_START_REASON", "")))
        for problem in opened.problems:
            log.error("journal: %s", problem)
            self._emit(Note("journal.problem", "journal", "box", {"code": problem.code, "what": str(problem)}))

    async def close(self) -> None:
        for task in self._work:
            task.cancel()
        await self._devices.close()
        await self._server.close()
        self._drills.close()
        await self._anchor.close()
        await self._spine.close()

    # ── in ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _emit(self, event: Event) -> None:
        """An event from this loop's own thread."""
        records = self._runtime.handle(event)
        if isinstance(event, LaneReading):
            self._scan.read(f"lane:{event.lane}")
        self._view.trend.note(records)

    def _heard(self, records: Sequence[Record], tell: Callable[[Sequence[Record]], None]) -> None:
        """Every record, whatever made it: an event, a command from the socket, or time."""
        tell(records)
        self._drills.note(records)
        self._leftovers.note(records)
        for record in records:
            if record.kind == "panic.pressed":
                self._loop.call_later(LATENCY_RECORD_S, self._write_latency, record.ref)

    def _report(self, device: str, up: bool, why: str) -> None:
        """A keeper's word on its device."""
        log.log(logging.INFO if up else logging.WARNING, "%s %s%s", device, "is there" if up else "lost: ", why)
        self._emit(DeviceBack(device) if up else DeviceLost(device, why))
        if not up:
            self._scan.read(device)

    def _scanned(self, missing: tuple[str, ...]) -> None:
        self._intake.on_read = None
        if missing:
            log.warning("not read yet, so unknown: %s", ", ".join(missing))
        self._emit(ScanComplete())
        notify("READY=1")
        log.info("ready: inputs read, outputs on")

    def _write_latency(self, ref: tuple[int, int]) -> None:
        press = self._latencies.find(ref)
        if press is not None:
            data: dict[str, object] = {"press": list(ref), **press.hops}
            self._emit(Note("panic.latency", press.button, "box", data))
            self._latencies.finish(dict(press.hops))

    # ── always ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _recall(self) -> None:
        """What the journal and the disk tell that a start need not wait for: who is inside, the policy, old figures."""
        self._emit(InsideRecalled(await asyncio.to_thread(recall_inside, self._spine.opened.path)))
        await self._policies.load()
        await self._drills.owed()
        for hops in await asyncio.to_thread(recall, self._spine.opened.path):
            self._latencies.finish(hops)
        for kind, data in await asyncio.to_thread(trend.recall, self._spine.opened.path):
            self._view.trend.take(kind, data)

    async def _watch_machine(self) -> None:
        while True:
            self._view.machine = await asyncio.to_thread(machine.look)
            await asyncio.sleep(MACHINE_WATCH_S)

    async def _watch_clock(self) -> None:
        while True:
            change = self._clock.watch()
            if change is not None:
                self._emit(change)
            await asyncio.sleep(CLOCK_WATCH_S)

    async def _end_leftovers(self) -> None:
        """Alarms of before the start that ended while nobody looked."""
        await asyncio.sleep(leftover.SETTLE_S)
        self._leftovers.open = await asyncio.to_thread(leftover.recall, self._spine.opened.path)
        while self._leftovers.open:
            self._leftovers.judge()
            await asyncio.sleep(leftover.AGAIN_S)

    async def _watch_keys(self) -> None:
        """The district's keys may change while the box runs."""
        self._orders.tell(self._key_files.now)
        while True:
            await asyncio.sleep(command_keys.LOOK_EVERY_S)
            found = await asyncio.to_thread(self._key_files.look)
            if found is not None:
                self._orders.use(found)

    async def _take_turns(self) -> None:
        """Feed the watchdog after a finished turn, and only while every worker lives."""
        interval = min(watchdog_interval_s() or TURN_EVERY_S, TURN_EVERY_S)
        while True:
            started = self._loop.time()
            await asyncio.sleep(interval)
            self._runtime.turn_ms = max(0, round((self._loop.time() - started - interval) * 1000))
            if self._devices.alive() and self._spine.alive():
                notify("WATCHDOG=1")
            else:
                log.error("a worker has ended: the watchdog is not fed")
