"""Drill mode: one named button, announced upstream first, at most 15 minutes, ended by itself; everything else is real.

A guard on site starts a drill; its record goes up as an alarm marked "drill". Only when somebody there has it, or when
nobody answered and the guard says to go on all the same, is a press of that button a drill. Until then every press is
real. On the drilled button a second press within 10 s, or a hold of 3 s, is real: who is really attacked during a drill
presses again, or does not let go. A real press of any button ends the drill. A drill does not survive a restart.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core.events import AlarmStage, Now, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState, ButtonState, DrillState
from agent.core.words import FROM_AFAR, Line

DEFAULT_MIN = 5  # D
ANNOUNCE_S = 30.0  # D: two paths of 10 s each and some more; then it is said that nobody has answered
BEGIN_S = 300.0  # D: a drill that has not begun by then is over
REASONS = frozenset({"monthly_test", "training", "exercise", "inspection", "after_repair", "other"})


# ── before it ──────────────────────────────────────────────────────────────────────────────────────────────────────


def start_refusal(state: BoxState, button: str, minutes: str, reason: str) -> str:
    """Why this drill may not start, or "". Presence is the caller's business."""
    if button not in state.panic.buttons:
        return "unknown_button"
    if state.panic.latched:
        return "panic_latched"
    if state.drill.button:
        return f"drill_running:{state.drill.button}"
    if state.panic.buttons[button].line is not Line.NORMAL:
        return f"line:{state.panic.buttons[button].line.value}"
    most = int(state.rules.drill_max_s // 60)
    if minutes and not (minutes.isascii() and minutes.isdigit() and 1 <= int(minutes) <= most):
        return f"minutes:1-{most}"
    return "" if reason in REASONS else "reason"


def start(
    state: BoxState, button: str, minutes: str, reason: str, operator: str, cause: Seq, now: Now, log: Log
) -> BoxState:
    """Announce it. Every press is real until somebody has heard of it."""
    assert start_refusal(state, button, minutes, reason) == ""
    span = int(minutes) if minutes else DEFAULT_MIN
    data: dict[str, Value] = {"button": button, "drill": True, "minutes": span, "reason": reason}
    ref = log.add("drill.started", _subject(button), data, actor=operator, cause=cause)
    drill = DrillState(
        button=button,
        ends_at=now.mono_s + BEGIN_S,
        operator=operator,
        reason=reason,
        ref=ref,
        minutes=span,
        announced_at=now.mono_s,
    )
    return replace(state, drill=drill)


def on_stage(state: BoxState, event: AlarmStage, now: Now, log: Log) -> BoxState:
    """How far the announcement has come on a path. The first receipt makes it a drill."""
    drill = state.drill
    if not drill.button or event.ref != drill.ref or event.path not in state.rules.paths:
        return state
    before = drill.stages.get(event.path)
    if before is not None and not event.stage.is_after(before):
        return state
    data: dict[str, Value] = {
        "button": drill.button,
        "by": event.by,
        "drill": True,
        "path": event.path,
        "stage": event.stage.value,
    }
    ref = log.add("alarm.stage", _subject(drill.button), data, cause=drill.ref)
    state = replace(state, drill=replace(drill, stages={**drill.stages, event.path: event.stage}))
    heard = event.stage in FROM_AFAR
    return _begin(state, True, "box", ref, now, log) if heard and drill.live_at is None else state


def go_ahead_refusal(state: BoxState) -> str:
    """Why a drill that nobody answered may not begin all the same, or ""."""
    if not state.drill.button:
        return "no_drill"
    if state.drill.live_at is not None:
        return f"drill_running:{state.drill.button}"
    return "" if state.drill.unanswered else "drill_waits"


def go_ahead(state: BoxState, operator: str, cause: Seq, now: Now, log: Log) -> BoxState:
    """Nobody answered, and a person on site takes it upon himself."""
    assert go_ahead_refusal(state) == ""
    return _begin(state, False, operator, cause, now, log)


def _begin(state: BoxState, answered: bool, actor: str, cause: Seq, now: Now, log: Log) -> BoxState:
    drill = state.drill
    waited_ms = round((now.mono_s - drill.announced_at) * 1000)
    data: dict[str, Value] = {
        "answered": answered,
        "button": drill.button,
        "drill": True,
        "minutes": drill.minutes,
        "waited_ms": waited_ms,
    }
    log.add("drill.running", _subject(drill.button), data, actor=actor, cause=cause)
    ends_at = now.mono_s + drill.minutes * 60.0
    return replace(state, drill=replace(drill, live_at=now.mono_s, ends_at=ends_at))


# ── in it ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def takes(state: BoxState, button: str, edge_at: float) -> bool:
    """Whether a press of `button` at `edge_at` is the drill's. A second one within 10 s is not."""
    drill = state.drill
    if drill.button != button or drill.live_at is None or edge_at < drill.live_at or state.panic.latched:
        return False
    again = drill.press_at is not None and edge_at - drill.press_at <= state.rules.drill_second_press_s
    return not again


def on_press(state: BoxState, button: str, edge_at: float, ref: Seq) -> BoxState:
    drill = state.drill
    new = replace(drill, press_at=edge_at, pressed=button, press_ref=ref, presses=drill.presses + 1)
    return replace(state, drill=new)


def on_real_press(state: BoxState, ref: Seq, log: Log) -> BoxState:
    """A real alarm is there: whatever was drilled is over."""
    if state.drill.button:
        state = end(state, "real_press", "box", ref, log)
    return state if state.drill == DrillState() else replace(state, drill=DrillState())


# ── after it ───────────────────────────────────────────────────────────────────────────────────────────────────────


def end(state: BoxState, why: str, actor: str, cause: Seq | None, log: Log) -> BoxState:
    """Back to every press being real. A press still held goes on counting towards its 3 s."""
    drill = state.drill
    ended(drill.button, drill.presses, why, actor, cause or drill.ref, drill.ref, log)
    alarms = tuple(alarm for alarm in state.panic.alarms if not alarm.drill)
    rest = DrillState(press_at=drill.press_at, pressed=drill.pressed, press_ref=drill.press_ref)
    return replace(state, drill=rest, panic=replace(state.panic, alarms=alarms))


def ended(button: str, presses: int, why: str, actor: str, cause: Seq | None, started: Seq | None, log: Log) -> None:
    """Write that a drill is over: `time`, `command`, `real_press`, `not_begun` or `restart`."""
    data: dict[str, Value] = {
        "button": button,
        "drill": True,
        "presses": presses,
        "started": None if started is None else list(started),
        "why": why,
    }
    log.add("drill.ended", _subject(button), data, actor=actor, cause=cause)


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    drill = state.drill
    if drill.button and now.mono_s >= drill.ends_at:
        return end(state, "time" if drill.live_at is not None else "not_begun", "box", None, log)
    if now.mono_s >= _unanswered_at(drill):
        data: dict[str, Value] = {"button": drill.button, "drill": True, "waited_s": round(ANNOUNCE_S)}
        log.add("drill.unanswered", _subject(drill.button), data, cause=drill.ref)
        state = replace(state, drill=replace(drill, unanswered=True))
    return state


def deadline(state: BoxState) -> float:
    ends_at = state.drill.ends_at if state.drill.button else float("inf")
    return min(ends_at, _unanswered_at(state.drill), real_at(state))


def _unanswered_at(drill: DrillState) -> float:
    waits = bool(drill.button) and drill.live_at is None and not drill.unanswered
    return drill.announced_at + ANNOUNCE_S if waits else float("inf")


def real_at(state: BoxState) -> float:
    """When the drill's press becomes real if nobody lets go. Bounce does not restart it: `armed` says stably let go."""
    drill = state.drill
    if drill.press_at is None:
        return float("inf")
    button = state.panic.buttons.get(drill.pressed, ButtonState())
    held = button.line is Line.PRESSED and not button.armed
    return drill.press_at + state.rules.drill_hold_s if held else float("inf")


def _subject(button: str) -> str:
    return f"button:{button}"
