"""New random handles: under these the register keeps who somebody is, and only these go into commands and records.

The prefixes in use: `v` a visit, `s` a leave slip written at the gate, `n` a note for the next watch, `h` a hazard,
`p` a person the school's policy does not know (a host, an owner of a hazard). The shape is `agent.core.shapes`.
"""

from __future__ import annotations

import secrets

from agent.core.shapes import make_handle


def new(prefix: str) -> str:
    """A handle of 60 bits from the operating system's random source; `prefix` is one letter a-z."""
    return make_handle(prefix, secrets.randbits)
