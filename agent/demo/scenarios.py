"""The demo's scenarios: each plays one story at the gate and says, hop by hop, what was seen at the wire."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from agent.demo.campus_stories import class_hours, judged
from agent.demo.district_stories import commands, drill
from agent.demo.eyes import (
    alarm_after,
    all_up,
    at_district,
    ms_since,
    position,
    positions,
    ready,
    requests,
    reset,
    settle,
    wait_position,
)
from agent.demo.gate import WITHIN_S, Entry, Gate
from agent.demo.processes import DemoError
from agent.demo.stage import Stage
from agent.demo.timeline import Timeline
from agent.demo.visitor_story import visitor

BUTTON = "gatehouse"
INDICATION_MS = 2000.0  # GB 55029-2022 3.5.1(8): local indication within 2 s; how much faster it is, the bench measures
SECOND_PATH_S = 30.0  # the ten seconds, and generously what comes after
NOTHING_S = 3.0  # how long "nothing moved" is watched: longer than a sensor's clear time


def panic(stage: Stage, gate: Gate, line: Timeline) -> None:
    """Press, doors, bollards, alarm, receipt, coming, reset."""
    ready(gate)
    line.title("A staff card opens the wicket; then someone presses the panic button in the gatehouse.")
    lock = gate.gpio("lock", "wicket", "lock")
    asked = gate.do("swipe", reader="wicket-in", card="0100A1B2C4")
    unlocked = gate.wait_pin("the wicket unlocks", lock, 0, asked)
    line.step("card read → wicket unlocked", ms=ms_since(unlocked, asked))
    pressed = press(gate, line)
    locked = gate.wait_pin("the wicket locks", lock, 1, pressed["ns"])
    line.step("entry side locked", ms=ms_since(locked, pressed["ns"]))
    raised(gate, line, pressed, "main", "service")
    alarm = delivered(gate, line, pressed)
    coming(gate, line, alarm)
    line.title("From inside the way out stays free.")
    asked = gate.do("rex", door="wicket")
    line.step("REX → wicket unlocked", ms=ms_since(gate.wait_pin("REX unlocks", lock, 0, asked), asked))
    line.title("A person at the box turns the reset key.")
    was_reset(gate, line)


def panic_offline(stage: Stage, gate: Gate, line: Timeline) -> None:
    """Every way up is down when the button is pressed; the broker comes back."""
    ready(gate)
    before = len(gate.alarms())
    line.title("Broker, receiving centre and police platform die (kill -9). Then someone presses the panic button.")
    stage.broker.kill()
    for child in stage.others:
        child.kill()
    gate.wait("the box notices the loss", lambda: not gate.state()["paths"][0]["up"])
    line.step("uplink shown as down")
    pressed = press(gate, line)
    raised(gate, line, pressed, "main", "service")
    time.sleep(NOTHING_S)
    lit = gate.world()["lamps"].get("received", False)
    line.step("lamp 'received' stays off: sent, not confirmed", not lit)
    line.step("the district has heard nothing", len(gate.alarms()) == before)
    line.title("The broker comes back.")
    back = time.monotonic_ns()
    stage.broker.start()
    alarm = delivered(gate, line, pressed, since_ns=back)
    line.step("pressed while offline, delivered once", len([a for a in gate.alarms() if _same(a, alarm)]) == 1)
    gate.wait("every record has a receipt", lambda: at_district(gate))
    box = gate.boxes()[0]
    line.step("every record arrived, no gap", box["gap"] is None and not box["holes"])
    was_reset(gate, line)


def second_path(stage: Stage, gate: Gate, line: Timeline) -> None:
    """The broker is down: after 10 s without a receipt the alarm goes to a receiving centre and a police platform."""
    ready(gate)
    gate.wait("every path is up", lambda: all(path["up"] for path in gate.state()["paths"]))
    before, known = len(gate.messages()), len(gate.at_platform())
    line.title("The broker dies (kill -9). Then someone presses the panic button.")
    stage.broker.kill()
    gate.wait("the box notices the loss", lambda: not gate.state()["paths"][0]["up"])
    line.step("first path shown as down, the others as up", all(path["up"] for path in gate.state()["paths"][1:]))
    pressed = press(gate, line)
    lit = gate.wait_pin(
        "lamp 'received' is on", gate.gpio("lamp", "indicators", "received"), 1, pressed["ns"], SECOND_PATH_S
    )
    line.step("no receipt in 10 s → next paths → a receipt: lamp 'received'", ms=ms_since(lit, pressed["ns"]))
    others = ("dc09", "gb28181")
    gate.wait("the page shows it", lambda: all(_stages(gate).get(path) == "received" for path in others))
    taken = gate.messages()[before:]
    panics = [(message["code"], message["drill"]) for message in taken if message["code"] == "120"]
    line.step("the receiving centre has it once, as Contact ID 120", panics == [("120", False)])
    told = [(alarm["priority"], alarm["drill"], alarm["copies"]) for alarm in gate.at_platform()[known:]]
    line.step("the police platform has it once, with priority 1", told.count((1, False, 1)) == 1)
    line.step(f"stages per path: {_stages(gate)}", _stages(gate).get("mqtt") != "received")
    _cut_and_mended(gate, line)
    line.title("The broker comes back, and the district gets it too.")
    back = time.monotonic_ns()
    stage.broker.start()
    alarm: Entry = gate.wait("the alarm reaches the district", lambda: alarm_of(gate, pressed))
    line.step("alarm durable at the district", ms=(alarm["received_ns"] - back) / 1e6)
    gate.wait("every path says received", lambda: set(_stages(gate).values()) == {"received"})
    line.step("each path has its own receipt")
    line.title("The police platform orders a reset from afar.")
    gate.ask_platform("ResetAlarm")
    box = f"{alarm['site']}/{alarm['box']}"
    gate.wait("the refusal is a record at the district", lambda: _refused(gate, box, "ResetAlarm"))
    line.step("refused, on record, and the alarm stands", bool(gate.state()["panic"]["latched"]))
    was_reset(gate, line)


def _cut_and_mended(gate: Gate, line: Timeline) -> None:
    line.title("Another button's line is cut, and mended: the centre hears of both.")
    before = len(gate.messages())
    gate.do("line", button="office", state="cut")
    gate.wait("it hears of the fault", lambda: _lines(gate, before) == [False], SECOND_PATH_S)
    line.step("line fault told as Contact ID 380")
    mended = gate.do("line", button="office", state="normal")
    gate.wait("it hears that it is over", lambda: _lines(gate, before) == [False, True])
    line.step("line well again: its restore is told", ms=(time.monotonic_ns() - mended) / 1e6)


def _refused(gate: Gate, box: str, verb: str) -> bool:
    """Whether the district has the record of an order that the box refused."""
    records: list[Entry] = [entry["record"] for entry in gate.records(box)]
    return any(one["kind"] == "command.refused" and one["data"].get("verb") == verb for one in records)


def panic_vehicle_on_loop(stage: Stage, gate: Gate, line: Timeline) -> None:
    """A vehicle stands on the loop: that lane must not raise, not even when the vehicle leaves."""
    ready(gate)
    line.title("A car stands on the loop of the main lane. Someone presses the panic button.")
    gate.do("vehicle", lane="main", at="on_loop")
    gate.wait("the box sees it", lambda: any(sensor["value"] == "occupied" for sensor in _sensors(gate, "main")))
    pressed = press(gate, line)
    raised(gate, line, pressed, "service")
    alarm = delivered(gate, line, pressed)
    line.step("main lane: no raise request on the wire", not requests(gate, "main", pressed["ns"]))
    blocked = next(lane["blocked"] for lane in gate.state()["lanes"] if lane["id"] == "main")
    line.step(f"the screen says why: {blocked}", bool(blocked))
    line.title("The car drives away. That alone raises nothing.")
    gone = gate.do("vehicle", lane="main", at="away")
    time.sleep(NOTHING_S)
    line.step("main lane: still no raise request", not requests(gate, "main", gone))
    line.step("main lane: still down", all(position(gate, b) == "down" for b in ("main-1", "main-2")))
    line.title("A second press asks again.")
    again = press(gate, line)
    raised(gate, line, again, "main")
    line.step("a second record", alarm_after(gate, alarm) is not None)
    was_reset(gate, line)


def fire(stage: Stage, gate: Gate, line: Timeline) -> None:
    """Fire releases the way out and forbids every raise, until reset by hand at the box."""
    ready(gate)
    lock = gate.gpio("lock", "wicket", "lock")
    line.title("The fire panel trips.")
    asked = gate.do("fire", on=True)
    open_at = gate.wait_pin("the wicket is released", lock, 0, asked)
    line.step("fire → evacuation door released", ms=ms_since(open_at, asked))
    line.title("The guard holds the raise button of the main lane.")
    asked = gate.do("key", key="lane:main:raise", position="on")
    time.sleep(NOTHING_S + 4)
    gate.do("key", key="lane:main:raise", position="off")
    line.step("no raise request on the wire", not requests(gate, "main", asked, "raise", "efo"))
    line.title("The fire panel is quiet again. Nothing locks by itself.")
    quiet = gate.do("fire", on=False)
    time.sleep(NOTHING_S)
    relocked = [e for e in gate.wire(quiet) if e["kind"] == "pin" and e["gpio"] == lock and e["level"] == 1]
    line.step("door still released", not relocked)
    line.title("A person turns the fire reset at the box.")
    asked = gate.do("key", key="fire-reset", position="on")
    closed = gate.wait_pin("the wicket locks", lock, 1, asked)
    line.step("reset by hand → locked", ms=ms_since(closed, asked))
    gate.do("key", key="fire-reset", position="off")


def dead_plc(stage: Stage, gate: Gate, line: Timeline) -> None:
    """The bollard PLC is dead: the alarm goes out all the same; nothing moves when it comes back."""
    ready(gate)
    line.title("The bollard PLC stops answering.")
    asked = gate.do("fault", device="bus:plc", kind="dead")
    gate.wait("both lanes are shown as lost", lambda: all(lane["lost"] for lane in gate.state()["lanes"]))
    line.step("lanes shown as unknown", ms=(time.monotonic_ns() - asked) / 1e6)
    pressed = press(gate, line)
    delivered(gate, line, pressed)
    line.title("The PLC answers again. Nothing moves by that.")
    healed = gate.do("heal")
    gate.wait("both lanes are read again", lambda: not any(lane["lost"] for lane in gate.state()["lanes"]))
    line.step("lanes back", ms=(time.monotonic_ns() - healed) / 1e6)
    time.sleep(NOTHING_S)
    line.step("no request on the wire", not requests(gate, "", healed))
    line.step("bollards still down", not all_up(gate, "main", "service"))
    line.title("A second press raises them.")
    raised(gate, line, press(gate, line), "main", "service")
    was_reset(gate, line)


def power_cut(stage: Stage, gate: Gate, line: Timeline) -> None:
    """kill -9 in the middle of an alarm, and a restart."""
    ready(gate)
    pressed = press(gate, line)
    gate.wait("the first raise request", lambda: requests(gate, "", pressed["ns"], "efo"))
    judged(stage, gate, "panic.pressed", pressed["ns"])
    line.title("The press is on the card. The power fails: kill -9 of the whole box, 100 ms later.")
    time.sleep(0.1)
    stage.box.kill()
    world = gate.world()
    line.step(f"before: bollards {_positions(world)}")
    time.sleep(1.0)
    line.title("Power is back.")
    started = time.monotonic_ns()
    stage.box.start()
    gate.wait("the box serves its page again", lambda: gate.state()["scanned"])
    gate.wait("lamp 'sent' is on", lambda: gate.world()["lamps"].get("sent"))
    line.step("the alarm is still latched, lamp on", ms=(time.monotonic_ns() - started) / 1e6)
    alarm: Entry = gate.wait("the alarm is at the district", lambda: alarm_of(gate, pressed))
    gate.wait("lamp 'received' is on", lambda: gate.world()["lamps"].get("received"))
    line.step("lamp 'received' is on", ms=(time.monotonic_ns() - started) / 1e6)
    line.step("the press reached the district, once", len([a for a in gate.alarms() if _same(a, alarm)]) == 1)
    time.sleep(NOTHING_S)
    line.step("nothing moved by itself: no request on the wire", not requests(gate, "", started))
    gate.wait("every record has a receipt", lambda: at_district(gate))
    box = gate.boxes()[0]
    line.step("nothing acknowledged is missing", box["gap"] is None and not box["holes"] and not box["conflicts"])
    was_reset(gate, line)


# ── pieces that scenarios share ────────────────────────────────────────────────────────────────────────────────────


def press(gate: Gate, line: Timeline) -> Entry:
    """Press the gatehouse button; returns the wire's entry of its edge."""
    pin = gate.gpio("panic_no", BUTTON, "no")
    asked = gate.do("press", button=BUTTON)
    edge = gate.wait_pin("the button's contact closes", pin, 0, asked)
    line.step("panic button pressed (edge at the pin)", ms=0.0)
    lamp = gate.gpio("lamp", "indicators", "sent")
    if not gate.world()["lamps"].get("sent"):
        lit = gate.wait_pin("lamp 'sent' is on", lamp, 1, edge["ns"])
        line.step("edge → lamp 'sent'", ms_since(lit, edge["ns"]) <= INDICATION_MS, ms_since(lit, edge["ns"]))
    else:
        lit_now = [e for e in gate.wire(edge["ns"]) if e["kind"] == "pin" and e["gpio"] == lamp and e["level"] == 1]
        when = ms_since(lit_now[0], edge["ns"]) if lit_now else None
        line.step("edge → lamp 'sent'", when is None or when <= INDICATION_MS, when)
    return edge


