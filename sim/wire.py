"""The witness at the wire: every frame, pin change, card and verb with its instant, in a bounded ring.

Instants are `time.monotonic_ns()` of the moment the thing was on the wire: a TCP frame when it was read or written, a
frame of a serial line when its last character was on the line, a pin when its level changed. Entries are kept raw and
put into words only when someone reads them, so that being watched costs the gate nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

KEPT = 16_384
LATE_NS = 1_000_000_000  # entries may be noted this much after their instant: a serial frame is whole only at its end

Way = Literal["request", "reply", "in", "out"]
Describe: TypeAlias = Callable[[str, Way, bytes], str]
"""(bus, way, data) → a few words on what a frame says."""


class Entry(NamedTuple):
    seq: int
    ns: int
    kind: Literal["frame", "pin", "card", "verb"]
    where: str  # bus, "gpio", reader, verb
    way: Way
    data: bytes
    gpio: int
    text: str


class Wire:
    """`seq` counts entries as noted; `ns` is when they were on the wire."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._ring: deque[Entry] = deque(maxlen=KEPT)
        self._seq = 0
        self.last: dict[tuple[str, Way], Entry] = {}  # the newest frame of each bus and way

    @property
    def head(self) -> int:
        return self._seq

    def frame(self, ns: int, bus: str, way: Way, data: bytes) -> None:
        self._note(Entry(self._seq + 1, ns, "frame", bus, way, data, -1, ""))

    def pin(self, ns: int, gpio: int, level: bool, output: bool) -> None:
        """`way` is the box's: "in" is an input of the box."""
        self._note(Entry(self._seq + 1, ns, "pin", "gpio", "out" if output else "in", bytes((level,)), gpio, ""))

    def card(self, ns: int, reader: str, data: bytes, text: str) -> None:
        self._note(Entry(self._seq + 1, ns, "card", reader, "in", data, -1, text))

    def verb(self, ns: int, verb: str, text: str) -> None:
        self._note(Entry(self._seq + 1, ns, "verb", verb, "in", b"", -1, text))

    def since(self, ns: int = -1, after: int = -1, limit: int = KEPT) -> list[dict[str, object]]:
        """The same as `entries`, put into words."""
        return [self.told(entry) for entry in self.entries(ns, after, limit)]

    def entries(self, ns: int = -1, after: int = -1, limit: int = KEPT) -> list[Entry]:
        """Entries later than `ns` and noted after `after`, by instant; at most the newest `limit`."""
        found: list[Entry] = []
        for entry in reversed(self._ring):
            if entry.seq <= after or entry.ns <= ns - LATE_NS or len(found) >= limit:
                break
            if entry.ns > ns:
                found.append(entry)
        return sorted(found, key=lambda entry: (entry.ns, entry.seq))

    def told(self, entry: Entry) -> dict[str, object]:
        """An entry as `GET /wire` shows it."""
        told: dict[str, object] = {"seq": entry.seq, "ns": entry.ns, "kind": entry.kind, "dir": entry.way}
        match entry.kind:
            case "frame":
                text = self._describe(entry.where, entry.way, entry.data)
                return told | {"bus": entry.where, "hex": entry.data.hex(), "text": text}
            case "pin":
                level = entry.data[0]
                return told | {"gpio": entry.gpio, "level": level, "text": f"gpio {entry.gpio} = {level}"}
            case "card":
                return told | {"reader": entry.where, "hex": entry.data.hex(), "text": entry.text}
            case "verb":
                return told | {"verb": entry.where, "text": entry.text}

    def _note(self, entry: Entry) -> None:
        self._seq = entry.seq
        self._ring.append(entry)
        if entry.kind == "frame":
            self.last[entry.where, entry.way] = entry
