"""Guards on duty: who stands at which post, whether it is manned, and whether somebody answers. Patrols, tests and the
hazard ledger are in `duty_days`.

A guard's card at a post's reader confirms the guard who stands there. It takes the watch over from somebody else only
where the roster names this guard now; a post that stands empty and must not it takes as well, unless this guard stands
elsewhere.
Any other card only proves that a guard is on site: a colleague who shows his card for a reset has not relieved
anybody. Whoever takes over against the roster says so (`duty_check_in`). Nothing here locks or opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from agent.core import args as checks
from agent.core import calendar, campus, duty_days
from agent.core.duty_days import put
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.policy import Policy, Post
from agent.core.state import BoxState, Instant, Vacancy, Watch
from agent.core.words import ClockTrust

VERBS = frozenset({"duty_check_in", "duty_check_out", "duty_confirm", "hand_over"}) | duty_days.VERBS
ON_SITE_VERBS = frozenset({"duty_check_in", "duty_check_out", "duty_confirm"})
ARGS: dict[str, checks.Check] = {"post": checks.post, "note": checks.handle("n"), **duty_days.ARGS}
GRACE_S = 600.0  # D: a change of the watch may take ten minutes
PEAK_GRACE_S = 180.0  # D: at a peak the post is manned within three
ANSWER_S = 300.0  # D: asked whether he is there, a guard has five minutes


# ── cards ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_presence(state: BoxState, reader: str, guard: str, now: Now, log: Log) -> BoxState:
    """A guard's card was read at a presence reader: a patrol point, a confirmation, or the beginning of a watch."""
    policy = state.policy
    if policy is None:
        return state
    if reader in policy.rules.patrol_readers:
        state = duty_days.patrol(state, reader, guard, now, log)
    at_reader = [post for post in policy.posts.values() if post.reader == reader]
    own = [post.id for post in at_reader if _stands(state, guard, post.id)]
    if own:
        return _confirm(state, own, now, log)
    post = _taken_over(state, at_reader, guard, now)
    return state if post is None else _begin(state, post.id, guard, now, log)


def _stands(state: BoxState, guard: str, post: str) -> bool:
    watch = state.duty.on.get(post)
    return watch is not None and watch.guard == guard


def _taken_over(state: BoxState, posts: list[Post], guard: str, now: Now) -> Post | None:
    """The post this card takes over: one the roster names, else one that stands empty and must not."""
    named = [post for post in posts if rostered(state, post.id, guard, now) == "yes"]
    elsewhere = any(watch.guard == guard for watch in state.duty.on.values())
    needed = [] if elsewhere else [post for post in posts if post.id in state.duty.vacant]
    return next(iter((*named, *needed)), None)


def rostered(state: BoxState, post: str, guard: str, now: Now) -> str:
    """Whether the roster names this guard for this post now: "yes", "no", or "unknown" by a clock nobody can trust."""
    if now.trust is ClockTrust.UNTRUSTED:
        return "unknown"
    return "yes" if guard in rostered_now(state, post, now) else "no"


def rostered_now(state: BoxState, post: str, now: Now) -> frozenset[str]:
    """Who should stand there by the roster and this clock; a duty may run over midnight."""
    if state.policy is None:
        return frozenset()
    day, minute = calendar.local(now.wall_ms, state.rules.utc_offset_min)
    found = set()
    for duty in state.policy.roster:
        over = duty.end <= duty.start
        today = day.weekday() in duty.weekdays and duty.start <= minute < (1440 if over else duty.end)
        since_yesterday = over and (day.weekday() - 1) % 7 in duty.weekdays and minute < duty.end
        if duty.post == post and (today or since_yesterday):
            found.add(duty.guard)
    return frozenset(found)


