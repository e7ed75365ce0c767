"""From a bundle's plain data to a `Policy`, or to everything that is wrong with it at once.

Two passes. The first reads each entry by itself, so that one bad entry hides no other. The second looks for what
contradicts: two of one, and names of what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, TypeVar

import msgspec

from agent.core import policy_words
from agent.core.policy import (
    DAY_MINUTES,
    DAY_NAMES,
    Calendar,
    Contradiction,
    Credential,
    DayPlan,
    Duty,
    Group,
    LeaveSlip,
    Pickup,
    PickupWindow,
    Policy,
    Post,
    Rules,
    SpecialDay,
    VehiclePass,
    Window,
    Zone,
    calendar_source,
)
from agent.core.rules import BoxRules
from agent.core.shapes import is_code
from agent.core.strange import NOT_JSON

_Entry = TypeVar("_Entry", bound=msgspec.Struct)
_Key = TypeVar("_Key")
Kinds = Mapping[str, frozenset[str]]  # holder → what the holder is
MOST_CARDS = 200_000  # D: twice what the greatest school is taken to have; a million would take a small board's memory
MOST_HELD = 16  # D: so many cards of one pupil are held against each other; a column filled down would be thousands
MAX_FOUND = 200  # D: a list longer than this is read by nobody


class Found(list[Contradiction]):
    """What is wrong so far. `lost` are the parts with an entry that could not be read: a name that is not among the
    rest of them may have stood there, so nobody is told that it does not exist."""

    def __init__(self, lost: Iterable[str] = ()) -> None:
        super().__init__()
        self.lost = set(lost)


def parse(data: Mapping[str, Any], lost: Iterable[str] = ()) -> tuple[Policy | None, list[Contradiction]]:
    """The policy, or None and what is wrong with it. `data` is the wire form: decoded JSON, or the same by hand.

    Each of its credentials may still be JSON (`msgspec.Raw`). `lost`: its parts that whoever made it could not read
    whole and has told about.
    """
    found = Found(lost)
    reader = _Reader(data, found)
    policy = reader.policy()
    if policy is not None:
        _contradictions(policy, found)
    return (policy if not found else None), found[:MAX_FOUND]


def against_site(policy: Policy, site: BoxRules) -> list[Contradiction]:
    """What of the policy this box's site file does not have: doors, lanes and readers by name, and the site itself."""
    found = Found()
    doors, lanes = dict.fromkeys(door.id for door in site.doors), dict.fromkeys(lane.id for lane in site.lanes)
    readers = dict.fromkeys(reader.id for reader in site.readers if reader.direction == "presence")
    if policy.site_box not in (site.site_box, f"{site.site_box.partition('/')[0]}/*"):
        what = f"this policy is for {policy.site_box}; this box is {site.site_box}"
        found.append(Contradiction("site_box", what, "make the bundle for this box"))
    for names, known, what in ((_doors(policy), doors, "door"), (_lanes(policy), lanes, "lane")):
        for name, source in names.items():
            _known(name, known, what, source, found)
    for post in policy.posts.values():
        _known(post.reader, readers, "presence reader", post.source or "posts", found)
    for reader in policy.rules.patrol_readers:
        _known(reader, readers, "presence reader", policy.rules.source or "rules", found)
    return found[:MAX_FOUND]


def _doors(policy: Policy) -> dict[str, str]:
    """Every door the policy names, with the place of the first naming."""
    rules = policy.rules
    named = [(door, rules.source or "rules") for door in (*rules.two_person_doors, *rules.first_card_doors)]
    for window, source in _windows(policy):
        named += [(door, source) for door in (*window.doors, *(d for p in window.passages for d in p.doors))]
    for part in _grants(policy):
        named += [(door, part.source or part.id) for door in part.doors]
    for one in policy.credentials.values():
        named += [(door, f"{policy.credentials_file}:{one.line}") for door in one.doors]
    return dict(reversed(named))


def _lanes(policy: Policy) -> dict[str, str]:
    named = [(lane, one.source or "passes") for one in policy.passes.values() for lane in one.lanes]
    for window, source in _windows(policy):
        named += [(lane, source) for lane in (*window.lanes, *(ln for p in window.passages for ln in p.lanes))]
    for part in _grants(policy):
        named += [(lane, part.source or part.id) for lane in part.lanes]
    for one in policy.credentials.values():
        named += [(lane, f"{policy.credentials_file}:{one.line}") for lane in one.lanes]
    return dict(reversed(named))


