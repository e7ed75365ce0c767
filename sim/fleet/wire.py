"""A worker's way to the broker, on two connections so that an alarm never stands behind records.

MQTT's shared subscriptions hand the messages of a group to its members in turn, so two messages of one box would
overtake each other. A worker subscribes to its own boxes' topics by name instead. Told which boxes there are, it hears
those and no others. Without a list it learns of them from their retained `state`, which then every worker hears, as it
does `alarm`, so that a new box is heard at once.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable

from sim.broker_line import BrokerLine

RECONNECT_S = (0.1, 0.5)  # D: boxes find the broker within seconds, and should find us there
TOPICS_AT_ONCE = 100  # in one SUBSCRIBE

Take = Callable[[str, bytes], None]  # topic, payload
Heard = Callable[[Iterable[str]], None]  # topics that reach us from now on, after a time when they did not


class Line(BrokerLine):
    """Everything it has ever subscribed to, on each new connection."""

    def __init__(self, name: str, take: Take, tls: ssl.SSLContext | None, heard: Heard) -> None:
        super().__init__(f"fleet-{name}", lambda one: take(one.topic, bytes(one.payload)), tls, RECONNECT_S)
        self._heard = heard
        self._topics: dict[str, None] = {}
        self._asked: dict[int, list[str]] = {}  # SUBSCRIBEs not answered yet, by message id
        self._lock = threading.Lock()

    def subscribe(self, topics: Iterable[str]) -> None:
        """From now on, and after every reconnect."""
        with self._lock:
            fresh = [topic for topic in topics if topic not in self._topics]
            self._topics.update(dict.fromkeys(fresh))
        if self.connected:
            self._ask_in_parts(fresh)

    def _ask_in_parts(self, topics: list[str]) -> None:
        for start in range(0, len(topics), TOPICS_AT_ONCE):
            some = topics[start : start + TOPICS_AT_ONCE]
            with self._lock:  # the answer comes in another thread
                number = self.ask(some)
                if number is not None:
                    self._asked[number] = some

    def opened(self) -> None:
        with self._lock:
            self._asked.clear()
            topics = list(self._topics)
        self._ask_in_parts(topics)
        if not topics:
            self.ready.set()

    def granted(self, number: int) -> None:
        with self._lock:
            topics = self._asked.pop(number, [])
        self._heard(topics)


class Wire:
    """Both lines of one worker. `take` and `heard` are called from their threads and must only hand over.

    `listed`: the boxes are named by `hear`; else they make themselves known.
    """

    def __init__(self, name: str, take: Take, heard: Heard, tls: ssl.SSLContext | None, *, listed: bool) -> None:
        self._listed = listed
        self._records = Line(f"{name}-records", take, tls, heard)
        self._urgent = Line(f"{name}-urgent", take, tls, heard)
        if not listed:
            self._urgent.subscribe(("menwei/v1/+/+/alarm", "menwei/v1/+/+/state"))

    def start(self, host: str, port: int) -> None:
        self._records.start(host, port)
        self._urgent.start(host, port)

    def hear(self, boxes: Iterable[tuple[str, str]]) -> None:
        """These boxes too."""
        names = [f"menwei/v1/{site}/{box}/" for site, box in boxes]
        if self._listed:
            self._urgent.subscribe(name + what for name in names for what in ("alarm", "state"))
        self._records.subscribe(name + "records" for name in names)

    def wait(self, seconds: float) -> bool:
        """For the broker; False when it has not come."""
        return self._urgent.ready.wait(seconds)

    def send(self, topic: str, payload: bytes) -> None:
        (self._urgent if topic.endswith("/alarm/receipt") else self._records).send(topic, payload)

    def stop(self) -> None:
        self._records.stop()
        self._urgent.stop()
