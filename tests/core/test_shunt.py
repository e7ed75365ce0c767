"""A door's own alarms put aside: by a person on site, for a while, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from people_scenes import GUARD, Gate, kinds

from agent.core.commands import refusal
from agent.core.events import DoorContact, PanicLine, Started
from agent.core.records import Record
from agent.core.words import Contact, Line, Rank


def shunted(minutes: str = "30") -> Gate:
    gate = Gate().start()
    gate.card("guard", GUARD)
    gate.command("door_shunt", door="wicket", minutes=minutes, reason="repair")
    return gate


def doors(records: Sequence[Record]) -> list[str]:
    return [kind for kind in kinds(records) if kind.startswith("door.")]


def test_it_needs_somebody_on_site() -> None:
    gate = Gate().start()
    made = gate.command("door_shunt", door="wicket", minutes="30", reason="repair")
    assert refusal(made) == "not_on_site"
    assert (
        refusal(gate.command("door_shunt", rank=Rank.UPSTREAM, door="wicket", minutes="30", reason="repair")) == "rank"
    )


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"door": "nowhere", "minutes": "5", "reason": "repair"}, "unknown_door"),
        ({"door": "wicket", "minutes": "0", "reason": "repair"}, "minutes:1-480"),
        ({"door": "wicket", "minutes": "481", "reason": "repair"}, "minutes:1-480"),
        ({"door": "wicket", "minutes": "soon", "reason": "repair"}, "minutes:1-480"),
        ({"door": "wicket", "minutes": "5", "reason": "张三说的"}, "reason"),
    ],
)
def test_a_bad_one_is_refused_and_no_word_of_it_written(args: dict[str, str], why: str) -> None:
    gate = Gate().start()
    gate.card("guard", GUARD)
    made = gate.ask("door_shunt", args)
    assert refusal(made) == why
    assert "张三" not in repr([record.data for record in made])


def test_a_shunted_door_opens_without_an_alarm_and_is_written_down() -> None:
    gate = shunted()
    told = gate.of("door.shunted")[0]
    assert (told.data, told.actor) == ({"minutes": 30, "reason": "repair"}, "guard-1")
    gate.send(DoorContact("wicket", Contact.OPEN))
    assert doors(gate.wait(600)) == []
    assert gate.of("door.opened")[0].data["lawful"] is True


def test_it_ends_by_itself_and_a_door_still_open_gets_its_time() -> None:
    gate = shunted("10")
    gate.send(DoorContact("wicket", Contact.OPEN))
    assert doors(gate.wait(601)) == ["door.shunt_ended"]
    assert doors(gate.wait(31)) == ["door.held_open"]


def test_it_ends_by_word_and_the_next_opening_is_forced() -> None:
    gate = shunted()
    gate.command("door_unshunt", door="wicket")
    assert gate.of("door.shunt_ended")[0].data == {"why": "command"}
    gate.send(DoorContact("wicket", Contact.OPEN))
    assert doors(gate.wait(1)) == ["door.forced"]
    assert refusal(gate.command("door_unshunt", door="wicket")) == "not_shunted"


def test_the_other_door_and_the_panic_line_know_nothing_of_it() -> None:
    gate = shunted()
    gate.send(DoorContact("gatehouse", Contact.OPEN))
    assert "door.forced" in kinds(gate.wait(1))
    assert "panic.line_fault" in kinds(gate.send(PanicLine("gatehouse", Line.CUT, gate.mono_s)))


def test_a_restart_ends_it() -> None:
    gate = shunted()
    latched = gate.of("box.latched")
    data: dict[str, object] | None = dict(latched[-1].data) if latched else None
    again = Gate()
    again.send(Started("b2", data, None, "power"))
    assert again.state.doors["wicket"].shunted_until_at is None
