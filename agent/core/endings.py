"""Which records end an alarm, and of which kind: for ways up that keep an alarm open until somebody says it is over.

A panic alarm is not in here: it ends with a person's reset, and whoever was called closes his case himself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from agent.core.events import Seq

_Ends: TypeAlias = Callable[[Mapping[str, Any], bool], tuple[str, ...]]


def _always(*kinds: str) -> _Ends:
    return lambda data, caused: kinds


def _if_caused(*kinds: str) -> _Ends:
    """A dip of the mains or a path's pause may end before it was an alarm."""
    return lambda data, caused: kinds if caused else ()


def _released(data: Mapping[str, Any], caused: bool) -> tuple[str, ...]:
    return ("panic.stuck",) if data.get("stuck") else ()


def _closed(data: Mapping[str, Any], caused: bool) -> tuple[str, ...]:
    found = {"door.forced": data.get("forced"), "door.held_open": data.get("held")}
    return tuple(kind for kind, is_so in found.items() if is_so)


def _named(data: Mapping[str, Any], caused: bool) -> tuple[str, ...]:
    kind = data.get("kind")
    return (kind,) if isinstance(kind, str) else ()


_ENDS: Mapping[str, _Ends] = {
    "alarm.over": _named,
    "door.closed": _closed,
    "drill.ended": _always("drill.started"),
    "fire.read": _always("fire.unread"),
    "fire.reset": _always("fire.active"),
    "journal.ok": _always("journal.failing"),
    "lane.cleared": _always("lane.fault"),
    "output.ok": _always("output.fault"),
    "panic.line_ok": _always("panic.line_fault"),
    "panic.released": _released,
    "path.up": _if_caused("path.none"),
    "supply.ok": _if_caused("supply.alarm"),
}
ENDING_KINDS = frozenset(_ENDS)


def ends(kind: str, data: Mapping[str, Any], cause: Seq | None) -> tuple[str, ...]:
    """The kinds of alarm that a record ends, () for none. Where its `cause` is an alarm, that is the one."""
    judge = _ENDS.get(kind)
    return () if judge is None else judge(data, cause is not None)
