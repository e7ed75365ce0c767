"""The far side's signed commands: at most once, in their time, across restarts; and what it may only ask for."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from people_scenes import GUARD, WALL_MS, Gate, kinds

from agent.core import orders
from agent.core.commands import refusal
from agent.core.events import ClockChanged, Command, Now
from agent.core.orders import ALL_CLEAR_S, DRILL_S, KEPT, MOST_VALID_MS
from agent.core.records import Record
from agent.core.state import BoxState
from agent.core.words import ClockTrust, Line, Rank

MINUTE_MS = 60_000


def signed(ident: str, verb: str = "release", issued_ms: int = WALL_MS, lasts_ms: int = MINUTE_MS) -> Command:
    args = {"door": "wicket", "lane": "main"}
    return Command(ident, Rank.UPSTREAM, "upstream:k1", verb, args, issued_ms, issued_ms + lasts_ms)


def ended(gate: Gate) -> list[tuple[object, object]]:
    return [(record.data["verb"], record.data["why"]) for record in gate.of("request.ended")]


# ── once, and in its time ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_signed_command_is_carried_out_and_names_its_key() -> None:
    gate = Gate().start()
    records = gate.send(signed("s1"))
    assert refusal(records) == ""
    assert (records[0].kind, records[0].actor, records[0].data["rank"]) == ("command.done", "upstream:k1", "upstream")
    assert not gate.lock("wicket").on


def test_the_same_one_again_is_refused_also_after_a_restart() -> None:
    gate = Gate().start()
    gate.send(signed("s1"))
    assert refusal(gate.send(signed("s1"))) == "duplicate"
    again = gate.restart()
    again.scan()
    assert refusal(again.send(signed("s1"))) == "duplicate"
    assert again.lock("wicket").on


def test_a_crowd_at_the_screen_does_not_push_it_out_of_memory() -> None:
    """The ids of the gate's own screens are remembered by number; a replay within its time must not wait for that."""
    gate = Gate().start()
    gate.send(signed("s1"))
    for _ in range(100):
        gate.command("release", door="wicket")
    assert refusal(gate.send(signed("s1"))) == "duplicate"


@pytest.mark.parametrize("how", ["flood", "time", "restart"])
def test_a_forgotten_one_never_comes_again_even_by_a_clock_set_back(how: str) -> None:
    gate = Gate().start()
    gate.send(signed("s0"))
    if how == "flood":
        for number in range(KEPT):
            gate.send(signed(f"f{number}", lasts_ms=MINUTE_MS + 1 + number))
    else:
        gate.wait(61.0)
        gate.order("release", door="wicket")
    if how == "restart":
        gate = gate.restart()
        gate.scan()
    assert "s0" not in gate.state.orders.spent
    assert len(gate.state.orders.spent) <= KEPT
    gate.wall_ms = WALL_MS + 1000
    gate.send(ClockChanged(ClockTrust.TRUSTED, -60_000))
    assert refusal(gate.send(signed("s0"))) == "expired"


def test_an_id_used_anew_after_its_time_is_another_command() -> None:
    """For the box and for its judge: what is signed anew, to expire later, is no replay."""
    gate = Gate().start()
    for _ in range(2):
        assert "command.done" in kinds(gate.order("release", id="s1", door="wicket"))
        gate.wait(61.0)
        gate.order("release", door="wicket")


def test_a_refused_one_is_over_too() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(1.0)
    assert refusal(gate.send(signed("s1", "raise"))) == "rank"
    assert refusal(gate.send(signed("s1", "lockdown"))) == "duplicate"


@pytest.mark.parametrize(
    ("issued_ms", "lasts_ms", "why"),
    [
        (WALL_MS - MINUTE_MS, MINUTE_MS, "expired"),
        (WALL_MS - MINUTE_MS + 1, MINUTE_MS, ""),
        (WALL_MS + 5_000, MINUTE_MS, ""),
        (WALL_MS + 5_001, MINUTE_MS, "from_the_future"),
        (WALL_MS, MOST_VALID_MS, ""),
        (WALL_MS, MOST_VALID_MS + 1, "validity:1-600"),
        (WALL_MS, 0, "validity:1-600"),
        (WALL_MS, -1, "validity:1-600"),
    ],
)
def test_outside_its_time_it_is_nothing(issued_ms: int, lasts_ms: int, why: str) -> None:
    gate = Gate().start()
    assert refusal(gate.send(signed("s1", issued_ms=issued_ms, lasts_ms=lasts_ms))) == why
    assert ("s1" in gate.state.orders.spent) is (not why)


