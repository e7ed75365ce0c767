"""The panic buttons: supervised lines, the latch, and the alarms on their way up.

Nothing masks a press: no mode, no command, no fault of anything else is asked here. A press is *new* when its line had
been stably NORMAL since the last one. While nothing is latched every PRESSED is a press, new or not, because a doubled
alarm costs less than a lost one. But only an edge that was *seen* asks for the bollards: a line found pressed after a
start, or after a fault or a time when nobody could read it, latches and alarms, and raises nothing (domain rule 4).
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core import door, drill, duty_days, lane, orders
from agent.core.events import AlarmStage, Now, PanicLine, Seq
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import AlarmState, BoxState, ButtonState, PanicState
from agent.core.words import Line, Stage

NEW_PRESS_S = 0.05  # EN 60839-11-1 (S) asks for presses > 400 ms; ours >= 50 ms (D): so long NORMAL makes a new edge
CHATTER = 8  # D: so many presses within CHATTER_S are no hand's
CHATTER_S = 10.0
CHATTER_OK_S = 60.0  # D: so long without a press, and its alarm ends
STUCK_S = 60.0  # D: nobody holds a button for a minute
LINE_OK_S = 2.0  # D: so long well before a line's alarm ends, so that a loose wire is one alarm and not hundreds
MAX_ALARMS = 32  # D: as many open alarms are followed; every press is in the journal whatever their number

FAULTY = frozenset({Line.CUT, Line.SHORTED, Line.DISAGREE, Line.UNREAD})
SEEN_FROM = frozenset({Line.NORMAL, Line.DISAGREE})  # a slow hand passes through DISAGREE; a mended wire does not


def on_line(state: BoxState, event: PanicLine, now: Now, log: Log) -> BoxState:
    """A line changed. A button the site file does not name is served like any other."""
    was = state.panic.buttons.get(event.button, ButtonState())
    if event.line is was.line:
        return state
    button = _settled(was, event)
    state = _with_button(state, event.button, button)
    if event.line is Line.PRESSED:
        return _pressed(state, event, was, now, log)
    if event.line in FAULTY:
        return _line_fault(state, event.button, log)
    return _released(state, event, was, log)


def _settled(was: ButtonState, event: PanicLine) -> ButtonState:
    stable = was.released_at is not None and event.edge_at - was.released_at >= NEW_PRESS_S
    return replace(
        was,
        line=event.line,
        since_at=event.edge_at,
        armed=was.armed or stable,
        released_at=event.edge_at if event.line is Line.NORMAL else None,
    )


def _with_button(state: BoxState, name: str, button: ButtonState) -> BoxState:
    return replace(state, panic=replace(state.panic, buttons={**state.panic.buttons, name: button}))


# ── presses ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _pressed(state: BoxState, event: PanicLine, was: ButtonState, now: Now, log: Log) -> BoxState:
    button = state.panic.buttons[event.button]
    seen = state.scanned and was.line in SEEN_FROM
    if not button.armed and (state.panic.latched or state.drill.pressed == event.button):
        return state  # the same press still: contact bounce, or a line read again
    recent = (*button.recent, event.edge_at)[-CHATTER:]
    button = replace(button, armed=False, presses=button.presses + 1, recent=recent)
    state = _with_button(state, event.button, button)
    if drill.takes(state, event.button, event.edge_at):
        state = _drill_press(state, event, log)
    else:
        state = alarm(state, event.button, event.edge_at, now, log, seen=seen)
    return _chatters(state, event.button, log)


def _chatters(state: BoxState, name: str, log: Log) -> BoxState:
    """Presses faster than a hand's: each stays a press, and the contact is an alarm of its own besides."""
    button = state.panic.buttons[name]
    many = len(button.recent) == CHATTER and button.recent[-1] - button.recent[0] <= CHATTER_S
    if not many or button.chatter_ref is not None:
        return state
    data: dict[str, Value] = {"button": name, "presses": CHATTER, "within_s": round(CHATTER_S)}
    return _with_button(state, name, replace(button, chatter_ref=log.add("panic.chatter", subject(name), data)))


def _drill_press(state: BoxState, event: PanicLine, log: Log) -> BoxState:
    data: dict[str, Value] = {"button": event.button, "drill": True, "edge_ns": _ns(event.edge_at)}
    ref = log.add("panic.pressed", subject(event.button), data, cause=state.drill.ref)
    state = _with_alarm(state, event.button, event.edge_at, ref, is_drill=True)
    return drill.on_press(duty_days.on_test(state, log.now), event.button, event.edge_at, ref)


