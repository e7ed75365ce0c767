"""The district's way to the broker: one connection for records, one for alarms and states.

Two, because a broker hands a client its messages in order: an alarm must not stand behind a backlog of records.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties

from sim.broker_line import BrokerLine
from sim.district_writer import Message

RECONNECT_S = (0.2, 2.0)


class Connection(BrokerLine):
    """Always the same topics."""

    def __init__(
        self, name: str, topics: tuple[str, ...], take: Callable[[Message], None], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(f"district-{name}", lambda message: take(_message(message)), tls, RECONNECT_S)
        self._topics = topics

    def opened(self) -> None:
        self.ask(self._topics)


class Wire:
    """Both connections. `take` is called from their network threads and must only hand over."""

    def __init__(self, take: Callable[[Message], None], tls: ssl.SSLContext | None = None) -> None:
        prefix = "menwei/v1/+/+/"
        urgent = tuple(prefix + name for name in ("alarm", "state", "checkpoint"))
        self._records = Connection("records", (prefix + "records",), take, tls)
        self._urgent = Connection("urgent", urgent, take, tls)

    @property
    def connected(self) -> bool:
        return self._records.ready.is_set() and self._urgent.ready.is_set()

    def wait(self, limit_s: float) -> bool:
        """Wait for the first subscription; False when there is no broker within the limit."""
        until = time.monotonic() + limit_s
        return all(
            connection.ready.wait(max(0.0, until - time.monotonic())) for connection in (self._records, self._urgent)
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


def _message(message: mqtt.MQTTMessage) -> Message:
    return Message(message.topic, bytes(message.payload), _lane(message.properties))


def _lane(properties: Properties | None) -> str:
    pairs = getattr(properties, "UserProperty", [])
    with contextlib.suppress(ValueError, TypeError):
        return str(dict(pairs).get("lane", ""))
    return ""
