"""The demo's stories about the far side: what it may command, and what it may only ask for."""

from __future__ import annotations

import time

from agent.demo.eyes import ms_since, ready, requests, reset
from agent.demo.gate import Entry, Gate
from agent.demo.stage import Stage
from agent.demo.timeline import Timeline

STAFF = "0100A1B2C4"
BAD = ("forged", "stale", "replay", "wrong_box", "huge", "malformed")  # what the district's page can be told to send


def commands(stage: Stage, gate: Gate, line: Timeline) -> None:
    """Signed commands: lockdown, what is refused, and an all-clear that only a person on site gives."""
    ready(gate)
    line.title("The district locks the way in down, by a signed command.")
    asked = time.monotonic_ns()
    gate.order("lockdown")
    gate.wait("the way in is locked down", lambda: gate.state()["panic"]["lockdown"], 10)
    line.step("command given → way in locked down", ms=(time.monotonic_ns() - asked) / 1e6)
    line.title("A staff card is refused now; from inside the way out stays free.")
    lock = gate.gpio("lock", "wicket", "lock")
    swiped = gate.do("swipe", reader="wicket-in", card=STAFF)
    time.sleep(1.0)
    unlocked = [e for e in gate.wire(swiped) if e["kind"] == "pin" and e["gpio"] == lock and e["level"] == 0]
    line.step("the wicket stays locked", not unlocked)
    rex = gate.do("rex", door="wicket")
    line.step("REX → wicket unlocked", ms=ms_since(gate.wait_pin("REX unlocks", lock, 0, rex), rex))
    line.title("Somebody tries: forged, stale, replayed, for another box, far too long, cut short; and a raise.")
    for lie in BAD:
        _refused(gate, line, lie)
    line.title("The box is killed (kill -9) and starts again; somebody replays the lockdown once more.")
    stage.box.kill()
    stage.box.start()
    gate.wait("the box serves its page again", lambda: gate.state()["scanned"], 20)
    gate.wait("the uplink is up", lambda: gate.state()["paths"][0]["up"], 20)
    gate.order("lockdown", lie="replay")
    gate.wait("it is known", lambda: gate.state()["orders"]["refused"] == {"duplicate": 1}, 5)
    line.step("replay after a restart: refused, its id is in the journal", bool(gate.state()["panic"]["lockdown"]))
    since = time.monotonic_ns()
    gate.order("raise", lane="main")
    gate.wait("it is refused", lambda: gate.state()["orders"]["refused"].get("rank"), 5)
    line.step("a raise from afar is refused, nothing on the wire", not requests(gate, "", since))
    line.title("The district asks for the all-clear. The gate only shows that.")
    gate.order("all_clear_request", reason="search over")
    gate.wait("the page shows it", lambda: gate.state()["asked"], 10)
    line.step("still locked down", bool(gate.state()["panic"]["lockdown"]))
    line.title("The guard finds the gate safe and turns the reset key.")
    turned = reset(gate)
    gate.wait("the lockdown is over", lambda: not gate.state()["panic"]["lockdown"], 5)
    line.step("key turned → all-clear", ms=(time.monotonic_ns() - turned) / 1e6)
    line.step("nothing is asked for any more", not gate.state()["asked"])
    told = gate.wait("the district has the records", lambda: _told(gate), 10)
    line.step(f"the district reads what came of it: {told}", told == ["lockdown", "all_clear_request"])


def _refused(gate: Gate, line: Timeline, lie: str) -> None:
    before = sum(gate.state()["orders"]["refused"].values())
    gate.order("release", lie=lie, door="wicket")
    gate.wait(f"{lie} is refused", lambda: sum(gate.state()["orders"]["refused"].values()) > before, 5)
    line.step(f"{lie}: refused", gate.state()["orders"]["done"] == 1)  # the lockdown alone


def _told(gate: Gate) -> list[str]:
    """The verbs of the far side's commands that were done, once the end of the request is there too."""
    box = f"{gate.site.site.id}/{gate.site.site.box}"
    records: list[Entry] = [entry["record"] for entry in gate.records(box)]
    if not any(record["kind"] == "request.ended" for record in records):
        return []
    return [r["data"]["verb"] for r in records if r["kind"] == "command.done" and r["data"]["rank"] == "upstream"]