def raised(gate: Gate, line: Timeline, pressed: Entry, *lanes: str) -> None:
    """EFO requests on the wire for these lanes, confirmed, and the bollards up by their limit switches."""
    for lane in lanes:
        found = gate.wait(
            f"a raise request for lane {lane}", functools.partial(requests, gate, lane, pressed["ns"], "efo")
        )
        line.step(f"edge → raise request, lane {lane}", ms=ms_since(found[0], pressed["ns"]))
    wait_position(gate, "up", *lanes)
    line.step(f"bollards up by limit switch: {', '.join(lanes)}", ms=(time.monotonic_ns() - pressed["ns"]) / 1e6)


def delivered(gate: Gate, line: Timeline, pressed: Entry, since_ns: int = 0, limit_s: float = WITHIN_S) -> Entry:
    """The alarm at the district and its receipt back at the lamp."""
    since = since_ns or pressed["ns"]
    alarm: Entry = gate.wait("the alarm reaches the district", lambda: alarm_of(gate, pressed), limit_s)
    line.step("alarm durable at the district", ms=(alarm["received_ns"] - since) / 1e6)
    lamp = gate.gpio("lamp", "indicators", "received")
    lit = gate.wait_pin("lamp 'received' is on", lamp, 1, since, limit_s)
    line.step("receipt back: lamp 'received'", ms=ms_since(lit, since))
    return alarm


