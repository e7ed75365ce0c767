"""Buses and what hangs on them: complete, one owner for each wire, one device for each unit, fast enough."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator

from hardware import bus_time, places
from hardware.checks.look import Check, Look, known
from hardware.mistakes import Finding, found
from hardware.site import Bus
from hardware.terminals import Path

BAUDS = (1200, 2400, 4800, 9600, 14400, 19200, 38400, 57600, 115200)
UNITS = range(1, 248)  # Modbus application protocol: 0 is broadcast, 248-255 reserved (V)
_ONLY_RTU = ("device", "baud", "parity", "stop_bits")
_ONLY_TCP = ("host", "port")
_UNSTABLE = re.compile(r"/dev/tty(USB|ACM)\d+")


def buses_are_complete(look: Look) -> Iterator[Finding]:
    for i, bus in enumerate(look.site.bus):
        if bus.kind == "rtu" and not bus.device:
            yield found(("bus", i, "device"), "bus_needs_device")
        if bus.kind == "tcp" and not bus.host:
            yield found(("bus", i, "host"), "bus_needs_host")


def buses_have_no_foreign_keys(look: Look) -> Iterator[Finding]:
    for i, bus in enumerate(look.site.bus):
        for key in _ONLY_RTU if bus.kind == "tcp" else _ONLY_TCP:
            if look.given(("bus", i, key)) and look.sound("bus", i, "kind"):
                yield found(("bus", i, key), "bus_foreign_key", key=key, kind=bus.kind)


def bauds_are_usual(look: Look) -> Iterator[Finding]:
    for i, bus in enumerate(look.site.bus):
        if bus.kind == "rtu" and bus.baud not in BAUDS:
            yield found(("bus", i, "baud"), "baud_unusual", baud=bus.baud, known=", ".join(map(str, BAUDS)))


def wires_have_one_owner(look: Look) -> Iterator[Finding]:
    """No two buses, readers or both on one serial device; no two buses on one TCP address."""
    owners: dict[str, str] = {}
    for path, key, wire in _wires(look):
        if wire in owners:
            yield found(path, "wire_twice", wire=wire, owner=owners[wire])
        owners.setdefault(wire, key)


def _wires(look: Look) -> Iterator[tuple[Path, str, str]]:
    """(path, key, the wire's name): a device path or host:port."""
    for i, bus in enumerate(look.site.bus):
        if bus.kind == "rtu" and bus.device:
            yield ("bus", i, "device"), f"bus.{bus.name}", _device(look, bus.device)
        if bus.kind == "tcp" and bus.host:
            yield ("bus", i, "host"), f"bus.{bus.name}", f"{bus.host.lower()}:{bus.port}"
    for i, reader in enumerate(look.site.reader):
        if reader.device:
            yield ("reader", i, "device"), f"reader.{reader.id}", _device(look, reader.device)


def _device(look: Look, text: str) -> str:
    """One spelling for each device; links are not followed, since the file may be checked on another machine."""
    return os.path.normpath(places.device_path(look.site, text))


def usb_names_are_stable(look: Look) -> Iterator[Finding]:
    """Two adapters may swap ttyUSB0 and ttyUSB1 at any start; one alone keeps its name."""
    unstable = [(path, wire) for path, _key, wire in _wires(look) if _UNSTABLE.fullmatch(wire)]
    for path, wire in unstable if len(unstable) > 1 else ():
        yield found(path, "usb_name_unstable", device=wire)


def _units(look: Look) -> Iterator[tuple[Path, str, str, int]]:
    """(path of the unit, key of the device, bus, unit)."""
    for i, lane in enumerate(look.site.lane):
        yield ("lane", i, "unit"), f"lane.{lane.id}", lane.bus, lane.unit
    for table in ("relay_board", "analog_board"):
        for i, board in enumerate(getattr(look.site, table)):
            yield (table, i, "unit"), f"{table}.{board.name}", board.bus, board.unit


def units_are_addresses(look: Look) -> Iterator[Finding]:
    for path, _key, _bus, unit in _units(look):
        if unit not in UNITS:
            yield found(path, "unit_out_of_range", unit=unit)


def units_are_unique(look: Look) -> Iterator[Finding]:
    owners: dict[tuple[str, int], str] = {}
    for path, key, bus, unit in _units(look):
        if (bus, unit) in owners:
            yield found(path, "unit_twice", unit=unit, bus=bus, owner=owners[bus, unit])
        owners.setdefault((bus, unit), key)


def fixed_serial_settings_are_kept(look: Look) -> Iterator[Finding]:
    """A controller that speaks at one baud and parity only gets a bus that does."""
    buses = {bus.name: (i, bus) for i, bus in enumerate(look.site.bus) if bus.kind == "rtu"}
    told: set[Path] = set()
    for lane in look.site.lane:
        profile = look.lane_profile(lane)
        if not profile or not profile.fixed_serial or lane.bus not in buses:
            continue
        i, bus = buses[lane.bus]
        for key in ("baud", "parity"):
            path: Path = ("bus", i, key)
            if getattr(bus, key) != getattr(profile, key) and path not in told:
                told.add(path)
                yield found(path, f"{key}_not_the_makers", maker=profile.name, value=getattr(profile, key))


def sensors_stay_fresh(look: Look) -> Iterator[Finding]:
    """A serial bus that reads sensors gets round within 300 ms, a dead unit's probe included."""
    for i, bus in enumerate(look.site.bus):
        if bus.kind == "rtu" and bus.baud in BAUDS and _reads_sensors(look, bus) and _all_known(look, bus):
            age_s = bus_time.oldest_reading_s(look.site, bus)
            if age_s > bus_time.FRESH_S:
                yield found(("bus", i), "bus_too_slow", ms=round(age_s * 1000), limit=round(bus_time.FRESH_S * 1000))


def _reads_sensors(look: Look, bus: Bus) -> bool:
    lanes = [lane for lane in look.site.lane if lane.bus == bus.name and not lane.monitor_only]
    return any("plc" in (s.loop1, s.loop2, s.beam, s.pressure) for s in (lane.sensors for lane in lanes))


def _all_known(look: Look, bus: Bus) -> bool:
    tables = (("lane", "bollards"), ("relay_board", "relays"), ("analog_board", "analog"))
    things = [(kind, thing) for table, kind in tables for thing in getattr(look.site, table)]
    return all(known(kind, thing.profile) for kind, thing in things if thing.bus == bus.name)


CHECKS: tuple[Check, ...] = (
    buses_are_complete,
    buses_have_no_foreign_keys,
    bauds_are_usual,
    wires_have_one_owner,
    usb_names_are_stable,
    units_are_addresses,
    units_are_unique,
    fixed_serial_settings_are_kept,
    sensors_stay_fresh,
)
