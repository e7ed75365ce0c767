"""Every kind of record there is, what it weighs, and what it means. `docs/records.md` tells the data fields.

The weight is the kind's, never the single record's, so that a reader who knows only the kind knows what may be evicted
and what must be heard at once.
"""

from __future__ import annotations

from agent.core.records import Weight

_ALARM, _ACTION, _PASSAGE, _FACT = Weight.ALARM, Weight.ACTION, Weight.PASSAGE, Weight.FACT

MEANING: dict[str, tuple[Weight, str]] = {
    # the box
    "box.started": (_ACTION, "the agent started, and why"),
    "box.scanned": (_FACT, "every input was freshly read; outputs may go out from here"),
    "box.latched": (_ACTION, "what must survive a restart, whole, written whenever it changed"),
    "box.restore_failed": (_ALARM, "a part of what was latched could not be read back after a restart"),
    "box.new_epoch": (_ALARM, "the journal cannot prove that it continues; a new epoch began"),
    "box.bug": (_ALARM, "a part of the agent failed during a panic; the alarm went on without it"),
    # panic
    "panic.pressed": (_ALARM, "a panic button was pressed (or found pressed); drill or real"),
    "panic.released": (_FACT, "the button's line is normal again, and how long it was pressed"),
    "panic.latency": (_FACT, "the measured hops of a press, from the shell"),
    "panic.line_fault": (_ALARM, "a panic line is cut, shorted, contradicts itself or is unread"),
    "panic.line_ok": (_ACTION, "that line has been normal again for a while"),
    "panic.stuck": (_ALARM, "a button has been pressed for more than a minute"),
    "panic.restored": (_ALARM, "an alarm latched before the restart is latched still"),
    "panic.reset": (_ACTION, "an authorised person on site reset the panic alarm"),
    "panic.reset_refused": (_ACTION, "the reset key was turned, and why it did nothing"),
    "alarm.stage": (_ACTION, "an uplink path moved an alarm on: sent, received, coming …"),
    "alarm.acknowledged": (_ACTION, "a person has seen the alarms"),
    "lockdown.started": (_ACTION, "the entry side was locked"),
    "lockdown.ended": (_ACTION, "all-clear: the entry side is open to its cards again"),
    "drill.started": (_ACTION, "a drill of one button began, with its end"),
    "drill.ended": (_ACTION, "the drill is over, and why"),
    # fire
    "fire.active": (_ALARM, "the fire input or the fire key: evacuation doors released, no raise on the whole site"),
    "fire.restored": (_ALARM, "a fire release latched before the restart is latched still"),
    "fire.input": (_FACT, "the fire input or key changed while that decided nothing new"),
    "fire.unread": (_ALARM, "the fire input cannot be read: unknown, neither fire nor quiet"),
    "fire.read": (_ACTION, "the fire input is read again"),
    "fire.reset": (_ACTION, "the fire release was reset by hand at the box; evacuation doors lock again"),
    "fire.reset_refused": (_ACTION, "the fire reset was turned, and why it did nothing"),
    # doors and people
    "access.granted": (_PASSAGE, "a card opened a door or asked a lane down"),
    "access.denied": (_PASSAGE, "a card was refused, and why"),
    "access.presence": (_ACTION, "a guard's card was read at a presence reader"),
    "access.wrong_tries": (_ALARM, "too many wrong cards at one reader; it is locked out for entry"),
    "access.let_out": (_ACTION, "the guard let one person out by hand, with a reason"),
    "access.unauthorised_exit": (_ALARM, "a pupil left by an evacuation way while the timetable keeps pupils in"),
    "access.duress": (_ALARM, "a card that means duress was shown; nothing at the gate tells of it"),
    "access.passback": (_ACTION, "somebody who is inside came in again; soft anti-passback writes it down"),
    "slip.used": (_ACTION, "a leave slip let its pupil out; it lets nobody out again"),
    "day.plan": (_ACTION, "the plan of the day, why it holds, and where that is written"),
    "day.window": (_FACT, "the windows that run from now on"),
    "calendar.missing": (_ACTION, "the school's calendar does not reach far enough"),
    "policy.changed": (_ACTION, "a policy came into force, whole"),
    "policy.refused": (_ACTION, "a policy was refused, and why; what was in force stays"),
    "muster.snapshot": (_ACTION, "who is inside, as pseudonyms, so that a restart forgets nobody"),
    "reader.bad_frame": (_FACT, "a reader sent a frame with a wrong check digit or length"),
    "door.rex": (_PASSAGE, "request-to-exit: the door was unlocked from inside"),
    "door.released": (_ACTION, "a command unlocked the door"),
    "door.opened": (_PASSAGE, "the door opened"),
    "door.closed": (_PASSAGE, "the door closed; ends its forced or held-open alarm"),
    "door.relocked": (_PASSAGE, "the unlock time ran out, or a lockdown ended it"),
    "door.forced": (_ALARM, "the door opened without a grant, a request-to-exit or a fire release"),
    "door.held_open": (_ALARM, "the door has been open for too long"),
    "door.contact": (_FACT, "the door's contact became unread, or is read again"),
    # health
    "device.lost": (_FACT, "a keeper gave up on a device for now"),
    "device.back": (_FACT, "a device answers (again)"),
    "output.fault": (_ALARM, "an output does not read back as desired"),
    "output.ok": (_FACT, "an output obeys again"),
    "supply.lost": (_FACT, "the mains failed; an alarm follows if it lasts"),
    "supply.alarm": (_ALARM, "tamper, mains or battery is not well"),
    "supply.unread": (_ALARM, "a supply or tamper contact cannot be read"),
    "supply.ok": (_FACT, "a supply or the tamper contact is well again"),
    "path.down": (_FACT, "an uplink path is down"),
    "path.up": (_FACT, "an uplink path is up"),
    "path.none": (_ALARM, "no uplink path is left: an alarm cannot be heard now"),
    "journal.failing": (_ALARM, "the journal cannot write; emergencies go on from memory"),
    "journal.problem": (_ALARM, "what was wrong with the journal: at its opening, by the far side, with its card"),
    "journal.anchored": (_FACT, "the far side's last checkpoint agrees with the journal here: once a boot"),
    "journal.space": (_ACTION, "the journal's card passed 80 or 90 % full, or is well below again"),
    "journal.ok": (_ACTION, "the journal writes again"),
    # the clock
    "clock.trust": (_ACTION, "trust in the wall clock changed"),
    "clock.stepped": (_FACT, "the wall clock was set, and by how much"),
    "clock.off": (_ALARM, "a clock that was trusted was off by more than two seconds"),
    "clock.unsynced": (_ALARM, "the clock has not been synchronised for more than a day"),
    # commands and notes
    "command.done": (_ACTION, "a person's or the far side's command was carried out"),
    "command.refused": (_ACTION, "a command was refused, and why"),
    "socket.refused": (_ACTION, "a process that may not was turned away from the local socket"),
    "view.journal": (_ACTION, "a person looked at, or exported, records"),
    "note": (_ACTION, "a fact from the shell whose kind is not in this list; `data.kind` has it"),
    # lanes
    "lane.asked": (_ACTION, "a routine motion was asked for; the pre-warning begins"),
    "lane.wanted": (_ACTION, "the timetable asks for a raise; it is shown to the guard, who may start it"),
    "lane.refused": (_ACTION, "a motion or command was refused or given up, and why; nothing waits for it"),
    "lane.token": (_ACTION, "a motion token for one bollard was issued"),
    "lane.sent": (_ACTION, "what became of that token on the wire"),
    "lane.released": (_ACTION, "a hold-to-run button was let go, which ended what it had asked"),
    "lane.stopped": (_ACTION, "a person asked stop"),
    "lane.position": (_ACTION, "a bollard reached an end, by its limit switch, and in how many milliseconds"),
    "lane.reversal": (_ALARM, "a rise was turned round, and why"),
    "lane.fault": (_ALARM, "a bollard's fault; unless it merely stands between its ends, the lane is closed"),
    "lane.unasked": (_ALARM, "a bollard moved and nobody had asked; the lane is closed"),
    "lane.cleared": (_ACTION, "a person cleared the lane's faults; nothing moves by that"),
    "lane.mode": (_ACTION, "the PLC's selector changed: remote, local, hand, e-stop, unknown"),
    "lane.fire_key": (_ALARM, "the fire key at the lane's PLC changed"),
    "lane.efo": (_ACTION, "a panic press asked the lane up at once: what rises, or why nothing does"),
    "lane.efo_cleared": (_ACTION, "EFO ended with the panic's reset; nothing moves by that"),
    "lane.restored": (_ACTION, "EFO or a closed lane was latched before the restart and is still"),
    "lane.lost": (_FACT, "the lane's PLC cannot be read: all of it is unknown"),
    "lane.back": (_FACT, "the lane's PLC is read (again)"),
}

WEIGHT: dict[str, Weight] = {kind: weight for kind, (weight, _) in MEANING.items()}
