"""The school's part of the picture: numbers, posts and windows. No guard, pupil, visitor or card is named in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from agent import picture as pic
from agent.core import calendar, duty_days, people, visits
from agent.core import state as core
from agent.core.calendar import Span
from agent.core.events import Now
from agent.core.policy import Passage, Policy
from agent.core.words import ClockTrust


def campus(state: core.BoxState, now: Now) -> pic.Campus | None:
    """As of `now`; None while no policy is in force."""
    policy = state.policy
    if policy is None:
        return None
    rules = policy.rules
    known = state.campus.day > 0 and now.trust is not ClockTrust.UNTRUSTED
    return pic.Campus(
        version=policy.version,
        made_ms=policy.made_at_ms,
        today=_today(state, policy, now) if known else None,
        posts=tuple(_posts(state, policy)),
        pickups=tuple((one.start, one.end, one.source) for one in policy.pickup_windows),
        passes=len(policy.passes),
        patrols_required=rules.patrols_a_day if rules.patrol_readers else 0,
        test_due_days=rules.panic_test_due_days,
        test_overdue_days=rules.panic_test_days,
        book=_book(state, policy, now),
    )


def _today(state: core.BoxState, policy: Policy, now: Now) -> pic.Today:
    part = state.campus
    day = date.fromordinal(part.day)
    found = calendar.day_of(policy, day, part.swapped)
    _, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    return pic.Today(
        day=day.isoformat(),
        plan=part.plan,
        label=" · ".join(text for text in (found.plan.label or found.plan.id, found.label) if text),
        because=part.because,
        source=found.source,
        shifts=tuple((shift.at, shift.by) for shift in part.shifts),
        windows=tuple(_window(span, minute) for span in part.spans),
        next_minute=calendar.next_boundary(part.spans, minute),
        calendar_last=policy.calendar.last.isoformat(),
        calendar_missing=calendar.is_missing(policy.calendar, day),
        patrols=duty_days.patrols_of(state, part.day),
        patrols_behind=duty_days.are_patrols_behind(state, policy, now),
        test_days=duty_days.days_since_test(state, now) if state.duty.tested_ms else None,
    )


def _window(span: Span, minute: int) -> pic.PlanWindow:
    window = span.window
    return pic.PlanWindow(
        start=span.start,
        end=span.end,
        kind=window.kind,
        label=window.label,
        running=span.start <= minute < span.end,
        peak=window.peak,
        bollards=window.bollards,
        closed=tuple(door for door, rule in window.doors.items() if rule == "closed"),
        passages=tuple(map(_passage, window.passages)),
        source=window.source,
    )


def _passage(one: Passage) -> pic.PlanPassage:
    return pic.PlanPassage(
        direction=one.direction, groups=one.groups, grades=one.grades, doors=one.doors, lanes=one.lanes
    )


def _posts(state: core.BoxState, policy: Policy) -> Iterator[pic.Post]:
    duty = state.duty
    for post in policy.posts.values():
        watch, vacancy = duty.on.get(post.id), duty.vacant.get(post.id)
        since = watch.since if watch is not None else vacancy.since if vacancy is not None else None
        yield pic.Post(
            id=post.id,
            name=post.label,
            needed=post.always or (post.peak and duty.peak),
            manned=watch is not None,
            since=round(since.at * 1000) if since is not None else None,
            asked=watch is not None and watch.asked is not None,
            unanswered=watch is not None and watch.unanswered,
            alarm_ref=vacancy.ref if vacancy is not None else None,
        )


def _book(state: core.BoxState, policy: Policy, now: Now) -> pic.Book:
    counts = people.index(policy).counts
    open_visits, hazards = state.visits.values(), state.duty.hazards.values()
    dated = now.trust is not ClockTrust.UNTRUSTED
    return pic.Book(
        visits=len(open_visits),
        overstays=sum(visit.came and visits.is_over(visit, now) for visit in open_visits),
        cards_missing=sum(why == visits.NOT_RETURNED for why in state.campus.bans.values()),
        hazards=len(hazards),
        hazards_overdue=sum(dated and duty_days.is_overdue(one, now) for one in hazards),
        guards=counts.get("guard", 0),
        guards_wanted=duty_days.guards_wanted(counts.get("pupil", 0)),
    )
