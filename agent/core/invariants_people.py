"""Domain rules 14 to 23: what people at the gate may rely on, judged from what a by-stander saw.

None of these asks a function of the code it judges; where a rule speaks of "latched" or "lockdown", the declared state
is compared with the outputs and the records that must go with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.events import (
    AlarmStage,
    CardRead,
    Command,
    FireInput,
    KeyInput,
    PanicLine,
    Rex,
    ScanComplete,
    Started,
    Tick,
)
from agent.core.facts_campus import is_banned, kind_of
from agent.core.facts_people import ORDER
from agent.core.invariant import Step, invariant
from agent.core.outputs import Level
from agent.core.records import Record
from agent.core.rules import CredentialRules
from agent.core.words import ClockTrust, Line, Rank, Stage

MAY_BE_A_PRESS = (PanicLine, Tick)  # time makes a real one of a drill's press that nobody lets go
BAD_LINES = (Line.CUT, Line.SHORTED, Line.DISAGREE, Line.UNREAD)
AT_ONCE_OPEN = Level(on=False, after=0)
LATE_S = 0.01  # a tick may come so much after its deadline in a simulation


# ── what the judge looks up by itself ──────────────────────────────────────────────────────────────────────────────


def _evacuation(step: Step) -> list[str]:
    return [door.id for door in step.new.rules.doors if door.evacuation_way]


def _valid(step: Step, credential: CredentialRules) -> bool:
    if step.now.trust is ClockTrust.UNTRUSTED:
        return True
    starts, ends = credential.valid_from_ms, credential.valid_to_ms
    return starts <= step.now.wall_ms and (ends == 0 or step.now.wall_ms < ends)


def _of_kind(step: Step, kind: str) -> Iterator[Record]:
    return (record for record in step.records if record.kind == kind)


def _real_presses(step: Step) -> list[Record]:
    if not step.records:
        return []
    return [record for record in _of_kind(step, "panic.pressed") if record.data["drill"] is False]


def _key_turned(step: Step, use: str) -> bool:
    event = step.event
    if not isinstance(event, KeyInput) or event.on is not True or step.facts.people.key_before is not False:
        return False
    return any(key.id == event.key and key.use == use for key in step.new.rules.keys)


def _guard_is_there(step: Step) -> bool:
    rules = step.new.rules
    presence = {reader.id for reader in rules.readers if reader.direction == "presence"}
    return any(
        step.now.mono_s - at <= rules.presence_s and reader in presence and kind_of(step, card) == "guard"
        for at, reader, card in step.facts.people.cards
    )


def _asked_on_site(step: Step, verb: str) -> bool:
    event = step.event
    return (
        isinstance(event, Command)
        and event.verb == verb
        and event.rank not in (Rank.UPSTREAM, Rank.TIMETABLE)
        and _guard_is_there(step)
    )


# ── 14 to 16: the way out ──────────────────────────────────────────────────────────────────────────────────────────


@invariant(14, "rex_opens_always", on=(Rex,))
def rex_opens_always(step: Step) -> str | None:
    assert isinstance(step.event, Rex)
    lock = step.outputs.locks[step.event.door]
    return None if lock == AT_ONCE_OPEN else f"request-to-exit left {step.event.door} at {lock}"


@invariant(14, "fire_opens_evacuation_doors", reads=("fire", "doors", "panic"), on=(FireInput, KeyInput, Started))
def fire_opens_evacuation_doors(step: Step) -> str | None:
    if not (step.facts.people.fire_input or step.new.fire.latched):
        return None
    shut = [door for door in _evacuation(step) if step.outputs.locks[door] != AT_ONCE_OPEN]
    return f"fire, and {shut} not released at once" if shut else None


@invariant(15, "leaving_is_never_refused_by_the_lock", on=(CardRead,))
def leaving_is_never_refused_by_the_lock(step: Step) -> str | None:
    assert isinstance(step.event, CardRead)
    reader = step.facts.campus.reader
    if reader is None or reader.direction != "out" or reader.door not in _evacuation(step):
        return None
    lock = step.outputs.locks[reader.door]
    return None if lock == AT_ONCE_OPEN else f"a card on the way out left {reader.door} at {lock}"


@invariant(15, "responder_enters", on=(CardRead,))
def responder_enters(step: Step) -> str | None:
    assert isinstance(step.event, CardRead)
    reader = step.facts.campus.reader
    credential = step.new.rules.credentials.get(step.event.card)
    if reader is None or credential is None or not reader.door or credential.group != "responder":
        return None
    if kind_of(step, credential.card) != "responder":  # the policy's word on a card wins over the site file's
        return None
    if is_banned(step, credential.card) or reader.door not in credential.doors or not _valid(step, credential):
        return None
    return f"a responder stands before {reader.door}" if step.outputs.locks[reader.door].on else None


@invariant(15, "lockdown_shuts_entry", on=(CardRead,))
def lockdown_shuts_entry(step: Step) -> str | None:
    assert isinstance(step.event, CardRead)
    reader, before = step.facts.campus.reader, step.facts.people.before
    if reader is None or before is None or reader.direction != "in" or not step.old.panic.lockdown:
        return None
    if kind_of(step, step.event.card) == "responder":
        return None
    opened = reader.door and before.locks[reader.door].on and not step.outputs.locks[reader.door].on
    return f"{reader.door} opened for entry in a lockdown" if opened else None


@invariant(15, "panic_locks_entry", on=MAY_BE_A_PRESS)
def panic_locks_entry(step: Step) -> str | None:
    """After a real press no lock stays open but for someone who is leaving, or for fire."""
    if not _real_presses(step) or step.new.fire.latched:
        return None
    leaving = _leaving(step)
    left_open = [door for door, lock in step.outputs.locks.items() if not lock.on and door not in leaving]
    return f"{left_open} stayed open for entry after a press" if left_open else None


def _leaving(step: Step) -> set[str]:
    """Doors that somebody asked to leave by, within the time such an unlock lasts."""
    rules, people = step.new.rules, step.facts.people
    lasts = {door.id: door.unlock_s for door in rules.doors}
    out = {reader.id: reader.door for reader in rules.readers if reader.direction == "out" and reader.door}
    asked = [(at, out[reader]) for at, reader, _ in people.cards if reader in out]
    asked += [(at, door) for door, at in people.rex_at.items()]
    return {door for at, door in asked if step.now.mono_s - at <= max(lasts.values())}


@invariant(16, "relock_after_fire_by_hand_only", reads=("fire",))
def relock_after_fire_by_hand_only(step: Step) -> str | None:
    if not step.old.fire.latched or step.new.fire.latched or isinstance(step.event, Started):
        return None
    if not (_key_turned(step, "fire_reset") or _asked_on_site(step, "fire_reset")):
        return f"{type(step.event).__name__} ended the fire release"
    if step.new.rules.has_fire and step.facts.people.fire_input is not False:
        return "the fire release ended while the input was not quiet"
    return None


@invariant(16, "fire_release_survives_restart", on=(Started,))
def fire_release_survives_restart(step: Step) -> str | None:
    return _survives(step, "fire", "latched", survived=step.new.fire.latched)


# ── 17 to 19: the press and its latch ──────────────────────────────────────────────────────────────────────────────


@invariant(17, "press_never_masked", on=(PanicLine,))
def press_never_masked(step: Step) -> str | None:
    """One record for each new press, and for any press at all while nothing is latched and nothing drilled.

    Before the first full scan rule 29 speaks.
    """
    assert isinstance(step.event, PanicLine)
    event, people = step.event, step.facts.people
    if event.line is not Line.PRESSED or people.line_before is Line.PRESSED or not people.scanned:
        return None
    alone = not step.old.panic.latched and not step.old.drill.button and not step.old.drill.pressed
    if not (people.new_press or alone):
        return None
    records = [record for record in _of_kind(step, "panic.pressed") if record.data["button"] == event.button]
    return None if len(records) == 1 else f"a press of {event.button} made {len(records)} records"


@invariant(17, "real_unless_drilled", on=(PanicLine,))
def real_unless_drilled(step: Step) -> str | None:
    """What is not the drilled button's press is real: whatever mode, command or fault there is."""
    assert isinstance(step.event, PanicLine)
    if (
        step.old.drill.button == step.event.button and step.old.drill.live_at is not None
    ) or not step.facts.people.new_press:
        return None
    told, real = list(_of_kind(step, "panic.pressed")), _real_presses(step)
    return f"a press of {step.event.button} was taken as a drill" if told and not real else None