def test_without_a_clock_nobody_can_say_what_is_stale() -> None:
    gate = Gate().start()
    gate.trust = ClockTrust.UNTRUSTED
    gate.send(ClockChanged(ClockTrust.UNTRUSTED))
    assert refusal(gate.send(signed("s1"))) == "clock_untrusted"
    gate.trust = ClockTrust.HOLDOVER
    gate.send(ClockChanged(ClockTrust.HOLDOVER))
    assert refusal(gate.send(signed("s1"))) == ""


def test_a_memory_that_cannot_be_read_takes_nothing_that_may_have_been_done() -> None:
    gate = Gate().start()
    gate.send(signed("s1"))
    kept: dict[str, object] = {**gate.of("box.latched")[-1].data, "orders": {"spent": 7}}
    again = Gate()
    again.wall_ms = gate.wall_ms
    again.start(kept, (1, 1))
    assert [record.data["part"] for record in again.of("box.restore_failed")] == ["orders"]
    assert refusal(again.send(signed("s1"))) == "expired"
    again.wait(MOST_VALID_MS / 1000)
    assert refusal(again.order("release", door="wicket")) == ""


# ── what it may do at all ──────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_no_raise_and_no_reset_from_afar() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(5.0)
    gate.card("guard", GUARD)
    for verb in ("raise", "stop", "lane_clear_fault", "panic_reset", "fire_reset", "all_clear", "drill_start"):
        assert refusal(gate.order(verb, lane="main", button="office")) == "rank", verb
    assert not gate.outputs.motions


def test_nobody_lowers_from_afar_while_the_emergency_raise_is_latched() -> None:
    gate = Gate(lane_alive=True).start()
    gate.wait(3.0)
    gate.press()
    assert gate.state.lanes["main"].efo
    assert refusal(gate.order("lower", lane="main")) == "efo_latched"
    assert refusal(gate.order("lockdown")) == ""
    assert refusal(gate.order("acknowledge")) == ""
    assert refusal(gate.order("release", door="wicket")) == "lockdown"


# ── what it may only ask for ───────────────────────────────────────────────────────────────────────────────────────


def asks_all_clear() -> Gate:
    gate = Gate().start()
    gate.order("lockdown")
    assert kinds(gate.order("all_clear_request", reason="over")) == ["command.done"]
    return gate


def test_an_all_clear_is_only_asked_for() -> None:
    gate = asks_all_clear()
    assert gate.state.panic.lockdown
    (one,) = gate.state.orders.asked
    assert (one.verb, one.reason, one.actor) == ("all_clear_request", "over", "upstream:k1")


def test_the_reset_key_grants_it() -> None:
    gate = asks_all_clear()
    records = gate.turn("panic-reset")
    assert kinds(records) == ["lockdown.ended", "request.ended"]
    assert records[0].actor == "key:panic-reset" and records[0].cause == gate.of("command.done")[-1].ref
    assert not gate.state.panic.lockdown and not gate.state.orders.asked
    assert ended(gate) == [("all_clear_request", "done")]


def test_a_guards_card_and_command_grant_it() -> None:
    gate = asks_all_clear()
    assert refusal(gate.command("all_clear")) == "not_on_site"
    gate.card("guard", GUARD)
    assert refusal(gate.command("all_clear")) == ""
    assert ended(gate) == [("all_clear_request", "done")]


def test_the_reset_key_alone_ends_no_lockdown() -> None:
    gate = Gate().start()
    gate.order("lockdown")
    assert kinds(gate.turn("panic-reset")) == ["panic.reset_refused"]
    assert gate.state.panic.lockdown


def test_a_request_runs_out() -> None:
    gate = asks_all_clear()
    gate.wait(ALL_CLEAR_S)
    assert ended(gate) == [("all_clear_request", "expired")]
    assert kinds(gate.turn("panic-reset")) == ["panic.reset_refused"]


def test_a_restart_drops_it_and_says_so() -> None:
    gate = asks_all_clear().restart()
    gate.scan()
    assert ended(gate) == [("all_clear_request", "restart")]
    assert gate.state.panic.lockdown and not gate.state.orders.asked


