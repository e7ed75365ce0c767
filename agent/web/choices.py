"""What a guard chooses from, in words: kinds, purposes and reasons, by the code that the records have.

The console offers them and the month's report repeats them: one home, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.locale import mark

VISIT_KIND: Mapping[str, str] = {
    "visitor": mark("visitor"),
    "parent": mark("parent"),
    "delivery": mark("delivery"),
    "contractor": mark("contractor"),
    "vehicle": mark("vehicle"),
}
PURPOSE: Mapping[str, str] = {
    "meeting": mark("meeting"),
    "parent": mark("parent's visit"),
    "delivery": mark("delivery"),
    "repair": mark("repair"),
    "inspection": mark("inspection"),
    "event": mark("event"),
    "other": mark("something else"),
}
CONSENT: Mapping[str, str] = {
    "phone": mark("agreed by phone"),
    "in_person": mark("agreed in person"),
    "message": mark("agreed by message"),
}
EXIT_REASON: Mapping[str, str] = {
    "illness": mark("ill"),
    "guardian_at_gate": mark("guardian is at the gate"),
    "teacher_present": mark("a teacher is with them"),
    "errand": mark("errand for the school"),
    "card_forgotten": mark("card forgotten"),
    "other": mark("something else"),
}
SLIP_REASON: Mapping[str, str] = {
    "other": mark("something else"),
    "illness": mark("ill"),
    "private": mark("family matter"),
}
BAN_REASON: Mapping[str, str] = {
    "lost": mark("lost"),
    "stolen": mark("stolen"),
    "left_school": mark("left the school"),
    "misused": mark("misused"),
    "other": mark("something else"),
}
SHUNT_REASON: Mapping[str, str] = {
    "repair": mark("repair"),
    "delivery": mark("delivery"),
    "moving": mark("things are carried in or out"),
    "event": mark("event"),
    "contact_faulty": mark("door contact faulty"),
    "other": mark("something else"),
}
DAY_REASON: Mapping[str, str] = {
    "weather": mark("weather"),
    "exam": mark("exam"),
    "event": mark("event"),
    "traffic": mark("traffic"),
    "authority": mark("ordered by the authorities"),
    "illness": mark("wave of illness"),
    "drill": mark("drill"),
    "other": mark("something else"),
}
DRILL_REASON: Mapping[str, str] = {
    "monthly_test": mark("monthly test"),
    "training": mark("training of the guards"),
    "exercise": mark("exercise with the police"),
    "inspection": mark("inspection"),
    "after_repair": mark("after a repair"),
    "other": mark("something else"),
}
HAZARD: Mapping[str, str] = {
    "bollard": mark("bollard"),
    "lock": mark("door or lock"),
    "reader": mark("card reader"),
    "camera": mark("camera"),
    "alarm": mark("alarm button"),
    "light": mark("lighting"),
    "fence": mark("fence or wall"),
    "power": mark("power"),
    "network": mark("network"),
    "other": mark("something else"),
}
PEOPLE: Mapping[str, str] = {
    "pupil": mark("pupils"),
    "staff": mark("staff"),
    "guard": mark("guards"),
    "guardian": mark("guardians"),
    "visitor": mark("visitors"),
    "contractor": mark("contractors"),
    "vehicle": mark("vehicles"),
    "bus": mark("buses"),
    "responder": mark("responders"),
}
