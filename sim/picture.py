"""The true state of everything, as `GET /world` shows it: plain data, made fresh each time."""

from __future__ import annotations

from typing import Any, TypeAlias

from hardware.site import Site
from hardware.terminals import gpio_inputs, gpio_outputs
from sim.faults import KINDS, Choice, FaultBook
from sim.lane import Lane
from sim.world import World

Plain: TypeAlias = dict[str, Any]


def truth(world: World) -> Plain:
    """Positions, locks, lines, lamps, sensors, pins and faults as they are, whatever anyone was told."""
    pins = world.wiring.pins
    return {
        "at_s": world.now_s,
        "lanes": {id: _lane(lane) for id, lane in world.lanes.items()},
        "doors": {
            id: {"open": door.open, "locked": door.locked, "energised": door.energised}
            for id, door in world.doors.items()
        },
        "buttons": {
            id: {"pressed": button.finger, "line": button.line} for id, button in world.buttons.items()
        },
        "keys": {key: "on" if on else "off" for key, on in world.keys.items()},
        "rex": dict(world.rex_down),
        "fire": world.fire_on,
        "tamper": not world.supplies["tamper"],
        "mains": world.supplies["mains"],
        "battery": world.supplies["battery"],
        "lamps": {lamp: on for lamp, on in world.lamps.items() if lamp != "siren"},
        "siren": world.lamps["siren"],
        "relays": {board: list(bank.state) for board, bank in world.wiring.relays.items()},
        "loops": {board: world.wiring.millivolts(board) for board in world.wiring.loops},
        "pins": {
            str(gpio): {"level": int(pins.level(gpio)), "output": bool(pins.mode[gpio])}
            for gpio in range(len(pins.mode))
        },
        "faults": faults(world.faults),
        "breaches": [{"at_s": b.at_s, "bollard": b.name, "what": b.value} for b in world.breaches],
    }  # fmt: skip


def faults(book: FaultBook) -> list[Plain]:
    """The faults that lie on devices now."""
    return [{"device": f.device, "kind": f.kind, "params": dict(f.params)} for f in book.all()]


def _lane(lane: Lane) -> Plain:
    return {
        "mode": "estop" if lane.estop else lane.mode,
        "plc": "booting" if lane.booting else "running",
        "remote_enabled": lane.enabled or not lane.supervised,
        "inhibited": lane.inhibited(),
        "vehicle": lane.ground.vehicle,
        "person": lane.ground.person,
        "sensors": dict(lane.ground.says),
        "lights": dict(lane.lights),
        "bollards": {id: _bollard(lane, id) for id in lane.posts},
    }


def _bollard(lane: Lane, id: str) -> Plain:
    post = lane.posts[id]
    bollard = post.bollard
    return {
        "position": round(bollard.position(), 4),
        "speed": bollard.speed,
        "driven": bollard.driven,
        "up": bollard.up,
        "down": bollard.down,
        "efo": bollard.efo,
        "fault": post.fault,
        "token": post.token,
        "hold": post.hold,
        "cycles": bollard.cycles,
    }


def facts(site: Site) -> Plain:
    """What never changes while the simulator runs: names and what belongs where, for whoever draws the gate."""
    return {
        "site": {"id": site.site.id, "box": site.site.box, "name": site.site.name},
        "lanes": [
            {
                "id": lane.id, "name": lane.name or lane.id, "kind": lane.kind,
                "bollards": [{"id": b.id, "name": b.name or b.id} for b in lane.bollard],
                "keys": [way for way in ("raise", "lower") if getattr(lane, f"{way}_key")],
            }
            for lane in site.lane
        ],
        "doors": [
            {"id": d.id, "name": d.name or d.id, "evacuation_way": d.evacuation_way, "rex": bool(d.rex)}
            for d in site.door
        ],
        "readers": [
            {"id": r.id, "name": r.name or r.id, "door": r.door, "lane": r.lane, "direction": r.direction}
            for r in site.reader
        ],
        "buttons": [{"id": b.id, "name": b.name or b.id, "kind": "loop" if b.loop else "pair"}
                    for b in site.panic_button],
        "keys": [{"id": k.id, "name": k.name or k.id, "use": k.use} for k in site.key],
        "cards": [{"holder": c.holder, "group": c.group, "card": c.card} for c in site.credential],
        "buses": [{"name": bus.name, "kind": bus.kind} for bus in site.bus],
        "pins": {str(gpio): use.key for gpio, use in (gpio_inputs(site) | gpio_outputs(site)).items()},
        "fire": site.fire is not None,
        "supplies": [which for which in ("tamper", "mains", "battery") if getattr(site, which) is not None],
    }  # fmt: skip


def catalogue(world: World) -> Plain:
    """Every device that can have faults, and every kind of fault with its parameters."""
    return {
        "devices": list(world.devices()),
        "kinds": [
            {
                "kind": kind.name, "on": kind.on, "does": kind.does,
                "params": {
                    name: {"words": spec.words} if isinstance(spec, Choice)
                    else {"default": spec.default, "low": spec.low, "high": spec.high}
                    for name, spec in kind.params.items()
                },
            }
            for kind in KINDS
        ],
    }  # fmt: skip
