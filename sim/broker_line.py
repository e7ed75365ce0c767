"""One connection of a far side to the broker: it comes back by itself for as long as it lives."""

from __future__ import annotations

import ssl
import threading
import uuid
from collections.abc import Callable, Iterable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

KEEPALIVE_S = 10


class BrokerLine:
    """`take` is called with each message in the network thread, and must only hand over; so must the two hooks of a
    subclass: `opened` on each new connection, where it subscribes anew, and `granted` for each SUBSCRIBE answered.

    `ready` is set while something is subscribed.
    """

    def __init__(
        self, name: str, take: Callable[[mqtt.MQTTMessage], None], tls: ssl.SSLContext | None,
        reconnect_s: tuple[float, float],
    ) -> None:  # fmt: skip
        self.ready = threading.Event()
        client_id = f"{name}-{uuid.uuid4().hex[:8]}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5)
        if tls is not None:
            self._client.tls_set_context(tls)
        self._client.suppress_exceptions = True  # an error in a callback would end the network thread for good
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = lambda *_: self.ready.clear()
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = lambda client, _, message: take(message)
        self._client.reconnect_delay_set(*reconnect_s)  # type: ignore[arg-type]  # fractions work, the hint says int

    @property
    def connected(self) -> bool:
        return bool(self._client.is_connected())

    def start(self, host: str, port: int) -> None:
        self._client.connect_async(host, port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def opened(self) -> None:
        """There is a new connection, with nothing subscribed."""
        raise NotImplementedError

    def granted(self, number: int) -> None:
        """The broker has answered the SUBSCRIBE of that number."""

    def ask(self, topics: Iterable[str]) -> int | None:
        """Subscribe. The number that `granted` will be called with; None while there is no connection."""
        _, number = self._client.subscribe([(topic, 1) for topic in topics])
        return number

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Answer a box, or drop it while there is no broker: the box asks again. False: dropped."""
        if not self.connected:
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
            self.opened()

    def _on_subscribe(
        self, client: mqtt.Client, _: object, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        self.ready.set()
        self.granted(mid)
