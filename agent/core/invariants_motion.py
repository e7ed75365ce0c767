"""Domain rules, section 2, 1-13, and section 1 (number 0), as judged from outside the code that must keep them.

Each looks at raw facts (readings, presses, keys, what was sent), at the new state and at the desired picture. None
calls a predicate of the lane modules.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.events import (
    ClockChanged,
    Command,
    DeviceBack,
    DeviceLost,
    Event,
    FireInput,
    JournalChanged,
    KeyInput,
    LaneReading,
    NewEpoch,
    PathHealth,
    ScanComplete,
    Started,
    Tick,
)
from agent.core.facts_lane import BollardFacts, LaneFacts
from agent.core.invariant import Step, invariant
from agent.core.outputs import MotionRequest
from agent.core.words import Hold, Light, Mode, Motion, Position, Rank

LANES = ("lanes",)
EPS = 1e-6  # instants are floats; a rule is not broken by their last digit
MAX_AGE_S = 2.0  # domain rule 5
MIN_PREWARN_S = 1.0  # domain rule 3
BETWEEN_SLACK_S = 3.5  # flight of a token and its margin, which precede the move that is timed
AT_THE_GATE = (Rank.HOLD_TO_RUN, Rank.CONSOLE)  # who may start a routine raise
LOSSES: tuple[type[Event], ...] = (
    ClockChanged,
    DeviceBack,
    DeviceLost,
    JournalChanged,
    NewEpoch,
    PathHealth,
    ScanComplete,
    Started,
)


def _new_rises(step: Step) -> Iterator[tuple[LaneFacts, MotionRequest]]:
    return ((lane, token) for lane, token in step.facts.fresh if token.motion is not Motion.LOWER)


@invariant(0, "efo_holds_against_ranks_5_to_8", reads=LANES)
def efo_holds_against_ranks_5_to_8(step: Step) -> str | None:
    """While EFO is latched nobody below the fire key and the guard's "lower now" lowers."""
    for lane, token in step.facts.fresh:
        if token.motion is not Motion.LOWER or not step.old.lanes[token.lane].efo:
            continue
        if not lane.asked(Motion.LOWER, (Rank.FIRE_KEY,)):
            return f"{token.bollard} is lowered while EFO is latched"
    return None


@invariant(1, "no_raise_on_occupied_or_stale", reads=LANES)
def no_raise_on_occupied_or_stale(step: Step) -> str | None:
    """Every sensor of the lane fresh and measured clear, 1 s for EFO, the site's longer time otherwise."""
    for lane, token in _new_rises(step):
        site_s = lane.rules.efo_clear_s if token.motion is Motion.EFO else lane.rules.clear_s
        trouble = lane.sensor_trouble(step.now.mono_s, max(1.0, site_s))
        if trouble:
            return f"{token.motion.value} of {token.bollard}: {trouble}"
    return None


@invariant(2, "obstruction_reverses", always=True)
def obstruction_reverses(step: Step) -> str | None:
    """A rise that was under way does not outlive a sensor's trouble by one step; two in a row close the lane."""
    for lane, name, bollard, hold in step.facts.stirring:
        if bollard.rising and hold is Hold.NONE:
            trouble = lane.sensor_trouble(step.now.mono_s)
            if trouble:
                return f"{name} goes on rising: {trouble}"
        if hold is Hold.LOWER and bollard.held is not Hold.LOWER:
            turned = bollard.obstructed + (bollard.rising and bool(lane.sensor_trouble(step.now.mono_s)))
            if turned >= 2 and not step.new.lanes[lane.rules.id].closed:
                return f"{name} was turned round twice in a row and its lane is open"
    return None


@invariant(3, "no_motion_without_warning", reads=LANES)
def no_motion_without_warning(step: Step) -> str | None:
    """Lamp and buzzer asked, and read back where they can be, for the pre-warning; with EFO in the same picture."""
    for lane, token in step.facts.fresh:
        if not step.outputs.lanes[token.lane].warning:
            return f"{token.motion.value} of {token.bollard} is silent"
        if token.motion is Motion.EFO:
            continue
        needed = max(MIN_PREWARN_S, lane.rules.prewarn_s) - EPS
        for since in (lane.warning_asked_since, lane.warning_seen_since):
            if since is None or step.now.mono_s - since < needed:
                return f"{token.motion.value} of {token.bollard} was not announced for {needed:.1f} s"
    return None


@invariant(4, "raise_is_started_by_a_person", reads=LANES)
def raise_is_started_by_a_person(step: Step) -> str | None:
    """EFO while a press seen by us lasts; a routine raise on a button held or a guard's own request, just now."""
    for lane, token in _new_rises(step):
        if token.motion is Motion.EFO:
            if not step.facts.pressed:
                return f"{token.bollard} rises by EFO and no button was seen to be pressed"
            continue
        if not lane.asked(Motion.RAISE, AT_THE_GATE):
            return f"{token.bollard} rises and nobody at the gate asked"
    return None


