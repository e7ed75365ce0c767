"""A signed command of the far side as it comes: its form, its times, and whose signature it bears. Pure.

Control judges by it (`agent.control.orders`); the uplink only sorts by it what waits (`agent.uplink.sieve`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from agent.core.strange import NOT_JSON
from agent.journal.keys import signed_by

MOST_BYTES = 4096  # D: the longest command is a few hundred bytes
MOST_TEXT = 120
MOST_ARGS = 16
ID = re.compile(r"([a-z0-9-]{1,40}/[a-z0-9-]{1,40})/[A-Za-z0-9._-]{1,64}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_canonical = msgspec.json.Encoder(order="sorted").encode


class Refused(Exception):
    """A short id of the reason: `malformed`, `forged` …"""


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """The payload of the topic `command`. `id` begins with the box it is for."""

    id: str
    verb: str
    args: dict[str, str]
    issued_at: str
    expires_at: str
    sig: str

    @property
    def box(self) -> str:
        """ "site/box". Raises Refused."""
        found = ID.fullmatch(self.id)
        if found is None:
            raise Refused("malformed")
        return found[1]

    @property
    def times_ms(self) -> tuple[int, int]:
        """When it was issued and when it expires, UTC. Raises Refused."""
        return _time_ms(self.issued_at), _time_ms(self.expires_at)

    def signer(self, keys: Iterable[bytes]) -> bytes | None:
        """Which of these public keys signed it, if any. Raises Refused for a signature that is none."""
        signature = _signature(self.sig)
        text = _canonical({name: getattr(self, name) for name in self.__struct_fields__ if name != "sig"})
        return next((public for public in keys if signed_by(public, signature, text)), None)


def read(payload: bytes) -> Order:
    """Raises Refused for what is too long or no command in form."""
    if len(payload) > MOST_BYTES:
        raise Refused("too_long")
    try:
        order = msgspec.json.decode(payload, type=Order)
    except NOT_JSON:
        raise Refused("malformed") from None
    texts = [order.verb, order.id, *order.args, *order.args.values()]
    if len(order.args) > MOST_ARGS or any(len(text) > MOST_TEXT or not text.isprintable() for text in texts):
        raise Refused("malformed")
    return order


def _signature(text: str) -> bytes:
    """Only the one right way to write it: base64 leaves bits over that anybody could change. Raises Refused."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("malformed") from None
    if base64.b64encode(raw).decode() != text:
        raise Refused("malformed")
    return raw


def _time_ms(text: str) -> int:
    """UTC milliseconds of `2026-09-01T07:30:00Z`. Raises Refused."""
    try:
        if _TIME.fullmatch(text) is None:
            raise Refused("malformed")
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise Refused("malformed") from None
