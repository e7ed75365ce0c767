"""A motion's way: asked, warned, judged, one token for each bollard, and then watched until a limit switch proves it.

    asked ──(warning read back on)──> warned ──(pre-warning over, sensors judged once)──> token ──> end switch
      └── refused: over                  └── refused: over                                 ├─> reversal (hold LOWER)
                                                                                           └─> time-out: fault

Nothing here waits for a sensor: at the instant of the token it allows or the request is over. Stop and the lower of a
reversal are holds, levels kept until read back; they outlive any token that may still be on its way.
"""

from __future__ import annotations

from msgspec.structs import replace

from agent.core.events import MotionSent, Seq
from agent.core.lane_allow import EMERGENCY_RANKS, fire_inhibits, is_held, sensor_in_the_way, sensor_word, why_not_move
from agent.core.lane_bench import AGE_LIMIT_S, RISES, Bench
from agent.core.outputs import MotionRequest
from agent.core.records import Value
from agent.core.rules import LaneRules
from agent.core.state import BollardState, LaneRequest, LaneState
from agent.core.words import RANK_ORDER, Hold, Mode, Motion, Position, Rank, Sent

WARNING_READ_BACK_S = 1.0  # D: lamp and buzzer must read back as on within this, or nothing moves
MIN_PREWARN_S = 1.0  # Gibidi DPT260 manual (V): light and buzzer at least this long, whatever a site file says
TIMEOUT_FACTOR = 1.5  # UFGS 02840 (V): past 1.5 times the nominal time a move is a fault
SETTLE_S = 0.2  # D: a PLC's scan and one poll; a reading younger than this may not show a token's effect yet
FLIGHT_MARGIN_S = 0.5  # D: the longest a token's last frame may take behind its age limit
RELEASE_S = 0.5  # D: the end of a hold is written within two turns of the bus; a token before it would be lost
BLIND_STOP_S = 2.0  # D: how long stop is held where the PLC cannot tell whether it moves
REVERSALS_LIMIT = 2  # domain rule 2: two in a row close the lane


# ── asking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def ask(bench: Bench, motion: Motion, rank: Rank, actor: str, *, held: bool = False, cause: Seq | None = None) -> str:
    """Ask for a routine motion. Writes one record; returns "" or the reason for the refusal.

    A lower asked while we raise is a reversal: it waits for no warning.
    """
    why = why_not_ask(bench, motion, rank)
    if why:
        refuse(bench, motion.value, why, actor=actor, cause=cause, raising=motion is Motion.RAISE)
        return why
    data: dict[str, Value] = {"motion": motion.value, "rank": rank.value}
    ref = bench.write("lane.asked", data, actor=actor, cause=cause)
    bench.set(blocked="", wanted=None)
    request = _next_request(bench, motion, rank, actor, ref, held)
    if motion is Motion.LOWER:
        for bollard in bench.rising():
            reverse(bench, bollard, "lower_asked", counts=False, cause=ref)
    _take_over(bench, motion, rank)
    rest = [name for name in targets(bench, motion) if bench.bollards[name].motion is None]
    bench.set(request=request if rest else None)
    return ""


def _next_request(bench: Bench, motion: Motion, rank: Rank, actor: str, ref: Seq, held: bool) -> LaneRequest:
    """The request that stands now. One it overrules is over; of the same motion's warning it inherits the time."""
    old = bench.lane.request
    new = LaneRequest(motion=motion, rank=rank, actor=actor, ref=ref, asked_at=bench.at, held=held)
    if old is None:
        return new
    give_up(bench, "overruled")
    return replace(new, asked_at=old.asked_at, warned_at=old.warned_at) if old.motion is motion else new


def _take_over(bench: Bench, motion: Motion, rank: Rank) -> None:
    """A higher rank makes a motion under way its own: whoever asked it first can no longer end it by letting go."""
    for name, b in bench.bollards.items():
        if b.motion is motion:
            bench.put(name, rank=rank)


def why_not_ask(bench: Bench, motion: Motion, rank: Rank) -> str:
    """Why a routine motion may not be asked now, sensors included."""
    why = why_not_move(bench, motion, rank) or _why_not_over(bench, motion, rank)
    if why:
        return why
    if not targets(bench, motion) and not _would_overrule(bench, motion):
        return "already"
    return sensor_in_the_way(bench, 0.0) if _judges_sensors(motion, rank) else ""


def _would_overrule(bench: Bench, motion: Motion) -> bool:
    """A lower of what is down still already has something to do: to end a raise that waits for its warning."""
    return bench.lane.request is not None and bench.lane.request.motion is not motion


