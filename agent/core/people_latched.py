"""What of visits and duty survives a restart: open visits, who stands where, the hazard ledger, the day's patrols."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agent.core.events import Now, Seq
from agent.core.records import Value
from agent.core.state import BoxState, DutyState, Hazard, Visit, Watch


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


class WatchPicture(msgspec.Struct, frozen=True):
    guard: str
    since_ms: int
    ref: Seq | None


class HazardPicture(msgspec.Struct, frozen=True):
    what: str
    owner: str
    found_ms: int
    due_ms: int
    ref: Seq | None


class DutyPicture(msgspec.Struct, frozen=True):
    on: dict[str, WatchPicture] = {}
    hazards: dict[str, HazardPicture] = {}
    patrol_day: int = 0
    patrols: int = 0
    tested_ms: int = 0


def visits(state: BoxState) -> list[Value]:
    return [_plain(visit, VisitPicture) for visit in state.visits.values()]


def duty(state: BoxState) -> dict[str, Value]:
    part = state.duty
    return {
        "hazards": {name: _plain(hazard, HazardPicture) for name, hazard in part.hazards.items()},
        "on": {post: _plain(watch, WatchPicture) for post, watch in part.on.items()},
        "patrol_day": part.patrol_day,
        "patrols": part.patrols,
        "tested_ms": part.tested_ms,
    }


def _plain(one: object, picture: type[msgspec.Struct]) -> dict[str, Value]:
    """The fields that the picture keeps, as a record's data."""
    found: dict[str, Value] = {}
    for name in picture.__struct_fields__:
        value = getattr(one, name)
        found[name] = list(value) if isinstance(value, tuple) else value
    return found


def may_differ(old: BoxState, new: BoxState) -> bool:
    return old.visits is not new.visits or old.duty is not new.duty


def restore(state: BoxState, told: tuple[VisitPicture, ...], part: DutyPicture, now: Now) -> BoxState:
    """A visit's end is wall time: it is mapped onto this boot's monotonic clock. A watch counts as just confirmed."""
    open_visits = {
        one.handle: Visit(
            handle=one.handle, kind=one.kind, host=one.host, purpose=one.purpose, card=one.card, door=one.door,
            lane=one.lane, from_ms=one.from_ms, until_ms=one.until_ms,
            until_at=now.mono_s + (one.until_ms - now.wall_ms) / 1000,
            consent=one.consent, came=one.came, told=one.told, ref=one.ref,
        )
        for one in told
    }  # fmt: skip
    on = {
        post: Watch(guard=watch.guard, since_ms=watch.since_ms, confirmed_at=now.mono_s, ref=watch.ref)
        for post, watch in part.on.items()
    }
    hazards = {
        name: Hazard(what=one.what, owner=one.owner, found_ms=one.found_ms, due_ms=one.due_ms, ref=one.ref)
        for name, one in part.hazards.items()
    }
    kept = DutyState(
        on=on, hazards=hazards, patrol_day=part.patrol_day, patrols=part.patrols, tested_ms=part.tested_ms
    )  # fmt: skip
    return replace(state, visits=open_visits, duty=kept)
