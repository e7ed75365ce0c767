"""The demo's stories about the closed campus. They ask the box for a plan that is in class now, so that they play at
any hour."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from agent.demo import school
from agent.demo.eyes import ms_since, ready
from agent.demo.gate import WITHIN_S, Gate
from agent.demo.stage import Stage
from agent.demo.timeline import Timeline
from agent.journal.reader import JournalReader
from agent.journal.schema import FILE
from agent.register import handles
from hardware.places import storage_dir

PUPIL, HOLDER = "0200000009", "pupil-0009"
CLASS_DAY = "demo-class"
LEAVE_MS = 3_600_000
STORY_S = 90.0  # far more than a story takes, from the swap on


def class_hours(stage: Stage, gate: Gate, line: Timeline) -> None:
    """A pupil is refused on the way out, a leave slip lets one out once, and the evacuation way holds nobody."""
    ready(gate)
    stay_in_one_day(gate, line)
    line.title("It is class now (the guard swaps today's plan, with a reason).")
    done = school.command(stage.site, "swap_day", plan=CLASS_DAY, reason="other")
    line.step("today's plan swapped by the guard", done.get("ok") is True)
    line.title("A pupil holds the card to the turnstile, on the way out.")
    since = time.monotonic_ns()
    gate.do("swipe", reader="turnstile-out", card=PUPIL)
    refused = judged(stage, gate, "access.denied", since)
    line.step(f"refused: {refused['why']}", refused["why"] == "class_hours", _ms(refused, since))
    line.step("the turnstile stays locked", gate.world()["doors"]["turnstile"]["locked"] is True)
    line.title("The guard enters a leave slip for an hour.")
    now_ms = time.time_ns() // 1_000_000
    slip = {"slip": handles.new("s"), "pupil": HOLDER, "issuer": "staff-1", "guardian": "0"}
    slip |= {"from_ms": str(now_ms - 60_000), "to_ms": str(now_ms + LEAVE_MS)}
    line.step("leave slip taken", school.command(stage.site, "slip_add", **slip).get("ok") is True)
    since = time.monotonic_ns()
    gate.do("swipe", reader="turnstile-out", card=PUPIL)
    gate.wait("the turnstile opens", lambda: gate.world()["doors"]["turnstile"]["locked"] is False)
    granted = judged(stage, gate, "access.granted", since)
    line.step("the slip lets the pupil out", "policy" not in granted, _ms(granted, since))
    gate.wait("the turnstile locks again", lambda: gate.world()["doors"]["turnstile"]["locked"] is True)
    since = time.monotonic_ns()
    gate.do("swipe", reader="turnstile-out", card=PUPIL)
    again = judged(stage, gate, "access.denied", since)
    line.step(f"once: {again['why']}", again["why"] == "slip_used", _ms(again, since))
    _at_the_evacuation_way(stage, gate, line)
    done = school.command(stage.site, "restore_day")
    line.step("today as it was", done.get("ok") is True)


def stay_in_one_day(gate: Gate, line: Timeline) -> None:
    """A swapped plan ends at midnight: a story that might run over it waits for the new day."""
    pause_s = until_new_day_s(datetime.now(ZoneInfo(gate.site.site.timezone)))
    if pause_s:
        line.title("It is nearly midnight, and a swapped plan ends with its day: the story waits for the next one.")
        time.sleep(pause_s)


def until_new_day_s(now: datetime) -> float:
    """Seconds to wait, a little into the new day; 0 where a story is over before."""
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left_s = (midnight - now).total_seconds()
    return left_s + 2.0 if left_s <= STORY_S else 0.0


def _at_the_evacuation_way(stage: Stage, gate: Gate, line: Timeline) -> None:
    line.title("Another pupil tries the wicket, an evacuation way: nobody is ever held there, and the guard is told.")
    lock = gate.gpio("lock", "wicket", "lock")
    since = gate.do("swipe", reader="wicket-out", card="0200000010")
    opened = gate.wait_pin("the wicket opens", lock, 0, since)
    line.step("the wicket opens all the same", ms=ms_since(opened, since))
    told = judged(stage, gate, "access.unauthorised_exit", since)
    line.step("alarm: left against the timetable", told["holder"] == "pupil-0016", _ms(told, since))
    gate.wait("the district has heard of it", lambda: gate.alarms("access.unauthorised_exit"))
    line.step("the district has heard of it")


def judged(stage: Stage, gate: Gate, kind: str, since_ns: int, limit_s: float = WITHIN_S) -> dict[str, Any]:
    """The data of the first record of this kind after an instant, with its `mono_ns`."""

    def found() -> dict[str, Any] | None:
        with JournalReader(storage_dir(stage.site) / FILE) as reader:
            bodies: list[dict[str, Any]] = [row.data for row in reader.records({kind}, 20) if row.data is not None]
        late = [body for body in bodies if body["mono_ns"] >= since_ns]
        return {**late[-1]["data"], "mono_ns": late[-1]["mono_ns"]} if late else None

    entry: dict[str, Any] = gate.wait(f"a record {kind}", found, limit_s)
    return entry


def _ms(entry: dict[str, Any], since_ns: int) -> float:
    return float((entry["mono_ns"] - since_ns) / 1e6)
