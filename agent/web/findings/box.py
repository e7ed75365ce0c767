"""Findings of the box itself: devices, outputs, power, clock, uplinks, journal."""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.words import ClockTrust, Journal
from agent.locale import mark
from agent.picture import Device, Path, Picture, Supply
from agent.web import words
from agent.web.findings.finding import Finding, Weight
from agent.web.words import Words
from hardware.site import Site

CARD_FULL_PERCENT = 80  # D: the same marks at which control writes it down
CARD_VERY_FULL_PERCENT = 90
HOT_C = 75  # D: a Raspberry Pi slows itself down from 80 °C on (maker, V)
HEADROOM_LOW_DAYS = 14  # D
HEADROOM_GONE_DAYS = 3  # D


def devices(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    if not picture.scanned:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("Just started: not every input has been read yet"),
            advice=w.t("Nothing is commanded before that. If it lasts, look for the device that does not answer."),
        )
    down = {device.id for device in picture.devices if device.up is False}
    for device in picture.devices:
        if device.up is not True and _parent(device, site) not in down:
            yield _device(device, w)
    yield from _keys(picture, w)


def _parent(device: Device, site: Site) -> str:
    """The bus a device hangs on: when that is down, the bus alone is told."""
    if device.kind in ("lane", "relays", "loops"):
        return f"bus:{device.where}"
    return ""


def _device(device: Device, w: Words) -> Finding:
    name = w.board(device.kind, device.id)
    takes = w.t(", ").join(w.thing(thing) for thing in device.takes if thing != device.id)
    text = w.t("No answer: %(device)s", device=name)
    if device.up is None:
        text = w.t("Not heard of since the start: %(device)s", device=name)
    return Finding(
        weight=Weight.FAULT if device.up is False else Weight.WARNING,
        text=text,
        advice=device_advice(device.kind, w),
        check=place(device, w),
        since=device.since,
        detail=w.t("Without it: %(things)s", things=takes) if takes else "",
    )


def place(device: Device, w: Words) -> str:
    """Where to look for a device: its address, device file, or bus and unit."""
    if device.unit is not None:
        return w.t("%(where)s, unit %(unit)s", where=device.where, unit=device.unit)
    return device.where


def device_advice(kind: str, w: Words) -> str:
    """What to do when a device of this kind does not answer."""
    return w.t(_DEVICE_ADVICE[kind])


_DEVICE_ADVICE = {
    "gpio": mark("Restart the box; if it stays, the board or its pin service is at fault."),
    "bus": mark("Check the cable, the power of what hangs on it, and the address or serial settings."),
    "lane": mark("Check the power and cable of the bollard controller and its unit number."),
    "reader": mark("Check the reader's plug and power."),
    "relays": mark("Check the relay board's power, bus wires and unit number."),
    "loops": mark("Check the loop board's power, bus wires and unit number."),
    "other": mark("Check its power and cable."),
}


def _keys(picture: Picture, w: Words) -> Iterator[Finding]:
    gone = {thing for device in picture.devices if device.up is not True for thing in device.takes}
    for key in picture.keys:
        if key.on is None and f"key:{key.id}" not in gone:
            yield Finding(
                weight=Weight.WARNING,
                text=w.t("%(key)s: not measured", key=w.of(words.KEY_USE, key.use)),
                advice=w.t("Check the key switch's wires."),
            )