@invariant(5, "token_goes_once", reads=LANES)
def token_goes_once(step: Step) -> str | None:
    """New each time, for one bollard, at most 2 s old, after its record unless an emergency, gone once told."""
    for _, token in step.facts.repeated:
        return f"token {token.token} of {token.bollard} is asked again"
    for lane, token in step.facts.fresh:
        wrong = _wrong_with(step, lane, token)
        if wrong:
            return f"token {token.token} of {token.bollard}: {wrong}"
    for token in step.outputs.motions:
        if step.now.mono_s - token.issued_at > MAX_AGE_S + EPS:
            return f"token {token.token} of {token.bollard} is too old to be open"
    return None


def _wrong_with(step: Step, lane: LaneFacts, token: MotionRequest) -> str:
    bollard = lane.bollards.get(token.bollard)
    if bollard is None:
        return "no such bollard"
    if not 1 <= token.token <= 255:
        return "no such number"
    seen = lane.reading.bollards.get(token.bollard) if lane.reading is not None else None
    if seen is not None and seen.token == token.token:
        return "its PLC took that one already"
    if not -EPS <= step.now.mono_s - token.issued_at <= MAX_AGE_S or token.max_age_s > MAX_AGE_S:
        return "old or too long-lived"
    by_fire = token.motion is Motion.LOWER and step.new.fire.latched
    if token.after == 0 and token.motion is not Motion.EFO and not by_fire:
        return "goes out before its record"
    return "EFO waits for the disk" if token.after and token.motion is Motion.EFO else ""


@invariant(5, "hold_lasts_until_read_back", reads=LANES)
def hold_lasts_until_read_back(step: Step) -> str | None:
    """A reversal lets go at the lower switch, stop at standstill; or when others have taken the bollards over."""
    for lane, name, bollard, hold in step.facts.stirring:
        if hold is not Hold.NONE or bollard.held is Hold.NONE or lane.mode is not Mode.REMOTE:
            continue
        seen = lane.reading.bollards.get(name) if lane.reading is not None else None
        if seen is None:
            return f"{name}: {bollard.held.value} was let go unread"
        if bollard.held is Hold.LOWER and not seen.down:
            return f"{name} was to be lowered and is not down"
        if bollard.held is Hold.STOP and seen.moving:
            return f"{name} was to stand and moves"
    return None


@invariant(6, "position_by_switches_only", reads=LANES)
def position_by_switches_only(step: Step) -> str | None:
    """UP and DOWN when exactly that switch says so; both, or neither for too long, is FAULT; no link is UNKNOWN."""
    lanes = step.facts.lanes.values() if isinstance(step.event, Tick) else step.facts.changed
    for lane in lanes:
        for name, bollard in lane.bollards.items():
            position = step.new.lanes[lane.rules.id].bollards[name].position
            wrong = _wrong_position(step, lane, name, bollard, position)
            if wrong:
                return f"{name} is said to be {position.value} but {wrong}"
    return None


def _wrong_position(step: Step, lane: LaneFacts, name: str, bollard: BollardFacts, position: Position) -> str:
    seen = lane.reading.bollards.get(name) if lane.reading is not None and lane.link else None
    if position is Position.UNKNOWN:
        return ""
    if seen is None:
        return "nobody can read it"
    if seen.up and seen.down:
        return "" if position is Position.FAULT else "both switches are on"
    if seen.up or seen.down:
        proven = Position.UP if seen.up else Position.DOWN
        return "" if position is proven else f"its switch says {proven.value}"
    if position in (Position.UP, Position.DOWN):
        return "neither switch is on"
    rules = lane.rules
    limit = 1.5 * max(rules.rise_s, rules.lower_s, rules.efo_s) + BETWEEN_SLACK_S
    since = bollard.between_since
    was = step.old.lanes[rules.id].bollards[name].position  # FAULT before: a new motion has just begun
    judged = isinstance(step.event, Tick | LaneReading) and position is Position.MOVING and was is Position.MOVING
    late = judged and since is not None and step.now.mono_s - since > limit
    return "it has been between its ends for too long" if late else ""


@invariant(7, "green_only_when_proven_down", always=True)
def green_only_when_proven_down(step: Step) -> str | None:
    """Green needs every bollard read down within the link's time, and no fault, fire, EFO; a light is never off."""
    news = step.facts.changed if step.old.fire is step.new.fire else step.facts.lanes.values()
    for lane in step.facts.lanes.values():
        light = step.outputs.lanes[lane.rules.id].light
        if light is Light.OFF:
            return f"the light of {lane.rules.id} is off"
        if light is Light.RED:
            continue
        wrong = _wrong_with_green(step, lane) if lane in news else _wrong_with_link(step, lane)
        if wrong:
            return f"{lane.rules.id} shows green: {wrong}"
    return None


def _wrong_with_link(step: Step, lane: LaneFacts) -> str:
    if not lane.link or step.now.mono_s - lane.read_at > lane.rules.lost_s + EPS:
        return "its PLC cannot be read"
    return "there is fire" if step.facts.fire_is_on else ""


