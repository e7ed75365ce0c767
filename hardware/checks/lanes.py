"""Lanes: no bollard moves blind, silent, or by a controller that cannot be stopped when this box dies."""

from __future__ import annotations

from collections.abc import Iterator

from hardware.checks.look import Check, Look
from hardware.mistakes import Finding, found
from hardware.profiles import BollardProfile

_VEHICLE = ("loop1", "loop2", "beam")  # these see a vehicle before the bollard touches it; pressure does not
_SENSORS = (*_VEHICLE, "pressure")
_OUTPUTS = {"light_red": "lights", "light_green": "lights", "buzzer": "warning", "warning_lamp": "warning"}
_TO_MOVE = ("heartbeat", "mode")  # cannot be wired elsewhere: without them a lane may be watched, never moved


def lanes_have_bollards(look: Look) -> Iterator[Finding]:
    for i, lane in enumerate(look.site.lane):
        if not lane.bollard and look.sound("lane", i, "bollard"):
            yield found(("lane", i), "lane_without_bollards")


def lanes_see_vehicles(look: Look) -> Iterator[Finding]:
    for i, lane in enumerate(look.site.lane):
        blind = not any(getattr(lane.sensors, part) for part in _VEHICLE)
        if blind and not lane.monitor_only and look.sound("lane", i, "sensors"):
            yield found(("lane", i), "lane_without_sensors")


def sensors_are_not_lacking(look: Look) -> Iterator[Finding]:
    """A sensor said to be at the PLC is one that this make's PLC tells of."""
    for i, lane in enumerate(look.site.lane):
        profile = look.lane_profile(lane)
        for part in _SENSORS:
            if profile and getattr(lane.sensors, part) == "plc" and part in profile.lacks:
                yield found(("lane", i, "sensors", part), "sensor_lacking", sensor=part, maker=profile.name)


def outputs_are_not_lacking(look: Look) -> Iterator[Finding]:
    """A light or buzzer said to be at the PLC is one that this make's PLC drives."""
    for i, lane in enumerate(look.site.lane):
        profile = look.lane_profile(lane)
        for part, lack in _OUTPUTS.items():
            moves = profile is not None and not lane.monitor_only and not _lacking(profile)
            driven = moves or look.given(("lane", i, part))
            if profile and driven and getattr(lane, part) == "plc" and lack in profile.lacks:
                code = "light_lacking" if lack == "lights" else "warning_lacking"
                yield found(("lane", i, part), code, part=part, maker=profile.name)


def movers_warn(look: Look) -> Iterator[Finding]:
    """A bollard that moves has a lamp and a buzzer to warn with."""
    for i, lane in enumerate(look.site.lane):
        for part in ("buzzer", "warning_lamp"):
            if not getattr(lane, part) and not lane.monitor_only:
                yield found(("lane", i, part), "warning_missing", part=part)


def movers_can_be_stopped(look: Look) -> Iterator[Finding]:
    """A controller without heartbeat goes on when this box dies; without a mode it moves under a mechanic's hands."""
    for i, lane in enumerate(look.site.lane):
        profile = look.lane_profile(lane)
        if profile and _lacking(profile) and not lane.monitor_only:
            lacks = ", ".join(_lacking(profile))
            yield found(("lane", i, "monitor_only"), "lane_only_watched", maker=profile.name, lacks=lacks)


def _lacking(profile: BollardProfile) -> list[str]:
    return [what for what in _TO_MOVE if what in profile.lacks]


def bollards_fit_the_controller(look: Look) -> Iterator[Finding]:
    for i, lane in enumerate(look.site.lane):
        profile = look.lane_profile(lane)
        if not profile:
            continue
        for k, bollard in enumerate(lane.bollard):
            if not 0 <= bollard.index < profile.max_bollards:
                words = {"index": bollard.index, "maker": profile.name, "last": profile.max_bollards - 1}
                yield found(("lane", i, "bollard", k, "index"), "bollard_index", **words)


def bollards_have_their_own_block(look: Look) -> Iterator[Finding]:
    for i, lane in enumerate(look.site.lane):
        owners: dict[int, str] = {}
        for k, bollard in enumerate(lane.bollard):
            if bollard.index in owners:
                owner = owners[bollard.index]
                yield found(("lane", i, "bollard", k, "index"), "bollard_index_twice", index=bollard.index, owner=owner)
            owners.setdefault(bollard.index, bollard.id)


CHECKS: tuple[Check, ...] = (
    lanes_have_bollards,
    lanes_see_vehicles,
    sensors_are_not_lacking,
    outputs_are_not_lacking,
    movers_warn,
    movers_can_be_stopped,
    bollards_fit_the_controller,
    bollards_have_their_own_block,
)
