"""What of visits and duty survives a restart: open visits, who stands where, the hazard ledger, the day's patrols."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import asdict, replace

from agent.core import duty as duty_core
from agent.core import visits
from agent.core.events import Now, Seq
from agent.core.records import Value, plain
from agent.core.state import BoxState, DutyState, Hazard, Instant, Vacancy, Visit, Watch
from agent.core.words import ClockTrust


class VisitPicture(msgspec.Struct, frozen=True):
    handle: str
    kind: str
    host: str
    purpose: str
    card: str
    door: str
    lane: str
    from_ms: int
    until_ms: int
    consent: str
    came: bool
    told: bool
    ref: Seq | None
    consent_by: str = ""


class WatchPicture(msgspec.Struct, frozen=True):
    guard: str
    since_ms: int
    ref: Seq | None
    confirmed_ms: int = 0
    asked_ms: int = 0  # 0 = not asked
    unanswered: bool = False


class VacancyPicture(msgspec.Struct, frozen=True):
    since_ms: int
    peak: bool
    ref: Seq | None


class HazardPicture(msgspec.Struct, frozen=True):
    what: str
    owner: str
    found_ms: int
    due_ms: int
    ref: Seq | None
    told: bool = False


class DutyPicture(msgspec.Struct, frozen=True):
    on: dict[str, WatchPicture] = {}
    vacant: dict[str, VacancyPicture] = {}
    hazards: dict[str, HazardPicture] = {}
    patrol_day: int = 0
    patrols: int = 0
    peak: bool = False
    patrol_told: int = 0
    patrol_short: int = 0
    tested_ms: int = 0
    test_told: Literal["", "due", "overdue"] = ""


def open_visits(state: BoxState) -> list[Value]:
    return [plain(visit, VisitPicture) for visit in state.visits.values()]


def duty(state: BoxState) -> dict[str, Value]:
    part = state.duty
    return {
        "hazards": {name: plain(hazard, HazardPicture) for name, hazard in part.hazards.items()},
        "on": {post: _watch(watch) for post, watch in part.on.items()},
        "patrol_day": part.patrol_day,
        "patrol_short": part.patrol_short,
        "patrol_told": part.patrol_told,
        "patrols": part.patrols,
        "peak": part.peak,
        "test_told": part.test_told,
        "tested_ms": part.tested_ms,
        "vacant": {post: _vacancy(vacancy) for post, vacancy in part.vacant.items()},
    }


def _watch(watch: Watch) -> dict[str, Value]:
    return {
        "asked_ms": watch.asked.ms if watch.asked is not None else 0,
        "confirmed_ms": watch.confirmed.ms,
        "guard": watch.guard,
        "ref": _ref(watch.ref),
        "since_ms": watch.since.ms,
        "unanswered": watch.unanswered,
    }


def _vacancy(vacancy: Vacancy) -> dict[str, Value]:
    return {"peak": vacancy.peak, "ref": _ref(vacancy.ref), "since_ms": vacancy.since.ms}


def _ref(ref: Seq | None) -> Value:
    return None if ref is None else list(ref)


def may_differ(old: BoxState, new: BoxState) -> bool:
    return old.visits is not new.visits or old.duty is not new.duty


def restore(state: BoxState, told: tuple[VisitPicture, ...], part: DutyPicture, now: Now) -> BoxState:
    """What was counted on the old boot's monotonic clock is mapped onto this one's, through the wall clock."""
    known = {
        one.handle: Visit(
            **asdict(one),
            until_at=visits.until(one.from_ms, one.until_ms, now),
            guessed=now.trust is ClockTrust.UNTRUSTED,
        )
        for one in told
    }
    kept = DutyState(
        on={post: _watch_again(watch, now) for post, watch in part.on.items()},
        vacant={post: _vacancy_again(vacancy, now) for post, vacancy in part.vacant.items()},
        hazards={name: Hazard(**asdict(one)) for name, one in part.hazards.items()},
        patrol_day=part.patrol_day,
        patrols=part.patrols,
        peak=part.peak,
        patrol_told=part.patrol_told,
        patrol_short=part.patrol_short,
        tested_ms=part.tested_ms,
        test_told=part.test_told,
    )
    return replace(state, visits=known, duty=kept)


def _watch_again(watch: WatchPicture, now: Now) -> Watch:
    return Watch(
        guard=watch.guard,
        since=_instant(watch.since_ms, now),
        confirmed=_instant(watch.confirmed_ms or now.wall_ms, now),
        asked=_instant(watch.asked_ms, now) if watch.asked_ms else None,
        unanswered=watch.unanswered,
        ref=watch.ref,
    )


def _vacancy_again(vacancy: VacancyPicture, now: Now) -> Vacancy:
    """The time it stood empty before the restart counts."""
    since = _instant(vacancy.since_ms, now)
    due_at = since.at + duty_core.patience_s(peak=vacancy.peak)
    return Vacancy(since=since, due_at=due_at, peak=vacancy.peak, ref=vacancy.ref)


def _instant(ms: int, now: Now) -> Instant:
    """An instant of an earlier boot; never one that is still to come."""
    return Instant(now.mono_s - max(0, now.wall_ms - ms) / 1000, ms)
