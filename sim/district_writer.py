"""The district's one writer: takes messages in, makes them durable, and only then answers the boxes.

It runs in a thread of its own. Alarms, states and clicks of the operator go before records, each group in a
transaction of its own, so an alarm waits for at most one group of records.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sim.box_messages import NOWHERE, PREFIX, Garbage, Ref, address
from sim.district_store import STAGES, Box, Store, now_ms

LEAST_GROUP = 4  # messages of records in one transaction, where so many wait
QUEUE = 4000  # more than every box's window together; beyond it messages are dropped and come again

Send: TypeAlias = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One message off the broker. `lane` is its MQTT user property, "" without one."""

    topic: str
    payload: bytes
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Click:
    """An operator moves an alarm on; `done` tells whether that changed anything."""

    site: str
    box: str
    ref: Ref
    stage: str
    by: str
    done: Future[bool]


class Writer:
    """Feed it with `put` and `click` from any thread; `run` is its thread's whole life."""

    def __init__(self, db: Path, send: Send, auto_coming_s: float | None = None) -> None:
        self._db = db
        self._send = send
        self._auto_coming_s = auto_coming_s
        self._urgent: deque[Message | Click] = deque()
        self._records: deque[Message] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._answers: list[tuple[str, bytes]] = []
        self._coming: list[tuple[float, Box, Ref]] = []
        self.garbage = 0
        self.dropped = 0
        self.last_garbage = ""
        self.store: Store | None = None
        self.failure = ""
        self.ready = threading.Event()  # the database is open, or `failure` says why not

    # ── from other threads ─────────────────────────────────────────────────────────────────────────────────────

    def put(self, message: Message) -> None:
        queue: deque[Message | Click] | deque[Message]
        with self._wake:
            queue = self._records if message.topic.endswith("/records") else self._urgent
            if len(queue) >= QUEUE:
                self.dropped += 1
                return
            queue.append(message)
            self._wake.notify()

    def click(self, site: str, box: str, ref: Ref, stage: str, by: str) -> Future[bool]:
        done: Future[bool] = Future()
        with self._wake:
            self._urgent.append(Click(site, box, ref, stage, by, done))
            self._wake.notify()
        return done

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()

    # ── the thread ─────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        try:
            self.store = store = Store(self._db)
        except (sqlite3.Error, RuntimeError) as error:
            self.failure = f"cannot keep anything in {self._db}: {error}"
            return
        finally:
            self.ready.set()
        while (work := self._next()) is not None:
            try:
                with store.transaction():
                    for item in work:
                        self._take(store, item)
            except sqlite3.Error as error:
                print(f"district: nothing of {len(work)} messages was kept: {error}", file=sys.stderr)
                self._answers.clear()
            self._answer()
        store.close()

    def _next(self) -> list[Message | Click] | None:
        """Urgent things first; None at the end."""
        with self._wake:
            self._click_due()
            while not (self._urgent or self._records or self._stopping):
                self._wake.wait(self._pause_s())
                self._click_due()
            if self._stopping:
                return None
            if self._urgent:
                work: list[Message | Click] = list(self._urgent)
                self._urgent.clear()
                return work
            # Half of what waits: a box fills its window again while the other half is being made durable.
            group = max(LEAST_GROUP, len(self._records) // 2)
            return [self._records.popleft() for _ in range(min(group, len(self._records)))]

    def _answer(self) -> None:
        answers, self._answers = self._answers, []
        for topic, payload in answers:
            self._send(topic, payload)

    def _take(self, store: Store, item: Message | Click) -> None:
        try:
            if isinstance(item, Click):
                self._take_click(store, item)
            else:
                self._take_message(store, item)
        except Garbage as error:
            self.garbage += 1
            self.last_garbage = str(error)[:200]

    def _take_message(self, store: Store, message: Message) -> None:
        site, name, what = address(message.topic)
        box = store.box(site, name)
        box.last_heard_ms = now_ms()
        try:
            match what:
                case "records":
                    self._receipt(box, store.take_records(box, message.payload))
                case "alarm":
                    self._take_alarm(store, box, message)
                case "state":
                    self._take_state(store, box, message.payload)
                case "checkpoint":
                    store.take_checkpoint(box, message.payload)
        except Garbage:
            box.garbage += 1
            raise

    def _take_alarm(self, store: Store, box: Box, message: Message) -> None:
        ref, stage, by, new = store.take_alarm(box, message.payload, "late" if message.lane == "late" else "live")
        self._tell_stage(box, ref, stage, by)
        if new and self._auto_coming_s is not None:
            self._coming.append((time.monotonic() + self._auto_coming_s, box, ref))

    def _take_click(self, store: Store, click: Click) -> None:
        box = store.boxes.get((click.site, click.box))
        changed = box is not None and click.stage in STAGES and store.set_stage(box, click.ref, click.stage, click.by)
        if changed and box is not None:
            self._tell_stage(box, click.ref, click.stage, click.by)
        click.done.set_result(changed)

    def _take_state(self, store: Store, box: Box, payload: bytes) -> None:
        """A box that comes (back) online is told where we stand, and every stage it may have missed."""
        try:
            state = json.loads(payload)
            online, session = bool(state["online"]), str(state.get("session", ""))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Garbage(f"state: {error}") from None
        back = online and (not box.online or session != box.session)
        box.online, box.session, box.state = online, session, state
        if back:
            self._receipt(box, box.position)
            for ref, stage, by in store.open_stages(box):
                self._tell_stage(box, ref, stage, by)

    def _receipt(self, box: Box, ref: Ref) -> None:
        """With a gap behind our position the box is asked to send again from there, or from its beginning."""
        if ref == NOWHERE and box.gap is None:
            return
        box.last_receipt_ms = now_ms()
        resend: dict[str, object] = {} if box.gap is None else {"resend": True}
        self._queue(box, "receipt", resend | {"epoch": ref[0], "seq": ref[1]})

    def _tell_stage(self, box: Box, ref: Ref, stage: str, by: str) -> None:
        self._queue(box, "alarm/receipt", {"epoch": ref[0], "seq": ref[1], "by": by, "stage": stage})

    def _queue(self, box: Box, what: str, payload: dict[str, object]) -> None:
        """Answers go out after the commit; a newer receipt for the same box replaces an older one."""
        topic = "/".join((*PREFIX, box.site, box.name, what))
        if what == "receipt":
            self._answers = [answer for answer in self._answers if answer[0] != topic]
        self._answers.append((topic, json.dumps(payload).encode()))

    def _pause_s(self) -> float | None:
        if not self._coming:
            return None
        return max(0.0, min(due for due, _, _ in self._coming) - time.monotonic())

    def _click_due(self) -> None:
        now = time.monotonic()
        for _, box, ref in (entry for entry in self._coming if entry[0] <= now):
            self._urgent.append(Click(box.site, box.name, ref, "coming", "auto", Future()))
        self._coming = [entry for entry in self._coming if entry[0] > now]
