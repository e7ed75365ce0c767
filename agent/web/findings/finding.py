"""One finding, and how much it matters."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from agent.picture import Ref


class Weight(IntEnum):
    """How much a finding matters. REMARK alone leaves the gate "all right"."""

    REMARK = 0
    WARNING = 1
    FAULT = 2
    ALARM = 3

    @property
    def word(self) -> str:
        return self.name.lower()


AREAS = ("panic", "lanes", "doors", "fire", "uplink", "power", "devices", "journal", "school")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong. `check` names the terminal or device to look at; `since` is an instant of the picture."""

    area: str = ""  # of AREAS; set by `findings`
    weight: Weight
    text: str
    advice: str = ""
    check: str = ""
    since: int | None = None
    ref: Ref | None = None
    detail: str = ""
