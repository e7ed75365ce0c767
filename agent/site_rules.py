"""From the site file to the core's rules: the one place that knows both."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from agent.core.rules import (
    BollardRules,
    BoxRules,
    CredentialRules,
    DoorRules,
    KeyRules,
    LaneRules,
    ReaderRules,
)
from hardware.site import Credential, Door, Lane, Site
from hardware.ways import path_names

SENSOR_NAMES = ("loop1", "loop2", "beam", "pressure")


def rules_of(site: Site) -> BoxRules:
    """The core's rules for a checked site. Never fails on a site that the loader passed."""
    decisions = site.decisions
    return BoxRules(
        site_box=f"{site.site.id}/{site.site.box}",
        lanes=tuple(map(_lane, site.lane)),
        doors=tuple(map(_door, site.door)),
        readers=tuple(ReaderRules(id=r.id, door=r.door, lane=r.lane, direction=r.direction) for r in site.reader),
        buttons=tuple(button.id for button in site.panic_button),
        keys=tuple(KeyRules(id=key.id, use=key.use) for key in site.key),
        credentials=_credentials(site),
        paths=path_names(site),
        lamps=tuple(name for name in ("sent", "received", "coming", "fault") if getattr(site.indicators, name)),
        has_fire=site.fire is not None,
        panic_raises_bollards=decisions.panic_raises_bollards,
        panic_audible=decisions.panic_audible,
        fire_lowers_service_lane=decisions.fire_lowers_service_lane,
    )


def fitted_sensors(lane: Lane) -> tuple[str, ...]:
    """The sensors of a lane that have a terminal."""
    return tuple(name for name in SENSOR_NAMES if getattr(lane.sensors, name))


def _lane(lane: Lane) -> LaneRules:
    return LaneRules(
        id=lane.id,
        bollards=tuple(BollardRules(id=b.id, commissioned=b.commissioned) for b in lane.bollard),
        sensors=fitted_sensors(lane),
        monitor_only=lane.monitor_only,
        service=lane.kind == "service",
        entry=lane.kind in ("entry", "both"),
        rise_s=lane.rise_s,
        lower_s=lane.lower_s,
        efo_s=lane.efo_s,
        prewarn_s=lane.prewarn_s,
        clear_s=lane.clear_s,
        efo_clear_s=lane.efo_clear_s,
        bus=lane.bus,
    )


def _door(door: Door) -> DoorRules:
    return DoorRules(
        id=door.id,
        lock_kind=door.lock_kind,
        evacuation_way=door.evacuation_way,
        unlock_s=door.unlock_s,
        held_open_s=door.held_open_s,
    )


def _credentials(site: Site) -> dict[str, CredentialRules]:
    zone = ZoneInfo(site.site.timezone)
    rules = (_credential(credential, zone) for credential in site.credential)
    return {rule.card: rule for rule in rules}


def _credential(credential: Credential, zone: ZoneInfo) -> CredentialRules:
    return CredentialRules(
        card=f"{credential.format}:{credential.card.upper()}",
        holder=credential.holder,
        group=credential.group,
        doors=frozenset(credential.doors),
        lanes=frozenset(credential.lanes),
        valid_from_ms=midnight_ms(credential.valid_from, zone, 0),
        valid_to_ms=midnight_ms(credential.valid_to, zone, 1),
    )


def midnight_ms(text: str, zone: ZoneInfo, days: int) -> int:
    """UTC ms of the start of the day `days` after ISO date `text`; 0 for empty text (no limit)."""
    if not text:
        return 0
    day = date.fromisoformat(text) + timedelta(days=days)
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
