"""The demo's stories about the far side: what it may command, what it may only ask for, and a drill it hears of."""

from __future__ import annotations

import subprocess
import sys
import time

from agent.demo import school
from agent.demo.campus_stories import judged
from agent.demo.eyes import ms_since, ready, requests, reset, settle, wait_position
from agent.demo.gate import Entry, Gate
from agent.demo.stage import Stage
from agent.demo.timeline import Timeline
from agent.drills.report import opened
from agent.journal.schema import FILE
from hardware.places import storage_dir

STAFF = "0100A1B2C4"
BAD = ("forged", "stale", "replay", "wrong_box", "huge", "malformed")  # what the district's page can be told to send


def commands(stage: Stage, gate: Gate, line: Timeline) -> None:
    """Signed commands: lockdown, what is refused, and an all-clear that only a person on site gives."""
    ready(gate)
    line.title("The district locks the way in down, by a signed command.")
    asked = time.monotonic_ns()
    gate.order("lockdown")
    gate.wait("the way in is locked down", lambda: gate.state()["panic"]["lockdown"])
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
    gate.wait("the box serves its page again", lambda: gate.state()["scanned"])
    gate.wait("the uplink is up", lambda: gate.state()["paths"][0]["up"])
    gate.order("lockdown", lie="replay")
    gate.wait("it is known", lambda: gate.state()["orders"]["refused"] == {"duplicate": 1})
    line.step("replay after a restart: refused, its id is in the journal", bool(gate.state()["panic"]["lockdown"]))
    since = time.monotonic_ns()
    gate.order("raise", lane="main")
    gate.wait("it is refused", lambda: gate.state()["orders"]["refused"].get("rank"))
    line.step("a raise from afar is refused, nothing on the wire", not requests(gate, "", since))
    line.title("The district asks for the all-clear. The gate only shows that.")
    gate.order("all_clear_request", reason="search over")
    gate.wait("the page shows it", lambda: gate.state()["asked"])
    line.step("still locked down", bool(gate.state()["panic"]["lockdown"]))
    line.title("The guard finds the gate safe and turns the reset key.")
    turned = reset(gate)
    gate.wait("the lockdown is over", lambda: not gate.state()["panic"]["lockdown"])
    line.step("key turned → all-clear", ms=(time.monotonic_ns() - turned) / 1e6)
    line.step("nothing is asked for any more", not gate.state()["asked"])
    told = gate.wait("the district has the records", lambda: _told(gate))
    line.step(f"the district reads what came of it: {told}", told == ["lockdown", "all_clear_request"])


def _refused(gate: Gate, line: Timeline, lie: str) -> None:
    before = sum(gate.state()["orders"]["refused"].values())
    gate.order("release", lie=lie, door="wicket")
    gate.wait(f"{lie} is refused", lambda: sum(gate.state()["orders"]["refused"].values()) > before)
    line.step(f"{lie}: refused", gate.state()["orders"]["done"] == 1)  # the lockdown alone


def _told(gate: Gate) -> list[str]:
    """The verbs of the far side's commands that were done, once the end of the request is there too."""
    box = f"{gate.site.site.id}/{gate.site.site.box}"
    records: list[Entry] = [entry["record"] for entry in gate.records(box)]
    if not any(record["kind"] == "request.ended" for record in records):
        return []
    return [r["data"]["verb"] for r in records if r["kind"] == "command.done" and r["data"]["rank"] == "upstream"]


# ── a drill ────────────────────────────────────────────────────────────────────────────────────────────────────────

BUTTON, OTHER = "gatehouse", "wicket"
GUARD = "0100A1B2C3"


def drill(stage: Stage, gate: Gate, line: Timeline) -> None:
    """A drill: announced and heard first, marked at every hop, a real press in it real, and its signed report."""
    ready(gate)
    _announced(stage, gate, line)
    _pressed_in_it(gate, line)
    _pressed_for_real(gate, line)
    settle(gate)
    reset(gate)
    _report(stage, gate, line)


