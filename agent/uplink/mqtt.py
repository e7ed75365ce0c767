"""A thin asyncio adapter over paho: one `Connection` is one client and one connection, made new for each attempt.

Nothing is ever published again on an old client: what it had queued dies with it, and the lanes send from their own
lists on the next one. There is no network thread that could die unseen: paho's socket is driven from the event loop,
and every error in a callback ends the connection, loudly. A connection proves itself alive by round trips: the broker
must acknowledge each message within `ack_s`, and answer a ping when nothing else is said for `keepalive_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.uplink.reach import why_not

IN_FLIGHT = 20  # paho's and mosquitto's own default; the window above keeps below it
NOBODY_LISTENS = 0x10  # PUBACK "no matching subscribers", MQTT 5.0 §3.4.2.1
MISC_EVERY_S = 0.5
# The broker may send nothing longer: the longest bundle (32 MB) and its head. MQTT's own limit is 256 MB, half of what
# a small board has.
MOST_PACKET = 33 << 20
EXPIRY_S = 60  # a message that its label calls live is not live any more after this; the box sends it again, as late


class BrokerLost(Exception):
    """The connection is gone or never came about. `args[0]` says why, in field words."""


class _TooLong(Exception):
    """The broker announces a message longer than it was told that it may send."""


class _Client(mqtt.Client):
    """paho asks the socket for all of a message that its header announces. What is too long for us is not read: brokers
    that keep to the limit never come here, and one that does not could fill the memory of a small board."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > MOST_PACKET:
            raise _TooLong(f"it announces a message of {bufsize >> 20} MB, more than it may send")
        return super()._sock_recv(bufsize)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and how to connect. `will` is retained on `will_topic` by the broker when this box falls silent."""

    host: str
    port: int
    client_id: str
    will_topic: str
    will: bytes
    tls: ssl.SSLContext | None = None
    username: str = ""
    password: str = ""
    keepalive_s: int = 10  # D: a dead link is seen within twice this
    connect_s: float = 5.0  # D
    ack_s: float = 5.0  # D: a broker that does not acknowledge for so long is gone


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: bytes
    retain: bool
    lane: str
    taken: asyncio.Future[int]


Take = Callable[[str, bytes, bool], None]  # topic, payload, whether it was retained by the broker


class Connection:
    """A live connection. `lost` is done, with the reason, from the moment it is not."""

    def __init__(self, settings: Settings, take: Take) -> None:
        self._settings = settings
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._acks: dict[int, tuple[asyncio.Future[int], float]] = {}
        self._waiting: deque[_Message] = deque()  # beyond the broker's receive maximum
        self._subscribed: dict[int, asyncio.Future[None]] = {}
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._socket: mqtt.SocketLike | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.receive_maximum = IN_FLIGHT
        self.maximum_packet = 0  # 0: the broker names no limit
        self._client = self._make_client()

    @classmethod
    async def open(cls, settings: Settings, take: Take) -> Connection:
        """Connect, or raise BrokerLost. `take(topic, payload, retained)` is called in the loop for every message."""
        connection = cls(settings, take)
        try:
            await asyncio.to_thread(connection._reach)
            connection._adopt_socket()
            async with asyncio.timeout(settings.connect_s):
                await connection._connected
        except (BrokerLost, asyncio.CancelledError):
            connection._lose("given up")
            raise
        except (OSError, ValueError) as error:
            connection._lose("never connected")
            raise BrokerLost(why_not(error, settings.host, settings.port)) from None
        connection._watcher = asyncio.create_task(connection._watch())
        return connection

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, lane: str = "") -> asyncio.Future[int]:
        """Send at QoS 1. The future gives the broker's reason code; it fails with BrokerLost with the connection.

        Raises BrokerLost at once when there is no connection any more.
        """
        if self.lost.done():
            raise BrokerLost(self.lost.result())
        message = _Message(topic, payload, retain, lane, self._loop.create_future())
        if len(self._acks) < self.receive_maximum:
            self._send(message)
        else:
            self._waiting.append(message)
        return message.taken

    def _send(self, message: _Message) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if not message.retain:
            properties.MessageExpiryInterval = EXPIRY_S
        if message.lane:
            properties.UserProperty = ("lane", message.lane)
        info = self._client.publish(message.topic, message.payload, 1, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose(f"sending failed: {mqtt.error_string(info.rc)}")
            raise BrokerLost(self.lost.result())
        self._acks[info.mid] = (message.taken, self._loop.time())
        self._heed_writes()

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe at QoS 1. Raises BrokerLost, also when the broker refuses one of them."""
        code, mid = self._client.subscribe([(topic, 1) for topic in topics])
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            self._lose(f"subscribing failed: {mqtt.error_string(code)}")
            raise BrokerLost(self.lost.result())
        future: asyncio.Future[None] = self._loop.create_future()
        self._subscribed[mid] = future
        self._heed_writes()
        try:
            async with asyncio.timeout(self._settings.ack_s):
                await future
        except TimeoutError:
            self._lose("the broker does not answer a subscription")
            raise BrokerLost(self.lost.result()) from None

    async def close(self) -> None:
        """Say goodbye, so that the broker keeps the will to itself. Messages on their way are given one second."""
        if not self.lost.done():
            with contextlib.suppress(BrokerLost, TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.gather(*(future for future, _ in self._acks.values()))
            self._client.disconnect()
        self._lose("closed")

    # ── inside ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = _Client(
            CallbackAPIVersion.VERSION2,
            settings.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = settings.connect_s
        client.max_inflight_messages_set(IN_FLIGHT)
        client.will_set(settings.will_topic, settings.will, qos=1, retain=True)
        if settings.tls is not None:
            client.tls_set_context(settings.tls)
        if settings.username:
            client.username_pw_set(settings.username, settings.password or None)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _reach(self) -> None:
        """Name look-up, TCP and TLS, in a thread: they block."""
        settings = self._settings
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MOST_PACKET
        self._client.connect(
            settings.host, settings.port, keepalive=settings.keepalive_s, clean_start=True, properties=properties
        )

    def _adopt_socket(self) -> None:
        self._socket = self._client.socket()
        if self._socket is None:
            raise BrokerLost("the broker closed the connection at once" + self._hint())
        if isinstance(self._socket, socket.socket):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.on_socket_close = self._on_socket_close
        self._loop.add_reader(self._socket, self._readable)
        self._heed_writes()

    def _readable(self) -> None:
        self._step(self._client.loop_read)
        tls = self._socket
        while isinstance(tls, ssl.SSLSocket) and not self.lost.done() and tls.pending():
            self._step(self._client.loop_read)  # decrypted bytes wait inside the TLS layer, where no selector sees them

    def _step(self, step: Callable[[], MQTTErrorCode]) -> None:
        if self.lost.done():
            return
        try:
            code = step()
        except Exception as error:
            self._lose(f"the connection to the broker failed: {error or type(error).__name__}{self._hint()}")
            return
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose(f"the connection to the broker broke: {mqtt.error_string(code)}{self._hint()}")
        self._heed_writes()

    def _hint(self) -> str:
        """What to look at when the link breaks before the broker has said a word."""
        if self._connected.done() and self._connected.exception() is None:
            return ""
        return " (does it know this box's certificate?)" if self._settings.tls else " (does it want TLS?)"

    def _heed_writes(self) -> None:
        """paho writes directly; what the socket did not take waits for it to become writable."""
        if self._socket is None or self.lost.done():
            return
        if self._client.want_write():
            self._loop.add_writer(self._socket, self._step, self._client.loop_write)
        else:
            self._loop.remove_writer(self._socket)

    async def _watch(self) -> None:
        while not self.lost.done():
            await asyncio.sleep(MISC_EVERY_S)
            oldest = min((since for _, since in self._acks.values()), default=None)
            if oldest is not None and self._loop.time() - oldest > self._settings.ack_s:
                self._lose(f"the broker has not acknowledged a message for {self._settings.ack_s:g} s")
            self._step(self._client.loop_misc)

    def _lose(self, why: str) -> None:
        """End this connection for good; the first reason stays."""
        if self.lost.done():
            return
        self.lost.set_result(why)
        self._drop_socket()
        futures: list[asyncio.Future[Any]] = [entry[0] for entry in self._acks.values()]
        futures += [message.taken for message in self._waiting]
        for future in [*futures, *self._subscribed.values(), self._connected]:
            if not future.done():
                future.set_exception(BrokerLost(why))
                future.exception()  # nobody may be waiting for it: that is no error of its own
        self._acks.clear()
        self._waiting.clear()
        self._subscribed.clear()

    def _drop_socket(self) -> None:
        sock, self._socket = self._socket, None
        if sock is None:
            return
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)
        sock.close()

    # ── paho's callbacks, all in the loop; an exception here surfaces in `_step` ───────────────────────────────────

    def _on_socket_close(self, client: mqtt.Client, _: object, sock: mqtt.SocketLike) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None

    def _on_connect(
        self, client: mqtt.Client, _: object, flags: mqtt.ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if self._connected.done():
            return
        if code.is_failure:
            self._lose(f"the broker refuses this box: {code}")
            return
        self.receive_maximum = min(IN_FLIGHT, int(getattr(properties, "ReceiveMaximum", IN_FLIGHT)))
        self.maximum_packet = int(getattr(properties, "MaximumPacketSize", 0))
        self._connected.set_result(None)

    def _on_disconnect(
        self, client: mqtt.Client, _: object, flags: mqtt.DisconnectFlags, code: ReasonCode, more: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._lose(f"the broker hung up: {code}")
        else:
            self._lose(f"the connection to the broker broke: {code}{self._hint()}")

    def _on_publish(
        self, client: mqtt.Client, _: object, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        future, _since = self._acks.pop(mid, (None, 0.0))
        if future is not None and not future.done():
            future.set_result(int(code.value))
        if self._waiting and not self.lost.done():
            self._loop.call_soon(self._send_waiting)  # not from inside a callback: paho would only queue it

    def _send_waiting(self) -> None:
        while self._waiting and not self.lost.done() and len(self._acks) < self.receive_maximum:
            with contextlib.suppress(BrokerLost):
                self._send(self._waiting.popleft())

    def _on_subscribe(
        self, client: mqtt.Client, _: object, mid: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        future = self._subscribed.pop(mid, None)
        if future is None or future.done():
            return
        if any(code.is_failure for code in codes):
            self._lose(f"the broker refuses a subscription: {', '.join(str(code) for code in codes)}")
        else:
            future.set_result(None)

    def _on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        self._take(message.topic, bytes(message.payload), bool(message.retain))


def puback_trouble(code: int, what: str) -> str:
    """What a PUBACK's reason code means for the far side hearing us; "" = the broker passes it on."""
    if code == NOBODY_LISTENS:
        return f"nobody at the broker listens for {what} of this box"
    if code >= 0x80:
        return f"the broker refuses {what} of this box (MQTT reason code 0x{code:02X})"
    return ""


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho drops such a socket without closing it."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    """TLS 1.2 or later, the broker's certificate checked, ours shown. Raises BrokerLost naming the bad file."""
    context = ssl.create_default_context(cafile=_readable_file(ca_file) or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _TlsSocket
    if cert_file:
        try:
            context.load_cert_chain(_readable_file(cert_file), _readable_file(key_file) or None)
        except ssl.SSLError as error:
            raise BrokerLost(f"{cert_file} and {key_file} are not a certificate and its key: {error}") from None
    return context


def _readable_file(name: str) -> str:
    if name:
        try:
            with Path(name).open("rb"):
                pass
        except OSError as error:
            raise BrokerLost(f"cannot read {name}: {error.strerror}") from None
    return name
