"""What scenarios look for at the gate."""

from __future__ import annotations

import time

from agent.demo.gate import WITHIN_S, Entry, Gate

REQUEST_CODES = {1: "raise", 2: "lower", 3: "efo"}


def ms_since(entry: Entry, ns: int) -> float:
    return float(entry["ns"] - ns) / 1e6


def positions(world: Entry) -> dict[str, str]:
    """Bollard → where it truly is: "up", "down" or "moving"."""
    return {post: word(bollard) for lane in world["lanes"].values() for post, bollard in lane["bollards"].items()}


def word(bollard: Entry) -> str:
    """A bollard's true position in a word."""
    return "up" if bollard["position"] >= 1.0 else "down" if bollard["position"] <= 0.0 else "moving"


def position(gate: Gate, bollard: str) -> str:
    return positions(gate.world())[bollard]


def lane_positions(gate: Gate, *lanes: str) -> list[str]:
    world = gate.world()
    return [word(bollard) for lane in lanes for bollard in world["lanes"][lane]["bollards"].values()]


def all_up(gate: Gate, *lanes: str) -> bool:
    return all(found == "up" for found in lane_positions(gate, *lanes))


def wait_position(gate: Gate, wanted: str, *lanes: str, limit_s: float = WITHIN_S) -> None:
    gate.wait(
        f"bollards {wanted} in {', '.join(lanes)}",
        lambda: all(found == wanted for found in lane_positions(gate, *lanes)),
        limit_s,
    )


def requests(gate: Gate, lane: str, since_ns: int, *kinds: str) -> list[Entry]:
    """Motion requests seen on the wire since then, of one lane or (lane "") of all; of these kinds or of every kind."""
    wanted = f"lane:{lane} write request" if lane else " write request"
    return [entry for entry in gate.wire(since_ns) if _is_request(entry, wanted) and _kind_in(entry, kinds)]


def _is_request(entry: Entry, wanted: str) -> bool:
    return bool(entry["kind"] == "frame" and entry["dir"] == "request" and wanted in entry["text"])


def _kind_in(entry: Entry, kinds: tuple[str, ...]) -> bool:
    """The request word is token * 256 + code."""
    code = int(entry["text"].rpartition("= ")[2], 16) & 0xFF
    return not kinds or REQUEST_CODES.get(code) in kinds


def ready(gate: Gate) -> None:
    """Wait until the box has read everything, sees the district, and its sensors have been clear for long enough."""
    gate.wait("the box has read its inputs", lambda: gate.state()["scanned"])
    gate.wait("the uplink is up", lambda: gate.state()["paths"][0]["up"])
    gate.wait("the lanes are read", lambda: not any(lane["lost"] for lane in gate.state()["lanes"]))
    gate.wait("the readers are there", lambda: all(device["up"] for device in gate.state()["devices"]))
    time.sleep(1.5)


def settle(gate: Gate) -> None:
    """Wait until every panic line is quiet: a reset is refused while a button is pressed."""
    gate.wait("the buttons are released", lambda: _quiet(gate.state()))


def _quiet(state: Entry) -> bool:
    return all(button["line"] == "normal" for button in state["panic"]["buttons"])


def reset(gate: Gate) -> int:
    """Turn the panic reset key and let it spring back once the box has seen it; returns the instant before."""
    asked = gate.do("key", key="panic-reset", position="on")
    gate.wait("the key is seen", lambda: any(key["on"] for key in gate.state()["keys"] if key["id"] == "panic-reset"))
    gate.do("key", key="panic-reset", position="off")
    return asked


def alarm_after(gate: Gate, alarm: Entry) -> Entry | None:
    """The first alarm after that one, waiting for it a little."""

    def later() -> Entry | None:
        return next((a for a in gate.alarms() if (a["epoch"], a["seq"]) > (alarm["epoch"], alarm["seq"])), None)

    found: Entry | None = gate.wait("the second alarm reaches the district", later)
    return found


def at_district(gate: Gate) -> bool:
    """Whether the far side has everything that the box has on disk."""
    journal = gate.state()["journal"]
    return bool(journal["synced"] is not None and journal["synced"] == journal["durable"])
