"""What an alarm path is: one way by which an alarm reaches somebody outside the gate, with a receipt of its own."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import msgspec

from agent.core.endings import ends
from agent.core.words import Stage
from agent.uplink.batch import Ref


class Alarm(msgspec.Struct, frozen=True):
    """One alarm record: `body` is the record's JSON as the journal has it, `at` its UTC time."""

    ref: Ref
    body: bytes
    kind: str
    at: str
    drill: bool = False
    subject: str = ""


class Ending(msgspec.Struct, frozen=True):
    """A record that ends alarms: of these `kinds`, and where `of` is known, exactly that one."""

    ref: Ref
    at: str
    subject: str
    kinds: tuple[str, ...]
    of: Ref | None = None
    drill: bool = False


class Reports(Protocol):
    """Whom a path tells what became of its alarms and of itself. Nothing here waits. `given_up`: how many alarm
    messages it has given up since its start, because too many waited."""

    def stage(self, path: str, ref: Ref, stage: Stage, by: str = "") -> None: ...

    def path(self, path: str, up: bool, why: str = "") -> None: ...

    def given_up(self, path: str, count: int) -> None: ...


class AlarmPath(Protocol):
    """One way up. `take` never blocks and may be called again with an alarm the path has already; `stage` is how far
    that alarm had come on this path before a restart. `run` connects, supervises and delivers for ever; a far side
    that is away is reported and never raised."""

    @property
    def name(self) -> str: ...

    def take(self, alarm: Alarm, stage: Stage = Stage.QUEUED) -> None: ...

    async def run(self) -> None: ...


@runtime_checkable
class HearsEndings(Protocol):
    """A path whose far side keeps an alarm open until it hears that it is over. Like `take`, `over` never blocks."""

    def over(self, ending: Ending) -> None: ...


class Unsaid(msgspec.Struct, frozen=True):
    """What a far side has not received yet: an alarm, or with `kind` the end of one of that kind, after that alarm."""

    ref: Ref
    path: str
    kind: str = ""
    subject: str = ""
    after: Ref | None = None
    drill: bool = False


@runtime_checkable
class Remembered(Protocol):
    """A path whose far side does not keep the journal: what waits here is written down, to outlive a restart."""

    def unsaid(self) -> list[Unsaid]: ...


class _Facts(msgspec.Struct):
    epoch: int
    seq: int
    kind: str
    at: str
    data: dict[str, Any] = {}
    subject: str = ""
    cause: Ref | None = None


_decode = msgspec.json.Decoder(_Facts).decode


def alarm_of(body: bytes) -> Alarm:
    """The alarm in a record. Raises msgspec.DecodeError for what is no record."""
    facts = _decode(body)
    ref, drill = (facts.epoch, facts.seq), facts.data.get("drill") is True
    return Alarm(ref, body, facts.kind, facts.at, drill, facts.subject)


def ending_of(body: bytes) -> Ending | None:
    """What a record ends; None for one that ends no alarm. Raises msgspec.DecodeError for what is no record."""
    facts = _decode(body)
    kinds = ends(facts.kind, facts.data, facts.cause)
    if not kinds:
        return None
    drill = facts.data.get("drill") is True
    return Ending((facts.epoch, facts.seq), facts.at, facts.subject, kinds, facts.cause, drill)
