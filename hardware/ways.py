"""The alarm paths a site file names, in the order of their priority."""

from __future__ import annotations

from hardware.site import Site


def alarm_ways(site: Site) -> tuple[tuple[int, str], ...]:
    """(priority, path's name) of every way by which an alarm leaves this gate, first choice first."""
    uplink = site.uplink
    ways = [(uplink.mqtt.priority, "mqtt")] if uplink.mqtt is not None else []
    ways += [(uplink.redis.priority, "redis")] if uplink.redis is not None else []
    ways += [(way.priority, way.id) for way in uplink.dc09]
    ways += [(way.priority, way.id) for way in uplink.gb28181]
    return tuple(sorted(ways, key=lambda way: way[0]))


def sync_names(site: Site) -> tuple[str, ...]:
    """The ways by which the whole journal goes up; what is on all of them may be emptied here when space is short."""
    ways = (("mqtt", site.uplink.mqtt), ("redis", site.uplink.redis))
    return tuple(name for name, way in ways if way is not None)


def path_names(site: Site) -> tuple[str, ...]:
    return tuple(name for _, name in alarm_ways(site))