def _why_not_over(bench: Bench, motion: Motion, rank: Rank) -> str:
    """What is already going on and may not be overruled: a higher rank's motion, or the same motion of its own.

    A rise is turned round by a lower of its own rank or a higher one; a lowering is let finish.
    """
    request = bench.lane.request
    if (
        request is not None
        and not _outranks(rank, request.rank)
        and (request.motion is motion or request.rank is not rank)
    ):
        return "moving"
    for b in bench.bollards.values():
        if b.motion is None or b.rank is None:
            continue
        same_way = end_of(b.motion) is end_of(motion)
        if _outranks(b.rank, rank) or (same_way and b.rank is rank) or (not same_way and motion is Motion.RAISE):
            return "moving"
    return ""


def _outranks(newcomer: Rank, holder: Rank) -> bool:
    return RANK_ORDER.index(newcomer) < RANK_ORDER.index(holder)


def _judges_sensors(motion: Motion, rank: Rank) -> bool:
    """Every rise; and the one lower that no person at the gate asks for: the service lane's in a fire."""
    return motion in RISES or rank is Rank.FIRE


def targets(bench: Bench, motion: Motion) -> list[str]:
    """The bollards this motion would have to move."""
    end = end_of(motion)
    return [
        name
        for name, b in bench.movable()
        if b.hold is not Hold.LOWER
        and (b.position is not end or (b.motion is not None and end_of(b.motion) is not end))
    ]


def end_of(motion: Motion) -> Position:
    return Position.UP if motion in RISES else Position.DOWN


def refuse(bench: Bench, verb: str, why: str, *, actor: str, cause: Seq | None = None, raising: bool = False) -> None:
    """The one record of a refusal; for a raise also what the guard's screen says until the next one."""
    data: dict[str, Value] = {"verb": verb, "why": why}
    if why.startswith("sensor:"):
        data["sensor"] = sensor_word(bench, why)
    bench.write("lane.refused", data, actor=actor, cause=cause)
    if raising:
        bench.set(blocked=why)


def give_up(bench: Bench, why: str) -> None:
    """End the pending request. It is over: nothing starts it again."""
    request = bench.lane.request
    assert request is not None, "nothing was asked"
    bench.set(request=None)
    raising = request.motion is Motion.RAISE
    refuse(bench, request.motion.value, why, actor=request.actor, cause=request.ref, raising=raising)


# ── from request to token ──────────────────────────────────────────────────────────────────────────────────────────


def prewarn_s(rules: LaneRules) -> float:
    return max(MIN_PREWARN_S, rules.prewarn_s)


def request_due_at(request: LaneRequest, rules: LaneRules) -> float:
    """When the pending request becomes a token, or is given up for want of a warning."""
    if request.warned_at is None:
        return request.asked_at + WARNING_READ_BACK_S
    return request.warned_at + prewarn_s(rules)


def note_warning(bench: Bench) -> None:
    """A reading came: the pre-warning counts from the first that shows lamp and buzzer on since they were asked.

    Where they cannot be read back, it counts from the first reading taken after the asking. A warning that goes out
    again ends the request.
    """
    lane = bench.lane
    request = lane.request
    if request is None or lane.fresh_at < request.asked_at:
        return
    if lane.warning_on is False:
        if request.warned_at is not None:
            give_up(bench, "warning")
    elif request.warned_at is None:
        bench.set(request=replace(request, warned_at=lane.fresh_at))


def advance_request(bench: Bench) -> None:
    """Give the request up if it may no longer be, or turn it into tokens when its warning is over."""
    request = bench.lane.request
    if request is None:
        return
    why = why_not_move(bench, request.motion, request.rank)
    if not why and request_due_at(request, bench.rules) > bench.at:
        return
    if not why and request.warned_at is None:
        why = "warning"
    if not why and bench.lane.fresh_at + WARNING_READ_BACK_S <= bench.at:
        why = "stale"
    if not why and _judges_sensors(request.motion, request.rank):
        why = sensor_in_the_way(bench, bench.rules.clear_s if request.motion in RISES else 0.0)
    names = [name for name in targets(bench, request.motion) if bench.bollards[name].motion is not request.motion]
    if not why and any(is_held(bench.bollards[name], bench.at) for name in names):
        why = "stopping"
    if why:
        give_up(bench, why)
        return
    bench.set(request=None)
    for bollard in names:
        issue(bench, bollard, request.motion, request.rank, request.actor, request.ref, bench.at)


