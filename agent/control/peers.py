"""Who may speak over the local socket, and as what. The kernel tells the user id; the unit says what that user is.

`MENWEI_SOCKET_USERS="menwei-uplink=upstream menwei-web=console menwei-stick=stick menwei-camera"`: a user speaks for
the far side, for the screens at the gate, for both (`=upstream,console`), hands over what a USB stick brought, or only
looks. Root and control's own user may do all of it.
"""

from __future__ import annotations

import logging
import pwd
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from agent.core.words import Rank

USERS_VARIABLE = "MENWEI_SOCKET_USERS"

log = logging.getLogger("menwei.control")


class Part(StrEnum):
    """What a user stands for."""

    UPSTREAM = "upstream"
    CONSOLE = "console"
    STICK = "stick"


Parts: TypeAlias = frozenset[Part]
Users: TypeAlias = Mapping[int, Parts]  # user id → its parts; who is not in it is turned away

ALL: Parts = frozenset(Part)
_SPEAKS: Parts = frozenset({Part.UPSTREAM, Part.CONSOLE})
# Requests not named here only look. What the far side has received, and its policies, nobody else can know; holders and
# slips are the guard's business and never leave the gate.
NEEDED: Mapping[str, Parts] = {
    "ahead": frozenset({Part.UPSTREAM}),
    "anchor": frozenset({Part.UPSTREAM}),
    "command": frozenset({Part.CONSOLE}),
    "explain": frozenset({Part.CONSOLE}),
    "given_up": frozenset({Part.UPSTREAM}),
    "guard": frozenset({Part.CONSOLE}),
    "note": _SPEAKS,
    "order": frozenset({Part.UPSTREAM}),
    "order_keys": frozenset({Part.UPSTREAM}),
    "path": frozenset({Part.UPSTREAM}),
    "policy": frozenset({Part.UPSTREAM, Part.STICK}),
    "stage": frozenset({Part.UPSTREAM}),
    "synced": frozenset({Part.UPSTREAM}),
}
# The far side commands by signature (`order`), not by a user: whoever takes the uplink over commands nothing.
RANKS: Mapping[Rank, Part] = {Rank.CONSOLE: Part.CONSOLE}


def may_ask(parts: Parts, op: str) -> bool:
    """Whether somebody with these parts may ask this. An unknown request is answered elsewhere."""
    needed = NEEDED.get(op)
    return needed is None or bool(needed & parts)


def may_claim(parts: Parts, rank: Rank) -> bool:
    """Whether somebody with these parts may command in this rank. All but the console's are nobody's over a socket."""
    return RANKS.get(rank) in parts


def users(text: str) -> dict[int, Parts]:
    """The users that the unit names. One that this machine does not have, or a part nobody knows, is told and left
    out: a slip of the pen never opens more than was meant."""
    found: dict[int, Parts] = {}
    for word in text.split():
        name, _, said = word.partition("=")
        try:
            uid = pwd.getpwnam(name).pw_uid
        except KeyError:
            log.warning("%s names %s, but this machine has no such user", USERS_VARIABLE, name)
            continue
        found[uid] = found.get(uid, frozenset()) | _parts(name, said)
    return found


def _parts(name: str, said: str) -> Parts:
    parts = set()
    for one in filter(None, said.split(",")):
        try:
            parts.add(Part(one))
        except ValueError:
            log.warning("%s: %s cannot be %r; it is upstream, console or stick", USERS_VARIABLE, name, one)
    return frozenset(parts)
