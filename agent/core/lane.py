"""A lane: its bollards, sensors, lights and warning, its guard's buttons. The doors through which a step comes in.

Subjects of their own, in the order of a motion's life:

    lane_reading    what the PLC reports, loss and return, moves nobody asked for
    lane_allow      who may ask what, and whether sensors let a bollard rise
    lane_motion     asked, warned, one token each, watched to its end switch
    lane_emergency  EFO, fire, fire key
    lane_output     light, warning, holds, and the next instant that matters

Every function is pure: state in, state out, records through `log`. A lane starts unknown and nothing starts by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from agent.core import lane_emergency
from agent.core.events import Command, DeviceBack, DeviceLost, LaneReading, MotionSent, Now, Seq
from agent.core.lane_bench import Bench, rules_of
from agent.core.lane_motion import (
    advance_request,
    ask,
    confirm,
    drop_old_tokens,
    refuse,
    stop,
    targets,
    told,
    watch_rises,
    watch_times,
)
from agent.core.lane_output import lane_deadline, lane_outputs
from agent.core.lane_reading import lose, take, watch_strays
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState, LaneState
from agent.core.words import Hold, Motion, Position, Rank

__all__ = [
    "clear_efo",
    "efo",
    "lane_deadline",
    "lane_outputs",
    "latched",
    "on_command",
    "on_device",
    "on_fire",
    "on_fire_key",
    "on_key",
    "on_motion_sent",
    "on_reading",
    "on_tick",
    "restore",
    "wish",
    "wish_over",
]

# Who may ask what by a command. Panic and fire come by their own doors, never as somebody's word.
COMMAND_RANKS: Final[dict[str, frozenset[Rank]]] = {
    "raise": frozenset((Rank.HOLD_TO_RUN, Rank.CONSOLE, Rank.TIMETABLE)),
    "lower": frozenset((Rank.FIRE_KEY, Rank.HOLD_TO_RUN, Rank.CONSOLE, Rank.UPSTREAM, Rank.TIMETABLE)),
    "stop": frozenset((Rank.FIRE_KEY, Rank.HOLD_TO_RUN, Rank.CONSOLE)),
    "lane_clear_fault": frozenset((Rank.HOLD_TO_RUN, Rank.CONSOLE)),
}


# ── from the PLC and the wire ──────────────────────────────────────────────────────────────────────────────────────


def on_reading(state: BoxState, event: LaneReading, now: Now, log: Log) -> BoxState:
    """One complete reading of a lane. A reading of an unknown lane changes nothing."""
    if event.lane not in state.lanes:
        return state
    bench = Bench(state, event.lane, now, log)
    take(bench, event)
    _supervise(bench)
    new = bench.done()
    turned = bench.lane.fire_key and not state.lanes[event.lane].fire_key
    return _on_plc_fire_key(new, event.lane, now, log) if turned else new


def _on_plc_fire_key(state: BoxState, lane_id: str, now: Now, log: Log) -> BoxState:
    """The fire key at a lane's PLC is as good as the box's own: fire latches for the whole site (domain rule 9).

    That PLC lowers its lane by itself; the agent only inhibits, and asks down what the site has signed.
    """
    ref = log.add("fire.active", f"lane:{lane_id}", {"by": "key", "seen": True}, cause=state.fire.ref)
    if state.fire.latched:
        return state
    return on_fire(replace(state, fire=replace(state.fire, latched=True, ref=ref)), ref, now, log)


def on_motion_sent(state: BoxState, event: MotionSent, now: Now, log: Log) -> BoxState:
    """What became of a token on the wire."""
    if event.lane not in state.lanes:
        return state
    bench = Bench(state, event.lane, now, log)
    told(bench, event)
    _supervise(bench)
    return bench.done()


def on_device(state: BoxState, event: DeviceLost | DeviceBack, now: Now, log: Log) -> BoxState:
    """A lane's PLC or its bus was lost: the lane is unknown. Only a fresh reading brings it back."""
    if isinstance(event, DeviceBack):
        return state
    return _each(state, now, log, lambda bench: _lose_if(bench, event))


def _lose_if(bench: Bench, event: DeviceLost) -> None:
    bus = f"bus:{bench.rules.bus}" if bench.rules.bus else ""
    if event.device in (bench.subject, bus):
        lose(bench, event.why or event.device)


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    """Time has come: judge every lane anew at this instant."""
    return _each(state, now, log, _judge_now)


def _judge_now(bench: Bench) -> None:
    if not bench.lane.lost and bench.lane.fresh_at + bench.rules.lost_s <= bench.at:
        lose(bench, "stale")
    _supervise(bench)


def _supervise(bench: Bench) -> None:
    """Everything that watches a lane while something is asked, moves or is held. Turning a rise round comes first."""
    if not bench.busy():
        return
    if not bench.lane.lost:
        watch_rises(bench)
    drop_old_tokens(bench)
    watch_strays(bench)
    if bench.lane.lost:
        return
    confirm(bench)
    watch_times(bench)
    advance_request(bench)


