"""A worker's way to the broker, on two connections so that an alarm never stands behind records.

MQTT's shared subscriptions hand the messages of a group to its members in turn, so two messages of one box would
overtake each other. A worker subscribes to its own boxes' topics by name instead. Told which boxes there are, it hears
those and no others. Without a list it learns of them from their retained `state`, which then every worker hears, as it
does `alarm`, so that a new box is heard at once.
"""

from __future__ import annotations

import ssl
import threading
import uuid
from collections.abc import Callable, Iterable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

RECONNECT_S = (0.1, 0.5)  # D: boxes find the broker within seconds, and should find us there
TOPICS_AT_ONCE = 100  # in one SUBSCRIBE
KEEPALIVE_S = 10

Take = Callable[[str, bytes], None]  # topic, payload
Heard = Callable[[Iterable[str]], None]  # topics that reach us from now on, after a time when they did not


class Line:
    """One connection that comes back by itself, with everything it has ever subscribed to."""

    def __init__(self, name: str, take: Take, tls: ssl.SSLContext | None, heard: Heard = lambda topics: None) -> None:
        self._heard = heard
        self._topics: dict[str, None] = {}
        self._asked: dict[int, list[str]] = {}  # SUBSCRIBEs not answered yet, by message id
        self._lock = threading.Lock()
        self.ready = threading.Event()
        client_id = f"fleet-{name}-{uuid.uuid4().hex[:8]}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.suppress_exceptions = True  # an error in a callback would end the network thread for good
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda client, _, message: take(message.topic, bytes(message.payload))
        self._client.reconnect_delay_set(*RECONNECT_S)  # type: ignore[arg-type]  # fractions work, the hint says int

    def start(self, host: str, port: int) -> None:
        self._client.connect_async(host, port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def subscribe(self, topics: Iterable[str]) -> None:
        """From now on, and after every reconnect."""
        with self._lock:
            fresh = [topic for topic in topics if topic not in self._topics]
            self._topics.update(dict.fromkeys(fresh))
        if self._client.is_connected():
            self._ask(fresh)

    def send(self, topic: str, payload: bytes) -> None:
        """Answer a box, or drop it while there is no broker: the box asks again."""
        if self._client.is_connected():
            self._client.publish(topic, payload, qos=1)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _ask(self, topics: list[str]) -> None:
        for start in range(0, len(topics), TOPICS_AT_ONCE):
            some = topics[start : start + TOPICS_AT_ONCE]
            with self._lock:  # the answer comes in another thread
                _, number = self._client.subscribe([(topic, 1) for topic in some])
                if number is not None:
                    self._asked[number] = some

    def _on_connect(
        self, client: mqtt.Client, _: object, flags: mqtt.ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if not code.is_failure:
            with self._lock:
                self._asked.clear()
                topics = list(self._topics)
            self._ask(topics)
            if not topics:
                self.ready.set()

    def _on_disconnect(
        self, client: mqtt.Client, _: object, flags: mqtt.DisconnectFlags, code: ReasonCode, more: Properties | None
    ) -> None:
        self.ready.clear()

    def _on_subscribe(
        self, client: mqtt.Client, _: object, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        with self._lock:
            topics = self._asked.pop(mid, [])
        self.ready.set()
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
