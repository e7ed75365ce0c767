"""The gatehouse: who stood where, when nobody did, who answered, and the patrols of each day."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import msgspec

from agent.core.calendar import MINUTE_MS
from agent.core.duty import GRACE_S, PEAK_GRACE_S
from agent.reports.model import MOST_ROWS, Duty, DutyDay, DutyLine, PatrolDay
from agent.reports.month import Month
from agent.reports.records import Told
from agent.reports.spans import Span, Track, by_day_ms, minus

LINES = frozenset(
    {
        "duty.on",
        "duty.off",
        "duty.unmanned",
        "duty.manned",
        "duty.confirmed",
        "duty.unanswered",
        "duty.hand_over",
        "duty.patrols_short",
        "duty.patrols_behind",
    }
)
COUNTED = frozenset({"duty.on", "duty.off", "duty.asked", "duty.confirmed", "duty.unanswered"})


class _Watch(msgspec.Struct):
    guard: str


class _Standing(msgspec.Struct):
    """What of the picture that survives restarts is the duty's."""

    on: dict[str, _Watch] = {}


class _PostBook:
    def __init__(self, month: Month) -> None:
        self.watch = Track("", month.from_ms)
        self.vacant_ms: int | None = None
        self.vacancies: list[Span] = []
        self.counts: list[Counter[str]] = [Counter() for _ in month.days]


class DutyBook:
    kinds: ClassVar[frozenset[str]] = LINES | COUNTED | {"duty.patrol", "duty.patrols", "box.latched"}

    def __init__(self, month: Month) -> None:
        self._month = month
        self._posts: dict[str, _PostBook] = {}
        self._lines: list[DutyLine] = []
        self._more = 0
        self._patrols: Counter[int] = Counter()
        self._required: dict[int, int] = {}
        self._guards: set[str] = set()

    def gap(self, span: Span) -> None:
        """A watch survives a restart; what happened meanwhile is unknown."""
        for post in self._posts.values():
            state = post.watch.state
            post.watch.set("unknown", span.from_ms)
            post.watch.set(state, span.to_ms)

    def see(self, told: Told, inside: bool) -> None:
        if told.kind == "box.latched":
            self._recall(told.part("duty", _Standing) or _Standing(), told.at_ms)
            return
        if inside and told.kind in LINES:
            self._line(told)
        if told.kind.startswith("duty.patrol"):
            self._patrol(told, inside)
        elif name := told.text("post"):
            self._post_told(self._post(name), told, inside)

    def _post(self, name: str) -> _PostBook:
        return self._posts.setdefault(name, _PostBook(self._month))

    def _recall(self, standing: _Standing, at_ms: int) -> None:
        """The picture that survives restarts names everybody on duty, also who left a post by taking another."""
        for name in {*self._posts, *standing.on}:
            watch = standing.on.get(name)
            self._post(name).watch.set("" if watch is None else watch.guard, at_ms)

    def _post_told(self, post: _PostBook, told: Told, inside: bool) -> None:
        if inside and told.kind in COUNTED:
            post.counts[self._month.day(told.at_ms)][told.kind] += 1
        match told.kind:
            case "duty.on":
                self._filled(post, told.at_ms)
                post.watch.set(told.text("guard"), told.at_ms)
                if inside:
                    self._guards.add(told.text("guard"))
            case "duty.off" if post.watch.state == told.text("guard"):
                post.watch.set("", told.at_ms)
            case "duty.manned":
                self._filled(post, told.at_ms, told.number("minutes"))
            case "duty.unmanned" if post.vacant_ms is None:
                grace_s = PEAK_GRACE_S if told.data.get("peak") is True else GRACE_S
                post.vacant_ms = max(told.at_ms - round(grace_s * 1000), post.watch.since_ms)

    @staticmethod
    def _filled(post: _PostBook, at_ms: int, minutes: int | None = None) -> None:
        """`minutes`, where they are told, are the vacancy's own: one that a peak overtook began long before it."""
        if post.vacant_ms is None:
            return
        told_ms = at_ms - (minutes or 0) * MINUTE_MS
        from_ms = told_ms if told_ms < post.vacant_ms - MINUTE_MS else post.vacant_ms
        post.vacancies.append(Span(from_ms, at_ms))
        post.vacant_ms = None

    def _patrol(self, told: Told, inside: bool) -> None:
        day = self._month.day(told.at_ms)
        if told.kind == "duty.patrol":
            self._patrols[day] += inside
        elif (required := told.number("required")) is not None:
            over = told.kind != "duty.patrols_behind"  # that is told within the day, the others when it is over
            self._required[day - over] = required

    def _line(self, told: Told) -> None:
        if len(self._lines) >= MOST_ROWS:
            self._more += 1
            return
        more = told.text("relieves") or told.text("note")
        self._lines.append(
            DutyLine(
                at=told.when,
                kind=told.kind,
                post=told.text("post"),
                guard=told.text("guard") or (told.actor if told.kind == "duty.hand_over" else ""),
                more=more,
                minutes=told.number("minutes"),
                ref=told.ref,
            )
        )

    # ── the month ──────────────────────────────────────────────────────────────────────────────────────────────

    def done(self, gaps: list[Span], until_ms: int) -> Duty:
        """`gaps` are all of the month's, `until_ms` the end of what has passed."""
        unknown = by_day_ms(gaps, self._month)
        return Duty(
            posts=tuple(sorted(self._posts)),
            days=tuple(day for name in sorted(self._posts) for day in self._days(name, gaps, unknown, until_ms)),
            lines=tuple(self._lines),
            more_lines=self._more,
            patrols=self._patrol_days(unknown, until_ms),
            guards=len(self._guards),
        )

    def _days(self, name: str, gaps: list[Span], unknown: list[int], until_ms: int) -> list[DutyDay]:
        post = self._posts[name]
        self._filled(post, until_ms)
        vacant = minus(post.vacancies, gaps)
        on = [span for span in post.watch.end(until_ms) if span.why not in ("", "unknown")]
        manned = by_day_ms(minus(on, [*gaps, *vacant]), self._month)
        unmanned = by_day_ms(vacant, self._month)
        return [
            DutyDay(
                post=name,
                day=day,
                manned_ms=manned[day],
                unmanned_ms=unmanned[day],
                unknown_ms=unknown[day],
                check_ins=counts["duty.on"],
                check_outs=counts["duty.off"],
                asked=counts["duty.asked"],
                confirmed=counts["duty.confirmed"],
                unanswered=counts["duty.unanswered"],
            )
            for day, counts in enumerate(post.counts)
            if self._month.edges[day] < until_ms
        ]

    def _patrol_days(self, unknown: list[int], until_ms: int) -> tuple[PatrolDay, ...]:
        """A day whose end was not told takes the number required that was told last."""
        required, days = next(iter(self._required.values()), None), []
        for day in range(len(self._month.days)):
            required = self._required.get(day, required)
            whole = self._month.edges[day + 1] <= until_ms and not unknown[day]
            if self._month.edges[day] < until_ms:
                days.append(PatrolDay(day, self._patrols[day], required, whole))
        return tuple(days) if self._patrols or required is not None else ()
