"""The step's pen: subjects write records through it, and it numbers them.

It lives for one step only, so the core stays pure: the same state, event and instant give the same records.
"""

from __future__ import annotations

from agent.core.events import Now, Seq
from agent.core.records import Record, Value, utc_text


class Log:
    """Collects the records of one step. `cause` is what led to this event, used where a record names none."""

    __slots__ = ("_at", "boot", "cause", "epoch", "next_seq", "now", "records", "site_box")

    def __init__(self, now: Now, site_box: str, boot: str, epoch: int, next_seq: int) -> None:
        self.now = now
        self.site_box = site_box
        self.boot = boot
        self.epoch = epoch
        self.next_seq = next_seq
        self.records: list[Record] = []
        self.cause: Seq | None = None
        self._at = ""

    def add(
        self,
        kind: str,
        subject: str,
        data: dict[str, Value] | None = None,
        *,
        actor: str = "box",
        cause: Seq | None = None,
    ) -> Seq:
        """Write one record and return its (epoch, seq)."""
        if not self._at:
            self._at = utc_text(self.now.wall_ms)
        record = Record(
            actor=actor,
            at=self._at,
            boot=self.boot,
            cause=cause if cause is not None else self.cause,
            clock=self.now.trust,
            data=data if data is not None else {},
            epoch=self.epoch,
            kind=kind,
            mono_ns=round(self.now.mono_s * 1e9),
            seq=self.next_seq,
            site_box=self.site_box,
            subject=subject,
        )
        self.next_seq += 1
        self.records.append(record)
        return record.ref
