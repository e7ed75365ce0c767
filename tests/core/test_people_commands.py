"""Commands: who may ask what, each id once, one outcome each; notes; and every event has a subject."""

from __future__ import annotations

import inspect

import pytest
from people_scenes import Gate, kinds

from agent.core import box
from agent.core.commands import refusal
from agent.core.events import Command, Event, Note, Now, Tick
from agent.core.records import Record, encode
from agent.core.words import ClockTrust, Rank

VERBS = (
    "lower",
    "raise",
    "stop",
    "lane_clear_fault",
    "release",
    "lockdown",
    "all_clear",
    "acknowledge",
    "panic_reset",
    "fire_reset",
    "drill_start",
    "drill_go_ahead",
    "drill_end",
)
ARGS = {"lane": "main", "door": "wicket", "button": "office"}


def outcomes(records: tuple[Record, ...]) -> list[str]:
    return [record.kind for record in records if record.kind.startswith("command.")]


@pytest.mark.parametrize("verb", VERBS)
def test_upstream_may_lower_release_acknowledge_and_lock_down_only(verb: str) -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(1.0)
    why = refusal(gate.ask(verb, ARGS, Rank.UPSTREAM))
    allowed = verb in ("lower", "release", "acknowledge", "lockdown")
    assert (why != "rank") is allowed


@pytest.mark.parametrize("rank", [rank for rank in Rank if rank not in (Rank.CONSOLE, Rank.UPSTREAM, Rank.TIMETABLE)])
def test_nobody_claims_a_higher_rank_in_a_command(rank: Rank) -> None:
    gate = Gate().start()
    for verb in VERBS:
        records = gate.ask(verb, ARGS, rank)
        assert refusal(records) == "rank" and kinds(records) == ["command.refused"]


def test_the_timetable_starts_no_raise() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(5.0)
    assert refusal(gate.ask("raise", ARGS, Rank.TIMETABLE)) == ""
    gate.wait(10.0)
    assert not gate.of("lane.token")
    assert refusal(gate.ask("release", ARGS, Rank.TIMETABLE)) == "rank"


@pytest.mark.parametrize(
    ("verb", "args", "why"),
    [
        ("fly", {}, "unknown_verb"),
        ("", {}, "unknown_verb"),
        ("lower", {}, "unknown_lane"),
        ("raise", {"lane": "moon"}, "unknown_lane"),
        ("release", {}, "unknown_door"),
        ("acknowledge", {}, "no_alarm"),
        ("all_clear", {}, "not_on_site"),
        ("drill_end", {}, "no_drill"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(verb: str, args: dict[str, str], why: str) -> None:
    gate = Gate().start()
    records = gate.ask(verb, args)
    assert refusal(records) == why
    assert outcomes(records) == ["command.refused"]


def test_an_id_is_carried_out_once() -> None:
    gate = Gate().start()
    assert refusal(gate.ask("release", ARGS, id="x1")) == ""
    gate.wait(60.0)
    assert refusal(gate.ask("release", ARGS, id="x1")) == "duplicate"
    assert gate.lock("wicket").on
    assert refusal(gate.restart().ask("release", ARGS, id="x1")) == "duplicate"


def test_a_refused_id_is_spent() -> None:
    """What was refused is over: delivered again when it would be possible, nobody means it any more."""
    gate = Gate(lane_alive=True).start()
    gate.wait(1.0)
    assert refusal(gate.ask("acknowledge", {}, id="x1")) == "no_alarm"
    assert refusal(gate.ask("raise", {"lane": "main"}, Rank.UPSTREAM, id="x2")) == "rank"
    assert refusal(gate.ask("lower", {"lane": "main"}, id="x3")) == "already"
    gate.press()
    for number in (1, 2, 3):
        assert refusal(gate.ask("acknowledge", {}, id=f"x{number}")) == "duplicate"


def test_remembered_ids_are_bounded() -> None:
    gate = Gate().start()
    for number in range(100):
        gate.ask("release", ARGS, id=f"n{number}")
    assert len(gate.state.commands) == 32
    assert gate.state.commands[-1] == "n99"


def test_a_command_without_an_id_or_with_endless_text_is_bounded() -> None:
    gate = Gate().start()
    assert refusal(gate.send(_command(id=""))) == "no_id"
    records = gate.ask("x" * 5000, {"reason": "y" * 5000, "junk": "z" * 5000})
    assert len(encode(records[0])) < 1500


def _command(id: str) -> Event:
    return Command(id, Rank.CONSOLE, "desk", "lockdown", {})


def test_lane_verbs_answer_with_the_lanes_own_reason() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(1.0)
    records = gate.command("lower", lane="main")
    assert refusal(records) == "already"
    assert "lane.refused" in kinds(records) and outcomes(records) == ["command.refused"]
    gate.wait(5.0)
    records = gate.command("raise", lane="main")
    assert refusal(records) == "" and outcomes(records) == ["command.done"]


def test_the_outcome_tells_who_what_and_how() -> None:
    gate = Gate().start()
    done = gate.ask("release", {"door": "wicket", "reason": "delivery"}, id="x7")[0]
    assert done.kind == "command.done" and done.actor == "desk"
    args = {"door": "wicket", "reason": "delivery"}
    assert done.data == {"args": args, "id": "x7", "rank": "console", "verb": "release"}
    assert gate.of("door.released")[0].cause == done.ref


# ── notes, and the routing itself ──────────────────────────────────────────────────────────────────────────────────


def test_a_note_is_one_record_of_a_known_kind() -> None:
    gate = Gate().start()
    known = gate.send(Note("socket.refused", "control.sock", "uid:1", {"uid": 1}))
    assert kinds(known) == ["socket.refused"] and known[0].actor == "uid:1"
    other = gate.send(Note("something.new", "x", "y", {"a": 1.5, "b": [1, {"c": None}], "d": {2: True}}))
    assert kinds(other) == ["note"]
    data = {"a": "1.5", "b": [1, {"c": None}], "d": {"2": True}}
    assert other[0].data == {"kind": "something.new", "data": data}


def test_every_kind_of_event_has_a_subject() -> None:
    named = {cls.__name__ for cls in Event.__subclasses__()}
    routed = inspect.getsource(box)
    assert len(named) > 20
    assert [name for name in named if f"{name}()" not in routed] == []


def test_an_event_without_a_subject_is_a_mistake_of_ours() -> None:
    class Comet(Event, frozen=True):
        pass

    with pytest.raises(TypeError, match="Comet"):
        box.step(Gate().state, Comet(), Now(1.0, 0, ClockTrust.TRUSTED))


def test_a_tick_at_any_time_is_harmless() -> None:
    gate = Gate().start()
    gate.card("wicket-in", "uart-125k:0100A1B2C4")
    before = gate.state
    assert not gate.send(Tick())
    assert gate.state is before
