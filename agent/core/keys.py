"""Key switches at the box, and the lanes' own buttons, by what they are for."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from agent.core import fire, lane, panic
from agent.core.events import KeyInput, Now
from agent.core.log import Log
from agent.core.rules import KeyRules
from agent.core.state import BoxState


def on_key(state: BoxState, event: KeyInput, now: Now, log: Log) -> BoxState:
    """A key or button changed. Only a turn that was *seen* (off, then on) asks or resets anything: what was left on
    over a restart, or while nobody could read it, decides nothing, except the fire key, whose being on releases."""
    was = state.keys.get(event.key)
    if event.on is was:
        return state
    state = replace(state, keys={**state.keys, event.key: event.on})
    turned = event.on is True and was is False
    if event.key.startswith("lane:"):
        return _lane_button(state, event.key, turned=turned, now=now, log=log)
    rules = next((key for key in state.rules.keys if key.id == event.key), None)
    return state if rules is None else _act(state, rules, event.on, was, turned and state.scanned, now, log)


def _lane_button(state: BoxState, key: str, *, turned: bool, now: Now, log: Log) -> BoxState:
    match key.split(":"):
        case [_, lane_id, ("raise" | "lower") as verb] if lane_id in state.lanes:
            return lane.on_key(state, lane_id, verb, turned, now, log)
        case _:
            return state


def _act(
    state: BoxState, key: KeyRules, on: bool | None, was: bool | None, turned: bool, now: Now, log: Log
) -> BoxState:
    match key.use:
        case "panic_reset":
            return panic.on_reset_key(state, key.id, now, log) if turned else state
        case "fire_reset":
            return fire.on_reset_key(state, key.id, now, log) if turned else state
        case "fire_key":
            return fire.on_key(state, key.id, on, was, now, log)
        case _:
            assert_never(key.use)
