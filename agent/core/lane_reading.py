"""What a lane's PLC reports, taken into the state: sensors, selector, ends proven by limit switches, loss and return.

A reading whose heartbeat echo is stale says nothing: the lane is lost and all of it unknown. A loss moves nothing; a
return moves nothing. The last end proven before a loss is remembered, so that a bollard that moved behind our back is
an alarm when it is seen again.
"""

from __future__ import annotations

from agent.core.events import BollardReading, LaneReading
from agent.core.lane_bench import RISES, Bench, ms
from agent.core.lane_motion import RELEASE_S, REVERSALS_LIMIT, believe_from, fault, give_up, note_warning, stop
from agent.core.records import Value
from agent.core.state import BollardState, SensorState
from agent.core.words import Hold, Mode, Motion, Position, Sensor

STRAY_CONFIRM_S = 0.5  # D: a chattering limit switch is no move; the alarm is still due within 1 s (domain rule 8)
ENDS = (Position.UP, Position.DOWN)
OTHERS_MODES = (Mode.LOCAL, Mode.HAND)  # somebody at the PLC moves the bollards: facts, not alarms


def take(bench: Bench, event: LaneReading) -> None:
    """Take one complete reading. One older than the last is dropped; one from the future counts as of now."""
    at = min(event.read_at, bench.at)
    if at < bench.lane.fresh_at:
        return
    if not event.heartbeat_ok:
        lose(bench, "heartbeat")
        return
    if bench.lane.lost:
        _return(bench)
    sensors = _sensors(bench, event.sensors, at)
    bench.set(fresh_at=at, sensors=sensors, warning_on=event.warning_on)
    if event.fire_key is not bench.lane.fire_key:
        bench.write("lane.fire_key", {"on": event.fire_key})
        bench.set(fire_key=event.fire_key)
    mode = Mode.ESTOP if event.estop else event.mode
    if mode is not bench.lane.mode:
        _change_mode(bench, mode)
    for name, bollard in bench.bollards.items():
        _see(bench, name, bollard, event.bollards.get(name), at)
    note_warning(bench)


# ── sensors and selector ───────────────────────────────────────────────────────────────────────────────────────────


def _sensors(bench: Bench, seen: dict[str, Sensor], at: float) -> dict[str, SensorState]:
    stale_s = bench.rules.stale_s
    return {name: _sensor(old, seen.get(name, Sensor.UNREAD), at, stale_s) for name, old in bench.lane.sensors.items()}


def _sensor(old: SensorState, value: Sensor, at: float, stale_s: float) -> SensorState:
    """A clear time goes on only over readings without a gap; everything else begins it anew or ends it."""
    if value is not Sensor.CLEAR:
        return SensorState(value=value, read_at=at)
    since = old.clear_since_at
    if since is None or old.read_at + stale_s <= at:
        since = at
    return SensorState(value=value, read_at=at, clear_since_at=since)


def _change_mode(bench: Bench, mode: Mode) -> None:
    """Outside remote nothing of ours goes on; stop is held where a token may still be on its way."""
    bench.write("lane.mode", {"mode": mode.value, "was": bench.lane.mode.value})
    bench.set(mode=mode)
    if mode is Mode.REMOTE:
        return
    if bench.lane.request is not None:
        give_up(bench, "not_remote")
    free_at = bench.at + RELEASE_S
    for name, b in bench.bollards.items():
        if b.motion is not None or b.flying:
            stop(bench, name)
        elif b.hold is Hold.LOWER:
            bench.put(name, hold=Hold.STOP if mode is Mode.UNKNOWN else Hold.NONE, hold_at=bench.at, free_at=free_at)


# ── loss and return ────────────────────────────────────────────────────────────────────────────────────────────────


def lose(bench: Bench, why: str) -> None:
    """The lane cannot be read: all of it is unknown. Whatever moved is to be found standing; nothing is begun."""
    if bench.lane.lost:
        return
    bench.write("lane.lost", {"why": why})
    bench.set(
        lost=True,
        mode=Mode.UNKNOWN,
        warning_on=None,
        sensors={name: SensorState() for name in bench.lane.sensors},
    )
    if bench.lane.request is not None:
        give_up(bench, "lost")
    for name, b in bench.bollards.items():
        _lose_bollard(bench, name, b)


def _lose_bollard(bench: Bench, name: str, b: BollardState) -> None:
    ours = b.motion is not None or b.flying or b.hold is not Hold.NONE
    if ours:
        stop(bench, name)
    moving = ours or b.position is Position.MOVING
    known = Position.UNKNOWN if moving and b.strayed_at is None else b.known
    bench.put(name, position=Position.UNKNOWN, since_at=bench.at, reading=None, known=known)


def _return(bench: Bench) -> None:
    bench.write("lane.back")
    bench.set(lost=False)
    for name, b in bench.bollards.items():
        if b.hold is not Hold.NONE:
            bench.put(name, hold_at=bench.at)


# ── one bollard ────────────────────────────────────────────────────────────────────────────────────────────────────


