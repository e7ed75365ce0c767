"""A bundle's way to control: in pieces over the local socket, since one line there is short on purpose."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

from agent.link import ControlLink, Message

PIECE = 36 * 1024  # base64 makes 48 kB of it, and a line is at most 64 kB
JUDGING_S = 60.0  # D: a hundred thousand cards on the smallest board


async def upload(socket_path: str | Path, data: bytes, actor: str, source: str) -> Message:
    """Hand a bundle over and return control's answer: ok and the version, or why not. Raises ControlAway."""
    link = ControlLink(socket_path)
    try:
        return await hand_over(link, data, actor, source)
    finally:
        await link.close()


async def hand_over(link: ControlLink, data: bytes, actor: str, source: str) -> Message:
    """The same over a link one has. Raises ControlAway."""
    ident = secrets.token_hex(8)
    answer: Message = {}
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)] or [b""]
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        message = {
            "op": "policy", "id": ident, "piece": base64.b64encode(piece).decode(), "number": number, "last": last,
            "actor": actor, "subject": source,
        }  # fmt: skip
        answer = await link.request(message, timeout_s=JUDGING_S if last else None)
        if answer.get("ok") is not True:
            return answer
    return answer