def issue(
    bench: Bench, bollard: str, motion: Motion, rank: Rank, actor: str, cause: Seq | None, issued_at: float
) -> None:
    """One token for one bollard, to go out once. Its age counts from `issued_at`, for EFO the press itself."""
    b = bench.bollards[bollard]
    token = next_token(b)
    data: dict[str, Value] = {"bollard": bollard, "motion": motion.value, "token": token, "rank": rank.value}
    ref = bench.write("lane.token", data, actor=actor, cause=cause)
    request = MotionRequest(
        lane=bench.rules.id,
        bollard=bollard,
        motion=motion,
        token=token,
        issued_at=issued_at,
        after=0 if rank in EMERGENCY_RANKS else ref[1],
    )
    bench.withdraw(bollard)
    bench.set(motions=(*bench.lane.motions, request))
    bench.put(
        bollard,
        motion=motion,
        rank=rank,
        token=token,
        asked_at=issued_at,
        sent=False,
        flying=True,
        told_at=None,
        hold=Hold.NONE,
        position=Position.MOVING if b.fault == "between" else b.position,
        fault="" if b.fault == "between" else b.fault,
    )


def next_token(bollard: BollardState) -> int:
    """1..255, neither the last one issued nor the last one its PLC took (which may stem from before a restart)."""
    taken = bollard.reading.token if bollard.reading is not None else None
    token = bollard.token % 255 + 1
    if token == taken:
        token = token % 255 + 1
    assert 1 <= token <= 255 and token not in (bollard.token, taken)
    return token


# ── what became of a token ─────────────────────────────────────────────────────────────────────────────────────────


def told(bench: Bench, event: MotionSent) -> None:
    """The shell's word on a token: the wire only. FAILED decides nothing: read-back and the time-out do."""
    b = bench.bollards.get(event.bollard)
    if b is None:
        return
    data: dict[str, Value] = {"bollard": event.bollard, "token": event.token, "outcome": event.outcome.value}
    if event.why:
        data["why"] = event.why
    bench.write("lane.sent", data)
    if b.token != event.token or not b.flying:
        return
    bench.withdraw(event.bollard)
    bench.put(event.bollard, flying=False, sent=event.outcome is Sent.ACKED, told_at=bench.at)
    if event.outcome in (Sent.EXPIRED, Sent.REFUSED) and b.motion is not None:
        raising = b.motion in RISES
        bench.put(event.bollard, motion=None, rank=None)
        if raising:
            bench.set(blocked=event.outcome.value)


def drop_old_tokens(bench: Bench) -> None:
    """No open token is older than its limit. It may still be in the air: the bollard stays `flying`."""
    motions = bench.lane.motions
    if motions and any(request.issued_at + request.max_age_s <= bench.at for request in motions):
        young = tuple(request for request in motions if request.issued_at + request.max_age_s > bench.at)
        bench.set(motions=young)


def flight_ends_at(b: BollardState) -> float:
    """When a token that nobody reported on can no longer arrive."""
    assert b.asked_at is not None, "a token in flight was issued"
    return b.asked_at + AGE_LIMIT_S + FLIGHT_MARGIN_S


def believe_from(b: BollardState) -> float:
    """From when on a reading shows all that was asked of the bollard: no token may act behind it."""
    if b.flying:
        return flight_ends_at(b)
    told_at = b.told_at if b.told_at is not None else b.hold_at
    return max(told_at, b.hold_at) + SETTLE_S


# ── watching ───────────────────────────────────────────────────────────────────────────────────────────────────────


def watch_rises(bench: Bench) -> None:
    """Domain rules 2 and 9: a sensor not clear, a stale one, or fire turns every rise round at once, ours or not."""
    rising = bench.rising()
    astray = [name for name, b in bench.movable() if _rises_by_itself(bench, b)]
    if not rising and not astray:
        return
    why = fire_inhibits(bench.box)
    counts = not why
    if not why:
        why = sensor_in_the_way(bench, 0.0)
    if not why:
        return
    bench.set(blocked=why)
    for bollard in rising:
        reverse(bench, bollard, why, counts=counts)
    for bollard in astray:
        reverse(bench, bollard, why, counts=False)


def _rises_by_itself(bench: Bench, b: BollardState) -> bool:
    """An alarm is out already that nobody asked for this rise; lowering is all that may still be done about it."""
    if b.fault != "unasked" or b.known is not Position.DOWN or b.position is not Position.MOVING:
        return False
    moving = b.reading is not None and b.reading.moving is True
    return moving and b.hold is Hold.NONE and bench.lane.mode is Mode.REMOTE and not bench.rules.monitor_only


def reverse(bench: Bench, bollard: str, why: str, *, counts: bool, cause: Seq | None = None) -> None:
    """Lower at once, as a level. `counts`: an obstruction, of which two in a row close the lane."""
    b = bench.bollards[bollard]
    reversals = b.reversals + counts
    data: dict[str, Value] = {"bollard": bollard, "why": why, "reversals": reversals}
    if why.startswith("sensor:"):
        data["sensor"] = sensor_word(bench, why)
    ref = bench.write("lane.reversal", data, cause=cause)
    bench.withdraw(bollard)
    bench.put(bollard, motion=None, rank=None, hold=Hold.LOWER, hold_at=bench.at, reversals=reversals)
    if reversals >= REVERSALS_LIMIT:
        fault(bench, bollard, "reversals", cause=ref)


