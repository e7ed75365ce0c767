"""What an alarm path is: one way by which an alarm reaches somebody outside the gate, with a receipt of its own."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from agent.core.words import Stage
from agent.uplink.batch import Ref

FROM_AFAR = frozenset({Stage.RECEIVED, Stage.ACKNOWLEDGED, Stage.COMING, Stage.ARRIVED})  # never said by ourselves


class Alarm(msgspec.Struct, frozen=True):
    """One alarm record: `body` is the record's JSON as the journal has it, `at` its UTC time."""

    ref: Ref
    body: bytes
    kind: str
    at: str
    drill: bool = False


class Reports(Protocol):
    """Whom a path tells what became of its alarms and of itself. Nothing here waits."""

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None: ...

    def path(self, path: str, up: bool, why: str = "") -> None: ...


class AlarmPath(Protocol):
    """One way up. `take` never blocks and may be called again with an alarm the path has already; `stage` is how far
    that alarm had come on this path before a restart. `run` connects, supervises and delivers for ever; a far side
    that is away is reported and never raised."""

    @property
    def name(self) -> str: ...

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None: ...

    async def run(self) -> None: ...


class _Facts(msgspec.Struct):
    epoch: int
    seq: int
    kind: str
    at: str
    data: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Facts).decode


def alarm_of(body: bytes) -> Alarm:
    """The alarm in a record. Raises msgspec.DecodeError for what is no record."""
    facts = _decode(body)
    return Alarm((facts.epoch, facts.seq), body, facts.kind, facts.at, facts.data.get("drill") is True)