def test_a_newer_one_takes_its_place() -> None:
    gate = asks_all_clear()
    gate.order("all_clear_request", reason="really")
    assert [one.reason for one in gate.state.orders.asked] == ["really"]
    assert ended(gate) == [("all_clear_request", "replaced")]


def test_what_makes_no_sense_is_not_shown() -> None:
    gate = Gate().start()
    assert refusal(gate.order("all_clear_request")) == "no_lockdown"
    gate.press()
    assert refusal(gate.order("all_clear_request")) == "panic_latched"
    assert refusal(gate.order("drill_propose", button="office")) == "panic_latched"
    assert refusal(Gate().start().order("drill_propose", button="moon")) == "unknown_button"
    assert not gate.state.orders.asked


def test_who_stands_at_the_gate_asks_nobody() -> None:
    gate = Gate().start()
    gate.command("lockdown")
    assert refusal(gate.command("all_clear_request")) == "rank"
    assert refusal(gate.command("drill_propose", button="office")) == "rank"


def test_a_drill_is_proposed_and_a_person_starts_it_or_lets_it_pass() -> None:
    gate = Gate().start()
    records: tuple[Record, ...] = gate.order("drill_propose", button="office", minutes="3", reason="monthly_test")
    assert records[0].data["drill"] is True
    assert not gate.state.drill.button
    assert gate.press("office")[0].data["drill"] is False, "a proposal masks no press"
    gate = Gate().start()
    gate.order("drill_propose", button="office", minutes="3", reason="training")
    gate.drill("gatehouse")
    assert len(gate.state.orders.asked) == 1
    gate.command("drill_end")
    gate.drill("office")
    assert ended(gate) == [("drill_propose", "done")]
    gate.command("drill_end")
    gate.order("drill_propose", button="office", reason="training")
    gate.wait(DRILL_S)
    assert ended(gate)[-1] == ("drill_propose", "expired")


def test_a_proposal_for_a_button_that_is_cut_is_refused() -> None:
    gate = Gate().start()
    gate.line("office", Line.CUT)
    assert refusal(gate.order("drill_propose", button="office")) == "line:cut"


def test_asking_is_kept_apart_from_the_ids_of_screens() -> None:
    gate = Gate().start()
    gate.state = replace(gate.state, commands=("s1",))
    assert refusal(gate.send(signed("s1"))) == ""


# ── in any order of deliveries, clocks, floods and restarts ────────────────────────────────────────────────────────


def played(rng: random.Random, moves: int) -> list[str]:
    """A few commands, each good for a minute, delivered as often as somebody likes while everything else happens;
    the ids carried out, in order."""
    gate = Gate().start()
    given = [signed(f"s{number}", issued_ms=WALL_MS + MINUTE_MS * number) for number in range(3)]
    done: list[str] = []
    for move in range(moves):
        match rng.choice(("deliver", "deliver", "deliver", "wait", "clock", "restart", "crowd")):
            case "deliver":
                order = rng.choice(given)
                done += [order.id] if not refusal(gate.send(order)) else []
            case "wait":
                gate.wait(rng.choice((1, 30, 61, 150)))
            case "clock":
                gate.wall_ms += rng.choice((-200, -90, -61, -30, 61)) * 1000
            case "restart":
                gate = gate.restart()
                gate.scan()
            case _:
                for number in range(rng.choice((1, KEPT + 1))):
                    gate.order("release", id=f"f{move}-{number}", lasts_s=rng.choice((1, 90)), door="wicket")
        assert len(gate.state.orders.spent) <= KEPT
    return done


def twice(rng: random.Random, runs: int) -> list[str] | None:
    """What was done in the first run that did a command twice; None where none did."""
    for _ in range(runs):
        done = played(rng, 30)
        if len(done) != len(set(done)):
            return done
    return None


def test_no_order_of_deliveries_clocks_floods_and_restarts_does_one_twice(seed: int) -> None:
    assert twice(random.Random(seed), 150) is None


def test_without_the_floor_below_what_is_forgotten_one_is_done_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = orders.refusal

    def forgets(state: BoxState, event: Command, now: Now) -> str:
        return judge(replace(state, orders=replace(state.orders, floor_ms=0)), event, now)

    monkeypatch.setattr(orders, "refusal", forgets)
    monkeypatch.setattr("people_scenes.Watch.look", lambda *step: [])  # the invariant would stop the search
    assert twice(random.Random(seed), 400) is not None
