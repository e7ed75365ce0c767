"""Whose card it is: the policy's people first, then the cards of the site file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from agent.core.policy import Credential, LeaveSlip, Policy, bound, doors_of, lanes_of
from agent.core.rules import CredentialRules

if TYPE_CHECKING:
    from agent.core.state import BoxState, Visit


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate needs to know of a card's holder. `kind` is what the rules ask for, `group` what the school calls
    it. `bound`: the windows of the day hold for them. `source` is where the card was written down. A lent card ends at
    `until_at` of the monotonic clock, whatever the wall clock says."""

    card: str
    holder: str
    kind: str
    group: str
    doors: frozenset[str]
    lanes: frozenset[str]
    grade: str = ""
    from_ms: int = 0
    to_ms: int = 0
    until_at: float = float("inf")
    banned: bool = False
    duress: bool = False
    bound: bool = False
    refusal: str = ""  # why this card lets nobody in yet, or any more
    source: str = ""


def find(state: BoxState, card: str) -> Person | None:
    """The holder of a card, or None where nobody knows it. A card that was banned here is banned whoever wrote it."""
    policy = state.policy
    known = policy.credentials.get(card) if policy is not None else None
    if policy is not None and known is not None and known.group in policy.groups:
        return _of_policy(policy, known, state.campus.bans)
    lent = next((visit for visit in state.visits.values() if visit.card == card), None) if state.visits else None
    if lent is not None:
        return _of_visit(lent, state.campus.bans)
    own = state.rules.credentials.get(card)
    return None if own is None else _of_site(own, state.campus.bans)


def is_holder(state: BoxState, text: str) -> bool:
    """Whether the policy or the site file has a card for this pseudonym."""
    known = state.policy is not None and text in index(state.policy).kinds
    return known or any(own.holder == text for own in state.rules.credentials.values())


def _of_policy(policy: Policy, known: Credential, bans: dict[str, str]) -> Person:
    group = policy.groups[known.group]
    return Person(
        card=known.card,
        holder=known.holder,
        kind=group.kind,
        group=group.id,
        doors=frozenset(doors_of(policy, known)),
        lanes=frozenset(lanes_of(policy, known)),
        grade=known.grade,
        from_ms=known.from_ms,
        to_ms=known.to_ms,
        banned=known.state != "" or known.card in bans or known.holder in bans,
        duress=known.duress,
        bound=bound(group),
        source=f"{policy.credentials_file}:{known.line}",
    )


def _of_site(own: CredentialRules, bans: dict[str, str]) -> Person:
    return Person(
        card=own.card,
        holder=own.holder,
        kind=own.group,
        group=own.group,
        doors=own.doors,
        lanes=own.lanes,
        from_ms=own.valid_from_ms,
        to_ms=own.valid_to_ms,
        banned=own.banned or own.card in bans or own.holder in bans,
        source="gatebox.toml",
    )


def _of_visit(visit: Visit, bans: dict[str, str]) -> Person:
    """A card lent for a visit: at its door or lane, in its time, with the host's consent."""
    return Person(
        card=visit.card,
        holder=visit.handle,
        kind="vehicle" if visit.kind == "vehicle" else "visitor",
        group="visit",
        doors=frozenset((visit.door,) if visit.door else ()),
        lanes=frozenset((visit.lane,) if visit.lane else ()),
        until_at=visit.until_at,
        banned=visit.card in bans or visit.handle in bans,
        refusal="expired" if visit.told else "" if visit.consent else "no_consent",
        source="visits",
    )


class Index(msgspec.Struct, frozen=True):
    """What a policy tells, by whom it is about."""

    slips: dict[str, tuple[LeaveSlip, ...]]  # by pupil
    guardians: dict[str, frozenset[str]]  # pupil → guardians who may take them
    kinds: dict[str, str]  # holder → what the holder is
    counts: dict[str, int]  # kind → how many different holders have a card
    classes: dict[str, tuple[str, str]]  # pupil → grade and class, by a card in use where there is one


_kept: tuple[tuple[Policy, Index], ...] = ()


def index(policy: Policy) -> Index:
    """Worked out once for a policy, and kept while it is in force: the last two, so that whoever loads the next one
    may work its index out beforehand, beside the loop that decides."""
    global _kept
    for known, made in _kept:
        if known is policy:
            return made
    made = _index(policy)
    _kept = ((policy, made), *_kept[:1])
    return made


def _index(policy: Policy) -> Index:
    slips: dict[str, list[LeaveSlip]] = {}
    for slip in policy.slips.values():
        slips.setdefault(slip.pupil, []).append(slip)
    guardians: dict[str, set[str]] = {}
    for pickup in policy.pickups.values():
        for pupil in pickup.pupils:
            guardians.setdefault(pupil, set()).add(pickup.guardian)
    cards = [one for one in policy.credentials.values() if one.group in policy.groups]
    kinds, counts = _kinds(policy, cards)
    return Index(
        {pupil: tuple(found) for pupil, found in slips.items()},
        {pupil: frozenset(found) for pupil, found in guardians.items()},
        kinds,
        counts,
        _classes(policy, cards),
    )


def _kinds(policy: Policy, cards: list[Credential]) -> tuple[dict[str, str], dict[str, int]]:
    """What each holder is, by the last card, and how many there are of each kind; who is two things counts for both."""
    kinds: dict[str, str] = {}
    counts: Counter[str] = Counter()
    twice: set[tuple[str, str]] = set()
    for one in cards:
        holder, kind = one.holder, policy.groups[one.group].kind
        known = kinds.get(holder)
        if known is None:
            counts[kind] += 1
        elif known != kind:
            counts[kind] += (holder, kind) not in twice
            twice |= {(holder, known), (holder, kind)}
        kinds[holder] = kind
    return kinds, dict(counts)


def _classes(policy: Policy, cards: list[Credential]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    same: dict[tuple[str, str], tuple[str, str]] = {}  # one tuple for a class, not one for a pupil
    for one in cards:
        if policy.groups[one.group].kind == "pupil" and (not one.state or one.holder not in found):
            pair = (one.grade, one.class_)
            found[one.holder] = same.setdefault(pair, pair)
    return found