def _announced(stage: Stage, gate: Gate, line: Timeline) -> None:
    line.title("A guard shows his card and announces a drill of the button in the gatehouse.")
    shown = gate.do("swipe", reader="guard", card=GUARD)
    judged(stage, gate, "access.presence", shown)
    asked = time.monotonic_ns()
    done = school.command(stage.site, "drill_start", button=BUTTON, minutes="2", reason="monthly_test")
    line.step("announced", done.get("ok") is True)
    gate.wait("the drill runs", lambda: (gate.state()["panic"]["drill"] or {}).get("phase") == "running")
    line.step("the district has heard of it: from here on a press is a drill", ms=(time.monotonic_ns() - asked) / 1e6)
    line.step(
        "at the district it is marked", [a["record"]["data"]["drill"] for a in gate.alarms("drill.started")] == [True]
    )


def _pressed_in_it(gate: Gate, line: Timeline) -> None:
    line.title("The button is pressed.")
    lamp = gate.gpio("lamp", "indicators", "sent")
    pressed = gate.do("press", button=BUTTON)
    lit = gate.wait_pin("lamp 'sent' is on", lamp, 1, pressed)
    dark = gate.wait_pin("it flashes", lamp, 0, lit["ns"])
    line.step("lamp 'sent' flashes: this is a drill", ms=ms_since(dark, lit["ns"]))
    alarm: Entry = gate.wait("the press reaches the district", lambda: _drilled(gate, pressed))
    line.step("at the district it is marked DRILL", alarm["record"]["data"]["drill"] is True)
    gate.wait("its receipt is back", lambda: _stage(gate) == "received")
    line.step(
        "nothing is latched, nothing moves", not gate.state()["panic"]["latched"] and not requests(gate, "", pressed)
    )
    lock = gate.gpio("lock", "wicket", "lock")
    swiped = gate.do("swipe", reader="wicket-in", card=STAFF)
    line.step("staff come in as always", ms=ms_since(gate.wait_pin("it unlocks", lock, 0, swiped), swiped))


def _pressed_for_real(gate: Gate, line: Timeline) -> None:
    line.title("Another button is pressed: that one is real, and the drill is over.")
    lamp = gate.gpio("lamp", "indicators", "sent")
    real = gate.do("press", button=OTHER)
    gate.wait_pin("lamp 'sent' is on", lamp, 1, real)
    wait_position(gate, "up", "main", "service")
    line.step("bollards up", bool(gate.state()["panic"]["latched"]))
    steady_ns = time.monotonic_ns()
    time.sleep(1.5)
    later = [e for e in gate.wire(steady_ns) if e["kind"] == "pin" and e["gpio"] == lamp]
    line.step("the lamp is steady now", not later and gate.world()["lamps"]["sent"] is True)
    gate.wait("the district has it", lambda: len(gate.alarms()) == 2)
    line.step("at the district it is marked as no drill", gate.alarms()[-1]["record"]["data"]["drill"] is False)
    line.step("it hears of the drill's end", _why(gate) == "real_press")


def _stage(gate: Gate) -> object:
    return gate.state()["panic"]["alarms"][-1]["stages"].get("mqtt")


def _drilled(gate: Gate, since_ns: int) -> Entry | None:
    return next((alarm for alarm in gate.alarms() if alarm["record"]["mono_ns"] >= since_ns), None)


def _why(gate: Gate) -> str:
    ended: list[Entry] = gate.wait("the drill's end is there", lambda: gate.alarms("drill.ended"))
    return str(ended[-1]["record"]["data"]["why"])


def _report(stage: Stage, gate: Gate, line: Timeline) -> None:
    """The report that the box wrote, checked as an outsider would."""
    line.title("The box writes the report of the drill and signs it.")
    record = judged(stage, gate, "drill.report", 0, limit_s=40)
    folder = storage_dir(stage.site)
    file = folder / "drills" / f"{record['id']}.json"
    words = ["-m", "agent", "drill", "verify", str(file), "--key", str(folder / "journal.pub")]
    command = [sys.executable, *words, "--journal", str(folder / FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    line.step(checked.stdout.strip() or checked.stderr.strip(), checked.returncode == 0)
    told = opened(file.read_bytes(), None)
    hops = told["presses"][0]["hops"]
    line.step(f"its first press, in µs: {hops}", {"decision_us", "durable_us", "sent_us", "received_us"} <= set(hops))
    line.step(f"told: {told['told']}; presses: {[press['drill'] for press in told['presses']]}", bool(told["told"]))
