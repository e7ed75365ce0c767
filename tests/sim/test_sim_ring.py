"""The witness's ring: order, bounds and words."""

from __future__ import annotations

from sim.frames import TcpFrame
from sim.wire import KEPT, Wire


def wire() -> Wire:
    return Wire(lambda bus, way, data: f"{bus} {way} {len(data)}")


def test_entries_come_by_instant_though_noted_late() -> None:
    ring = wire()
    ring.pin(2_000, 17, False, output=False)
    ring.frame(1_000, "cabinet", "request", b"\x01")
    ring.pin(3_000, 16, True, output=True)
    told = ring.since()
    assert [entry["ns"] for entry in told] == [1_000, 2_000, 3_000]
    assert [entry["seq"] for entry in told] == [2, 1, 3]
    assert told[1] == {"seq": 1, "ns": 2_000, "kind": "pin", "dir": "in", "gpio": 17, "level": 0, "text": "gpio 17 = 0"}
    assert told[2]["dir"] == "out"
    assert [entry["ns"] for entry in ring.since(ns=1_000)] == [2_000, 3_000]
    assert [entry["seq"] for entry in ring.since(after=2)] == [3]


def test_the_ring_is_bounded_and_keeps_the_newest() -> None:
    ring = wire()
    for ns in range(KEPT + 10):
        ring.verb(ns, "press", "")
    told = ring.since()
    assert len(told) == KEPT
    assert told[-1]["ns"] == KEPT + 9
    assert len(ring.since(limit=5)) == 5


def test_the_last_frame_of_each_bus_and_way_is_kept() -> None:
    ring = wire()
    frame = TcpFrame(1, 1, b"\x04\x00\x00\x00\x01").to_bytes()
    ring.frame(5, "plc", "request", frame)
    ring.frame(6, "plc", "reply", frame)
    assert ring.last["plc", "reply"].ns == 6
    assert ring.told(ring.last["plc", "request"])["hex"] == frame.hex()
    assert ring.told(ring.last["plc", "request"])["text"] == "plc request 12"
