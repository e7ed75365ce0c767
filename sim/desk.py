"""One bus from the devices' side: who answers a request, and what faults make of the answer.

Pure: bytes and a plan come out, the links deliver them. A fault with `p` strikes that often, one with `count` so many
times and heals itself then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.faults import Fault
from sim.frames import MBAP, RtuFrame, TcpFrame
from sim.modbus import GATEWAY_NO_ANSWER, Unit, answer, confirm, is_write, refuse
from sim.world import World

BROADCAST = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back and how: `delay_s` late, one byte each `gap_s` if that is not 0."""

    data: bytes
    delay_s: float = 0.0
    gap_s: float = 0.0


class Desk:
    """Serves one bus. `gateway`: a missing unit is answered for by the TCP side with exception 0x0B."""

    def __init__(self, bus: str, units: Mapping[int, Unit], world: World, gateway: bool) -> None:
        self.units = units
        self._world = world
        self._gateway = gateway
        self._bus_faults = world.faults.on(f"bus:{bus}")
        self._used: dict[tuple[str, str], tuple[Fault, int]] = {}

    def tcp(self, frame: TcpFrame) -> Answer | None:
        """The answer to a TCP frame, or None for silence."""
        pdu = self._serve(frame.unit, frame.pdu)
        if pdu is None:
            return None
        faults = self._faults(frame.unit)
        unit = frame.unit ^ 1 if self._strikes(faults, "wrong_unit") else frame.unit
        transaction = 0 if self._strikes(faults, "wrong_transaction") else frame.transaction
        data = TcpFrame(transaction, unit, pdu).to_bytes()
        if self._strikes(faults, "bad_check"):
            # TCP carries no check sum of Modbus' own: what a broken gateway damages visibly is the header.
            data = MBAP.pack(transaction, 0x0100, len(pdu) + 1, unit) + pdu
        return self._spoil(data, faults)

    def rtu(self, frame: RtuFrame) -> Answer | None:
        """The answer to a frame on the serial line, or None for silence."""
        pdu = self._serve(frame.unit, frame.pdu)
        if pdu is None:
            return None
        faults = self._faults(frame.unit)
        unit = frame.unit ^ 1 if self._strikes(faults, "wrong_unit") else frame.unit
        data = RtuFrame(unit, pdu).to_bytes()
        if self._strikes(faults, "bad_check"):
            bit = self._world.rng.randrange(8 * len(data))
            data = data[: bit // 8] + bytes((data[bit // 8] ^ 1 << bit % 8,)) + data[bit // 8 + 1 :]
        return self._spoil(data, faults)

    def _serve(self, unit_id: int, pdu: bytes) -> bytes | None:
        if unit_id == BROADCAST:
            for listener in self.units.values():
                answer(listener, pdu)
            return None
        faults = self._faults(unit_id)
        unit = self.units.get(unit_id)
        if "dead" in faults or (unit is not None and unit.silent):
            return None
        if unit is None:
            return refuse(pdu, GATEWAY_NO_ANSWER) if self._gateway else None
        exception = self._strikes(faults, "exception")
        if exception is not None:
            return refuse(pdu, int(exception.number("code")))
        if is_write(pdu) and self._strikes(faults, "lying"):
            return confirm(pdu)
        return answer(unit, pdu)

    def _spoil(self, data: bytes, faults: Mapping[str, Fault]) -> Answer:
        if not faults:
            return Answer(data)
        rng = self._world.rng
        if self._strikes(faults, "garbage"):
            data = rng.randbytes(rng.randrange(1, 24))
        if self._strikes(faults, "truncated"):
            data = data[: len(data) // 2]
        delays = [fault.number("delay_s") for kind in ("slow", "late") if (fault := self._strikes(faults, kind))]
        one_byte = self._strikes(faults, "one_byte")
        return Answer(data, sum(delays), one_byte.number("gap_s") if one_byte is not None else 0.0)

    def _faults(self, unit_id: int) -> Mapping[str, Fault]:
        unit = self.units.get(unit_id)
        own = self._world.faults.on(unit.device) if unit is not None else {}
        if not self._bus_faults:
            return own
        return {**self._bus_faults, **own}

    def _strikes(self, faults: Mapping[str, Fault], kind: str) -> Fault | None:
        fault = faults.get(kind)
        if fault is None:
            return None
        if "p" in fault.params and self._world.rng.random() >= fault.number("p"):
            return None
        if fault.params.get("count"):
            self._spend(fault)
        return fault

    def _spend(self, fault: Fault) -> None:
        key = (fault.device, fault.kind)
        last, used = self._used.get(key, (fault, 0))
        used = used + 1 if last is fault else 1
        self._used[key] = (fault, used)
        if used >= fault.number("count"):
            self._world.heal(fault.device, fault.kind)
