"""The demo's story of a visitor: registered on the tablet, agreed to by the host, in and out by a lent card."""

from __future__ import annotations

import re

from agent.demo.campus_stories import CLASS_DAY, judged, stay_in_one_day
from agent.demo.eyes import ms_since, ready
from agent.demo.gate import Gate
from agent.demo.stage import Stage
from agent.demo.tablet import Tablet
from agent.demo.timeline import Timeline
from agent.journal.reader import JournalReader
from agent.journal.schema import FILE
from hardware.places import storage_dir, web_dir

CARD = "0900000001"  # a blank card of the gatehouse
NAME, NUMBER, PLATE = "王小明", "110101199003074512", "京A12345"


def visitor(stage: Stage, gate: Gate, line: Timeline) -> None:
    """Nobody comes in before the host agreed; the card opens one door and is dead when it is given back."""
    ready(gate)
    tablet = Tablet(gate)
    stay_in_one_day(gate, line)
    line.title("It is a school day (the guard swaps today's plan, with a reason).")
    line.step("today's plan swapped", tablet.do("swap_day", plan=CLASS_DAY, reason="other")[0])
    line.title("A visitor is registered on the gatehouse's tablet and gets a card.")
    done, told = tablet.do("visit_register", name=NAME, id_number=NUMBER, plate=PLATE, host="staff-1", kind="visitor",
                           purpose="meeting", minutes="30", place="door:wicket", card=CARD)  # fmt: skip
    line.step(f"registered: {told}", done)
    handle = _handle(tablet)
    line.step("the page shows the name, and four characters of the ID number", _shown(tablet))
    since = gate.do("swipe", reader="wicket-in", card=CARD)
    refused = judged(stage, gate, "access.denied", since)
    line.step(f"before the host agreed: {refused['why']}", refused["why"] == "no_consent", _ms(refused, since))
    line.title("The host agrees by phone.")
    line.step("consent written down", tablet.do("visit_consent", visit=handle, by="phone")[0])
    _in_and_out(stage, gate, line, tablet, handle)
    line.step("today as it was", tablet.do("restore_day")[0])
    line.step("no name, ID number or plate in the journal", not _in_journal(stage))
    line.step("none in the register's file either: it is sealed", not _at_rest(stage))


def _in_and_out(stage: Stage, gate: Gate, line: Timeline, tablet: Tablet, handle: str) -> None:
    lock = gate.gpio("lock", "wicket", "lock")
    since = gate.do("swipe", reader="wicket-in", card=CARD)
    opened = gate.wait_pin("the wicket opens", lock, 0, since)
    line.step("card read → wicket unlocked", ms=ms_since(opened, since))
    gate.wait("the tablet shows the visitor inside", lambda: "visit inside" in tablet.page())
    line.step("the tablet shows the visitor inside")
    gate.wait_pin("the wicket locks again", lock, 1, since)
    line.title("The visitor leaves and gives the card back.")
    since = gate.do("swipe", reader="wicket-out", card=CARD)
    line.step("the way out opens", ms=ms_since(gate.wait_pin("the wicket opens", lock, 0, since), since))
    gate.wait_pin("the wicket locks again", lock, 1, since)
    line.step("signed out, card back", tablet.do("visit_out", visit=handle, card_back="yes")[0])
    since = gate.do("swipe", reader="wicket-in", card=CARD)
    dead = judged(stage, gate, "access.denied", since)
    line.step(f"the card opens nothing any more: {dead['why']}", dead["why"] == "unknown", _ms(dead, since))


def _handle(tablet: Tablet) -> str:
    found = re.search(r'name="visit" value="(v-[0-9a-z]+)"', tablet.page())
    return found[1] if found else ""


def _shown(tablet: Tablet) -> bool:
    page = tablet.page()
    return NAME in page and "…4512" in page and NUMBER not in page


def _in_journal(stage: Stage) -> bool:
    with JournalReader(storage_dir(stage.site) / FILE) as reader:
        text = repr([row.data for row in reader.records(None, 400)])
    # Four digits stand by chance in any nanosecond or digest: they tell of the number only where they stand alone.
    alone = re.search(rf"(?<![0-9A-Za-z]){NUMBER[-4:]}(?![0-9A-Za-z])", text)
    return alone is not None or any(secret in text for secret in (NAME, NUMBER, PLATE))


def _at_rest(stage: Stage) -> bool:
    data = b"".join(path.read_bytes() for path in web_dir(stage.site).iterdir())
    return any(secret.encode() in data for secret in (NAME, NUMBER, PLATE))


def _ms(entry: dict[str, object], since_ns: int) -> float:
    return (int(str(entry["mono_ns"])) - since_ns) / 1e6