def _each(state: BoxState, now: Now, log: Log, act: Callable[[Bench], None]) -> BoxState:
    for lane_id in state.lanes:
        bench = Bench(state, lane_id, now, log)
        act(bench)
        state = bench.done()
    return state


# ── the guard's buttons ────────────────────────────────────────────────────────────────────────────────────────────


def on_key(state: BoxState, lane_id: str, verb: str, on: bool | None, now: Now, log: Log) -> BoxState:
    """A hold-to-run button at the box. Unread counts as released; only an edge asks, so a stuck one asks once."""
    assert verb in ("raise", "lower"), verb
    if lane_id not in state.lanes:
        return state
    bench = Bench(state, lane_id, now, log)
    pressed = on is True
    was = bench.lane.raise_key if verb == "raise" else bench.lane.lower_key
    if pressed is was:
        return state
    bench.set(**{f"{verb}_key": pressed})
    motion = Motion.RAISE if verb == "raise" else Motion.LOWER
    if not pressed:
        _let_go(bench, motion)
    elif bench.lane.raise_key and bench.lane.lower_key:
        _both_keys(bench, motion)
    else:
        ask(bench, motion, Rank.HOLD_TO_RUN, _key_actor(bench, motion), held=True)
    _supervise(bench)
    return bench.done()


def _key_actor(bench: Bench, motion: Motion) -> str:
    return f"key:{bench.subject}:{motion.value}"


def _let_go(bench: Bench, motion: Motion) -> None:
    """What this button asked ends with it: the request is dropped, the motion held at stop."""
    request = bench.lane.request
    pending = request is not None and request.held and request.motion is motion
    ran = [name for name, b in bench.bollards.items() if b.motion is motion and b.rank is Rank.HOLD_TO_RUN]
    if not pending and not ran:
        return
    cause = request.ref if pending and request is not None else None
    data: dict[str, Value] = {"motion": motion.value, "stopped": list(ran)}
    bench.write("lane.released", data, actor=_key_actor(bench, motion), cause=cause)
    if pending:
        bench.set(request=None)
    for name in ran:
        stop(bench, name)


def _both_keys(bench: Bench, motion: Motion) -> None:
    """Both buttons together contradict each other: that ends what either asked, and is refused."""
    _let_go(bench, Motion.RAISE)
    _let_go(bench, Motion.LOWER)
    refuse(bench, motion.value, "both_keys", actor=_key_actor(bench, motion), raising=motion is Motion.RAISE)


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


def on_command(state: BoxState, event: Command, now: Now, log: Log) -> tuple[BoxState, str]:
    """Verbs "raise", "lower", "stop", "lane_clear_fault" with `args["lane"]`. Returns "" or why it was refused.

    Whatever is refused is exactly one `lane.refused` record, whatever is accepted exactly one of its own kind.
    """
    lane_id = event.args.get("lane", "")
    if lane_id not in state.lanes:
        log.add("lane.refused", "lane:?", {"verb": event.verb, "why": "unknown_lane"}, actor=event.actor)
        return state, "unknown_lane"
    bench = Bench(state, lane_id, now, log)
    why = _obey(bench, event)
    _supervise(bench)
    return bench.done(), why


def _obey(bench: Bench, event: Command) -> str:
    why = "" if event.rank in COMMAND_RANKS.get(event.verb, ()) else "rank"
    if not why and event.verb == "raise":
        return _want(bench, event) if event.rank is Rank.TIMETABLE else _ask(bench, Motion.RAISE, event)
    if not why and event.verb == "lower":
        return _ask(bench, Motion.LOWER, event)
    if not why:
        why = _why_not_stop(bench) if event.verb == "stop" else _why_not_clear(bench)
    if why:
        refuse(bench, event.verb, why, actor=event.actor, raising=event.verb == "raise")
    elif event.verb == "stop":
        _stop_all(bench, event)
    else:
        _clear_fault(bench, event)
    return why


def _ask(bench: Bench, motion: Motion, event: Command) -> str:
    return ask(bench, motion, event.rank, event.actor)


def _want(bench: Bench, event: Command) -> str:
    """Domain rule 13: the timetable's raise is a request shown to the guard. It starts nothing, now or later."""
    bench.write("lane.wanted", {"motion": Motion.RAISE.value}, actor=event.actor)
    bench.set(wanted=Motion.RAISE)
    return ""


def wish(state: BoxState, lane_id: str, motion: Motion, actor: str, now: Now, log: Log) -> BoxState:
    """Show the guard that this lane is wanted up or down, until it is. It starts nothing, now or later."""
    bench = Bench(state, lane_id, now, log)
    bench.write("lane.wanted", {"motion": motion.value}, actor=actor)
    if targets(bench, motion):
        bench.set(wanted=motion)
    return bench.done()


def _why_not_stop(bench: Bench) -> str:
    if bench.rules.monitor_only:
        return "monitor_only"
    return "" if bench.box.scanned else "not_scanned"


