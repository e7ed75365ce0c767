"""What a by-stander has seen of the closed campus: cards, slips that let somebody out, and what a guard said of today.

It works out by itself, from the policy alone, who may leave when, and shares nothing with the code it judges.
"""

from __future__ import annotations

from collections import deque
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.core.events import CardRead, Command, Now, PolicyChanged, Started
from agent.core.policy import Credential, LeaveSlip, Passage, Policy
from agent.core.rules import CredentialRules, ReaderRules
from agent.core.words import ClockTrust

if TYPE_CHECKING:
    from agent.core.invariant import Step

MEMORY_S = 3600.0  # longer than any pair a policy may name
DAY_ONE = date(1970, 1, 1).toordinal()
_Overrides: TypeAlias = tuple[int, str, list[tuple[int, int]]]  # day, plan, shifts
_Ways: TypeAlias = tuple[int, int, Policy, _Overrides, list[Passage]]  # day, minute, for what, and the answer
NEVER = float("-inf")  # of a visit: nobody comes in by it any more


class CampusFacts:
    """One run's note-book on the timetable and the people."""

    __slots__ = (
        *("bans", "cancelled", "empty_since", "in_at", "on_post", "overrides", "peak_since"),
        *("policy", "reader", "shown", "slips", "told_empty", "used", "visits", "ways"),
    )

    def __init__(self) -> None:
        self.policy: Policy | None = None
        self.reader: ReaderRules | None = None  # of this CardRead
        self.shown: deque[tuple[float, str, str]] = deque()  # (at, door, holder)
        self.slips: dict[str, LeaveSlip] = {}  # written at the gate
        self.cancelled: set[str] = set()
        self.used: set[str] = set()
        self.bans: set[str] = set()
        self.overrides: _Overrides = (0, "", [])
        self.in_at: dict[str, tuple[bool, float, int]] = {}  # holder → inside, when, which day
        self.visits: dict[str, tuple[str, float, bool]] = {}  # handle → card, end (monotonic), host agreed
        self.on_post: dict[str, str] = {}  # post → guard
        self.empty_since: dict[str, float] = {}  # posts that must be manned now and are not
        self.peak_since: float | None = None  # of the present peak
        self.told_empty: set[str] = set()
        self.ways: _Ways | None = None  # the last answer of `ways_out`

    def see(self, step: Step) -> None:
        event = step.event
        if isinstance(event, CardRead):
            self._see_card(step, event)
        elif isinstance(event, PolicyChanged):
            self.policy = event.policy

    def keep(self, step: Step) -> None:
        event = step.event
        if isinstance(event, Started):
            self._restart(event, step.now)
        peak_before = self.peak_since
        if step.records:
            self._see_records(step)
        if step.now.trust is ClockTrust.UNTRUSTED:
            self.peak_since = None  # no window runs by a bad clock
        duty_same = step.old.duty is step.new.duty and step.old.policy is step.new.policy
        if not duty_same or peak_before != self.peak_since:
            self._keep_posts(step.now.mono_s)
        if isinstance(event, Command) and any(record.kind == "command.done" for record in step.records):
            self._see_command(step, event)

    def _see_records(self, step: Step) -> None:
        for record in step.records:
            kind, data = record.kind, record.data
            if kind == "access.granted" or kind == "access.let_out":
                if record.subject.startswith("door:"):
                    self.in_at[str(data.get("holder", ""))] = (
                        data.get("direction") == "in", step.now.mono_s, today(step, step.now)
                    )  # fmt: skip
            elif kind == "slip.used":
                self.used.add(str(data["slip"]))
            elif kind.startswith("visit."):
                self._see_visit(kind, record.subject.partition(":")[2], str(data.get("card", "")))
            elif kind == "day.window":
                began = step.now.mono_s if self.peak_since is None else self.peak_since
                self.peak_since = began if data["peak"] else None
            elif kind in ("duty.on", "duty.off", "duty.unmanned"):
                self._see_duty(kind, str(data["post"]), str(data.get("guard", "")))

    def _see_visit(self, kind: str, handle: str, card: str) -> None:
        """A visit told to be over stays so, whatever the clock says."""
        if kind == "visit.card_missing":
            self.bans.add(card)
        elif kind == "visit.ended":
            self.visits.pop(handle, None)
        elif handle in self.visits:
            self.visits[handle] = (self.visits[handle][0], NEVER, self.visits[handle][2])

    def _see_duty(self, kind: str, post: str, guard: str) -> None:
        if kind == "duty.unmanned":
            self.told_empty.add(post)
        elif kind == "duty.off":
            self.on_post.pop(post, None)
        else:
            self.on_post = {name: who for name, who in self.on_post.items() if who != guard} | {post: guard}

    def _keep_posts(self, at: float) -> None:
        if self.policy is None:
            return
        peak = self.peak_since is not None
        needed = {post.id for post in self.policy.posts.values() if post.always or (post.peak and peak)}
        empty = needed - self.on_post.keys()
        self.empty_since = {post: self.empty_since.get(post, at) for post in empty}
        self.told_empty &= empty

    def _restart(self, event: Started, now: Now) -> None:
        """What the journal tells a new boot is told to the by-stander as well."""
        self.peak_since = None
        kept = (event.latched or {}).get("campus")
        if isinstance(kept, dict):
            self.used |= set(kept.get("used", ()))
            self.cancelled |= set(kept.get("cancelled", ()))
            self.bans = set(kept.get("bans", ()))
            self.overrides = (kept["changed_day"], kept["swapped"], [(at, by) for at, by in kept["shifts"]])
            for slip in kept["slips"]:
                self.slips[slip["id"]] = LeaveSlip(**slip)
        visits, duty = (event.latched or {}).get("visits"), (event.latched or {}).get("duty")
        if isinstance(visits, list):
            self.visits = {one["handle"]: (one["card"], _end(one, now), bool(one["consent"])) for one in visits}
        if isinstance(duty, dict):
            self.on_post = {post: watch["guard"] for post, watch in duty["on"].items()}
            vacant = duty.get("vacant", {})
            self.told_empty = {post for post, kept in vacant.items() if kept["ref"] is not None}
            self.empty_since = {
                post: now.mono_s - max(0, now.wall_ms - kept["since_ms"]) / 1000 for post, kept in vacant.items()
            }

    def _see_card(self, step: Step, event: CardRead) -> None:
        at = step.now.mono_s
        while self.shown and at - self.shown[0][0] > MEMORY_S:
            self.shown.popleft()
        self.reader = reader = _reader_of(step, event.reader)
        holder = holder_of(step, event.card)
        if reader is not None and reader.door and holder and is_good(step, event.card):
            self.shown.append((at, reader.door, holder))

    def _see_command(self, step: Step, event: Command) -> None:
        args, day = event.args, today(step, step.now)
        was_day, plan, shifts = self.overrides
        shifts = shifts if was_day == day else []
        target = args.get("card") or args.get("holder", "")
        match event.verb:
            case "shift_day":
                minute = minute_of(step, step.now)
                self.overrides = (day, plan if was_day == day else "", [*shifts, (minute, int(args["minutes"]))])
            case "swap_day":
                self.overrides = (day, args["plan"], [])
            case "restore_day":
                self.overrides = (0, "", [])
            case "slip_add":
                self.slips[args["slip"]] = LeaveSlip(
                    id=args["slip"], pupil=args["pupil"], issuer=args["issuer"], from_ms=int(args["from_ms"]),
                    to_ms=int(args["to_ms"]), guardian=args.get("guardian") == "1",
                )  # fmt: skip
            case "slip_cancel":
                self.cancelled.add(args["slip"])
            case "card_ban":
                self.bans.add(target)
            case "visit_register":
                until_at = step.now.mono_s + int(args["minutes"]) * 60
                self.visits[args["visit"]] = (args.get("card", ""), until_at, False)
            case "visit_consent":
                card, until_at, _ = self.visits[args["visit"]]
                self.visits[args["visit"]] = (card, until_at, True)
            case "card_unban":
                self.bans.discard(target)


