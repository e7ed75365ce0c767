"""Bundles that come over the local socket in pieces, a few at a time, bounded."""

from __future__ import annotations

import base64
import binascii

from agent.policy.bundle import MOST_BYTES

MOST_UPLOADS = 4


class Refusal(Exception):
    """A request that cannot be taken; the message goes back to the peer."""


class Uploads:
    """By their id; the oldest gives way to one too many."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, bytearray]] = {}

    def take(self, ident: str, number: int, piece: str, last: bool) -> bytes | None:
        """One piece. The whole once the last one is there, else None. Raises Refusal, and forgets the upload."""
        due, data = self._open.pop(ident, (0, bytearray()))
        if not ident or number != due:
            raise Refusal(f"piece {number} does not follow: {due} was due")
        try:
            data += base64.b64decode(piece, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal("a piece is no base64") from None
        if len(data) > MOST_BYTES:
            raise Refusal("this is far too large for a bundle")
        if last:
            return bytes(data)
        while len(self._open) >= MOST_UPLOADS:
            del self._open[next(iter(self._open))]
        self._open[ident] = (due + 1, data)
        return None