@invariant(18, "press_is_latched_in_its_step", on=MAY_BE_A_PRESS)
def press_is_latched_in_its_step(step: Step) -> str | None:
    """The latch goes to disk with the press, before anything is told upstream: same step, after the press."""
    presses = _real_presses(step)
    if not presses:
        return None
    if not step.new.panic.latched:
        return "a real press did not latch"
    kept = list(_of_kind(step, "box.latched"))
    if len(kept) != 1 or kept[0].seq < presses[-1].seq:
        return "the latch was not written with the press"
    panic = kept[0].data["panic"]
    return None if isinstance(panic, dict) and panic["latched"] is True else "the written latch does not say latched"


@invariant(19, "reset_on_site_only", reads=("panic",))
def reset_on_site_only(step: Step) -> str | None:
    if not step.old.panic.latched or step.new.panic.latched or isinstance(step.event, Started):
        return None
    if not (_key_turned(step, "panic_reset") or _asked_on_site(step, "panic_reset")):
        return f"{type(step.event).__name__} reset the panic alarm"
    pressed = [button for button, line in step.facts.people.lines.items() if line is Line.PRESSED]
    return f"reset while {pressed} pressed" if pressed else None


@invariant(19, "latch_survives_restart", on=(Started,))
def latch_survives_restart(step: Step) -> str | None:
    return _survives(step, "panic", "latched", survived=step.new.panic.latched) or _survives(
        step, "panic", "lockdown", survived=step.new.panic.lockdown
    )