def _grants(policy: Policy) -> list[Group | Zone]:
    return [*policy.groups.values(), *policy.zones.values()]


def _windows(policy: Policy) -> Iterator[tuple[Window, str]]:
    for plan in policy.plans.values():
        for window in plan.windows:
            yield window, window.source or plan.source or plan.id


class _Reader:
    """The first pass."""

    def __init__(self, data: Mapping[str, Any], found: Found) -> None:
        self._data = data
        self._found = found

    def policy(self) -> Policy | None:
        self._unknown_keys()
        parts: dict[str, Any] = {
            "calendar": self._calendar(),
            "plans": self._by("plans", DayPlan, lambda plan: plan.id),
            "groups": self._by("groups", Group, lambda group: group.id),
            "credentials": self._credentials(),
            "zones": self._by("zones", Zone, lambda zone: zone.id),
            "slips": self._by("slips", LeaveSlip, lambda slip: slip.id),
            "pickups": self._by("pickups", Pickup, lambda pickup: pickup.guardian),
            "pickup_windows": tuple(self._entries("pickup_windows", PickupWindow)),
            "passes": self._by("passes", VehiclePass, lambda one: one.holder),
            "posts": self._by("posts", Post, lambda post: post.id),
            "roster": tuple(self._entries("roster", Duty)),
            "rules": self._one("rules", Rules, self._data.get("rules", {})),
        }
        plain: dict[str, Any] = {
            "version": self._plain("version", int),
            "made_at_ms": self._plain("made_at_ms", int),
            "site_box": self._plain("site_box", str),
            "credentials_file": self._plain("credentials_file", str, ""),
        }
        return None if None in (*parts.values(), *plain.values()) else Policy(**parts, **plain)

    def _unknown_keys(self) -> None:
        for key in self._data.keys() - set(Policy.__struct_fields__):
            self._say(
                str(key), f"the policy has no part named {key!r}", "remove it, or see docs/policy.md for the name"
            )

    def _say(self, source: str, what: str, cure: str) -> None:
        self._found.append(Contradiction(source, what, cure))

    def _plain(self, key: str, kind: type[Any], default: Any = None) -> Any:
        value = self._data.get(key, default)
        if type(value) is kind:
            return value
        self._say(key, f"{key} is missing or not {'a number' if kind is int else 'a text'}", "make the bundle anew")
        return None

    def _one(self, key: str, kind: type[_Entry], raw: Any) -> _Entry | None:
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            self._found.append(policy_words.told(error, raw, kind, key))
            self._found.lost.add(key.partition("[")[0])
            return None

    def _list(self, key: str) -> list[Any]:
        raw = self._data.get(key, [])
        if isinstance(raw, (list, tuple)):
            return list(raw)
        self._say(key, f"{key} is not a list", "make the bundle anew")
        self._found.lost.add(key)
        return []

    def _entries(self, key: str, kind: type[_Entry]) -> Iterator[_Entry]:
        for number, raw in enumerate(self._list(key), 1):
            entry = self._one(f"{key}[{number}]", kind, raw)
            if entry is not None:
                yield entry

    def _by(self, key: str, kind: type[_Entry], name: Callable[[_Entry], _Key]) -> dict[_Key, _Entry]:
        return self._unique(key, self._entries(key, kind), name, lambda entry: str(getattr(entry, "source", "")))

    def _unique(
        self, key: str, entries: Iterable[_Entry], name: Callable[[_Entry], _Key], where: Callable[[_Entry], str]
    ) -> dict[_Key, _Entry]:
        """Entries by their name. The second of one name is a contradiction, told with the place of the first."""
        kept: dict[_Key, _Entry] = {}
        for entry in entries:
            first = kept.setdefault(name(entry), entry)
            if first is not entry:
                what = f"{_WORDS[key]} {name(entry)} is there twice (first in {where(first) or key})"
                self._say(where(entry) or key, what, _TWICE.get(key, "remove one of the two"))
        return kept

    def _credentials(self) -> dict[str, Credential]:
        file = str(self._data.get("credentials_file", ""))
        rows = self._list("credentials")
        if len(rows) > MOST_CARDS:
            what = f"there are {len(rows)} cards, and a box takes {MOST_CARDS} at most"
            self._say(file or "credentials", what, "give this box the people of its own school alone")
            self._found.lost.add("credentials")
            return {}
        entries = (one for raw in rows if (one := self._credential(raw)) is not None)
        return self._unique("credentials", entries, lambda one: one.card, lambda one: f"{file}:{one.line}")

    def _credential(self, raw: Any) -> Credential | None:
        """One row, plain or as JSON."""
        try:
            return _CREDENTIAL.decode(raw) if isinstance(raw, msgspec.Raw) else msgspec.convert(raw, Credential)
        except NOT_JSON as error:
            source = f"{self._data.get('credentials_file', 'credentials')}:{_line_of(raw)}"
            self._found.append(policy_words.told(error, raw, Credential, source))
            self._found.lost.add("credentials")
            return None

    def _calendar(self) -> Calendar | None:
        """The special days are a list on the wire, so that two plans for one day can be told."""
        raw = self._data.get("calendar")
        if not isinstance(raw, dict):
            cure = "add the calendar's file to the folder and make the bundle anew"
            if "calendar" not in self._found.lost:
                self._say("calendar", "there is no calendar", cure)
            return None
        listed = raw.get("special", [])
        reader = _Reader({"special": listed}, self._found)
        special = reader._by("special", SpecialDay, lambda day: day.date)
        calendar = self._one("calendar", Calendar, {key: value for key, value in raw.items() if key != "special"})
        return None if calendar is None else msgspec.structs.replace(calendar, special=special)


