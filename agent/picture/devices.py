"""The devices of a site as the picture lists them: each with what its loss takes away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from agent.core.state import DeviceState
from agent.picture import Device
from hardware.site import Site


class DeviceFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a device's link went through since the start."""

    errors: int | None = None
    losses: int = 0
    heard_at: float | None = None  # monotonic s


NO_FIGURES = DeviceFigures()


def terminal_device(terminal: str) -> str:
    """The device that carries a terminal: "gpio:17" → "gpio", "relays:3" → "relays", "" and "plc" → ""."""
    head, colon, _ = terminal.partition(":")
    return head if colon else ""


class Reach:
    """Which devices there are, what hangs on what, and therefore what can still be measured."""

    def __init__(self, site: Site, health: Mapping[str, DeviceState]) -> None:
        self.health = health
        self.parents = _parents(site)

    def up(self, device: str) -> bool | None:
        """False when the device or anything it hangs on is lost; None when nobody has heard of it."""
        own = self.health.get(device)
        parent = self.parents.get(device, "")
        if parent and self.up(parent) is False:
            return False
        return None if own is None else own.up

    def readable(self, terminal: str) -> bool:
        """Whether what is measured at a terminal may be shown; a device not heard of keeps its own word."""
        device = terminal_device(terminal)
        return not device or self.up(device) is not False


def _parents(site: Site) -> dict[str, str]:
    found = {board.name: f"bus:{board.bus}" for board in site.relay_board}
    found |= {board.name: f"bus:{board.bus}" for board in site.analog_board}
    return found | {f"lane:{lane.id}": f"bus:{lane.bus}" for lane in site.lane}


def devices(site: Site, reach: Reach, figures: Mapping[str, DeviceFigures]) -> tuple[Device, ...]:
    """Every device of the site, in wiring order, then any other that the health slice knows."""
    listed = list(_site_devices(site))
    known = {device.id for device in listed}
    listed += [Device(id=name) for name in sorted(reach.health) if name not in known]
    takes = _takes(site)
    return tuple(
        _measured(device, reach, takes.get(device.id, ()), figures.get(device.id, NO_FIGURES)) for device in listed
    )


def _site_devices(site: Site) -> Iterator[Device]:
    yield Device(id="gpio", kind="gpio", where=site.board.gpio_address or site.board.gpio)
    for bus in site.bus:
        yield Device(id=f"bus:{bus.name}", kind="bus", where=bus.device or f"{bus.host}:{bus.port}")
    for relay in site.relay_board:
        yield Device(id=relay.name, kind="relays", where=relay.bus, unit=relay.unit)
    for analog in site.analog_board:
        yield Device(id=analog.name, kind="loops", where=analog.bus, unit=analog.unit)
    for lane in site.lane:
        yield Device(id=f"lane:{lane.id}", kind="lane", where=lane.bus, unit=lane.unit)
    for reader in site.reader:
        yield Device(id=f"reader:{reader.id}", kind="reader", where=reader.device)


def _measured(device: Device, reach: Reach, takes: tuple[str, ...], figures: DeviceFigures) -> Device:
    """A device that answers does so many times a second: only of one that is silent, and of a reader, is the last
    word worth an instant, which would else change with every picture."""
    state = reach.health.get(device.id)
    up = reach.up(device.id)
    tells = up is not True or device.kind == "reader"
    return Device(
        id=device.id,
        kind=device.kind,
        where=device.where,
        unit=device.unit,
        takes=takes,
        up=up,
        errors=figures.errors,
        losses=figures.losses,
        heard=round(figures.heard_at * 1000) if tells and figures.heard_at is not None else None,
        since=None if state is None or state.since_at <= 0.0 else round(state.since_at * 1000),
        since_wall_ms=None if state is None or not state.since_ms else state.since_ms,
        why="" if state is None else state.why,
    )


def _takes(site: Site) -> dict[str, tuple[str, ...]]:
    """device → what nobody can measure or switch without it, following buses to what hangs on them."""
    found: dict[str, list[str]] = {}
    for terminal, thing in _wired(site):
        device = terminal_device(terminal)
        if device:
            found.setdefault(device, []).append(thing)
    for lane in site.lane:
        found.setdefault(f"lane:{lane.id}", []).append(f"lane:{lane.id}")
    for reader in site.reader:
        found[f"reader:{reader.id}"] = [f"reader:{reader.id}"]
    for child, parent in _parents(site).items():
        found.setdefault(parent, []).extend(found.get(child, ()))
    return {device: tuple(dict.fromkeys(things)) for device, things in found.items()}


def _wired(site: Site) -> Iterator[tuple[str, str]]:
    """(terminal, what is wired to it) for the whole site."""
    for button in site.panic_button:
        for terminal in (button.no, button.nc, button.loop):
            yield terminal, f"button:{button.id}"
    for door in site.door:
        yield door.lock, f"lock:{door.id}"
        yield door.contact, f"contact:{door.id}"
        yield door.rex, f"rex:{door.id}"
    for key in site.key:
        yield key.terminal, f"key:{key.id}"
    yield from _lane_wires(site)
    yield from _box_wires(site)


def _lane_wires(site: Site) -> Iterator[tuple[str, str]]:
    for lane in site.lane:
        sensors = lane.sensors
        for terminal in (sensors.loop1, sensors.loop2, sensors.beam, sensors.pressure):
            yield terminal, f"lane:{lane.id}"
        for terminal in (lane.raise_key, lane.lower_key):
            yield terminal, f"lanekeys:{lane.id}"
        for terminal in (lane.light_red, lane.light_green, lane.warning_lamp, lane.buzzer):
            yield terminal, f"light:{lane.id}"


def _box_wires(site: Site) -> Iterator[tuple[str, str]]:
    if site.fire is not None:
        yield site.fire.terminal, "fire"
    for name, contact in (("tamper", site.tamper), ("mains", site.mains), ("battery", site.battery)):
        if contact is not None:
            yield contact.terminal, name
    for lamp in ("sent", "received", "coming", "fault"):
        yield getattr(site.indicators, lamp), f"lamp:{lamp}"
    yield site.indicators.siren, "siren"
