"""Guards on duty: who stands at which post, whether it is manned, whether somebody answers, and the patrols of the day.

A guard's card at a post's reader checks in and ends the watch of whoever stood there; shown again it confirms that the
guard is there. Nothing here locks or opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from agent.core import calendar, campus
from agent.core.events import Command, Now, Seq
from agent.core.log import Log
from agent.core.policy import Post
from agent.core.shapes import HANDLE, NUMBER
from agent.core.state import BoxState, Hazard, Vacancy, Watch

VERBS = frozenset({"duty_check_in", "duty_check_out", "duty_confirm", "hand_over", "hazard_open", "hazard_close"})
ON_SITE_VERBS = frozenset({"duty_check_in", "duty_check_out"})
KEPT_ARGS = ("post", "note", "hazard", "what", "owner", "due")
GRACE_S = 600.0  # D: a change of the watch may take ten minutes
PEAK_GRACE_S = 180.0  # D: at a peak the post is manned within three
ANSWER_S = 300.0  # D: asked whether he is there, a guard has five minutes
PATROL_GAP_S = 600.0  # D: the same point counts again after ten minutes
TEST_DUE_MS = 35 * calendar.DAY_MS  # local notices (V): monthly; overdue at 35 days (D)
HAZARDS = frozenset({"bollard", "lock", "reader", "camera", "alarm", "light", "fence", "power", "network", "other"})
MOST_HAZARDS = 200  # D


def put(state: BoxState, **changes: Any) -> BoxState:
    return replace(state, duty=replace(state.duty, **changes))


# ── cards ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_presence(state: BoxState, reader: str, guard: str, now: Now, log: Log) -> BoxState:
    """A guard's card was read at a presence reader: a patrol point, a confirmation, or the beginning of a watch."""
    policy = state.policy
    if policy is None:
        return state
    if reader in policy.rules.patrol_readers:
        state = _patrol(state, reader, guard, now, log)
    standing = [post for post, watch in state.duty.on.items() if watch.guard == guard]
    at_reader = [post for post in policy.posts.values() if post.reader == reader]
    if any(post.id in standing for post in at_reader):
        return _confirm(state, [post.id for post in at_reader if post.id in standing], now, log)
    post = _post_for(state, at_reader, guard, now)
    return state if post is None else _begin(state, post.id, guard, now, log)


def _post_for(state: BoxState, posts: list[Post], guard: str, now: Now) -> Post | None:
    """The post the roster names for this guard now, else the one that must be manned, else any at this reader."""
    rostered = [post for post in posts if guard in rostered_now(state, post.id, now)]
    needed = [post for post in posts if post.id in state.duty.vacant]
    return next(iter((*rostered, *needed, *posts)), None)


def rostered_now(state: BoxState, post: str, now: Now) -> frozenset[str]:
    """Who should stand there by the roster; a duty may run over midnight."""
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
    before = state.duty.on.get(post)
    data: dict[str, Any] = {
        "guard": guard,
        "post": post,
        "relieves": before.guard if before is not None else "",
        "rostered": guard in rostered_now(state, post, now),
    }
    ref = log.add("duty.on", f"post:{post}", data, actor=guard)
    watch = Watch(guard=guard, since_ms=now.wall_ms, confirmed_at=now.mono_s, ref=ref)
    others = {name: one for name, one in state.duty.on.items() if one.guard != guard}  # nobody stands in two places
    return settle(put(state, on={**others, post: watch}), now, log)


