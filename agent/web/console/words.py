"""The console's own words: codes that a guard chooses from, and why something was not done."""

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
SLIP_STATE: Mapping[str, str] = {
    "waiting": mark("later"),
    "valid": mark("may leave now"),
    "used": mark("has left"),
    "expired": mark("time is over"),
    "cancelled": mark("cancelled"),
}
WINDOW_KIND: Mapping[str, str] = {
    "arrival": mark("arrival"),
    "class": mark("class"),
    "lunch": mark("lunch"),
    "dismissal": mark("dismissal"),
    "care": mark("after-school care"),
    "night": mark("night"),
    "exam": mark("exam"),
    "open": mark("open"),
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
ROLE: Mapping[str, str] = {
    "guard": mark("guard"),
    "maintenance": mark("maintenance"),
    "head": mark("head of security"),
    "installer": mark("installer"),
}
# Why the console itself did not take something; what the gate refuses has its words in `agent.web.words.WHY`.
WHY: Mapping[str, str] = {
    "not_on_site": mark("Hold your card to the gatehouse reader, then press again within ten seconds."),
    "use_the_key": mark("This is reset with the key at the box."),
    "duplicate": mark("This was already decided. The page now shows how things stand."),
    "away": mark("The box's control program does not answer. Nothing is known to have been done; look at the gate."),
    "role": mark("This log-in may not do that."),
    "csrf": mark("The page was out of date. Please try again."),
    "who": mark("Nobody is known by this name or number."),
    "which": mark("Several people could be meant: choose one of them, or type more of the name."),
    "name": mark("A visitor's name is needed."),
    "text": mark("The note is empty or too long."),
    "number": mark("A number was expected."),
    "register": mark("The encrypted register cannot be used. Nobody was registered."),
    "no_alarm": mark("There is no alarm to acknowledge."),
    "not_latched": mark("There is nothing to reset."),
    "fire_input_active": mark("The fire panel still tells of fire."),
    "fire_input_unread": mark("The fire panel's contact is not measured."),
    "fire_key_on": mark("The fire key is still turned."),
    "fire_key_unread": mark("The fire key is not measured."),
    "no_lockdown": mark("The way in is not locked down."),
    "panic_latched": mark("An alarm is latched: reset it first."),
    "not_shunted": mark("This door's alarms are not put aside."),
    "no_drill": mark("No drill is running."),
    "drill_waits": mark("The announcement may still be answered. Wait half a minute."),
    "unknown_button": mark("There is no such button."),
    "unknown_door": mark("There is no such door."),
    "unknown_lane": mark("There is no such lane."),
    "login": mark("A log-in has 2 to 32 small letters, digits, dots or hyphens."),
    "login_taken": mark("This log-in is there already."),
    "too_many_accounts": mark("There are too many accounts."),
    "password_length": mark("A password has at least 10 characters."),
    "password_weak": mark("This password is too easy to guess."),
    "password_twice": mark("The two passwords are not the same."),
    "code": mark("This code is wrong, used or too old."),
    "unknown_account": mark("There is no such account."),
    "last_head": mark("The last head of security stays: nobody could let anybody in again."),
    "wrong": mark("Wrong log-in or password."),
    "locked": mark("Too many wrong tries. Wait a quarter of an hour, or use another log-in."),
}