def alarm(
    state: BoxState, button: str, edge_at: float, now: Now, log: Log, *, seen: bool, held_ms: int | None = None
) -> BoxState:
    """A real alarm: latched, locked down, on its way. `seen`: the press edge itself was seen. An edge that was not is
    of unknown age, so EFO latches by it and raises nothing. `held_ms`: how long a drill's press was held."""
    data: dict[str, Value] = {
        "button": button,
        "drill": False,
        "edge_ns": _ns(edge_at),
        "efo_asked": state.rules.panic_raises_bollards,
        "seen": seen,
    }
    if held_ms is not None:
        data["held_ms"] = held_ms
    ref = log.add("panic.pressed", subject(button), data, cause=state.drill.press_ref if held_ms is not None else None)
    state = _with_alarm(state, button, edge_at, ref, is_drill=False)
    state = _latched(state, ref)
    state = drill.on_real_press(state, ref, log)
    asked_at = edge_at if held_ms is None else now.mono_s
    return _consequences(state, ref, now, log, asked_at if seen else float("-inf"))


def _consequences(state: BoxState, ref: Seq, now: Now, log: Log, asked_at: float) -> BoxState:
    """What else follows from the alarm. The latch stands already: a bug in a door or a lane must not cost it."""
    try:
        state = door.on_lockdown(state, ref, log)
        return lane.efo(state, ref, now, log, asked_at) if state.rules.panic_raises_bollards else state
    except Exception as error:
        log.add("box.bug", "panic", {"in": "panic", "what": type(error).__name__}, cause=ref)
        return state


def _latched(state: BoxState, ref: Seq) -> BoxState:
    panic = state.panic
    lockdown_ref, lockdown_by = (panic.lockdown_ref, panic.lockdown_by) if panic.lockdown else (ref, "panic")
    return replace(
        state,
        panic=replace(
            panic,
            latched=True,
            latched_ref=panic.latched_ref if panic.latched else ref,
            lockdown=True,
            lockdown_ref=lockdown_ref,
            lockdown_by=lockdown_by,
        ),
    )


def _with_alarm(state: BoxState, button: str, edge_at: float, ref: Seq, *, is_drill: bool) -> BoxState:
    stages = dict.fromkeys(state.rules.paths, Stage.QUEUED)
    new = AlarmState(ref=ref, button=button, pressed_at=edge_at, drill=is_drill, stages=stages)
    return replace(state, panic=replace(state.panic, alarms=_bounded((*state.panic.alarms, new))))


def _bounded(alarms: tuple[AlarmState, ...]) -> tuple[AlarmState, ...]:
    """Drop one alarm beyond the limit: the oldest, but never the first real one, whose stages tell of the police."""
    if len(alarms) <= MAX_ALARMS:
        return alarms
    first_real = next((alarm for alarm in alarms if not alarm.drill), None)
    victim = next(alarm for alarm in alarms if alarm is not first_real)
    return tuple(alarm for alarm in alarms if alarm is not victim)


def subject(button: str) -> str:
    """How records name a panic button."""
    return f"button:{button}"


def _ns(at: float) -> int:
    return round(at * 1e9)


# ── lines ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _line_fault(state: BoxState, name: str, log: Log) -> BoxState:
    button = state.panic.buttons[name]
    if button.fault_ref is not None:
        return state
    ref = log.add("panic.line_fault", subject(name), {"button": name, "line": button.line.value})
    return _with_button(state, name, replace(button, fault_ref=ref))


def _released(state: BoxState, event: PanicLine, was: ButtonState, log: Log) -> BoxState:
    if was.line is not Line.PRESSED:
        return state
    held_ms = max(0, round((event.edge_at - was.since_at) * 1000))
    is_drill = state.drill.pressed == event.button
    stuck = was.stuck_ref is not None
    data: dict[str, Value] = {"button": event.button, "drill": is_drill, "held_ms": held_ms, "stuck": stuck}
    log.add("panic.released", subject(event.button), data, cause=was.stuck_ref)
    return _with_button(state, event.button, replace(state.panic.buttons[event.button], stuck_ref=None))


def on_scan(state: BoxState, log: Log) -> BoxState:
    """The first full scan is through: a line that is still unread is an alarm, never "normal"."""
    for name, button in state.panic.buttons.items():
        if button.line in FAULTY:
            state = _line_fault(state, name, log)
    return state


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s >= drill.real_at(state):
        state = _drill_became_real(state, now, log)
    for name, button in state.panic.buttons.items():
        if now.mono_s >= _stuck_at(button):
            ref = log.add("panic.stuck", subject(name), {"button": name})
            state = _with_button(state, name, replace(button, stuck_ref=ref))
        elif now.mono_s >= _line_ok_at(button):
            log.add("panic.line_ok", subject(name), {"button": name}, cause=button.fault_ref)
            state = _with_button(state, name, replace(button, fault_ref=None))
        elif now.mono_s >= _calm_at(button):
            log.add("panic.line_ok", subject(name), {"button": name}, cause=button.chatter_ref)
            state = _with_button(state, name, replace(button, chatter_ref=None))
    return state


def _drill_became_real(state: BoxState, now: Now, log: Log) -> BoxState:
    press_at = state.drill.press_at
    assert press_at is not None
    held_ms = round((now.mono_s - press_at) * 1000)
    return alarm(state, state.drill.pressed, press_at, now, log, seen=True, held_ms=held_ms)


def deadline(panic: PanicState) -> float:
    times = (min(_stuck_at(b), _line_ok_at(b), _calm_at(b)) for b in panic.buttons.values())
    return min(times, default=float("inf"))