def _wrong_with_green(step: Step, lane: LaneFacts) -> str:
    state = step.new.lanes[lane.rules.id]
    wrong = _wrong_with_link(step, lane)
    if wrong or lane.reading is None:
        return wrong or "it was never read"
    for name in lane.bollards:
        seen = lane.reading.bollards.get(name)
        if seen is None or not seen.down or seen.up:
            return f"{name} is not proven down"
        if seen.fault or state.bollards[name].fault:
            return f"{name} has a fault"
        if lane.bollards[name].rising:
            return f"{name} is being raised"
    if state.closed or state.efo:
        return "closed or under EFO"
    return "there is fire" if step.new.fire.latched else ""


@invariant(8, "unasked_move_is_an_alarm", reads=LANES)
def unasked_move_is_an_alarm(step: Step) -> str | None:
    """Within a second of the reading that showed it, the lane is closed."""
    for lane, name, bollard, _ in step.facts.stirring:
        since = bollard.stray_since
        if since is None or step.new.lanes[lane.rules.id].closed:
            continue
        if step.now.mono_s - since > lane.rules.unasked_s:
            return f"{name} moved and nobody asked, {step.now.mono_s - since:.1f} s ago"
    return None


@invariant(9, "fire_inhibits_every_raise", reads=("lanes", "fire"), on=(FireInput, KeyInput, LaneReading))
def fire_inhibits_every_raise(step: Step) -> str | None:
    """From fire input or fire key until the reset by hand: latched, no raise begun, none going on."""
    fire = step.facts.fire_is_on
    if fire and not step.new.fire.latched:
        return "fire is told and not latched"
    if step.old.fire.latched and not step.new.fire.latched and not isinstance(step.event, KeyInput | Command):
        return "the fire latch went by itself"
    if not fire and not step.new.fire.latched:
        return None
    for _, token in _new_rises(step):
        return f"{token.bollard} is raised during fire"
    for _, name, bollard, hold in step.facts.stirring:
        if bollard.rising and hold is Hold.NONE:
            return f"{name} goes on rising during fire"
    return None


@invariant(10, "loss_causes_no_motion", on=LOSSES)
def loss_causes_no_motion(step: Step) -> str | None:
    """Loss, return, restart, clock and network start nothing: a token then has an earlier asking or none."""
    for lane, token in step.facts.fresh:
        if token.motion is Motion.EFO or not lane.asked(token.motion):
            return f"{type(step.event).__name__} moved {token.bollard}"
    for lane, name, bollard, hold in step.facts.stirring:
        begun = hold is Hold.LOWER and bollard.held is not Hold.LOWER
        if begun and not (bollard.rising and lane.sensor_trouble(step.now.mono_s)):
            return f"{type(step.event).__name__} lowered {name}"
    return None


@invariant(11, "uncommissioned_is_not_moved", reads=LANES)
def uncommissioned_is_not_moved(step: Step) -> str | None:
    """No token and no lowering for a bollard whose interlock is not recorded as tested, nor on a watched lane."""
    for lane, token in step.facts.fresh:
        if token.bollard not in _free(lane):
            return f"{token.bollard} is to be moved"
    for lane, name, _, hold in step.facts.stirring:
        if hold is Hold.LOWER and name not in _free(lane):
            return f"{name} is to be lowered"
    return None


def _free(lane: LaneFacts) -> set[str]:
    return {b.id for b in lane.rules.bollards if b.commissioned and not lane.rules.monitor_only}


@invariant(12, "stop_or_nothing_outside_remote", reads=LANES, on=(LaneReading, DeviceLost))
def stop_or_nothing_outside_remote(step: Step) -> str | None:
    """Unless the last reading with a living heartbeat says remote, no motion is asked and no lowering held."""
    for lane in step.facts.lanes.values():
        if lane.link and lane.mode is Mode.REMOTE:
            continue
        lane_id = lane.rules.id
        if any(token.lane == lane_id for token in step.outputs.motions):
            return f"a motion is open in {lane_id}, which is {lane.mode.value}"
        if Hold.LOWER in step.outputs.lanes[lane_id].hold.values():
            return f"a lowering is held in {lane_id}, which is {lane.mode.value}"
    return None


@invariant(13, "timetable_only_asks", reads=LANES)
def timetable_only_asks(step: Step) -> str | None:
    """A raise that waits for its warning was asked at the gate; one the timetable wants waits for a person."""
    for facts in step.facts.changed:
        lane_id = facts.rules.id
        request = step.new.lanes[lane_id].request
        if request is None or request.motion is Motion.LOWER:
            continue
        if request.rank not in AT_THE_GATE:
            return f"a raise of {lane_id} was asked by {request.rank.value}"
        begun = request is not step.old.lanes[lane_id].request
        if begun and isinstance(step.event, Command) and step.event.rank not in AT_THE_GATE:
            return f"{step.event.rank.value} began a raise of {lane_id}"
    return None
