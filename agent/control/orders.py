"""Signed commands of the far side, from the bytes to the core: size, form, signature, box, and then time and the rest.

The uplink only carries the bytes here, so that whoever takes that role over still commands nothing. What fails before
the core is asked is one `command.refused` record too, a few of them at once: a flood is counted, not written down. So
is a flood of signed ones that somebody plays back; the two are paced apart, so that neither hides the other.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import msgspec

from agent import picture as pic
from agent.control.command_keys import Key, Keys
from agent.control.runtime import Runtime, TimeSource
from agent.core import commands, orders
from agent.core.events import Command, Note
from agent.core.strange import NOT_JSON
from agent.core.words import Rank
from agent.order import ID, MOST_BYTES, Order, Refused, read
from agent.pace import Pace
from hardware.site import Site

log = logging.getLogger("menwei.control")


class Orders:
    """One box's ear for the far side's commands."""

    def __init__(self, site: Site, keys: Keys, runtime: Runtime, clock: TimeSource) -> None:
        self._box = f"{site.site.id}/{site.site.box}"
        self._keys = keys.keys
        self._troubles: tuple[str, ...] = ()
        self._runtime = runtime
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._strangers = Pace()  # records of what nobody vouches for
        self._replays = Pace()  # records of what is signed, and too late or not the first

    def take(self, payload: bytes, *, retained: bool) -> str:
        """Judge one message and carry it out. Returns "" or the reason why not; either way it is recorded."""
        try:
            if retained:
                raise Refused("retained")
            order = read(payload)
            key = self._signer(order)
            command = self._command(order, key)
        except Refused as refused:
            why = str(refused)
            return self._refuse(_told(payload) | {"rank": Rank.UPSTREAM.value, "why": why}, "upstream", self._strangers)
        state = self._runtime.state
        if why := orders.refusal(state, command, self._clock.now()):
            return self._refuse(commands.told(state, command, why), command.actor, self._replays)
        why = commands.refusal(self._runtime.handle(command))
        self._counts[why.partition(":")[0] or "done"] += 1
        return why

    def publics(self) -> tuple[bytes, ...]:
        """The keys that a signature may be of, each once: one may be named for several times."""
        return tuple(dict.fromkeys(key.public for key in self._keys))

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

    def _signer(self, order: Order) -> Key:
        """The key that signed it. Raises Refused."""
        if not self._keys:
            raise Refused("no_key")
        public = order.signer(self.publics())
        if public is None:
            raise Refused("forged")
        now = self._clock.now().wall_ms
        key = next((key for key in self._keys if key.public == public and key.holds_at(now)), None)
        if key is None:
            raise Refused("key_out_of_date")
        return key

    def _command(self, order: Order, key: Key) -> Command:
        if order.box != self._box:
            raise Refused("wrong_box")
        issued_ms, expires_ms = order.times_ms
        return Command(order.id, Rank.UPSTREAM, f"upstream:{key.id}", order.verb, order.args, issued_ms, expires_ms)

    def _refuse(self, data: dict[str, Any], actor: str, pace: Pace) -> str:
        why = str(data["why"])
        self._counts[why.partition(":")[0]] += 1
        if pace.may(self._clock.now().mono_s):
            log.warning("a command from the far side was refused: %s", why)
            self._runtime.handle(Note("command.refused", "command", actor, data | pace.held_back()))
        return why


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
        "verb": verb if verb in commands.KNOWN_VERBS else "?",
    }
