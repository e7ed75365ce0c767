"""Act, record, send: the order is judged on what went out, and each way of breaking it is caught.

A story is played once with the real runtime and server, and once with each seeded bug. `judge` looks at nothing but
the trace: what was wanted and moved, what was recorded, what became durable, what was told to subscribers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
import virtual_time
from box_scenes import Box, Step, turns

from agent.control.runtime import Runtime
from agent.control.server import OVERDUE_S, Server
from agent.core.events import Seq
from agent.core.outputs import MotionRequest, Outputs
from agent.core.records import Record

DISK_S = 0.015  # a slow card's sync


class Told(Server):
    """A server whose subscribers are the trace."""

    trace: list[Step]

    def _broadcast(self, line: bytes) -> None:
        message = msgspec.json.decode(line)
        if message["op"] in ("alarm", "head"):
            self.trace.append((message["op"], message))


class Play:
    """One box whose journal is a card of DISK_S, or one that hangs for ever."""

    def __init__(self, runtime: Callable[..., Runtime], server: type[Told], *, hangs: bool) -> None:
        self.box = Box(runtime)
        self.hangs = hangs
        self.server = server(self.box.runtime, dict, lambda epoch, seq: None, {})
        self.server.trace = self.box.trace
        tell = self.box.runtime.on_records

        def on_records(records: Sequence[Record]) -> None:
            tell(records)
            asyncio.get_running_loop().call_later(DISK_S, self.durable, records[-1].seq)

        self.box.runtime.on_records = on_records
        self.box.autodurable = False

    def durable(self, seq: int) -> None:
        if not self.hangs and seq > self.box.runtime.durable_seq:
            self.box.durable(seq)
            self.server.durable(self.box.state.epoch, seq)


async def story(runtime: Callable[..., Runtime], server: type[Told], *, hangs: bool) -> Box:
    """A card opens the wicket; later somebody presses; the lanes are read all the while."""
    play = Play(runtime, server, hangs=False)
    await play.box.ready()
    play.hangs = hangs
    play.box.swipe()
    await play.box.pass_s(0.5)
    play.box.press()
    await turns()
    play.box.trace.append(("instant over", None))
    await play.box.pass_s(1.5)
    return play.box


def played(runtime: Callable[..., Runtime] = Runtime, server: type[Told] = Told, *, hangs: bool = False) -> Box:
    return virtual_time.run(story(runtime, server, hangs=hangs))


# ── the judge ──────────────────────────────────────────────────────────────────────────────────────────────────────


def judge(box: Box) -> set[str]:
    """What the order of this trace breaks."""
    return {rule for rule, broken in RULES.items() if broken(box)}


def _durable_before(box: Box, at: int, seq: int) -> bool:
    return any(what == "durable" and value >= seq for what, value in box.trace[:at])


def _seq(box: Box, kind: str) -> int:
    return next(record.seq for record in reversed(box.paper.records) if record.kind == kind)


def _moves(box: Box) -> list[tuple[int, MotionRequest]]:
    return [(at, value) for at, (what, value) in enumerate(box.trace) if what == "move"]


def acts_late(box: Box) -> bool:
    """An emergency's lamp, lock and tokens are out in the very instant of the press, whatever the disk does."""
    over = box.at("instant over")
    return box.at("lamp:sent", bool) > over or len([at for at, _ in _moves(box) if at < over]) < 3


def records_first(box: Box) -> bool:
    return box.at("lamp:sent", bool) > box.recorded("panic.pressed")


def opens_unrecorded(box: Box) -> bool:
    opened = box.at("lock:wicket", lambda on: not on)
    return opened < len(box.trace) and not _durable_before(box, opened, _seq(box, "access.granted"))


def never_opens(box: Box) -> bool:
    return box.at("durable") < len(box.trace) and box.at("lock:wicket", lambda on: not on) == len(box.trace)


def moves_twice(box: Box) -> bool:
    tokens = [(move.bollard, move.token) for _, move in _moves(box)]
    return len(tokens) != len(set(tokens))