def alarm_of(gate: Gate, pressed: Entry) -> Entry | None:
    """The district's alarm of this press: the one whose record was made within the standard's time after the edge."""

    def of_it(alarm: Entry) -> bool:
        return bool(0 <= alarm["record"]["mono_ns"] - pressed["ns"] <= INDICATION_MS * 1e6)

    return next(filter(of_it, gate.alarms()), None)


def coming(gate: Gate, line: Timeline, alarm: Entry) -> None:
    """The district says that help is coming; the guard's third lamp tells."""
    asked = time.monotonic_ns()
    gate.say(alarm, "coming")
    lit = gate.wait_pin("lamp 'coming' is on", gate.gpio("lamp", "indicators", "coming"), 1, asked)
    line.step("district says 'coming' → lamp", ms=ms_since(lit, asked))


def was_reset(gate: Gate, line: Timeline) -> None:
    """The reset key ends the latch; nothing moves by it."""
    settle(gate)
    asked = reset(gate)
    dark = gate.wait_pin("lamp 'sent' is off", gate.gpio("lamp", "indicators", "sent"), 0, asked)
    line.step("reset by key at the box → lamps off", ms=ms_since(dark, asked))
    time.sleep(1.0)
    line.step("nothing moved by the reset", not requests(gate, "", asked))


