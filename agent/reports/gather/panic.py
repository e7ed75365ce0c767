"""The panic buttons: every press with its hops and receipts, drills, and when each button was last tested."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from agent.picture import HOPS
from agent.reports.model import MOST_ROWS, ButtonTest, Drill, Overdue, Panic, PathStage, Press, Ref, When
from agent.reports.month import Month
from agent.reports.records import Told
from agent.reports.spans import Span
from hardware.site import Site

MOST_OPEN = 32  # as many alarms are followed at the gate
OVERDUE = frozenset({"duty.test_overdue", "duty.test_due"})


class _Press(msgspec.Struct):
    told: Told
    hops: dict[str, int] = {}
    stages: list[PathStage] = []
    acknowledged_ms: int | None = None
    reset_ms: int | None = None

    @property
    def drill(self) -> bool:
        return self.told.data.get("drill") is True


class _Drill(msgspec.Struct):
    told: Told
    inside: bool
    answered: bool | None = None
    waited_ms: int | None = None
    report: str = ""
    presses: int = 0
    ended: When | None = None
    why: str = ""


class _Button(msgspec.Struct):
    tests: int = 0
    presses: int = 0
    last_ms: int | None = None


class PanicBook:
    kinds: ClassVar[frozenset[str]] = OVERDUE | {
        "panic.pressed", "panic.latency", "panic.reset", "alarm.stage", "alarm.acknowledged", "drill.started",
        "drill.running", "drill.ended", "drill.report",
    }  # fmt: skip

    def __init__(self, site: Site, month: Month) -> None:
        self._month = month
        self._presses: dict[Ref, _Press] = {}
        self._more = 0
        self._open: list[_Press] = []
        self._drills: list[_Drill] = []
        self._buttons = {button.id: _Button() for button in site.panic_button}
        self._overdue: list[Overdue] = []

    def gap(self, span: Span) -> None:
        """What happened meanwhile is not here; the coverage tells of it."""

    def see(self, told: Told, inside: bool) -> None:
        match told.kind:
            case "panic.pressed":
                self._pressed(told, inside)
            case "panic.latency":
                self._latency(told)
            case "alarm.stage":
                self._stage(told)
            case "alarm.acknowledged":
                for press in self._open:
                    press.acknowledged_ms = press.acknowledged_ms or told.at_ms
            case "panic.reset":
                self._reset(told)
            case kind if kind.startswith("drill."):
                self._drill(told, inside)
            case _:
                if inside:
                    self._overdue.append(Overdue(told.when, told.kind, told.number("days") or 0, told.ref))

    def _pressed(self, told: Told, inside: bool) -> None:
        press = _Press(told, {}, [])
        button = self._buttons.setdefault(told.text("button") or told.thing, _Button())
        if press.drill and told.at_ms < self._month.to_ms:
            button.last_ms = told.at_ms
            for drill in self._drills[-1:]:
                drill.presses += drill.ended is None
        if not inside:
            return
        button.presses += not press.drill
        button.tests += press.drill
        if len(self._presses) >= MOST_ROWS:
            self._more += 1
            return
        self._presses[told.ref] = press
        self._open = [*self._open[1 - MOST_OPEN :], press]

    def _latency(self, told: Told) -> None:
        press = self._presses.get(_ref(told.data.get("press")))
        if press is not None:
            press.hops |= {hop: us for hop in HOPS if (us := told.number(hop)) is not None}

    def _stage(self, told: Told) -> None:
        press = self._presses.get(_ref(told.cause))
        if press is None:
            return
        after_ms = told.at_ms - press.told.at_ms
        if told.boot == press.told.boot:
            after_ms = (told.mono_ns - press.told.mono_ns) // 1_000_000
        press.stages.append(PathStage(told.text("path"), told.text("stage"), after_ms, told.text("by")))

    def _reset(self, told: Told) -> None:
        for press in self._open:
            if not press.drill:
                press.reset_ms = told.at_ms
        self._open = [press for press in self._open if press.drill]

    def _drill(self, told: Told, inside: bool) -> None:
        match told.kind:
            case "drill.started":
                self._drill_started(told, inside)
            case "drill.running":
                for drill in self._drills[-1:]:
                    drill.answered, drill.waited_ms = told.data.get("answered") is True, told.number("waited_ms")
            case "drill.report":
                for drill in self._drills:
                    if told.text("id") == f"{drill.told.epoch}-{drill.told.seq}":
                        drill.report = told.text("sha256")
            case _:
                self._drill_ended(told)

    def _drill_started(self, told: Told, inside: bool) -> None:
        """Of those before the month only the last may still be going on."""
        kept = [drill for drill in self._drills if drill.inside]
        if len(kept) < MOST_ROWS:
            self._drills = [*kept, _Drill(told, inside)]

    def _drill_ended(self, told: Told) -> None:
        for drill in self._drills[-1:]:
            if drill.ended is None:
                drill.ended, drill.why = told.when, told.text("why")
        self._open = [press for press in self._open if not press.drill]

    def done(self) -> Panic:
        presses = [_press(press) for press in self._presses.values()]
        return Panic(
            presses=tuple(presses),
            more_presses=self._more,
            drills=tuple(_drill(drill) for drill in self._drills if drill.inside),
            buttons=tuple(
                ButtonTest(name, button.tests, button.presses, button.last_ms) for name, button in self._buttons.items()
            ),
            overdue=tuple(self._overdue[:MOST_ROWS]),
        )


def _ref(value: Any) -> Ref:
    """(0, 0) for what is none: no record has that number."""
    match value:
        case [int(epoch), int(seq)] | (int(epoch), int(seq)):
            return (epoch, seq)
        case _:
            return (0, 0)


def _press(press: _Press) -> Press:
    told = press.told
    return Press(
        ref=told.ref,
        at=told.when,
        button=told.text("button") or told.thing,
        drill=press.drill,
        seen=told.data.get("seen") is not False,
        hops_us=tuple(press.hops.items()),
        stages=tuple(press.stages),
        acknowledged_ms=press.acknowledged_ms,
        reset_ms=press.reset_ms,
    )


def _drill(drill: _Drill) -> Drill:
    told = drill.told
    return Drill(
        at=told.when,
        button=told.text("button"),
        minutes=told.number("minutes") or 0,
        by=told.actor,
        reason=told.text("reason"),
        answered=drill.answered,
        waited_ms=drill.waited_ms,
        presses=drill.presses,
        ended=drill.ended,
        why=drill.why,
        report=drill.report,
        ref=told.ref,
    )
