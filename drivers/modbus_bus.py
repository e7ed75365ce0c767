"""One owner of one Modbus bus, TCP or RTU, over pymodbus: urgent first, every call bounded, every answer checked.

How a call travels: `_call` refuses what must not go out (unit 0, dead link, silent unit), takes the gate on its lane,
and sends once. An idle bus costs no extra turn of the event loop. A missing or wrong answer starts `_settle`, which
keeps the gate shut until the line has been quiet, so that a late answer meets nobody. A cancelled caller leaves at once
and `_settle` waits for its answer instead.

Nothing is retried here but a read, once: told "busy", or its answer lost or garbled while all had been well.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, WriteSingleCoilRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers import modbus_wire as wire
from drivers.backoff import Backoff
from drivers.errors import BadFrame, DriverError, LinkLost, NoAnswer, Refused, TokenExpired
from drivers.modbus_gate import Gate, Lane
from drivers.modbus_link import Link
from drivers.modbus_units import Counts, Unit, quiet_s
from drivers.modbus_wire import Ask
from hardware import site

__all__ = ["Bits", "Lane", "ModbusBus", "Words"]

TURN_S = 1.5  # D: a poll that has not had its turn by then says so
RENEW_AFTER = 3  # D: missing answers in a row, of any unit, after which a TCP connection is suspected to be half open
QUIET_ROUNDS = 3  # D: a line that never falls quiet is used again all the same
BUSY_CODES = (5, 6)
GATEWAY_SILENT_CODES = (10, 11)  # the gateway answers for a unit that does not


@dataclass(frozen=True, slots=True)
class Words:
    """Registers as read. `asked_at` is when the request went out, in monotonic seconds."""

    values: tuple[int, ...]
    asked_at: float


@dataclass(frozen=True, slots=True)
class Bits:
    """Coils as read. `asked_at` as in `Words`."""

    values: tuple[bool, ...]
    asked_at: float


class ModbusBus:
    """All traffic of one `[[bus]]` goes through here. Calls raise a `DriverError` and nothing else.

    `on_link(up, why)` is called on each change of the connection, the first outcome included.
    """

    def __init__(
        self,
        bus: site.Bus,
        *,
        folder: str = ".",
        on_link: Callable[[bool, str], None] | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = bus.name
        self._bus = bus
        self._folder = folder
        self._on_link = on_link or (lambda up, why: None)
        self._clock = clock
        self._gate = Gate(clock)
        self._units: dict[int, Unit] = {}
        self._backoff = Backoff(rng or random.Random())
        self._link: Link | None = None
        self._why = f"bus {bus.name}: not connected yet"
        self._said: bool | None = None
        self._missed = 0  # answers missing in a row
        self._down = asyncio.Event()
        self._tried = asyncio.Event()  # the first attempt to connect has ended
        self._tasks: set[asyncio.Task[None]] = set()

    # ── the link ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def up(self) -> bool:
        return self._link is not None

    @property
    def why(self) -> str:
        """Why the bus is down; empty while it is up."""
        return "" if self.up else self._why

    def counts(self, unit: int) -> Counts:
        """What happened with `unit` since the start."""
        return self._unit(unit).counts

    def answered_at(self, unit: int) -> float | None:
        """When `unit` last gave a good answer (monotonic s); None: never since the start."""
        return self._unit(unit).answered_at

    async def start(self) -> None:
        """Try once to connect, bounded, then keep the link up until `close`. Never raises for a dead link."""
        await self._connect()
        self._spawn(self._keep_link(), "keeps the link up")

    async def close(self) -> None:
        """Drop the link and stop. Waiting calls get LinkLost."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        link, self._link = self._link, None
        self._why = "closed"
        if link is not None:
            link.close()
            await asyncio.sleep(0)  # the transport closes its socket in the next turn

    def _spawn(self, work: Coroutine[object, object, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"bus {self.name} {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_link(self) -> None:
        while True:
            await self._down.wait()
            await asyncio.sleep(self._backoff.next_s())
            if not self.up:
                await self._connect()

    async def _connect(self) -> None:
        link = Link(self._bus, self._folder, self._lost, self._stray, self._clock)
        try:
            await link.open()
        except LinkLost as error:
            self._say_down(str(error))
            return
        finally:
            self._tried.set()
        self._link = link
        self._missed = 0
        for unit in self._units.values():
            unit.relinked()
        self._backoff.reset()
        self._down.clear()
        if self._said is not True:
            self._said = True
            self._on_link(True, "")

    def _lost(self, link: Link, why: str) -> None:
        if link is self._link:
            self._say_down(why)

    def _stray(self, number: int) -> None:
        unit = self._units.get(number)
        if unit is not None:
            unit.stirred(self._clock())

    def _say_down(self, why: str) -> None:
        self._link = None
        self._why = f"bus {self.name}: {why}"
        self._down.set()
        if self._said is not False:
            self._said = False
            self._on_link(False, self._why)

    # ── what callers ask ───────────────────────────────────────────────────────────────────────────────────────────

    async def read_coils(self, unit: int, address: int, count: int) -> Bits:
        """FC01."""
        ask = wire.ask_coils(unit, address, count)
        pdu = ReadCoilsRequest(dev_id=unit, address=address, count=count)
        answer, asked_at = await self._read(pdu, ask)
        return Bits(tuple(answer.bits[:count]), asked_at)

    async def read_holding(self, unit: int, address: int, count: int) -> Words:
        """FC03."""
        ask = wire.ask_words(unit, wire.READ_HOLDING, address, count)
        return await self._read_words(ReadHoldingRegistersRequest(dev_id=unit, address=address, count=count), ask)

    async def read_input(self, unit: int, address: int, count: int) -> Words:
        """FC04."""
        ask = wire.ask_words(unit, wire.READ_INPUT, address, count)
        return await self._read_words(ReadInputRegistersRequest(dev_id=unit, address=address, count=count), ask)

    async def write_coil(
        self, unit: int, address: int, on: bool, *, lane: Lane = Lane.LEVEL, not_after: float | None = None
    ) -> float:
        """FC05 with 0xFF00 or 0x0000 and nothing else. Returns when the device's exact echo came (monotonic s).

        Past `not_after` the frame is not sent and TokenExpired raised, judged at the moment it would go out.
        """
        ask = wire.ask_write(unit, wire.WRITE_COIL, address, wire.COIL_ON if on else wire.COIL_OFF)
        await self._call(WriteSingleCoilRequest(dev_id=unit, address=address, bits=[on]), ask, lane, not_after)
        return self._clock()

    async def write_register(
        self, unit: int, address: int, value: int, *, lane: Lane = Lane.LEVEL, not_after: float | None = None
    ) -> float:
        """FC06. Returns when the device's exact echo came (monotonic s). `not_after` as in `write_coil`."""
        ask = wire.ask_write(unit, wire.WRITE_REGISTER, address, value)
        pdu = WriteSingleRegisterRequest(dev_id=unit, address=address, registers=[value])
        await self._call(pdu, ask, lane, not_after)
        return self._clock()

    async def _read_words(self, pdu: ModbusPDU, ask: Ask) -> Words:
        answer, asked_at = await self._read(pdu, ask)
        return Words(tuple(answer.registers), asked_at)

    async def _read(self, pdu: ModbusPDU, ask: Ask) -> tuple[ModbusPDU, float]:
        unit = self._unit(ask.unit)
        was_well = unit.failures == 0
        try:
            return await self._call(pdu, ask, Lane.POLL)
        except Refused as error:
            if error.code not in BUSY_CODES:
                raise
        except (BadFrame, NoAnswer):
            first_loss = was_well and unit.failures > 0
            if not first_loss or unit.silent:
                raise
        return await self._call(pdu, ask, Lane.POLL)

    # ── one transaction ────────────────────────────────────────────────────────────────────────────────────────────

    async def _call(
        self, pdu: ModbusPDU, ask: Ask, lane: Lane, not_after: float | None = None
    ) -> tuple[ModbusPDU, float]:
        unit = self._unit(ask.unit)
        if not self._tried.is_set():
            await self._first_attempt()
        self._refuse_hopeless(unit, ask, lane)
        if not self._gate.try_take():
            await self._gate.take(lane, TURN_S)
            try:
                self._refuse_hopeless(unit, ask, lane)  # it may have fallen silent while this call waited
            except DriverError:
                self._gate.release()
                raise
        return await self._transact(unit, pdu, ask, not_after)

    async def _first_attempt(self) -> None:
        """Devices are opened while their bus still connects; that is no loss worth telling."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), TURN_S)

    def _unit(self, number: int) -> Unit:
        unit = self._units.get(number)
        if unit is None:
            unit = self._units[number] = Unit(self._bus.timeout_s, paced=self._bus.kind == "rtu")
        return unit

    def _refuse_hopeless(self, unit: Unit, ask: Ask, lane: Lane) -> None:
        if self._link is None:
            raise LinkLost(self._why)
        now = self._clock()
        if not unit.may_try(now, lane):
            since = now - (unit.silent_since or now)
            raise NoAnswer(f"bus {self.name}: unit {ask.unit} has been silent for {since:.1f} s; not asked now")

    async def _transact(self, unit: Unit, pdu: ModbusPDU, ask: Ask, not_after: float | None) -> tuple[ModbusPDU, float]:
        """Send and judge, holding the gate; it is released here or by `_settle`."""
        link, asked_at = self._link, self._clock()
        assert link is not None, "asked of a bus without a link"
        if not_after is not None and asked_at > not_after:
            self._gate.release()
            raise TokenExpired(f"bus {self.name}: {ask.what} of unit {ask.unit} came too late for its turn: not sent")
        probe = unit.silent
        frame_s = link.timing.frame_s(ask)
        bound_s = frame_s + unit.patience_s(ask.is_write)
        unit.tried(asked_at)
        try:
            answer = await link.exchange(pdu, ask, bound_s)
        except asyncio.CancelledError:
            self._spawn(self._settle_orphan(link, asked_at + bound_s), "waits for an orphan's answer")
            raise
        except LinkLost as error:
            self._gate.release()
            raise LinkLost(f"bus {self.name}: {error}") from None
        except (NoAnswer, BadFrame) as error:
            raise self._failed(unit, link, ask, error, bound_s, probe) from None
        self._missed = 0
        self._gate.release(link.last_heard + link.timing.gap_s)
        return self._judged(unit, answer, ask, self._clock() - asked_at - frame_s), asked_at

    def _judged(self, unit: Unit, answer: ModbusPDU, ask: Ask, thinking_s: float) -> ModbusPDU:
        code = answer.exception_code
        if code in GATEWAY_SILENT_CODES:
            unit.failed(self._clock(), noisy=False)
        else:
            unit.answered(self._clock(), max(thinking_s, 0.0))
        if not answer.isError():
            return answer
        unit.counts.refused += 1
        reason = _REFUSALS.get(code, "refuses")
        raise Refused(f"bus {self.name}: unit {ask.unit} {reason}, exception {code} on {ask.what}", code)

    def _failed(self, unit: Unit, link: Link, ask: Ask, error: DriverError, bound_s: float, probe: bool) -> DriverError:
        """Count it, start the silence, and word it."""
        now = self._clock()
        unit.failed(now, noisy=isinstance(error, BadFrame))
        self._missed += 1
        worst_s = max(each.worst_s for each in self._units.values())
        self._spawn(self._settle(link, now, quiet_s(probe, worst_s, not link.tcp)), "settles")
        head = f"bus {self.name}: unit {ask.unit}, {ask.what}:"
        if isinstance(error, BadFrame):
            unit.counts.bad_frames += 1
            return BadFrame(f"{head} {error}; check termination, baud rate and addresses")
        unit.counts.timeouts += 1
        return NoAnswer(f"{head} no answer within {bound_s * 1000:.0f} ms")

    # ── after a failure: the gate stays shut until the line is fit again ────────────────────────────────────────────

    async def _settle(self, link: Link, failed_at: float, silence_s: float) -> None:
        """Quiet for `silence_s`, counted anew when something late comes in, a few times at most."""
        try:
            for _ in range(QUIET_ROUNDS):
                pause_s = max(failed_at, link.last_heard) + silence_s - self._clock()
                if pause_s <= 0:
                    break
                await asyncio.sleep(pause_s)
            if link.broken or (link.tcp and self._missed >= RENEW_AFTER):
                await self._renew(link)
        finally:
            self._gate.release(link.last_heard + link.timing.gap_s)

    async def _settle_orphan(self, link: Link, until: float) -> None:
        try:
            if not await link.settled(max(until - self._clock(), 0.0)):
                worst_s = max(each.worst_s for each in self._units.values())
                await asyncio.sleep(quiet_s(False, worst_s, not link.tcp))
        finally:
            self._gate.release(link.last_heard + link.timing.gap_s)

    async def _renew(self, link: Link) -> None:
        """Replace a connection that may be half open or out of step. Said to nobody unless it fails."""
        if link is self._link:
            link.close()  # it stays in its place meanwhile: callers wait at the gate and are not told of a loss
            await self._connect()


_REFUSALS = {
    1: "does not know this function: wrong profile for this device?",
    2: "has no such address: wrong profile, or wrong unit?",
    3: "does not take this value or count: wrong profile?",
    4: "reports a fault of its own",
    5: "has accepted but not finished",
    6: "is busy",
    8: "reports a memory fault",
    10: "cannot be reached by the gateway",
    11: "does not answer the gateway",
}
