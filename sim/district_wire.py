"""The district's way to the broker: one connection for records, one for alarms and states.

Two, because a broker hands a client its messages in order: an alarm must not stand behind a backlog of records.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
import uuid
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sim.district_writer import Message

RECONNECT_S = (0.2, 2.0)


class Connection:
    """One client that comes back by itself for as long as it lives, and subscribes anew each time."""

    def __init__(
        self, name: str, topics: tuple[str, ...], take: Callable[[Message], None], tls: ssl.SSLContext | None
    ) -> None:
        self._topics = topics
        self._take = take
        self.subscribed = threading.Event()
        client_id = f"district-{name}-{uuid.uuid4().hex[:8]}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.suppress_exceptions = True  # an error in a callback would end the network thread for good
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(*RECONNECT_S)  # type: ignore[arg-type]  # fractions work, the hint says int

    def start(self, host: str, port: int) -> None:
        self._client.connect_async(host, port, keepalive=10)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Answer a box, or drop it while there is no broker: the box asks again. False: dropped."""
        if not self._client.is_connected():
            return False
        self._client.publish(topic, payload, qos=1, retain=retain)
        return True

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: mqtt.Client, _: object, flags: mqtt.ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if not code.is_failure:
            client.subscribe([(topic, 1) for topic in self._topics])

    def _on_disconnect(
        self, client: mqtt.Client, _: object, flags: mqtt.DisconnectFlags, code: ReasonCode, more: Properties | None
    ) -> None:
        self.subscribed.clear()

    def _on_subscribe(
        self, client: mqtt.Client, _: object, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        self.subscribed.set()

    def _on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        self._take(Message(message.topic, bytes(message.payload), _lane(message.properties)))


class Wire:
    """Both connections. `take` is called from their network threads and must only hand over."""

    def __init__(self, take: Callable[[Message], None], tls: ssl.SSLContext | None = None) -> None:
        prefix = "menwei/v1/+/+/"
        urgent = tuple(prefix + name for name in ("alarm", "state", "checkpoint"))
        self._records = Connection("records", (prefix + "records",), take, tls)
        self._urgent = Connection("urgent", urgent, take, tls)

    @property
    def connected(self) -> bool:
        return self._records.subscribed.is_set() and self._urgent.subscribed.is_set()

    def wait(self, limit_s: float) -> bool:
        """Wait for the first subscription; False when there is no broker within the limit."""
        until = time.monotonic() + limit_s
        return all(
            connection.subscribed.wait(max(0.0, until - time.monotonic()))
            for connection in (self._records, self._urgent)
        )

    def start(self, host: str, port: int) -> None:
        self._records.start(host, port)
        self._urgent.start(host, port)

    def send(self, topic: str, payload: bytes) -> None:
        (self._urgent if topic.endswith("/alarm/receipt") else self._records).send(topic, payload)

    def command(self, box: str, payload: bytes, *, retain: bool = False) -> bool:
        """Give a box ("site/box") a command. False: there is no broker, and a command does not wait for one."""
        return self._urgent.send(f"menwei/v1/{box}/command", payload, retain=retain)

    def stop(self) -> None:
        self._records.stop()
        self._urgent.stop()


def _lane(properties: Properties | None) -> str:
    pairs = getattr(properties, "UserProperty", [])
    with contextlib.suppress(ValueError, TypeError):
        return str(dict(pairs).get("lane", ""))
    return ""