def _see(bench: Bench, name: str, b: BollardState, reading: BollardReading | None, at: float) -> None:
    if reading is None:
        if b.position is not Position.UNKNOWN:
            bench.put(name, reading=None, position=Position.UNKNOWN, since_at=at)
        return
    if reading == b.reading:
        return
    position = _position(b, reading)
    if position is b.position:
        bench.put(name, reading=reading)
    else:
        bench.put(name, reading=reading, position=position, since_at=at)
        _moved(bench, name, b, position, at)
    if reading.up and reading.down:
        fault(bench, name, "both_switches")
    if reading.fault:
        fault(bench, name, "plc", code=reading.fault)


def _position(b: BollardState, reading: BollardReading) -> Position:
    """By limit switches only (domain rule 6). Between the ends a known fault stays one until a switch proves an end."""
    if reading.up and reading.down:
        return Position.FAULT
    if reading.up:
        return Position.UP
    if reading.down:
        return Position.DOWN
    stays = b.position is Position.FAULT and b.fault and b.motion is None
    return Position.FAULT if stays else Position.MOVING


def _moved(bench: Bench, name: str, was: BollardState, position: Position, at: float) -> None:
    """The position changed: an end was left, or reached."""
    if position in ENDS:
        _arrived(bench, name, was, position, at)
    elif position is Position.MOVING:
        bench.put(name, left_at=at)
        if _is_out_of_our_hands(bench, name):
            bench.put(name, known=Position.UNKNOWN)
        elif was.known in ENDS and not _is_explained(was, bench.lane.fresh_at, upward=was.known is Position.DOWN):
            bench.put(name, strayed_at=at)


def _arrived(bench: Bench, name: str, was: BollardState, position: Position, at: float) -> None:
    left_at = was.left_at if was.position is Position.MOVING else None
    took_ms = ms(at - left_at) if left_at is not None else None
    data: dict[str, Value] = {"bollard": name, "position": position.value, "ms": took_ms, "by": _by(bench, was)}
    bench.write("lane.position", data)
    changed = was.known in ENDS and was.known is not position
    explained = _is_explained(was, bench.lane.fresh_at, upward=position is Position.UP)
    ours_to_judge = was.strayed_at is not None or not _is_out_of_our_hands(bench, name)
    stray = changed and not explained and ours_to_judge
    bench.put(name, known=position, strayed_at=None, fault="" if was.fault == "between" else was.fault)
    if was.motion is not None:
        _settle_motion(bench, name, was, position, took_ms)
    if stray:
        fault(bench, name, "unasked")


def _by(bench: Bench, was: BollardState) -> str:
    """On whose account an end was reached."""
    if was.motion is not None:
        return was.rank.value if was.rank is not None else ""
    if was.hold is Hold.LOWER:
        return "reversal"
    return bench.lane.mode.value if bench.lane.mode in OTHERS_MODES else ""


def _settle_motion(bench: Bench, name: str, was: BollardState, position: Position, took_ms: int | None) -> None:
    """An end was read while a motion of ours was under way: it is done, or the PLC turned it round by itself."""
    rise = was.motion in RISES
    if rise and position is Position.UP:
        whole = took_ms if was.known is Position.DOWN and was.motion is Motion.RAISE else None
        bench.put(name, motion=None, rank=None, reversals=0, moved_ms=whole if whole is not None else was.moved_ms)
    elif rise:
        _turned_by_plc(bench, name, was)
    elif position is Position.DOWN:
        bench.put(name, motion=None, rank=None)


def _turned_by_plc(bench: Bench, name: str, was: BollardState) -> None:
    """The PLC's own interlock lowered it: hardware wins. It counts as a reversal all the same."""
    began_in_it = was.left_at is not None and was.asked_at is not None and was.asked_at <= was.left_at
    if was.position is not Position.MOVING or not began_in_it:
        return
    reversals = was.reversals + 1
    ref = bench.write("lane.reversal", {"bollard": name, "why": "plc", "reversals": reversals})
    bench.withdraw(name)
    bench.put(name, motion=None, rank=None, reversals=reversals)
    bench.set(blocked="plc")
    if reversals >= REVERSALS_LIMIT:
        fault(bench, name, "reversals", cause=ref)


def _is_explained(b: BollardState, fresh_at: float, *, upward: bool) -> bool:
    """Whether we asked for a move in this direction. While a token or hold may still take effect, either is ours."""
    if b.hold is not Hold.NONE:
        return True
    if b.motion is None:
        return False
    return (b.motion in RISES) is upward or fresh_at < believe_from(b)


def _is_out_of_our_hands(bench: Bench, name: str) -> bool:
    """Whether a person at the PLC has the bollards now, or we never had this one: its moves are facts, not alarms."""
    lane = bench.lane
    if lane.mode in OTHERS_MODES or lane.fire_key or bench.rules.monitor_only:
        return True
    return not any(bollard.id == name and bollard.commissioned for bollard in bench.rules.bollards)


def watch_strays(bench: Bench) -> None:
    """A bollard that is still away from its end after the confirmation time: alarm, and the lane is closed."""
    for name, b in bench.bollards.items():
        if b.strayed_at is not None and b.strayed_at + STRAY_CONFIRM_S <= bench.at:
            bench.put(name, strayed_at=None)
            fault(bench, name, "unasked")