def _end(visit: dict[str, Any], now: Now) -> float:
    """When a visit that the journal tells of ends in this boot: no later than its whole length from now."""
    left_ms = min(visit["until_ms"] - now.wall_ms, visit["until_ms"] - visit["from_ms"])
    return NEVER if visit["told"] else now.mono_s + left_ms / 1000


def is_good(step: Step, card: str) -> bool:
    """Whether the card is neither banned nor out of its time: with any other nobody is fetched."""
    return not is_out_of_time(step, card) and not is_banned(step, card)


def is_out_of_time(step: Step, card: str) -> bool:
    """By a clock that somebody vouches for."""
    (first, last), wall = limits_of(step, card), step.now.wall_ms
    return step.now.trust is not ClockTrust.UNTRUSTED and (wall < first or (last != 0 and wall >= last))


def _reader_of(step: Step, name: str) -> ReaderRules | None:
    for reader in step.new.rules.readers:
        if reader.id == name:
            return reader
    return None


# ── what the policy says, worked out anew ──────────────────────────────────────────────────────────────────────────


def today(step: Step, now: Now) -> int:
    """The ordinal of the local date."""
    return DAY_ONE + (now.wall_ms // 60_000 + step.new.rules.utc_offset_min) // 1440


def minute_of(step: Step, now: Now) -> int:
    return (now.wall_ms // 60_000 + step.new.rules.utc_offset_min) % 1440


def credential_of(step: Step, card: str) -> Credential | CredentialRules | None:
    policy = step.facts.campus.policy
    if policy is not None and card in policy.credentials:
        return policy.credentials[card]
    return step.new.rules.credentials.get(card)


def visit_of(step: Step, card: str) -> tuple[str, float, bool] | None:
    """(handle, end, host agreed) of the visit this card was lent for."""
    for name, (lent, until, agreed) in step.facts.campus.visits.items():
        if lent == card:
            return name, until, agreed
    return None


def holder_of(step: Step, card: str) -> str:
    known = credential_of(step, card)
    if known is not None:
        return known.holder
    visit = visit_of(step, card)
    return visit[0] if visit is not None else ""


def kind_of(step: Step, card: str) -> str:
    """What the holder of a card is, "" where nobody knows it."""
    known = credential_of(step, card)
    policy = step.facts.campus.policy
    if isinstance(known, Credential):
        return policy.groups[known.group].kind if policy is not None and known.group in policy.groups else ""
    return known.group if known is not None else ""


def limits_of(step: Step, card: str) -> tuple[int, int]:
    """First and last millisecond of a card's validity, 0 = no limit."""
    known = credential_of(step, card)
    if isinstance(known, Credential):
        return known.from_ms, known.to_ms
    return (known.valid_from_ms, known.valid_to_ms) if known is not None else (0, 0)


def is_banned(step: Step, card: str) -> bool:
    known = credential_of(step, card)
    if known is None:
        return False
    written = known.state != "" if isinstance(known, Credential) else known.banned
    return written or bool({card, known.holder} & step.facts.campus.bans)


def ways_out(step: Step, policy: Policy) -> list[Passage]:
    """The passages out of the windows that run now; found once for each minute."""
    facts, minute, day = step.facts.campus, minute_of(step, step.now), today(step, step.now)
    last, overrides = facts.ways, facts.overrides
    if last is None or last[:2] != (day, minute) or last[2] is not policy or last[3] is not overrides:
        facts.ways = last = (day, minute, policy, overrides, _ways_out(policy, overrides, day, minute))
    return last[4]


def _ways_out(policy: Policy, overrides: _Overrides, day: int, minute: int) -> list[Passage]:
    change_day, swapped, shifts = overrides
    plan = swapped if change_day == day and swapped else _plan_of(policy, date.fromordinal(day))
    found: list[Passage] = []
    for window in policy.plans[plan].windows:
        start, end = _as_it_runs(window.start, window.end, shifts if change_day == day else [])
        if start <= minute < min(end, 1440):
            found += [passage for passage in window.passages if passage.direction in ("out", "both")]
    return found


def _as_it_runs(start: int, end: int, shifts: list[tuple[int, int]]) -> tuple[int, int]:
    """What begins after a shift moves with it, but not into the past; what runs already only ends elsewhere."""
    for at, by in shifts:
        if start < at:
            end = max(at, end + by) if end > at else end
        else:
            length = end - start
            start = max(at, start + by)
            end = start + length
    return start, end


def _plan_of(policy: Policy, when: date) -> str:
    calendar = policy.calendar
    if when in calendar.special:
        return calendar.special[when].plan
    in_term = any(term.first <= when <= term.last for term in calendar.terms)
    if calendar.first <= when <= calendar.last and calendar.vacation and not in_term:
        return calendar.vacation
    return calendar.weekdays[when.weekday()]


def may_leave(step: Step, card: str, door: str) -> bool:
    """Whether a pupil may leave by this door now: by a window, a slip, or with a guardian in the pick-up time."""
    policy = step.facts.campus.policy
    known = policy.credentials.get(card) if policy is not None else None
    if policy is None or known is None:
        return True
    group = policy.groups[known.group]
    names = {known.group, group.kind}
    by_window = group.timetable is False or any(
        (not way.groups or names & set(way.groups))
        and (not way.grades or known.grade in way.grades)
        and (not way.doors or door in way.doors)
        for way in ways_out(step, policy)
    )
    return by_window or _with_guardian(step, policy, known.holder, door) or _with_slip(step, policy, known.holder, door)


def _guardian_here(step: Step, policy: Policy, pupil: str, door: str) -> bool:
    guardians = {p.guardian for p in policy.pickups.values() if pupil in p.pupils}
    at = step.now.mono_s
    return any(
        d == door and who in guardians and at - t <= policy.rules.pair_s for t, d, who in step.facts.campus.shown
    )


def _with_guardian(step: Step, policy: Policy, pupil: str, door: str) -> bool:
    day, minute = today(step, step.now), minute_of(step, step.now)
    change_day, _, shifts = step.facts.campus.overrides
    shifts = shifts if change_day == day else []
    spans = [_as_it_runs(window.start, window.end, shifts) for window in policy.pickup_windows]
    return any(start <= minute < end for start, end in spans) and _guardian_here(step, policy, pupil, door)


def _with_slip(step: Step, policy: Policy, pupil: str, door: str) -> bool:
    facts, wall = step.facts.campus, step.now.wall_ms
    slips = [*policy.slips.values(), *facts.slips.values()]
    return any(
        slip.pupil == pupil
        and slip.id not in facts.used
        and slip.id not in facts.cancelled
        and slip.from_ms <= wall < slip.to_ms
        and (not slip.guardian or _guardian_here(step, policy, pupil, door))
        for slip in slips
    )
