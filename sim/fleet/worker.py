"""One worker: the boxes of one partition, off the broker and into Redis. The answer to a box follows the writing.

Alarms go first; then whole groups of records, many boxes in one go, so that one sync of the disk serves them all.
While Redis is away messages wait; what no longer finds room is dropped and asked for again.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
from redis.exceptions import RedisError, ResponseError

from sim.box_messages import NOWHERE, PREFIX, Garbage, Ref, Row, address, parse_record, parse_records
from sim.fleet.plan import part_of, plan
from sim.fleet.streams import Append, NotDurable, Streams

QUEUE = 8000  # messages; beyond it they are dropped and come again
LEAST_GROUP = 4
MOST_BYTES = 1 << 20  # of records in one group: an alarm waits for one group at most
ROUNDS = 3  # so often a group is planned anew because a stream did not end where we thought
AGAIN_S = 0.5
CHECK_S = 10.0  # so often Redis is asked whether it still syncs

HEARD = "heard"  # not from the box: its records reach us from now on, and may not have before

Answer: TypeAlias = Callable[[str, bytes], None]
Hear: TypeAlias = Callable[[Iterable[tuple[str, str]]], None]


@dataclass(eq=False, slots=True)
class Box:
    """One box of this partition. `end` is where its stream ends; None = to be looked at."""

    site: str
    name: str
    end: Ref | None = None
    session: str = ""
    told: str = ""

    @property
    def key(self) -> str:
        return f"menwei:{self.site}:{self.name}"

    @property
    def owner(self) -> str:
        return f"{self.site}/{self.name}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a box; `what` is the last part of its topic, or HEARD."""

    site: str
    box: str
    what: str
    payload: bytes


Waiting: TypeAlias = dict[Box, list[tuple[Ref | None, Sequence[Row]]]]  # (prev, rows) of each message


class _State(msgspec.Struct):
    """What of a box's `state` is read here."""

    online: bool
    session: str = ""
    epoch: int = 0
    synced: int | None = None


_decode_state = msgspec.json.Decoder(_State).decode


