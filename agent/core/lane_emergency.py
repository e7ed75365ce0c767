"""What panic and fire do to a lane. Emergencies go first: their tokens wait for no record, and never for a sensor.

A panic press latches EFO on every lane, and raises where that very instant allows it: otherwise the raise is refused
and over, and the guard's screen says why. The next press is a new one.
"""

from __future__ import annotations

from agent.core.events import Seq
from agent.core.lane_allow import sensor_in_the_way, sensor_word, why_not_move
from agent.core.lane_bench import AGE_LIMIT_S, Bench
from agent.core.lane_motion import ask, give_up, issue, stop, targets, watch_rises
from agent.core.records import Value
from agent.core.words import Motion, Position, Rank


def press(bench: Bench, cause: Seq | None, at_s: float) -> None:
    """One press edge asks this lane up. Writes one record, whatever comes of it; `at_s` is the press's instant."""
    request = bench.lane.request
    if request is not None and request.motion is Motion.LOWER and request.rank is not Rank.FIRE_KEY:
        give_up(bench, "overruled")
    issued_at = min(at_s, bench.at)
    why = _why_not_efo(bench, issued_at)
    rise = [] if why else _to_raise(bench)
    ref = _write(bench, why, rise, cause)
    bench.set(efo=True, blocked=why, wanted=None)
    if why:
        _stop_lowering(bench)
        return
    if rise and bench.lane.request is not None:
        give_up(bench, "overruled")
    for bollard in rise:
        issue(bench, bollard, Motion.EFO, Rank.PANIC, "panic", ref, issued_at)
    bench.set(blocked="")


def _why_not_efo(bench: Bench, issued_at: float) -> str:
    why = why_not_move(bench, Motion.EFO, Rank.PANIC) or sensor_in_the_way(bench, bench.rules.efo_clear_s)
    if not why and issued_at + AGE_LIMIT_S <= bench.at:
        why = "too_old"
    return why


def _to_raise(bench: Bench) -> list[str]:
    """The bollards that are neither up nor on their way there with EFO's speed by a token that may have arrived."""
    on_the_way = {name for name, b in bench.bollards.items() if b.motion is Motion.EFO and (b.flying or b.sent)}
    return [name for name in targets(bench, Motion.EFO) if name not in on_the_way]


def _write(bench: Bench, why: str, rise: list[str], cause: Seq | None) -> Seq:
    data: dict[str, Value] = {"raised": list(rise), "blocked": why}
    if why.startswith("sensor:"):
        data["sensor"] = sensor_word(bench, why)
    return bench.write("lane.efo", data, cause=cause)


def _stop_lowering(bench: Bench) -> None:
    """While EFO is latched ranks 5 to 8 cannot lower: a lowering of theirs ends where it is, though nothing rises."""
    for name, b in bench.bollards.items():
        if b.motion is Motion.LOWER and b.rank is not Rank.FIRE_KEY and b.position is not Position.DOWN:
            stop(bench, name)


def clear(bench: Bench, cause: Seq | None) -> None:
    """The panic was reset: EFO ends. Nothing moves by that."""
    if bench.lane.efo:
        bench.write("lane.efo_cleared", cause=cause)
        bench.set(efo=False, blocked="")


def fire(bench: Bench, cause: Seq) -> None:
    """No raise goes on or waits; the service lane is asked down if the site has signed that."""
    _end_raises(bench)
    if bench.rules.service and bench.box.rules.fire_lowers_service_lane:
        _ask_down(bench, Rank.FIRE, "fire", cause)


def fire_key(bench: Bench, cause: Seq) -> None:
    _end_raises(bench)
    _ask_down(bench, Rank.FIRE_KEY, "key:fire", cause)


def _end_raises(bench: Bench) -> None:
    request = bench.lane.request
    if request is not None and request.motion is Motion.RAISE:
        give_up(bench, "fire")
    watch_rises(bench)


def _ask_down(bench: Bench, rank: Rank, actor: str, cause: Seq) -> None:
    if targets(bench, Motion.LOWER):
        ask(bench, Motion.LOWER, rank, actor, cause=cause)
