"""What comes down from the far side: receipts go to their lanes, policies, checkpoints and commands on to control."""

from __future__ import annotations

from collections.abc import Callable

from agent.uplink.topics import Topics


class Downward:
    """Hands messages over; called by the connection for each. Never raises for what the far side sends."""

    def __init__(
        self,
        topics: Topics,
        alarm_receipt: Callable[[bytes], None],
        receipt: Callable[[bytes], None],
        policy: Callable[[bytes], None],
        checkpoint: Callable[[bytes], None],
        command: Callable[[bytes, bool], None],
    ) -> None:
        self._topics = topics
        self._alarm_receipt = alarm_receipt
        self._receipt = receipt
        self._policy = policy
        self._checkpoint = checkpoint
        self._command = command

    def take(self, topic: str, payload: bytes, retained: bool) -> None:
        if topic == self._topics.receipt:
            self._receipt(payload)
        elif topic == self._topics.alarm_receipt:
            self._alarm_receipt(payload)
        elif topic == self._topics.policy:
            self._policy(payload)
        elif topic == self._topics.checkpoint:
            self._checkpoint(payload)
        elif topic == self._topics.command:
            self._command(payload, retained)
