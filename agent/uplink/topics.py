"""The topics of one box (`docs/asyncapi.yaml`)."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.site import SiteIds


@dataclass(frozen=True, slots=True)
class Topics:
    """`menwei/v1/<site>/<box>/…`."""

    prefix: str

    @classmethod
    def of(cls, ids: SiteIds) -> Topics:
        return cls(f"menwei/v1/{ids.id}/{ids.box}/")

    @property
    def alarm(self) -> str:
        return self.prefix + "alarm"

    @property
    def records(self) -> str:
        return self.prefix + "records"

    @property
    def state(self) -> str:
        return self.prefix + "state"

    @property
    def checkpoint(self) -> str:
        return self.prefix + "checkpoint"

    @property
    def receipt(self) -> str:
        return self.prefix + "receipt"

    @property
    def alarm_receipt(self) -> str:
        return self.prefix + "alarm/receipt"

    @property
    def command(self) -> str:
        return self.prefix + "command"

    @property
    def policy(self) -> str:
        return self.prefix + "policy"

    @property
    def down(self) -> tuple[str, ...]:
        """What a box subscribes to: its own checkpoint too, as the far side last kept it."""
        return (self.receipt, self.alarm_receipt, self.command, self.policy, self.checkpoint)