def outputs(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    told = {thing for device in picture.devices if device.up is False for thing in device.takes}
    for output in picture.outputs:
        lane = output.id.replace("light:", "lane:")
        if output.id not in told and lane not in told:
            yield Finding(
                weight=Weight.FAULT,
                text=w.t("Does not obey: %(thing)s", thing=w.thing(output.id)),
                advice=w.t("It reads back differently from what was commanded. Check the relay and its wires."),
                detail=w.reason(output.why),
            )
    for reader in picture.readers:
        if reader.locked_out_until is not None:
            yield Finding(
                weight=Weight.WARNING,
                text=w.t("Card reader “%(name)s” is locked out", name=w.name("reader", reader.id)),
                advice=w.t(
                    "Too many wrong cards. It takes cards again by itself within a minute; going out still works."
                ),
            )


def supplies(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    wires = {"tamper": site.tamper, "mains": site.mains, "battery": site.battery}
    for supply in picture.supplies:
        contact = wires[supply.which]
        if supply.ok is not True:
            yield _supply(supply, "" if contact is None else contact.terminal, w)


def _supply(supply: Supply, terminal: str, w: Words) -> Finding:
    state = w.t(mark("not measured")) if supply.ok is None else w.of(words.SUPPLY_BAD, supply.which)
    bad = Weight.ALARM if supply.which == "tamper" else Weight.FAULT
    return Finding(
        weight=Weight.WARNING if supply.ok is None else bad,
        text=w.t("%(supply)s: %(state)s", supply=w.of(words.SUPPLY, supply.which), state=state),
        advice=w.t(_SUPPLY_ADVICE[supply.which]),
        check=terminal,
    )


_SUPPLY_ADVICE = {
    "mains": mark("Check the fuse and the supply of the cabinet; the battery lasts for hours only."),
    "battery": mark("Have the battery tested or replaced before the next power cut."),
    "tamper": mark("Go and see who opened the cabinet, and shut it."),
}


def clock(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    trust = picture.clock.trust
    if trust != ClockTrust.TRUSTED or picture.clock.alarmed:
        untrusted = trust == ClockTrust.UNTRUSTED or picture.clock.alarmed
        yield Finding(
            weight=Weight.WARNING if untrusted else Weight.REMARK,
            text=w.t("The box's %(state)s", state=w.of(words.TRUST, trust)),
            advice=w.t("Times in records may be wrong. Check the network's time service."),
            since=picture.clock.since,
        )


def paths(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    if not any(path.up for path in picture.paths):
        yield Finding(
            weight=Weight.FAULT,
            text=w.t("No way to the district: an alarm would not be heard there now"),
            advice=w.t("In an emergency call 110 by telephone. Records wait here and are sent later; none is lost."),
            since=max((path.since for path in picture.paths if path.since is not None), default=None),
            detail=_paths_detail(picture.paths, w),
        )
        return
    for path in picture.paths:
        if path.up is not True:
            yield Finding(
                weight=Weight.WARNING,
                text=w.t("Uplink %(path)s is down", path=w.of(words.PATH, path.id)),
                advice=w.t("The other ways still carry alarms. Check the network and the district's server."),
                since=path.since,
                detail=w.reason(path.why),
            )


def given_up(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    """Alarms that a path could not keep waiting: its far side may never hear of them by this way."""
    for path in picture.paths:
        if path.given_up:
            yield Finding(
                weight=Weight.REMARK if path.up else Weight.WARNING,
                text=w.n(
                    "Too many alarms waited on %(path)s: %(n)s message was given up",
                    "Too many alarms waited on %(path)s: %(n)s messages were given up",
                    path.given_up,
                    path=w.of(words.PATH, path.id),
                ),
                advice=w.t(
                    "None is lost here: the records have all of them. Tell whoever watches there what happened "
                    "meanwhile. The count begins anew with a restart."
                ),
            )


def _paths_detail(paths: tuple[Path, ...], w: Words) -> str:
    return w.t("; ").join(f"{w.of(words.PATH, path.id)}: {w.reason(path.why) or w.t(words.UNKNOWN)}" for path in paths)


def journal(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    journal = picture.journal
    if journal.health != Journal.OK:
        yield Finding(
            weight=Weight.ALARM if journal.health == Journal.FAILING else Weight.WARNING,
            text=w.t("Journal: %(state)s", state=w.of(words.JOURNAL, journal.health)),
            advice=w.t(
                "Emergencies still work, from memory. Check the card or disk now: what happens may not be kept."
            ),
            detail=w.reason(journal.why),
        )
    if journal.used_percent is not None and journal.used_percent >= CARD_FULL_PERCENT:
        yield Finding(
            weight=Weight.FAULT if journal.used_percent >= CARD_VERY_FULL_PERCENT else Weight.WARNING,
            text=w.t("The card is %(percent)s %% full", percent=journal.used_percent),
            advice=w.t("Old pictures and routine records are given up first. Fit a larger card or disk."),
        )
    days = journal.headroom_days
    if days is not None and days < HEADROOM_LOW_DAYS:
        yield Finding(
            weight=Weight.FAULT if days < HEADROOM_GONE_DAYS else Weight.WARNING,
            text=w.n("Room for records: %(n)s day left", "Room for records: %(n)s days left", days),
            advice=w.t("Bring the uplink back or fit a larger card or disk."),
        )


def machine(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    """The computer itself: too hot, or fed too little."""
    degrees = picture.machine.temperature_c
    if degrees is not None and degrees >= HOT_C:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("The box's computer is at %(degrees)s °C", degrees=degrees),
            advice=w.t("Shade or ventilate the cabinet. From 80 °C on the computer slows itself down."),
        )
    if picture.machine.under_voltage:
        yield Finding(
            weight=Weight.FAULT,
            text=w.t("The computer's supply voltage was too low since it started"),
            advice=w.t("Check the 5 V supply and its cable. A weak supply damages the card and resets the box."),
        )