def _end(state: BoxState, post: str, actor: str, now: Now, log: Log) -> BoxState:
    watch = state.duty.on[post]
    minutes = max(0, (now.wall_ms - watch.since_ms) // 60_000)
    log.add("duty.off", f"post:{post}", {"guard": watch.guard, "minutes": minutes, "post": post}, actor=actor)
    return settle(put(state, on={name: one for name, one in state.duty.on.items() if name != post}), now, log)


def _confirm(state: BoxState, posts: list[str], now: Now, log: Log) -> BoxState:
    on = dict(state.duty.on)
    for post in posts:
        watch = on[post]
        if watch.asked_at is not None:
            log.add("duty.confirmed", f"post:{post}", {"guard": watch.guard, "post": post}, cause=watch.ref)
        on[post] = replace(watch, confirmed_at=now.mono_s, asked_at=None, unanswered=False)
    return put(state, on=on)


def _patrol(state: BoxState, reader: str, guard: str, now: Now, log: Log) -> BoxState:
    duty = state.duty
    last = duty.patrolled_at.get(reader, float("-inf"))
    if now.mono_s - last < PATROL_GAP_S:
        return state
    day = calendar.local(now.wall_ms, state.rules.utc_offset_min)[0].toordinal()
    count = duty.patrols + 1 if duty.patrol_day == day else 1
    log.add("duty.patrol", f"reader:{reader}", {"count": count, "guard": guard, "reader": reader}, actor=guard)
    return put(state, patrolled_at={**duty.patrolled_at, reader: now.mono_s}, patrol_day=day, patrols=count)


# ── what must be manned ────────────────────────────────────────────────────────────────────────────────────────────


def settle(state: BoxState, now: Now, log: Log) -> BoxState:
    """Find anew which posts stand empty that must not. Called whenever a watch, a window or the policy changed."""
    posts = state.policy.posts if state.policy is not None else {}
    peak = any(span.window.peak for span in campus.running(state, now))
    needed = {name: not post.always for name, post in posts.items() if post.always or (post.peak and peak)}
    vacant = {}
    for name, only_peak in needed.items():
        if name not in state.duty.on:
            vacant[name] = state.duty.vacant.get(name, Vacancy(since_at=now.mono_s, peak=only_peak))
    for name, was in state.duty.vacant.items():
        if name not in vacant and was.ref is not None:
            minutes = round((now.mono_s - was.since_at) / 60)
            log.add("duty.manned", f"post:{name}", {"minutes": minutes, "post": name}, cause=was.ref)
    return state if vacant == state.duty.vacant else put(state, vacant=vacant)


def deadline(state: BoxState) -> float:
    if state.policy is None:
        return float("inf")
    return min((at for at, _ in _due(state)), default=float("inf"))


def _due(state: BoxState) -> Iterator[tuple[float, tuple[str, str]]]:
    """(when, (what, post)) of everything that waits for time."""
    assert state.policy is not None
    for name, vacancy in state.duty.vacant.items():
        if vacancy.ref is None:
            yield vacancy.since_at + (PEAK_GRACE_S if vacancy.peak else GRACE_S), ("unmanned", name)
    for name, watch in state.duty.on.items():
        post = state.policy.posts.get(name)
        if post is None or not post.confirm_min or watch.unanswered:
            continue
        if watch.asked_at is None:
            yield watch.confirmed_at + post.confirm_min * 60, ("ask", name)
        else:
            yield watch.asked_at + ANSWER_S, ("unanswered", name)


def on_tick(state: BoxState, now: Now, log: Log) -> BoxState:
    if now.mono_s < deadline(state):
        return state
    for at, (what, post) in list(_due(state)):
        if now.mono_s >= at:
            state = _TIMES[what](state, post, now, log)
    return state


def _unmanned(state: BoxState, post: str, now: Now, log: Log) -> BoxState:
    vacancy = state.duty.vacant[post]
    ref = log.add("duty.unmanned", f"post:{post}", {"peak": vacancy.peak, "post": post})
    return put(state, vacant={**state.duty.vacant, post: replace(vacancy, ref=ref)})


def _ask(state: BoxState, post: str, now: Now, log: Log) -> BoxState:
    watch = state.duty.on[post]
    log.add("duty.asked", f"post:{post}", {"guard": watch.guard, "post": post}, cause=watch.ref)
    return put(state, on={**state.duty.on, post: replace(watch, asked_at=now.mono_s)})


def _unanswered(state: BoxState, post: str, now: Now, log: Log) -> BoxState:
    watch = state.duty.on[post]
    log.add("duty.unanswered", f"post:{post}", {"guard": watch.guard, "post": post}, cause=watch.ref)
    return put(state, on={**state.duty.on, post: replace(watch, unanswered=True)})


_TIMES: dict[str, Callable[[BoxState, str, Now, Log], BoxState]] = {
    "unmanned": _unmanned,
    "ask": _ask,
    "unanswered": _unanswered,
}


# ── days ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def on_day(state: BoxState, ended: int, now: Now, log: Log) -> BoxState:
    """A day is over: the patrols it had, and whether the monthly panic test is overdue."""
    if state.policy is None:
        return state
    duty, required = state.duty, state.policy.rules.patrols_a_day
    if state.policy.rules.patrol_readers and ended:
        count = duty.patrols if duty.patrol_day == ended else 0
        kind = "duty.patrols_short" if count < required else "duty.patrols"
        log.add(kind, "day", {"count": count, "required": required})
    if duty.tested_ms and now.wall_ms - duty.tested_ms >= TEST_DUE_MS:
        log.add("duty.test_overdue", "panic", {"days": (now.wall_ms - duty.tested_ms) // calendar.DAY_MS})
    return put(state, tested_ms=now.wall_ms) if not duty.tested_ms else state


def on_test(state: BoxState, now: Now) -> BoxState:
    """A drill press came through: the monthly test is done."""
    return put(state, tested_ms=now.wall_ms)


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────────


def refusal(state: BoxState, event: Command, now: Now) -> str:
    args, verb = event.args, event.verb
    if verb.startswith("hazard"):
        return _no_hazard(state, verb, args)
    post = args.get("post", "")
    if state.policy is None or post not in state.policy.posts:
        return "unknown_post"
    if verb in ("duty_check_out", "duty_confirm") and post not in state.duty.on:
        return "nobody_on_post"
    if verb == "hand_over" and not HANDLE.fullmatch(args.get("note", "")):
        return "note"
    return ""


def _no_hazard(state: BoxState, verb: str, args: dict[str, str]) -> str:
    hazard = args.get("hazard", "")
    if not HANDLE.fullmatch(hazard):
        return "hazard"
    if verb == "hazard_close":
        return "" if hazard in state.duty.hazards else "unknown_hazard"
    if hazard in state.duty.hazards:
        return "hazard_exists"
    if args.get("what", "") not in HAZARDS:
        return "what"
    if not HANDLE.fullmatch(args.get("owner", "")):
        return "owner"
    if not (NUMBER.fullmatch(args.get("due", "")) and 1 <= int(args["due"]) <= 365):
        return "due:1-365"
    return "too_many_hazards" if len(state.duty.hazards) >= MOST_HAZARDS else ""


def do(state: BoxState, event: Command, cause: Seq, now: Now, log: Log) -> BoxState:
    args, post = event.args, event.args.get("post", "")
    match event.verb:
        case "duty_check_in":
            return _begin(state, post, state.access.guard or event.actor, now, log)
        case "duty_check_out":
            return _end(state, post, event.actor, now, log)
        case "duty_confirm":
            return _confirm(state, [post], now, log)
        case "hand_over":
            log.add(
                "duty.hand_over", f"post:{post}", {"note": args["note"], "post": post}, actor=event.actor, cause=cause
            )
            return state
        case "hazard_open":
            due_ms = now.wall_ms + int(args["due"]) * calendar.DAY_MS
            hazard = Hazard(what=args["what"], owner=args["owner"], found_ms=now.wall_ms, due_ms=due_ms, ref=cause)
            return put(state, hazards={**state.duty.hazards, args["hazard"]: hazard})
        case _:
            return _close_hazard(state, args["hazard"], event.actor, now, log)


def _close_hazard(state: BoxState, name: str, actor: str, now: Now, log: Log) -> BoxState:
    hazard = state.duty.hazards[name]
    days = (now.wall_ms - hazard.found_ms) // calendar.DAY_MS
    data: dict[str, Any] = {"days": days, "hazard": name, "late": now.wall_ms > hazard.due_ms, "what": hazard.what}
    log.add("hazard.closed", f"hazard:{name}", data, actor=actor, cause=hazard.ref)
    return put(state, hazards={one: kept for one, kept in state.duty.hazards.items() if one != name})