def _stages(gate: Gate) -> Entry:
    """The newest open alarm's stage on each path."""
    stages: Entry = gate.state()["panic"]["alarms"][-1]["stages"]
    return stages


def _sensors(gate: Gate, lane: str) -> list[Entry]:
    sensors: list[Entry] = next(one["sensors"] for one in gate.state()["lanes"] if one["id"] == lane)
    return sensors


def _lines(gate: Gate, before: int) -> list[bool]:
    """What the receiving centre was told of lines after so many messages: False a fault, True its end."""
    return [bool(message["restore"]) for message in gate.messages()[before:] if message["code"] == "380"]


def _same(one: Entry, other: Entry) -> bool:
    return bool((one["epoch"], one["seq"]) == (other["epoch"], other["seq"]))


def _positions(world: Entry) -> str:
    return ", ".join(f"{post} {word}" for post, word in sorted(positions(world).items()))


Scenario = Callable[[Stage, Gate, Timeline], None]

SCENARIOS: dict[str, Scenario] = {
    "class-hours": class_hours,
    "visitor": visitor,
    "panic": panic,
    "panic-offline": panic_offline,
    "second-path": second_path,
    "commands": commands,
    "drill": drill,
    "panic-vehicle-on-loop": panic_vehicle_on_loop,
    "fire": fire,
    "dead-plc": dead_plc,
    "power-cut": power_cut,
}


def play(name: str, stage: Stage, gate: Gate, line: Timeline) -> None:
    """Play one scenario; what does not come about becomes a failed step."""
    try:
        SCENARIOS[name](stage, gate, line)
    except DemoError as error:
        line.step(str(error), ok=False)
