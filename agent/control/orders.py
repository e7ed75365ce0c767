"""Signed commands of the far side, from the bytes to the core: size, form, signature, box, and then time and the rest.

The uplink only carries the bytes here, so that whoever takes that role over still commands nothing. What fails before
the core is asked is one `command.refused` record too, a few of them at once: a flood is counted, not written down.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections import Counter
from datetime import datetime
from typing import Any

import msgspec

from agent import picture as pic
from agent.control.command_keys import Key, Keys
from agent.control.runtime import Runtime, TimeSource
from agent.core.commands import KNOWN_VERBS, refusal
from agent.core.events import Command, Note
from agent.core.strange import NOT_JSON
from agent.core.words import Rank
from agent.journal.keys import signed_by
from agent.pace import Pace
from hardware.site import Site

MOST_BYTES = 4096  # D: the longest command is a few hundred bytes
MOST_TEXT = 120
MOST_ARGS = 16
ID = re.compile(r"([a-z0-9-]{1,40}/[a-z0-9-]{1,40})/[A-Za-z0-9._-]{1,64}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_canonical = msgspec.json.Encoder(order="sorted").encode

log = logging.getLogger("menwei.control")


class Refused(Exception):
    """A short id of the reason: `malformed`, `forged` …"""


class _Order(msgspec.Struct, forbid_unknown_fields=True):
    """The payload of the topic `command`. `id` begins with the box it is for."""

    id: str
    verb: str
    args: dict[str, str]
    issued_at: str
    expires_at: str
    sig: str

    def signed_text(self) -> bytes:
        """What the signature covers: the canonical JSON of everything else."""
        return _canonical({name: getattr(self, name) for name in self.__struct_fields__ if name != "sig"})


class Orders:
    """One box's ear for the far side's commands."""

    def __init__(self, site: Site, keys: Keys, runtime: Runtime, clock: TimeSource) -> None:
        self._box = f"{site.site.id}/{site.site.box}"
        self._keys = keys.keys
        self._troubles: tuple[str, ...] = ()
        self._runtime = runtime
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._pace = Pace()

    def take(self, payload: bytes, *, retained: bool) -> str:
        """Judge one message and carry it out. Returns "" or the reason why not; either way it is recorded."""
        try:
            if retained:
                raise Refused("retained")
            order = _read(payload)
            key = self._signer(order)
            command = self._command(order, key)
        except Refused as refused:
            return self._refuse(payload, str(refused))
        why = refusal(self._runtime.handle(command))
        self._counts[why.partition(":")[0] or "done"] += 1
        return why

    def use(self, keys: Keys) -> None:
        """These keys are in force from now on; each change and each trouble is one record."""
        if keys.keys != self._keys:
            self._keys = keys.keys
            self._runtime.handle(Note("command.keys", "command", "box", {"keys": [key.told() for key in keys.keys]}))
        self.tell(keys)

    def tell(self, keys: Keys) -> None:
        """What of them could not be read, once: on some file systems a file looks new though nobody touched it."""
        known, self._troubles = self._troubles, keys.troubles
        if keys.troubles and keys.troubles != known:
            data: dict[str, object] = {"keys": [key.told() for key in keys.keys], "why": list(keys.troubles)}
            self._runtime.handle(Note("command.keys_refused", "command", "box", data))

    def figures(self) -> pic.Orders:
        """What came of them since the start."""
        refused = {why: count for why, count in sorted(self._counts.items()) if why != "done"}
        return pic.Orders(keys=len(self._keys), done=self._counts["done"], refused=refused)

    def _signer(self, order: _Order) -> Key:
        """The key that signed it. Raises Refused."""
        if not self._keys:
            raise Refused("no_key")
        signature, text = _signature(order.sig), order.signed_text()
        key = next((key for key in self._keys if signed_by(key.public, signature, text)), None)
        if key is None:
            raise Refused("forged")
        if not key.holds_at(self._clock.now().wall_ms):
            raise Refused("key_out_of_date")
        return key

    def _command(self, order: _Order, key: Key) -> Command:
        found = ID.fullmatch(order.id)
        if found is None:
            raise Refused("malformed")
        if found[1] != self._box:
            raise Refused("wrong_box")
        issued_ms, expires_ms = _time_ms(order.issued_at), _time_ms(order.expires_at)
        return Command(order.id, Rank.UPSTREAM, f"upstream:{key.id}", order.verb, order.args, issued_ms, expires_ms)

    def _refuse(self, payload: bytes, why: str) -> str:
        self._counts[why] += 1
        if not self._pace.may(self._clock.now().mono_s):
            return why
        held_back = self._pace.held_back()
        data: dict[str, object] = {**_told(payload), "rank": Rank.UPSTREAM.value, "why": why, **held_back}
        log.warning("a command from the far side was refused: %s", why)
        self._runtime.handle(Note("command.refused", "command", "upstream", data))
        return why


def _read(payload: bytes) -> _Order:
    """Raises Refused for what is too long or no command in form."""
    if len(payload) > MOST_BYTES:
        raise Refused("too_long")
    try:
        order = msgspec.json.decode(payload, type=_Order)
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


def _told(payload: bytes) -> dict[str, Any]:
    """What may be written down of a message nobody vouches for: an id and a verb that look like ours."""
    try:
        found = msgspec.json.decode(payload[:MOST_BYTES], type=dict[str, Any])
    except NOT_JSON:
        found = {}
    ident, verb = str(found.get("id", "")), str(found.get("verb", ""))
    return {
        "args": {},
        "id": ident if ID.fullmatch(ident) else "",
        "verb": verb if verb in KNOWN_VERBS else "?",
    }
