"""What a lane may be asked, by whom, and whether its sensors let a bollard rise. Reasons are short ids, "" = allowed.

Who wins stands in domain rules, section 1. Each answer is for this instant: nobody waits for it to change.
"""

from __future__ import annotations

from agent.core.lane_bench import RISES, Bench
from agent.core.state import BollardState, BoxState, SensorState
from agent.core.words import ClockTrust, Hold, Journal, Mode, Motion, Rank, Sensor

EMERGENCY_RANKS = frozenset((Rank.FIRE, Rank.FIRE_KEY, Rank.PANIC))
RAISE_RANKS = frozenset((Rank.PANIC, Rank.HOLD_TO_RUN, Rank.CONSOLE))
LOWER_RANKS = frozenset((Rank.FIRE, Rank.FIRE_KEY, Rank.HOLD_TO_RUN, Rank.CONSOLE, Rank.UPSTREAM, Rank.TIMETABLE))
EFO_LOWER_RANKS = frozenset((Rank.FIRE_KEY,))  # while EFO is latched only the fire key, or the guard's "lower now"


def why_not_move(bench: Bench, motion: Motion, rank: Rank) -> str:
    """Why this motion may not be asked or begun now, sensors apart; "" when it may."""
    return _why_not_at_all(bench, motion, rank) or (
        why_not_raise(bench, rank) if motion in RISES else _why_not_lower(bench, rank)
    )


def _why_not_at_all(bench: Bench, motion: Motion, rank: Rank) -> str:
    lane = bench.lane
    if not bench.box.scanned:
        return "not_scanned"
    if bench.rules.monitor_only:
        return "monitor_only"
    if not any(bollard.commissioned for bollard in bench.rules.bollards):
        return "not_commissioned"
    if lane.lost:
        return "lost"
    if lane.mode is not Mode.REMOTE:
        return "not_remote"
    if lane.closed and not (motion is Motion.LOWER and rank is Rank.FIRE_KEY):
        return "closed"
    if any(bollard.strayed_at is not None for bollard in bench.bollards.values()):
        return "unasked"
    if rank not in EMERGENCY_RANKS and bench.box.health.journal is Journal.FAILING:
        return "journal"
    return ""


def why_not_raise(bench: Bench, rank: Rank) -> str:
    """What stands against a rise, sensors apart: rank, fire, a stop or reversal that is not over yet."""
    if rank not in RAISE_RANKS:
        return "rank"
    fire = fire_inhibits(bench.box)
    if fire:
        return fire
    for _, bollard in bench.movable():
        if bollard.hold is Hold.LOWER:
            return "reversing"
        if is_held(bollard, bench.at):
            return "stopping"
    return ""


def is_held(bollard: BollardState, at: float) -> bool:
    """Whether its PLC may still have a hold of ours: it would take a token and do nothing."""
    return bollard.hold is not Hold.NONE or bollard.free_at > at


def _why_not_lower(bench: Bench, rank: Rank) -> str:
    if rank not in LOWER_RANKS:
        return "rank"
    if bench.lane.efo and rank not in EFO_LOWER_RANKS:
        return "efo_latched"
    if rank is Rank.TIMETABLE and bench.box.clock.trust is ClockTrust.UNTRUSTED:
        return "clock"
    return ""


def fire_inhibits(box: BoxState) -> str:
    """Domain rule 9. A fire input that cannot be read is not known to be quiet, so it inhibits too."""
    if box.fire.latched or box.fire.input or box.fire.key or any(lane.fire_key for lane in box.lanes.values()):
        return "fire"
    if box.rules.has_fire and box.fire.input is None:
        return "fire_unread"
    return ""


def sensor_in_the_way(bench: Bench, clear_s: float) -> str:
    """The first sensor against a rise ("sensor:loop1"), "" when all are fresh and have been clear for `clear_s`.

    A lane without any sensor never rises: "no_sensor".
    """
    if not bench.rules.sensors:
        return "no_sensor"
    for name in bench.rules.sensors:
        if not allows(bench.lane.sensors.get(name), bench.at, bench.rules.stale_s, clear_s):
            return f"sensor:{name}"
    return ""


def allows(sensor: SensorState | None, at: float, stale_s: float, clear_s: float) -> bool:
    """Whether one sensor lets a bollard rise: fresh, clear, and measured clear without a gap for `clear_s`."""
    if sensor is None or sensor.value is not Sensor.CLEAR or sensor.read_at + stale_s <= at:
        return False
    return sensor.clear_since_at is not None and sensor.clear_since_at + clear_s <= sensor.read_at


def sensor_word(bench: Bench, why: str) -> str:
    """What is the matter with the sensor that `why` names: "occupied", "faulty", "unread", "stale", "settling"."""
    name = why.partition(":")[2]
    sensor = bench.lane.sensors.get(name)
    if sensor is None:
        return Sensor.UNREAD.value
    if sensor.value is not Sensor.CLEAR:
        return sensor.value.value
    return "stale" if sensor.read_at + bench.rules.stale_s <= bench.at else "settling"
