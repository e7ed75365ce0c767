"""Everything that may happen at a gate, as small named acts on a `World`, for the property tests."""

from __future__ import annotations

from collections.abc import Callable

from lane_world import World, box_rules, lane_rules

from agent.core.events import ClockChanged, FireInput, JournalChanged, KeyInput
from agent.core.rules import BollardRules, BoxRules
from agent.core.words import ClockTrust, Journal, Mode, Rank, Sensor, Sent

Act = Callable[[World], object]


def chaos_rules() -> BoxRules:
    """A plain lane, a service lane one of whose bollards is not commissioned, and a lane that is only watched."""
    half = (BollardRules(id="service-1", commissioned=True), BollardRules(id="service-2", commissioned=False))
    return box_rules(
        lane_rules("main"),
        lane_rules("service", bollards=half, service=True, sensors=("loop1",), prewarn_s=1.0, clear_s=1.0),
        lane_rules("watched", bollards=1, monitor_only=True),
    )


def _sensor(lane: str, name: str, value: Sensor) -> Act:
    return lambda world: world.sensor(value, name, lane)


def _key(lane: str, verb: str, on: bool | None) -> Act:
    return lambda world: world.key(verb, on, lane)


def _command(lane: str, verb: str, rank: Rank) -> Act:
    return lambda world: world.command(verb, rank, lane)


def _plc(lane: str, **fields: object) -> Act:
    def act(world: World) -> None:
        for name, value in fields.items():
            setattr(world.plcs[lane], name, value)

    return act


def _post(bollard: str, **fields: object) -> Act:
    def act(world: World) -> None:
        for name, value in fields.items():
            setattr(world.post(bollard), name, value)

    return act


def _restart(world: World) -> None:
    kept = [record.data for record in world.records if record.kind == "box.latched"]
    world.boot(dict(kept[-1]) if kept else None)
    world.settle()


def _rescue(world: World) -> None:
    """Everything well again, and a person clears up: so that a run does not stay in a closed lane for good."""
    for plc in world.plcs.values():
        _heal(world, plc.rules.id)
        for post in plc.posts.values():
            post.jammed, post.fault, post.stuck = False, 0, {}
    for event in (FireInput(False), KeyInput("fire", False), JournalChanged(Journal.OK), _clock(ClockTrust.TRUSTED)):
        world.do(event)
    world.run(4.0)
    world.turn("unfire")
    world.reset_panic()
    for lane in world.plcs:
        world.command("lane_clear_fault", lane=lane)


def _clock(trust: ClockTrust) -> ClockChanged:
    return ClockChanged(trust)


def _heal(world: World, lane: str) -> None:
    _plc(lane, silent=False, heartbeat=True, mode=Mode.REMOTE, estop=False, answer=Sent.ACKED, tells=True)(world)
    _plc(lane, warning=False, warning_works=True, token_delay_s=0.02, fire_key=False)(world)
    for name in world.plcs[lane].sensors:
        world.sensor(Sensor.CLEAR, name, lane)


def acts() -> dict[str, Act]:
    """Name → act. Waiting is an act too."""
    table: dict[str, Act] = {f"wait {s}": lambda world, s=s: world.run(s) for s in (0.05, 0.15, 0.4, 1.1, 3.2, 7.0)}  # type: ignore[misc]
    for lane, sensors in (("main", ("loop1", "beam")), ("service", ("loop1",))):
        for name in sensors:
            for value in Sensor:
                table[f"{lane} {name} {value}"] = _sensor(lane, name, value)
        for verb in ("raise", "lower"):
            for on in (True, False, None):
                table[f"{lane} key {verb} {on}"] = _key(lane, verb, on)
            for rank in (Rank.CONSOLE, Rank.UPSTREAM, Rank.TIMETABLE, Rank.FIRE_KEY):
                table[f"{lane} {rank} {verb}"] = _command(lane, verb, rank)
        table[f"{lane} stop"] = _command(lane, "stop", Rank.CONSOLE)
        table[f"{lane} clear"] = _command(lane, "lane_clear_fault", Rank.CONSOLE)
        for mode in Mode:
            table[f"{lane} mode {mode}"] = _plc(lane, mode=mode)
        for answer in (Sent.ACKED, Sent.REFUSED, Sent.FAILED):
            table[f"{lane} answers {answer}"] = _plc(lane, answer=answer)
        table[f"{lane} estop"] = _plc(lane, estop=True)
        table[f"{lane} silent"] = _plc(lane, silent=True)
        table[f"{lane} deaf heart"] = _plc(lane, heartbeat=False)
        table[f"{lane} fire key"] = _plc(lane, fire_key=True)
        table[f"{lane} slow wire"] = _plc(lane, token_delay_s=1.2)
        table[f"{lane} dark"] = _plc(lane, warning_works=False)
        table[f"{lane} warning unread"] = _plc(lane, warning=None)
        table[f"{lane} tells nothing"] = _plc(lane, tells=False)
        table[f"{lane} heals"] = lambda world, lane=lane: _heal(world, lane)  # type: ignore[misc]
        table[f"{lane} lost"] = lambda world, lane=lane: world.lose(f"lane:{lane}")  # type: ignore[misc]
        table[f"{lane} back"] = lambda world, lane=lane: world.back(f"lane:{lane}")  # type: ignore[misc]
    for bollard in ("main-1", "service-1", "service-2", "watched-1"):
        table[f"{bollard} jams"] = _post(bollard, jammed=True)
        table[f"{bollard} creeps up"] = _post(bollard, way=0.3)
        table[f"{bollard} sinks"] = _post(bollard, way=-0.3)
        table[f"{bollard} fault"] = _post(bollard, fault=2)
        table[f"{bollard} both"] = _post(bollard, stuck={"up": True, "down": True})
        table[f"{bollard} neither"] = _post(bollard, stuck={"up": False, "down": False})
    table |= {
        "press": lambda world: world.press(),
        "release": lambda world: world.release(),
        "reset": lambda world: world.reset_panic(),
        "fire": lambda world: world.do(FireInput(True)),
        "fire quiet": lambda world: world.do(FireInput(False)),
        "fire unread": lambda world: world.do(FireInput(None)),
        "fire key on": lambda world: world.do(KeyInput("fire", True)),
        "fire key off": lambda world: world.do(KeyInput("fire", False)),
        "fire reset": lambda world: world.turn("unfire"),
        "clock lost": lambda world: world.do(ClockChanged(ClockTrust.UNTRUSTED)),
        "clock found": lambda world: world.do(ClockChanged(ClockTrust.TRUSTED)),
        "disk fails": lambda world: world.do(JournalChanged(Journal.FAILING)),
        "disk well": lambda world: world.do(JournalChanged(Journal.OK)),
        "restart": _restart,
        "rescue": _rescue,
    }
    return table


def _everywhere(verb: str) -> Act:
    def act(world: World) -> None:
        for lane in ("main", "service"):
            world.command(verb, lane=lane)
        world.run(3.3)

    return act


def _hold_to_run(world: World) -> None:
    world.key("raise", False)
    world.key("raise", True)
    world.run(3.3)


def _tap(world: World) -> None:
    world.key("lower", False)
    world.key("raise", False)
    world.key("raise", True)
    world.run(1.0)
    world.key("raise", False)


def openings() -> dict[str, Act]:
    """What is under way when the acts come: without these hardly a rise would ever be hit."""
    return {
        "console raises": _everywhere("raise"),
        "console lowers": _everywhere("lower"),
        "button raises": _hold_to_run,
        "button is tapped": _tap,
        "panic raises": lambda world: world.press(),
        "nothing": lambda world: None,
    }
