"""What a by-stander has seen of people, lines, keys, cards and receipts: raw, from events and outputs alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agent.core.events import (
    AlarmStage,
    CardRead,
    Command,
    Event,
    FireInput,
    KeyInput,
    Now,
    PanicLine,
    Rex,
    ScanComplete,
    Seq,
    Started,
)
from agent.core.outputs import Outputs
from agent.core.words import Line, Stage

if TYPE_CHECKING:
    from agent.core.invariant import Step

MEMORY_S = 60.0  # longer than any presence or unlock time that is judged
LET_GO_S = 0.05
IDS = 30  # of so many last commands a repetition must be noticed
SIGNED_IDS = 1000  # more than any run gives within ten minutes
ORDER = {stage: place for place, stage in enumerate(Stage)}


class PeopleFacts:
    """One run's note-book on people. Every dict holds at most one entry for each thing of the site, or is swept."""

    __slots__ = (
        "before",
        "cards",
        "done_ids",
        "drill_since",
        "fire_input",
        "key_before",
        "keys",
        "let_go",
        "line_before",
        "lines",
        "new_press",
        "normal_since",
        "pressed_at",
        "pressed_before",
        "rex_at",
        "scanned",
        "signed_ids",
        "stages",
    )

    def __init__(self) -> None:
        self.scanned = False
        self.lines: dict[str, Line] = {}
        self.line_before = Line.UNREAD  # of the button of this PanicLine
        self.normal_since: dict[str, float] = {}
        self.let_go: dict[str, bool] = {}  # stably normal since the last press
        self.new_press = False  # this PanicLine is a press after the button was let go
        self.pressed_at: dict[str, float] = {}  # the last such press of each button
        self.pressed_before: float | None = None  # the one before this
        self.keys: dict[str, bool | None] = {}
        self.key_before: bool | None = None  # of the key of this KeyInput
        self.fire_input: bool | None = None
        self.cards: deque[tuple[float, str, str]] = deque()  # (at, reader, card), the last minute's
        self.rex_at: dict[str, float] = {}
        self.stages: dict[Seq, int] = {}  # furthest stage told of each alarm
        self.done_ids: dict[str, None] = {}  # commands decided, the oldest first
        self.signed_ids: dict[str, int] = {}  # signed commands carried out and when they expire, the oldest first
        self.drill_since: float | None = None
        self.before: Outputs | None = None

    def see(self, step: Step) -> None:
        """Note what happened, before the step is judged."""
        note = _NOTES.get(type(step.event))
        if note is not None:
            note(self, step.event, step.now)

    def keep(self, step: Step) -> None:
        """Note what the core asked and declared, after the step was judged."""
        self.before = step.outputs
        if isinstance(step.event, Command):
            self._keep_command(step, step.event)
        if step.new.drill.live_at is None:
            self.drill_since = None
        elif self.drill_since is None:
            self.drill_since = step.now.mono_s

    def _keep_command(self, step: Step, event: Command) -> None:
        if event.expires_ms:
            if any(record.kind == "command.done" for record in step.records):
                self.signed_ids[event.id] = event.expires_ms
                _keep_newest(self.signed_ids, SIGNED_IDS)
            return
        self.done_ids[event.id] = None
        _keep_newest(self.done_ids, IDS)


def _keep_newest(ids: dict[str, Any], most: int) -> None:
    if len(ids) > most:
        del ids[next(iter(ids))]


def _started(facts: PeopleFacts, event: Started, now: Now) -> None:
    """The journal's last word on receipts and commands goes on; everything else begins unseen."""
    latched: dict[str, Any] = event.latched or {}
    with suppress(TypeError, KeyError, AttributeError, ValueError):  # a damaged picture tells nothing
        for alarm in latched["panic"]["alarms"]:
            stages = [ORDER[Stage(stage)] for stage in alarm["stages"].values()]
            facts.stages[(alarm["ref"][0], alarm["ref"][1])] = max(stages, default=0)
    commands = latched.get("commands")
    facts.done_ids = dict.fromkeys(commands) if isinstance(commands, list) else {}
    with suppress(TypeError, KeyError):
        facts.signed_ids = dict(latched["orders"]["spent"])


def _scan(facts: PeopleFacts, event: ScanComplete, now: Now) -> None:
    facts.scanned = True


def _line(facts: PeopleFacts, event: PanicLine, now: Now) -> None:
    button, at = event.button, event.edge_at
    before = facts.line_before = facts.lines.get(button, Line.UNREAD)
    facts.lines[button] = event.line
    facts.new_press = False
    if before is Line.NORMAL and event.line is not Line.NORMAL and at - facts.normal_since[button] >= LET_GO_S:
        facts.let_go[button] = True
    if event.line is Line.NORMAL and before is not Line.NORMAL:
        facts.normal_since[button] = at
    if event.line is Line.PRESSED and before is not Line.PRESSED and facts.let_go.get(button, True):
        facts.new_press = True
        facts.let_go[button] = False
        facts.pressed_before = facts.pressed_at.get(button)
        facts.pressed_at[button] = at


def _key(facts: PeopleFacts, event: KeyInput, now: Now) -> None:
    facts.key_before = facts.keys.get(event.key)
    facts.keys[event.key] = event.on


def _fire(facts: PeopleFacts, event: FireInput, now: Now) -> None:
    facts.fire_input = event.active


def _card(facts: PeopleFacts, event: CardRead, now: Now) -> None:
    while facts.cards and now.mono_s - facts.cards[0][0] > MEMORY_S:
        facts.cards.popleft()
    facts.cards.append((now.mono_s, event.reader, event.card))


def _rex(facts: PeopleFacts, event: Rex, now: Now) -> None:
    facts.rex_at[event.door] = now.mono_s


def _stage(facts: PeopleFacts, event: AlarmStage, now: Now) -> None:
    facts.stages[event.ref] = max(facts.stages.get(event.ref, 0), ORDER[event.stage])


_NOTES: dict[type[Event], Callable[[PeopleFacts, Any, Now], None]] = {
    Started: _started,
    ScanComplete: _scan,
    PanicLine: _line,
    KeyInput: _key,
    FireInput: _fire,
    CardRead: _card,
    Rex: _rex,
    AlarmStage: _stage,
}