def stop(bench: Bench, bollard: str) -> None:
    """End whatever we asked of this bollard and hold stop until a reading shows that it stands."""
    bench.withdraw(bollard)
    bench.put(bollard, motion=None, rank=None, hold=Hold.STOP, hold_at=bench.at)


def fault(bench: Bench, bollard: str, why: str, *, code: int = 0, cause: Seq | None = None) -> None:
    """A fault of one bollard: closes the lane, ends its motion. The first fault stays until a person clears it; behind
    it only what is news by itself is told: a motion that came too late, a move that nobody asked for.
    """
    b = bench.bollards[bollard]
    faulty = b.fault not in ("", "between")
    news = why == "unasked" or (why == "timeout" and b.motion is not None)
    if faulty and not news:
        return
    data: dict[str, Value] = {"bollard": bollard, "why": why}
    if code:
        data["code"] = code
    kind = "lane.unasked" if why == "unasked" else "lane.fault"
    ref = bench.write(kind, data, cause=cause)
    if b.motion is not None:
        stop(bench, bollard)
    position = Position.FAULT if why == "timeout" and b.position is Position.MOVING else b.position
    bench.put(bollard, fault=b.fault if faulty else why, position=position, strayed_at=None)
    if not bench.lane.closed:
        bench.set(closed=True, closed_ref=ref)
    if bench.lane.request is not None:
        give_up(bench, "closed")


def watch_times(bench: Bench) -> None:
    """Time-outs of motions, holds and stays between the ends; flights that nobody reported on."""
    for name, b in bench.bollards.items():
        if b.flying and flight_ends_at(b) <= bench.at:
            b = bench.put(name, flying=False, told_at=flight_ends_at(b))
        if overdue_at(b, bench.rules) <= bench.at:
            if b.motion is not None or (b.hold is not Hold.NONE and not b.fault):
                fault(bench, name, "timeout")
            else:
                _stands_between(bench, name, b)


def overdue_at(b: BollardState, rules: LaneRules) -> float:
    """When this bollard's present move is late; inf when none is, or its lateness is known already."""
    if b.motion is not None:
        return _clock_start(b) + TIMEOUT_FACTOR * nominal_s(b.motion, rules)
    if b.fault and b.position is not Position.MOVING:
        return float("inf")
    if b.hold is not Hold.NONE:
        return b.hold_at + AGE_LIMIT_S + FLIGHT_MARGIN_S + TIMEOUT_FACTOR * rules.lower_s
    if b.position is Position.MOVING and b.left_at is not None:
        return b.left_at + TIMEOUT_FACTOR * max(rules.rise_s, rules.lower_s)
    return float("inf")


def _clock_start(b: BollardState) -> float:
    """A move's time runs from the PLC's confirmation; without one, from when the token can no longer arrive."""
    return b.told_at if b.told_at is not None else flight_ends_at(b)


def nominal_s(motion: Motion, rules: LaneRules) -> float:
    match motion:
        case Motion.RAISE:
            return rules.rise_s
        case Motion.EFO:
            return rules.efo_s
        case Motion.LOWER:
            return rules.lower_s


def _stands_between(bench: Bench, name: str, b: BollardState) -> None:
    """Domain rule 6: neither switch past the time-out is a fault. If nobody's motion failed, the lane stays open."""
    bench.put(name, position=Position.FAULT, fault=b.fault or "between")
    if not b.fault:
        bench.write("lane.fault", {"bollard": name, "why": "between"})


def confirm(bench: Bench) -> None:
    """Let go of what a reading has confirmed: a hold obeyed, a motion whose end is there without a change."""
    for name, b in bench.bollards.items():
        if (b.hold is Hold.NONE and b.motion is None) or bench.lane.fresh_at < believe_from(b):
            continue
        if b.hold is not Hold.NONE and _is_obeyed(b, bench.lane):
            bench.put(name, hold=Hold.NONE, free_at=bench.at + RELEASE_S)
        elif b.motion is not None and b.position is end_of(b.motion):
            bench.put(name, motion=None, rank=None)


def _is_obeyed(b: BollardState, lane: LaneState) -> bool:
    """In local, hand and e-stop mode stop is held only until no token of ours can arrive: others have the bollard."""
    if lane.mode in (Mode.LOCAL, Mode.HAND, Mode.ESTOP):
        return True
    if b.hold is Hold.LOWER:
        return b.position is Position.DOWN
    moving = b.reading.moving if b.reading is not None else None
    if moving is None:
        return b.position in (Position.UP, Position.DOWN) or b.hold_at + BLIND_STOP_S <= lane.fresh_at
    return not moving
