"""What comes down from the far side: receipts go to their lanes, policies to control, commands are refused, politely.

Signed commands are not enabled in this release; a refusal is one record, so that both ends can see it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from agent.uplink.reporter import Reporter
from agent.uplink.topics import Topics

ID_CHARACTERS = 64


class _Command(msgspec.Struct):
    id: str = ""


_decode_command = msgspec.json.Decoder(_Command).decode


class Downward:
    """Hands messages over; called by the connection for each. Never raises for what the far side sends."""

    def __init__(
        self,
        topics: Topics,
        alarm_receipt: Callable[[bytes], None],
        receipt: Callable[[bytes], None],
        reporter: Reporter,
        policy: Callable[[bytes], None],
        checkpoint: Callable[[bytes], None],
    ) -> None:
        self._policy = policy
        self._checkpoint = checkpoint
        self._topics = topics
        self._alarm_receipt = alarm_receipt
        self._receipt = receipt
        self._reporter = reporter

    def take(self, topic: str, payload: bytes) -> None:
        if topic == self._topics.receipt:
            self._receipt(payload)
        elif topic == self._topics.alarm_receipt:
            self._alarm_receipt(payload)
        elif topic == self._topics.policy:
            self._policy(payload)
        elif topic == self._topics.checkpoint:
            self._checkpoint(payload)
        elif topic == self._topics.command:
            self._refuse(topic.rpartition("/")[2], payload)

    def _refuse(self, what: str, payload: bytes) -> None:
        try:
            number = _decode_command(payload).id[:ID_CHARACTERS]
        except (msgspec.DecodeError, UnicodeDecodeError):
            number = ""
        data: dict[str, str | int] = {"id": number, "why": f"a {what} from the far side is not enabled on this box"}
        self._reporter.note("command.refused", what, "upstream", data)