@invariant(19, "all_clear_on_site_only", reads=("panic",))
def all_clear_on_site_only(step: Step) -> str | None:
    """A lockdown ends by an all-clear on site, with the reset of the panic that began it, or with the reset key where
    the far side asks for it: a request alone never ends one."""
    if not step.old.panic.lockdown or step.new.panic.lockdown or isinstance(step.event, Started):
        return None
    reset = step.old.panic.latched and not step.new.panic.latched
    asked = any(one.verb == "all_clear_request" for one in step.old.orders.asked)
    by_hand = _asked_on_site(step, "all_clear") or (asked and _key_turned(step, "panic_reset"))
    return None if reset or by_hand else f"{type(step.event).__name__} ended the lockdown"


def _survives(step: Step, part: str, field: str, *, survived: bool) -> str | None:
    assert isinstance(step.event, Started)
    kept = (step.event.latched or {}).get(part)
    was = isinstance(kept, dict) and kept.get(field) is True
    return f"{part} was {field} before the restart and is not now" if was and not survived else None


# ── 20 to 23 ───────────────────────────────────────────────────────────────────────────────────────────────────────


@invariant(20, "received_shown_on_receipt_only", reads=("panic", "fire", "health", "clock"), on=(AlarmStage, Started))
def received_shown_on_receipt_only(step: Step) -> str | None:
    """A lamp of a stage is lit only by what the far side said of an alarm that is open, and of a real one if any is."""
    alarms = step.new.panic.alarms
    real = step.new.panic.latched or any(not alarm.drill for alarm in alarms)
    told = (step.facts.people.stages.get(alarm.ref, 0) for alarm in alarms if not (real and alarm.drill))
    furthest = max(told, default=0)
    for lamp, stage in (("received", Stage.RECEIVED), ("coming", Stage.COMING)):
        level = step.outputs.lamps.get(lamp)
        if level is not None and level.on and furthest < ORDER[stage]:
            return f"lamp {lamp!r} without the far side's word"
    return None


@invariant(21, "bad_line_is_an_alarm", reads=("panic",), on=(PanicLine, ScanComplete))
def bad_line_is_an_alarm(step: Step) -> str | None:
    people = step.facts.people
    if not people.scanned:
        return None
    for name in step.new.rules.buttons:
        line, button = people.lines.get(name, Line.UNREAD), step.new.panic.buttons[name]
        if line in BAD_LINES and (button.line is not line or button.fault_ref is None):
            return f"the line of {name} is {line} and that is no alarm"
    return None


@invariant(21, "bad_line_is_told", on=(PanicLine,))
def bad_line_is_told(step: Step) -> str | None:
    """From well to bad: one alarm record, unless the alarm of a moment ago is still open."""
    assert isinstance(step.event, PanicLine)
    event = step.event
    old = step.old.panic.buttons.get(event.button)
    if event.line not in BAD_LINES or step.facts.people.line_before in BAD_LINES:
        return None
    open_already = old is not None and old.fault_ref is not None
    told = len(list(_of_kind(step, "panic.line_fault")))
    return None if open_already or told == 1 else f"{event.button} went {event.line} with {told} alarms"