_WORDS = {
    "plans": "the plan", "groups": "the group", "credentials": "card", "zones": "the zone", "slips": "the leave slip",
    "pickups": "the pick-up list of", "passes": "the pass of", "posts": "the post", "special": "a plan for",
}  # fmt: skip


_TWICE = {"pickups": "write all pupils of this guardian on one line, apart by ;"}
_CREDENTIAL = msgspec.json.Decoder(Credential)


def _line_of(raw: Any) -> int:
    try:
        row = msgspec.json.decode(raw) if isinstance(raw, msgspec.Raw) else raw
    except NOT_JSON:
        return 0
    line = row.get("line", 0) if isinstance(row, dict) else 0
    return line if isinstance(line, int) else 0


# ── the second pass ────────────────────────────────────────────────────────────────────────────────────────────────


def _contradictions(policy: Policy, found: Found) -> None:
    _judge_calendar(policy, found)
    for plan in policy.plans.values():
        _judge_plan(policy, plan, found)
    _judge_groups(policy, found)
    _judge_credentials(policy, found)
    _judge_people(policy, found)
    _judge_duty(policy, found)
    _judge_numbers(policy, found)


def _judge_calendar(policy: Policy, found: Found) -> None:
    calendar = policy.calendar
    if calendar.last < calendar.first:
        _ends_early(calendar.source or "calendar", "the calendar", found)
    for term in calendar.terms:
        if term.last < term.first:
            _ends_early(term.source or "calendar", f"the term {term.label or term.first}", found)
    for day in calendar.special.values():
        if not calendar.first <= day.date <= calendar.last:
            what = f"{day.date} lies outside the calendar ({calendar.first} to {calendar.last})"
            found.append(
                Contradiction(day.source or "calendar", what, "correct the date, or the calendar's first and last")
            )
    named = [(day.plan, day.source) for day in calendar.special.values()]
    named += [(calendar.vacation, calendar_source(calendar, "vacation"))] if calendar.vacation else []
    for plan_id, source in named:
        _known(plan_id, policy.plans, "day plan", source or "calendar", found)
    for name, plan_id in zip(DAY_NAMES, calendar.weekdays, strict=True):
        source = calendar_source(calendar, name) or "calendar"
        if plan_id:
            _known(plan_id, policy.plans, "day plan", source, found)
        else:
            cure = f'write {name} = "…" there, with the name of a day plan'
            found.append(Contradiction(source, f"the rule for weekdays has no day plan for {name}", cure))


def _judge_plan(policy: Policy, plan: DayPlan, found: Found) -> None:
    for window in plan.windows:
        source = window.source or plan.source or plan.id
        _judge_times(window.start, window.end, f"the window {window.label or window.kind} of {plan.id}", source, found)
        for passage in window.passages:
            for group in passage.groups:
                _known(group, policy.groups, "group", passage.source or source, found)
    for one, other in combinations(plan.windows, 2):
        if one.start < other.end and other.start < one.end:
            _judge_overlap(plan, one, other, found)