def _begin(state: BoxState, post: str, guard: str, now: Now, log: Log) -> BoxState:
    """A watch begins. Whoever it relieves, and whatever post this guard leaves for it, ends with its minutes."""
    if _stands(state, guard, post):
        return _confirm(state, [post], now, log)
    before = state.duty.on.get(post)
    for name, watch in state.duty.on.items():
        if name == post or watch.guard == guard:
            _tell_off(name, watch, guard, now, log)
    data: dict[str, Any] = {
        "guard": guard,
        "post": post,
        "relieves": before.guard if before is not None else "",
        "rostered": rostered(state, post, guard, now),
    }
    ref = log.add("duty.on", f"post:{post}", data, actor=guard)
    watch = Watch(guard=guard, since=instant(now), confirmed=instant(now), ref=ref)
    others = {name: one for name, one in state.duty.on.items() if one.guard != guard}  # nobody stands in two places
    return settle(put(state, on={**others, post: watch}), now, log)


def instant(now: Now) -> Instant:
    return Instant(now.mono_s, now.wall_ms)


def _tell_off(post: str, watch: Watch, actor: str, now: Now, log: Log) -> None:
    minutes = max(0, int((now.mono_s - watch.since.at) // 60))
    data: dict[str, Any] = {"guard": watch.guard, "minutes": minutes, "post": post}
    log.add("duty.off", f"post:{post}", data, actor=actor, cause=watch.ref)


def _end(state: BoxState, post: str, actor: str, now: Now, log: Log) -> BoxState:
    _tell_off(post, state.duty.on[post], actor, now, log)
    return settle(put(state, on={name: one for name, one in state.duty.on.items() if name != post}), now, log)


def _confirm(state: BoxState, posts: list[str], now: Now, log: Log) -> BoxState:
    on = dict(state.duty.on)
    for post in posts:
        watch = on[post]
        if watch.asked is not None:
            log.add("duty.confirmed", f"post:{post}", {"guard": watch.guard, "post": post}, cause=watch.ref)
        on[post] = replace(watch, confirmed=instant(now), asked=None, unanswered=False)
    return put(state, on=on)


# ── what must be manned ────────────────────────────────────────────────────────────────────────────────────────────


def settle(state: BoxState, now: Now, log: Log) -> BoxState:
    """Find anew which posts stand empty that must not. Called whenever a watch, a window or the policy changed."""
    policy = state.policy
    if policy is None:
        return state
    peak = any(span.window.peak for span in campus.running(state, now))
    if peak is not state.duty.peak:
        state = _turn_of_peak(state, policy, peak, now, log)
    vacant = {}
    for name, post in policy.posts.items():
        hurried = post.peak and peak
        if (post.always or hurried) and name not in state.duty.on:
            vacant[name] = _vacancy(state.duty.vacant.get(name), hurried, now)
    for name, was in state.duty.vacant.items():
        if name not in vacant and was.ref is not None:
            minutes = round((now.mono_s - was.since.at) / 60)
            data: dict[str, Any] = {"minutes": minutes, "post": name}
            data |= {} if name in state.duty.on else {"why": "not_needed"}
            log.add("duty.manned", f"post:{name}", data, cause=was.ref)
    return state if vacant == state.duty.vacant else put(state, vacant=vacant)


def _turn_of_peak(state: BoxState, policy: Policy, peak: bool, now: Now, log: Log) -> BoxState:
    """With a peak end the watches at posts that are for peaks only: nobody is taken to stand there tomorrow."""
    peak_posts = {post.id for post in policy.posts.values() if post.peak and not post.always}
    over = peak_posts & state.duty.on.keys() if not peak else set()
    for post in over:
        _tell_off(post, state.duty.on[post], "timetable", now, log)
    return put(state, peak=peak, on={post: watch for post, watch in state.duty.on.items() if post not in over})


def _vacancy(was: Vacancy | None, peak: bool, now: Now) -> Vacancy:
    """A post found empty. When a peak begins before its alarm, there is less patience from then on."""
    if was is None:
        return Vacancy(since=instant(now), due_at=now.mono_s + patience_s(peak=peak), peak=peak)
    if peak and not was.peak and was.ref is None:
        return replace(was, peak=True, due_at=min(was.due_at, now.mono_s + PEAK_GRACE_S))
    return was


def patience_s(*, peak: bool) -> float:
    """How long a post may stand empty before it is an alarm."""
    return PEAK_GRACE_S if peak else GRACE_S


def deadline(state: BoxState) -> float:
    days_at = duty_days.deadline(state)
    return days_at if state.policy is None else min((at for at, _ in _due(state)), default=days_at)


def _due(state: BoxState) -> Iterator[tuple[float, tuple[str, str]]]:
    """(when, (what, post)) of everything that waits for time."""
    assert state.policy is not None
    yield duty_days.deadline(state), ("hour", "")
    for name, vacancy in state.duty.vacant.items():
        if vacancy.ref is None:
            yield vacancy.due_at, ("unmanned", name)
    for name, watch in state.duty.on.items():
        post = state.policy.posts.get(name)
        if post is None or not post.confirm_min or watch.unanswered:
            continue
        if watch.asked is None:
            yield watch.confirmed.at + post.confirm_min * 60, ("ask", name)
        else:
            yield watch.asked.at + ANSWER_S, ("unanswered", name)


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s < deadline(state):
        return state
    if state.policy is None:
        return duty_days.hour(state, now, log)
    for at, (what, post) in list(_due(state)):
        if now.mono_s >= at:
            state = duty_days.hour(state, now, log) if what == "hour" else _TIMES[what](state, post, now, log)
    return state


def _unmanned(state: BoxState, post: str, now: Now, log: Log) -> BoxState:
    vacancy = state.duty.vacant[post]
    ref = log.add("duty.unmanned", f"post:{post}", {"peak": vacancy.peak, "post": post})
    return put(state, vacant={**state.duty.vacant, post: replace(vacancy, ref=ref)})


def _ask(state: BoxState, post: str, now: Now, log: Log) -> BoxState:
    watch = state.duty.on[post]
    log.add("duty.asked", f"post:{post}", {"guard": watch.guard, "post": post}, cause=watch.ref)
    return put(state, on={**state.duty.on, post: replace(watch, asked=instant(now))})


def _unanswered(state: BoxState, post: str, now: Now, log: Log) -> BoxState:
    watch = state.duty.on[post]
    log.add("duty.unanswered", f"post:{post}", {"guard": watch.guard, "post": post}, cause=watch.ref)
    return put(state, on={**state.duty.on, post: replace(watch, unanswered=True)})


_TIMES: dict[str, Callable[[BoxState, str, Now, Log], BoxState]] = {
    "unmanned": _unmanned,
    "ask": _ask,
    "unanswered": _unanswered,
}


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(state: BoxState, event: Command, now: Now) -> str:
    args, verb = event.args, event.verb
    if verb in duty_days.VERBS:
        return duty_days.refusal(state, verb, args)
    post = args.get("post", "")
    if not checks.post(state, post):
        return "unknown_post"
    if verb in ("duty_check_out", "duty_confirm") and post not in state.duty.on:
        return "nobody_on_post"
    if verb == "duty_confirm" and not _stands(state, state.access.guard, post):
        return "other_guard"
    return "note" if verb == "hand_over" and not ARGS["note"](state, args.get("note", "")) else ""


def do(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    post = event.args.get("post", "")
    match event.verb:
        case "duty_check_in":
            return _begin(state, post, state.access.guard, now, log)
        case "duty_check_out":  # done by the guard whose card was read, whoever sat at the screen
            return _end(state, post, state.access.guard, now, log)
        case "duty_confirm":
            return _confirm(state, [post], now, log)
        case "hand_over":
            data: dict[str, Any] = {"note": event.args["note"], "post": post}
            log.add("duty.hand_over", f"post:{post}", data, actor=event.actor, cause=cause)
            return state
        case _:
            return duty_days.do(state, event, cause, now, log)
