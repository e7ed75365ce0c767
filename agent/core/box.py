"""The whole gate as one pure machine: `step` decides, `desired` says what the world should look like, `next_deadline`
when to look again. This file only routes; each subject has its own.

An event that comes at or after the next deadline first lets time act, then itself: a drill that ended a moment ago
does not take the press that comes now, however late the tick is.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from agent.core import (
    access,
    assemble,
    campus_day,
    campus_passage,
    clock,
    commands,
    door,
    drill,
    duty,
    fire,
    health,
    keys,
    lane,
    latched,
    lifecycle,
    orders,
    panic,
    visits,
)
from agent.core.deadline import next_deadline
from agent.core.events import (
    AlarmStage,
    CardBad,
    CardRead,
    ClockChanged,
    Command,
    DeviceBack,
    DeviceLost,
    DoorContact,
    Event,
    FireInput,
    InsideRecalled,
    JournalChanged,
    KeyInput,
    LaneReading,
    MotionSent,
    NewEpoch,
    Note,
    Now,
    OutputFault,
    PanicLine,
    PathHealth,
    PolicyChanged,
    Rex,
    ScanComplete,
    Started,
    SupplyInput,
    Tick,
)
from agent.core.log import Log
from agent.core.outputs import Outputs
from agent.core.records import Record
from agent.core.rules import BoxRules
from agent.core.state import (
    BollardState,
    BoxState,
    ButtonState,
    ClockState,
    DoorState,
    LaneState,
    PanicState,
    SensorState,
)

__all__ = ["desired", "next_deadline", "start", "step"]


def start(rules: BoxRules, *, epoch: int = 1, next_seq: int = 1) -> BoxState:
    """A gate nobody has measured yet. `epoch` and `next_seq` are where the journal goes on."""
    return BoxState(
        rules=rules,
        epoch=epoch,
        next_seq=next_seq,
        panic=PanicState(buttons={button: ButtonState() for button in rules.buttons}),
        lanes={
            lane_rules.id: LaneState(
                bollards={bollard.id: BollardState() for bollard in lane_rules.bollards},
                sensors={sensor: SensorState() for sensor in lane_rules.sensors},
            )
            for lane_rules in rules.lanes
        },
        doors={door_rules.id: DoorState() for door_rules in rules.doors},
        keys={key.id: None for key in rules.keys},
    )


def step(state: BoxState, event: Event, now: Now) -> tuple[BoxState, tuple[Record, ...]]:
    """One event at one instant: the next state, and the records it is worth. `now.mono_s` never goes back in a boot."""
    match event:
        case Started():
            state = _fresh(state, event, now)
        case NewEpoch():
            state = replace(state, epoch=event.epoch, next_seq=event.next_seq)
    log = Log(now, state.rules.site_box, state.boot, state.epoch, state.next_seq)
    new = state
    if now.mono_s >= next_deadline(state):
        new = _guarded_time(state, now, log) if isinstance(event, PanicLine) else _pass_time(state, now, log)
    new = _route(new, event, now, log)
    if new.campus.windows is not state.campus.windows or new.policy is not state.policy:
        new = duty.settle(new, now, log)
    if new.orders.asked:
        new = orders.settle(new, log)
    latched.note(state, new, log, anyway=isinstance(event, NewEpoch) and state.boot != "")
    if log.records:
        new = replace(new, next_seq=log.next_seq)
    return new, tuple(log.records)


def desired(state: BoxState, now: Now) -> Outputs:
    """What the world should look like. The same object as before while nothing of it changed.

    It is a picture of the state alone: time acts in `step`, at `next_deadline`. Before `state.scanned` there is no
    motion and no hold in it, and the shell writes none of it: after a restart no command goes out before a full fresh
    input scan (domain rule 29).
    """
    return assemble.desired(state)


def _fresh(state: BoxState, event: Started, now: Now) -> BoxState:
    """A new boot remembers nothing of the old one but where the journal goes on."""
    fresh = start(state.rules, epoch=state.epoch, next_seq=state.next_seq)
    return replace(fresh, boot=event.boot, clock=ClockState(trust=now.trust, since_at=now.mono_s))


def _pass_time(state: BoxState, now: Now, log: Log) -> BoxState:
    """Panic before drill: a hold that became real at the drill's very end is real."""
    state = panic.on_tick(state, now, log)
    state = drill.on_tick(state, now, log)
    state = door.on_tick(state, now, log)
    state = health.on_tick(state, now, log)
    state = clock.on_tick(state, now, log)
    state = campus_passage.on_tick(state, now, log)
    state = campus_day.on_tick(state, now, log)
    state = visits.on_tick(state, now, log)
    state = duty.on_tick(state, now, log)
    state = orders.on_tick(state, now, log)
    return lane.on_tick(state, now, log)


def _guarded_time(state: BoxState, now: Now, log: Log) -> BoxState:
    """Before a press, a bug in what time does elsewhere must not cost the alarm: the press goes on without it."""
    try:
        return _pass_time(state, now, log)
    except Exception as error:
        log.add("box.bug", "box", {"in": "time", "what": type(error).__name__})
        return state


def _route(state: BoxState, event: Event, now: Now, log: Log) -> BoxState:
    match event:
        case LaneReading():
            return lane.on_reading(state, event, now, log)
        case CardRead() | DoorContact() | Rex() | CardBad():
            return _route_people(state, event, now, log)
        case Tick():
            return state
        case PanicLine():
            return panic.on_line(state, event, now, log)
        case MotionSent():
            return lane.on_motion_sent(state, event, now, log)
        case FireInput():
            return fire.on_input(state, event, now, log)
        case KeyInput():
            return keys.on_key(state, event, now, log)
        case Command():
            return commands.on_command(state, event, now, log)
        case AlarmStage():
            return panic.on_stage(drill.on_stage(state, event, now, log), event, log)
        case _:
            return _route_box(state, event, now, log)


def _route_people(state: BoxState, event: DoorContact | Rex | CardRead | CardBad, now: Now, log: Log) -> BoxState:
    match event:
        case CardRead():
            return access.on_card(state, event, now, log)
        case DoorContact():
            return door.on_contact(state, event, now, log)
        case Rex():
            return door.on_rex(state, event, now, log)
        case CardBad():
            return access.on_bad_card(state, event, log)
        case _:
            assert_never(event)


def _route_box(state: BoxState, event: Event, now: Now, log: Log) -> BoxState:
    match event:
        case Started():
            return lifecycle.on_started(state, event, log)
        case ScanComplete():
            return lifecycle.on_scan(state, log)
        case NewEpoch():
            return lifecycle.on_new_epoch(state, event, log)
        case Note():
            return lifecycle.on_note(state, event, log)
        case DeviceLost():
            return lane.on_device(health.on_lost(state, event, now, log), event, now, log)
        case DeviceBack():
            return lane.on_device(health.on_back(state, event, now, log), event, now, log)
        case OutputFault():
            return health.on_output(state, event, log)
        case SupplyInput():
            return health.on_supply(state, event, now, log)
        case PathHealth():
            return health.on_path(state, event, now, log)
        case JournalChanged():
            return health.on_journal(state, event, log)
        case ClockChanged():
            state = visits.on_clock(clock.on_change(state, event, now, log), now)
            return campus_day.refresh(state, now, log)
        case InsideRecalled():
            return campus_day.on_recalled(state, event, now)
        case PolicyChanged():
            return campus_day.on_policy(state, event, now, log)
        case _:
            raise TypeError(f"no subject takes {type(event).__name__}")