class Worker:
    """`take` is for the wire's threads, `run` is the one writer. `answer(topic, payload)` and `hear` reach the wire."""

    def __init__(self, part: int, parts: int, streams: Streams, answer: Answer, hear: Hear) -> None:
        self._part = part
        self._parts = parts
        self._streams = streams
        self._answer = answer
        self._hear = hear
        self._boxes: dict[tuple[str, str], Box] = {}
        self._urgent: deque[Message] = deque()
        self._records: deque[Message] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._checked_at = 0.0
        self.dropped = 0
        self.garbage = 0

    def take(self, topic: str, payload: bytes) -> None:
        """A message off the broker: kept if its box is one of ours."""
        try:
            site, box, what = address(topic)
        except Garbage:
            self.garbage += 1
            return
        if part_of(site, box, self._parts) != self._part:
            return
        with self._wake:
            queue = self._records if what == "records" else self._urgent
            if len(queue) >= QUEUE:
                self.dropped += 1
                return
            queue.append(Message(site, box, what, payload))
            self._wake.notify()

    def heard(self, topics: Iterable[str]) -> None:
        """The broker now hands us what these topics bring: what it could not hand on before must come again."""
        boxes: dict[tuple[str, str], None] = {}
        for topic in topics:
            site, box, _ = address(topic)
            boxes.update(dict.fromkeys(list(self._boxes) if "+" in (site, box) else [(site, box)]))
        with self._wake:
            self._urgent.extend(Message(site, box, HEARD, b"") for site, box in boxes)
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()

    # ── the writer ─────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Until stopped. Redis may come and go; nothing is answered while it does not sync."""
        while not self._stopping:
            try:
                self._check()
                self._serve()
            except (RedisError, NotDurable) as error:
                self._tell("redis", str(error))
                for box in self._boxes.values():
                    box.end = None
                self._checked_at = 0.0
                self._pause()

    def _check(self) -> None:
        if time.monotonic() - self._checked_at >= CHECK_S or not self._checked_at:
            self._streams.open()
            self._checked_at = time.monotonic()

    def _serve(self) -> None:
        """One group. Raises RedisError with the group back in its queue."""
        queue, group = self._next()
        try:
            if queue is self._urgent:
                self._take_urgent(group)
            else:
                self._take_records(group)
        except RedisError:
            with self._wake:
                queue.extendleft(reversed(group))
            raise

    def _next(self) -> tuple[deque[Message], list[Message]]:
        """Urgent ones first; of the records half of what waits, so that boxes fill their windows meanwhile."""
        with self._wake:
            if not (self._urgent or self._records or self._stopping):
                self._wake.wait(CHECK_S)
            queue = self._urgent or self._records
            wanted = len(queue) if self._urgent else min(len(queue), max(LEAST_GROUP, len(queue) // 2))
            group: list[Message] = []
            size = 0
            while len(group) < wanted and size < MOST_BYTES:
                group.append(queue.popleft())
                size += len(group[-1].payload)
            return queue, group

    def _pause(self) -> None:
        with self._wake:
            if not self._stopping:
                self._wake.wait_for(lambda: self._stopping, AGAIN_S)

    # ── records ────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_records(self, group: Sequence[Message]) -> None:
        waiting: Waiting = {}
        for message in group:
            box = self._box(message)
            try:
                parsed, rows = parse_records(box.owner, message.payload)
            except Garbage as error:
                self.garbage += 1
                self._tell(box.owner, str(error), box)
                continue
            waiting.setdefault(box, []).append((parsed.prev, rows))
        for _ in range(ROUNDS):
            waiting = self._write(waiting)
            if not waiting:
                return
        raise RedisError("somebody else writes to the streams of this partition")

    def _write(self, waiting: Waiting) -> Waiting:
        """Returns what must be planned anew, since its stream ended elsewhere."""
        known = self._know(waiting)
        plans = {box: plan(end, waiting[box]) for box, end in known.items()}
        ends = self._streams.append([Append(box.key, known[box], made.new) for box, made in plans.items()])
        for box in plans:
            self._ends_at(box, ends[box.key])
        good = {box: made for box, made in plans.items() if box.end == made.end}
        wrong = self._compare([(box, row) for box, made in good.items() for row in made.old])
        for box, made in good.items():
            if box not in wrong:
                self._receipt(box, made.receipt, resend=made.gap)
        return {box: waiting[box] for box in plans if box not in good and box.end is not None}

    def _know(self, boxes: Iterable[Box]) -> dict[Box, Ref]:
        """Where their streams end. A box whose stream cannot be looked at is left out, and told."""
        asked = list(boxes)
        unknown = {box.key: box for box in asked if box.end is None}
        for key, end in self._streams.ends(list(unknown)).items():
            self._ends_at(unknown[key], end)
        return {box: box.end for box in asked if box.end is not None}

    def _ends_at(self, box: Box, end: Ref | ResponseError) -> None:
        if isinstance(end, ResponseError):
            self._tell(box.owner, f"Redis refuses its records: {end}", box)
        box.end = None if isinstance(end, ResponseError) else end

    def _compare(self, old: Sequence[tuple[Box, Row]]) -> set[Box]:
        """Which of the boxes sent again what the stream does not have so. Nothing is ever written over."""
        wrong: set[Box] = set()
        found = self._streams.bodies([(box.key, row.ref) for box, row in old])
        for (box, row), body in zip(old, found, strict=True):
            if body != row.body:
                wrong.add(box)
                what = "is missing in the stream" if body is None else "is another record in the stream"
                self._tell(box.owner, f"{row.ref[0]}-{row.ref[1]} {what}", box)
        return wrong

    def _receipt(self, box: Box, ref: Ref, *, resend: bool) -> None:
        if ref == NOWHERE and not resend:
            return
        word: dict[str, object] = {"epoch": ref[0], "seq": ref[1]}
        self._send(box, "receipt", word | ({"resend": True} if resend else {}))

    # ── alarms and states ──────────────────────────────────────────────────────────────────────────────────────

    def _take_urgent(self, group: Sequence[Message]) -> None:
        alarms: list[tuple[Box, Row]] = []
        states: dict[Box, _State] = {}
        heard: dict[Box, None] = {}
        for message in group:
            box = self._box(message)
            try:
                if message.what == "alarm":
                    alarms.append((box, parse_record(box.owner, message.payload)))
                elif message.what == "state":
                    states[box] = _decode_state(message.payload)
                elif message.what == HEARD:
                    heard[box] = None
            except (Garbage, msgspec.DecodeError, UnicodeDecodeError) as error:
                self.garbage += 1
                self._tell(box.owner, str(error), box)
        self._take_alarms(sorted(alarms, key=lambda entry: entry[1].ref))
        self._take_states(states)
        for box, end in self._know(heard).items():
            self._receipt(box, end, resend=True)

    def _take_alarms(self, alarms: Sequence[tuple[Box, Row]]) -> None:
        """In the order of their numbers. One behind a younger one counts once the records' stream has it."""
        refusals = self._streams.alarms([(f"{box.key}:alarm", row) for box, row in alarms])
        there = [entry for entry, why in zip(alarms, refusals, strict=True) if why is None]
        refused = [(*entry, why) for entry, why in zip(alarms, refusals, strict=True) if why is not None]
        places = [(key, row.ref) for box, row, _ in refused for key in (f"{box.key}:alarm", box.key)]
        found = self._streams.bodies(places)
        for (box, row, why), bodies in zip(refused, zip(found[::2], found[1::2], strict=True), strict=True):
            if row.body in bodies:
                there.append((box, row))
            else:
                self._tell(box.owner, f"alarm {row.ref[0]}-{row.ref[1]} is not taken: {why}", box)
        for box, row in there:
            stage = {"epoch": row.ref[0], "seq": row.ref[1], "by": "fleet", "stage": "received"}
            self._send(box, "alarm/receipt", stage)

    def _take_states(self, states: dict[Box, _State]) -> None:
        """A box that comes (back) is told where we stand; with less than it thinks, it sends again from there."""
        came = [box for box, state in states.items() if state.online and state.session != box.session]
        for box, end in self._know(came).items():
            state = states[box]
            box.session = state.session
            less = state.synced is not None and (state.epoch, state.synced) > end
            self._receipt(box, end, resend=less)

    # ── both ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _box(self, message: Message) -> Box:
        box = self._boxes.get((message.site, message.box))
        if box is None:
            box = self._boxes[message.site, message.box] = Box(message.site, message.box)
            self._hear([(box.site, box.name)])
        return box

    def _send(self, box: Box, what: str, word: dict[str, object]) -> None:
        self._answer("/".join((*PREFIX, box.site, box.name, what)), json.dumps(word).encode())

    def _tell(self, where: str, what: str, box: Box | None = None) -> None:
        """One line for whoever runs this; the same of one box only once."""
        if box is not None and box.told == what:
            return
        if box is not None:
            box.told = what
        print(json.dumps({"worker": self._part, "where": where, "what": what[:300]}), file=sys.stderr, flush=True)