def _stuck_at(button: ButtonState) -> float:
    waits = button.line is Line.PRESSED and button.stuck_ref is None
    return button.since_at + STUCK_S if waits else float("inf")


def _line_ok_at(button: ButtonState) -> float:
    waits = button.line is Line.NORMAL and button.fault_ref is not None
    return button.since_at + LINE_OK_S if waits else float("inf")


def _calm_at(button: ButtonState) -> float:
    waits = button.line is Line.NORMAL and button.chatter_ref is not None and button.fault_ref is None
    return button.recent[-1] + CHATTER_OK_S if waits else float("inf")


# ── stages and reset ───────────────────────────────────────────────────────────────────────────────────────────────


def on_stage(state: BoxState, event: AlarmStage, log: Log) -> BoxState:
    """An uplink path tells how far an alarm came. Stages only move forward; they never reset anything."""
    for alarm in state.panic.alarms:
        if alarm.ref == event.ref and event.path in state.rules.paths:
            return _advance(state, alarm, event, log)
    return state


def _advance(state: BoxState, alarm: AlarmState, event: AlarmStage, log: Log) -> BoxState:
    before = alarm.stages.get(event.path)
    if before is not None and not event.stage.is_after(before):
        return state
    data: dict[str, Value] = {
        "button": alarm.button,
        "by": event.by,
        "drill": alarm.drill,
        "path": event.path,
        "stage": event.stage.value,
    }
    log.add("alarm.stage", subject(alarm.button), data, cause=alarm.ref)
    moved = replace(alarm, stages={**alarm.stages, event.path: event.stage})
    alarms = tuple(moved if other is alarm else other for other in state.panic.alarms)
    return replace(state, panic=replace(state.panic, alarms=alarms))


def acknowledge(state: BoxState, actor: str, cause: Seq, log: Log) -> BoxState:
    """A person, here or at the far side, has seen the alarms. It changes nothing else."""
    data: dict[str, Value] = {"alarms": len(state.panic.alarms), "drill": all(a.drill for a in state.panic.alarms)}
    log.add("alarm.acknowledged", "panic", data, actor=actor, cause=cause)
    alarms = tuple(replace(alarm, acknowledged_by=alarm.acknowledged_by or actor) for alarm in state.panic.alarms)
    return replace(state, panic=replace(state.panic, alarms=alarms))


def reset_refusal(state: BoxState) -> str:
    """Why the latch may not be reset now, or ""."""
    if not state.panic.latched:
        return "not_latched"
    pressed = (name for name, button in state.panic.buttons.items() if button.line is Line.PRESSED)
    return next((f"still_pressed:{name}" for name in pressed), "")


def reset(state: BoxState, actor: str, cause: Seq | None, now: Now, log: Log) -> BoxState:
    """End the alarm. `reset_refusal` was "" and the person is on site: the caller has seen to both."""
    panic = state.panic
    assert panic.latched
    ends_lockdown = panic.lockdown_by == "panic"
    ref = log.add("panic.reset", "panic", {"lockdown_ended": ends_lockdown}, actor=actor, cause=cause)
    panic = replace(panic, latched=False, latched_ref=None, alarms=tuple(a for a in panic.alarms if a.drill))
    if ends_lockdown:
        panic = replace(panic, lockdown=False, lockdown_ref=None, lockdown_by="")
    return lane.clear_efo(replace(state, panic=panic), ref, now, log)


def on_reset_key(state: BoxState, key: str, now: Now, log: Log) -> BoxState:
    """The key switch at the box was turned on. With nothing latched it grants the all-clear that the far side asks."""
    why = reset_refusal(state)
    wish = orders.asked(state, "all_clear_request")
    if why == "not_latched" and wish is not None and state.panic.lockdown:
        return all_clear(state, f"key:{key}", wish.ref, log)
    if why:
        log.add("panic.reset_refused", f"key:{key}", {"why": why}, actor=f"key:{key}")
        return state
    return reset(state, f"key:{key}", None, now, log)


# ── lockdown ───────────────────────────────────────────────────────────────────────────────────────────────────────


def start_lockdown(state: BoxState, actor: str, cause: Seq, log: Log) -> BoxState:
    """Lock the entry side by command: it then outlives a panic's reset, until an all-clear."""
    ref = log.add("lockdown.started", "entry", actor=actor, cause=cause)
    panic = replace(state.panic, lockdown=True, lockdown_by="command", lockdown_ref=state.panic.lockdown_ref or ref)
    return door.on_lockdown(replace(state, panic=panic), ref, log)


def all_clear_refusal(state: BoxState) -> str:
    if not state.panic.lockdown:
        return "no_lockdown"
    return "panic_latched" if state.panic.latched else ""


def all_clear(state: BoxState, actor: str, cause: Seq | None, log: Log) -> BoxState:
    log.add("lockdown.ended", "entry", actor=actor, cause=cause)
    return replace(state, panic=replace(state.panic, lockdown=False, lockdown_ref=None, lockdown_by=""))
