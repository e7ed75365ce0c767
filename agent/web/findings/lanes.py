"""Findings of lanes: the selector, the bollards, the sensors."""

from __future__ import annotations

from collections.abc import Iterator

from agent.core.words import Mode, Motion, Position, Sensor
from agent.picture import Bollard, Lane, Picture
from agent.web import words
from agent.web.findings.box import device_advice
from agent.web.findings.finding import Finding, Weight
from agent.web.words import Words
from hardware.site import Site

RISE_DRIFT_PERCENT = 20  # D: a rise this much slower than nominal wants a look


def lanes(picture: Picture, site: Site, w: Words) -> Iterator[Finding]:
    yield from _raised(picture, w)
    told = {thing for device in picture.devices if device.up is not True for thing in device.takes}
    for lane in picture.lanes:
        if lane.lost:
            if f"lane:{lane.id}" not in told:
                yield _lane_lost(lane, w)
            continue
        yield from _lane(lane, w)
        for bollard in lane.bollards:
            yield from _bollard(bollard, lane, w)
        yield from _sensors(lane, w)


def _raised(picture: Picture, w: Words) -> Iterator[Finding]:
    names = [w.name("lane", lane.id) for lane in picture.lanes if lane.efo]
    if names:
        yield Finding(
            weight=Weight.REMARK,  # part of the alarm, which is told already
            text=w.t("Emergency raise latched: %(lanes)s", lanes=w.t(", ").join(names)),
            advice=w.t("It ends with the reset of the panic alarm; the fire key lowers at once."),
        )


def _lane_lost(lane: Lane, w: Words) -> Finding:
    return Finding(
        weight=Weight.FAULT,
        text=w.t("Lane “%(name)s”: no fresh reading, everything there is unknown", name=w.name("lane", lane.id)),
        advice=device_advice("lane", w),
        since=lane.fresh,
    )


def _lane(lane: Lane, w: Words) -> Iterator[Finding]:
    name = w.name("lane", lane.id)
    if lane.closed:
        yield Finding(
            weight=Weight.FAULT,
            text=w.t("Lane “%(name)s” is closed after a fault", name=name),
            advice=w.t("Keep vehicles away and look at the bollards. A person on site clears the fault."),
            ref=lane.closed_ref,
        )
    if lane.mode != Mode.REMOTE:
        yield _lane_mode(lane, name, w)
    if lane.blocked:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("Lane “%(name)s”: the last raise was refused", name=name),
            advice=w.t("Clear the lane and press again: nothing rises by itself."),
            detail=w.why(lane.blocked),
        )
    if lane.wanted is not None:
        yield Finding(
            weight=Weight.REMARK,
            text=w.t(
                "Lane “%(name)s”: the timetable asks to %(motion)s", name=name, motion=w.of(words.MOTION, lane.wanted)
            )
            if lane.wanted is Motion.RAISE
            else w.t("Lane “%(name)s”: a registered vehicle waits to be let in", name=name),
            advice=w.t("A person starts it, on an empty lane."),
        )
    if lane.fire_key:
        yield Finding(
            weight=Weight.ALARM,
            text=w.t("Lane “%(name)s”: the fire key is turned", name=name),
            advice=w.t("Bollards do not rise until it is turned back and reset by hand at the box."),
        )


def _lane_mode(lane: Lane, name: str, w: Words) -> Finding:
    return Finding(
        weight=Weight.FAULT if lane.mode in (Mode.ESTOP, Mode.UNKNOWN) else Weight.WARNING,
        text=w.t("Lane “%(name)s” is on “%(mode)s”", name=name, mode=w.of(words.MODE, lane.mode)),
        advice=w.t("The box moves nothing there. Set the selector at the bollard controller back to “remote”."),
    )


def _bollard(bollard: Bollard, lane: Lane, w: Words) -> Iterator[Finding]:
    name = w.name("bollard", bollard.id)
    if bollard.position in (Position.FAULT, Position.UNKNOWN) or bollard.fault:
        why = w.of(words.BOLLARD_FAULT, bollard.fault) if bollard.fault else w.of(words.POSITION, bollard.position)
        code = bollard.plc_fault
        yield Finding(
            weight=Weight.FAULT,
            text=w.t("Bollard %(name)s: %(why)s", name=name, why=why),
            advice=w.t("Keep away from it. Look at it, its limit switches and its controller."),
            since=bollard.since,
            detail=w.t("Controller's fault code %(code)s", code=code) if code else "",
        )
    if not bollard.commissioned and not lane.monitor_only:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("Bollard %(name)s has not been commissioned: it is not moved", name=name),
            advice=w.t("Test its sensors and record it before it may move."),
        )
    drift = rise_drift_percent(bollard)
    if drift is not None and drift >= RISE_DRIFT_PERCENT:
        yield Finding(
            weight=Weight.WARNING,
            text=w.t("Bollard %(name)s rises %(percent)s %% slower than it should", name=name, percent=drift),
            advice=w.t("Have its oil, pump and guides looked at."),
            detail=w.t(
                "%(now)s now, %(nominal)s nominal",
                now=w.seconds(bollard.rise_ms),
                nominal=w.seconds(bollard.nominal_rise_ms),
            ),
        )


def rise_drift_percent(bollard: Bollard) -> int | None:
    """How much slower than nominal the last complete rise was; None when not known."""
    if bollard.rise_ms is None or bollard.nominal_rise_ms <= 0:
        return None
    return round(100 * (bollard.rise_ms - bollard.nominal_rise_ms) / bollard.nominal_rise_ms)


def _sensors(lane: Lane, w: Words) -> Iterator[Finding]:
    for sensor in lane.sensors:
        if sensor.value in (Sensor.FAULTY, Sensor.UNREAD):
            yield Finding(
                weight=Weight.FAULT,
                text=w.t(
                    "Lane “%(name)s”, %(sensor)s: %(value)s",
                    name=w.name("lane", lane.id),
                    sensor=w.of(words.SENSOR_NAME, sensor.id),
                    value=w.of(words.SENSOR, sensor.value),
                ),
                advice=w.t("No raise until it measures again. Check the sensor and its wire."),
            )
