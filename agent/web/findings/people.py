"""Findings of panic, drill, fire, doors and readers."""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.words import FROM_AFAR, Contact, Line
from agent.locale import mark
from agent.picture import Alarm, Button, Door, Drill, Picture
from agent.web import words
from agent.web.findings.finding import Finding, Weight
from agent.web.words import Words
from hardware.site import Site


def panic(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    panic = picture.panic
    if panic.latched:
        real = [alarm for alarm in panic.alarms if not alarm.drill]
        names = dict.fromkeys(w.name("button", alarm.button) for alarm in real)
        where = w.t(", ").join(names) or w.t("pressed before the last start")
        yield Finding(
            weight=Weight.ALARM,
            text=w.t("Panic alarm: %(where)s", where=where),
            advice=_panic_advice(real, w),
            since=panic.since,
            ref=panic.latched_ref,
        )
    if panic.lockdown:
        yield Finding(
            weight=Weight.REMARK if panic.latched else Weight.WARNING,
            text=w.t("The way in is locked down"),
            advice=w.t("Everyone can still get out. The way in opens again with the all-clear of a person on site."),
            ref=panic.lockdown_ref,
        )
    if panic.drill is not None:
        yield _drill(picture, panic.drill, w)


def _drill(picture: Picture, drill: Drill, w: Words) -> Finding:
    name = w.name("button", drill.button)
    match drill.phase:
        case "running":
            text = w.t("Drill on panic button “%(name)s”", name=name)
            advice = w.t("It ends by itself. Every other button is real; pressing this one twice or long is real too.")
            return Finding(weight=Weight.REMARK, text=text, advice=advice, since=drill.since, ref=drill.ref)
        case "announced":
            text = w.t("A drill on panic button “%(name)s” is announced, nobody has answered yet", name=name)
            advice = w.t("Every press is real until somebody has heard of it.")
        case _:
            text = w.t("Nobody answered the announcement of the drill on “%(name)s”", name=name)
            advice = w.t("Every press is real. A guard on site may go ahead all the same, or end it.")
    why = " · ".join(f"{w.of(words.PATH, path.id)}: {w.reason(path.why)}" for path in picture.paths if path.why)
    return Finding(weight=Weight.WARNING, text=text, advice=advice, since=drill.since, ref=drill.ref, detail=why)


def asked(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    """What the district asks of the people at the gate. It cannot do it itself."""
    for one in picture.asked:
        if one.what == "drill":
            text = w.t("The district proposes a drill on panic button “%(name)s”", name=w.name("button", one.button))
            advice = w.t("A guard on site starts it, or lets it pass. Until then every press is real.")
        else:
            text = w.t("The district asks for the all-clear")
            advice = w.t("If the gate is safe, turn the panic reset key at the box; or a guard's card and the console.")
        yield Finding(weight=Weight.WARNING, text=text, advice=advice, since=one.since, ref=one.ref)


def _panic_advice(alarms: list[Alarm], w: Words) -> str:
    if alarms and all(_heard(alarm) for alarm in alarms):
        return w.t("The far side has received it. Keep the gate as it is; only a person on site may reset the alarm.")
    return w.t("Not confirmed by the far side yet: also call 110 by telephone.")


def _heard(alarm: Alarm) -> bool:
    return any(stage in FROM_AFAR for stage in alarm.stages.values())


def buttons(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    wires = {button.id: (button.no, button.nc, button.loop) for button in site.panic_button}
    for button in picture.panic.buttons:
        if button.chatter:
            yield Finding(
                weight=Weight.FAULT,
                text=w.t("Panic button “%(name)s” chatters", name=w.name("button", button.id)),
                advice=w.t("It gives more presses than a hand can. Check its contact and its wires."),
                check=" · ".join(wire for wire in wires.get(button.id, ()) if wire),
            )
        if button.line == Line.NORMAL:
            continue
        if button.line == Line.PRESSED and picture.panic.latched and not button.stuck:
            continue  # told by the alarm itself
        check = " · ".join(wire for wire in wires.get(button.id, ()) if wire)
        yield _button(button, check, w)


def _button(button: Button, check: str, w: Words) -> Finding:
    name = w.name("button", button.id)
    advice = w.t("Do not rely on this button. Check its wires and terminals.")
    if button.line == Line.PRESSED:
        advice = w.t("Let the button out. If it will not come out it is stuck: replace it.")
    return Finding(
        weight=Weight.WARNING if button.line == Line.PRESSED else Weight.FAULT,
        text=w.t("Panic button “%(name)s”: %(line)s", name=name, line=w.of(words.LINE, button.line)),
        advice=advice,
        check=check,
        since=button.since,
        ref=button.alarm_ref,
    )


def fire(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    fire = picture.fire
    terminal = "" if site.fire is None else site.fire.terminal
    if fire.latched:
        yield Finding(
            weight=Weight.ALARM,
            text=w.t("Fire: evacuation doors are released, bollards do not rise"),
            advice=w.t("When the fire panel is quiet, a person on site resets it with the key at the box."),
            check=terminal,
            ref=fire.ref,
        )
    if fire.fitted and fire.input is None:
        yield Finding(
            weight=Weight.FAULT,
            text=w.t("The fire panel's contact is not measured"),
            advice=w.t("A fire alarm would not reach the box. Check the wire from the fire panel."),
            check=terminal,
        )


def doors(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    told = {thing for device in picture.devices if device.up is not True for thing in device.takes}
    stubborn = {output.id for output in picture.outputs}
    for door in picture.doors:
        yield from _door_alarms(door, w)
        if door.contact_fitted and door.contact == Contact.UNREAD and f"contact:{door.id}" not in told:
            yield _door(door, w, mark("Door “%(name)s”: its contact is not measured"))
        if f"lock:{door.id}" not in told | stubborn:
            yield from _door_lock(door, w)


def _door_alarms(door: Door, w: Words) -> Iterator[Finding]:
    name = w.name("door", door.id)
    if door.forced:
        yield Finding(
            weight=Weight.ALARM,
            text=w.t("Door “%(name)s” was forced open", name=name),
            advice=w.t("Go and look. Shutting the door ends this alarm."),
            since=door.since,
            ref=door.forced_ref,
        )
    if door.held:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("Door “%(name)s” is held open", name=name),
            advice=w.t("Shut the door, or see what holds it."),
            since=door.since,
            ref=door.held_ref,
        )
    if door.shunted_until is not None:
        yield Finding(
            weight=Weight.REMARK,
            text=w.t("The alarms of door “%(name)s” are put aside", name=name),
            advice=w.t("Nobody is told when it is forced or held open. It ends by itself; a guard can end it sooner."),
            ref=door.shunt_ref,
        )


def _door(door: Door, w: Words, text: str) -> Finding:
    return Finding(
        weight=Weight.FAULT,
        text=w.t(text, name=w.name("door", door.id)),
        advice=w.t("Check the wires of this door."),
        since=door.since,
    )


def _door_lock(door: Door, w: Words) -> Iterator[Finding]:
    if door.lock is None:
        yield _door(door, w, mark("Door “%(name)s”: its lock is not read back"))
    elif door.lock_commanded is None:
        yield _door(door, w, mark("Door “%(name)s”: nothing is commanded of its lock"))