def _judge_overlap(plan: DayPlan, one: Window, other: Window, found: Found) -> None:
    """What is shut for one may not be open for the other, and no lane may be asked up and down."""
    source = other.source or plan.source or plan.id
    names = f"{one.label or one.kind} and {other.label or other.kind} of {plan.id} overlap and disagree"
    for door in one.doors.keys() & other.doors.keys():
        if one.doors[door] != other.doors[door]:
            what = f"{names}: door {door} is {one.doors[door]} in one and {other.doors[door]} in the other"
            found.append(Contradiction(source, what, "let one end where the other begins, or agree on the door"))
    same_lanes = not one.lanes or not other.lanes or bool(set(one.lanes) & set(other.lanes))
    if one.bollards and other.bollards and one.bollards != other.bollards and same_lanes:
        what = f"{names}: the bollards are {one.bollards} in one and {other.bollards} in the other"
        found.append(Contradiction(source, what, "let one end where the other begins, or agree on the bollards"))


def _judge_groups(policy: Policy, found: Found) -> None:
    for group in policy.groups.values():
        for zone in group.zones:
            _known(zone, policy.zones, "zone", group.source or group.id, found)


def _judge_credentials(policy: Policy, found: Found) -> None:
    groups, file = policy.groups, policy.credentials_file or "credentials"
    for one in policy.credentials.values():
        if one.group not in groups:
            _known(one.group, groups, "group", f"{file}:{one.line}", found)
        if one.to_ms and one.to_ms <= one.from_ms:
            _ends_early(f"{file}:{one.line}", f"the validity of card {one.card}", found)
        if not is_code(one.holder):
            _no_pseudonym(f"{file}:{one.line}", "the holder", found)
        if ":" not in one.card:
            what = f"card {one.card!r} has no format"
            found.append(Contradiction(f"{file}:{one.line}", what, "write it as <format>:<hex>"))


def _no_pseudonym(source: str, name: str, found: Found) -> None:
    """Without the value: who it names must not be told here either."""
    what = f"{name} is no pseudonym: a name, an ID number or a phone number would get into every record"
    found.append(Contradiction(source, what, "write a code of Latin letters and digits, and the name into names.csv"))


def _judge_people(policy: Policy, found: Found) -> None:
    kinds = _kinds(policy, found)
    for slip in policy.slips.values():
        for text, name in ((slip.id, "the leave slip's number"), (slip.issuer, "the issuer")):
            if not is_code(text):
                _no_pseudonym(slip.source or "slips", name, found)
        _holder(slip.pupil, ("pupil",), kinds, slip.source or f"slip {slip.id}", found)
        if slip.to_ms <= slip.from_ms:
            _ends_early(slip.source or f"slip {slip.id}", f"the leave slip {slip.id}", found)
    for pickup in policy.pickups.values():
        source = pickup.source or "pickups"
        _holder(pickup.guardian, ("guardian",), kinds, source, found)
        for pupil in pickup.pupils:
            _holder(pupil, ("pupil",), kinds, source, found)
    for window in policy.pickup_windows:
        _judge_times(window.start, window.end, "the pick-up window", window.source or "pickup_windows", found)
    for one in policy.passes.values():
        _holder(one.holder, ("vehicle", "bus"), kinds, one.source or "passes", found)
        _judge_times(one.start, one.end, f"the pass of {one.holder}", one.source or "passes", found)


def _kinds(policy: Policy, found: Found) -> Kinds:
    """What each holder is. One person may be several things, a guardian and a teacher; a pupil is nothing else, and of
    one grade: with the other card they would leave in class hours, which is what the closed campus is about."""
    alone = {group.kind: frozenset((group.kind,)) for group in policy.groups.values()} | {"": frozenset(("",))}
    kinds: dict[str, frozenset[str]] = {}
    first: dict[str, Credential] = {}
    several: dict[str, list[Credential]] = {}  # no list for each of a hundred thousand: a press waits for no collector
    for one in policy.credentials.values():
        holder, kind = one.holder, alone[_kind_of(policy, one)]
        if holder not in first:
            first[holder], kinds[holder] = one, kind
        else:
            several.setdefault(holder, [first[holder]]).append(one)
            kinds[holder] |= kind
    for holder, held in several.items():
        if "pupil" in kinds[holder]:
            _judge_pupils_cards(policy, holder, held, found)
    return kinds


