"""Every invariant of people, records and time bites: one seeded bug each, and exactly that invariant sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from people_scenes import GUARD, PUPIL, RESPONDER, STAFF, UNKNOWN, Gate, reading

from agent.core import (
    access,
    assemble,
    clock,
    commands,
    door,
    drill,
    fire,
    kinds,
    lane_allow,
    lane_reading,
    latched,
    lifecycle,
    orders,
    panic,
    shunt,
)
from agent.core.events import (
    AlarmStage,
    BollardReading,
    ClockChanged,
    Command,
    FireInput,
    Note,
    PanicLine,
    PathHealth,
    Rex,
    ScanComplete,
    Tick,
)
from agent.core.invariants import REGISTRY
from agent.core.log import Log
from agent.core.outputs import Level
from agent.core.records import Weight
from agent.core.state import BoxState, FireState
from agent.core.words import FROM_AFAR, STAGES, ClockTrust, Line, Mode, Rank, Stage

Bug = Callable[[pytest.MonkeyPatch], None]
Scene = Callable[[Gate], "Gate | None"]

SEEDED: dict[str, tuple[Bug, Scene]] = {}
OTHERS = ("agent.core.invariants_campus", "agent.core.invariants_duty")  # have suites of their own
PEOPLE = tuple(rule.name for rule in REGISTRY if rule.number >= 14 and rule.check.__module__ not in OTHERS)


def seeded(name: str, bug: Bug, where: str = "") -> Callable[[Scene], Scene]:
    """Register the scene below as the one in which `bug` breaks exactly the invariant `name`; `where` tells it from
    others of the same rule."""

    def register(scene: Scene) -> Scene:
        key = f"{name}: {where}" if where else name
        assert key not in SEEDED
        SEEDED[key] = (bug, scene)
        return scene

    return register


def becomes(module: object, name: str, new: object) -> Bug:
    return lambda patch: patch.setattr(module, name, new)


def keep_state(state: BoxState, *rest: Any, **named: Any) -> BoxState:
    return state


def wraps(module: Any, name: str, around: Callable[..., Any]) -> Bug:
    """The bug calls what it replaces: `around(original, *args)`."""
    original = getattr(module, name)
    return lambda patch: patch.setattr(module, name, lambda *args, **named: around(original, *args, **named))


# ── 14 to 16 ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _rex_not_in_lockdown(original: Any, state: BoxState, *rest: Any) -> BoxState:
    return state if state.panic.lockdown else original(state, *rest)


@seeded("rex_opens_always", wraps(door, "on_rex", _rex_not_in_lockdown))
def _(gate: Gate) -> None:
    gate.start().command("lockdown")
    gate.send(Rex("wicket"))


@seeded(
    "fire_opens_evacuation_doors",
    wraps(assemble, "_lock", lambda original, part, epoch, *, released: original(part, epoch, released=False)),
)
def _(gate: Gate) -> None:
    gate.start().send(FireInput(True))


@seeded("leaving_is_never_refused_by_the_lock", becomes(access, "_free_to_leave", lambda state, reader: False))
def _(gate: Gate) -> None:
    gate.start().card("wicket-out", UNKNOWN)


@seeded("responder_enters", becomes(access, "_locked_down", lambda *rest: True))
def _(gate: Gate) -> None:
    gate.start().command("lockdown")
    gate.card("wicket-in", RESPONDER)


@seeded("lockdown_shuts_entry", becomes(access, "_locked_down", lambda *rest: False))
def _(gate: Gate) -> None:
    gate.start().command("lockdown")
    gate.card("wicket-in", STAFF)


@seeded("panic_locks_entry", becomes(door, "on_lockdown", keep_state))
def _(gate: Gate) -> None:
    gate.start().card("wicket-in", STAFF)
    gate.press()


def _quiet_resets(original: Any, state: BoxState, event: FireInput, *rest: Any) -> BoxState:
    state = original(state, event, *rest)
    return replace(state, fire=FireState(input=False, key=False)) if event.active is False else state


@seeded("relock_after_fire_by_hand_only", wraps(fire, "on_input", _quiet_resets))
def _(gate: Gate) -> None:
    gate.start().send(FireInput(True))
    gate.send(FireInput(False))


@seeded("fire_release_survives_restart", becomes(latched, "_restore_fire", keep_state))
def _(gate: Gate) -> Gate:
    gate.start().send(FireInput(True))
    return gate.restart()


# ── 17 to 19 ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _deaf_in_a_fire(original: Any, state: BoxState, *rest: Any) -> BoxState:
    return state if state.fire.latched else original(state, *rest)


@seeded("press_never_masked", wraps(panic, "_pressed", _deaf_in_a_fire))
def _(gate: Gate) -> None:
    gate.start().turn("fire")
    gate.press()


@seeded("real_unless_drilled", becomes(drill, "takes", lambda state, button, at: bool(state.drill.button)))
def _(gate: Gate) -> None:
    gate.start().drill("gatehouse")
    gate.press("wicket")


@seeded("press_is_latched_in_its_step", becomes(latched, "note", lambda *rest, **named: None))
def _(gate: Gate) -> None:
    gate.start().press()


@seeded("reset_on_site_only", becomes(access, "on_site", lambda *rest: True))
def _(gate: Gate) -> None:
    gate.start().press()
    gate.command("panic_reset")


@seeded("latch_survives_restart", becomes(latched, "_restore_panic", keep_state))
def _(gate: Gate) -> Gate:
    gate.start().press()
    return gate.restart()


@seeded("all_clear_on_site_only", becomes(access, "on_site", lambda *rest: True))
def _(gate: Gate) -> None:
    gate.start().command("lockdown")
    gate.command("all_clear")


# ── 20 to 23 ───────────────────────────────────────────────────────────────────────────────────────────────────────


@seeded("received_shown_on_receipt_only", becomes(assemble, "RECEIVED", STAGES.index(Stage.SENT)))
def _(gate: Gate) -> None:
    ref = gate.start().press()[0].ref
    gate.send(AlarmStage(ref, "mqtt", Stage.SENT))


@seeded("bad_line_is_an_alarm", becomes(panic, "on_scan", keep_state))
def _(gate: Gate) -> None:
    gate.boot()
    gate.line("gatehouse", Line.NORMAL)
    gate.send(ScanComplete())


def _fault_without_a_word(original: Any, state: BoxState, name: str, log: Log) -> BoxState:
    state = original(state, name, log)
    log.records.pop()
    log.next_seq -= 1
    return state


@seeded("bad_line_is_told", wraps(panic, "_line_fault", _fault_without_a_word))
def _(gate: Gate) -> None:
    gate.start().line("office", Line.CUT)


def _endless(original: Any, *rest: Any) -> BoxState:
    state: BoxState = original(*rest)
    return replace(state, drill=replace(state.drill, ends_at=state.drill.ends_at + 3600.0))


@seeded("drill_is_bounded", wraps(drill, "start", _endless))
def _(gate: Gate) -> None:
    gate.start().drill()


@seeded("drill_ends_by_itself", becomes(drill, "on_tick", keep_state))
def _(gate: Gate) -> None:
    gate.start().drill(minutes="1")
    gate.mono_s += 61.0
    gate.send(Tick())


@seeded("drill_starts_on_site_only", becomes(access, "on_site", lambda *rest: True))
def _(gate: Gate) -> None:
    gate.start().command("drill_start", button="office", reason="training")


@seeded("drill_is_announced_first", becomes(drill, "FROM_AFAR", {*FROM_AFAR, Stage.SENT}))
def _(gate: Gate) -> None:
    ref = gate.start().announce()
    gate.send(AlarmStage(ref, "mqtt", Stage.SENT))


@seeded("second_press_is_real", becomes(drill, "takes", lambda state, button, at: state.drill.button == button))
def _(gate: Gate) -> None:
    gate.start().drill()
    gate.press()
    gate.wait(2.0)
    gate.press()


@seeded("long_hold_is_real", becomes(drill, "real_at", lambda state: float("inf")))
def _(gate: Gate) -> None:
    gate.start().drill()
    gate.line("gatehouse", Line.PRESSED)
    gate.wait(4.0)
    gate.send(Tick())


def _mislabelled(original: Any, state: BoxState, alarm: Any, event: Any, log: Log) -> BoxState:
    state = original(state, alarm, event, log)
    log.records[-1].data["drill"] = False
    return state


@seeded("drill_is_labelled", wraps(panic, "_advance", _mislabelled))
def _(gate: Gate) -> None:
    gate.start().drill()
    ref = gate.press()[0].ref
    gate.send(AlarmStage(ref, "mqtt", Stage.SENT))


def _lamps_wait(original: Any, state: BoxState, faulty: bool) -> dict[str, Level]:
    return {name: Level(on=level.on, after=state.next_seq) for name, level in original(state, faulty).items()}


@seeded("panic_waits_for_nothing", wraps(assemble, "_lamps", _lamps_wait))
def _(gate: Gate) -> None:
    gate.start().press()


# ── 24 to 26 ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _twice(kind: str) -> Callable[..., BoxState]:
    def around(original: Any, state: BoxState, event: Any, now: Any, log: Log) -> BoxState:
        state = original(state, event, now, log)
        log.add(kind, "again", {"why": "again"})
        return state

    return around


@seeded("one_record_for_each_command", wraps(commands, "on_command", _twice("command.refused")))
def _(gate: Gate) -> None:
    gate.start().command("lockdown")


def _forgets(original: Any, state: BoxState, *rest: Any) -> str:
    why: str = original(state, *rest)
    return "" if why == "duplicate" else why


@seeded("each_command_once", wraps(commands, "_refusal", _forgets))
def _(gate: Gate) -> None:
    gate.start()
    gate.ask("release", {"door": "wicket"}, id="x1")
    gate.ask("release", {"door": "wicket"}, id="x1")


@seeded("signed_once_and_in_its_time", becomes(orders, "refusal", lambda state, event, now: ""))
def _(gate: Gate) -> None:
    gate.start()
    event = Command("s1", Rank.UPSTREAM, "upstream:k", "release", {"door": "wicket"}, gate.wall_ms, gate.wall_ms + 900)
    gate.send(event)
    gate.wait(0.1)
    gate.send(event)


@seeded("one_record_for_each_card", wraps(access, "on_card", _twice("access.denied")))
def _(gate: Gate) -> None:
    gate.start().card("wicket-in", STAFF)


@seeded("one_record_for_each_note", becomes(lifecycle, "on_note", keep_state))
def _(gate: Gate) -> None:
    gate.start().send(Note("view.journal", "journal", "desk", {}))


@seeded(
    "one_record_for_each_clock_change",
    becomes(
        clock,
        "on_change",
        lambda state, event, now, log: replace(state, clock=clock._next(state.clock, event.trust, now)),
    ),
)
def _(gate: Gate) -> None:
    gate.start().send(ClockChanged(ClockTrust.HOLDOVER))


@seeded(
    "one_record_for_each_mode_change", becomes(lane_reading, "_change_mode", lambda bench, mode: bench.set(mode=mode))
)
def _(gate: Gate) -> None:
    gate.start()
    gate.mono_s += 0.1
    gate.send(reading(gate.mono_s, mode=Mode.LOCAL))


def _overwrites(original: Any, old: BoxState, new: BoxState, log: Log, **named: Any) -> None:
    original(old, new, log, **named)
    if log.records:
        log.next_seq -= 1


@seeded("records_only_grow", wraps(latched, "note", _overwrites))
def _(gate: Gate) -> None:
    gate.start()


@seeded("records_have_their_weight", lambda patch: patch.setitem(kinds.WEIGHT, "panic.pressed", Weight.FACT))
def _(gate: Gate) -> None:
    gate.start().press()


# ── 27 to 30 ───────────────────────────────────────────────────────────────────────────────────────────────────────


@seeded("bad_clock_closes_entry", becomes(access, "_of_validity", lambda *rest, **named: ""))
def _(gate: Gate) -> None:
    gate.start()
    gate.trust = ClockTrust.UNTRUSTED
    gate.card("wicket-in", PUPIL)


@seeded("bad_clock_moves_nothing", becomes(lane_allow, "_why_not_lower", lambda *rest: ""))
def _(gate: Gate) -> None:
    gate.start()
    gate.trust = ClockTrust.UNTRUSTED
    gate.send(ClockChanged(ClockTrust.UNTRUSTED))
    up = BollardReading(up=True, down=False, moving=False, token=0)
    gate.mono_s += 0.1
    gate.send(reading(gate.mono_s, mode=Mode.LOCAL, bollards={"main-1": up, "main-2": up}))
    gate.mono_s += 0.1
    gate.send(reading(gate.mono_s, bollards={"main-1": up, "main-2": up}))
    gate.command("lower", Rank.TIMETABLE, lane="main")


@seeded(
    "nothing_goes_out_before_the_scan",
    wraps(lifecycle, "on_started", lambda original, *rest: replace(original(*rest), scanned=True)),
)
def _(gate: Gate) -> None:
    gate.boot()


def _deaf_before_the_scan(original: Any, state: BoxState, event: PanicLine, *rest: Any) -> BoxState:
    return original(state, event, *rest) if state.scanned else state


@seeded("found_active_is_a_press", wraps(panic, "_pressed", _deaf_before_the_scan))
def _(gate: Gate) -> None:
    gate.boot()
    gate.line("gatehouse", Line.PRESSED)


@seeded("no_card_number_in_records", becomes(access, "ID_TAIL", 40))
def _(gate: Gate) -> None:
    gate.start().card("wicket-in", UNKNOWN)


@seeded(
    "holders_are_pseudonyms",
    wraps(access, "_passage", lambda original, *rest: original(*rest) | {"holder": "王小明"}),
)
def _(gate: Gate) -> None:
    gate.start().card("guard", GUARD)


@seeded("a_shunt_is_short_and_told", becomes(shunt, "MOST_MIN", 9999))
def _(gate: Gate) -> None:
    gate.start().card("guard", GUARD)
    gate.command("door_shunt", door="wicket", minutes="2880", reason="repair")


# ── in a step that changes nothing but what the rule is about ──────────────────────────────────────────────────────


def _lockdown_beats_fire(original: Any, state: BoxState) -> dict[str, Level]:
    locks: dict[str, Level] = original(replace(state, fire=FireState()) if state.panic.lockdown else state)
    return locks


@seeded("fire_opens_evacuation_doors", wraps(assemble, "_locks", _lockdown_beats_fire), "a press during fire")
def _(gate: Gate) -> None:
    gate.start().send(FireInput(True))
    gate.press()


def _a_path_is_a_receipt(original: Any, state: BoxState, faulty: bool) -> dict[str, Level]:
    lamps: dict[str, Level] = original(state, faulty)
    return lamps | {"received": Level(on=any(path.up for path in state.health.paths.values()))}


@seeded("received_shown_on_receipt_only", wraps(assemble, "_lamps", _a_path_is_a_receipt), "a path comes up")
def _(gate: Gate) -> None:
    gate.start().send(PathHealth("mqtt", up=True))


def held_in_a_drill(gate: Gate) -> None:
    """A drill's press that time makes a real one, with somebody just let in."""
    gate.start().drill()
    gate.line("gatehouse", Line.PRESSED)
    gate.wait(2.0)
    gate.card("wicket-in", STAFF)
    gate.wait(2.0)


def _not_when_held(original: Any, old: BoxState, new: BoxState, log: Log, **named: Any) -> None:
    if not any("held_ms" in record.data for record in log.records):
        original(old, new, log, **named)


seeded("press_is_latched_in_its_step", wraps(latched, "note", _not_when_held), "held in a drill")(held_in_a_drill)
seeded("panic_locks_entry", becomes(door, "on_lockdown", keep_state), "held in a drill")(held_in_a_drill)
seeded("panic_waits_for_nothing", wraps(assemble, "_lamps", _lamps_wait), "held in a drill")(held_in_a_drill)


# ── the tests ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", SEEDED)
def test_exactly_the_broken_rule_is_named(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bug, scene = SEEDED[key]
    well = Gate()
    scene(well)
    assert not well.violations
    bug(monkeypatch)
    broken = Gate(strict=False)
    last = scene(broken) or broken
    found = {v.name for gate in (broken, last) for v in gate.violations if v.name in PEOPLE}
    assert found == {key.partition(":")[0]}


def test_every_rule_of_people_has_its_bug() -> None:
    assert {key.partition(":")[0] for key in SEEDED} == set(PEOPLE)
