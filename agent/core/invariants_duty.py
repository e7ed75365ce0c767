"""The gatehouse's book, judged from what a by-stander saw: posts, watches, visits, and what is written of people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import astuple

from agent.core.events import CardRead, Command, Tick
from agent.core.invariant import Step, invariant

ABOUT_PEOPLE = ("visit_", "duty_", "hand_over", "hazard_", "slip_", "let_out", "card_", "shift_", "swap_", "restore_")
SHAPES = re.compile(r"[a-z]-[0-9a-z]{12}|[a-z0-9-]{1,16}:[0-9A-F]{10}|[-+]?[0-9]{0,4}|[12][0-9]{12}|\?")
CODES = frozenset(
    (
        *("visitor", "contractor", "vehicle", "delivery", "parent", "meeting", "repair", "inspection", "event"),
        *("other", "phone", "in_person", "message", "yes", "no", "bollard", "lock", "reader", "camera", "alarm"),
        *("light", "fence", "power", "network", "illness", "guardian_at_gate", "teacher_present", "errand"),
        *("card_forgotten", "lost", "stolen", "left_school", "misused", "weather", "exam", "traffic", "authority"),
        *("drill", "private"),
    )
)

LATEST_S = 601.0  # a change of the watch may take ten minutes, and a tick comes a little late
LATEST_IN_PEAK_S = 181.0  # at a peak three


@invariant(24, "an_empty_post_is_told", on=(Tick,))
def an_empty_post_is_told(step: Step) -> str | None:
    """A post that must be manned and has stood empty for longer than a change of the watch takes is an alarm."""
    facts, at = step.facts.campus, step.now.mono_s
    if step.new.policy is None:  # after a start: nobody knows yet what must be manned
        return None
    told = facts.told_empty | {str(r.data["post"]) for r in step.records if r.kind == "duty.unmanned"}
    late = [post for post, since in facts.empty_since.items() if post not in told and at > _latest(step, post, since)]
    return f"{late} stand empty and nobody was told" if late else None


def _latest(step: Step, post: str, since: float) -> float:
    """When an empty post must have been told. At a peak patience is short, from its beginning on."""
    facts = step.facts.campus
    rules = facts.policy.posts[post] if facts.policy is not None and post in facts.policy.posts else None
    if rules is None or not rules.peak or facts.peak_since is None:
        return since + LATEST_S
    hurried = max(since, facts.peak_since) + LATEST_IN_PEAK_S
    return min(hurried, since + LATEST_S) if rules.always else hurried


@invariant(24, "no_manned_post_is_called_empty", reads=("duty",))
def no_manned_post_is_called_empty(step: Step) -> str | None:
    called = [str(record.data["post"]) for record in step.records if record.kind == "duty.unmanned"]
    wrong = [post for post in called if post in step.facts.campus.on_post]
    return f"{wrong} are manned and were called empty" if wrong else None


@invariant(24, "a_watch_that_ends_is_written", reads=("duty",))
def a_watch_that_ends_is_written(step: Step) -> str | None:
    """Nobody is relieved, sent home or moved to another post without the record that counts the minutes."""
    ended = {(str(r.data["guard"]), str(r.data["post"])) for r in step.records if r.kind == "duty.off"}
    stood = step.facts.campus.on_post
    stand = {post: watch.guard for post, watch in step.new.duty.on.items()}
    gone = {(guard, post) for post, guard in stood.items() if stand.get(post) != guard}
    return f"{sorted(gone - ended)} ended without a record" if gone - ended else None


@invariant(24, "no_card_relieves_against_the_roster", on=(CardRead,))
def no_card_relieves_against_the_roster(step: Step) -> str | None:
    """A guard who shows a card to prove presence has not relieved a colleague whom the roster does not end."""
    for record in step.records:
        if record.kind == "duty.on" and record.data["relieves"] and record.data["rostered"] != "yes":
            return f"{record.data['guard']} took {record.data['post']} over by a card and is not in the roster"
    return None


@invariant(5, "paper_moves_no_bollard", on=(Command,))
def paper_moves_no_bollard(step: Step) -> str | None:
    """Letting a registered vehicle in is a wish shown to the guard. What time had begun before goes on."""
    event = step.event
    assert isinstance(event, Command)
    if not event.verb.startswith(ABOUT_PEOPLE):
        return None
    idle = {name for name, lane in step.old.lanes.items() if lane.request is None}
    moved = [token.bollard for lane, token in step.facts.fresh if lane.rules.id in idle]
    return f"{event.verb} moved {moved}" if moved else None


# ── what may be written of people ──────────────────────────────────────────────────────────────────────────────────


@invariant(30, "only_codes_and_handles_of_people", on=(Command,))
def only_codes_and_handles_of_people(step: Step) -> str | None:
    """What a guard says of people reaches the records as handles, codes, numbers, and names the site or the policy
    gave, carried out or refused."""
    assert isinstance(step.event, Command)
    if not step.event.verb.startswith(ABOUT_PEOPLE):
        return None
    given = step.event.args.values()
    written = [record.data for record in step.records if record.kind != "box.latched"]
    texts = [text for value in (*written, *_kept(step)) for text in _texts(value) if text in given]
    bad = [text for text in texts if not SHAPES.fullmatch(text) and text not in CODES and not _is_named(step, text)]
    return f"a record repeats {bad}" if bad else None


def _kept(step: Step) -> Iterator[Any]:
    """What this step added to all that is written whole at every change."""
    old, new = step.old, step.new
    parts: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
        (old.visits, new.visits),
        (old.duty.hazards, new.duty.hazards),
        (old.campus.slips, new.campus.slips),
    )
    for was, now in parts:
        yield from (astuple(one) for name, one in now.items() if was.get(name) is not one)
    yield [ban for ban in new.campus.bans if ban not in old.campus.bans]


def _is_named(step: Step, text: str) -> bool:
    rules, policy, facts = step.new.rules, step.facts.campus.policy, step.facts.campus
    named = {*(d.id for d in rules.doors), *(lane.id for lane in rules.lanes), *rules.buttons, *facts.bans}
    named |= {one.holder for one in rules.credentials.values()}
    if policy is not None:
        named |= {one.holder for one in policy.credentials.values()} | {*policy.posts, *policy.plans, *policy.slips}
    return text in named


def _texts(value: Any) -> list[str]:
    """Every text in a record's data, however deep."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [text for part in parts for text in _texts(part)]