def _judge_pupils_cards(policy: Policy, holder: str, held: list[Credential], found: Found) -> None:
    """Only cards that are valid at one time contradict; of a grade's, only those in use: a lost one may keep last
    year's."""
    file = policy.credentials_file or "credentials"
    for one, other in combinations(held[:MOST_HELD], 2):
        first = f"{file}:{one.line}"
        if (one.to_ms and one.to_ms <= other.from_ms) or (other.to_ms and other.to_ms <= one.from_ms):
            continue
        kinds = [_kind_of(policy, one), _kind_of(policy, other)]
        if "pupil" in kinds and kinds[0] != kinds[1] and "" not in kinds:
            what = f"{holder} is a {kinds[1]} here and a {kinds[0]} in {first}"
            cure = "give each of the two a code of its own: a pupil with both cards could leave in class hours"
            found.append(Contradiction(f"{file}:{other.line}", what, cure))
        elif kinds == ["pupil", "pupil"] and one.grade != other.grade and not (one.state or other.state):
            what = f"{holder} is in grade {other.grade or 'none'} here and in {one.grade or 'none'} in {first}"
            cure = "write the same grade for both cards, or correct the holder"
            found.append(Contradiction(f"{file}:{other.line}", what, cure))


def _judge_duty(policy: Policy, found: Found) -> None:
    rules = policy.rules
    late = [hour for hour in rules.patrol_hours if not 0 <= hour <= 23]
    if late:
        what = f"patrols are looked at {late[0]} o'clock"
        found.append(Contradiction(rules.source or "rules", what, "write patrol_hours as full hours from 0 to 23"))
    if not 1 <= rules.panic_test_due_days <= rules.panic_test_days:
        what = f"the panic test is due after {rules.panic_test_due_days} days and overdue after {rules.panic_test_days}"
        cure = "let panic_test_due_days be at least 1 and no more than panic_test_days"
        found.append(Contradiction(rules.source or "rules", what, cure))
    guards = {one.holder for one in policy.credentials.values() if _kind_of(policy, one) in ("guard", "")}
    for duty in policy.roster:
        source = duty.source or "roster"
        _known(duty.post, policy.posts, "post", source, found)
        if duty.guard not in guards and not _HOLDERS & found.lost:
            what = f"{duty.guard} stands in the roster and has no guard's card"
            found.append(Contradiction(source, what, "add the guard to the credentials, or correct the roster"))


_RANGES = {"passback_min": (1, 1440), "pair_s": (1, 3600), "patrols_a_day": (0, 96), "confirm_min": (0, 1440)}  # D


def _judge_numbers(policy: Policy, found: Found) -> None:
    parts: list[tuple[Rules | Post, str]] = [(policy.rules, name) for name in _RANGES if name != "confirm_min"]
    parts += [(post, "confirm_min") for post in policy.posts.values()]
    for part, name in parts:
        least, most = _RANGES[name]
        if not least <= getattr(part, name) <= most:
            what = f"{name} cannot be {getattr(part, name)}"
            found.append(Contradiction(part.source or name, what, f"write a number from {least} to {most}"))


def _kind_of(policy: Policy, credential: Credential) -> str:
    group = policy.groups.get(credential.group)
    return group.kind if group is not None else ""


def _judge_times(start: int, end: int, name: str, source: str, found: Found) -> None:
    if not 0 <= start <= DAY_MINUTES or not 0 <= end <= DAY_MINUTES:
        found.append(Contradiction(source, f"{name} leaves the day", "write times from 00:00 to 24:00"))
    elif end <= start:
        _ends_early(source, name, found)


def _ends_early(source: str, name: str, found: Found) -> None:
    found.append(Contradiction(source, f"{name} ends before it starts", "swap or correct its two times"))


_HOLDERS = {"credentials", "groups"}  # the parts that tell what a holder is
_PART = {"day plan": "plans", "group": "groups", "zone": "zones", "post": "posts"}


def _known(name: str, known: Mapping[str, object], what: str, source: str, found: Found) -> None:
    if name not in known and _PART.get(what) not in found.lost:
        names = ", ".join(sorted(known)[:8]) or "none"
        found.append(Contradiction(source, f"there is no {what} named '{name}'", f"name one of: {names}"))


def _holder(holder: str, wanted: tuple[str, ...], kinds: Kinds, source: str, found: Found) -> None:
    known = kinds.get(holder)
    if known is None:
        if not _HOLDERS & found.lost:
            what = f"{holder} is not a {' or '.join(wanted)} that the credentials know"
            found.append(Contradiction(source, what, "add a card for this holder, or correct the holder"))
    elif "" not in known and known.isdisjoint(wanted):  # "": a group that is not there, which is told at the card
        what = f"{holder} is a {' and '.join(sorted(known))}, not a {' or '.join(wanted)}"
        found.append(Contradiction(source, what, "correct the holder"))