@invariant(22, "drill_is_bounded", reads=("drill",))
def drill_is_bounded(step: Step) -> str | None:
    drill, limit = step.new.drill, step.new.rules.drill_max_s
    if not drill.button:
        return None
    if drill.button not in step.new.rules.buttons:
        return f"a drill of no button: {drill.button!r}"
    since = step.facts.people.drill_since
    since = step.now.mono_s if since is None else since
    if step.now.mono_s - since > limit or drill.ends_at - since > limit + LATE_S:
        return f"a drill longer than {limit} s"
    return None


@invariant(22, "drill_ends_by_itself", always=True)
def drill_ends_by_itself(step: Step) -> str | None:
    drill = step.new.drill
    return "a drill went on past its end" if drill.button and step.now.mono_s >= drill.ends_at else None


@invariant(22, "drill_starts_on_site_only", reads=("drill",))
def drill_starts_on_site_only(step: Step) -> str | None:
    if not step.new.drill.button or step.new.drill.ref == step.old.drill.ref:
        return None
    return None if _asked_on_site(step, "drill_start") else f"{type(step.event).__name__} started a drill"


@invariant(22, "drill_is_announced_first", reads=("drill",))
def drill_is_announced_first(step: Step) -> str | None:
    """Presses count as a drill only once the far side has its announcement, or a person on site goes ahead without."""
    drill = step.new.drill
    if drill.live_at is None or step.old.drill.live_at is not None or drill.ref is None:
        return None
    heard = step.facts.people.stages.get(drill.ref, 0) >= ORDER[Stage.RECEIVED]
    return None if heard or _asked_on_site(step, "drill_go_ahead") else "a drill that nobody was told of began"


@invariant(22, "second_press_is_real", on=(PanicLine,))
def second_press_is_real(step: Step) -> str | None:
    assert isinstance(step.event, PanicLine)
    event, people = step.event, step.facts.people
    first, since = people.pressed_before, people.drill_since
    if not people.new_press or since is None or first is None or first < since:
        return None
    quick = event.edge_at - first <= step.new.rules.drill_second_press_s
    return "a second press in a drill was not real" if quick and not _real_presses(step) else None


@invariant(22, "long_hold_is_real", always=True)
def long_hold_is_real(step: Step) -> str | None:
    """A drill's press that nobody let go of for 3 s has latched by now."""
    drill, people = step.new.drill, step.facts.people
    if not drill.pressed or people.lines.get(drill.pressed) is not Line.PRESSED or people.let_go.get(drill.pressed):
        return None
    pressed_at = people.pressed_at.get(drill.pressed)
    if pressed_at is None or isinstance(step.event, PanicLine):
        return None
    held_s = step.now.mono_s - pressed_at
    if held_s < step.new.rules.drill_hold_s + LATE_S or step.new.panic.latched:
        return None
    return f"{drill.pressed} held for {held_s:.1f} s in a drill and not real"


@invariant(22, "drill_is_labelled", reads=("panic", "drill"))
def drill_is_labelled(step: Step) -> str | None:
    """Every record of a press, a stage or a drill says whether it is a drill; a drill's alarm never says it is not."""
    drilled = {alarm.ref for alarm in (*step.old.panic.alarms, *step.new.panic.alarms) if alarm.drill}
    drilled |= {drill.ref for drill in (step.old.drill, step.new.drill) if drill.ref is not None}
    for record in step.records:
        if record.kind.startswith("drill.") and record.data.get("drill") is not True:
            return f"{record.kind} is not labelled"
        if record.kind in ("panic.pressed", "alarm.stage"):
            of_drill = record.ref in drilled if record.kind == "panic.pressed" else record.cause in drilled
            if record.data.get("drill") is not of_drill:
                return f"{record.kind} is labelled wrongly"
    return None


@invariant(23, "panic_waits_for_nothing", on=MAY_BE_A_PRESS)
def panic_waits_for_nothing(step: Step) -> str | None:
    """Clock, disk, uplink, camera, bus: whatever fails, lamp, siren and locks follow the press at once."""
    if not _real_presses(step):
        return None
    lamp = step.outputs.lamps.get("sent")
    if lamp is not None and lamp != Level(on=True, after=0):
        return f"the lamp waits: {lamp}"
    if step.outputs.siren != Level(on=step.new.rules.panic_audible, after=0):
        return f"the siren waits: {step.outputs.siren}"
    waiting = [door for door, lock in step.outputs.locks.items() if lock.on and lock.after]
    return f"{waiting} wait for a record" if waiting else None
