"""Drill mode: one named button, at most 15 minutes, ended by itself; everything else stays real.

On the drilled button a second press within 10 s, or a hold of 3 s, is real: who is really attacked during a drill
presses again, or does not let go. A real press of any button ends the drill. A drill does not survive a restart.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core.events import Now, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState, ButtonState, DrillState
from agent.core.words import Line

DEFAULT_MIN = 5  # D


def start_refusal(state: BoxState, button: str, minutes: str) -> str:
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
    return ""


def start(
    state: BoxState, button: str, minutes: str, reason: str, operator: str, cause: Seq, now: Now, log: Log
) -> BoxState:
    assert start_refusal(state, button, minutes) == ""
    span = int(minutes) if minutes else DEFAULT_MIN
    data: dict[str, Value] = {"button": button, "drill": True, "minutes": span, "reason": reason}
    ref = log.add("drill.started", f"button:{button}", data, actor=operator, cause=cause)
    ends_at = now.mono_s + span * 60.0
    return replace(state, drill=DrillState(button=button, ends_at=ends_at, operator=operator, reason=reason, ref=ref))


def takes(state: BoxState, button: str, edge_at: float) -> bool:
    """Whether a press of `button` at `edge_at` is the drill's. A second one within 10 s is not."""
    drill = state.drill
    if drill.button != button or state.panic.latched:
        return False
    again = drill.press_at is not None and edge_at - drill.press_at <= state.rules.drill_second_press_s
    return not again


def on_press(state: BoxState, button: str, edge_at: float, ref: Seq) -> BoxState:
    return replace(state, drill=replace(state.drill, press_at=edge_at, pressed=button, press_ref=ref))


def on_real_press(state: BoxState, ref: Seq, log: Log) -> BoxState:
    """A real alarm is there: whatever was drilled is over."""
    if state.drill.button:
        state = end(state, "real_press", "box", ref, log)
    return state if state.drill == DrillState() else replace(state, drill=DrillState())


def end(state: BoxState, why: str, actor: str, cause: Seq | None, log: Log) -> BoxState:
    """Back to every press being real. A press still held goes on counting towards its 3 s."""
    drill = state.drill
    data: dict[str, Value] = {"button": drill.button, "drill": True, "why": why}
    log.add("drill.ended", f"button:{drill.button}", data, actor=actor, cause=cause or drill.ref)
    alarms = tuple(alarm for alarm in state.panic.alarms if not alarm.drill)
    rest = DrillState(press_at=drill.press_at, pressed=drill.pressed, press_ref=drill.press_ref)
    return replace(state, drill=rest, panic=replace(state.panic, alarms=alarms))


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if state.drill.button and now.mono_s >= state.drill.ends_at:
        return end(state, "time", "box", None, log)
    return state


def deadline(state: BoxState) -> float:
    ends_at = state.drill.ends_at if state.drill.button else float("inf")
    return min(ends_at, real_at(state))


def real_at(state: BoxState) -> float:
    """When the drill's press becomes real if nobody lets go. Bounce does not restart it: `armed` says stably let go."""
    drill = state.drill
    if drill.press_at is None:
        return float("inf")
    button = state.panic.buttons.get(drill.pressed, ButtonState())
    held = button.line is Line.PRESSED and not button.armed
    return drill.press_at + state.rules.drill_hold_s if held else float("inf")