def _stop_all(bench: Bench, event: Command) -> None:
    """Stop waits for nothing. What was asked is over; whatever moves is held until it is read standing."""
    moving = [
        name
        for name, b in bench.bollards.items()
        if b.motion is not None or b.flying or b.hold is not Hold.NONE or b.position is Position.MOVING
    ]
    bench.write("lane.stopped", {"stopped": list(moving)}, actor=event.actor)
    bench.set(request=None, wanted=None, blocked="")
    for name in moving:
        stop(bench, name)


def _clear_fault(bench: Bench, event: Command) -> None:
    """A person says the lane is well again. Nothing moves by that, and nothing asked before comes back."""
    faults: dict[str, Value] = {name: b.fault for name, b in bench.bollards.items() if b.fault}
    bench.write("lane.cleared", {"faults": faults}, actor=event.actor, cause=bench.lane.closed_ref)
    for name, b in bench.bollards.items():
        left = "between" if b.position is Position.FAULT else ""
        bench.put(name, fault=left, reversals=0)
    bench.set(closed=False, closed_ref=None, blocked="")
    if not bench.box.panic.latched:
        lane_emergency.clear(bench, None)  # left over by a restart that could not read the panic


def _why_not_clear(bench: Bench) -> str:
    if bench.lane.lost:
        return "lost"
    for b in bench.bollards.values():
        if b.motion is not None or b.hold is not Hold.NONE or b.strayed_at is not None:
            return "moving"
        if b.reading is not None and (b.reading.fault or (b.reading.up and b.reading.down)):
            return "fault_persists"
    return ""


def wish_over(state: BoxState, lane_id: str, motion: Motion) -> BoxState:
    """Whoever it was shown for no longer waits."""
    if state.lanes[lane_id].wanted is not motion:
        return state
    return replace(state, lanes={**state.lanes, lane_id: replace(state.lanes[lane_id], wanted=None)})


# ── emergencies ────────────────────────────────────────────────────────────────────────────────────────────────────


def efo(state: BoxState, cause: Seq, now: Now, log: Log, at_s: float | None = None) -> BoxState:
    """A panic press, on a site that has signed for it: EFO on every lane, each judged by itself.

    The age of its tokens counts from `at_s`, or from now.
    """

    def press(bench: Bench) -> None:
        lane_emergency.press(bench, cause, now.mono_s if at_s is None else at_s)
        _supervise(bench)

    return _each(state, now, log, press)


def clear_efo(state: BoxState, cause: Seq, now: Now, log: Log) -> BoxState:
    """The panic was reset by a person on site. Starts nothing."""
    return _each(state, now, log, lambda bench: lane_emergency.clear(bench, cause))


def on_fire(state: BoxState, cause: Seq, now: Now, log: Log) -> BoxState:
    """Fire has just latched in `state.fire`: no raise goes on, and the service lane goes down if that was signed."""
    return _each(state, now, log, lambda bench: lane_emergency.fire(bench, cause))


def on_fire_key(state: BoxState, cause: Seq, now: Now, log: Log) -> BoxState:
    """A fire key was seen to be turned on, and `state.fire` knows it: every lane is asked down, EFO or not."""
    return _each(state, now, log, lambda bench: lane_emergency.fire_key(bench, cause))


# ── across a restart ───────────────────────────────────────────────────────────────────────────────────────────────


def latched(state: BoxState) -> dict[str, Value]:
    """What of the lanes must survive a restart: EFO, a closed lane and its faults. Lanes without any are left out."""
    kept: dict[str, Value] = {}
    for lane_id, lane in state.lanes.items():
        faults: dict[str, Value] = {name: b.fault for name, b in lane.bollards.items() if b.fault}
        if lane.efo or lane.closed:
            kept[lane_id] = {"efo": lane.efo, "closed": lane.closed, "faults": faults}
    return kept


def restore(state: BoxState, kept: Mapping[str, object], cause: Seq | None, log: Log) -> BoxState:
    """Take up what `latched` kept. EFO stays on and a closed lane closed; nothing moves and no token is issued.

    What cannot be understood closes the lane it stands for: a person decides.
    """
    lanes = dict(state.lanes)
    for lane_id, data in kept.items():
        if lane_id in lanes:
            lanes[lane_id] = _restored(lanes[lane_id], data, cause)
            log.add("lane.restored", f"lane:{lane_id}", _restored_data(lanes[lane_id]), cause=cause)
    assert all(rules_of(state.rules, lane_id) for lane_id in lanes)
    return replace(state, lanes=lanes) if kept else state


def _restored(lane: LaneState, data: object, cause: Seq | None) -> LaneState:
    fields = data if isinstance(data, dict) else {}
    faults = fields.get("faults")
    words = {str(name): str(word) for name, word in faults.items()} if isinstance(faults, dict) else {}
    closed = fields.get("closed") is not False
    return replace(
        lane,
        efo=fields.get("efo") is not False,
        closed=closed,
        closed_ref=cause if closed else None,
        bollards={name: replace(b, fault=words.get(name, "")) for name, b in lane.bollards.items()},
    )


def _restored_data(lane: LaneState) -> dict[str, Value]:
    return {"efo": lane.efo, "closed": lane.closed}
