"""The console's own words: states, roles, and why something was not done."""

from __future__ import annotations

from collections.abc import Mapping

from agent.locale import mark

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
    "ended": mark("The log-in had ended before this was sent: nothing was done. Look it over and send it again."),
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
