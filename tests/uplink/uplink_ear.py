"""A bare client at the broker: hears everything, and plays any far side."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from uplink_rig import PREFIX


class Ear:
    """A bare MQTT client: hears what a box says, and says whatever a test wants a far side to say."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[float, str, bytes]] = []
        listening = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._also: Callable[[mqtt.MQTTMessage], object] = lambda message: None
        self._client.on_message = self._hear
        self._client.on_subscribe = lambda *_: listening.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(PREFIX + "#", qos=1)
        assert listening.wait(20), "what is said from now on is heard"

    def _hear(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append((time.monotonic(), message.topic, bytes(message.payload)))
        self._also(message)

    def on_each(self, also: Callable[[mqtt.MQTTMessage], object]) -> None:
        self._also = also

    def say(self, topic: str, payload: bytes | dict[str, object], *, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._client.publish(PREFIX + topic, data, qos=1, retain=retain)

    def of(self, topic: str) -> list[bytes]:
        return [payload for _, where, payload in self.heard if where == PREFIX + topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