def sends_unrecorded(box: Box) -> bool:
    """An alarm that claims to be durable is; one that is not durable has waited for the disk first."""
    pressed = box.recorded("panic.pressed")
    for at, (what, value) in enumerate(box.trace):
        if what != "alarm" or value["record"]["kind"] != "panic.pressed":
            continue
        if value["durable"] != _durable_before(box, at, value["record"]["seq"]):
            return True
        if at < pressed:
            return True
    return False


def never_sends(box: Box) -> bool:
    return box.at("alarm", lambda told: told["record"]["kind"] == "panic.pressed") == len(box.trace)


def head_before_alarm(box: Box) -> bool:
    seq = _seq(box, "panic.pressed")
    head = box.at("head", lambda told: told["seq"] >= seq)
    return head < box.at("alarm", lambda told: told["record"]["seq"] == seq and told["durable"])


RULES: dict[str, Callable[[Box], bool]] = {
    "acts late": acts_late,
    "records first": records_first,
    "opens unrecorded": opens_unrecorded,
    "never opens": never_opens,
    "moves twice": moves_twice,
    "sends unrecorded": sends_unrecorded,
    "never sends": never_sends,
    "head before alarm": head_before_alarm,
}


# ── the real thing ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_with_a_slow_card_the_order_holds() -> None:
    assert judge(played()) == set()


def test_with_a_card_that_hangs_the_emergency_acts_and_the_alarm_leaves_from_memory() -> None:
    box = played(hangs=True)
    assert judge(box) == set()
    alarms = [value for what, value in box.trace if what == "alarm" and value["record"]["kind"] == "panic.pressed"]
    assert [alarm["durable"] for alarm in alarms] == [False]
    assert OVERDUE_S <= 0.4, "press to first send is at most 0.5 s"


# ── seeded bugs ────────────────────────────────────────────────────────────────────────────────────────────────────


class WaitsForTheDisk(Runtime):
    """Motions go only once everything is durable."""

    def _release(self, journal_failing: bool) -> None:
        if self.durable_seq >= self.state.next_seq - 1:
            super()._release(journal_failing)


class RecordsFirst(Runtime):
    """Outputs a turn after the record."""

    def _act(self, outputs: Outputs) -> None:
        self._loop.call_soon(super()._act, outputs)


class Hasty(Runtime):
    """Takes everything for durable."""

    def _act(self, outputs: Outputs) -> None:
        durable, self.durable_seq = self.durable_seq, 1 << 60
        super()._act(outputs)
        self.durable_seq = durable


class Forgetful(Runtime):
    """Does not look again when the disk has caught up."""

    def durable(self, epoch: int, seq: int, at_s: float) -> None:
        self.durable_seq = max(self.durable_seq, seq)

    def _is_news(self, event: Any) -> bool:
        return True

    def _act(self, outputs: Outputs) -> None:
        if outputs.motions:
            super()._act(outputs)


class Repeats(Runtime):
    """Sends a token with every picture that shows it."""

    def _take(self, request: MotionRequest) -> None:
        self._waiting.append(request)


class TellsAtOnce(Told):
    """Calls an alarm durable before it is."""

    def _on_records(self, records: Sequence[Record]) -> None:
        super()._on_records(records)
        self._tell_alarms([record for record in records if record.kind == "panic.pressed"], durable=True)


class Mute(Told):
    """Waits for a card that hangs."""

    def _overdue(self, ref: Seq) -> None:
        return


class HeadFirst(Told):
    """The head line goes ahead of the alarm."""

    def durable(self, epoch: int, seq: int) -> None:
        self._broadcast(msgspec.json.encode({"op": "head", "epoch": epoch, "seq": seq}))
        super().durable(epoch, seq)


@pytest.mark.parametrize(
    ("bug", "rule", "hangs"),
    [
        (WaitsForTheDisk, "acts late", False),
        (RecordsFirst, "records first", False),
        (Hasty, "opens unrecorded", False),
        (Forgetful, "never opens", False),
        (Repeats, "moves twice", False),
        (TellsAtOnce, "sends unrecorded", False),
        (HeadFirst, "head before alarm", False),
        (Mute, "never sends", True),
    ],
)
def test_each_way_of_breaking_the_order_is_caught(bug: type[Any], rule: str, hangs: bool) -> None:
    box = played(server=bug, hangs=hangs) if issubclass(bug, Told) else played(bug, hangs=hangs)
    assert rule in judge(box)
