"""The box's own life: start, first scan, a new epoch of the journal, and notes from the shell."""

from __future__ import annotations

from msgspec.structs import replace

from agent.core import fire, latched, panic
from agent.core.events import NewEpoch, Note, Started
from agent.core.kinds import WEIGHT
from agent.core.log import Log
from agent.core.records import Value
from agent.core.state import BoxState


def on_started(state: BoxState, event: Started, log: Log) -> BoxState:
    """A new boot, on a fresh state: what was latched is latched again, and nothing moves."""
    data: dict[str, Value] = {"boot": event.boot, "reason": event.reason}
    log.cause = log.add("box.started", "box", data, cause=event.latched_ref)
    return latched.restore(state, event, log)


def on_scan(state: BoxState, log: Log) -> BoxState:
    """Every input was freshly read: what is still unread now is a fault, and outputs may go out."""
    if state.scanned:
        return state
    log.cause = log.add("box.scanned", "box")
    return fire.on_scan(panic.on_scan(replace(state, scanned=True), log), log)


def on_new_epoch(state: BoxState, event: NewEpoch, log: Log) -> BoxState:
    log.add("box.new_epoch", "box", {"epoch": event.epoch, "why": event.why})
    return state


def on_note(state: BoxState, event: Note, log: Log) -> BoxState:
    """One record. A kind that is not in the list is kept in the data, so that no reader meets an unknown kind."""
    data: dict[str, Value] = {name: _plain(value) for name, value in event.data.items()}
    if event.kind in WEIGHT:
        log.add(event.kind, event.subject, data, actor=event.actor)
    else:
        log.add("note", event.subject, {"kind": event.kind, "data": data}, actor=event.actor)
    return state


def _plain(value: object) -> Value:
    """A value as the canonical encoding takes it; a float in thousandths would be a guess, so it becomes text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
