"""Whether an alarm pressed now would be heard by this path, told to control on every change."""

from __future__ import annotations

from agent.uplink.alarms import PATH, AlarmLane
from agent.uplink.path import Reports
from agent.uplink.records import RecordLane

OWED_S = 15.0  # D: a far side that owes a receipt for so long, resends included, does not hear us


class PathHealth:
    """The path is up when the broker is connected and nothing says that the far side does not hear us."""

    def __init__(self, alarms: AlarmLane, records: RecordLane, reports: Reports) -> None:
        self._alarms = alarms
        self._records = records
        self._reports = reports
        self._known = False  # nothing is said before the first attempt has ended
        self._down_why: str | None = None
        self._told: tuple[bool, str] | None = None

    def connected(self) -> None:
        """The next `judge` says more: by then the broker has told whether anybody listens."""
        self._known, self._down_why = True, None

    def disconnected(self, why: str, now: float) -> None:
        self._known, self._down_why = True, why
        self.judge(now)

    def judge(self, now: float) -> None:
        """Report (up, why not) when it changed."""
        verdict = self._verdict(now)
        if self._known and verdict != self._told:
            self._told = verdict
            self._reports.path(PATH, *verdict)

    def _verdict(self, now: float) -> tuple[bool, str]:
        if self._down_why is not None:
            return False, self._down_why
        trouble = self._alarms.trouble or self._records.trouble
        if trouble:
            return False, trouble
        if self._records.outbox.owed_s(now) >= OWED_S:
            return False, f"the far side has not confirmed a record for more than {OWED_S:g} s"
        return True, ""
